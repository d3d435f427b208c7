import { exponentialBound } from './bounds.js';
import { commonBounds, placesAmong } from './custom-bounds.js';
import { FloatHistogram, type ResetHint, VALUE, valueCountOf } from './float-histogram.js';
import { equalBounds, equalLayouts, HistogramLayout } from './layout.js';
import { coarserIndex } from './transform.js';
import { bucketsInsideZero, widerZero } from './zero-bucket.js';

const NO_INDEXES = new Int32Array(0);

/**
 * A running sum of histograms (spec: promql-histograms.md §2): numbers, and with `isCompensated` the rounding errors
 * they left out (Neumaier), place by place. Histograms of one layout, the usual case, are added in one loop; for others
 * zero buckets, schemas and buckets are brought together first.
 *
 * Callers add only what is `isCompatible`. Hints are theirs.
 */
export class Accumulator {
  layout: HistogramLayout;
  values: Float64Array;
  /** What the additions rounded off, in the places of `values`; null without compensation. */
  errors: Float64Array | null;
  /** Whether histograms with different custom bounds were reduced to the bounds they share. */
  isReconciled: boolean;

  /** Begins with a copy of a histogram. */
  constructor(first: FloatHistogram, isCompensated: boolean) {
    this.layout = first.layout;
    this.values = first.values.slice();
    this.errors = isCompensated ? new Float64Array(first.values.length) : null;
    this.isReconciled = false;
  }

  /** Adds a histogram times a sign. */
  add(other: FloatHistogram, sign: 1 | -1 = 1): void {
    const { layout } = this;
    if (equalLayouts(layout, other.layout) && !layout.overlapsZero) {
      if (this.errors === null) addAll(this.values, other.values, sign);
      else addAllCompensated(this.values, this.errors, other.values, sign);
    } else if (layout.isCustom && !equalBounds(layout.customBounds, other.layout.customBounds)) {
      this.#addCommon(other, sign);
    } else this.#addOther(other, sign);
  }

  /** Sum and errors together. */
  total(hint: ResetHint): FloatHistogram {
    const { values, errors } = this;
    if (errors === null) return new FloatHistogram(this.layout, values.slice(), hint);
    const out = new Float64Array(values.length);
    for (let k = 0; k < out.length; k++) out[k] = values[k]! + errors[k]!;
    return new FloatHistogram(this.layout, out, hint);
  }

