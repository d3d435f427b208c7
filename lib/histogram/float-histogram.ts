import { equalLayouts, HistogramLayout } from './layout.js';
import { NO_SPANS } from './spans.js';

/** What is known about a counter reset between a histogram and the one before it. Numbers as on the wire. */
export const RESET_HINT = { unknown: 0, reset: 1, notReset: 2, gauge: 3 } as const;
export type ResetHint = (typeof RESET_HINT)[keyof typeof RESET_HINT];

/** Places in `FloatHistogram.values`; positive buckets begin at `buckets`, negative ones follow them. */
export const VALUE = { count: 0, zeroCount: 1, sum: 2, buckets: 3 } as const;

const STALE_HIGH = 0x7ff0_0000;
const STALE_LOW = 2;

/** The layout without any bucket. */
export const EMPTY_LAYOUT = new HistogramLayout(0, 0, NO_SPANS, NO_SPANS);

/**
 * A native histogram with doubles as counts. Treated as a value: operations answer with new ones, and who makes one
 * gives `values` away for good.
 *
 * All numbers stand in one array: count, zero count, sum, then the absolute counts of positive and of negative buckets
 * in the order of the layout. It may be a window on the columns of a decoded chunk. A stale marker is the sum with the
 * bits 0x7ff0000000000002, which only moves between typed arrays keep: see `isStale`.
 */
export class FloatHistogram {
  readonly layout: HistogramLayout;
  readonly values: Float64Array;
  readonly hint: ResetHint;

  constructor(layout: HistogramLayout, values: Float64Array, hint: ResetHint = RESET_HINT.unknown) {
    this.layout = layout;
    this.values = values;
    this.hint = hint;
  }

  get count(): number {
    return this.values[VALUE.count]!;
  }

  get zeroCount(): number {
    return this.values[VALUE.zeroCount]!;
  }

  get sum(): number {
    return this.values[VALUE.sum]!;
  }

  get schema(): number {
    return this.layout.schema;
  }

  /** Counts of the positive buckets, as a view. */
  positiveBuckets(): Float64Array {
    return this.values.subarray(VALUE.buckets, VALUE.buckets + this.layout.positiveCount);
  }

  /** Counts of the negative buckets from zero outwards, as a view. */
  negativeBuckets(): Float64Array {
    return this.values.subarray(VALUE.buckets + this.layout.positiveCount);
  }

  /** Whether this is the marker of a series that ended. */
  get isStale(): boolean {
    return Number.isNaN(this.sum) && isStaleAt(this.values, VALUE.sum);
  }

  withHint(hint: ResetHint): FloatHistogram {
    return hint === this.hint ? this : new FloatHistogram(this.layout, this.values, hint);
  }
}

/** Whether the element of an array has the bits of the stale marker. */
export function isStaleAt(values: Float64Array, at: number): boolean {
  const words = new Uint32Array(values.buffer, values.byteOffset + at * 8, 2);
  return words[0] === STALE_LOW && words[1] === STALE_HIGH;
}

/** How many numbers a histogram of this layout has. */
export function valueCountOf(layout: HistogramLayout): number {
  return VALUE.buckets + layout.positiveCount + layout.negativeCount;
}

/** A histogram without observations. */
export function emptyHistogram(layout: HistogramLayout = EMPTY_LAYOUT): FloatHistogram {
  return new FloatHistogram(layout, new Float64Array(valueCountOf(layout)));
}

/**
 * Whether two histograms are the same: layouts but for empty spans, and every number by its bits (so NaN equals NaN,
 * 0 does not equal -0). Hints don't matter.
 */
export function equalHistograms(a: FloatHistogram, b: FloatHistogram): boolean {
  if (!equalLayouts(a.layout, b.layout)) return false;
  for (let i = 0; i < a.values.length; i++) if (!Object.is(a.values[i], b.values[i])) return false;
  return true;
}
