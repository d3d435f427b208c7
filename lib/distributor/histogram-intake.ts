import { VarveError } from '../errors/index.js';
import {
  type FloatHistogram,
  type HistogramLayout,
  histogramProblem,
  IntegerHistogram,
  SCHEMA_MAX,
  VALUE,
} from '../histogram/index.js';
import type { ScanKernel } from '../kernel/index.js';
import type { Limits } from '../limits/index.js';
import type { HistogramSample } from '../storage/index.js';
import { HISTOGRAM_BYTES_MAX, type HistogramDefect, HistogramReader } from '../wire/index.js';
import { ResolutionReducer } from './histogram-resolution.js';
import { REASON, type Reason } from './reasons.js';

/**
 * The native histograms of a request may take this much memory as values. A message of a dozen bytes becomes objects of
 * some 300, which the limit of the decoded request does not bound.
 */
const REQUEST_MEMORY_MAX = 256 * 1024 * 1024;
const HISTOGRAM_OVERHEAD_BYTES = 300;

/** Why a histogram is left out. */
export interface HistogramRefusal {
  readonly reason: Reason;
  readonly text: string;
}

export interface HistogramsTaken {
  readonly samples: readonly HistogramSample[];
  /** How many have fewer buckets than they were sent with. */
  readonly reducedCount: number;
}

/** Reads, checks and shrinks the native histograms of scanned requests. */
export class HistogramIntake {
  readonly #reader = new HistogramReader();
  readonly #reducer = new ResolutionReducer();
  /** Layouts in which nothing was found wrong, so that only counts are checked again. */
  readonly #soundLayouts = new WeakSet<HistogramLayout>();

  /**
   * @param refuse called for each that is left out; without a time when it was not read
   * @throws VarveError client `write-request-malformed`, or `body-too-large` when they would take too much memory
   */
  take(
    scan: ScanKernel,
    limits: Limits,
    refuse: (seriesIndex: number, timeMs: number | null, refusal: HistogramRefusal) => void,
  ): HistogramsTaken {
    const samples: HistogramSample[] = [];
    const { bytes, words, columns } = scan;
    const sizeMax = Math.min(
      limits.maxNativeHistogramSampleSizeBytes || HISTOGRAM_BYTES_MAX,
      HISTOGRAM_BYTES_MAX,
    );
    let reducedCount = 0;
    let memoryBytes = 0;
    for (let k = 0, at = columns.histograms >>> 2; k < columns.histogramCount; k++, at += 3) {
      const seriesIndex = words[at]!;
      const from = words[at + 1]!;
      const length = words[at + 2]!;
      if (length > sizeMax) {
        const text = `it has ${length} bytes, over the limit of ${sizeMax} (limits.max_native_histogram_sample_size_bytes)`;
        refuse(seriesIndex, null, { reason: REASON.histogramSizeExceeded, text });
        continue;
      }
      const read = this.#reader.read(bytes, from, from + length);
      const { timeMs } = this.#reader;
      const histogram = 'text' in read ? refusalOf(read) : this.#fit(read, limits);
      if ('text' in histogram) {
        refuse(seriesIndex, timeMs, histogram);
        continue;
      }
      if (histogram !== read) reducedCount++;
      memoryBytes += HISTOGRAM_OVERHEAD_BYTES + 8 * bucketCountOf(histogram.layout);
      if (memoryBytes > REQUEST_MEMORY_MAX) throw tooLarge(k, columns.histogramCount);
      samples.push({ seriesIndex, timeMs, histogram });
    }
    return { samples, reducedCount };
  }

  /** The histogram, coarser where it has to be, or why it is refused. */
  #fit(
    sent: IntegerHistogram | FloatHistogram,
    limits: Limits,
  ): IntegerHistogram | FloatHistogram | HistogramRefusal {
    const isTooFine = sent.layout.schema > SCHEMA_MAX;
    const histogram = isTooFine ? (this.#reducer.reduce(sent, SCHEMA_MAX, 0) ?? sent) : sent;
    const problem = this.#problem(histogram);
    if (problem !== null) return refusalOf(problem);
    const { layout } = histogram;
    const bucketsMax = limits.maxNativeHistogramBuckets;
    if (bucketsMax === 0 || bucketCountOf(layout) <= bucketsMax) return histogram;
    if (layout.isCustom) return tooManyBuckets(layout, limits, '; custom buckets cannot be merged');
    if (!limits.reduceNativeHistogramOverMaxBuckets) return tooManyBuckets(layout, limits, '');
    return (
      this.#reducer.reduce(histogram, layout.schema, bucketsMax) ??
      tooManyBuckets(layout, limits, ', even in the coarsest schema')
    );
  }

  #problem(histogram: IntegerHistogram | FloatHistogram): HistogramDefect | null {
    const { layout } = histogram;
    if (histogram instanceof IntegerHistogram && this.#soundLayouts.has(layout) && isPlainlySound(histogram))
      return null;
    const problem = histogramProblem(histogram);
    if (problem === null) this.#soundLayouts.add(layout);
    return problem;
  }
}

/**
 * Whether the counts of a histogram of a sound layout add up, without a BigInt per bucket. False also where that takes
 * a closer look: counts from 2^53 on, NaN as sum, a zero bucket beside custom ones.
 */
function isPlainlySound({ words, layout, sum }: IntegerHistogram): boolean {
  const zeroCount = unsignedAt(words, VALUE.zeroCount);
  if (Number.isNaN(sum) || (layout.isCustom && zeroCount !== 0)) return false;
  const negativeAt = VALUE.buckets + layout.positiveCount;
  const placeCount = words.length >>> 1;
  let found = zeroCount;
  let bucket = 0;
  for (let k: number = VALUE.buckets; k < placeCount; k++) {
    if (k === negativeAt) bucket = 0;
    bucket += words[2 * k + 1]! * 2 ** 32 + (words[2 * k]! >>> 0);
    if (!(bucket >= 0 && bucket <= Number.MAX_SAFE_INTEGER)) return false;
    found += bucket;
  }
  return found <= Number.MAX_SAFE_INTEGER && found === unsignedAt(words, VALUE.count);
}

function unsignedAt(words: Int32Array, place: number): number {
  return (words[2 * place + 1]! >>> 0) * 2 ** 32 + (words[2 * place]! >>> 0);
}

function refusalOf({ reason, text }: HistogramDefect): HistogramRefusal {
  return { reason: reason === 'schema' ? REASON.histogramSchemaInvalid : REASON.histogramInvalid, text };
}

function tooManyBuckets(layout: HistogramLayout, limits: Limits, more: string): HistogramRefusal {
  const text = `it has ${bucketCountOf(layout)} buckets, over the limit of ${limits.maxNativeHistogramBuckets} (limits.max_native_histogram_buckets)${more}`;
  return { reason: REASON.histogramBucketsExceeded, text };
}

function tooLarge(taken: number, histogramCount: number): VarveError {
  const text = `the native histograms of the request need over ${REQUEST_MEMORY_MAX} bytes of memory (${taken} of ${histogramCount} do): send smaller requests`;
  return new VarveError('client', 'body-too-large', text, { details: { limitBytes: REQUEST_MEMORY_MAX } });
}

function bucketCountOf(layout: HistogramLayout): number {
  return layout.positiveCount + layout.negativeCount;
}
