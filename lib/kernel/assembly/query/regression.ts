// deriv, predict_linear and double exponential smoothing over the windows of one series.

import {
  emit, fromOf, isInfinite, stepCount, timeAt, toOf, valueAt,
} from './columns';

// Result of `regress`.
let slope: f64 = 0;
let intercept: f64 = 0;

/** Least squares over samples [from, to) with x in seconds from `origin`; all four sums are compensated. */
function regress(from: u32, to: u32, origin: f64): void {
  const initial = valueAt(from);
  let isConstant = true;
  let sumX: f64 = 0, cX: f64 = 0;
  let sumY: f64 = 0, cY: f64 = 0;
  let sumXY: f64 = 0, cXY: f64 = 0;
  let sumXX: f64 = 0, cXX: f64 = 0;
  for (let i = from; i < to; i++) {
    const y = valueAt(i);
    if (isConstant && i > from && y != initial) isConstant = false;
    const x = (timeAt(i) - origin) / 1000;
    const xy = x * y;
    const xx = x * x;
    let t = sumX + x;
    if (isInfinite(t)) cX = 0;
    else if (Math.abs(sumX) >= Math.abs(x)) cX += (sumX - t) + x;
    else cX += (x - t) + sumX;
    sumX = t;
    t = sumY + y;
    if (isInfinite(t)) cY = 0;
    else if (Math.abs(sumY) >= Math.abs(y)) cY += (sumY - t) + y;
    else cY += (y - t) + sumY;
    sumY = t;
    t = sumXY + xy;
    if (isInfinite(t)) cXY = 0;
    else if (Math.abs(sumXY) >= Math.abs(xy)) cXY += (sumXY - t) + xy;
    else cXY += (xy - t) + sumXY;
    sumXY = t;
    t = sumXX + xx;
    if (isInfinite(t)) cXX = 0;
    else if (Math.abs(sumXX) >= Math.abs(xx)) cXX += (sumXX - t) + xx;
    else cXX += (xx - t) + sumXX;
    sumXX = t;
  }
  if (isConstant) {
    slope = isInfinite(initial) ? NaN : 0;
    intercept = isInfinite(initial) ? NaN : initial;
    return;
  }
  const n = <f64>(to - from);
  sumX += cX;
  sumY += cY;
  sumXY += cXY;
  sumXX += cXX;
  const covariance = sumXY - sumX * sumY / n;
  const variance = sumXX - sumX * sumX / n;
  slope = covariance / variance;
  intercept = sumY / n - slope * sumX / n;
}

export function derivRow(row: usize, present: usize): void {
  for (let k: u32 = 0; k < stepCount; k++) {
    const from = fromOf(k);
    const to = toOf(k);
    if (to < from + 2) continue;
    regress(from, to, timeAt(from));
    emit(row, present, k, slope);
  }
}

/** predict_linear: the origin of x is the evaluation time itself, whatever the offset or `@` of the selector. */
export function predictRow(durations: usize, origin: f64, originStep: f64, row: usize, present: usize): void {
  for (let k: u32 = 0; k < stepCount; k++) {
    const from = fromOf(k);
    const to = toOf(k);
    if (to < from + 2) continue;
    regress(from, to, origin + <f64>k * originStep);
    emit(row, present, k, slope * load<f64>(durations + ((<usize>k) << 3)) + intercept);
  }
}

/** double_exponential_smoothing with a smoothing and a trend factor per step (checked by the caller). */
export function smoothingRow(smoothings: usize, trends: usize, row: usize, present: usize): void {
  for (let k: u32 = 0; k < stepCount; k++) {
    const from = fromOf(k);
    const to = toOf(k);
    if (to < from + 2) continue;
    const sf = load<f64>(smoothings + ((<usize>k) << 3));
    const tf = load<f64>(trends + ((<usize>k) << 3));
    let s0: f64 = 0;
    let s1 = valueAt(from);
    let b = valueAt(from + 1) - s1;
    for (let i = from + 1; i < to; i++) {
      const x = sf * valueAt(i);
      if (i > from + 1) b = tf * (s1 - s0) + (1 - tf) * b;
      const y = (1 - sf) * (s1 + b);
      s0 = s1;
      s1 = x + y;
    }
    emit(row, present, k, s1);
  }
}
