import { exponentialBound } from './bounds.js';
import { lowerBound, upperBound } from './buckets.js';
import { FloatHistogram, VALUE } from './float-histogram.js';
import { exponentialShare } from './quantile.js';
import { compactHistogram } from './transform.js';

/** What is left of a bucket: how many observations, and their middle. */
interface Rest {
  readonly kept: number;
  readonly middle: number;
}

const NOTHING: Rest = { kept: 0, middle: 0 };

/**
 * The histogram without observations above (`</`) or below (`>/`) a bound, estimated inside the bucket that the bound
 * cuts (spec: promql-histograms.md §5). Count and sum are those of what is left; the histogram itself when that is all.
 * @param isUpper whether values up to the bound stay, rather than those from it on
 */
export function trimHistogram(histogram: FloatHistogram, bound: number, isUpper: boolean): FloatHistogram {
  const { layout, values } = histogram;
  const out = values.slice();
  let count = 0;
  let sum = 0;
  let isChanged = false;
  const take = (k: number, rest: Rest): void => {
    if (rest.kept !== values[k]) isChanged = true;
    out[k] = rest.kept;
    count += rest.kept;
    sum += rest.middle * rest.kept;
  };
  let hasPositive = false;
  let hasNegative = false;
  for (let i = 0; i < layout.positiveCount; i++) {
    const k = VALUE.buckets + i;
    if (values[k] === 0) continue;
    hasPositive = true;
    const index = layout.positiveIndexes[i]!;
    const lower = lowerBound(layout, index);
    take(k, cutBucket(lower, upperBound(layout, index), values[k]!, bound, isUpper, layout.isCustom));
  }
  for (let i = 0; i < layout.negativeCount; i++) {
    const k = VALUE.buckets + layout.positiveCount + i;
    if (values[k] === 0) continue;
    hasNegative = true;
    const index = layout.negativeIndexes[i]!;
    const lower = -exponentialBound(index, layout.schema);
    take(k, cutBucket(lower, -exponentialBound(index - 1, layout.schema), values[k]!, bound, isUpper, false));
  }
  if (values[VALUE.zeroCount] !== 0) {
    const lower = hasPositive && !hasNegative ? 0 : -layout.zeroThreshold;
    const upper = hasNegative && !hasPositive ? 0 : layout.zeroThreshold;
    take(VALUE.zeroCount, cutLinear(lower, upper, values[VALUE.zeroCount]!, bound, isUpper));
  }
  if (!isChanged) return histogram;
  out[VALUE.count] = count;
  out[VALUE.sum] = sum;
  return compactHistogram(new FloatHistogram(layout, out, histogram.hint));
}

function cutBucket(
  lower: number,
  upper: number,
  count: number,
  bound: number,
  isUpper: boolean,
  isCustom: boolean,
): Rest {
  if (isUpper ? upper <= bound : lower >= bound)
    return { kept: count, middle: middleOf(lower, upper, isCustom) };
  if (isUpper ? lower >= bound : upper <= bound) return NOTHING;
  // A bound of NaN neither keeps nor cuts.
  if (Number.isNaN(bound)) return NOTHING;
  if (lower === Number.NEGATIVE_INFINITY) return cutOpenBelow(upper, count, bound, isUpper);
  if (upper === Number.POSITIVE_INFINITY) return isUpper ? NOTHING : { kept: count, middle: bound };
  const share = isCustom ? (bound - lower) / (upper - lower) : exponentialShare(bound, lower, upper);
  const under = count * share;
  return isUpper
    ? { kept: under, middle: middleOf(lower, bound, isCustom) }
    : { kept: count - under, middle: middleOf(bound, upper, isCustom) };
}

/** Cuts the first custom bucket, which is taken to begin at 0 when it reaches above it. */
function cutOpenBelow(upper: number, count: number, bound: number, isUpper: boolean): Rest {
  if (isUpper) {
    if (upper <= 0) return { kept: count, middle: bound };
    return bound > 0 && upper < Number.POSITIVE_INFINITY
      ? { kept: (count * bound) / upper, middle: bound / 2 }
      : NOTHING;
  }
  return bound >= 0 && upper < Number.POSITIVE_INFINITY
    ? { kept: count * (1 - bound / upper), middle: (bound + upper) / 2 }
    : NOTHING;
}

/** Cuts the zero bucket. */
function cutLinear(lower: number, upper: number, count: number, bound: number, isUpper: boolean): Rest {
  if (isUpper) {
    if (bound <= lower) return NOTHING;
    if (bound >= upper) return { kept: count, middle: (lower + upper) / 2 };
    return { kept: count * ((bound - lower) / (upper - lower)), middle: (lower + bound) / 2 };
  }
  if (bound >= upper) return NOTHING;
  if (bound <= lower) return { kept: count, middle: (lower + upper) / 2 };
  return { kept: count * ((upper - bound) / (upper - lower)), middle: (bound + upper) / 2 };
}

/** What stands for the observations between two bounds: arithmetic or geometric mean. */
function middleOf(lower: number, upper: number, isCustom: boolean): number {
  if (lower === Number.NEGATIVE_INFINITY) {
    if (upper === Number.POSITIVE_INFINITY) return 0;
    return upper > 0 ? upper / 2 : upper;
  }
  if (upper === Number.POSITIVE_INFINITY) return lower;
  if (isCustom) return (lower + upper) / 2;
  const middle = Math.sqrt(Math.abs(lower * upper));
  return lower < 0 ? -middle : middle;
}
