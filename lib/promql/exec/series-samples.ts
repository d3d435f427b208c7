import {
  EMPTY_LAYOUT,
  type FloatHistogram,
  isCounterReset,
  isStaleAt,
  RESET_HINT,
  valueCountOf,
} from '../../histogram/index.js';
import { codecKernel } from '../../kernel/index.js';
import { CHUNK_ENCODING } from '../../storage/index.js';
import { HistogramDecoder, histogramAt, Xor2Decoder } from '../../tsdb/chunk/index.js';
import type { Grid } from '../plan/index.js';
import { type QueryContext, timeOf } from './context.js';
import { chunkBytes, isHistogramEncoding, type LoadedSet, touches } from './loaded-set.js';

/** What sample i of a series is. */
export const SAMPLE = { stale: 0, float: 1, histogram: 2 } as const;

/** The samples of one series by time, floats and histograms together: the form in which all but plain floats are read. */
export interface SeriesSamples {
  readonly count: number;
  /** ms, ascending. */
  readonly times: Float64Array;
  readonly kinds: Uint8Array;
  /** Where the kind is float. */
  readonly values: Float64Array;
  /** Where the kind is histogram, null elsewhere. */
  readonly histograms: readonly (FloatHistogram | null)[];
  /** Start times in ms, 0 where unknown; null when there are none. */
  readonly starts: Float64Array | null;
}

/** Reads series of any chunk encoding. Holds scratch memory: one per source of rows. */
export class SampleReader {
  readonly #context: QueryContext;
  readonly #loaded: LoadedSet;
  readonly #isStatistics: boolean;
  readonly #histograms = new HistogramDecoder();
  readonly #xor2 = new Xor2Decoder();

  /**
   * @param isStatistics whether only counts and sums matter: then a histogram without a hint gets the one that
   * comparing it with the sample before gives, as in upstream's reading without buckets
   */
  constructor(context: QueryContext, loaded: LoadedSet, isStatistics: boolean) {
    this.#context = context;
    this.#loaded = loaded;
    this.#isStatistics = isStatistics;
  }

  /** All samples of a series inside the hinted times, stale markers included. */
  read(series: number): SeriesSamples {
    const { set, spec } = this.#loaded;
    const { minTimeMs, maxTimeMs } = spec.hints;
    const columns = new SampleColumns();
    for (let c = set.chunkOffsets[series]!; c < set.chunkOffsets[series + 1]!; c++) {
      if (touches(set, c, spec.hints)) this.#addChunk(columns, c);
    }
    const samples = columns.finish(minTimeMs, maxTimeMs);
    return this.#isStatistics ? withKnownResets(samples) : samples;
  }

  /** The same without stale markers. */
  readLive(series: number): SeriesSamples {
    return withoutStale(this.read(series));
  }

  #addChunk(columns: SampleColumns, c: number): void {
    const { kernel } = this.#context;
    const { set } = this.#loaded;
    const encoding = set.chunkEncodings[c]!;
    const bytes = chunkBytes(kernel, set, c);
    if (isHistogramEncoding(encoding)) {
      const decoded = this.#histograms.decode(encoding, bytes);
      for (let i = 0; i < decoded.sampleCount; i++) {
        columns.addHistogram(
          decoded.timestamps[i]!,
          histogramAt(decoded, i),
          decoded.startTimestamps?.[i] ?? 0,
        );
      }
    } else if (encoding === CHUNK_ENCODING.xor2) {
      const { timestamps, values, startTimestamps, sampleCount } = this.#xor2.decode(bytes);
      columns.addFloats(timestamps, values, sampleCount, startTimestamps);
    } else {
      const declared = bytes.length < 2 ? 0 : (bytes[0]! << 8) | bytes[1]!;
      const times = new Float64Array(declared);
      const values = new Float64Array(declared);
      const count = codecKernel().decodeXorInto(bytes, times, values);
      columns.addFloats(times, values, count, null);
    }
  }
}

/** Samples as they come out of chunks, which may overlap. */
class SampleColumns {
  readonly #times: number[] = [];
  readonly #kinds: number[] = [];
  readonly #values: number[] = [];
  readonly #histograms: (FloatHistogram | null)[] = [];
  readonly #starts: number[] = [];
  #isSorted = true;
  #hasStarts = false;

  addFloats(times: Float64Array, values: Float64Array, count: number, starts: Float64Array | null): void {
    for (let i = 0; i < count; i++) {
      const value = values[i]!;
      const isStale = Number.isNaN(value) && isStaleAt(values, i);
      this.#add(times[i]!, isStale ? SAMPLE.stale : SAMPLE.float, value, null, starts?.[i] ?? 0);
    }
  }

