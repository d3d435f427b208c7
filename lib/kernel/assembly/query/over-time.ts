// *_over_time: one value per window. Sums are compensated (Neumaier) and added in sample order over each window, because
// the order of additions is part of the answer; counts and extremes do not depend on it.

import {
  emit, fromOf, isInfinite, positions, sampleCount, spareTimes, stepCount, timeAt, toOf, valueAt, values,
} from './columns';
import { errorOf } from './lanes';
import { queryQuantile } from './sort';

export function countRow(row: usize, present: usize): void {
  for (let k: u32 = 0; k < stepCount; k++) {
    const n = toOf(k) - fromOf(k);
    if (n > 0) emit(row, present, k, <f64>n);
  }
}

export function presentRow(row: usize, present: usize): void {
  for (let k: u32 = 0; k < stepCount; k++) if (toOf(k) > fromOf(k)) emit(row, present, k, 1);
}

/** first_over_time and last_over_time, or the times of those samples in seconds. */
export function edgeRow(wantLast: bool, wantTime: bool, row: usize, present: usize): void {
  for (let k: u32 = 0; k < stepCount; k++) {
    const from = fromOf(k);
    const to = toOf(k);
    if (to <= from) continue;
    const i = wantLast ? to - 1 : from;
    emit(row, present, k, wantTime ? timeAt(i) / 1000 : valueAt(i));
  }
}

// Windows shorter than this are not worth being summed side by side.
const SIDE_BY_SIDE_MIN: u32 = 4;

export function sumRow(row: usize, present: usize): void {
  sumsRow(false, row, present);
}

export function avgRow(row: usize, present: usize): void {
  sumsRow(true, row, present);
}

function sumsRow(wantMean: bool, row: usize, present: usize): void {
  let k: u32 = 0;
  const isNarrow = areNarrow();
  while (k < stepCount) {
    let end = k + 1;
    if (areAlike(k)) {
      end = k + 4;
      if (sumFour(wantMean, isNarrow, k, row, present)) k = end;
    }
    for (; k < end; k++) {
      const from = fromOf(k);
      const to = toOf(k);
      if (to > from) emit(row, present, k, wantMean ? meanOf(from, to) : sumOf(from, to));
    }
  }
}

/** Whether the windows of four steps hold the same number of samples, and not too few. */
@inline
function areAlike(k: u32): bool {
  if (k + 4 > stepCount) return false;
  const n = toOf(k) - fromOf(k);
  return n >= SIDE_BY_SIDE_MIN && toOf(k + 1) - fromOf(k + 1) == n && toOf(k + 2) - fromOf(k + 2) == n &&
    toOf(k + 3) - fromOf(k + 3) == n;
}

@inline
function valuesOf(a: usize, b: usize): v128 {
  return v128.load64_lane(b, v128.load64_zero(a), 1);
}

/** Whether all samples are above zero and none is larger than two others together. */
function areNarrow(): bool {
  const n = sampleCount;
  if (n == 0) return false;
  let least = v128.load64_splat(values);
  let most = least;
  let i: u32 = 0;
  for (; i + 2 <= n; i += 2) {
    const x = v128.load(values + ((<usize>i) << 3));
    least = f64x2.pmin(x, least);
    most = f64x2.pmax(x, most);
  }
  let low = min(f64x2.extract_lane(least, 0), f64x2.extract_lane(least, 1));
  let high = max(f64x2.extract_lane(most, 0), f64x2.extract_lane(most, 1));
  if (i < n) {
    low = min(low, valueAt(i));
    high = max(high, valueAt(i));
  }
  return low > 0 && high <= 2 * low;
}

@inline
function areFinite(s: v128, c: v128): bool {
  const difference = v128.or(f64x2.sub(s, s), f64x2.sub(c, c));
  return i64x2.all_true(i64x2.eq(difference, i64x2.splat(0)));
}

/**
 * Sums or means of four windows of equal length, one lane each: every window is added up in its own order, as `sumOf`
 * and `meanOf` do, but none waits for the additions of the others. False, with nothing written, when a sum overflows.
 */
