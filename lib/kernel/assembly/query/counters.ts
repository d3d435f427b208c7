// rate, increase, delta and their relatives over the windows of one series. The formulas and the order of additions
// are Prometheus': docs of `extrapolatedRate`. Windows without a result leave `present` 0.

import {
  emit, fromOf, positions, referenceMs, sampleCount, stepCount, stepMs, timeAt, toOf, valueAt,
} from './columns';

/** Lists the indexes i >= 1 with value[i] < value[i - 1] in `positions`; returns how many. */
function listResets(): u32 {
  let count: u32 = 0;
  const n = sampleCount;
  if (n == 0) return 0;
  let previous = valueAt(0);
  for (let i: u32 = 1; i < n; i++) {
    const current = valueAt(i);
    if (current < previous) {
      store<u32>(positions + ((<usize>count) << 2), i);
      count++;
    }
    previous = current;
  }
  return count;
}

/** Extrapolated difference: delta (no counter), increase (counter) and rate (counter, divided by the range). */
export function extrapolatedRow(isCounter: bool, isRate: bool, range: f64, row: usize, present: usize): void {
  const resetCount: u32 = isCounter ? listResets() : 0;
  const rangeSeconds = range / 1000;
  let firstReset: u32 = 0;
  // How the samples of the last window lay in it, and what follows from that alone, in seconds.
  let knownStartGap: f64 = NaN;
  let knownEndGap: f64 = NaN;
  let knownSpan: f64 = NaN;
  let knownGaps: u32 = 0;
  let toStart: f64 = 0;
  let toEnd: f64 = 0;
  let sampled: f64 = 0;
  let usualFactor: f64 = 0;
  for (let k: u32 = 0; k < stepCount; k++) {
    const from = fromOf(k);
    const to = toOf(k);
    if (to < from + 2) continue;
    const last = to - 1;
    const firstValue = valueAt(from);
    let result = valueAt(last) - firstValue;
    if (isCounter) {
      while (firstReset < resetCount && load<u32>(positions + ((<usize>firstReset) << 2)) <= from) firstReset++;
      for (let r = firstReset; r < resetCount; r++) {
        const i = load<u32>(positions + ((<usize>r) << 2));
        if (i > last) break;
        result += valueAt(i - 1);
      }
    }
    const rangeEnd = referenceMs + <f64>k * stepMs;
    const firstTime = timeAt(from);
    const lastTime = timeAt(last);
    const startGap = firstTime - (rangeEnd - range);
    const endGap = rangeEnd - lastTime;
    const span = lastTime - firstTime;
    const gaps = last - from;
    // Divisions are what this loop costs. Where samples are as regular as the steps, one window is like the one before.
    if (startGap != knownStartGap || endGap != knownEndGap || span != knownSpan || gaps != knownGaps) {
      knownStartGap = startGap;
      knownEndGap = endGap;
      knownSpan = span;
      knownGaps = gaps;
      toStart = startGap / 1000;
      toEnd = endGap / 1000;
      sampled = span / 1000;
      // Far below 1.1 average gaps on both sides: the exact average does not matter.
      if (!(max(toStart, toEnd) * <f64>gaps < sampled * 1.0999)) {
        const average = sampled / <f64>gaps;
        const threshold = average * 1.1;
        if (toStart >= threshold) toStart = average / 2;
        if (toEnd >= threshold) toEnd = average / 2;
      }
      usualFactor = sampled == 0 ? 1 : (sampled + toStart + toEnd) / sampled;
      if (isRate) usualFactor /= rangeSeconds;
    }
    let factor = usualFactor;
    // A counter cannot have been below zero: the start is no farther than where the line meets zero. Skipped when that
    // point lies clearly beyond.
    if (isCounter && result > 0 && firstValue >= 0 && !(sampled * firstValue > toStart * result * 1.000001)) {
      const toZero = sampled * (firstValue / result);
      if (toZero < toStart) {
        factor = sampled == 0 ? 1 : (sampled + toZero + toEnd) / sampled;
        if (isRate) factor /= rangeSeconds;
      }
    }
    emit(row, present, k, result * factor);
  }
}

/** Linear interpolation at `t`; a counter that fell between the two points is taken to start from zero. */
@inline
function interpolate(i: u32, t: f64, isCounter: bool): f64 {
  let y1 = valueAt(i);
  const y2 = valueAt(i + 1);
  const t1 = timeAt(i);
  if (isCounter && y2 < y1) y1 = 0;
  return y1 + (y2 - y1) * (t - t1) / (timeAt(i + 1) - t1);
}

