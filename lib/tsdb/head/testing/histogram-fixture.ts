import {
  bucketCountOf,
  CUSTOM_SCHEMA,
  FloatHistogram,
  HistogramLayout,
  IntegerHistogram,
  NO_SPANS,
  RESET_HINT,
  spansOf,
  spansOfIndexes,
  VALUE,
} from '../../../histogram/index.js';
import { ScanKernel } from '../../../kernel/index.js';
import { snappy, type TestSeries, writeRequest } from '../../../kernel/testing/write-request.js';
import type { Prng } from '../../../prng/index.js';
import { ArrayArena, CHUNK_ENCODING, type SeriesSet } from '../../../storage/index.js';
import { decodeHistogramSamples } from '../../chunk/index.js';
import type { Head } from '../head.js';
import type { HeadReader } from '../head-reader.js';
import { decodeChunk } from './head-fixture.js';

/** Makes, appends and reads native histograms, for tests. */

export type AnyHistogram = IntegerHistogram | FloatHistogram;

export const STALE_BITS = 0x7ff0000000000002n;

export interface HistogramShape {
  readonly isFloat?: boolean;
  readonly isGauge?: boolean;
  /** Custom bounds instead of exponential buckets. */
  readonly isCustom?: boolean;
  readonly bucketsMax?: number;
}

/** A histogram that goes its way: counts grow, buckets come, and now and then all is reset. */
export class HistogramWalk {
  readonly #prng: Prng;
  readonly #shape: HistogramShape;
  readonly #sides = [new Map<number, number>(), new Map<number, number>()];
  #zeroCount = 0;
  #sum = 0;

  constructor(prng: Prng, shape: HistogramShape = {}) {
    this.#prng = prng;
    this.#shape = shape;
  }

