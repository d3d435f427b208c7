import {
  addHistograms,
  compactHistogram,
  divideHistogram,
  emptyHistogram,
  FloatHistogram,
  HistogramLayout,
  multiplyHistogram,
  NO_SPANS,
  RESET_HINT,
  reduceResolution,
  subtractHistograms,
} from '../../histogram/index.js';
import type { CounterSeries } from './counter-series.js';
import type { SampleNotes } from './sample-notes.js';

/**
 * rate, increase, delta, irate and idelta over one window of a series that holds more than plain floats (spec: promql.md
 * §10, promql-histograms.md §4). Windows of floats without start times are the kernel's.
 */

/** A window: samples [from, to) and its bounds in ms. */
export interface Window {
  readonly from: number;
  readonly to: number;
  readonly rangeStart: number;
  readonly rangeEnd: number;
}

export interface CounterKind {
  /** rate and increase, unlike delta. */
  readonly isCounter: boolean;
  /** Per second. */
  readonly isRate: boolean;
}

type Value = number | FloatHistogram;

/** rate, increase and delta. All samples of the window must be of one kind. Null when the window has no result. */
export function extrapolated(
  series: CounterSeries,
  window: Window,
  kind: CounterKind,
  notes: SampleNotes,
): Value | null {
  const { times, histograms, values, starts } = series.samples;
  const { from, to, rangeStart, rangeEnd } = window;
  const { isCounter } = kind;
  const last = to - 1;
  const start = isCounter && starts !== null ? starts[from]! : 0;
  // A counter began at zero at its start time, if that is inside the range.
  const isFromZero = start !== 0 && start > rangeStart && start < times[from]!;
  if (to - from < 2 && !isFromZero) return null;
  if (isCounter && series.hasOverlap(from + 1, to)) notes.overlap();
  let result: Value;
  let first: number;
  let size: number;
  const plain = series.isUniform && !isFromZero ? plainDifference(series, from, to, isCounter) : null;
  if (plain !== null) {
    result = plain;
    first = histograms[from]!.count;
    size = plain.count;
  } else if (histograms[from] === null) {
    first = values[from]!;
    result = values[last]! - first;
    if (isCounter) for (const i of series.resetsBetween(from + 1, to)) result += values[i - 1]!;
    if (isFromZero) result += first;
    size = result;
  } else {
    const difference = histogramDifference(series, from, to, isCounter, isFromZero, notes);
    if (difference === null) return null;
    result = difference;
    first = histograms[from]!.count;
    size = result.count;
  }
  const gap = to - from < 2 ? 0 : (times[last]! - times[from]!) / 1000 / (last - from);
  const threshold = gap * 1.1;
  const sampled = (times[last]! - (isFromZero ? start : times[from]!)) / 1000;
  let toStart = isFromZero ? 0 : (times[from]! - rangeStart) / 1000;
  let toEnd = (rangeEnd - times[last]!) / 1000;
  if (toStart >= threshold) toStart = isFromZero ? 0 : gap / 2;
  if (isCounter && size > 0 && first >= 0) toStart = Math.min(toStart, sampled * (first / size));
  if (toEnd >= threshold) toEnd = gap / 2;
  let factor = sampled === 0 ? 1 : (sampled + toStart + toEnd) / sampled;
  if (kind.isRate) factor /= (rangeEnd - rangeStart) / 1000;
  if (plain !== null) {
    // Nobody else has it yet.
    const numbers = plain.values;
    for (let k = 0; k < numbers.length; k++) numbers[k]! *= factor;
    return plain;
  }
  return typeof result === 'number' ? result * factor : multiplyHistogram(result, factor);
}

/**
 * The usual case of `histogramDifference`: one layout, counters. In one pass, with no note to be made; null when it is
 * not the usual case.
 */
function plainDifference(
  series: CounterSeries,
  from: number,
  to: number,
  isCounter: boolean,
): FloatHistogram | null {
  const { histograms } = series.samples;
  const last = histograms[to - 1]!;
  const first = histograms[from]!;
  if (!isCounter || first === null || first.layout.overlapsZero) return null;
  const { layout } = last;
  const resets = series.resetsBetween(from + 1, to);
  if (first.layout !== layout || resets[0] === from + 1) return null;
  for (const i of resets) if (histograms[i - 1]!.layout !== layout) return null;
  const out = new Float64Array(last.values.length);
  for (let k = 0; k < out.length; k++) {
    let x = last.values[k]! - first.values[k]!;
    for (const i of resets) x += histograms[i - 1]!.values[k]!;
    out[k] = x;
  }
  return compactHistogram(new FloatHistogram(layout, out, RESET_HINT.gauge));
}

