import {
  type FloatHistogram,
  interpolateHistograms,
  isCounterReset,
  multiplyHistogram,
} from '../../histogram/index.js';

/**
 * The point between two neighbours at `fraction` of the way; a counter that was reset between them rises from zero.
 * Null when they mix exponential with custom buckets.
 */
export function interpolateCounter(
  before: FloatHistogram,
  after: FloatHistogram,
  fraction: number,
  isCounter: boolean,
): FloatHistogram | null {
  if (before.layout.isCustom !== after.layout.isCustom) return null;
  if (isCounter && isCounterReset(after, before)) return multiplyHistogram(after, fraction);
  return interpolateHistograms(before, after, fraction);
}
