import { exponentialBound } from './bounds.js';
import { type FloatHistogram, VALUE } from './float-histogram.js';
import type { HistogramLayout } from './layout.js';

/** The zero bucket that a histogram would have with a larger threshold. */
export interface WiderZero {
  readonly zeroCount: number;
  /** At least the one asked for: it grows to the end of a populated bucket that it would cut. */
  readonly zeroThreshold: number;
}

/** What the zero bucket would count if it reached to `threshold`, at least the present one. Exponential schemas only. */
export function widerZero(histogram: FloatHistogram, threshold: number): WiderZero {
  const { layout, values } = histogram;
  if (threshold === layout.zeroThreshold) return { zeroCount: histogram.zeroCount, zeroThreshold: threshold };
  const { schema, positiveIndexes, negativeIndexes, positiveCount } = layout;
  let wanted = threshold;
  for (;;) {
    let zeroCount = histogram.zeroCount;
    for (let i = 0; i < positiveIndexes.length; i++) {
      const index = positiveIndexes[i]!;
      if (exponentialBound(index - 1, schema) >= wanted) break;
      const count = values[VALUE.buckets + i]!;
      zeroCount += count;
      const upper = exponentialBound(index, schema);
      if (upper > wanted) {
        if (count !== 0) wanted = upper;
        break;
      }
    }
    let isGrown = false;
    for (let i = 0; i < negativeIndexes.length; i++) {
      const index = negativeIndexes[i]!;
      if (exponentialBound(index - 1, schema) >= wanted) break;
      const count = values[VALUE.buckets + positiveCount + i]!;
      zeroCount += count;
      const outer = exponentialBound(index, schema);
      if (outer > wanted) {
        if (count !== 0) {
          // The positive side has to be looked at again with the new threshold.
          wanted = outer;
          isGrown = true;
        }
        break;
      }
    }
    if (!isGrown) return { zeroCount, zeroThreshold: wanted };
  }
}

/** How many leading buckets with these indexes lie wholly inside the zero bucket. */
export function bucketsInsideZero(
  layout: HistogramLayout,
  indexes: Int32Array,
  zeroThreshold: number,
): number {
  if (layout.isCustom) return 0;
  let n = 0;
  while (n < indexes.length && exponentialBound(indexes[n]!, layout.schema) <= zeroThreshold) n++;
  return n;
}
