import { exponentialBound } from './bounds.js';
import { bucketCountOf, equalSpans, indexesOfSpans, type Spans, spansOfIndexes } from './spans.js';

/** Schema of histograms with custom bucket bounds. */
export const CUSTOM_SCHEMA = -53;
/** Finest exponential schema that is worked with; finer ones, up to 52, are reduced to it on reading. */
export const SCHEMA_MAX = 8;
/** Coarsest exponential schema. */
export const SCHEMA_MIN = -4;

const NO_BOUNDS = new Float64Array(0);

/**
 * The shape of a histogram without its numbers: schema, zero threshold, which buckets there are. Immutable, and shared
 * by all samples of a chunk, so that equal shapes are mostly the same object and their values can be combined place by
 * place.
 */
export class HistogramLayout {
  /** -4..8 exponential, or CUSTOM_SCHEMA. */
  readonly schema: number;
  /** Observations of at most this magnitude are in the zero bucket. */
  readonly zeroThreshold: number;
  readonly positiveSpans: Spans;
  readonly negativeSpans: Spans;
  /** Upper bounds of custom buckets, strictly increasing, without +Inf; empty for exponential schemas. */
  readonly customBounds: Float64Array;
  readonly positiveCount: number;
  readonly negativeCount: number;
  #positiveIndexes: Int32Array | null;
  #negativeIndexes: Int32Array | null;
  #overlapsZero: boolean | null;

  /** Keeps the arrays, which must not change any more. */
  constructor(
    schema: number,
    zeroThreshold: number,
    positiveSpans: Spans,
    negativeSpans: Spans,
    customBounds: Float64Array = NO_BOUNDS,
  ) {
    this.schema = schema;
    this.zeroThreshold = zeroThreshold;
    this.positiveSpans = positiveSpans;
    this.negativeSpans = negativeSpans;
    this.customBounds = customBounds;
    this.positiveCount = bucketCountOf(positiveSpans);
    this.negativeCount = bucketCountOf(negativeSpans);
    this.#positiveIndexes = null;
    this.#negativeIndexes = null;
    this.#overlapsZero = null;
  }

  /** A layout of the buckets with these indexes, each list strictly ascending. */
  static ofIndexes(
    schema: number,
    zeroThreshold: number,
    positiveIndexes: Int32Array,
    negativeIndexes: Int32Array,
    customBounds: Float64Array = NO_BOUNDS,
  ): HistogramLayout {
    const layout = new HistogramLayout(
      schema,
      zeroThreshold,
      spansOfIndexes(positiveIndexes),
      spansOfIndexes(negativeIndexes),
      customBounds,
    );
    layout.#positiveIndexes = positiveIndexes;
    layout.#negativeIndexes = negativeIndexes;
    return layout;
  }

  get isCustom(): boolean {
    return this.schema === CUSTOM_SCHEMA;
  }

  /** Index of each positive bucket, ascending. */
  get positiveIndexes(): Int32Array {
    this.#positiveIndexes ??= indexesOfSpans(this.positiveSpans);
    return this.#positiveIndexes;
  }

  /** Index of each negative bucket, ascending, so from zero outwards. */
  get negativeIndexes(): Int32Array {
    this.#negativeIndexes ??= indexesOfSpans(this.negativeSpans);
    return this.#negativeIndexes;
  }

  /** Whether a bucket lies wholly inside the zero bucket, which sound histograms don't have: sums leave it out. */
  get overlapsZero(): boolean {
    this.#overlapsZero ??= this.#computeOverlap();
    return this.#overlapsZero;
  }

  #computeOverlap(): boolean {
    if (this.isCustom || this.zeroThreshold === 0) return false;
    const isInside = (indexes: Int32Array): boolean =>
      indexes.length > 0 && exponentialBound(indexes[0]!, this.schema) <= this.zeroThreshold;
    return isInside(this.positiveIndexes) || isInside(this.negativeIndexes);
  }

  /** The same buckets with another zero threshold. */
  withZeroThreshold(zeroThreshold: number): HistogramLayout {
    return new HistogramLayout(
      this.schema,
      zeroThreshold,
      this.positiveSpans,
      this.negativeSpans,
      this.customBounds,
    );
  }
}

/** Whether two layouts have the same schema, threshold, bounds and spans; empty spans make no difference. */
export function equalLayouts(a: HistogramLayout, b: HistogramLayout): boolean {
  return (
    a === b ||
    (a.schema === b.schema &&
      a.zeroThreshold === b.zeroThreshold &&
      equalBounds(a.customBounds, b.customBounds) &&
      equalSpans(a.positiveSpans, b.positiveSpans) &&
      equalSpans(a.negativeSpans, b.negativeSpans))
  );
}

/** Whether two lists of custom bounds are the same numbers. */
export function equalBounds(a: Float64Array, b: Float64Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
