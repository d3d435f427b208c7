// Validation of the labels of a series that no head knows yet.

export const LABELS_CANONICAL: i32 = 0;
/** Valid so far as can be seen, but to be brought into canonical form: unsorted, empty values, unusual encoding. */
export const LABELS_TO_NORMALISE: i32 = 1;
export const LABELS_MALFORMED: i32 = 2;
export const LABELS_MISSING_NAME: i32 = 3;
export const LABELS_TOO_MANY: i32 = 4;
export const LABELS_NAME_TOO_LONG: i32 = 5;
export const LABELS_VALUE_TOO_LONG: i32 = 6;
export const LABELS_TOO_LARGE: i32 = 7;
export const LABELS_NAME_INVALID: i32 = 8;
export const LABELS_VALUE_INVALID: i32 = 9;
export const LABELS_DUPLICATE: i32 = 10;
export const LABELS_METRIC_NAME_INVALID: i32 = 11;

let countMax: u32 = 60;
let nameBytesMax: u32 = 1024;
let valueBytesMax: u32 = 2048;
let totalBytesMax: u32 = 16384;

/** Address and length of the label that failed, name or value. */
export let invalidAddress: u32 = 0;
export let invalidLength: u32 = 0;

/** Limits for the next validations; 0 lifts one. */
export function validateLimits(labelCount: u32, nameBytes: u32, valueBytes: u32, totalBytes: u32): void {
  countMax = labelCount == 0 ? 0xffffffff : labelCount;
  nameBytesMax = nameBytes == 0 ? 0xffffffff : nameBytes;
  valueBytesMax = valueBytes == 0 ? 0xffffffff : valueBytes;
  totalBytesMax = totalBytes == 0 ? 0xffffffff : totalBytes;
}

/** Whether the bytes are UTF-8: no overlong forms, surrogates or code points above 10FFFF. */
export function isUtf8(p: usize, len: usize): bool {
  const end = p + len;
  while (p < end) {
    if (p + 8 <= end && (load<u64>(p) & 0x8080808080808080) == 0) {
      p += 8;
      continue;
    }
    const b = <u32>load<u8>(p);
    if (b < 0x80) {
      p++;
      continue;
    }
    let more: u32;
    let least: u32;
    let code: u32;
    if (b >= 0xc2 && b < 0xe0) {
      more = 1;
      least = 0x80;
      code = b & 0x1f;
    } else if (b >= 0xe0 && b < 0xf0) {
      more = 2;
      least = 0x800;
      code = b & 0x0f;
    } else if (b >= 0xf0 && b < 0xf5) {
      more = 3;
      least = 0x10000;
      code = b & 0x07;
    } else return false;
    if (<u32>(end - p) <= more) return false;
    for (let i: u32 = 1; i <= more; i++) {
      const c = <u32>load<u8>(p + i);
      if ((c & 0xc0) != 0x80) return false;
      code = (code << 6) | (c & 0x3f);
    }
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    p += more + 1;
  }
  return true;
}

let pos: usize = 0;
let failed: bool = false;
let minimal: bool = true;

function varint(end: usize): u64 {
  let r: u64 = 0;
  let shift: u64 = 0;
  while (pos < end && shift < 64) {
    const b = <u64>load<u8>(pos++);
    if (shift == 63 && b > 1) break;
    r |= (b & 0x7f) << shift;
    if (b < 0x80) {
      if (b == 0 && shift > 0) minimal = false;
      return r;
    }
    shift += 7;
  }
  failed = true;
  return 0;
}

function compare(a: usize, aLength: u32, b: usize, bLength: u32): i32 {
  const n = min<u32>(aLength, bLength);
  for (let i: u32 = 0; i < n; i++) {
    const x = <i32>load<u8>(a + i);
    const y = <i32>load<u8>(b + i);
    if (x != y) return x - y;
  }
  return <i32>aLength - <i32>bLength;
}

// "__name__", little-endian.
const METRIC_NAME: u64 = 0x5f5f656d616e5f5f;