  #addAt(k: number, x: number): void {
    const { values, errors } = this;
    const sum = values[k]!;
    const total = sum + x;
    values[k] = total;
    if (errors === null) return;
    if (total === Number.POSITIVE_INFINITY || total === Number.NEGATIVE_INFINITY) errors[k] = 0;
    else if (Math.abs(sum) >= Math.abs(x)) errors[k]! += sum - total + x;
    else errors[k]! += x - total + sum;
  }

  #addOther(other: FloatHistogram, sign: 1 | -1): void {
    const zeroCount = this.layout.isCustom ? other.zeroCount : this.#reconcileZero(other);
    this.#addAt(VALUE.zeroCount, sign * zeroCount);
    this.#addAt(VALUE.count, sign * other.count);
    this.#addAt(VALUE.sum, sign * other.sum);
    let addend = accumulatorOf(other, this.errors !== null);
    if (!this.layout.isCustom) {
      const schema = Math.min(this.layout.schema, other.layout.schema);
      this.#reduce(schema);
      addend.#reduce(schema);
    }
    const { zeroThreshold } = this.layout;
    const positiveSkip = bucketsInsideZero(addend.layout, addend.layout.positiveIndexes, zeroThreshold);
    const negativeSkip = bucketsInsideZero(addend.layout, addend.layout.negativeIndexes, zeroThreshold);
    if (positiveSkip + negativeSkip > 0) addend = addend.#without(positiveSkip, negativeSkip);
    this.#widen(addend.layout);
    this.#addSide(addend, this.layout.positiveIndexes, VALUE.buckets, true, sign);
    this.#addSide(
      addend,
      this.layout.negativeIndexes,
      VALUE.buckets + this.layout.positiveCount,
      false,
      sign,
    );
  }

  /** Adds one side of an addend whose buckets are all here. */
  #addSide(addend: Accumulator, indexes: Int32Array, at: number, isPositive: boolean, sign: 1 | -1): void {
    const theirs = isPositive ? addend.layout.positiveIndexes : addend.layout.negativeIndexes;
    const theirAt = isPositive ? VALUE.buckets : VALUE.buckets + addend.layout.positiveCount;
    let j = 0;
    for (let i = 0; i < theirs.length; i++) {
      while (indexes[j] !== theirs[i]) j++;
      this.#addAt(at + j, sign * addend.values[theirAt + i]!);
      const error = addend.errors === null ? 0 : addend.errors[theirAt + i]!;
      if (error !== 0) this.#addAt(at + j, sign * error);
    }
  }

  /** Makes the zero thresholds meet and returns the other's zero count for the common one. */
  #reconcileZero(other: FloatHistogram): number {
    let { zeroCount } = other;
    let { zeroThreshold } = other.layout;
    while (zeroThreshold !== this.layout.zeroThreshold) {
      if (this.layout.zeroThreshold > zeroThreshold) {
        ({ zeroCount, zeroThreshold } = widerZero(other, this.layout.zeroThreshold));
      }
      if (zeroThreshold > this.layout.zeroThreshold) this.#widenZero(zeroThreshold);
      // A threshold of NaN equals nothing: give up rather than turn round for ever.
      if (Number.isNaN(zeroThreshold) || Number.isNaN(this.layout.zeroThreshold)) break;
    }
    return zeroCount;
  }

  /** Takes the buckets that a larger threshold swallows into the zero bucket. */
  #widenZero(threshold: number): void {
    const { zeroThreshold } = widerZero(new FloatHistogram(this.layout, this.values), threshold);
    const { positiveIndexes, negativeIndexes, positiveCount, schema } = this.layout;
    const swallowed = (indexes: Int32Array): number => {
      let n = 0;
      while (n < indexes.length && exponentialBound(indexes[n]! - 1, schema) < zeroThreshold) n++;
      return n;
    };
    const positive = swallowed(positiveIndexes);
    const negative = swallowed(negativeIndexes);
    for (let i = 0; i < positive + negative; i++) {
      const k = VALUE.buckets + (i < positive ? i : positiveCount + i - positive);
      this.#addAt(VALUE.zeroCount, this.values[k]!);
      if (this.errors !== null) this.#addAt(VALUE.zeroCount, this.errors[k]!);
    }
    const kept = this.#without(positive, negative);
    this.#become(kept.layout.withZeroThreshold(zeroThreshold), kept.values, kept.errors);
  }

  #become(layout: HistogramLayout, values: Float64Array, errors: Float64Array | null): void {
    this.layout = layout;
    this.values = values;
    this.errors = errors;
  }

  /** A copy without the first buckets of both sides. */
  #without(positive: number, negative: number): Accumulator {
    const { layout } = this;
    const { positiveIndexes, negativeIndexes, positiveCount } = layout;
    const kept = HistogramLayout.ofIndexes(
      layout.schema,
      layout.zeroThreshold,
      positiveIndexes.slice(positive),
      negativeIndexes.slice(negative),
      layout.customBounds,
    );
    const pick = (source: Float64Array): Float64Array => {
      const out = new Float64Array(valueCountOf(kept));
      out.set(source.subarray(0, VALUE.buckets));
      out.set(source.subarray(VALUE.buckets + positive, VALUE.buckets + positiveCount), VALUE.buckets);
      out.set(source.subarray(VALUE.buckets + positiveCount + negative), VALUE.buckets + kept.positiveCount);
      return out;
    };
    const copy = accumulatorOf(new FloatHistogram(kept, pick(this.values)), false);
    copy.errors = this.errors === null ? null : pick(this.errors);
    return copy;
  }

  /** Goes over to a coarser schema. */
  #reduce(schema: number): void {
    const { layout } = this;
    const steps = layout.schema - schema;
    if (steps === 0) return;
    const reduced = HistogramLayout.ofIndexes(
      schema,
      layout.zeroThreshold,
      coarserIndexes(layout.positiveIndexes, steps),
      coarserIndexes(layout.negativeIndexes, steps),
    );
    this.#scatter(reduced, (index) => coarserIndex(index, steps));
  }

  /** Takes in the buckets of a layout, without counts. */
  #widen(other: HistogramLayout): void {
    const { layout } = this;
    const positive = unite(layout.positiveIndexes, other.positiveIndexes);
    const negative = unite(layout.negativeIndexes, other.negativeIndexes);
    if (positive === layout.positiveIndexes && negative === layout.negativeIndexes) return;
    const { schema, zeroThreshold, customBounds } = layout;
    const wide = HistogramLayout.ofIndexes(schema, zeroThreshold, positive, negative, customBounds);
    this.#scatter(wide, (index) => index);
  }

  /** Moves the buckets to a layout that has the image of each: the first to come is copied, others are added. */
  #scatter(target: HistogramLayout, image: (index: number) => number): void {
    const source = { layout: this.layout, values: this.values, errors: this.errors };
    const { positiveCount } = source.layout;
    const isFilled = new Uint8Array(valueCountOf(target));
    this.#become(
      target,
      new Float64Array(isFilled.length),
      source.errors && new Float64Array(isFilled.length),
    );
    for (let k = 0; k < VALUE.buckets; k++) {
      this.values[k] = source.values[k]!;
      if (this.errors !== null) this.errors[k] = source.errors![k]!;
    }
    const move = (from: Int32Array, fromAt: number, to: Int32Array, toAt: number): void => {
      let j = 0;
      for (let i = 0; i < from.length; i++) {
        const index = image(from[i]!);
        while (to[j] !== index) j++;
        const k = toAt + j;
        if (isFilled[k] === 0) {
          isFilled[k] = 1;
          this.values[k] = source.values[fromAt + i]!;
          if (this.errors !== null) this.errors[k] = source.errors![fromAt + i]!;
        } else {
          this.#addAt(k, source.values[fromAt + i]!);
          if (this.errors !== null) this.#addAt(k, source.errors![fromAt + i]!);
        }
      }
    };
    move(source.layout.positiveIndexes, VALUE.buckets, target.positiveIndexes, VALUE.buckets);
    move(
      source.layout.negativeIndexes,
      VALUE.buckets + positiveCount,
      target.negativeIndexes,
      VALUE.buckets + target.positiveCount,
    );
  }

  /** Adds a histogram with other custom bounds: both fall back to the bounds they share. */
  #addCommon(other: FloatHistogram, sign: 1 | -1): void {
    this.isReconciled = true;
    const common = commonBounds(this.layout.customBounds, other.layout.customBounds);
    const source = { values: this.values, errors: this.errors };
    const ours = placesAmong(this.layout, common);
    const theirs = placesAmong(other.layout, common);
    const every = Int32Array.from({ length: common.length + 1 }, (_, i) => i);
    const dense = HistogramLayout.ofIndexes(this.layout.schema, 0, every, NO_INDEXES, common);
    const length = valueCountOf(dense);
    this.#become(dense, new Float64Array(length), source.errors && new Float64Array(length));
    for (let k = 0; k < VALUE.buckets; k++) {
      this.values[k] = source.values[k]!;
      if (this.errors !== null) this.errors[k] = source.errors![k]!;
      this.#addAt(k, sign * other.values[k]!);
    }
    for (let i = 0; i < ours.length; i++) {
      this.#addAt(VALUE.buckets + ours[i]!, source.values[VALUE.buckets + i]!);
      if (source.errors !== null) this.#addAt(VALUE.buckets + ours[i]!, source.errors[VALUE.buckets + i]!);
    }
    for (let i = 0; i < theirs.length; i++) {
      this.#addAt(VALUE.buckets + theirs[i]!, sign * other.values[VALUE.buckets + i]!);
    }
    const filled = every.filter((i) => this.values[VALUE.buckets + i] !== 0);
    const pick = (all: Float64Array): Float64Array =>
      Float64Array.of(
        ...all.subarray(0, VALUE.buckets),
        ...Array.from(filled, (i) => all[VALUE.buckets + i]!),
      );
    this.#become(
      HistogramLayout.ofIndexes(dense.schema, 0, filled, NO_INDEXES, common),
      pick(this.values),
      this.errors && pick(this.errors),
    );
  }
}

