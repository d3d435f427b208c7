// Write-ahead log records and pages, in Prometheus' format (docs/formats/wal.md): records are encoded into scratch memory
// and framed into the batch that the next group commit writes. Two batches alternate: one is being written by the file
// system while the other fills.
import { alloc, free } from './alloc';
import { crc32c } from '../codec/crc32c';
import { snappyEncode, snappyMaxEncodedLength } from '../codec/snappy-encode';

const PAGE: u32 = 32768;
const FRAME_HEADER: u32 = 7;
const SNAPPY_FLAG: u32 = 8;
const SNAPPY_TABLE_BYTES: u32 = 32768;
const READ_SLACK: u32 = 16; // the compressor reads whole words
const SERIES_RECORD_BYTES: u32 = 262144; // definitions gathered up to this size share a record

let record: usize = 0; // scratch for one record
let recordCapacity: u32 = 0;
let recordEnd: usize = 0;
// Definitions of series that are not framed yet. They repeat each other's labels, so they are compressed together: to
// a sixth or so. Samples are not: they would shrink by a sixth for a tenth more CPU.
let definitions: usize = 0;
let definitionsCapacity: u32 = 0;
let definitionsBytes: u32 = 0;
let packed: usize = 0;
let packedCapacity: u32 = 0;
let snappyTable: usize = 0;
let baseRef: i64 = 0;
let baseTime: i64 = 0;

let batch: usize = 0;
let batchCapacity: u32 = 0;
let batchBytes: u32 = 0;
let spare: usize = 0;
let spareCapacity: u32 = 0;
let pageOffset: u32 = 0; // of the end of the batch within its page

export function walInit(): bool {
  recordCapacity = 65536;
  record = alloc(recordCapacity);
  definitionsCapacity = 4096;
  definitions = alloc(definitionsCapacity);
  definitionsBytes = 0;
  packed = 0;
  packedCapacity = 0;
  snappyTable = alloc(SNAPPY_TABLE_BYTES);
  batchCapacity = 262144;
  batch = alloc(batchCapacity);
  spareCapacity = 262144;
  spare = alloc(spareCapacity);
  batchBytes = 0;
  pageOffset = 0;
  recordEnd = 0;
  return record != 0 && definitions != 0 && snappyTable != 0 && batch != 0 && spare != 0;
}

/** Makes room for a record of n bytes, whose contents it does not keep. */
export function recordReserve(n: u32): bool {
  if (n <= recordCapacity) return true;
  const p = alloc(n);
  if (p == 0) return false;
  free(record, recordCapacity);
  record = p;
  recordCapacity = n;
  return true;
}

/** Makes room for framing n more bytes of records into the batch, and the definitions that wait. */
export function batchReserve(n: u32): bool {
  n += definitionsBytes;
  const need = batchBytes + n + (n / (PAGE - FRAME_HEADER) + 2) * 2 * FRAME_HEADER + PAGE;
  if (need <= batchCapacity) return true;
  let capacity = batchCapacity;
  while (capacity < need) capacity *= 2;
  const p = alloc(capacity);
  if (p == 0) return false;
  memory.copy(p, batch, batchBytes);
  free(batch, batchCapacity);
  batch = p;
  batchCapacity = capacity;
  return true;
}

export function batchPointer(): usize {
  return batch;
}

export function batchLength(): u32 {
  return batchBytes;
}

/** Where the next byte of the log falls within its page; set when a new segment begins. */
export function pagePosition(): u32 {
  return pageOffset;
}

export function setPagePosition(offset: u32): void {
  pageOffset = offset;
}

/** Makes room for one more definition of a series with labels of `len` bytes; frames the others when they are many. */
export function seriesReserve(len: u32): bool {
  const room = 32 + 2 * len;
  if (definitionsBytes >= SERIES_RECORD_BYTES) seriesFrame();
  if (!batchReserve(room)) return false;
  const need = definitionsBytes + room + READ_SLACK;
  if (need <= definitionsCapacity) return true;
  const capacity = max<u32>(need, min<u32>(definitionsCapacity * 2, SERIES_RECORD_BYTES + 65536));
  const p = alloc(capacity);
  if (p == 0) return false;
  memory.copy(p, definitions, definitionsBytes);
  free(definitions, definitionsCapacity);
  definitions = p;
  definitionsCapacity = capacity;
  return true;
}

/** Frames the definitions that wait. They must precede the samples that name them. */
export function seriesFrame(): void {
  if (definitionsBytes == 0) return;
  const most = snappyMaxEncodedLength(definitionsBytes);
  if (most > packedCapacity) {
    if (packed != 0) free(packed, packedCapacity);
    packed = alloc(most);
    packedCapacity = packed == 0 ? 0 : most;
  }
  const n = packed == 0 ? definitionsBytes : snappyEncode(definitions, definitionsBytes, packed, snappyTable);
  if (n < definitionsBytes) frame(packed, n, SNAPPY_FLAG);
  else frame(definitions, definitionsBytes, 0);
  definitionsBytes = 0;
  if (definitionsCapacity > 65536) {
    // Many new series at once are rare: the room is better used elsewhere.
    const small = alloc(4096);
    if (small == 0) return;
    free(definitions, definitionsCapacity);
    definitions = small;
    definitionsCapacity = 4096;
    if (packed != 0) free(packed, packedCapacity);
    packed = 0;
    packedCapacity = 0;
  }
}

