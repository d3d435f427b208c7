import { Accumulator } from './accumulator.js';
import { FloatHistogram, RESET_HINT, type ResetHint } from './float-histogram.js';

/** Whether two histograms can be added: both exponential, or both with custom bounds. */
export function isCompatible(a: FloatHistogram, b: FloatHistogram): boolean {
  return a.layout.isCustom === b.layout.isCustom;
}

/** A sum or difference, and what the user should be told about it. */
export interface Combined {
  readonly histogram: FloatHistogram;
  /** Custom bounds differed: the result has those that both have. */
  readonly isReconciled: boolean;
  /** One was known as a counter reset, the other as none. */
  readonly isHintCollision: boolean;
}

/** a + b, not compacted; null when they are not compatible. */
export function addHistograms(a: FloatHistogram, b: FloatHistogram): Combined | null {
  return combine(a, b, 1);
}

/** a - b, not compacted; null when they are not compatible. The hint is that of a sum: the operator `-` makes it gauge. */
export function subtractHistograms(a: FloatHistogram, b: FloatHistogram): Combined | null {
  return combine(a, b, -1);
}

function combine(a: FloatHistogram, b: FloatHistogram, sign: 1 | -1): Combined | null {
  if (!isCompatible(a, b)) return null;
  const sum = new Accumulator(a, false);
  sum.add(b, sign);
  return {
    histogram: new FloatHistogram(sum.layout, sum.values, combineHints(a.hint, b.hint)),
    isReconciled: sum.isReconciled,
    isHintCollision: isHintCollision(a.hint, b.hint),
  };
}

/** The hint of a combination of two histograms. */
export function combineHints(a: ResetHint, b: ResetHint): ResetHint {
  if (a === RESET_HINT.gauge || b === RESET_HINT.gauge) return RESET_HINT.gauge;
  return a === b ? a : RESET_HINT.unknown;
}

/** Whether hints contradict each other. */
export function isHintCollision(a: ResetHint, b: ResetHint): boolean {
  const { reset, notReset } = RESET_HINT;
  return (a === reset && b === notReset) || (a === notReset && b === reset);
}
