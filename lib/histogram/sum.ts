import { Accumulator } from './accumulator.js';
import { combineHints, isCompatible } from './arithmetic.js';
import { FloatHistogram, RESET_HINT, type ResetHint, VALUE } from './float-histogram.js';
import { divideHistogram, multiplyHistogram } from './transform.js';

/**
 * The sum of histograms in the order they come, with compensated additions. Not compacted: `sum` compacts the result,
 * `sum_over_time` doesn't.
 */
export class HistogramSum {
  readonly #total: Accumulator;
  #hint: ResetHint;
  #isResetSeen: boolean;
  #isNotResetSeen: boolean;

  /** Begins with a histogram, which is copied. */
  constructor(first: FloatHistogram) {
    this.#total = new Accumulator(first, true);
    this.#hint = first.hint;
    this.#isResetSeen = first.hint === RESET_HINT.reset;
    this.#isNotResetSeen = first.hint === RESET_HINT.notReset;
  }

  /** Adds a histogram; false, and nothing is added, when it mixes exponential with custom buckets. */
  add(next: FloatHistogram): boolean {
    if (this.#total.layout.isCustom !== next.layout.isCustom) return false;
    this.#isResetSeen ||= next.hint === RESET_HINT.reset;
    this.#isNotResetSeen ||= next.hint === RESET_HINT.notReset;
    this.#hint = combineHints(this.#hint, next.hint);
    this.#total.add(next);
    return true;
  }

  result(): FloatHistogram {
    return this.#total.total(this.#hint);
  }

  /** Whether custom bounds differed. */
  get isReconciled(): boolean {
    return this.#total.isReconciled;
  }

  /** Whether both resets and their absence were claimed by members. */
  get isHintCollision(): boolean {
    return this.#isResetSeen && this.#isNotResetSeen;
  }
}

/**
 * The mean of histograms: a compensated sum divided in the end, or, from the addition on that would overflow, a running
 * mean. Not compacted: `avg` compacts the result, `avg_over_time` doesn't.
 */
export class HistogramMean {
  #total: Accumulator;
  #hint: ResetHint;
  #count: number;
  #isRunning: boolean;
  #isReconciled: boolean;
  #isResetSeen: boolean;
  #isNotResetSeen: boolean;

  /** Begins with a histogram, which is copied. */
  constructor(first: FloatHistogram) {
    this.#total = new Accumulator(first, true);
    this.#hint = first.hint;
    this.#count = 1;
    this.#isRunning = false;
    this.#isReconciled = false;
    this.#isResetSeen = first.hint === RESET_HINT.reset;
    this.#isNotResetSeen = first.hint === RESET_HINT.notReset;
  }

  /** Adds a histogram; false, and nothing is added, when it mixes exponential with custom buckets. */
  add(next: FloatHistogram): boolean {
    const total = this.#total;
    if (total.layout.isCustom !== next.layout.isCustom) return false;
    this.#isResetSeen ||= next.hint === RESET_HINT.reset;
    this.#isNotResetSeen ||= next.hint === RESET_HINT.notReset;
    this.#hint = combineHints(this.#hint, next.hint);
    this.#count++;
    const n = this.#count;
    if (!this.#isRunning) {
      const { layout } = total;
      const values = total.values.slice();
      const errors = total.errors!.slice();
      total.add(next);
      this.#isReconciled ||= total.isReconciled;
      if (!hasInfinity(total.values)) return true;
      // Undo the addition and go on with the mean of those before it.
      for (let k = 0; k < values.length; k++) {
        values[k]! /= n - 1;
        errors[k]! /= n - 1;
      }
      this.#total = new Accumulator(new FloatHistogram(layout, values), true);
      this.#total.errors = errors;
      this.#isRunning = true;
    }
    const share = (n - 1) / n;
    const { values, errors } = this.#total;
    for (let k = 0; k < values.length; k++) {
      errors![k]! *= share;
      values[k]! *= share;
    }
    this.#total.add(divideHistogram(next, n));
    return true;
  }

  result(): FloatHistogram {
    const total = this.#total;
    if (this.#isRunning) return total.total(this.#hint);
    const out = new Float64Array(total.values.length);
    for (let k = 0; k < out.length; k++) {
      out[k] = total.values[k]! / this.#count + total.errors![k]! / this.#count;
    }
    return new FloatHistogram(total.layout, out, this.#hint);
  }

  /** Whether custom bounds differed. */
  get isReconciled(): boolean {
    return this.#isReconciled || this.#total.isReconciled;
  }

  /** Whether both resets and their absence were claimed by members. */
  get isHintCollision(): boolean {
    return this.#isResetSeen && this.#isNotResetSeen;
  }
}

function hasInfinity(values: Float64Array): boolean {
  for (let k = 0; k < values.length; k++) {
    if (values[k] === Number.POSITIVE_INFINITY || values[k] === Number.NEGATIVE_INFINITY) return true;
  }
  return false;
}

/** The point between two histograms: a + (b - a) * fraction; null when they are not compatible. */
export function interpolateHistograms(
  a: FloatHistogram,
  b: FloatHistogram,
  fraction: number,
): FloatHistogram | null {
  if (!isCompatible(a, b)) return null;
  const step = new Accumulator(b, false);
  step.add(a, -1);
  const between = new Accumulator(
    multiplyHistogram(new FloatHistogram(step.layout, step.values), fraction),
    false,
  );
  between.add(a);
  return new FloatHistogram(between.layout, between.values, combineHints(a.hint, b.hint));
}

/** Mean of the observations. */
export function histogramMean(histogram: FloatHistogram): number {
  return histogram.values[VALUE.sum]! / histogram.values[VALUE.count]!;
}
