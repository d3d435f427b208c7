// Rebuilding a head from the records of its log.
import { publishTimes, replaySample } from './append';
import { findByLabels, seriesAt, seriesCreate, seriesForward, seriesLive, seriesResolve } from './series';
import { putUvarint } from './wal';

const NO_TIME: i64 = i64.MIN_VALUE;

let cursor: usize = 0;
let cursorEnd: usize = 0;

function varint(): i64 {
  let r: u64 = 0;
  let shift: u64 = 0;
  while (cursor < cursorEnd && shift < 64) {
    const b = <u64>load<u8>(cursor++);
    r |= (b & 0x7f) << shift;
    if (b < 0x80) return <i64>(r >> 1) ^ -<i64>(r & 1);
    shift += 7;
  }
  cursorEnd = 0; // truncated: every later read fails too
  return 0;
}

/** Replayed samples whose series the log did not define. */
export let replayUnknown: u32 = 0;

/**
 * Replays a samples record of the log (type byte included). Samples below `minTimeMs` are skipped: a block has them.
 * @returns samples taken, or -1 when the record is malformed, -2 when memory is used up. Samples of unknown series are
 *          skipped and counted in `replayUnknown`.
 */
export function replaySamples(p: usize, len: u32, minTimeMs: f64): i32 {
  if (len == 1) return 0;
  if (len < 17) return -1;
  const limit = minTimeMs < -9e18 ? NO_TIME : <i64>minTimeMs;
  const ref0 = <i64>bswap<u64>(load<u64>(p, 1));
  const t0 = <i64>bswap<u64>(load<u64>(p, 9));
  cursor = p + 17;
  cursorEnd = p + len;
  const end = cursorEnd;
  let taken = 0;
  while (cursor < end) {
    const ref = ref0 + varint();
    const t = t0 + varint();
    if (cursorEnd == 0 || cursor + 8 > end) return -1;
    const v = bswap<u64>(load<u64>(cursor));
    cursor += 8;
    if (t < limit) continue;
    const live = ref <= 0 || ref > 0x7fffffff ? 0 : seriesResolve(<u32>ref);
    if (live == 0) {
      replayUnknown++;
      continue;
    }
    if (!replaySample(seriesAt(live), t, v)) return -2;
    taken++;
  }
  publishTimes();
  return taken;
}

function uvarintSize(v: u32): u32 {
  return v < 0x80 ? 1 : v < 0x4000 ? 2 : v < 0x200000 ? 3 : v < 0x10000000 ? 4 : 5;
}

function uvarint32(): u32 {
  let r: u64 = 0;
  let shift: u64 = 0;
  while (cursor < cursorEnd && shift < 35) {
    const b = <u64>load<u8>(cursor++);
    r |= (b & 0x7f) << shift;
    if (b < 0x80) return <u32>min<u64>(r, 0xffffffff);
    shift += 7;
  }
  cursorEnd = 0;
  return 0;
}

/**
 * Replays a series record (type byte included). A series that is already there under another ref is forwarded to.
 * @param scratch room for the canonical labels of one series: 3 len + 64 bytes
 * @returns series taken, or -1 when the record is malformed or gives a ref in use to another series, -2 when memory is
 *          used up
 */
export function replaySeries(p: usize, len: u32, scratch: usize): i32 {
  cursor = p + 1;
  cursorEnd = p + len;
  const end = cursorEnd;
  let taken = 0;
  while (cursor < end) {
    if (end - cursor < 9) return -1;
    const ref = bswap<u64>(load<u64>(cursor));
    cursor += 8;
    const count = uvarint32();
    let out = scratch;
    for (let i: u32 = 0; i < count; i++) {
      const nameLength = uvarint32();
      if (cursorEnd == 0 || nameLength > <u32>(end - cursor)) return -1;
      const name = cursor;
      cursor += nameLength;
      const valueLength = uvarint32();
      if (cursorEnd == 0 || valueLength > <u32>(end - cursor)) return -1;
      const value = cursor;
      cursor += valueLength;
      store<u8>(out++, 0x0a);
      out = putUvarint(out, 2 + uvarintSize(nameLength) + nameLength + uvarintSize(valueLength) + valueLength);
      store<u8>(out++, 0x0a);
      out = putUvarint(out, nameLength);
      memory.copy(out, name, nameLength);
      out += nameLength;
      store<u8>(out++, 0x12);
      out = putUvarint(out, valueLength);
      memory.copy(out, value, valueLength);
      out += valueLength;
    }
    if (cursorEnd == 0 || ref == 0 || ref >= 0x7fffffff) return -1;
    const known = findByLabels(scratch, <u32>(out - scratch));
    if (known != <u32>ref && seriesLive(<u32>ref)) return -1;
    if (known == 0) {
      if (seriesCreate(scratch, <u32>(out - scratch), <u32>ref) == 0) return -2;
    } else if (known != <u32>ref && !seriesForward(<u32>ref, known)) return -2;
    taken++;
  }
  return taken;
}
