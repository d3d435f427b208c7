import { VarveError } from '../errors/index.js';
import type { HeadExports } from './head-exports.js';
import { HeadHistograms } from './head-histograms.js';
import { createMemory, instantiate, MEMORY_BYTES_MAX } from './module.js';
import { fingerprintSecret, type ScanKernel } from './scan.js';

/**
 * The writing side of a head: series, chunks, postings and the log batch in one shared memory (layout:
 * assembly/head/layout.ts). One thread writes; readers in other threads use lib/tsdb/head over the same memory.
 */

export interface HeadKernelOptions {
  /** Length of a block, to whose borders chunks are cut. */
  readonly chunkRangeMs: number;
  readonly outOfOrderWindowMs: number;
  /** At most 4 GiB. */
  readonly memoryBytesMax: number;
}

/** Outcome codes of samples, as numbered in assembly/head/layout.ts. */
export const SAMPLE_CODE = {
  accepted: 0,
  acceptedOutOfOrder: 1,
  duplicate: 2,
  tooOld: 3,
  newValue: 4,
  future: 5,
  outOfOrder: 6,
  outOfBounds: 7,
  seriesRefused: 8,
} as const;

const CODE_COUNT = 9;
const ROOT_SERIES_LIMIT = 1024;
const ROOT_SERIES_COUNT = 1048;
const ROOT_MAX_TIME = 1056;
const ROOT_MIN_TIME = 1064;
const ROOT_CODE_COUNTS = 1088;
const ROOT_CODE_FIRST = 1152;

/** Kept free for what a batch needs beyond its samples: table growth, pages of records. */
const RESERVE_BYTES = 96 * 1024 * 1024;
const BATCH_RETAINED_BYTES_MAX = 2 * 1024 * 1024;

/** What became of a batch. */
export interface AppendOutcome {
  /** Samples per SAMPLE_CODE. */
  readonly counts: Uint32Array;
  /** Index of the first sample per code, 0xffffffff when there was none. */
  readonly first: Uint32Array;
}

export class HeadKernel {
  readonly memory: WebAssembly.Memory;
  readonly histograms: HeadHistograms;
  readonly #exports: HeadExports;
  readonly #memoryBytesMax: number;
  #bytes: Uint8Array;
  #words: Uint32Array;
  #batchAddress = 0;
  #batchCapacity = 0;
  #labelAddress = 0;
  #labelCapacity = 0;
  // Columns of the batch, addresses.
  #refs = 0;
  #starts = 0;
  #times = 0;
  #values = 0;
  #seriesCount = 0;
  #sampleCount = 0;

  constructor(options: HeadKernelOptions) {
    this.#memoryBytesMax = Math.min(options.memoryBytesMax, MEMORY_BYTES_MAX - 65536);
    this.memory = createMemory(6 * 1024 * 1024, this.#memoryBytesMax);
    this.#exports = instantiate<HeadExports>(this.memory);
    this.#exports.crcInit();
    const [low, high] = fingerprintSecret();
    this.#exports.fingerprintSeed(0, 0, low, high);
    if (this.#exports.headInit(this.#memoryBytesMax) === 0) throw this.#outOfMemory();
    this.#exports.appendConfigure(options.chunkRangeMs, options.outOfOrderWindowMs);
    this.#bytes = new Uint8Array(this.memory.buffer);
    this.#words = new Uint32Array(this.memory.buffer);
    this.histograms = new HeadHistograms({
      exports: this.#exports,
      put: (bytes) => this.#putLabels(bytes),
      outOfMemory: () => this.#outOfMemory(),
    });
  }

  configure(chunkRangeMs: number, outOfOrderWindowMs: number): void {
    this.#exports.appendConfigure(chunkRangeMs, outOfOrderWindowMs);
  }

  #outOfMemory(): VarveError {
    return new VarveError(
      'unavailable',
      'head-memory-full',
      `the in-memory head is full (${this.#memoryBytesMax} bytes): flush it, raise head.memory_bytes_max or add ingesters`,
    );
  }

  /** Views of the memory, re-taken after it has grown. */
  #refresh(): void {
    if (this.#bytes.length !== this.memory.buffer.byteLength) {
      this.#bytes = new Uint8Array(this.memory.buffer);
      this.#words = new Uint32Array(this.memory.buffer);
    }
  }

  get bytes(): Uint8Array {
    this.#refresh();
    return this.#bytes;
  }

  get seriesCount(): number {
    return this.#words[ROOT_SERIES_COUNT >>> 2]!;
  }

