import { CorruptionError } from '../errors/index.js';
import { createMemory, instantiate } from './module.js';

/** Exports of assembly/downsample; addresses and counts are u32, times in ms. */
interface DownsampleExports {
  downsampleExpand(chunk: number, length: number, times: number, values: number, count: number): number;
  downsampleFloats(
    times: number,
    values: number,
    from: number,
    size: number,
    total: number,
    resolutionMs: number,
    work: number,
    out: number,
    dst: number,
  ): number;
  downsampleEntries(chunk: number, length: number, row: number): number;
  downsampleLevel(
    table: number,
    chunkCount: number,
    resolutionMs: number,
    times: number,
    values: number,
    work: number,
    out: number,
    dst: number,
  ): number;
  plainAverage(
    counts: number,
    countsLength: number,
    sums: number,
    sumsLength: number,
    columns: number,
    capacity: number,
    out: number,
    dst: number,
  ): number;
  plainOnes(
    chunk: number,
    length: number,
    columns: number,
    capacity: number,
    out: number,
    dst: number,
  ): number;
  plainCounter(
    chunk: number,
    length: number,
    columns: number,
    capacity: number,
    out: number,
    dst: number,
  ): number;
}

const PAGE_BYTES = 65536;
const SAMPLES_MAX = 65536;
const SLACK_BYTES = 64;
const ENTRY_COUNT = 5;
/** Bytes of a row that `downsampleEntries` writes. */
const ROW_BYTES = 64;
/** As in assembly/downsample/windows.ts. */
const COLUMN_BYTES = 65544 * 8 + 192;
const WORK = 16384;
const OUT = WORK + 6 * COLUMN_BYTES;
const ROW = OUT + 64;
const RESULT = ROW + ROW_BYTES;
const INPUT = RESULT + 5 * (64 + 19 * SAMPLES_MAX);

/** An encoded chunk that a function made. */
export interface MadeChunk {
  /** A copy that belongs to the caller. */
  readonly data: Uint8Array;
  /** Times of the first and last window, or sample, ms. */
  readonly minTime: number;
  readonly maxTime: number;
}

/** Where an entry of an aggregate chunk lies in its bytes; length 0 when it is absent. */
export interface AggregateEntry {
  readonly start: number;
  readonly length: number;
  readonly encoding: number;
}

/**
 * Windows over float samples, in a private memory that holds one series at a time: `reset`, bring chunks in through
 * `reserve` and `bytes` (the interface of a chunk arena), then either `beginSamples`, `addChunk` and `makeChunk` for raw
 * samples, or `beginChunks`, `addAggregate` and `mergeChunks` for aggregate chunks.
 */
export class DownsampleKernel {
  readonly #memory = createMemory(0);
  readonly #exports = instantiate<DownsampleExports>(this.#memory);
  #bytes = new Uint8Array(this.#memory.buffer);
  #doubles = new Float64Array(this.#memory.buffer);
  #words = new Uint32Array(this.#memory.buffer);
  /** End of what is reserved. */
  #top = INPUT;
  #times = 0;
  #values = 0;
  #capacity = 0;
  #sampleCount = 0;
  #table = 0;
  #chunkCount = 0;
  #claimed = 0;

  /** Forgets all input. */
  reset(): void {
    this.#top = INPUT;
  }

  /** Reserves input bytes: 8-byte aligned, with room behind them. Views taken before may be stale afterwards. */
  reserve(byteCount: number): number {
    const address = this.#top;
    this.#top = align8(address + byteCount) + SLACK_BYTES;
    this.#ensure(this.#top);
    return address;
  }

  /** The memory; valid until the next `reserve`. */
  bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Copies bytes in. */
  put(bytes: Uint8Array): number {
    const address = this.reserve(bytes.length);
    this.#bytes.set(bytes, address);
    return address;
  }

  /** Samples in the columns. */
  get sampleCount(): number {
    return this.#sampleCount;
  }

  /** Times of the samples, ms; a view until the next `reserve`. */
  get times(): Float64Array {
    return this.#doubles.subarray(this.#times / 8, this.#times / 8 + this.#sampleCount);
  }