/** Begins a new batch in the other buffer. The finished one stays valid until the next swap. */
export function batchSwap(): void {
  const p = batch;
  const capacity = batchCapacity;
  batch = spare;
  batchCapacity = spareCapacity;
  spare = p;
  spareCapacity = capacity;
  batchBytes = 0;
}

/** Drops what the batch holds; the caller has copied it. */
export function batchClear(): void {
  batchBytes = 0;
}

/** Scratch memory for one record that the caller frames with `frameRecord`. */
export function recordPointer(): usize {
  return record;
}

/** Fills the current page with zeros, which ends a segment. */
export function batchPadPage(): void {
  if (pageOffset == 0) return;
  const n = PAGE - pageOffset;
  memory.fill(batch + batchBytes, 0, n);
  batchBytes += n;
  pageOffset = 0;
}

/** Frames the first `len` bytes of the record scratch. */
export function frameRecord(len: u32): void {
  frame(record, len, 0);
}

/** Frames a record into the batch. Room was made by batchReserve. */
function frame(p: usize, len: u32, flags: u32): void {
  let first = true;
  do {
    let left = PAGE - pageOffset;
    if (left < FRAME_HEADER) {
      memory.fill(batch + batchBytes, 0, left);
      batchBytes += left;
      pageOffset = 0;
      left = PAGE;
    }
    const room = left - FRAME_HEADER;
    const n = len < room ? len : room;
    const last = n == len;
    const kind: u32 = first ? (last ? 1 : 2) : last ? 4 : 3;
    const at = batch + batchBytes;
    store<u8>(at, kind | flags);
    store<u16>(at, bswap<u16>(<u16>n), 1);
    store<u32>(at, bswap<u32>(crc32c(p, n)), 3);
    memory.copy(at + FRAME_HEADER, p, n);
    batchBytes += n + FRAME_HEADER;
    pageOffset += n + FRAME_HEADER;
    if (pageOffset == PAGE) pageOffset = 0;
    p += n;
    len -= n;
    first = false;
    if (last) return;
  } while (true);
}

// @ts-ignore: decorator
@inline export function putUvarint(p: usize, v: u64): usize {
  while (v >= 0x80) {
    store<u8>(p++, <u8>v | 0x80);
    v >>= 7;
  }
  store<u8>(p++, <u8>v);
  return p;
}

// @ts-ignore: decorator
@inline function putVarint(p: usize, v: i64): usize {
  return putUvarint(p, <u64>((v << 1) ^ (v >> 63)));
}

// @ts-ignore: decorator
@inline function putBe64(p: usize, v: u64): usize {
  store<u64>(p, bswap<u64>(v));
  return p + 8;
}

/** Begins a samples record; room for n samples must be reserved: 17 + 23 n bytes. */
export function samplesBegin(): void {
  seriesFrame();
  recordEnd = record + 1;
  store<u8>(record, 2);
}

// @ts-ignore: decorator
@inline export function samplesAdd(ref: u32, t: i64, v: u64): void {
  let p = recordEnd;
  if (p == record + 1) {
    baseRef = <i64>ref;
    baseTime = t;
    p = putBe64(p, <u64>ref);
    p = putBe64(p, <u64>t);
  }
  p = putVarint(p, <i64>ref - baseRef);
  p = putVarint(p, t - baseTime);
  recordEnd = putBe64(p, v);
}

/** Frames the samples record, if it holds any. */
export function samplesEnd(): void {
  if (recordEnd > record + 1) frame(record, <u32>(recordEnd - record), 0);
}

/** Adds the definition of a series, labels in canonical protobuf encoding. Room was made by seriesReserve. */
export function seriesRecord(ref: u32, labels: usize, len: u32): void {
  let p = definitions + definitionsBytes;
  if (definitionsBytes == 0) store<u8>(p++, 1);
  p = putBe64(p, <u64>ref);
  const end = labels + len;
  let count: u32 = 0;
  let q = labels;
  while (q < end) {
    q = skipLabel(q);
    count++;
  }
  p = putUvarint(p, count);
  q = labels;
  while (q < end) {
    // 0a <len> 0a <len> name 12 <len> value: both strings carry their length as a uvarint, just as the record wants.
    q++;
    while (load<u8>(q++) >= 0x80) {}
    for (let k = 0; k < 2; k++) {
      q++;
      let n: u32 = 0;
      let shift: u32 = 0;
      let b: u32;
      do {
        b = load<u8>(q++);
        store<u8>(p++, <u8>b);
        n |= (b & 0x7f) << shift;
        shift += 7;
      } while (b >= 0x80);
      memory.copy(p, q, n);
      p += n;
      q += n;
    }
  }
  definitionsBytes = <u32>(p - definitions);
}

function skipLabel(q: usize): usize {
  q++;
  let n: u32 = 0;
  let shift: u32 = 0;
  let b: u32;
  do {
    b = load<u8>(q++);
    n |= (b & 0x7f) << shift;
    shift += 7;
  } while (b >= 0x80);
  return q + n;
}
