// *_over_time: one value per window. Sums are compensated (Neumaier) and added in sample order over each window, because
// the order of additions is part of the answer; counts and extremes do not depend on it.

import {
  emit, fromOf, isInfinite, positions, stepCount, timeAt, toOf, valueAt,
} from './columns';
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

export function sumRow(row: usize, present: usize): void {
  for (let k: u32 = 0; k < stepCount; k++) {
    const from = fromOf(k);
    const to = toOf(k);
    if (to <= from) continue;
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
    emit(row, present, k, isInfinite(s) ? s : s + c);
  }
}

export function avgRow(row: usize, present: usize): void {
  for (let k: u32 = 0; k < stepCount; k++) {
    const from = fromOf(k);
    const to = toOf(k);
    if (to <= from) continue;
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
    if (i == to) {
      emit(row, present, k, s / n + c / n);
      continue;
    }
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
    emit(row, present, k, s + c);
  }
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