  addHistogram(time: number, histogram: FloatHistogram, start: number): void {
    if (histogram.isStale) this.#add(time, SAMPLE.stale, 0, null, start);
    else this.#add(time, SAMPLE.histogram, 0, histogram, start);
  }

  #add(time: number, kind: number, value: number, histogram: FloatHistogram | null, start: number): void {
    const n = this.#times.length;
    if (n > 0 && time <= this.#times[n - 1]!) this.#isSorted = false;
    if (start !== 0) this.#hasStarts = true;
    this.#times.push(time);
    this.#kinds.push(kind);
    this.#values.push(value);
    this.#histograms.push(histogram);
    this.#starts.push(start);
  }

  /** The samples inside [minTime, maxTime] in order; of equal times that of the earlier chunk stays. */
  finish(minTime: number, maxTime: number): SeriesSamples {
    const times = this.#times;
    let order = times.map((_, i) => i);
    if (!this.#isSorted) {
      order.sort((a, b) => times[a]! - times[b]! || a - b);
      order = order.filter((i, n) => n === 0 || times[i] !== times[order[n - 1]!]);
    }
    order = order.filter((i) => times[i]! >= minTime && times[i]! <= maxTime);
    return {
      count: order.length,
      times: Float64Array.from(order, (i) => times[i]!),
      kinds: Uint8Array.from(order, (i) => this.#kinds[i]!),
      values: Float64Array.from(order, (i) => this.#values[i]!),
      histograms: order.map((i, n) => this.#hinted(i, n === 0 ? i - 1 : order[n - 1]!)),
      starts: this.#hasStarts ? Float64Array.from(order, (i) => this.#starts[i]!) : null,
    };
  }

  /** A histogram; what its chunk says about the one before holds only when that is still the one before. */
  #hinted(i: number, before: number): FloatHistogram | null {
    const histogram = this.#histograms[i]!;
    return before === i - 1 ? histogram : unhinted(histogram);
  }
}

/** Samples without stale markers. */
export function withoutStale(samples: SeriesSamples): SeriesSamples {
  const { kinds, times, values, histograms, starts } = samples;
  if (!kinds.includes(SAMPLE.stale)) return samples;
  const kept = Array.from(kinds.keys()).filter((i) => kinds[i] !== SAMPLE.stale);
  return {
    count: kept.length,
    times: Float64Array.from(kept, (i) => times[i]!),
    kinds: Uint8Array.from(kept, (i) => kinds[i]!),
    values: Float64Array.from(kept, (i) => values[i]!),
    histograms: kept.map((i) => histograms[i]!),
    starts: starts === null ? null : Float64Array.from(kept, (i) => starts[i]!),
  };
}

/** Gives histograms that say nothing about a reset the answer of a comparison with the histogram before, if any. */
function withKnownResets(samples: SeriesSamples): SeriesSamples {
  let before: FloatHistogram | null = null;
  const histograms = samples.histograms.map((histogram) => {
    const last = before;
    before = histogram ?? before;
    if (histogram === null || last === null || histogram.hint !== RESET_HINT.unknown) return histogram;
    return histogram.withHint(isCounterReset(histogram, last) ? RESET_HINT.reset : RESET_HINT.notReset);
  });
  return { ...samples, histograms };
}

/** The points of a subquery as samples. What a histogram says about the one before it means nothing to these. */
export function rowSamples(
  grid: Grid,
  present: Uint8Array,
  values: Float64Array,
  histograms: readonly (FloatHistogram | null)[],
): SeriesSamples {
  const picks = Array.from(present.keys()).filter((k) => present[k] !== 0);
  return {
    count: picks.length,
    times: Float64Array.from(picks, (k) => timeOf(grid, k)),
    kinds: Uint8Array.from(picks, (k) => (present[k] === 2 ? SAMPLE.histogram : SAMPLE.float)),
    values: Float64Array.from(picks, (k) => values[k]!),
    histograms: picks.map((k) => (present[k] === 2 ? unhinted(histograms[k]!) : null)),
    starts: null,
  };
}

/** A histogram that is no longer next to the one its hint is about. */
function unhinted(histogram: FloatHistogram | null): FloatHistogram | null {
  if (histogram === null || histogram.hint === RESET_HINT.gauge) return histogram;
  return histogram.withHint(RESET_HINT.unknown);
}

/** How many samples a histogram counts as in limits and statistics: its size in memory upstream, in points of 16 bytes. */
export function sampleWeight(histogram: FloatHistogram): number {
  const { layout } = histogram;
  const spans = layout.positiveSpans.lengths.length + layout.negativeSpans.lengths.length;
  const numbers = valueCountOf(layout) - valueCountOf(EMPTY_LAYOUT) + layout.customBounds.length;
  return Math.floor((168 + 8 * (spans + numbers) + 8) / 16);
}