  /** One above the highest ref in use. */
  get seriesLimit(): number {
    return this.#words[ROOT_SERIES_LIMIT >>> 2]!;
  }

  /** Time of the newest sample, ms, or null when there is none. */
  get maxTimeMs(): number | null {
    const low = this.#words[ROOT_MAX_TIME >>> 2]!;
    const high = this.#words[(ROOT_MAX_TIME >>> 2) + 1]! | 0;
    if (high === -0x80000000) return null;
    return high * 2 ** 32 + low;
  }

  /** About the time of the oldest sample, ms, for status pages; null when there is none. */
  get minTimeMs(): number | null {
    const high = this.#words[(ROOT_MIN_TIME >>> 2) + 1]! | 0;
    return this.seriesCount === 0 || high > 2 ** 22
      ? null
      : high * 2 ** 32 + this.#words[ROOT_MIN_TIME >>> 2]!;
  }

  /** Notes that all samples before a time have left the head. */
  raiseMinTime(timeMs: number): void {
    this.#exports.raiseMinTime(timeMs);
  }

  get usedBytes(): number {
    return this.#exports.allocUsedBytes();
  }

  get memoryBytes(): number {
    return this.memory.buffer.byteLength;
  }

  get chunksMade(): number {
    return this.#exports.chunksMade.value >>> 0;
  }

  get retiredCount(): number {
    return this.#exports.retiredCount();
  }

