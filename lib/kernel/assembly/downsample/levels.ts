// From aggregate chunks to one aggregate chunk of wider windows. The layout is in windows.ts.

import { readUvarint, varintEnd } from '../codec/varint';
import { xorDecode } from '../codec/xor';
import { COLUMN, downsampleExpand, storeNumber, WINDOWS_MAX, windowEnd, writeEntry } from './windows';

/** Bytes of a row of entries: address, length and encoding of each, u32, and the most samples that one claims. */
const ROW: u32 = 64;
const ENTRY: u32 = 12;
const CLAIMED: usize = 60;
const COUNTER: u32 = 4;

/**
 * Finds the entries of an aggregate chunk.
 * @param row 64 bytes: see ROW; an absent entry has length 0
 * @returns samples of the count, or -1 when the chunk is no such chunk
 */
export function downsampleEntries(chunk: usize, len: u32, row: usize): i32 {
  const end = chunk + len;
  let p = chunk;
  let claimed: u32 = 0;
  let counted: u32 = 0;
  for (let i: u32 = 0; i <= COUNTER; i++) {
    const entry = row + i * ENTRY;
    const n = readUvarint(p, end);
    p = varintEnd();
    if (p == 0) return -1;
    store<u64>(entry, 0);
    store<u32>(entry, 0, 8);
    if (n == 0) continue;
    // The encoding is not part of the length. A sample takes two bits at least.
    if (n < 2 || n >= <u64>(end - p)) return -1;
    const samples = <u32>bswap<u16>(load<u16>(p + 1));
    if (samples > (<u32>n << 2)) return -1;
    store<u32>(entry, <u32>p + 1);
    store<u32>(entry, <u32>n, 4);
    store<u32>(entry, <u32>load<u8>(p), 8);
    if (i == 0) counted = samples;
    claimed = max<u32>(claimed, samples);
    p += 1 + <usize>n;
  }
  store<u32>(row, claimed, CLAIMED);
  return p == end ? <i32>counted : -1;
}

/** Decodes an aggregate of all chunks into the columns; returns the samples or a negative code. */
function expandAll(table: usize, chunkCount: u32, aggregate: u32, times: usize, values: usize): i32 {
  let count: i32 = 0;
  for (let i: u32 = 0; i < chunkCount; i++) {
    const entry = table + i * ROW + aggregate * ENTRY;
    const length = load<u32>(entry, 4);
    if (length == 0) continue;
    if (load<u32>(entry, 8) != 1) return -3;
    count = downsampleExpand(load<u32>(entry), length, times, values, count);
    if (count < 0) return count;
  }
  return count;
}

/**
 * The counter of all chunks as one series that only rises: a sample at the time of the one before says what the raw
 * value was there, and the next chunk goes on from that. Writes the totals over the columns.
 */
function expandCounters(table: usize, chunkCount: u32, times: usize, values: usize): i32 {
  let count: u32 = 0;
  let lastT: f64 = -Infinity;
  lastRaw = 0;
  let total: f64 = 0;
  for (let i: u32 = 0; i < chunkCount; i++) {
    const entry = table + i * ROW + COUNTER * ENTRY;
    const length = load<u32>(entry, 4);
    if (length == 0) continue;
    if (load<u32>(entry, 8) != 1) return -3;
    const n = xorDecode(load<u32>(entry), length, times + (count << 3), values + (count << 3));
    if (n < 0) return n;
    const end = (count + n) << 3;
    for (let p = count << 3; p < end; p += 8) {
      const t = load<f64>(times + p);
      const v = load<f64>(values + p);
      if (v != v) continue;
      if (t > lastT) {
        if (count == 0) total = v;
        else total += select<f64>(v - lastRaw, v, v >= lastRaw);
        store<f64>(times + (count << 3), t);
        storeNumber(values + (count << 3), total);
        count++;
        lastT = t;
        lastRaw = v;
      } else if (t == lastT) lastRaw = v;
    }
  }
  return count;
}

/** Raw value behind the last sample that `expandCounters` wrote. */
let lastRaw: f64 = 0;

/** Windows of one aggregate, from the columns to the work area; returns how many, or -4 when they are too many. */
function roll(
  aggregate: u32,
  count: u32,
  times: usize,
  values: usize,
  resolution: i64,
  work: usize,
): i32 {
  const timeLast = load<f64>(times + (count << 3) - 8);
  const column = work + (<usize>aggregate + 1) * COLUMN + (aggregate == COUNTER ? 8 : 0);
  let last = load<f64>(values);
  let counter = last;
  let isFirst = true;
  let n: u32 = 0;
  let p: usize = 0;
  const end: usize = count << 3;
  while (p < end) {
    if (n == WINDOWS_MAX) return -4;
    const edge = min<f64>(windowEnd(load<f64>(times + p), resolution), timeLast);
    let sum: f64 = 0;
    let lowest = f64.MAX_VALUE;
    let highest = -f64.MAX_VALUE;
    do {
      const v = load<f64>(values + p);
      if (!isFirst) counter += select<f64>(v, v - last, v < last);
      isFirst = false;
      last = v;
      sum += v;
      lowest = select<f64>(v, lowest, v < lowest);
      highest = select<f64>(v, highest, v > highest);
      p += 8;
    } while (p < end && load<f64>(times + p) <= edge);
    const row = column + (n << 3);
    if (aggregate < 2) storeNumber(row, sum);
    else storeNumber(row, aggregate == 2 ? lowest : aggregate == 3 ? highest : counter);
    store<f64>(work + (n << 3), edge, 8);
    n++;
  }
  return n;
}

/**
 * Makes one aggregate chunk of several, of floats.
 * @param table a row of `downsampleEntries` for each
 * @param times, values columns for all samples that the rows claim
 * @param out gets f64 time of the first window, f64 of the last
 * @returns bytes of the chunk, or a code: -1 and -2 of xorDecode, -3 an entry is no XOR chunk, -4 too many windows
 */
export function downsampleLevel(
  table: usize,
  chunkCount: u32,
  resolutionMs: f64,
  times: usize,
  values: usize,
  work: usize,
  out: usize,
  dst: usize,
): i32 {
  const resolution = <i64>resolutionMs;
  let minTime: f64 = Infinity;
  let maxTime: f64 = -Infinity;
  let q = dst;
  for (let aggregate: u32 = 0; aggregate <= COUNTER; aggregate++) {
    const isCounter = aggregate == COUNTER;
    const count = isCounter
      ? expandCounters(table, chunkCount, times, values)
      : expandAll(table, chunkCount, aggregate, times, values);
    if (count < 0) return count;
    if (count == 0) {
      store<u8>(q++, 0);
      continue;
    }
    const n = roll(aggregate, count, times, values, resolution, work);
    if (n < 0) return n;
    const edge = load<f64>(work + (n << 3));
    minTime = min<f64>(minTime, load<f64>(work, 8));
    maxTime = max<f64>(maxTime, edge);
    const column = work + (<usize>aggregate + 1) * COLUMN;
    if (isCounter) {
      store<f64>(work, load<f64>(times));
      store<u64>(column, load<u64>(values));
      store<f64>(work + ((n + 1) << 3), edge);
      store<f64>(column + ((n + 1) << 3), lastRaw);
      q = writeEntry(work, column, n + 2, q);
    } else q = writeEntry(work + 8, column, n, q);
  }
  store<f64>(out, minTime);
  store<f64>(out, maxTime, 8);
  return <i32>(q - dst);
}