  next(): AnyHistogram {
    const prng = this.#prng;
    const { isFloat, isGauge, isCustom, bucketsMax = 10 } = this.#shape;
    if (prng.nextInt(60) === 0) for (const side of this.#sides) side.clear();
    for (const [which, side] of this.#sides.entries()) {
      if (isCustom === true && which === 1) continue;
      for (let n = prng.nextInt(4); n > 0; n--) {
        const index = prng.nextInt(bucketsMax) - (isCustom === true ? 0 : 3);
        side.set(index, (side.get(index) ?? 0) + prng.nextInt(5));
        if (isGauge === true && prng.nextInt(5) === 0) side.delete(index);
      }
    }
    if (isCustom !== true) this.#zeroCount += prng.nextInt(2);
    this.#sum += prng.nextInt(1000) / 8;
    const [positive, negative] = this.#sides.map((side) => {
      const indexes = Int32Array.from(side.keys()).sort();
      return { indexes, counts: Array.from(indexes, (index) => BigInt(side.get(index)!)) };
    });
    const bounds = isCustom === true ? Float64Array.from({ length: bucketsMax }, (_, i) => i / 8) : undefined;
    const layout = new HistogramLayout(
      isCustom === true ? CUSTOM_SCHEMA : 2,
      isCustom === true ? 0 : 0.001,
      spansOfIndexes(positive!.indexes),
      spansOfIndexes(negative!.indexes),
      bounds,
    );
    const deltas = (counts: readonly bigint[]) => counts.map((count, i) => count - (counts[i - 1] ?? 0n));
    const histogram = IntegerHistogram.of({
      layout,
      hint: isGauge === true ? RESET_HINT.gauge : RESET_HINT.unknown,
      count: [...positive!.counts, ...negative!.counts].reduce((a, b) => a + b, BigInt(this.#zeroCount)),
      zeroCount: BigInt(this.#zeroCount),
      sum: this.#sum,
      positiveDeltas: deltas(positive!.counts),
      negativeDeltas: deltas(negative!.counts),
    });
    return isFloat === true ? histogram.toFloat() : histogram;
  }
}

/** A histogram of so many neighbouring buckets, each with `count` observations and one more on the way up. */
export function denseHistogram(bucketCount: number, count: number, isFloat = false): AnyHistogram {
  const spans = spansOf([0, bucketCount]);
  const histogram = IntegerHistogram.of({
    layout: new HistogramLayout(3, 2 ** -128, spans, NO_SPANS),
    count: BigInt(bucketCount * count + (bucketCount * (bucketCount - 1)) / 2),
    zeroCount: 0n,
    sum: count * 1.5,
    positiveDeltas: Array.from({ length: bucketCountOf(spans) }, (_, i) => (i === 0 ? BigInt(count) : 1n)),
    negativeDeltas: [],
  });
  return isFloat ? histogram.toFloat() : histogram;
}

/** All that tells a sample from another, hints left out; buckets without observations are not there. */
export function keyOf(histogram: AnyHistogram): string {
  const kind = histogram instanceof FloatHistogram ? 'float' : 'integer';
  if (histogram.isStale) return `${kind} stale`;
  const floats = histogram instanceof FloatHistogram ? histogram : histogram.toFloat();
  const { layout, values } = floats;
  const buckets: string[] = [];
  layout.positiveIndexes.forEach((index, i) => {
    if (values[VALUE.buckets + i] !== 0) buckets.push(`${index}:${values[VALUE.buckets + i]}`);
  });
  layout.negativeIndexes.forEach((index, i) => {
    const count = values[VALUE.buckets + layout.positiveCount + i];
    if (count !== 0) buckets.push(`-${index}:${count}`);
  });
  const shape = [kind, layout.schema, layout.zeroThreshold, ...layout.customBounds];
  return [...shape, floats.count, floats.zeroCount, floats.sum, ...buckets].join(' ');
}

/** The same for a float, by its bits. */
export function keyOfBits(bits: bigint): string {
  return `number ${bits.toString(16)}`;
}

const scan = new ScanKernel();

/** The ref of a series, made if need be. */
export function refOf(head: Head, labels: TestSeries['labels']): number {
  const body = snappy(writeRequest([{ labels, samples: [] }]));
  scan.load([body], body.length, 2 ** 27);
  if (head.kernel.loadBatch(scan) > 0) {
    const bytes = scan.labelBytes(0);
    head.kernel.setRef(0, head.kernel.find(bytes) || head.kernel.create(bytes));
  }
  return head.kernel.refAt(0);
}

export interface MixedChunk {
  readonly encoding: number;
  readonly bytes: Uint8Array;
  readonly times: readonly number[];
  readonly keys: readonly string[];
}

export interface MixedSeries {
  /** `name=value` joined by commas. */
  readonly labels: string;
  readonly chunks: readonly MixedChunk[];
}

export function decodeMixedChunk(encoding: number, bytes: Uint8Array): MixedChunk {
  if (encoding === CHUNK_ENCODING.xor) {
    const { times, bits } = decodeChunk(bytes);
    return { encoding, bytes, times, keys: bits.map(keyOfBits) };
  }
  const { timestamps, sampleCount, at } = decodeHistogramSamples(encoding, bytes);
  const keys = Array.from({ length: sampleCount }, (_, i) => keyOf(at(i)));
  return { encoding, bytes, times: [...timestamps], keys };
}

export function decodeMixedSet(set: SeriesSet, arena: ArrayArena): MixedSeries[] {
  return Array.from({ length: set.seriesCount }, (_, i) => {
    const labels: string[] = [];
    for (let k = set.labelOffsets[i]!; k < set.labelOffsets[i + 1]!; k += 2)
      labels.push(`${set.symbols.text(set.labels[k]!)}=${set.symbols.text(set.labels[k + 1]!)}`);
    const chunks: MixedChunk[] = [];
    for (let k = set.chunkOffsets[i]!; k < set.chunkOffsets[i + 1]!; k++) {
      const address = set.chunkAddresses[k]!;
      const bytes = arena.bytes().slice(address, address + set.chunkByteLengths[k]!);
      chunks.push(decodeMixedChunk(set.chunkEncodings[k]!, bytes));
    }
    return { labels: labels.join(','), chunks };
  });
}

/** All that a reader finds, floats and histograms. */
export async function selectMixed(
  reader: HeadReader,
  minTimeMs = -8.64e15,
  maxTimeMs = 8.64e15,
  newestOnly = false,
): Promise<MixedSeries[]> {
  const arena = new ArrayArena();
  reader.begin();
  const common = { stepMs: 0, func: '', rangeMs: 0, withoutChunks: false, limit: 0 };
  return decodeMixedSet(
    await reader.select([], { minTimeMs, maxTimeMs, newestOnly, ...common }, arena),
    arena,
  );
}

/** The samples of a series by time: of equal times that of the earlier chunk. */
export function mixedSamplesOf(series: MixedSeries): Map<number, string> {
  const merged = new Map<number, string>();
  for (const chunk of series.chunks)
    chunk.times.forEach((time, i) => {
      if (!merged.has(time)) merged.set(time, chunk.keys[i]!);
    });
  return new Map([...merged].sort(([a], [b]) => a - b));
}

/**
 * The sample that series i of a test has at a time: numbers, integers and doubles take turns every ten minutes, counts
 * grow, and with them comes a bucket now and then.
 */
export function predicted(i: number, timeMs: number): bigint | AnyHistogram {
  const kind = (i + Math.floor(timeMs / 600_000)) % 3;
  const seconds = Math.floor(timeMs / 1000) % 1_000_000;
  if (kind === 0) return BigInt(timeMs);
  return denseHistogram(3 + (Math.floor(timeMs / 100_000) % 50), seconds, kind === 1);
}

export function predictedKey(i: number, timeMs: number): string {
  const sample = predicted(i, timeMs);
  return typeof sample === 'bigint' ? keyOfBits(sample) : keyOf(sample);
}
