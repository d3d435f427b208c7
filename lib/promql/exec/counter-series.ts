import { isCounterReset, RESET_HINT } from '../../histogram/index.js';
import type { SeriesSamples } from './series-samples.js';

/** What counters need to know about the samples of a series, found out once for all windows. */
export class CounterSeries {
  readonly samples: SeriesSamples;
  /** Indexes i where sample i was reset against sample i - 1, both floats or both histograms. */
  readonly resets: readonly number[];
  /** Whether no histogram is a gauge, and all have the same schema: inner points need no look then. */
  readonly isUniform: boolean;
  /** Indexes i whose start time lies before sample i - 1 without being its own. */
  readonly overlaps: readonly number[];

  /** @param useStarts whether start times count */
  constructor(samples: SeriesSamples, useStarts: boolean) {
    const { histograms, values, count } = samples;
    const resets: number[] = [];
    const overlaps: number[] = [];
    let schema: number | null = null;
    let isUniform = true;
    for (let i = 0; i < count; i++) {
      const current = histograms[i]!;
      if (current !== null) {
        schema ??= current.schema;
        if (current.schema !== schema || current.hint === RESET_HINT.gauge) isUniform = false;
      }
      if (i === 0) continue;
      const before = histograms[i - 1]!;
      if (useStarts && isOverlap(samples, i)) overlaps.push(i);
      if ((current === null) !== (before === null)) continue;
      const isReset =
        (useStarts && isStartReset(samples, i)) ||
        (current === null ? values[i]! < values[i - 1]! : isCounterReset(current, before!));
      if (isReset) resets.push(i);
    }
    this.samples = samples;
    this.resets = resets;
    this.overlaps = overlaps;
    this.isUniform = isUniform;
  }

  isResetAt(i: number): boolean {
    const { resets } = this;
    const at = lowerIndex(resets, i);
    return at < resets.length && resets[at] === i;
  }

  /** Indexes of resets inside [from, to). */
  resetsBetween(from: number, to: number): readonly number[] {
    const { resets } = this;
    if (resets.length === 0) return resets;
    return resets.slice(lowerIndex(resets, from), lowerIndex(resets, to));
  }

  hasOverlap(from: number, to: number): boolean {
    const at = lowerIndex(this.overlaps, from);
    return at < this.overlaps.length && this.overlaps[at]! < to;
  }
}

/** How many members of an ascending list are below a number. */
function lowerIndex(list: readonly number[], x: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle]! < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether the start times of samples i - 1 and i tell of a reset between them. */
function isStartReset({ starts, times }: SeriesSamples, i: number): boolean {
  if (starts === null) return false;
  const start = starts[i]!;
  const startBefore = starts[i - 1]!;
  const timeBefore = times[i - 1]!;
  if (start === 0 || start >= times[i]! || start < timeBefore) return false;
  if (start > timeBefore) return true;
  // Deltas begin where the last one ended; a counter of unknown start looks the same in its second sample.
  return startBefore <= timeBefore && startBefore !== 0 && startBefore !== timeBefore;
}

function isOverlap({ starts, times }: SeriesSamples, i: number): boolean {
  if (starts === null) return false;
  return starts[i] !== 0 && starts[i]! < times[i - 1]! && starts[i] !== starts[i - 1];
}