/**
 * `anchored` and `smoothed` forms: no extrapolation, the values at the two ends of the range are taken from the samples
 * around them. The windows must reach back by the lookback (and, smoothed, ahead).
 */
export function extendedRow(
  isCounter: bool, isRate: bool, smoothed: bool, range: f64, row: usize, present: usize,
): void {
  const rangeSeconds = range / 1000;
  for (let k: u32 = 0; k < stepCount; k++) {
    const from = fromOf(k);
    const to = toOf(k);
    if (to <= from) continue;
    const rangeEnd = referenceMs + <f64>k * stepMs;
    const rangeStart = rangeEnd - range;
    let first = from;
    while (first < to - 1 && timeAt(first) <= rangeStart) first++;
    if (first > from) first--;
    let last = to - 1;
    if (smoothed) {
      last = from;
      while (last < to - 1 && timeAt(last) < rangeEnd) last++;
    }
    if (timeAt(last) <= rangeStart) continue;
    if (smoothed && timeAt(first) > rangeEnd) continue;
    const left = smoothed && timeAt(first) < rangeStart
      ? interpolate(first, rangeStart, isCounter)
      : valueAt(first);
    const right = smoothed && last > from && timeAt(last) > rangeEnd
      ? interpolate(last - 1, rangeEnd, isCounter)
      : valueAt(last);
    let result = right - left;
    if (isCounter) {
      let i = first;
      let end = last + 1;
      if (timeAt(i) <= rangeStart) i++;
      if (timeAt(last) >= rangeEnd) end--;
      let correction: f64 = 0;
      let previous = left;
      for (; i < end; i++) {
        const current = valueAt(i);
        if (current < previous) correction += previous;
        previous = current;
      }
      if (right < previous) correction += previous;
      result += correction;
    }
    if (isRate) result /= rangeSeconds;
    emit(row, present, k, result);
  }
}

/** irate and idelta: the last two samples of the window. */
export function lastTwoRow(isRate: bool, row: usize, present: usize): void {
  for (let k: u32 = 0; k < stepCount; k++) {
    const from = fromOf(k);
    const to = toOf(k);
    if (to < from + 2) continue;
    const last = valueAt(to - 1);
    const previous = valueAt(to - 2);
    const interval = timeAt(to - 1) - timeAt(to - 2);
    if (interval == 0) continue;
    let result = isRate && last < previous ? last : last - previous;
    if (isRate) result /= interval / 1000;
    emit(row, present, k, result);
  }
}

/** changes (wantResets false) and resets, by prefix counts: O(samples + steps). */
export function transitionsRow(wantResets: bool, row: usize, present: usize): void {
  const n = sampleCount;
  if (n == 0) return;
  let count: u32 = 0;
  let previous = valueAt(0);
  store<u32>(positions, 0);
  for (let i: u32 = 1; i < n; i++) {
    const current = valueAt(i);
    if (wantResets) {
      if (current < previous) count++;
    } else if (current != previous && !(isNaN(current) && isNaN(previous))) count++;
    store<u32>(positions + ((<usize>i) << 2), count);
    previous = current;
  }
  for (let k: u32 = 0; k < stepCount; k++) {
    const from = fromOf(k);
    const to = toOf(k);
    if (to <= from) continue;
    const difference = load<u32>(positions + ((<usize>(to - 1)) << 2)) - load<u32>(positions + ((<usize>from) << 2));
    emit(row, present, k, <f64>difference);
  }
}

/** changes and resets with `anchored`: the newest sample at or before the range start is the baseline. */
export function anchoredTransitionsRow(wantResets: bool, range: f64, row: usize, present: usize): void {
  for (let k: u32 = 0; k < stepCount; k++) {
    let from = fromOf(k);
    const to = toOf(k);
    if (to <= from) continue;
    const rangeStart = referenceMs + <f64>k * stepMs - range;
    if (timeAt(to - 1) <= rangeStart) continue;
    while (from + 1 < to && timeAt(from + 1) <= rangeStart) from++;
    let count: f64 = 0;
    let previous = valueAt(from);
    for (let i = from + 1; i < to; i++) {
      const current = valueAt(i);
      if (wantResets) {
        if (current < previous) count += 1;
      } else if (current != previous && !(isNaN(current) && isNaN(previous))) count += 1;
      previous = current;
    }
    emit(row, present, k, count);
  }
}
