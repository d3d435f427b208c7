import { FloatHistogram, VALUE } from './float-histogram.js';
import type { IntegerHistogram } from './integer-histogram.js';
import { type HistogramLayout, SCHEMA_MAX, SCHEMA_MIN } from './layout.js';
import type { Spans } from './spans.js';

/** Why a histogram is refused. Reasons are stable, texts are Prometheus'. */
export interface HistogramProblem {
  readonly reason:
    | 'schema'
    | 'spans-buckets-mismatch'
    | 'span-negative-offset'
    | 'negative-bucket-count'
    | 'negative-count'
    | 'count-mismatch'
    | 'count-not-big-enough'
    | 'custom-bounds'
    | 'custom-bounds-on-exponential'
    | 'custom-zero-bucket'
    | 'custom-negative-buckets';
  readonly text: string;
}

const SPANS_MISMATCH = 'histogram spans specify different number of buckets than provided';
const NEGATIVE_BUCKET = 'histogram has a bucket whose observation count is negative';

/**
 * Finds what is wrong with the spans of one side and the number of buckets beside them, which a HistogramLayout could
 * not even express. Null when nothing is.
 * @param side `positive side`, `negative side` or `custom buckets`
 */
export function spansProblem(spans: Spans, bucketCount: number, side: string): HistogramProblem | null {
  let needed = 0;
  for (let i = 0; i < spans.offsets.length; i++) {
    const offset = spans.offsets[i]!;
    if (i > 0 && offset < 0) {
      const text = `${side}: span number ${i + 1} with offset ${offset}: histogram has a span whose offset is negative`;
      return { reason: 'span-negative-offset', text };
    }
    needed += spans.lengths[i]!;
  }
  if (needed === bucketCount) return null;
  const text = `${side}: spans need ${needed} buckets, have ${bucketCount} buckets: ${SPANS_MISMATCH}`;
  return { reason: 'spans-buckets-mismatch', text };
}

/** Finds what is wrong with a histogram from outside; null when nothing is. A stale marker is fine. */
export function histogramProblem(histogram: IntegerHistogram | FloatHistogram): HistogramProblem | null {
  const { layout } = histogram;
  const shape = layoutProblem(layout, histogram instanceof FloatHistogram && histogram.zeroCount !== 0);
  if (shape !== null) return shape;
  return histogram instanceof FloatHistogram
    ? floatCountsProblem(histogram)
    : integerCountsProblem(histogram);
}

function layoutProblem(layout: HistogramLayout, hasZeroCount: boolean): HistogramProblem | null {
  const { schema, positiveSpans, negativeSpans } = layout;
  if (layout.isCustom) {
    return (
      spansProblem(positiveSpans, layout.positiveCount, 'custom buckets') ??
      customProblem(layout, hasZeroCount)
    );
  }
  if (!(schema >= SCHEMA_MIN && schema <= SCHEMA_MAX)) {
    const text = `histogram has an invalid schema, which must be between ${SCHEMA_MIN} and ${SCHEMA_MAX} for exponential buckets, or -53 for custom buckets, got schema ${schema}`;
    return { reason: 'schema', text };
  }
  const spans =
    spansProblem(positiveSpans, layout.positiveCount, 'positive side') ??
    spansProblem(negativeSpans, layout.negativeCount, 'negative side');
  if (spans !== null || layout.customBounds.length === 0) return spans;
  return {
    reason: 'custom-bounds-on-exponential',
    text: 'histogram with exponential schema must not have custom bounds',
  };
}

function customProblem(layout: HistogramLayout, hasZeroCount: boolean): HistogramProblem | null {
  const { customBounds, positiveIndexes } = layout;
  const bounds = (text: string): HistogramProblem => ({
    reason: 'custom-bounds',
    text: `custom buckets: ${text}`,
  });
  let previous = Number.NEGATIVE_INFINITY;
  for (const bound of customBounds) {
    if (Number.isNaN(bound)) return bounds('histogram custom bounds must not be NaN');
    if (!Number.isFinite(bound)) return bounds('histogram custom bounds must be finite');
    if (bound <= previous) return bounds('histogram custom bounds must be in strictly increasing order');
    previous = bound;
  }
  if (positiveIndexes.length > 0) {
    if (positiveIndexes[0]! < 0) return bounds('histogram has a span whose offset is negative');
    if (positiveIndexes.at(-1)! > customBounds.length) return bounds('histogram custom bounds are too few');
  }
  if (hasZeroCount)
    return { reason: 'custom-zero-bucket', text: 'custom buckets: must have zero count of 0' };
  if (layout.zeroThreshold !== 0) {
    return { reason: 'custom-zero-bucket', text: 'custom buckets: must have zero threshold of 0' };
  }
  if (layout.negativeSpans.lengths.length === 0) return null;
  const what = layout.negativeCount > 0 ? 'buckets' : 'spans';
  return { reason: 'custom-negative-buckets', text: `custom buckets: must not have negative ${what}` };
}

function floatCountsProblem(histogram: FloatHistogram): HistogramProblem | null {
  const { layout, values } = histogram;
  const { positiveCount } = layout;
  for (let k = VALUE.buckets; k < values.length; k++) {
    if (!(values[k]! < 0)) continue;
    const isPositive = k < VALUE.buckets + positiveCount;
    const number = k - VALUE.buckets - (isPositive ? 0 : positiveCount) + 1;
    return negativeBucket(isPositive, number, String(values[k]));
  }
  if (histogram.count < 0 || histogram.zeroCount < 0) {
    return { reason: 'negative-count', text: "histogram's observation count is negative" };
  }
  return null;
}

function integerCountsProblem(histogram: IntegerHistogram): HistogramProblem | null {
  if (histogram.isStale) return null;
  const { layout, integers, count, zeroCount } = histogram;
  if (layout.isCustom && zeroCount !== 0n) {
    return { reason: 'custom-zero-bucket', text: 'custom buckets: must have zero count of 0' };
  }
  let found = zeroCount;
  let bucket = 0n;
  for (let k: number = VALUE.buckets; k < integers.length; k++) {
    const isPositive = k < VALUE.buckets + layout.positiveCount;
    const number = k - VALUE.buckets - (isPositive ? 0 : layout.positiveCount) + 1;
    bucket = number === 1 ? integers[k]! : bucket + integers[k]!;
    if (bucket < 0n) return negativeBucket(isPositive, number, String(bucket));
    found += bucket;
  }
  const isAnyNaN = Number.isNaN(histogram.sum);
  if (isAnyNaN ? found <= count : found === count) return null;
  const rule = isAnyNaN
    ? "histogram's observation count should be at least the number of observations found in the buckets"
    : "histogram's observation count should equal the number of observations found in the buckets (in absence of NaN)";
  return {
    reason: isAnyNaN ? 'count-not-big-enough' : 'count-mismatch',
    text: `${found} observations found in buckets, but the Count field is ${count}: ${rule}`,
  };
}

function negativeBucket(isPositive: boolean, number: number, count: string): HistogramProblem {
  const side = isPositive ? 'positive' : 'negative';
  const text = `${side} side: bucket number ${number} has observation count of ${count}: ${NEGATIVE_BUCKET}`;
  return { reason: 'negative-bucket-count', text };
}
