import {
  EMPTY_LAYOUT,
  equalLayouts,
  type FloatHistogram,
  isCounterReset,
  isStaleAt,
  RESET_HINT,
  valueCountOf,
} from '../../histogram/index.js';
import { codecKernel } from '../../kernel/index.js';
import { CHUNK_ENCODING } from '../../storage/index.js';
import { type HistogramColumns, HistogramDecoder, histogramAt, Xor2Decoder } from '../../tsdb/chunk/index.js';
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
  #layout = EMPTY_LAYOUT;
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
    const chunks: number[] = [];
    let capacity = 0;
    for (let c = set.chunkOffsets[series]!; c < set.chunkOffsets[series + 1]!; c++) {
      if (!touches(set, c, spec.hints)) continue;
      chunks.push(c);
      capacity += declaredSamples(set.chunkEncodings[c]!, chunkBytes(this.#context.kernel, set, c));
    }
    const columns = new SampleColumns(capacity);
    for (const c of chunks) this.#addChunk(columns, c);
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
      // Chunks of a series are mostly alike, and histograms of one layout object are combined fastest.
      if (!equalLayouts(decoded.layout, this.#layout)) this.#layout = decoded.layout;
      columns.addHistograms({ ...decoded, layout: this.#layout });
    } else if (encoding === CHUNK_ENCODING.xor2) {
      const { timestamps, values, startTimestamps, sampleCount } = this.#xor2.decode(bytes);
      columns.addFloats(timestamps, values, sampleCount, startTimestamps);
    } else {
      const declared = declaredSamples(encoding, bytes);
      const times = new Float64Array(declared);
      const values = new Float64Array(declared);
      const count = codecKernel().decodeXorInto(bytes, times, values);
      columns.addFloats(times, values, count, null);
    }
  }
}

/** How many samples the header of a chunk claims. */
function declaredSamples(encoding: number, bytes: Uint8Array): number {
  if (bytes.length < 2) return 0;
  const count = (bytes[0]! << 8) | bytes[1]!;
  // Two bits of these are the counter reset header.
  const { histogramStartTimes, floatHistogramStartTimes } = CHUNK_ENCODING;
  return encoding === histogramStartTimes || encoding === floatHistogramStartTimes ? count & 0x3fff : count;
}

/** Samples as they come out of chunks, which may overlap. */
class SampleColumns {
  readonly #times: Float64Array;
  readonly #kinds: Uint8Array;
  readonly #values: Float64Array;
  readonly #histograms: (FloatHistogram | null)[] = [];
  #starts: Float64Array | null = null;
  #count = 0;
  #isSorted = true;

  /** @param capacity all samples to come, at least */
  constructor(capacity: number) {
    this.#times = new Float64Array(capacity);
    this.#kinds = new Uint8Array(capacity);
    this.#values = new Float64Array(capacity);
  }

  addFloats(times: Float64Array, values: Float64Array, count: number, starts: Float64Array | null): void {
    const n = this.#addTimes(times, count, starts);
    this.#values.set(count === values.length ? values : values.subarray(0, count), n);
    for (let i = 0; i < count; i++) {
      const isStale = Number.isNaN(values[i]!) && isStaleAt(values, i);
      this.#kinds[n + i] = isStale ? SAMPLE.stale : SAMPLE.float;
      this.#histograms.push(null);
    }
  }

  addHistograms(columns: HistogramColumns): void {
    const n = this.#addTimes(columns.timestamps, columns.sampleCount, columns.startTimestamps);
    for (let i = 0; i < columns.sampleCount; i++) {
      const histogram = histogramAt(columns, i);
      const isStale = histogram.isStale;
      this.#kinds[n + i] = isStale ? SAMPLE.stale : SAMPLE.histogram;
      this.#histograms.push(isStale ? null : histogram);
    }
  }

  /** Adds the times of the next samples and returns the index of the first. */
  #addTimes(times: Float64Array, count: number, starts: Float64Array | null): number {
    const n = this.#count;
    if (count === 0) return n;
    if (n > 0 && times[0]! <= this.#times[n - 1]!) this.#isSorted = false;
    this.#times.set(count === times.length ? times : times.subarray(0, count), n);
    if (starts !== null) {
      this.#starts ??= new Float64Array(this.#times.length);
      this.#starts.set(starts, n);
    }
    this.#count += count;
    return n;
  }

  /** The samples inside [minTime, maxTime] in order; of equal times that of the earlier chunk stays. */
  finish(minTime: number, maxTime: number): SeriesSamples {
    if (!this.#isSorted) return this.#merge(minTime, maxTime);
    const times = this.#times;
    let from = 0;
    let to = this.#count;
    while (from < to && times[from]! < minTime) from++;
    while (to > from && times[to - 1]! > maxTime) to--;
    return {
      count: to - from,
      times: times.subarray(from, to),
      kinds: this.#kinds.subarray(from, to),
      values: this.#values.subarray(from, to),
      histograms: this.#histograms.slice(from, to),
      starts: this.#starts?.subarray(from, to) ?? null,
    };
  }

  #merge(minTime: number, maxTime: number): SeriesSamples {
    const times = this.#times;
    const sorted = Array.from({ length: this.#count }, (_, i) => i);
    sorted.sort((a, b) => times[a]! - times[b]! || a - b);
    const order = sorted.filter(
      (i, n) =>
        times[i]! >= minTime && times[i]! <= maxTime && (n === 0 || times[i] !== times[sorted[n - 1]!]),
    );
    const histograms = order.map((i, n) => {
      // What a chunk says about the sample before holds only when that still is the one before.
      const isNext = (n === 0 ? i - 1 : order[n - 1]!) === i - 1;
      const histogram = this.#histograms[i]!;
      return isNext ? histogram : unhinted(histogram);
    });
    return pick(
      {
        count: this.#count,
        times,
        kinds: this.#kinds,
        values: this.#values,
        histograms: [],
        starts: this.#starts,
      },
      order,
      histograms,
    );
  }
}

/** Samples without stale markers. */
export function withoutStale(samples: SeriesSamples): SeriesSamples {
  const { kinds, histograms } = samples;
  if (!kinds.includes(SAMPLE.stale)) return samples;
  const kept = Array.from(kinds.keys()).filter((i) => kinds[i] !== SAMPLE.stale);
  return pick(
    samples,
    kept,
    kept.map((i) => histograms[i]!),
  );
}

/** Some of the samples, in another order. */
function pick(
  { times, kinds, values, starts }: SeriesSamples,
  order: readonly number[],
  histograms: readonly (FloatHistogram | null)[],
): SeriesSamples {
  return {
    count: order.length,
    times: Float64Array.from(order, (i) => times[i]!),
    kinds: Uint8Array.from(order, (i) => kinds[i]!),
    values: Float64Array.from(order, (i) => values[i]!),
    histograms,
    starts: starts === null ? null : Float64Array.from(order, (i) => starts[i]!),
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