function sumFour(wantMean: bool, isNarrow: bool, k: u32, row: usize, present: usize): bool {
  const bytes = (<usize>(toOf(k) - fromOf(k))) << 3;
  let a = values + ((<usize>fromOf(k)) << 3);
  let b = values + ((<usize>fromOf(k + 1)) << 3);
  let c = values + ((<usize>fromOf(k + 2)) << 3);
  let d = values + ((<usize>fromOf(k + 3)) << 3);
  const end = a + bytes;
  let s1 = f64x2.splat(0);
  let s2 = f64x2.splat(0);
  if (wantMean) {
    s1 = valuesOf(a, b);
    s2 = valuesOf(c, d);
    a += 8;
    b += 8;
    c += 8;
    d += 8;
  }
  let c1 = f64x2.splat(0);
  let c2 = f64x2.splat(0);
  const areNeighbours = b == a + 8 && c == b + 8 && d == c + 8;
  if (areNeighbours && isNarrow) {
    if (!wantMean) {
      s1 = v128.load(a);
      s2 = v128.load(a, 16);
      a += 8;
    }
    // Two values together are not below any other; only the first addition does not know which operand is larger.
    let x1 = v128.load(a);
    let x2 = v128.load(a, 16);
    let t1 = f64x2.add(s1, x1);
    let t2 = f64x2.add(s2, x2);
    c1 = errorOf(s1, x1, t1);
    c2 = errorOf(s2, x2, t2);
    s1 = t1;
    s2 = t2;
    for (a += 8; a < end; a += 8) {
      x1 = v128.load(a);
      x2 = v128.load(a, 16);
      t1 = f64x2.add(s1, x1);
      t2 = f64x2.add(s2, x2);
      c1 = f64x2.add(c1, f64x2.sub(x1, f64x2.sub(t1, s1)));
      c2 = f64x2.add(c2, f64x2.sub(x2, f64x2.sub(t2, s2)));
      s1 = t1;
      s2 = t2;
    }
  } else if (areNeighbours) {
    for (; a < end; a += 8) {
      const x1 = v128.load(a);
      const x2 = v128.load(a, 16);
      const t1 = f64x2.add(s1, x1);
      const t2 = f64x2.add(s2, x2);
      c1 = f64x2.add(c1, errorOf(s1, x1, t1));
      c2 = f64x2.add(c2, errorOf(s2, x2, t2));
      s1 = t1;
      s2 = t2;
    }
  } else {
    while (a < end) {
      const x1 = valuesOf(a, b);
      const x2 = valuesOf(c, d);
      const t1 = f64x2.add(s1, x1);
      const t2 = f64x2.add(s2, x2);
      c1 = f64x2.add(c1, errorOf(s1, x1, t1));
      c2 = f64x2.add(c2, errorOf(s2, x2, t2));
      s1 = t1;
      s2 = t2;
      a += 8;
      b += 8;
      c += 8;
      d += 8;
    }
  }
  // Overflow anywhere, of a sum or of its error, stays to the end.
  if (!areFinite(s1, c1) || !areFinite(s2, c2)) return false;
  if (wantMean) {
    const n = f64x2.splat(<f64>(bytes >> 3));
    s1 = f64x2.div(s1, n);
    s2 = f64x2.div(s2, n);
    c1 = f64x2.div(c1, n);
    c2 = f64x2.div(c2, n);
  }
  s1 = f64x2.add(s1, c1);
  s2 = f64x2.add(s2, c2);
  emit(row, present, k, f64x2.extract_lane(s1, 0));
  emit(row, present, k + 1, f64x2.extract_lane(s1, 1));
  emit(row, present, k + 2, f64x2.extract_lane(s2, 0));
  emit(row, present, k + 3, f64x2.extract_lane(s2, 1));
  return true;
}

function sumOf(from: u32, to: u32): f64 {
  let s: f64 = 0;
  let c: f64 = 0;
  for (let i = from; i < to; i++) {
    const x = valueAt(i);
    const t = s + x;
    if (isInfinite(t)) c = 0;
    else if (Math.abs(s) >= Math.abs(x)) c += (s - t) + x;
    else c += (x - t) + s;
    s = t;
  }
  return isInfinite(s) ? s : s + c;
}

