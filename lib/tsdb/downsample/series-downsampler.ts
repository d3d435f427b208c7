import { VarveError } from '../../errors/index.js';
import { codecKernel, DownsampleKernel, type MadeChunk } from '../../kernel/index.js';
import type { Interval } from '../block/index.js';
import { AGGREGATE, ENCODING, HistogramDecoder, PlainChunkWriter } from '../chunk/index.js';
import { encodeHistogramWindows } from './histogram-chunks.js';
import {
  areAlike,
  expandHistograms,
  type HistogramSample,
  type HistogramWindow,
  histogramWindows,
  splitByBounds,
} from './histogram-windows.js';
import { chunkCountFor, windowEnd } from './levels.js';

/** A chunk of the series at hand, in the memory of the downsampler's kernel. */
export interface LoadedChunk {
  readonly encoding: number;
  readonly address: number;
  readonly length: number;
  /** Times the index gives, ms. */
  readonly minTime: number;
  readonly maxTime: number;
}

/** Entries of an aggregate chunk of histograms, decoded. */
interface HistogramAggregates {
  readonly counts: readonly { readonly timeMs: number; readonly value: number }[];
  readonly sums: readonly HistogramSample[];
  readonly counters: readonly HistogramSample[];
}

/**
 * Makes the aggregate chunks of one series at a time (spec: thanos-downsampling.md §3-6). For each: `kernel.reset()`,
 * load the chunks into `kernel` in time order, `downsample`.
 */
export class SeriesDownsampler {
  readonly kernel = new DownsampleKernel();
  readonly #input: number;
  readonly #output: number;
  readonly #decoder = new HistogramDecoder();
  readonly #plain = new PlainChunkWriter();

  /** @param input resolution of the chunks that come, ms, 0 for raw ones @param output that of the result, ms */
  constructor(input: number, output: number) {
    this.#input = input;
    this.#output = output;
  }