  /**
   * Takes over the columns of a scanned request and looks its series up.
   * @returns how many series the head does not know; `refAt(i) === 0` tells which
   * @throws VarveError unavailable `head-memory-full`
   */
  loadBatch(scan: ScanKernel): number {
    const { seriesCount, sampleCount, hashes1, hashes2, starts, times, values } = scan.columns;
    const logBytes = 64 + sampleCount * 24;
    const needed = seriesCount * 28 + sampleCount * 16 + 256;
    // Every sample may open a chunk in the worst case.
    const worst = needed + logBytes * 3 + sampleCount * 96 + seriesCount * 1024;
    if (this.#exports.allocUsedBytes() + worst + RESERVE_BYTES > this.#memoryBytesMax)
      throw this.#outOfMemory();
    if (
      needed > this.#batchCapacity ||
      (this.#batchCapacity > BATCH_RETAINED_BYTES_MAX && needed * 8 < this.#batchCapacity)
    ) {
      if (this.#batchAddress !== 0) this.#exports.headFree(this.#batchAddress, this.#batchCapacity);
      this.#batchCapacity = Math.max(needed, 131072);
      this.#batchAddress = this.#exports.headAlloc(this.#batchCapacity) >>> 0;
      if (this.#batchAddress === 0) {
        this.#batchCapacity = 0;
        throw this.#outOfMemory();
      }
    }
    if (this.#exports.recordReserve(logBytes) === 0 || this.#exports.batchReserve(logBytes) === 0)
      throw this.#outOfMemory();
    this.#refresh();
    const base = this.#batchAddress;
    const headHashes1 = base;
    const headHashes2 = headHashes1 + seriesCount * 8;
    this.#times = headHashes2 + seriesCount * 8;
    this.#values = this.#times + sampleCount * 8;
    this.#starts = this.#values + sampleCount * 8;
    this.#refs = this.#starts + seriesCount * 4 + 4;
    this.#seriesCount = seriesCount;
    this.#sampleCount = sampleCount;
    const source = scan.bytes;
    const target = this.#bytes;
    target.set(source.subarray(hashes1, hashes1 + seriesCount * 8), headHashes1);
    target.set(source.subarray(hashes2, hashes2 + seriesCount * 8), headHashes2);
    target.set(source.subarray(times, times + sampleCount * 8), this.#times);
    target.set(source.subarray(values, values + sampleCount * 8), this.#values);
    target.set(source.subarray(starts, starts + seriesCount * 4 + 4), this.#starts);
    return this.#exports.lookupBatch(headHashes1, headHashes2, seriesCount, this.#refs);
  }

  /** Ref of series i of the batch, 0 when unknown or refused. */
  refAt(i: number): number {
    return this.#words[(this.#refs >>> 2) + i]!;
  }

  setRef(i: number, ref: number): void {
    this.#words[(this.#refs >>> 2) + i] = ref;
  }

  /** The series with these canonical labels, or 0. */
  find(labels: Uint8Array): number {
    return this.#exports.findByLabels(this.#putLabels(labels), labels.length) >>> 0;
  }

  /**
   * Makes a series and logs its definition.
   * @param labels canonical protobuf encoding (see assembly/head/series.ts); copied
   * @param wantedRef the ref to use, on replay (which does not log); 0 otherwise
   */
  create(labels: Uint8Array, wantedRef = 0): number {
    const address = this.#putLabels(labels);
    if (wantedRef === 0 && this.#exports.seriesReserve(labels.length) === 0) throw this.#outOfMemory();
    this.#exports.fingerprint(address, labels.length);
    const ref = this.#exports.seriesCreate(address, labels.length, wantedRef) >>> 0;
    if (ref === 0) throw this.#outOfMemory();
    if (wantedRef === 0) this.#exports.seriesRecord(ref, address, labels.length);
    this.#refresh();
    return ref;
  }

  /** Copies bytes into scratch memory, with room for `room` bytes in all. */
  #putLabels(labels: Uint8Array, room = labels.length): number {
    if (room > this.#labelCapacity) {
      if (this.#labelAddress !== 0) this.#exports.headFree(this.#labelAddress, this.#labelCapacity);
      this.#labelCapacity = Math.max(room, 4096);
      this.#labelAddress = this.#exports.headAlloc(this.#labelCapacity) >>> 0;
      if (this.#labelAddress === 0) {
        this.#labelCapacity = 0;
        throw this.#outOfMemory();
      }
    }
    this.#refresh();
    this.#bytes.set(labels, this.#labelAddress);
    return this.#labelAddress;
  }

  /**
   * Appends the loaded batch and frames one samples record with what was accepted.
   * @param futureLimitMs samples later than this are refused
   */
  appendLoaded(futureLimitMs: number): AppendOutcome {
    const room = 64 + this.#sampleCount * 24;
    if (this.#exports.recordReserve(room) === 0 || this.#exports.batchReserve(room) === 0)
      throw this.#outOfMemory();
    const done = this.#exports.appendBatch(
      this.#refs,
      this.#starts,
      this.#seriesCount,
      this.#times,
      this.#values,
      futureLimitMs,
    );
    this.#refresh();
    if (done < this.#seriesCount) throw this.#outOfMemory();
    return {
      counts: this.#words.slice(ROOT_CODE_COUNTS >>> 2, (ROOT_CODE_COUNTS >>> 2) + CODE_COUNT),
      first: this.#words.slice(ROOT_CODE_FIRST >>> 2, (ROOT_CODE_FIRST >>> 2) + CODE_COUNT),
    };
  }

  /** Index of the series of the batch that sample k belongs to. */
  seriesOfSample(k: number): number {
    const starts = this.#starts >>> 2;
    let low = 0;
    let high = this.#seriesCount;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#words[starts + middle]! <= k) low = middle;
      else high = middle;
    }
    // Series without samples share their start with the next one.
    while (low + 1 < this.#seriesCount && this.#words[starts + low + 1]! <= k) low++;
    return low;
  }

  /** Time (ms) and value of sample k of the batch. */
  sampleAt(k: number): { timeMs: number; value: number } {
    const view = new DataView(this.memory.buffer);
    return {
      timeMs: Number(view.getBigInt64(this.#times + k * 8, true)),
      value: view.getFloat64(this.#values + k * 8, true),
    };
  }

  /**
   * The stale markers of the batch that were sent as floats to series of histograms, and were not stored: their place
   * among series and samples. To be called once, after `appendLoaded`.
   */
  takeStaleMarkers(): { readonly seriesIndex: number; readonly sample: number }[] {
    const taken: { readonly seriesIndex: number; readonly sample: number }[] = [];
    for (let sample = this.histograms.firstStale; sample !== null; ) {
      // They are chained through their values, which are known and put back.
      const at = (this.#values >>> 2) + sample * 2;
      const next = this.#words[at]!;
      taken.push({ seriesIndex: this.#words[at + 1]!, sample });
      this.#words[at] = 2;
      this.#words[at + 1] = 0x7ff00000;
      sample = next === 0xffffffff ? null : next;
    }
    return taken;
  }

  /**
   * Makes sure that the histograms of the loaded batch can be stored and logged.
   * @param byteCount at least what their records take, frames included
   * @throws VarveError unavailable `head-memory-full`
   */
  reserveHistograms(byteCount: number): void {
    const room = byteCount + 64 + this.#sampleCount * 24;
    if (this.#exports.allocUsedBytes() + room * 4 + RESERVE_BYTES > this.#memoryBytesMax)
      throw this.#outOfMemory();
    if (this.#exports.batchReserve(room) === 0) throw this.#outOfMemory();
  }

  /** Logs a record behind what was logged before. Room for it was reserved by `reserveHistograms`. */
  logRecord(record: Uint8Array): void {
    if (this.#exports.recordReserve(record.length) === 0) throw this.#outOfMemory();
    this.#exports.seriesFrame();
    this.#refresh();
    this.#bytes.set(record, this.#exports.recordPointer() >>> 0);
    this.#exports.frameRecord(record.length);
  }

  /**
   * Replays a samples record.
   * @param minTimeMs samples before it are skipped, -Infinity for none
   * @returns samples taken, or -1 when the record is malformed
   */
  replaySamples(record: Uint8Array, minTimeMs: number): number {
    const address = this.#putLabels(record);
    const taken = this.#exports.replaySamples(address, record.length, Math.max(minTimeMs, -1e19));
    if (taken === -2) throw this.#outOfMemory();
    return taken;
  }

  get replayUnknown(): number {
    return this.#exports.replayUnknown.value >>> 0;
  }

  /**
   * Replays a series record; returns the number of series, or -1 when the record is malformed.
   * The record (type byte included) is copied.
   */
  replaySeries(record: Uint8Array): number {
    // The second part of the scratch memory takes one series in its canonical encoding, at most three times as long.
    const address = this.#putLabels(record, record.length * 4 + 128);
    const taken = this.#exports.replaySeries(address, record.length, address + record.length + 16);
    this.#refresh();
    if (taken === -2) throw this.#outOfMemory();
    return taken;
  }

  /** The series that samples logged under a ref belong to, 0 when there is none (any more). */
  resolve(ref: number): number {
    return this.#exports.seriesResolve(ref) >>> 0;
  }

  /** See assembly/head/retire.ts. `oldest` is 0xffffffff when no query runs. */
  setReaders(current: number, oldest: number): void {
    this.#exports.setReaders(current, oldest);
  }

  truncateBegin(): void {
    this.#exports.truncateBegin();
  }

  markSlice(ref: number, budget: number, timeMs: number): number {
    return this.#exports.markSlice(ref, budget, timeMs) >>> 0;
  }

  get markedChunks(): number {
    return this.#exports.markedChunks.value >>> 0;
  }

  /** Time of the newest sample in the chunks that were marked since `truncateBegin`, -Infinity when there are none. */
  get markedMaxTimeMs(): number {
    return this.markedChunks === 0 ? Number.NEGATIVE_INFINITY : this.#exports.markedMaxTimeMs();
  }

  truncateSlice(ref: number, budget: number): number {
    return this.#exports.truncateSlice(ref, budget) >>> 0;
  }

  sweepPairsSlice(pair: number, budget: number): number {
    return this.#exports.sweepPairsSlice(pair, budget) >>> 0;
  }

  sweepNames(): number {
    return this.#exports.sweepNames();
  }

  get removedSeries(): number {
    return this.#exports.removedSeries.value >>> 0;
  }

  /** Bytes of the log that wait to be written. */
  get batchBytes(): number {
    return this.#exports.batchLength();
  }

  /**
   * Takes the batch of log pages framed so far; the view stays valid until the next call.
   * @param endSegment fill the last page, so that what follows begins a new segment
   */
  takeBatch(endSegment: boolean): Uint8Array {
    // Every reservation leaves room for definitions and padding: handing a batch over cannot fail.
    this.#exports.seriesFrame();
    if (endSegment) this.#exports.batchPadPage();
    const address = this.#exports.batchPointer() >>> 0;
    const length = this.#exports.batchLength();
    this.#exports.batchSwap();
    this.#refresh();
    return this.#bytes.subarray(address, address + length);
  }

  get pagePosition(): number {
    return this.#exports.pagePosition();
  }

  /** Begins a log at a position within a page: 0 for a new segment. */
  setPagePosition(offset: number): void {
    this.#exports.setPagePosition(offset);
  }

  /** Frames records anew from the start of a page, replacing whatever the batch held. */
  reframe(records: readonly Uint8Array[]): void {
    this.#exports.batchClear();
    this.#exports.setPagePosition(0);
    for (const record of records) {
      if (
        this.#exports.recordReserve(record.length) === 0 ||
        this.#exports.batchReserve(record.length) === 0
      ) {
        throw this.#outOfMemory();
      }
      this.#refresh();
      this.#bytes.set(record, this.#exports.recordPointer() >>> 0);
      this.#exports.frameRecord(record.length);
    }
  }
}
