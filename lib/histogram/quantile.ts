import { forEachBucket, forEachBucketReverse } from './buckets.js';
import type { FloatHistogram } from './float-histogram.js';
import { exp2, log2 } from './log-scale.js';

/** What NaN observations did to a result: it is NaN, higher than without them, or they are left out of it. */
export const NAN_NOTE = { none: 0, resultIsNaN: 1, skewedHigher: 2, excluded: 3 } as const;
export type NanNote = (typeof NAN_NOTE)[keyof typeof NAN_NOTE];

export interface Estimate {
  readonly value: number;
  readonly note: NanNote;
}

function estimate(value: number, note: NanNote = NAN_NOTE.none): Estimate {
  return { value, note };
}

/** Bounds of a bucket around zero when all observations are known to lie on one side of it. */
function oneSided(histogram: FloatHistogram, lower: number, upper: number): [lower: number, upper: number] {
  const { layout } = histogram;
  if (layout.negativeCount === 0 && layout.positiveCount > 0) return [0, upper];
  if (layout.positiveCount === 0 && layout.negativeCount > 0) return [lower, 0];
  return [lower, upper];
}

/** The q-quantile, interpolated inside its bucket (spec: promql-histograms.md §6.3). */
export function histogramQuantile(q: number, histogram: FloatHistogram): Estimate {
  if (q < 0) return estimate(Number.NEGATIVE_INFINITY);
  if (q > 1) return estimate(Number.POSITIVE_INFINITY);
  const { count, sum, layout } = histogram;
  if (count === 0 || Number.isNaN(q)) return estimate(Number.NaN);
  // NaN observations are in no bucket, and count as the highest: then ranks hold from below only.
  const hasNaN = Number.isNaN(sum);
  const isForward = hasNaN || q < 0.5;
  let rank = isForward ? q * count : (1 - q) * count;
  let seen = 0;
  let lower = 0;
  let upper = 0;
  let bucketCount = 0;
  let isFound = false;
  let rest = 0;
  const visit = (from: number, to: number, n: number): boolean | undefined => {
    if (isFound) {
      rest += n;
      return undefined;
    }
    if (n === 0) {
      // Stays the last bucket seen when the rank is never reached.
      lower = from;
      upper = to;
      bucketCount = n;
      return undefined;
    }
    lower = from;
    upper = to;
    bucketCount = n;
    seen += n;
    isFound = seen >= rank;
    return !isFound || hasNaN;
  };
  if (isForward) forEachBucket(histogram, visit);
  else forEachBucketReverse(histogram, visit);
  if (!layout.isCustom && lower < 0 && upper > 0) [lower, upper] = oneSided(histogram, lower, upper);
  if (layout.isCustom) {
    if (lower === Number.NEGATIVE_INFINITY) {
      if (upper <= 0) return estimate(upper);
      lower = 0;
    } else if (upper === Number.POSITIVE_INFINITY) return estimate(lower);
  }
  const capped = Math.min(seen, count);
  if (capped < rank) return hasNaN ? estimate(Number.NaN, NAN_NOTE.resultIsNaN) : estimate(upper);
  rank = isForward ? rank - (capped - bucketCount) : capped - rank;
  const note = hasNaN && capped + rest < count ? NAN_NOTE.skewedHigher : NAN_NOTE.none;
  const fraction = rank / bucketCount;
  if (layout.isCustom || (lower <= 0 && upper >= 0))
    return estimate(lower + (upper - lower) * fraction, note);
  const logLower = log2(Math.abs(lower));
  const logUpper = log2(Math.abs(upper));
  const value =
    lower > 0
      ? exp2(logLower + (logUpper - logLower) * fraction)
      : -exp2(logUpper + (logLower - logUpper) * (1 - fraction));
  return estimate(value, note);
}

/** How much of an exponential bucket lies below x, by its logarithm. */
export function exponentialShare(x: number, lower: number, upper: number): number {
  const logLower = log2(Math.abs(lower));
  const logUpper = log2(Math.abs(upper));
  const logX = log2(Math.abs(x));
  return x > 0 ? (logX - logLower) / (logUpper - logLower) : 1 - (logX - logUpper) / (logLower - logUpper);
}

/** The share of observations between two values (spec: promql-histograms.md §7). */
export function histogramFraction(from: number, to: number, histogram: FloatHistogram): Estimate {
  const { count, sum, layout } = histogram;
  if (count === 0 || Number.isNaN(from) || Number.isNaN(to)) return estimate(Number.NaN);
  if (from >= to) return estimate(0);
  let rank = 0;
  let fromRank = -1;
  let toRank = -1;
  forEachBucket(histogram, (rawLower, rawUpper, n) => {
    // Custom buckets are never negative here, so their first one begins at 0 unless it ends below.
    const isAroundZero = rawLower <= 0 && rawUpper >= 0;
    const [lower, upper] = isAroundZero ? oneSided(histogram, rawLower, rawUpper) : [rawLower, rawUpper];
    const rankOf = (x: number): number => {
      if (layout.isCustom || (lower <= 0 && upper >= 0)) {
        return lower === Number.NEGATIVE_INFINITY ? n : rank + n * ((x - lower) / (upper - lower));
      }
      return rank + n * exponentialShare(x, lower, upper);
    };
    if (fromRank < 0) {
      if (lower >= from) fromRank = rank;
      else if (from < upper) fromRank = rankOf(from);
    }
    if (toRank < 0) {
      if (lower >= to) toRank = rank;
      else if (to < upper) toRank = rankOf(to);
    }
    rank += n;
    return fromRank < 0 || toRank < 0;
  });
  let total = count;
  let note: NanNote = NAN_NOTE.none;
  if (Number.isNaN(sum)) {
    total = 0;
    forEachBucket(histogram, (_lower, _upper, n) => {
      total += n;
      return undefined;
    });
    if (total < count) note = NAN_NOTE.excluded;
  }
  if (fromRank < 0 || fromRank > total) fromRank = total;
  if (toRank < 0 || toRank > total) toRank = total;
  return estimate((toRank - fromRank) / count, note);
}

/** The variance of the observations, each taken as the middle of its bucket (spec: promql-histograms.md §8). */
export function histogramVariance(histogram: FloatHistogram): number {
  const { count, layout } = histogram;
  const mean = histogram.sum / count;
  let total = 0;
  let error = 0;
  forEachBucket(histogram, (lower, upper, n) => {
    if (n === 0) return undefined;
    let middle = 0;
    if (layout.isCustom) middle = (upper + lower) / 2;
    else if (!(lower <= 0 && upper >= 0)) {
      middle = Math.sqrt(upper * lower);
      if (upper < 0) middle = -middle;
    }
    const distance = middle - mean;
    const x = n * distance * distance;
    const next = total + x;
    if (next === Number.POSITIVE_INFINITY || next === Number.NEGATIVE_INFINITY) error = 0;
    else error += Math.abs(total) >= Math.abs(x) ? total - next + x : x - next + total;
    total = next;
    return undefined;
  });
  return (total + error) / count;
}
