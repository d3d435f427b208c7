import { CorruptionError } from '../../errors/index.js';
import {
  addHistograms,
  type Combined,
  equalBounds,
  type FloatHistogram,
  isCounterReset,
  RESET_HINT,
  reduceResolution,
  subtractHistograms,
} from '../../histogram/index.js';
import { type HistogramDecoder, histogramAt } from '../chunk/index.js';
import { windowEnd } from './levels.js';

export interface HistogramSample {
  readonly timeMs: number;
  readonly histogram: FloatHistogram;
}

/** One window of a series of histograms. */
export interface HistogramWindow {
  readonly timeMs: number;
  /** Histograms in it. */
  readonly count: number;
  /** Their sum, marked as a gauge: it does not only rise. */
  readonly sum: FloatHistogram;
  /** The last of them, corrected for resets since the first window. */
  readonly counter: FloatHistogram;
}

/** Decodes a chunk behind the samples so far, without stale markers and samples whose time goes back. */
export function expandHistograms(
  decoder: HistogramDecoder,
  encoding: number,
  data: Uint8Array,
  samples: HistogramSample[],
): void {
  const columns = decoder.decode(encoding, data);
  for (let i = 0; i < columns.sampleCount; i++) {
    const timeMs = columns.timestamps[i]!;
    const histogram = histogramAt(columns, i);
    if (histogram.isStale || timeMs < (samples.at(-1)?.timeMs ?? timeMs)) continue;
    samples.push({ timeMs, histogram });
  }
}

/** Whether histograms may share a chunk: exponential ones all, custom ones when their bounds are the same. */
export function areAlike(a: FloatHistogram, b: FloatHistogram): boolean {
  return (
    a.layout.isCustom === b.layout.isCustom &&
    (!a.layout.isCustom || equalBounds(a.layout.customBounds, b.layout.customBounds))
  );
}

/** Splits samples where the bounds of custom buckets change, or custom buckets begin or end. */
export function splitByBounds(samples: readonly HistogramSample[]): HistogramSample[][] {
  const parts: HistogramSample[][] = [];
  for (const sample of samples) {
    const part = parts.at(-1);
    if (part !== undefined && areAlike(part[0]!.histogram, sample.histogram)) part.push(sample);
    else parts.push([sample]);
  }
  return parts;
}

/**
 * Windows over histograms that are alike, in the coarsest schema among them (spec: thanos-downsampling.md §6).
 * @param samples at least one, in ascending time
 */
export function histogramWindows(samples: readonly HistogramSample[], resolution: number): HistogramWindow[] {
  const first = samples[0]!.histogram;
  const schema = samples.reduce((least, { histogram }) => Math.min(least, histogram.schema), first.schema);
  const isGauge = first.hint === RESET_HINT.gauge;
  const timeLast = samples.at(-1)!.timeMs;
  const windows: HistogramWindow[] = [];
  let previous: FloatHistogram | null = null;
  let counter = first;
  let sum: FloatHistogram | null = null;
  let count = 0;
  let edge = Number.NEGATIVE_INFINITY;
  const flush = (): void => {
    if (sum === null) return;
    const hint = isGauge ? RESET_HINT.gauge : RESET_HINT.unknown;
    windows.push({
      timeMs: edge,
      count,
      sum: sum.withHint(RESET_HINT.gauge),
      counter: counter.withHint(hint),
    });
  };
  for (const { timeMs, histogram } of samples) {
    if (timeMs > edge) {
      flush();
      sum = null;
      count = 0;
      edge = Math.min(windowEnd(timeMs, resolution), timeLast);
    }
    const reduced = schema === histogram.schema ? histogram : reduceResolution(histogram, schema);
    if (previous === null) counter = reduced;
    else {
      // A finer schema counts as a reset, hence the original.
      const isReset = histogram.hint !== RESET_HINT.gauge && isCounterReset(histogram, previous);
      counter = added(counter, isReset ? reduced : combined(subtractHistograms(reduced, previous)));
    }
    sum = sum === null ? reduced : added(sum, reduced);
    previous = reduced;
    count++;
  }
  flush();
  return windows;
}

function added(a: FloatHistogram, b: FloatHistogram): FloatHistogram {
  return combined(addHistograms(a, b));
}

/** The histogram alone, without a hint. */
function combined(result: Combined | null): FloatHistogram {
  if (result === null) {
    throw new CorruptionError(
      'aggregate-histograms',
      'an aggregate of histograms mixes exponential and custom buckets',
    );
  }
  return result.histogram.withHint(RESET_HINT.unknown);
}