  /** Empties the columns and makes room. */
  beginSamples(capacity: number): void {
    this.#sampleCount = 0;
    this.#capacity = capacity;
    this.#times = this.reserve(capacity * 8);
    this.#values = this.reserve(capacity * 8);
  }

  /**
   * Decodes an XOR chunk behind the samples so far, without stale markers and samples out of order.
   * @throws CorruptionError as `CodecKernel.decodeXorInto`
   */
  addChunk(address: number, length: number): void {
    const declared = this.declaredSamples(address, length);
    if (this.#sampleCount + declared > this.#capacity) throw chunkError(-1, length);
    const count = this.#exports.downsampleExpand(
      address,
      length,
      this.#times,
      this.#values,
      this.#sampleCount,
    );
    if (count < 0) throw chunkError(count, length);
    this.#sampleCount = count;
  }

  /** The sample count in a chunk's first bytes. @throws CorruptionError when so many cannot be in it. */
  declaredSamples(address: number, length: number): number {
    const declared = length < 2 ? 0 : (this.#bytes[address]! << 8) | this.#bytes[address + 1]!;
    if (length < 2 || declared > length * 4) throw chunkError(-1, length);
    return declared;
  }

  /** Leaves out the samples of whose time the test says so. */
  dropSamples(isDropped: (timeMs: number) => boolean): void {
    const times = this.#times / 8;
    const values = this.#values / 8;
    let kept = 0;
    for (let i = 0; i < this.#sampleCount; i++) {
      if (isDropped(this.#doubles[times + i]!)) continue;
      // Words, not numbers: those could change a NaN.
      this.#doubles.copyWithin(times + kept, times + i, times + i + 1);
      this.#doubles.copyWithin(values + kept, values + i, values + i + 1);
      kept++;
    }
    this.#sampleCount = kept;
  }

  /**
   * Makes one aggregate chunk of the samples from `from` on: `size` of them and the rest of the last one's window.
   * @returns the chunk, null when there were only NaNs, and the first sample it leaves
   */
  makeChunk(from: number, size: number, resolutionMs: number): { chunk: MadeChunk | null; next: number } {
    const length = this.#exports.downsampleFloats(
      this.#times,
      this.#values,
      from,
      size,
      this.#sampleCount,
      resolutionMs,
      WORK,
      OUT,
      RESULT,
    );
    const next = this.#words[OUT / 4 + 4]!;
    return { chunk: length === 0 ? null : this.#made(length), next };
  }

  /** Empties the list of aggregate chunks and makes room. */
  beginChunks(capacity: number): void {
    this.#table = this.reserve(capacity * ROW_BYTES);
    this.#chunkCount = 0;
    this.#claimed = 0;
  }

  /** Adds an aggregate chunk of floats to those that `mergeChunks` takes. @throws CorruptionError */
  addAggregate(address: number, length: number): void {
    const row = this.#table + this.#chunkCount * ROW_BYTES;
    if (this.#exports.downsampleEntries(address, length, row) < 0) throw aggregateError(length);
    this.#claimed += this.#words[row / 4 + 15]!;
    this.#chunkCount++;
  }

  /** Makes one aggregate chunk of wider windows of all. @throws CorruptionError, or `downsample-chunk-too-large` */
  mergeChunks(resolutionMs: number): MadeChunk {
    this.beginSamples(this.#claimed + 1);
    const length = this.#exports.downsampleLevel(
      this.#table,
      this.#chunkCount,
      resolutionMs,
      this.#times,
      this.#values,
      WORK,
      OUT,
      RESULT,
    );
    if (length < 0) throw chunkError(length, this.#chunkCount);
    return this.#made(length);
  }

  /** The entries of an aggregate chunk, and the samples of its count. @throws CorruptionError */
  entries(address: number, length: number): { entries: AggregateEntry[]; sampleCount: number } {
    const sampleCount = this.#exports.downsampleEntries(address, length, ROW);
    if (sampleCount < 0) throw aggregateError(length);
    const entries: AggregateEntry[] = [];
    for (let i = 0; i < ENTRY_COUNT; i++) {
      const at = ROW / 4 + 3 * i;
      const entryLength = this.#words[at + 1]!;
      const start = entryLength === 0 ? 0 : this.#words[at]! - address;
      entries.push({ start, length: entryLength, encoding: this.#words[at + 2]! });
    }
    return { entries, sampleCount };
  }

  /** Sum by count as an XOR chunk; null without samples. @throws CorruptionError */
  average(counts: Uint8Array, sums: Uint8Array): MadeChunk | null {
    this.reset();
    const countsAt = this.put(counts);
    const sumsAt = this.put(sums);
    const capacity = Math.max(
      this.declaredSamples(countsAt, counts.length),
      this.declaredSamples(sumsAt, sums.length),
    );
    const columns = this.reserve(capacity * 32);
    const length = this.#exports.plainAverage(
      countsAt,
      counts.length,
      sumsAt,
      sums.length,
      columns,
      capacity,
      OUT,
      RESULT,
    );
    return this.#plain(length, counts.length);
  }

  /** The counter of an aggregate chunk as a plain one; see assembly/downsample/plain.ts. @throws CorruptionError */
  counter(chunk: Uint8Array): MadeChunk | null {
    this.reset();
    const address = this.put(chunk);
    const capacity = this.declaredSamples(address, chunk.length);
    const columns = this.reserve((capacity + 1) * 32);
    const length = this.#exports.plainCounter(address, chunk.length, columns, capacity, OUT, RESULT);
    return this.#plain(length, chunk.length);
  }

  /** An XOR chunk with every value 1, stale markers as they are. @throws CorruptionError */
  ones(chunk: Uint8Array): MadeChunk | null {
    this.reset();
    const address = this.put(chunk);
    const capacity = this.declaredSamples(address, chunk.length);
    const columns = this.reserve(capacity * 16);
    const length = this.#exports.plainOnes(address, chunk.length, columns, capacity, OUT, RESULT);
    return this.#plain(length, chunk.length);
  }

  #plain(length: number, chunkBytes: number): MadeChunk | null {
    if (length < 0) throw chunkError(length, chunkBytes);
    return length === 0 ? null : this.#made(length);
  }

  #made(length: number): MadeChunk {
    const pooled = Buffer.allocUnsafe(length);
    const data = new Uint8Array(pooled.buffer, pooled.byteOffset, length);
    data.set(this.#bytes.subarray(RESULT, RESULT + length));
    return { data, minTime: this.#doubles[OUT / 8]!, maxTime: this.#doubles[OUT / 8 + 1]! };
  }

  #ensure(end: number): void {
    const missing = end + SLACK_BYTES - this.#bytes.length;
    if (missing <= 0) return;
    this.#memory.grow(Math.ceil(Math.max(missing, this.#bytes.length / 4) / PAGE_BYTES));
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#doubles = new Float64Array(this.#memory.buffer);
    this.#words = new Uint32Array(this.#memory.buffer);
  }
}

function align8(byteCount: number): number {
  return Math.ceil(byteCount / 8) * 8;
}

function aggregateError(chunkBytes: number): CorruptionError {
  return new CorruptionError(
    'aggregate-chunk-layout',
    `an aggregate chunk of ${chunkBytes} bytes is not five entries`,
    { details: { chunkBytes } },
  );
}

const CHUNK_ERRORS: Readonly<Record<number, readonly [code: string, text: string]>> = {
  [-1]: ['chunk-truncated', 'the bits run out'],
  [-2]: ['chunk-bad-window', 'a value is wider than 64 bits'],
  [-3]: ['aggregate-encoding', 'an aggregate of floats is no XOR chunk'],
  [-4]: ['downsample-chunk-too-large', 'it has more windows than a chunk can hold'],
};

function chunkError(result: number, chunkBytes: number): CorruptionError {
  const [code, text] = CHUNK_ERRORS[result]!;
  return new CorruptionError(code, `cannot decode a chunk of ${chunkBytes} bytes: ${text}`, {
    details: { chunkBytes },
  });
}
