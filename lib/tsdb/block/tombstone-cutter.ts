import { codecKernel } from '../../kernel/index.js';
import { CHUNK_ENCODING, type ChunkArena } from '../../storage/index.js';
import { HistogramAppender } from '../chunk/index.js';
import type { CopiedChunks } from './chunk-reader.js';
import type { Interval } from './tombstones.js';

/** Cuts deleted spans out of chunks by encoding them anew. Rare: blocks with deletions, until they are compacted. */
export class TombstoneCutter {
  #timestamps: Float64Array;
  #values: Float64Array;

  constructor() {
    this.#timestamps = new Float64Array(256);
    this.#values = new Float64Array(256);
  }

  /**
   * Replaces one chunk of a select, of encoding 1, 2 or 3, by its samples outside the intervals, in fresh arena memory.
   * @throws CorruptionError when the chunk does not decode
   */
  cut(copied: CopiedChunks, chunk: number, intervals: readonly Interval[], arena: ChunkArena): void {
    const address = copied.addresses[chunk]!;
    const data = arena.bytes().subarray(address, address + copied.byteLengths[chunk]!);
    const encoding = copied.encodings[chunk]!;
    const encoded =
      encoding === CHUNK_ENCODING.xor
        ? codecKernel().encodeXor(this.#timestamps, this.#values, this.#samplesOutside(data, intervals))
        : HistogramAppender.filtered(encoding, data, (time) => !isDeleted(time, intervals));
    const target = arena.reserve(encoded.length);
    arena.bytes().set(encoded, target);
    copied.addresses[chunk] = target;
    copied.byteLengths[chunk] = encoded.length;
  }

  /** Decodes a chunk into the columns and moves the samples that stay to the front; returns how many. */
  #samplesOutside(data: Uint8Array, intervals: readonly Interval[]): number {
    const declared = data.length < 2 ? 0 : (data[0]! << 8) | data[1]!;
    if (declared > this.#timestamps.length) {
      this.#timestamps = new Float64Array(declared);
      this.#values = new Float64Array(declared);
    }
    const timestamps = this.#timestamps;
    const count = codecKernel().decodeXorInto(data, timestamps, this.#values);
    // Values move as words: a number on its way through JavaScript could lose the bits of a NaN.
    const words = new Uint32Array(this.#values.buffer);
    let left = 0;
    for (let i = 0; i < count; i++) {
      const time = timestamps[i]!;
      if (isDeleted(time, intervals)) continue;
      timestamps[left] = time;
      words[2 * left] = words[2 * i]!;
      words[2 * left + 1] = words[2 * i + 1]!;
      left++;
    }
    return left;
  }
}

function isDeleted(time: number, intervals: readonly Interval[]): boolean {
  return intervals.some((interval) => time >= interval.minTime && time <= interval.maxTime);
}