function meanOf(from: u32, to: u32): f64 {
  let s = valueAt(from);
  let c: f64 = 0;
  let n: f64 = 1;
  let i = from + 1;
  for (; i < to; i++) {
    const x = valueAt(i);
    const t = s + x;
    // The sum would overflow: go on with a running mean from here.
    if (isInfinite(t)) break;
    if (Math.abs(s) >= Math.abs(x)) c += (s - t) + x;
    else c += (x - t) + s;
    s = t;
    n += 1;
  }
  if (i == to) return s / n + c / n;
  s /= n;
  c /= n;
  for (; i < to; i++) {
    n += 1;
    const q = (n - 1) / n;
    const x = valueAt(i) / n;
    s *= q;
    c *= q;
    const t = s + x;
    if (isInfinite(t)) c = 0;
    else if (Math.abs(s) >= Math.abs(x)) c += (s - t) + x;
    else c += (x - t) + s;
    s = t;
  }
  return s + c;
}

/** Whether `candidate` takes the place of `best`: strictly better (`orEqual`: not worse), or best is NaN. */
@inline
function replaces(candidate: f64, best: f64, wantMax: bool, orEqual: bool): bool {
  if (isNaN(best)) return true;
  if (orEqual) return wantMax ? candidate >= best : candidate <= best;
  return wantMax ? candidate > best : candidate < best;
}

// Windows longer than this go through the deque instead of being scanned.
const SCAN_MAX: u32 = 12;

// Runs of at most 2^RUN_LOG_MAX samples have their extreme noted; windows longer than WINDOW_RUNS_MAX of them go through
// the deque.
const RUN_LOG_MAX: u32 = 6;
const WINDOW_RUNS_MAX: u32 = 16;

/** min and max; of equal values the first stays, which shows with zeros only. */
export function extremeValueRow(wantMax: bool, row: usize, present: usize): void {
  const runs = spareTimes;
  // Windows are about as long as the one in the middle.
  const middle = stepCount >> 1;
  const length = toOf(middle) - fromOf(middle);
  const log = min<u32>(length < 2 ? 0 : 31 - <u32>clz<u32>(length), RUN_LOG_MAX);
  const run: u32 = 1 << log;
  if (log == 0 || length > run * WINDOW_RUNS_MAX) {
    extremeRow(wantMax, false, row, present);
    return;
  }
  noteRuns(wantMax, log, runs);
  for (let k: u32 = 0; k < stepCount; k++) {
    const from = fromOf(k);
    const to = toOf(k);
    if (to <= from) continue;
    if (to - from < run) {
      emit(row, present, k, extremeOf(wantMax, values, from, to, 1));
      continue;
    }
    const last = to - run;
    let best = load<f64>(runs + ((<usize>from) << 3));
    if (to - from > 2 * run) best = extremeOf(wantMax, runs, from, last, run);
    const end = load<f64>(runs + ((<usize>last) << 3));
    emit(row, present, k, replaces(end, best, wantMax, false) ? end : best);
  }
}

/** The extreme of every step-th value of [from, to), which is not empty. */
function extremeOf(wantMax: bool, base: usize, from: u32, to: u32, step: u32): f64 {
  let best = load<f64>(base + ((<usize>from) << 3));
  for (let i = from + step; i < to; i += step) {
    const value = load<f64>(base + ((<usize>i) << 3));
    if (replaces(value, best, wantMax, false)) best = value;
  }
  return best;
}

/** Writes to runs[i] the extreme of the 2^log samples from i on, log above 0; entries whose run is cut off mean nothing. */
function noteRuns(wantMax: bool, log: u32, runs: usize): void {
  const bytes = (<usize>sampleCount) << 3;
  let source = values;
  for (let level: u32 = 0; level < log; level++) {
    // In place from the second level on: what is read lies at or behind what is written. Other columns follow, so
    // reading beyond the last sample is harmless.
    const distance: usize = (<usize>8) << level;
    for (let at: usize = 0; at < bytes; at += 16) {
      const first = v128.load(source + at);
      const second = v128.load(source + at + distance);
      const isBetter = wantMax ? f64x2.gt(second, first) : f64x2.lt(second, first);
      v128.store(runs + at, v128.bitselect(second, first, v128.or(isBetter, f64x2.ne(first, first))));
    }
    source = runs;
  }
}

/**
 * min, max and the times of their last occurrence. Short windows are scanned; long ones share work through a deque of
 * candidate positions (each better than all after it), which makes the whole row O(samples + steps).
 */