/** An addend: a histogram that can be reduced, with the errors of that when they matter. */
function accumulatorOf(histogram: FloatHistogram, isCompensated: boolean): Accumulator {
  return new Accumulator(histogram, isCompensated);
}

/** values += sign * addends, place by place. */
function addAll(values: Float64Array, addends: Float64Array, sign: number): void {
  for (let k = 0; k < values.length; k++) values[k] = values[k]! + sign * addends[k]!;
}

/** The same with what was rounded off added to `errors`. */
function addAllCompensated(
  values: Float64Array,
  errors: Float64Array,
  addends: Float64Array,
  sign: number,
): void {
  for (let k = 0; k < values.length; k++) {
    const x = sign * addends[k]!;
    const sum = values[k]!;
    const total = sum + x;
    values[k] = total;
    if (total === Number.POSITIVE_INFINITY || total === Number.NEGATIVE_INFINITY) errors[k] = 0;
    else if (Math.abs(sum) >= Math.abs(x)) errors[k] = errors[k]! + (sum - total + x);
    else errors[k] = errors[k]! + (x - total + sum);
  }
}

function coarserIndexes(indexes: Int32Array, steps: number): Int32Array {
  const out = new Int32Array(indexes.length);
  let n = 0;
  for (let i = 0; i < indexes.length; i++) {
    const index = coarserIndex(indexes[i]!, steps);
    if (n === 0 || out[n - 1] !== index) out[n++] = index;
  }
  return out.slice(0, n);
}

/** The union of ascending lists; the first list itself when it has all. */
function unite(a: Int32Array, b: Int32Array): Int32Array {
  const out = new Int32Array(a.length + b.length);
  let n = 0;
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    const left = i < a.length ? a[i]! : Number.POSITIVE_INFINITY;
    const right = j < b.length ? b[j]! : Number.POSITIVE_INFINITY;
    out[n++] = Math.min(left, right);
    if (left <= right) i++;
    if (right <= left) j++;
  }
  return n === a.length ? a : out.slice(0, n);
}