  /**
   * The chunks of the coarser level, in time order; none when there was nothing to count.
   * @param deleted spans of raw samples to leave out
   * @throws CorruptionError of a decoder, or VarveError `downsample-encoding`
   */
  downsample(chunks: readonly LoadedChunk[], deleted: readonly Interval[] = []): MadeChunk[] {
    if (this.#input === 0) return this.#downsampleRaw(chunks, this.#output, deleted);
    // A level may hold raw chunks, left by an old fault of other programs: those are brought to the level first.
    const made: MadeChunk[] = [];
    for (const run of runsOf(this.#asAggregates(chunks), (chunk) => this.#isHistogramAggregate(chunk))) {
      made.push(...this.#downsampleLevel(run));
    }
    return made;
  }

  #downsampleRaw(
    chunks: readonly LoadedChunk[],
    resolution: number,
    deleted: readonly Interval[],
  ): MadeChunk[] {
    const plain = chunks.map((chunk) => this.#withoutStartTimes(chunk));
    const made: MadeChunk[] = [];
    for (const run of runsOf(plain, (chunk) => chunk.encoding !== ENCODING.xor)) {
      const isFloat = run[0]!.encoding === ENCODING.xor;
      made.push(
        ...(isFloat
          ? this.#downsampleFloats(run, resolution, deleted)
          : this.#downsampleHistograms(run, resolution, deleted)),
      );
    }
    return made;
  }

  #downsampleFloats(
    run: readonly LoadedChunk[],
    resolution: number,
    deleted: readonly Interval[],
  ): MadeChunk[] {
    const { kernel } = this;
    let declared = 0;
    for (const { address, length } of run) declared += kernel.declaredSamples(address, length);
    kernel.beginSamples(declared);
    for (const { address, length } of run) kernel.addChunk(address, length);
    if (deleted.length > 0) kernel.dropSamples((timeMs) => isDeleted(timeMs, deleted));
    const { sampleCount, times } = kernel;
    if (sampleCount === 0) return [];
    const size = batchSize(times[0]!, times[sampleCount - 1]!, resolution, sampleCount);
    const made: MadeChunk[] = [];
    for (let from = 0; from < sampleCount; ) {
      const { chunk, next } = kernel.makeChunk(from, size, resolution);
      if (chunk !== null) made.push(chunk);
      from = next;
    }
    return made;
  }

  #downsampleHistograms(
    run: readonly LoadedChunk[],
    resolution: number,
    deleted: readonly Interval[],
  ): MadeChunk[] {
    let samples: HistogramSample[] = [];
    for (const chunk of run) expandHistograms(this.#decoder, chunk.encoding, this.#bytesOf(chunk), samples);
    if (deleted.length > 0) samples = samples.filter(({ timeMs }) => !isDeleted(timeMs, deleted));
    if (samples.length === 0) return [];
    const size = batchSize(samples[0]!.timeMs, samples.at(-1)!.timeMs, resolution, samples.length);
    const made: MadeChunk[] = [];
    for (let from = 0; from < samples.length; ) {
      let to = Math.min(samples.length, from + size);
      const edge = windowEnd(samples[to - 1]!.timeMs, resolution);
      while (to < samples.length && samples[to]!.timeMs <= edge) to++;
      const batch = samples.slice(from, to).filter(({ histogram }) => !Number.isNaN(histogram.sum));
      for (const part of splitByBounds(batch)) {
        made.push(...encodeHistogramWindows(histogramWindows(part, resolution)));
      }
      from = to;
    }
    return made;
  }

  /** Merges a run of aggregate chunks that are all of floats, or all of histograms. */
  #downsampleLevel(run: readonly LoadedChunk[]): MadeChunk[] {
    let sampleCount = 0;
    for (const { address, length } of run) sampleCount += this.kernel.entries(address, length).sampleCount;
    const count = chunkCountFor(run[0]!.minTime, run.at(-1)!.maxTime, this.#input, this.#output, sampleCount);
    const size = Math.max(1, Math.floor(run.length / count));
    const isHistogram = this.#isHistogramAggregate(run[0]!);
    const made: MadeChunk[] = [];
    for (let from = 0; from < run.length; from += size) {
      const batch = run.slice(from, from + size);
      if (isHistogram) made.push(...this.#mergeHistograms(batch));
      else made.push(this.#mergeFloats(batch));
    }
    return made;
  }

  #mergeFloats(batch: readonly LoadedChunk[]): MadeChunk {
    const { kernel } = this;
    kernel.beginChunks(batch.length);
    for (const { address, length } of batch) kernel.addAggregate(address, length);
    return kernel.mergeChunks(this.#output);
  }

  #mergeHistograms(batch: readonly LoadedChunk[]): MadeChunk[] {
    const decoded = batch
      .map((chunk) => this.#decodeAggregates(chunk))
      .filter(({ counters }) => counters.length > 0);
    const made: MadeChunk[] = [];
    for (let from = 0; from < decoded.length; ) {
      const first = decoded[from]!.counters[0]!.histogram;
      let to = from + 1;
      while (to < decoded.length && areAlike(first, decoded[to]!.counters[0]!.histogram)) to++;
      made.push(...encodeHistogramWindows(mergeWindows(decoded.slice(from, to), this.#output)));
      from = to;
    }
    return made;
  }

  #decodeAggregates(chunk: LoadedChunk): HistogramAggregates {
    const bytes = this.#bytesOf(chunk);
    const { entries } = this.kernel.entries(chunk.address, chunk.length);
    const entryOf = (aggregate: number): Uint8Array => {
      const { start, length } = entries[aggregate]!;
      return bytes.subarray(start, start + length);
    };
    const histogramsOf = (aggregate: number): HistogramSample[] => {
      const samples: HistogramSample[] = [];
      const { encoding, length } = entries[aggregate]!;
      if (length > 0) expandHistograms(this.#decoder, encoding, entryOf(aggregate), samples);
      return samples;
    };
    const counts = entryOf(AGGREGATE.count);
    const times = new Float64Array(counts.length * 4);
    const values = new Float64Array(counts.length * 4);
    const n = counts.length === 0 ? 0 : codecKernel().decodeXorInto(counts, times, values);
    return {
      counts: Array.from({ length: n }, (_, i) => ({ timeMs: times[i]!, value: values[i]! })),
      sums: histogramsOf(AGGREGATE.sum),
      counters: histogramsOf(AGGREGATE.counter),
    };
  }

  /** Raw chunks become aggregate chunks of the level; those without samples are left out. */
  #asAggregates(chunks: readonly LoadedChunk[]): LoadedChunk[] {
    const { kernel } = this;
    if (chunks.every((chunk) => chunk.encoding === ENCODING.aggregate)) return [...chunks];
    return chunks.flatMap((chunk) => {
      if (chunk.encoding === ENCODING.aggregate) return [chunk];
      if (kernel.declaredSamples(chunk.address, chunk.length) === 0) return [];
      return this.#downsampleRaw([chunk], this.#input, []).map(({ data, minTime, maxTime }) => ({
        encoding: ENCODING.aggregate,
        address: kernel.put(data),
        length: data.length,
        minTime,
        maxTime,
      }));
    });
  }

  /** As others tell them apart: by the counter, or, where it is absent, by the sum. */
  #isHistogramAggregate({ address, length }: LoadedChunk): boolean {
    const { entries } = this.kernel.entries(address, length);
    const counter = entries[AGGREGATE.counter]!;
    const told = counter.length > 0 ? counter : entries[AGGREGATE.sum]!;
    return told.encoding === ENCODING.histogram || told.encoding === ENCODING.floatHistogram;
  }

  #withoutStartTimes(chunk: LoadedChunk): LoadedChunk {
    const { encoding } = chunk;
    if (encoding >= ENCODING.xor && encoding <= ENCODING.floatHistogram) return chunk;
    if (encoding < ENCODING.xor2 || encoding > ENCODING.floatHistogramSt) {
      throw new VarveError(
        'unavailable',
        'downsample-encoding',
        `cannot downsample a chunk of encoding ${encoding}`,
        { details: { encoding } },
      );
    }
    const plain = this.#plain.write(encoding, this.#bytesOf(chunk).slice());
    const address = this.kernel.put(plain.data);
    return { ...chunk, encoding: plain.encoding, address, length: plain.data.length };
  }

  #bytesOf({ address, length }: LoadedChunk): Uint8Array {
    return this.kernel.bytes().subarray(address, address + length);
  }
}

/** Input samples of an output chunk. */
function batchSize(minTime: number, maxTime: number, resolution: number, sampleCount: number): number {
  return Math.floor(sampleCount / chunkCountFor(minTime, maxTime, 0, resolution, sampleCount)) + 1;
}

function isDeleted(timeMs: number, deleted: readonly Interval[]): boolean {
  return deleted.some(({ minTime, maxTime }) => timeMs >= minTime && timeMs <= maxTime);
}

/** Splits a list where the kind of its items changes. */
function runsOf<T>(items: readonly T[], kindOf: (item: T) => unknown): T[][] {
  const runs: T[][] = [];
  let kind: unknown;
  for (const item of items) {
    const next = kindOf(item);
    if (runs.length === 0 || next !== kind) runs.push([item]);
    else runs.at(-1)!.push(item);
    kind = next;
  }
  return runs;
}

/** Windows of a coarser level from the aggregates of a finer one; those that one of the three lacks are left out. */
function mergeWindows(decoded: readonly HistogramAggregates[], resolution: number): HistogramWindow[] {
  const counters = decoded.flatMap((chunk) => chunk.counters);
  const sums = decoded.flatMap((chunk) => chunk.sums);
  const counts = decoded.flatMap((chunk) => chunk.counts);
  if (sums.length === 0 || counts.length === 0) return [];
  const timeLast = counts.at(-1)!.timeMs;
  const countAt = new Map<number, number>();
  for (const { timeMs, value } of counts) {
    const edge = Math.min(windowEnd(timeMs, resolution), timeLast);
    countAt.set(edge, (countAt.get(edge) ?? 0) + value);
  }
  const sumAt = new Map(histogramWindows(sums, resolution).map(({ timeMs, sum }) => [timeMs, sum]));
  const windows: HistogramWindow[] = [];
  for (const { timeMs, counter } of histogramWindows(counters, resolution)) {
    const sum = sumAt.get(timeMs);
    const count = countAt.get(timeMs);
    if (sum !== undefined && count !== undefined) windows.push({ timeMs, count, sum, counter });
  }
  return windows;
}