export function extremeRow(wantMax: bool, wantTime: bool, row: usize, present: usize): void {
  let head: u32 = 0;
  let tail: u32 = 0;
  let taken: u32 = 0;
  for (let k: u32 = 0; k < stepCount; k++) {
    const from = fromOf(k);
    const to = toOf(k);
    if (to <= from) continue;
    if (to - from <= SCAN_MAX) {
      let best = valueAt(from);
      let bestAt = from;
      for (let i = from + 1; i < to; i++) {
        const value = valueAt(i);
        // The comparison is true for NaN on either side; only a NaN that is the best so far gives way to a number.
        if (wantTime) {
          if (replaces(value, best, wantMax, true)) {
            best = value;
            bestAt = i;
          }
        } else if (!(wantMax ? value <= best : value >= best) && !(isNaN(value) && !isNaN(best))) best = value;
      }
      emit(row, present, k, wantTime ? timeAt(bestAt) / 1000 : best);
      continue;
    }
    if (taken < from) {
      taken = from;
      head = tail;
    }
    // Positions in the deque: a candidate leaves when a later one is not worse (for times) or strictly better. NaN never
    // beats a number, and stays only while nothing else is in the window.
    for (; taken < to; taken++) {
      const value = valueAt(taken);
      while (tail > head) {
        const back = valueAt(load<u32>(positions + ((<usize>(tail - 1)) << 2)));
        if (!replaces(value, back, wantMax, wantTime)) break;
        tail--;
      }
      store<u32>(positions + ((<usize>tail) << 2), taken);
      tail++;
    }
    while (load<u32>(positions + ((<usize>head) << 2)) < from) head++;
    const best = load<u32>(positions + ((<usize>head) << 2));
    emit(row, present, k, wantTime ? timeAt(best) / 1000 : valueAt(best));
  }
}

/** stddev_over_time and stdvar_over_time: Welford with compensated mean and sum of squares. */
export function deviationRow(wantRoot: bool, row: usize, present: usize): void {
  for (let k: u32 = 0; k < stepCount; k++) {
    const from = fromOf(k);
    const to = toOf(k);
    if (to <= from) continue;
    let n: f64 = 0;
    let mean: f64 = 0;
    let meanC: f64 = 0;
    let aux: f64 = 0;
    let auxC: f64 = 0;
    for (let i = from; i < to; i++) {
      n += 1;
      const value = valueAt(i);
      const delta = value - (mean + meanC);
      const x = delta / n;
      const t = mean + x;
      if (isInfinite(t)) meanC = 0;
      else if (Math.abs(mean) >= Math.abs(x)) meanC += (mean - t) + x;
      else meanC += (x - t) + mean;
      mean = t;
      const y = delta * (value - (mean + meanC));
      const u = aux + y;
      if (isInfinite(u)) auxC = 0;
      else if (Math.abs(aux) >= Math.abs(y)) auxC += (aux - u) + y;
      else auxC += (y - u) + aux;
      aux = u;
    }
    const variance = (aux + auxC) / n;
    emit(row, present, k, wantRoot ? Math.sqrt(variance) : variance);
  }
}

/** quantile_over_time; `quantiles` holds q of each step. `work` has room for the longest window. */
export function quantileRow(quantiles: usize, work: usize, row: usize, present: usize): void {
  for (let k: u32 = 0; k < stepCount; k++) {
    const from = fromOf(k);
    const to = toOf(k);
    if (to <= from) continue;
    const n = to - from;
    for (let i: u32 = 0; i < n; i++) store<f64>(work + ((<usize>i) << 3), valueAt(from + i));
    emit(row, present, k, queryQuantile(work, n, load<f64>(quantiles + ((<usize>k) << 3))));
  }
}

/** mad_over_time: median of the distances from the median; NaN when any value is. */
export function medianDeviationRow(work: usize, row: usize, present: usize): void {
  for (let k: u32 = 0; k < stepCount; k++) {
    const from = fromOf(k);
    const to = toOf(k);
    if (to <= from) continue;
    const n = to - from;
    for (let i: u32 = 0; i < n; i++) store<f64>(work + ((<usize>i) << 3), valueAt(from + i));
    let hasNaN = false;
    for (let i: u32 = 0; i < n; i++) if (isNaN(load<f64>(work + ((<usize>i) << 3)))) hasNaN = true;
    if (hasNaN) {
      emit(row, present, k, NaN);
      continue;
    }
    const median = queryQuantile(work, n, 0.5);
    for (let i: u32 = 0; i < n; i++) store<f64>(work + ((<usize>i) << 3), Math.abs(valueAt(from + i) - median));
    emit(row, present, k, queryQuantile(work, n, 0.5));
  }
}
