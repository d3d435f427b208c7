import type { FloatHistogram, IntegerHistogram } from '../../histogram/index.js';
import { codecKernel } from '../../kernel/index.js';
import { CHUNK_ENCODING } from '../../storage/index.js';
import { decodeHistogramSamples, HistogramRun, type TimedChunk } from '../chunk/index.js';

/** Samples per chunk when late samples force re-encoding. */
const SAMPLES_PER_CHUNK = 120;

export interface FloatSamples {
  readonly timestamps: Float64Array;
  readonly values: Float64Array;
  readonly count: number;
}

/** Samples of a chunk: floats, or histograms of a kind. */
interface Column {
  readonly encoding: number;
  readonly timestamps: Float64Array;
  readonly count: number;
  /** Bits of the floats as pairs of words, which must not pass through a number: stale markers. */
  readonly words: Uint32Array;
  readonly at: (i: number) => IntegerHistogram | FloatHistogram;
}

/**
 * Chunks that overlap, and late floats, as one sequence of new chunks. A chunk begins where floats and histograms of
 * either kind take turns. Of equal times the sample of the chunk listed first stays, late floats after all.
 */
export function mergeChunks(
  chunks: readonly TimedChunk[],
  late: FloatSamples,
  minTimeMs: number,
  endTimeMs: number,
): TimedChunk[] {
  const columns = chunks.map(columnOf);
  columns.push(floatColumn(late));
  const order: { readonly column: number; readonly index: number; readonly time: number }[] = [];
  columns.forEach((column, c) => {
    for (let i = 0; i < column.count; i++) {
      const time = column.timestamps[i]!;
      if (time >= minTimeMs && time < endTimeMs) order.push({ column: c, index: i, time });
    }
  });
  order.sort((a, b) => a.time - b.time || a.column - b.column);
  const merged: TimedChunk[] = [];
  let run: FloatRun | HistogramRun | null = null;
  let encoding = 0;
  let last = Number.NEGATIVE_INFINITY;
  for (const { column, index, time } of order) {
    if (time === last) continue;
    last = time;
    const source = columns[column]!;
    if (run === null || source.encoding !== encoding) {
      if (run !== null) merged.push(...run.finish());
      encoding = source.encoding;
      run =
        encoding === CHUNK_ENCODING.xor
          ? new FloatRun()
          : new HistogramRun(encoding === CHUNK_ENCODING.floatHistogram, SAMPLES_PER_CHUNK);
    }
    if (run instanceof FloatRun) run.add(time, source.words, index);
    else run.add(time, source.at(index));
  }
  if (run !== null) merged.push(...run.finish());
  return merged;
}

function columnOf({ encoding, data }: TimedChunk): Column {
  if (encoding !== CHUNK_ENCODING.xor) {
    const { timestamps, sampleCount, at } = decodeHistogramSamples(encoding, data);
    return { encoding, timestamps, count: sampleCount, words: NO_WORDS, at };
  }
  const count = (data[0]! << 8) | data[1]!;
  const timestamps = new Float64Array(count);
  const values = new Float64Array(count);
  codecKernel().decodeXorInto(data, timestamps, values);
  return floatColumn({ timestamps, values, count });
}

const NO_WORDS = new Uint32Array(0);

function floatColumn({ timestamps, values, count }: FloatSamples): Column {
  return {
    encoding: CHUNK_ENCODING.xor,
    timestamps,
    count,
    words: new Uint32Array(values.buffer, values.byteOffset, values.length * 2),
    at: () => {
      throw new RangeError('a column of floats has no histograms');
    },
  };
}

/** Encodes a run of floats into chunks. */
class FloatRun {
  readonly #chunks: TimedChunk[] = [];
  readonly #timestamps = new Float64Array(SAMPLES_PER_CHUNK);
  readonly #values = new Float64Array(SAMPLES_PER_CHUNK);
  readonly #words = new Uint32Array(this.#values.buffer);
  #count = 0;

  add(timeMs: number, words: Uint32Array, index: number): void {
    if (this.#count === SAMPLES_PER_CHUNK) this.#flush();
    const n = this.#count++;
    this.#timestamps[n] = timeMs;
    this.#words[n * 2] = words[index * 2]!;
    this.#words[n * 2 + 1] = words[index * 2 + 1]!;
  }

  finish(): readonly TimedChunk[] {
    if (this.#count > 0) this.#flush();
    return this.#chunks;
  }

  #flush(): void {
    const n = this.#count;
    this.#chunks.push({
      minTime: this.#timestamps[0]!,
      maxTime: this.#timestamps[n - 1]!,
      encoding: CHUNK_ENCODING.xor,
      data: codecKernel().encodeXor(this.#timestamps, this.#values, n),
    });
    this.#count = 0;
  }
}