/** How much the histograms [from, to) grew, before extrapolation: a compacted gauge. */
function histogramDifference(
  series: CounterSeries,
  from: number,
  to: number,
  isCounter: boolean,
  isFromZero: boolean,
  notes: SampleNotes,
): FloatHistogram | null {
  const histograms = series.samples.histograms;
  const last = histograms[to - 1]!;
  const first = histograms[from]!;
  const { gauge } = RESET_HINT;
  if (isCounter && (first.hint === gauge || last.hint === gauge)) notes.notCounter();
  const isResetFirst = isCounter && to - from > 1 && series.isResetAt(from + 1);
  const base = isResetFirst || isFromZero ? emptyLike(histograms[isResetFirst ? from + 1 : from]!) : first;
  if (last.layout.isCustom !== base.layout.isCustom) {
    notes.mixedSchemas();
    return null;
  }
  let schema = Math.min(last.schema, base.schema);
  if (isCounter && !series.isUniform) {
    for (let i = from + 1; i < to - 1; i++) {
      const inner = histograms[i]!;
      if (inner.hint === gauge) notes.notCounter();
      if (inner.layout.isCustom !== last.layout.isCustom) {
        notes.mixedSchemas();
        return null;
      }
      schema = Math.min(schema, inner.schema);
    }
  }
  const sum = new Sum(schema === last.schema ? last : reduceResolution(last, schema), notes);
  sum.subtract(base);
  if (isCounter) {
    for (const i of series.resetsBetween(from + (isResetFirst ? 2 : 1), to)) sum.add(histograms[i - 1]!);
  } else if (first.hint !== gauge || last.hint !== gauge) notes.notGauge();
  if (isFromZero && isResetFirst) sum.add(first);
  return compactHistogram(sum.value.withHint(gauge));
}

/** A histogram without observations in the schema of another. */
function emptyLike(other: FloatHistogram): FloatHistogram {
  const { schema, customBounds } = other.layout;
  return emptyHistogram(new HistogramLayout(schema, 0, NO_SPANS, NO_SPANS, customBounds));
}

/** A histogram that others are added to, with notes about what that took. */
export class Sum {
  value: FloatHistogram;
  readonly #notes: SampleNotes;

  constructor(value: FloatHistogram, notes: SampleNotes) {
    this.value = value;
    this.#notes = notes;
  }

  /** The other must be compatible. */
  add(other: FloatHistogram): void {
    const combined = addHistograms(this.value, other);
    if (combined === null) return;
    if (combined.isReconciled) this.#notes.reconciled('addition');
    this.value = combined.histogram;
  }

  subtract(other: FloatHistogram): void {
    const combined = subtractHistograms(this.value, other);
    if (combined === null) return;
    if (combined.isReconciled) this.#notes.reconciled('subtraction');
    this.value = combined.histogram;
  }
}

/** irate and idelta: from the last two samples of a window, of any kind. */
export function lastTwo(
  series: CounterSeries,
  window: Window,
  isRate: boolean,
  notes: SampleNotes,
): Value | null {
  const { times, histograms, values } = series.samples;
  const i = window.to - 1;
  if (window.to - window.from < 2) return null;
  const seconds = (times[i]! - times[i - 1]!) / 1000;
  const last = histograms[i]!;
  const before = histograms[i - 1]!;
  if ((last === null) !== (before === null)) {
    notes.mixedKinds();
    return null;
  }
  const isReset = isRate && series.isResetAt(i);
  if (last === null || before === null) {
    const value = isReset ? values[i]! : values[i]! - values[i - 1]!;
    return isRate ? value / seconds : value;
  }
  const { gauge } = RESET_HINT;
  if (isRate && (last.hint === gauge || before.hint === gauge)) notes.notCounter();
  if (!isRate && (last.hint !== gauge || before.hint !== gauge)) notes.notGauge();
  // After a reset the one before does not count, whatever its kind.
  if (!isReset && last.layout.isCustom !== before.layout.isCustom) {
    notes.mixedSchemas();
    return null;
  }
  const sum = new Sum(last, notes);
  if (!isReset) sum.subtract(before);
  const difference = compactHistogram(sum.value.withHint(gauge));
  return isRate ? divideHistogram(difference, seconds) : difference;
}
