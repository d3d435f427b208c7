// Merges XOR chunks of one series whose times overlap: decodes them, drops deleted spans, merges by time, encodes anew.
//
// The host lays out, per chunk and by ascending first time, a record of 40 bytes:
//    0 u32 address of the payload    4 u32 its length
//    8 f64 first time               16 f64 last time, as the index says: samples must lie between them
//   24 u32 rank: of equal times the sample of the lowest rank stays
//   28 u32 address of deleted spans 32 u32 how many, each f64 from, f64 to, both inclusive
//
// Chunks come sorted, so each meets only the end of what was merged before it: a cluster of n samples costs n steps
// times the depth of the overlap, not times the number of chunks.

import { xorDecode } from '../codec/xor';
import { xorEncode } from '../codec/xor-encode';

const RECORD_BYTES: usize = 40;
const PIECE_BYTES: usize = 24;

const UNORDERED: i32 = -3;
const OUTSIDE: i32 = -4;

let times: usize = 0;
let values: usize = 0;
let ranks: usize = 0;
let spareTimes: usize = 0;
let spareValues: usize = 0;
let spareRanks: usize = 0;
let failed: u32 = 0;

/** Number of the chunk at which the last `mergeChunks` failed. */
export function mergeFailedChunk(): u32 {
  return failed;
}

/**
 * Decodes and merges chunks into columns.
 * @param columns 40 bytes for each of `capacity` samples, 8-byte aligned
 * @param capacity at least the sum of the sample counts that the chunks declare
 * @returns the sample count, or what `xorDecode` returns for a bad chunk, or -3 when its times do not ascend, or -4
 *          when they leave the bounds of its record
 */
export function mergeChunks(records: usize, chunkCount: u32, columns: usize, capacity: u32): i32 {
  const bytes = (<usize>capacity) << 3;
  times = columns;
  values = times + bytes;
  spareTimes = values + bytes;
  spareValues = spareTimes + bytes;
  ranks = spareValues + bytes;
  spareRanks = ranks + (bytes >> 1);
  let count: u32 = 0;
  for (let c: u32 = 0; c < chunkCount; c++) {
    const record = records + <usize>c * RECORD_BYTES;
    const added = loadChunk(record, count);
    if (added < 0) {
      failed = c;
      return added;
    }
    if (added == 0) continue;
    const isBehind = count == 0 || timeAt(count) > timeAt(count - 1);
    count = isBehind ? count + <u32>added : mergeEnd(count, count + <u32>added);
  }
  return <i32>count;
}

/**
 * Encodes the merged samples in chunks of `perChunk`, the last one with what is left.
 * @param pieces out, per chunk: f64 first time, f64 last time, u32 address, u32 length
 * @param out 28 bytes per chunk and 19 per sample
 * @returns the number of chunks
 */
export function mergeEncode(count: u32, perChunk: u32, pieces: usize, out: usize): u32 {
  let n: u32 = 0;
  for (let from: u32 = 0; from < count; from += perChunk) {
    const size = min<u32>(perChunk, count - from);
    const at = (<usize>from) << 3;
    const length = xorEncode(times + at, values + at, size, out);
    const piece = pieces + <usize>n * PIECE_BYTES;
    store<f64>(piece, timeAt(from));
    store<f64>(piece, timeAt(from + size - 1), 8);
    store<u32>(piece, <u32>out, 16);
    store<u32>(piece, length, 20);
    out = (out + length + 7) & ~7;
    n++;
  }
  return n;
}

// @ts-ignore: decorator
@inline
function timeAt(i: u32): f64 {
  return load<f64>(times + ((<usize>i) << 3));
}

/** Decodes a chunk behind the samples there are, without its deleted spans. */
function loadChunk(record: usize, at: u32): i32 {
  const first = times + ((<usize>at) << 3);
  const firstValue = values + ((<usize>at) << 3);
  const decoded = xorDecode(load<u32>(record), load<u32>(record, 4), first, firstValue);
  if (decoded <= 0) return decoded;
  const end = first + ((<usize>decoded) << 3);
  for (let p = first + 8; p < end; p += 8) if (!(load<f64>(p) > load<f64>(p - 8))) return UNORDERED;
  if (load<f64>(first) < load<f64>(record, 8) || load<f64>(end - 8) > load<f64>(record, 16)) return OUTSIDE;
  const spanCount = load<u32>(record, 32);
  const kept = spanCount == 0 ? <u32>decoded : cut(first, firstValue, <u32>decoded, load<u32>(record, 28), spanCount);
  const rank = load<u32>(record, 24);
  const rankEnd = ranks + ((<usize>(at + kept)) << 2);
  for (let p = ranks + ((<usize>at) << 2); p < rankEnd; p += 4) store<u32>(p, rank);
  return <i32>kept;
}

/** Moves the samples outside all spans to the front. */
function cut(first: usize, firstValue: usize, count: u32, spans: usize, spanCount: u32): u32 {
  const spansEnd = spans + ((<usize>spanCount) << 4);
  let kept: usize = 0;
  for (let i: usize = 0; i < (<usize>count) << 3; i += 8) {
    const time = load<f64>(first + i);
    // Spans are sorted and apart: those that end before this sample end before the next one, too.
    while (spans < spansEnd && load<f64>(spans, 8) < time) spans += 16;
    if (spans < spansEnd && load<f64>(spans) <= time) continue;
    store<f64>(first + kept, time);
    store<u64>(firstValue + kept, load<u64>(firstValue + i));
    kept += 8;
  }
  return <u32>(kept >> 3);
}

/** Merges the samples [mid, end) into those before them; returns the count without the repeated ones. */
function mergeEnd(mid: u32, end: u32): u32 {
  const begin = firstNotBefore(timeAt(mid), mid);
  let i = begin;
  let j = mid;
  let n: usize = 0;
  while (i < mid || j < end) {
    let source: u32;
    if (j >= end) source = i++;
    else if (i >= mid) source = j++;
    else {
      const a = timeAt(i);
      const b = timeAt(j);
      if (a < b) source = i++;
      else if (b < a) source = j++;
      else {
        source = load<u32>(ranks + ((<usize>j) << 2)) < load<u32>(ranks + ((<usize>i) << 2)) ? j : i;
        i++;
        j++;
      }
    }
    store<f64>(spareTimes + (n << 3), timeAt(source));
    store<u64>(spareValues + (n << 3), load<u64>(values + ((<usize>source) << 3)));
    store<u32>(spareRanks + (n << 2), load<u32>(ranks + ((<usize>source) << 2)));
    n++;
  }
  const at = (<usize>begin) << 3;
  memory.copy(times + at, spareTimes, n << 3);
  memory.copy(values + at, spareValues, n << 3);
  memory.copy(ranks + (at >> 1), spareRanks, n << 2);
  return begin + <u32>n;
}

/** The first of the sorted samples [0, end) that is not before a time. */
function firstNotBefore(time: f64, end: u32): u32 {
  let low: u32 = 0;
  let high = end;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (timeAt(middle) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
