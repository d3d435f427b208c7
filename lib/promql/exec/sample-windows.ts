import type { LeafTimes, WindowForm } from '../plan/index.js';
import { SAMPLE, type SeriesSamples, sampleWeight } from './series-samples.js';

/** What a range function asks of its windows. */
export interface WindowQuery {
  readonly func: string;
  readonly form: WindowForm;
  readonly rangeMs: number;
  /** Only for the extended forms, which look beyond their range. */
  readonly lookbackMs: number;
  readonly times: LeafTimes;
  readonly steps: number;
}

/** For each step the samples of one series inside its window: indexes [from, to). */
export class SampleWindows {
  readonly samples: SeriesSamples;
  readonly from: Uint32Array;
  readonly to: Uint32Array;
  /** How many histograms are among the first i samples, and what they weigh. */
  readonly #histogramsBefore: Uint32Array;
  readonly #weightBefore: Float64Array;

  constructor(query: WindowQuery, samples: SeriesSamples) {
    const { times, rangeMs, lookbackMs, form, steps } = query;
    const before = form === 'plain' ? rangeMs : rangeMs + lookbackMs;
    const after = form === 'smoothed' ? lookbackMs : 0;
    this.samples = samples;
    this.from = new Uint32Array(steps);
    this.to = new Uint32Array(steps);
    let from = 0;
    let to = 0;
    for (let k = 0; k < steps; k++) {
      const reference = times.referenceMs + k * times.referenceStepMs;
      while (to < samples.count && samples.times[to]! <= reference + after) to++;
      while (from < to && samples.times[from]! <= reference - before) from++;
      this.from[k] = from;
      this.to[k] = to;
    }
    this.#histogramsBefore = new Uint32Array(samples.count + 1);
    this.#weightBefore = new Float64Array(samples.count + 1);
    for (let i = 0; i < samples.count; i++) {
      const histogram = samples.histograms[i]!;
      const isHistogram = samples.kinds[i] === SAMPLE.histogram;
      this.#histogramsBefore[i + 1] = this.#histogramsBefore[i]! + (isHistogram ? 1 : 0);
      this.#weightBefore[i + 1] = this.#weightBefore[i]! + (histogram === null ? 0 : sampleWeight(histogram));
    }
  }

  /** Histograms in the window of step k. */
  histogramCount(k: number): number {
    return this.#histogramsBefore[this.to[k]!]! - this.#histogramsBefore[this.from[k]!]!;
  }

  /**
   * What the histograms of all windows weigh together, for the statistics.
   * @param stepCounts where to add the weight of each window
   */
  histogramWeight(stepCounts: Float64Array | null): number {
    let sum = 0;
    for (let k = 0; k < this.from.length; k++) {
      const weight = this.#weightBefore[this.to[k]!]! - this.#weightBefore[this.from[k]!]!;
      sum += weight;
      if (stepCounts !== null) stepCounts[k]! += weight;
    }
    return sum;
  }
}
