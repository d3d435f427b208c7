import { exponentialBound } from './bounds.js';
import { type FloatHistogram, VALUE } from './float-histogram.js';
import type { HistogramLayout } from './layout.js';

/** Upper bound of a positive bucket, by its index. */
export function upperBound(layout: HistogramLayout, index: number): number {
  if (!layout.isCustom) return exponentialBound(index, layout.schema);
  return index < layout.customBounds.length ? layout.customBounds[index]! : Number.POSITIVE_INFINITY;
}

/** Lower bound of a positive bucket, by its index. */
export function lowerBound(layout: HistogramLayout, index: number): number {
  if (layout.isCustom && index === 0) return Number.NEGATIVE_INFINITY;
  return upperBound(layout, index - 1);
}

/** One bucket as `forEachBucket` shows it. */
export type BucketVisitor = (lower: number, upper: number, count: number) => boolean | undefined;

/**
 * Visits all buckets by ascending bounds: negative ones from the lowest, the zero bucket when it has observations, the
 * positive ones; empty buckets too. Bounds that reach into the zero bucket are cut at its edge.
 * @param visit may return false to stop
 */
export function forEachBucket(histogram: FloatHistogram, visit: BucketVisitor): void {
  const { layout, values } = histogram;
  for (let i = layout.negativeCount - 1; i >= 0; i--)
    if (visitNegative(histogram, i, visit) === false) return;
  const { zeroThreshold } = layout;
  const zeroCount = values[VALUE.zeroCount]!;
  if (zeroCount > 0 && visit(-zeroThreshold, zeroThreshold, zeroCount) === false) return;
  for (let i = 0; i < layout.positiveCount; i++) if (visitPositive(histogram, i, visit) === false) return;
}

/** Visits the buckets of `forEachBucket` by descending bounds. */
export function forEachBucketReverse(histogram: FloatHistogram, visit: BucketVisitor): void {
  const { layout, values } = histogram;
  for (let i = layout.positiveCount - 1; i >= 0; i--)
    if (visitPositive(histogram, i, visit) === false) return;
  const { zeroThreshold } = layout;
  const zeroCount = values[VALUE.zeroCount]!;
  if (zeroCount > 0 && visit(-zeroThreshold, zeroThreshold, zeroCount) === false) return;
  for (let i = 0; i < layout.negativeCount; i++) if (visitNegative(histogram, i, visit) === false) return;
}

function visitPositive(histogram: FloatHistogram, i: number, visit: BucketVisitor): boolean | undefined {
  const { layout, values } = histogram;
  const index = layout.positiveIndexes[i]!;
  const lower = lowerBound(layout, index);
  const isCut = lower > 0 && lower < layout.zeroThreshold;
  return visit(isCut ? layout.zeroThreshold : lower, upperBound(layout, index), values[VALUE.buckets + i]!);
}

function visitNegative(histogram: FloatHistogram, i: number, visit: BucketVisitor): boolean | undefined {
  const { layout, values } = histogram;
  const index = layout.negativeIndexes[i]!;
  const upper = -exponentialBound(index - 1, layout.schema);
  const isCut = upper < 0 && upper > -layout.zeroThreshold;
  return visit(
    -exponentialBound(index, layout.schema),
    isCut ? -layout.zeroThreshold : upper,
    values[VALUE.buckets + layout.positiveCount + i]!,
  );
}
