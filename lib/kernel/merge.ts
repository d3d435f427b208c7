import { CorruptionError } from '../errors/index.js';
import { createMemory, instantiate } from './module.js';

/** Exports of assembly/merge, where the layouts are described. */
interface MergeExports {
  mergeChunks(records: number, chunkCount: number, columns: number, capacity: number): number;
  mergeEncode(count: number, perChunk: number, pieces: number, out: number): number;
  mergeFailedChunk(): number;
}

/** A span of deleted time, both ends inclusive, ms. */
export interface DeletedSpan {
  readonly minTime: number;
  readonly maxTime: number;
}

const PAGE_BYTES = 65536;
const BEGIN = 16384;
const RECORD_BYTES = 40;
const PIECE_BYTES = 24;
const COLUMN_BYTES = 40;
const SPAN_BYTES = 16;
/** Decoders read a little beyond the data. */
const SLACK_BYTES = 64;
/** A series that needed more than this leaves too much memory behind. */
const KEEP_BYTES_MAX = 64 * 1024 * 1024;

const ERRORS: Readonly<Record<number, readonly [code: string, text: string]>> = {
  [-1]: ['chunk-truncated', 'the bits run out'],
  [-2]: ['chunk-bad-window', 'a value is wider than 64 bits'],
  [-3]: ['sample-order', 'a sample is not after the one before'],
  [-4]: ['chunk-time', 'a sample lies outside the times that the index gives'],
};

/**
 * Merges XOR chunks of one series: `begin`, `add` per chunk, `run`, then the chunks that came out. Holds a private
 * memory of its own; one instance per thread or task.
 */
export class MergeKernel {
  #memory!: WebAssembly.Memory;
  #exports!: MergeExports;
  #bytes!: Uint8Array;
  #view!: DataView;
  #top = BEGIN;
  #chunkCount = 0;
  #sampleCount = 0;
  #pieces = 0;
  /** Record fields of the chunks added, in their order. */
  readonly #addresses: number[] = [];
  readonly #lengths: number[] = [];
  readonly #minTimes: number[] = [];
  readonly #maxTimes: number[] = [];
  readonly #ranks: number[] = [];
  readonly #spans: number[] = [];
  readonly #spanCounts: number[] = [];

  constructor() {
    this.#renew();
  }

  /** Forgets the chunks of the series before. */
  begin(): void {
    if (this.#bytes.length > KEEP_BYTES_MAX) this.#renew();
    this.#top = BEGIN;
    this.#chunkCount = 0;
    this.#sampleCount = 0;
  }

  /**
   * Adds a chunk; chunks come by ascending first time. The data is copied.
   * @param minTime first and last time as the index gives them, ms; samples must lie between them
   * @param rank of samples with equal times that of the lowest rank stays
   * @param spans deleted times, sorted and apart
   */
  add(
    data: Uint8Array,
    minTime: number,
    maxTime: number,
    rank: number,
    spans: readonly DeletedSpan[] = [],
  ): void {
    const i = this.#chunkCount++;
    // Copies between equally aligned addresses go by words, others into shared memory by bytes.
    const address = align(this.#top) + (data.byteOffset & 7);
    const spansAt = align(address + data.length);
    this.#top = spansAt + spans.length * SPAN_BYTES;
    this.#ensure(this.#top);
    this.#bytes.set(data, address);
    for (let s = 0; s < spans.length; s++) {
      this.#view.setFloat64(spansAt + s * SPAN_BYTES, spans[s]!.minTime, true);
      this.#view.setFloat64(spansAt + s * SPAN_BYTES + 8, spans[s]!.maxTime, true);
    }
    this.#addresses[i] = address;
    this.#lengths[i] = data.length;
    this.#minTimes[i] = minTime;
    this.#maxTimes[i] = maxTime;
    this.#ranks[i] = rank;
    this.#spans[i] = spansAt;
    this.#spanCounts[i] = spans.length;
    this.#sampleCount += data.length < 2 ? 0 : (data[0]! << 8) | data[1]!;
  }

  /**
   * Merges what was added and encodes it.
   * @param samplesMax samples per chunk, 1..65535
   * @returns how many chunks came out
   * @throws CorruptionError `chunk-truncated`, `chunk-bad-window`, `sample-order` or `chunk-time`, with the number of
   *         the chunk in `details.chunk`
   */
  run(samplesMax: number): number {
    const { mergeChunks, mergeEncode, mergeFailedChunk } = this.#exports;
    const capacity = this.#sampleCount;
    const piecesMax = Math.ceil(capacity / samplesMax);
    const records = align(this.#top + SLACK_BYTES);
    const columns = records + this.#chunkCount * RECORD_BYTES;
    const pieces = columns + capacity * COLUMN_BYTES;
    const out = pieces + piecesMax * PIECE_BYTES;
    this.#ensure(out + piecesMax * 28 + capacity * 19 + SLACK_BYTES);
    this.#writeRecords(records);
    const count = mergeChunks(records, this.#chunkCount, columns, capacity);
    if (count < 0) {
      const [code, text] = ERRORS[count]!;
      throw new CorruptionError(code, `cannot decode an XOR chunk: ${text}`, {
        details: { chunk: mergeFailedChunk() },
      });
    }
    this.#pieces = pieces;
    return mergeEncode(count, samplesMax, pieces, out);
  }

  /** Time of the first sample of a chunk that came out, ms. */
  minTime(chunk: number): number {
    return this.#view.getFloat64(this.#pieces + chunk * PIECE_BYTES, true);
  }

  /** Time of its last sample, ms. */
  maxTime(chunk: number): number {
    return this.#view.getFloat64(this.#pieces + chunk * PIECE_BYTES + 8, true);
  }

  /** Its payload; a view until the next `begin` or `add`. */
  data(chunk: number): Uint8Array {
    const piece = this.#pieces + chunk * PIECE_BYTES;
    const address = this.#view.getUint32(piece + 16, true);
    return this.#bytes.subarray(address, address + this.#view.getUint32(piece + 20, true));
  }

  #writeRecords(records: number): void {
    const view = this.#view;
    for (let i = 0; i < this.#chunkCount; i++) {
      const record = records + i * RECORD_BYTES;
      view.setUint32(record, this.#addresses[i]!, true);
      view.setUint32(record + 4, this.#lengths[i]!, true);
      view.setFloat64(record + 8, this.#minTimes[i]!, true);
      view.setFloat64(record + 16, this.#maxTimes[i]!, true);
      view.setUint32(record + 24, this.#ranks[i]!, true);
      view.setUint32(record + 28, this.#spans[i]!, true);
      view.setUint32(record + 32, this.#spanCounts[i]!, true);
    }
  }

  #renew(): void {
    this.#memory = createMemory(PAGE_BYTES);
    this.#exports = instantiate<MergeExports>(this.#memory);
    this.#takeViews();
  }

  #ensure(end: number): void {
    if (end <= this.#bytes.length) return;
    this.#memory.grow(Math.ceil((end - this.#bytes.length) / PAGE_BYTES));
    this.#takeViews();
  }

  #takeViews(): void {
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#view = new DataView(this.#memory.buffer);
  }
}

function align(address: number): number {
  return Math.ceil(address / 8) * 8;
}
