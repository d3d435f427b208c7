// Windows of float samples: from raw samples to one aggregate chunk (Thanos' AggrChunk).
//
//   chunk   entries of count, sum, min, max, counter
//   entry   uvarint n | 1 | n bytes of an XOR chunk,  or 0 when the aggregate is absent
//
// The counter's chunk holds the first raw sample, a sample per window, and the last raw value at the last window's time.
//
// Work area: columns of f64 that follow one another at COLUMN bytes. The first holds times: that of the first raw
// sample, then those of the windows, then the last one again. The others hold the aggregates in the order of entries.

import { writeUvarint } from '../codec/varint';
import { xorDecode } from '../codec/xor';
import { xorEncode } from '../codec/xor-encode';

/** Bytes from column to column; no multiple of 4096, so that columns do not fall on the same cache lines. */
export const COLUMN: usize = 65544 * 8 + 192;
/** Most windows of a chunk: two more samples stand in the counter's, whose count has 16 bits. */
export const WINDOWS_MAX: u32 = 65000;

const XOR: u8 = 1;
const STALE: u64 = 0x7ff0000000000002;
const NAN: u64 = 0xfff8000000000000;
/** Room before an XOR chunk for its length and encoding. */
const ENTRY_HEAD: usize = 6;

/** End of the window that t lies in. */
// @ts-ignore: decorator
@inline
export function windowEnd(t: f64, resolution: i64): f64 {
  const time = <i64>t;
  return <f64>(time - (time % resolution) + resolution - 1);
}

/** Stores a number; a NaN that an operation made gets the bits it has on x86, whatever the machine. */
// @ts-ignore: decorator
@inline
export function storeNumber(p: usize, x: f64): void {
  if (x == x) store<f64>(p, x);
  else store<u64>(p, NAN);
}

/** Writes an entry of n samples and returns the address behind it. */
export function writeEntry(times: usize, values: usize, n: u32, dst: usize): usize {
  const chunk = dst + ENTRY_HEAD;
  const length = xorEncode(times, values, n, chunk);
  const p = writeUvarint(dst, length);
  store<u8>(p, XOR);
  memory.copy(p + 1, chunk, length);
  return p + 1 + length;
}

/**
 * Decodes an XOR chunk behind the `count` samples of two columns. Stale markers and samples whose time goes back are
 * left out, other NaNs are kept.
 * @returns the samples there are now, or a code of xorDecode
 */
export function downsampleExpand(chunk: usize, len: u32, times: usize, values: usize, count: u32): i32 {
  const n = xorDecode(chunk, len, times + (count << 3), values + (count << 3));
  if (n < 0) return n;
  let last = count == 0 ? -Infinity : load<f64>(times + (count << 3) - 8);
  let to = count << 3;
  const end = (count + n) << 3;
  for (let from = count << 3; from < end; from += 8) {
    const bits = load<u64>(values + from);
    const t = load<f64>(times + from);
    if (bits == STALE || t < last) continue;
    store<u64>(values + to, bits);
    store<f64>(times + to, t);
    last = t;
    to += 8;
  }
  return to >> 3;
}

/**
 * Makes one aggregate chunk of the samples from `from` on: `size` of them, and those that lie in the window of the last.
 * NaNs are left out.
 * @param total samples in the columns
 * @param out gets f64 time of the first window, f64 of the last, u32 index of the first sample left
 * @param dst 5 * (26 + 19 * 65538) bytes
 * @returns bytes of the chunk, 0 when all samples are NaNs
 */
export function downsampleFloats(
  times: usize,
  values: usize,
  from: u32,
  size: u32,
  total: u32,
  resolutionMs: f64,
  work: usize,
  out: usize,
  dst: usize,
): u32 {
  const resolution = <i64>resolutionMs;
  let to = min<u32>(total, from + size);
  const edgeOfLast = windowEnd(load<f64>(times + ((to - 1) << 3)), resolution);
  while (to < total && load<f64>(times + (to << 3)) <= edgeOfLast) to++;
  store<u32>(out, to, 16);
  let p: usize = from << 3;
  let end: usize = to << 3;
  while (p < end && load<f64>(values + p) != load<f64>(values + p)) p += 8;
  while (p < end && load<f64>(values + end - 8) != load<f64>(values + end - 8)) end -= 8;
  if (p == end) return 0;

  const timeLast = load<f64>(times + end - 8);
  let last = load<f64>(values + p);
  let counter = last;
  let isFirst = true;
  let n: u32 = 0;
  let edge: f64 = 0;
  store<f64>(work, load<f64>(times + p));
  store<f64>(work + 5 * COLUMN, last);
  while (p < end) {
    let v = load<f64>(values + p);
    if (v != v) {
      p += 8;
      continue;
    }
    if (n == WINDOWS_MAX) {
      store<u32>(out, <u32>(p >> 3), 16);
      break;
    }
    edge = min<f64>(windowEnd(load<f64>(times + p), resolution), timeLast);
    if (!isFirst) counter += select<f64>(v, v - last, v < last);
    isFirst = false;
    last = v;
    let sum = 0.0 + v;
    let samples: f64 = 1;
    // Infinities don't get below or above these: so it is in the blocks of others, too.
    let lowest = select<f64>(v, f64.MAX_VALUE, v < f64.MAX_VALUE);
    let highest = select<f64>(v, -f64.MAX_VALUE, v > -f64.MAX_VALUE);
    p += 8;
    while (p < end && load<f64>(times + p) <= edge) {
      v = load<f64>(values + p);
      p += 8;
      if (v != v) continue;
      counter += select<f64>(v, v - last, v < last);
      last = v;
      sum += v;
      samples += 1;
      lowest = select<f64>(v, lowest, v < lowest);
      highest = select<f64>(v, highest, v > highest);
    }
    const row = work + (n << 3);
    store<f64>(row, edge, 8);
    store<f64>(row + COLUMN, samples);
    storeNumber(row + 2 * COLUMN, sum);
    store<f64>(row + 3 * COLUMN, lowest);
    store<f64>(row + 4 * COLUMN, highest);
    storeNumber(row + 5 * COLUMN + 8, counter);
    n++;
  }
  const anchor = work + ((n + 1) << 3);
  store<f64>(anchor, edge);
  store<f64>(anchor + 5 * COLUMN, last);
  store<f64>(out, load<f64>(work, 8));
  store<f64>(out, edge, 8);
  let q = dst;
  for (let k: usize = 1; k < 5; k++) q = writeEntry(work + 8, work + k * COLUMN, n, q);
  return <u32>(writeEntry(work, work + 5 * COLUMN, n + 2, q) - dst);
}
