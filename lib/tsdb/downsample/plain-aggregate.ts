import { divideHistogram, RESET_HINT } from '../../histogram/index.js';
import { codecKernel, DownsampleKernel, type MadeChunk } from '../../kernel/index.js';
import {
  AGGREGATE,
  decodeAggregateChunk,
  ENCODING,
  HistogramAppender,
  HistogramDecoder,
  histogramAt,
  type InnerChunk,
  type PlainChunk,
  PlainChunkWriter,
} from '../chunk/index.js';
import type { SeriesAggregate } from './aggregate-for.js';

/** A chunk that the query engine reads: encoding 1, 2 or 3. */
export interface PlainAggregate {
  readonly encoding: number;
  readonly data: Uint8Array;
  /** Times of the first and last sample, ms. The counter begins before the aggregate chunk's own first window. */
  readonly minTime: number;
  readonly maxTime: number;
}

/**
 * Turns chunks of a series, aggregate or raw, into plain chunks of one aggregate, each by itself: chunks of several
 * blocks and levels may follow one another, as long as they don't overlap in time. Samples before or after a queried
 * range may come along, as with any chunk.
 *
 * - count, sum, min, max: one sample per window at its end, 1 ms before the next begins. Raw samples count 1 each; for
 *   the others they stay what they are.
 * - average: sum by count of each window.
 * - counter: a counter that PromQL's own functions read. It has a sample per window and one where the chunk begins;
 *   resets inside a window show as a fall there. First and last values are true ones, so that whatever stands before and
 *   behind goes on from them: raw samples, another block, another level.
 *
 * Histograms have no min and max. Their counter was corrected for resets and isn't anchored in true values: after a
 * reset inside a chunk the next chunk looks like another one.
 *
 * Holds scratch memory: one per thread is enough.
 */
export class PlainAggregateWriter {
  readonly #kernel = new DownsampleKernel();
  readonly #plain = new PlainChunkWriter();
  readonly #histograms = new HistogramDecoder();

  /**
   * The chunk of one aggregate; null when the aggregate chunk lacks it.
   * @param minTime, maxTime what the index says of the chunk, ms
   * @param data read during the call, and the result may be a part of it
   * @throws CorruptionError
   */
  write(
    aggregate: SeriesAggregate,
    encoding: number,
    data: Uint8Array,
    minTime: number,
    maxTime: number,
  ): PlainAggregate | null {
    if (encoding !== ENCODING.aggregate) return this.#writeRaw(aggregate, encoding, data, minTime, maxTime);
    const inner = decodeAggregateChunk(data);
    const { count, sum, counter } = AGGREGATE;
    if (aggregate === 'average') return this.#average(inner[count] ?? null, inner[sum] ?? null);
    if (aggregate !== 'counter') return present(inner[AGGREGATE[aggregate]] ?? null, minTime, maxTime);
    const chunk = inner[counter] ?? null;
    if (chunk?.encoding !== ENCODING.xor) return present(chunk, minTime, maxTime);
    return plainFloats(this.#kernel.counter(chunk.data));
  }

  /** The counter entry of an aggregate chunk of floats as it stands; null when there is none. @throws CorruptionError */
  counterEntry(encoding: number, data: Uint8Array): Uint8Array | null {
    if (encoding !== ENCODING.aggregate) return null;
    const chunk = decodeAggregateChunk(data)[AGGREGATE.counter] ?? null;
    return chunk?.encoding === ENCODING.xor ? chunk.data : null;
  }

  /** A counter entry as a plain chunk, as `write` makes it. @throws CorruptionError */
  writeCounter(entry: Uint8Array): PlainAggregate | null {
    return plainFloats(this.#kernel.counter(entry));
  }

  #writeRaw(
    aggregate: SeriesAggregate,
    encoding: number,
    data: Uint8Array,
    minTime: number,
    maxTime: number,
  ): PlainAggregate | null {
    const isPlain = encoding >= ENCODING.xor && encoding <= ENCODING.floatHistogram;
    const chunk = isPlain ? { encoding, data } : this.#plain.write(encoding, data);
    if (aggregate !== 'count') return present(chunk, minTime, maxTime);
    if (chunk.encoding === ENCODING.xor) return plainFloats(this.#kernel.ones(chunk.data));
    const { timestamps, sampleCount } = this.#histograms.decode(chunk.encoding, chunk.data);
    const ones = new Float64Array(sampleCount).fill(1);
    return {
      encoding: ENCODING.xor,
      data: codecKernel().encodeXor(timestamps, ones, sampleCount),
      minTime,
      maxTime,
    };
  }

  #average(counts: InnerChunk | null, sums: InnerChunk | null): PlainAggregate | null {
    if (counts === null || sums === null) return null;
    if (sums.encoding === ENCODING.xor) return plainFloats(this.#kernel.average(counts.data, sums.data));
    return this.#averageHistograms(counts.data, sums);
  }

  #averageHistograms(counts: Uint8Array, sums: InnerChunk): PlainAggregate | null {
    const columns = this.#histograms.decode(sums.encoding, sums.data);
    const capacity = counts.length * 4;
    const times = new Float64Array(capacity);
    const values = new Float64Array(capacity);
    const countAt = new Map<number, number>();
    const n = codecKernel().decodeXorInto(counts, times, values);
    for (let i = 0; i < n; i++) countAt.set(times[i]!, values[i]!);
    const appender = HistogramAppender.floats();
    let first = 0;
    let last = 0;
    for (let i = 0; i < columns.sampleCount; i++) {
      const timeMs = columns.timestamps[i]!;
      const count = countAt.get(timeMs);
      if (count === undefined) continue;
      if (appender.sampleCount === 0) first = timeMs;
      const mean = divideHistogram(histogramAt(columns, i), count);
      appender.append(timeMs, mean.withHint(RESET_HINT.gauge));
      last = timeMs;
    }
    const data = appender.chunk();
    return data === null ? null : { encoding: appender.encoding, data, minTime: first, maxTime: last };
  }
}

function present(chunk: PlainChunk | null, minTime: number, maxTime: number): PlainAggregate | null {
  return chunk === null ? null : { encoding: chunk.encoding, data: chunk.data, minTime, maxTime };
}

function plainFloats(made: MadeChunk | null): PlainAggregate | null {
  return made === null ? null : { encoding: ENCODING.xor, ...made };
}
