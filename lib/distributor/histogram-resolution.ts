import {
  FloatHistogram,
  HistogramLayout,
  IntegerHistogram,
  SCHEMA_MIN,
  VALUE,
  valueCountOf,
} from '../histogram/index.js';

/** How the histograms of one layout become coarser. */
interface Plan {
  readonly layout: HistogramLayout;
  /** Place among the values of the coarser histogram, for each bucket. */
  readonly places: Int32Array;
}

interface KnownPlan {
  readonly schemaMax: number;
  readonly bucketsMax: number;
  /** Null when no schema is coarse enough. */
  readonly plan: Plan | null;
}

/**
 * Brings exponential histograms into coarser schemas, with 64-bit counts exact. Histograms that share a layout share
 * one again.
 */
export class ResolutionReducer {
  /** The last plan of a layout: tenants seldom have other limits. */
  readonly #plans = new WeakMap<HistogramLayout, KnownPlan>();

  /**
   * The histogram in the finest schema that is at most `schemaMax` and has at most `bucketsMax` buckets (0 for any
   * number). Null when even the coarsest has more.
   */
  reduce(
    histogram: IntegerHistogram | FloatHistogram,
    schemaMax: number,
    bucketsMax: number,
  ): IntegerHistogram | FloatHistogram | null {
    const { layout } = histogram;
    let known = this.#plans.get(layout);
    if (known === undefined || known.schemaMax !== schemaMax || known.bucketsMax !== bucketsMax) {
      known = { schemaMax, bucketsMax, plan: makePlan(layout, schemaMax, bucketsMax) };
      this.#plans.set(layout, known);
    }
    const { plan } = known;
    if (plan === null) return null;
    return histogram instanceof FloatHistogram
      ? reduceFloats(histogram, plan)
      : reduceIntegers(histogram, plan);
  }
}

function makePlan(layout: HistogramLayout, schemaMax: number, bucketsMax: number): Plan | null {
  for (let schema = Math.min(layout.schema, schemaMax); schema >= SCHEMA_MIN; schema--) {
    const steps = layout.schema - schema;
    const positive = coarserIndexes(layout.positiveIndexes, steps);
    const negative = coarserIndexes(layout.negativeIndexes, steps);
    if (bucketsMax > 0 && positive.length + negative.length > bucketsMax) continue;
    const coarser = HistogramLayout.ofIndexes(
      schema,
      layout.zeroThreshold,
      positive,
      negative,
      layout.customBounds,
    );
    const places = new Int32Array(layout.positiveCount + layout.negativeCount);
    placeSide(places.subarray(0, layout.positiveCount), layout.positiveIndexes, steps, VALUE.buckets);
    const negativeAt = VALUE.buckets + coarser.positiveCount;
    placeSide(places.subarray(layout.positiveCount), layout.negativeIndexes, steps, negativeAt);
    return { layout: coarser, places };
  }
  return null;
}

/** Index of the bucket that holds bucket `index` in a schema that is coarser by `steps`, which shifts would cut at 31. */
function coarserIndex(index: number, steps: number): number {
  return Math.floor((index - 1) / 2 ** steps) + 1;
}

function coarserIndexes(indexes: Int32Array, steps: number): Int32Array {
  const coarser = new Int32Array(indexes.length);
  let count = 0;
  for (const each of indexes) {
    const index = coarserIndex(each, steps);
    if (count === 0 || coarser[count - 1] !== index) coarser[count++] = index;
  }
  return coarser.slice(0, count);
}

function placeSide(places: Int32Array, indexes: Int32Array, steps: number, firstPlace: number): void {
  let place = firstPlace - 1;
  let last = 0;
  for (let i = 0; i < indexes.length; i++) {
    const index = coarserIndex(indexes[i]!, steps);
    if (i === 0 || index !== last) place++;
    last = index;
    places[i] = place;
  }
}

function reduceFloats(histogram: FloatHistogram, { layout, places }: Plan): FloatHistogram {
  const values = new Float64Array(valueCountOf(layout));
  values.set(histogram.values.subarray(0, VALUE.buckets));
  for (let i = 0; i < places.length; i++) values[places[i]!]! += histogram.values[VALUE.buckets + i]!;
  return new FloatHistogram(layout, values, histogram.hint);
}

/** Adds up counts and takes differences again, in words with carry. */
function reduceIntegers(histogram: IntegerHistogram, { layout, places }: Plan): IntegerHistogram {
  const integers = new BigInt64Array(valueCountOf(layout));
  integers.set(histogram.integers.subarray(0, VALUE.buckets));
  const reduced = new IntegerHistogram(layout, integers, histogram.hint);
  const { words } = reduced;
  const { positiveCount } = histogram.layout;
  addCounts(histogram.words, words, places, 0, positiveCount);
  addCounts(histogram.words, words, places, positiveCount, places.length);
  const negativeAt = VALUE.buckets + layout.positiveCount;
  takeDifferences(words, VALUE.buckets, negativeAt);
  takeDifferences(words, negativeAt, integers.length);
  return reduced;
}

/** Adds the counts of buckets [from, to) of one side, which are given as deltas, where they belong. */
function addCounts(
  deltas: Int32Array,
  words: Int32Array,
  places: Int32Array,
  from: number,
  to: number,
): void {
  let low = 0;
  let high = 0;
  for (let i = from; i < to; i++) {
    const delta = 2 * (VALUE.buckets + i);
    const deltaLow = deltas[delta]!;
    low = (low + deltaLow) | 0;
    high = (high + deltas[delta + 1]! + carryOf(low, deltaLow)) | 0;
    const at = 2 * places[i]!;
    const sumLow = (words[at]! + low) | 0;
    words[at] = sumLow;
    words[at + 1] = words[at + 1]! + high + carryOf(sumLow, low);
  }
}

/** 1 when a sum of two lower words has gone over. */
function carryOf(sum: number, addend: number): number {
  return sum >>> 0 < addend >>> 0 ? 1 : 0;
}

/** Replaces the integers in [from, to) but the first by their differences to the left neighbour. */
function takeDifferences(words: Int32Array, from: number, to: number): void {
  for (let k = to - 1; k > from; k--) {
    const low = words[2 * k]!;
    const left = words[2 * k - 2]!;
    words[2 * k] = low - left;
    words[2 * k + 1] = words[2 * k + 1]! - words[2 * k - 1]! - (low >>> 0 < left >>> 0 ? 1 : 0);
  }
}
