// From the entries of aggregate chunks to XOR chunks that any query can read.

import { xorDecode } from '../codec/xor';
import { xorEncode } from '../codec/xor-encode';
import { storeNumber } from './windows';

const STALE: u64 = 0x7ff0000000000002;
/** What additions may have rounded off, as a share of the result. */
const ROUNDING: f64 = 1e-9;

// @ts-ignore: decorator
@inline
function finish(times: usize, values: usize, n: u32, out: usize, dst: usize): i32 {
  if (n == 0) return 0;
  store<f64>(out, load<f64>(times));
  store<f64>(out, load<f64>(times + (n << 3) - 8), 8);
  return <i32>xorEncode(times, values, n, dst);
}

/**
 * Sum by count, window by window; windows that only one of them has are left out.
 * @param columns four of `capacity` samples each
 * @param out gets f64 time of the first and of the last sample
 * @returns bytes of the chunk, 0 when it has no samples, or a code of xorDecode
 */
export function plainAverage(
  counts: usize,
  countsLength: u32,
  sums: usize,
  sumsLength: u32,
  columns: usize,
  capacity: u32,
  out: usize,
  dst: usize,
): i32 {
  const size = capacity << 3;
  const countTimes = columns;
  const countValues = columns + size;
  const sumTimes = columns + 2 * size;
  const sumValues = columns + 3 * size;
  const n = xorDecode(counts, countsLength, countTimes, countValues);
  if (n < 0) return n;
  const m = xorDecode(sums, sumsLength, sumTimes, sumValues);
  if (m < 0) return m;
  let j: u32 = 0;
  let to: u32 = 0;
  for (let i: u32 = 0; i < <u32>n; i++) {
    const t = load<f64>(countTimes + (i << 3));
    while (j < <u32>m && load<f64>(sumTimes + (j << 3)) < t) j++;
    if (j == m) break;
    if (load<f64>(sumTimes + (j << 3)) != t) continue;
    store<f64>(countTimes + (to << 3), t);
    storeNumber(
      countValues + (to << 3),
      load<f64>(sumValues + (j << 3)) / load<f64>(countValues + (i << 3)),
    );
    to++;
  }
  return finish(countTimes, countValues, to, out, dst);
}

/** Raw samples as counts: 1 for each, stale markers as they are. Columns, out and result as for `plainAverage`. */
export function plainOnes(
  chunk: usize,
  length: u32,
  columns: usize,
  capacity: u32,
  out: usize,
  dst: usize,
): i32 {
  const values = columns + (capacity << 3);
  const n = xorDecode(chunk, length, columns, values);
  if (n < 0) return n;
  for (let p = values; p < values + (n << 3); p += 8) if (load<u64>(p) != STALE) store<f64>(p, 1);
  return finish(columns, values, n, out, dst);
}

/**
 * The counter of an aggregate chunk as a plain counter: one whose resets show as falls, and that begins and ends with
 * true values, so that what comes before and after, raw or not, goes on from it.
 *
 * Inside the chunk the counter was corrected for resets by adding up; `missing` is what it is too high by at the end:
 * all that was counted before the last reset. That reset lies in the window where the counter passes this number. From
 * there on it is subtracted; the rise up to it and the fall are shown inside the window, a third of it apart, unless
 * the samples show them anyway.
 *
 * Columns: two of `capacity` samples to decode to, two of `capacity + 2` for the result; out and result as for
 * `plainAverage`.
 */
export function plainCounter(
  chunk: usize,
  length: u32,
  columns: usize,
  capacity: u32,
  out: usize,
  dst: usize,
): i32 {
  const times = columns;
  const values = columns + (capacity << 3);
  const toTimes = columns + (capacity << 4);
  const toValues = toTimes + ((capacity + 2) << 3);
  const n = xorDecode(chunk, length, times, values);
  if (n < 0) return n;
  let count: u32 = 0;
  let anchor: f64 = NaN;
  for (let p: u32 = 0; p < <u32>n << 3; p += 8) {
    const v = load<f64>(values + p);
    const t = load<f64>(times + p);
    if (v != v) continue;
    anchor = v;
    if (count > 0 && t <= load<f64>(times + (count << 3) - 8)) continue;
    store<f64>(times + (count << 3), t);
    store<f64>(values + (count << 3), v);
    count++;
  }
  if (count == 0) return 0;
  const first = load<f64>(values);
  const end = load<f64>(values + (count << 3) - 8);
  const slack = abs<f64>(end) * ROUNDING;
  let missing = end - anchor;
  // What is below zero, or not finite, is no counter: it stays as it was added up.
  const isCounter = first >= 0 && anchor >= 0 && missing >= -slack && end < Infinity;
  const isReset = isCounter && missing > slack && missing >= first - slack;
  const isSmooth = isCounter && missing <= slack;
  let reset: u32 = count;
  if (isReset) {
    reset = 1;
    while (reset < count - 1 && load<f64>(values + (reset << 3)) < missing) reset++;
  }
  let to: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const t = load<f64>(times + (i << 3));
    let v = load<f64>(values + (i << 3));
    if (i == reset) {
      const before = load<f64>(times + (i << 3) - 8);
      const reached = load<f64>(values + (i << 3) - 8);
      missing = max<f64>(missing, reached);
      const third = floor<f64>((t - before) / 3);
      if (third > 0) {
        if (missing > reached) {
          store<f64>(toTimes + (to << 3), before + third);
          store<f64>(toValues + (to << 3), missing);
          to++;
        }
        if (v - missing >= missing) {
          store<f64>(toTimes + (to << 3), t - third);
          store<f64>(toValues + (to << 3), 0);
          to++;
        }
      }
    }
    if (i >= reset) v = max<f64>(0, v - missing);
    // Sums are rounded: above the last true value they would look like a reset behind it.
    if (isSmooth || i >= reset) v = i == count - 1 ? anchor : min<f64>(v, anchor);
    store<f64>(toTimes + (to << 3), t);
    store<f64>(toValues + (to << 3), v);
    to++;
  }
  return finish(toTimes, toValues, to, out, dst);
}