/**
 * Checks the label fields at [p, p + len), as the scanner delimited them (`0a len` per label, lengths in bounds).
 * LABELS_MALFORMED wins over everything; else the first finding in order of the labels is returned, and what is wrong
 * stands in invalidAddress and invalidLength.
 */
export function validateLabels(p: usize, len: u32): i32 {
  const end = p + len;
  pos = p;
  failed = false;
  minimal = true;
  let canonical = true;
  let hasMetricName = false;
  let count: u32 = 0;
  let total: u32 = 0;
  let previous: usize = 0;
  let previousLength: u32 = 0;
  let finding = LABELS_CANONICAL;
  invalidAddress = 0;
  invalidLength = 0;
  while (pos < end) {
    varint(end); // the field's tag, 0a
    const n = varint(end);
    const labelEnd = pos + <usize>n;
    let name: usize = 0;
    let nameLength: u32 = 0;
    let value: usize = 0;
    let valueLength: u32 = 0;
    let fields: u32 = 0;
    while (pos < labelEnd) {
      const tag = varint(labelEnd);
      if (failed || tag >> 3 == 0 || tag >> 3 > 0x1fffffff) return LABELS_MALFORMED;
      const wire = <u32>tag & 7;
      if (tag == 0x0a || tag == 0x12) {
        const size = varint(labelEnd);
        if (failed || size > <u64>(labelEnd - pos)) return LABELS_MALFORMED;
        if (tag == 0x0a) {
          name = pos;
          nameLength = <u32>size;
          if (fields != 0) canonical = false;
        } else {
          value = pos;
          valueLength = <u32>size;
          if (fields != 1) canonical = false;
        }
        pos += <usize>size;
      } else {
        if (tag < 0x18) return LABELS_MALFORMED;
        canonical = false;
        if (wire == 0) varint(labelEnd);
        else if (wire == 1) pos += 8;
        else if (wire == 2) {
          const size = varint(labelEnd);
          if (failed || size > <u64>(labelEnd - pos)) return LABELS_MALFORMED;
          pos += <usize>size;
        } else if (wire == 5) pos += 4;
        else return LABELS_MALFORMED;
        if (failed || pos > labelEnd) return LABELS_MALFORMED;
      }
      fields++;
    }
    if (failed) return LABELS_MALFORMED;
    if (fields != 2) canonical = false;
    // The rest is looked at even after a finding: a request that is malformed anywhere is refused as a whole.
    if (finding != LABELS_CANONICAL) continue;
    const isMetricName = nameLength == 8 && load<u64>(name) == METRIC_NAME;
    const order = previous == 0 ? -1 : compare(previous, previousLength, name, nameLength);
    invalidAddress = <u32>name;
    invalidLength = nameLength;
    if (nameLength == 0 || !isUtf8(name, nameLength)) finding = LABELS_NAME_INVALID;
    else if (nameLength > nameBytesMax) finding = LABELS_NAME_TOO_LONG;
    else if (valueLength > valueBytesMax) finding = LABELS_VALUE_TOO_LONG;
    else if (!isUtf8(value, valueLength)) {
      finding = isMetricName ? LABELS_METRIC_NAME_INVALID : LABELS_VALUE_INVALID;
      if (isMetricName) {
        invalidAddress = <u32>value;
        invalidLength = valueLength;
      }
    } else if (order == 0) finding = LABELS_DUPLICATE;
    if (order > 0) canonical = false;
    if (isMetricName && valueLength > 0) hasMetricName = true;
    previous = name;
    previousLength = nameLength;
    if (valueLength == 0) canonical = false;
    else {
      count++;
      total += nameLength + valueLength;
    }
  }
  if (finding != LABELS_CANONICAL) return finding;
  invalidAddress = 0;
  invalidLength = 0;
  if (!hasMetricName) return LABELS_MISSING_NAME;
  if (count > countMax) return LABELS_TOO_MANY;
  if (total > totalBytesMax) return LABELS_TOO_LARGE;
  return canonical && minimal ? LABELS_CANONICAL : LABELS_TO_NORMALISE;
}
