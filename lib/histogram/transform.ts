import { FloatHistogram, RESET_HINT, type ResetHint, VALUE, valueCountOf } from './float-histogram.js';
import { HistogramLayout } from './layout.js';

/** Every number times a factor. A negative one makes a gauge. */
export function multiplyHistogram(histogram: FloatHistogram, factor: number): FloatHistogram {
  const { layout, values } = histogram;
  const out = new Float64Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = values[i]! * factor;
  return new FloatHistogram(layout, out, signedHint(histogram.hint, factor));
}

/** Every number divided, which a product with the reciprocal would not equal. By zero, the buckets but for that of zero vanish. */
export function divideHistogram(histogram: FloatHistogram, divisor: number): FloatHistogram {
  const { layout, values } = histogram;
  const isByZero = divisor === 0;
  const out = new Float64Array(isByZero ? VALUE.buckets : values.length);
  for (let i = 0; i < out.length; i++) out[i] = values[i]! / divisor;
  const kept = isByZero ? withoutBuckets(layout) : layout;
  return new FloatHistogram(kept, out, signedHint(histogram.hint, divisor));
}

function signedHint(hint: ResetHint, factor: number): ResetHint {
  return factor < 0 ? RESET_HINT.gauge : hint;
}

const NO_INDEXES = new Int32Array(0);

function withoutBuckets(layout: HistogramLayout): HistogramLayout {
  const { schema, zeroThreshold, customBounds } = layout;
  return HistogramLayout.ofIndexes(schema, zeroThreshold, NO_INDEXES, NO_INDEXES, customBounds);
}

/**
 * The histogram without empty buckets, spans joined.
 * @param emptyRunMax keep runs of up to so many empty buckets between others, and fill gaps of that width: a span
 * costs about as much as two buckets
 */
export function compactHistogram(histogram: FloatHistogram, emptyRunMax = 0): FloatHistogram {
  const { layout, values } = histogram;
  const positive = compactSide(layout.positiveIndexes, values, VALUE.buckets, emptyRunMax);
  const negative = compactSide(
    layout.negativeIndexes,
    values,
    VALUE.buckets + layout.positiveCount,
    emptyRunMax,
  );
  if (
    positive.indexes === layout.positiveIndexes &&
    negative.indexes === layout.negativeIndexes &&
    isJoined(layout)
  ) {
    return histogram;
  }
  const { schema, zeroThreshold, customBounds } = layout;
  const compacted = HistogramLayout.ofIndexes(
    schema,
    zeroThreshold,
    positive.indexes,
    negative.indexes,
    customBounds,
  );
  const out = new Float64Array(valueCountOf(compacted));
  out.set(values.subarray(0, VALUE.buckets));
  out.set(positive.counts, VALUE.buckets);
  out.set(negative.counts, VALUE.buckets + compacted.positiveCount);
  return new FloatHistogram(compacted, out, histogram.hint);
}

/** Whether no span is empty or follows another without a gap. */
function isJoined(layout: HistogramLayout): boolean {
  for (const { offsets, lengths } of [layout.positiveSpans, layout.negativeSpans]) {
    for (let i = 0; i < lengths.length; i++)
      if (lengths[i] === 0 || (i > 0 && offsets[i] === 0)) return false;
  }
  return true;
}

/** Buckets of one side: their indexes and counts. */
export interface Side {
  readonly indexes: Int32Array;
  readonly counts: Float64Array;
}

function compactSide(indexes: Int32Array, values: Float64Array, at: number, emptyRunMax: number): Side {
  const n = indexes.length;
  const counts = values.subarray(at, at + n);
  if (emptyRunMax === 0 && !counts.includes(0)) return { indexes, counts };
  const kept: number[] = [];
  const keptCounts: number[] = [];
  for (let i = 0; i < n; i++) {
    if (counts[i] === 0) continue;
    const index = indexes[i]!;
    if (kept.length > 0 && index - kept[kept.length - 1]! - 1 <= emptyRunMax) {
      for (let filled = kept[kept.length - 1]! + 1; filled < index; filled++) {
        kept.push(filled);
        keptCounts.push(0);
      }
    }
    kept.push(index);
    keptCounts.push(counts[i]!);
  }
  // Filling needs a gap or an empty bucket to begin with, so equal lengths may still be other buckets.
  const isSame = kept.length === n && kept.every((index, i) => index === indexes[i]);
  return isSame
    ? { indexes, counts }
    : { indexes: Int32Array.from(kept), counts: Float64Array.from(keptCounts) };
}

/** Bucket index in a schema that is coarser by `steps`. */
export function coarserIndex(index: number, steps: number): number {
  // Shifts stop at 31, and schemas may be 61 apart.
  return Math.floor((index - 1) / 2 ** steps) + 1;
}

/**
 * The histogram in a coarser schema. Counts of merged buckets are added from left to right.
 * @param schema exponential, at most that of the histogram, which is exponential as well
 */
export function reduceResolution(histogram: FloatHistogram, schema: number): FloatHistogram {
  const { layout, values } = histogram;
  if (schema === layout.schema) return histogram;
  const steps = layout.schema - schema;
  const negativeAt = VALUE.buckets + layout.positiveCount;
  const positive = reduceSide(layout.positiveIndexes, values.subarray(VALUE.buckets, negativeAt), steps);
  const negative = reduceSide(layout.negativeIndexes, values.subarray(negativeAt), steps);
  const reduced = HistogramLayout.ofIndexes(schema, layout.zeroThreshold, positive.indexes, negative.indexes);
  const out = new Float64Array(valueCountOf(reduced));
  out.set(values.subarray(0, VALUE.buckets));
  out.set(positive.counts, VALUE.buckets);
  out.set(negative.counts, VALUE.buckets + reduced.positiveCount);
  return new FloatHistogram(reduced, out, histogram.hint);
}

function reduceSide(indexes: Int32Array, counts: Float64Array, steps: number): Side {
  const reduced = new Int32Array(indexes.length);
  const sums = new Float64Array(indexes.length);
  let n = 0;
  for (let i = 0; i < indexes.length; i++) {
    const index = coarserIndex(indexes[i]!, steps);
    if (n > 0 && reduced[n - 1] === index) sums[n - 1]! += counts[i]!;
    else {
      reduced[n] = index;
      sums[n++] = counts[i]!;
    }
  }
  return { indexes: reduced.slice(0, n), counts: sums.slice(0, n) };
}
