import { HeadKernel, type HeadKernelOptions, type ScanKernel } from '../../kernel/index.js';
import { collectHeadStats, type HeadStatistics } from './head-stats.js';
import { HistogramWriter } from './histogram-writer.js';

/** Series looked at before the ingest thread is given back, when a whole head is walked. */
const SLICE_SERIES = 1000;
const SLICE_MS = 3;
const NO_READER = 0xffffffff;
/** The writing state of a histogram series without samples for this long, by the head's newest sample, is dropped. */
const HISTOGRAM_IDLE_MS = 15 * 60_000;

/** A query's hold on a head: what it may be reading is not freed before `release`. */
export interface ReaderHold {
  readonly epoch: number;
  release(): void;
}

/** What a query thread needs to read a head; survives being posted to it. */
export interface HeadView {
  /** Distinct for every head of this process, so that readers can be kept between queries. */
  readonly id: number;
  readonly memory: WebAssembly.Memory;
}

let nextHeadId = 1;

/**
 * The head of one tenant on the ingest thread: appends, the hold of queries on its memory, and the marking and removal
 * of what goes into blocks. Nothing here blocks for more than a few milliseconds.
 */
export class Head {
  readonly kernel: HeadKernel;
  readonly histograms: HistogramWriter;
  readonly view: HeadView;
  #epoch = 1;
  readonly #active = new Map<number, number>();
  #drained: { readonly epoch: number; readonly resolve: () => void }[] = [];

  constructor(options: HeadKernelOptions) {
    this.kernel = new HeadKernel(options);
    this.histograms = new HistogramWriter(this.kernel, options.chunkRangeMs);
    this.view = { id: nextHeadId++, memory: this.kernel.memory };
  }

  /** Holds the head's memory for a query that begins now. */
  hold(): ReaderHold {
    const epoch = this.#epoch++;
    this.#active.set(epoch, epoch);
    this.#publish();
    let held = true;
    return {
      epoch,
      release: () => {
        if (!held) return;
        held = false;
        this.#active.delete(epoch);
        this.#publish();
      },
    };
  }

  #oldest(): number {
    // Epochs are entered in ascending order and a Map keeps that order.
    for (const epoch of this.#active.keys()) return epoch;
    return NO_READER;
  }

  #publish(): void {
    const oldest = this.#oldest();
    this.kernel.setReaders(this.#epoch, oldest);
    if (this.#drained.length === 0) return;
    const ready = this.#drained.filter((waiting) => waiting.epoch < oldest);
    this.#drained = this.#drained.filter((waiting) => waiting.epoch >= oldest);
    for (const waiting of ready) waiting.resolve();
  }

  /** Resolves when every query that runs now has ended. */
  drained(): Promise<void> {
    const newest = this.#epoch - 1;
    if (this.#oldest() > newest) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push({ epoch: newest, resolve }));
  }

  /** Looks up the series of a scanned request; see HeadKernel.loadBatch. */
  loadBatch(scan: ScanKernel): number {
    return this.kernel.loadBatch(scan);
  }

  /** Marks all chunks that end before a time for the next block. Resolves with their number. */
  async mark(timeMs: number): Promise<number> {
    this.kernel.truncateBegin();
    await this.#inSlices((ref) => this.kernel.markSlice(ref, SLICE_SERIES, timeMs));
    return this.kernel.markedChunks;
  }

  /** Removes the marked chunks, and series and label pairs that are left without samples. Returns the series removed. */
  async dropMarked(): Promise<number> {
    await this.#inSlices((ref) => this.kernel.truncateSlice(ref, SLICE_SERIES));
    await this.#inSlices((pair) => this.kernel.sweepPairsSlice(pair, 256));
    this.kernel.sweepNames();
    await this.dropIdle();
    return this.kernel.removedSeries;
  }

  /** Lets go of what only series need that take histograms now. */
  async dropIdle(): Promise<void> {
    const beforeMs = (this.kernel.maxTimeMs ?? 0) - HISTOGRAM_IDLE_MS;
    while (!this.histograms.dropIdle(beforeMs, performance.now() + SLICE_MS)) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #inSlices(step: (from: number) => number): Promise<void> {
    let next = 1;
    while (next !== 0) {
      const until = performance.now() + SLICE_MS;
      while (next !== 0 && performance.now() < until) next = step(next);
      if (next !== 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Counts for status pages; `limit` entries per list. */
  statistics(limit: number): HeadStatistics {
    return collectHeadStats(this.view.memory, limit);
  }
}
