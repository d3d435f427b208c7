import { codecKernel } from '../../kernel/index.js';
import { AGGREGATE, decodeAggregateChunk, ENCODING, HistogramDecoder, Xor2Decoder } from '../chunk/index.js';

/** Reads the times of samples out of chunks of every encoding, for checks. Holds scratch memory. */
export class ChunkTimes {
  readonly #histograms = new HistogramDecoder();
  readonly #xor2 = new Xor2Decoder();
  readonly #timestamps = new Float64Array(65536);
  readonly #values = new Float64Array(65536);

  /**
   * The times in a chunk, in ms, valid until the next call. Of an aggregate chunk those of the count: the counter's begin
   * earlier, and the index goes by the others.
   * @throws CorruptionError when the chunk does not decode.
   */
  read(encoding: number, data: Uint8Array): Float64Array {
    if (encoding !== ENCODING.aggregate) return this.#readPlain(encoding, data);
    const count = decodeAggregateChunk(data)[AGGREGATE.count];
    return count == null ? this.#timestamps.subarray(0, 0) : this.#readPlain(count.encoding, count.data);
  }

  #readPlain(encoding: number, data: Uint8Array): Float64Array {
    if (encoding === ENCODING.xor) {
      const count = codecKernel().decodeXorInto(data, this.#timestamps, this.#values);
      return this.#timestamps.subarray(0, count);
    }
    if (encoding === ENCODING.xor2) return this.#xor2.decode(data).timestamps;
    return this.#histograms.decode(encoding, data).timestamps;
  }
}
