import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Clock } from '../clock/index.js';
import { VarveError } from '../errors/index.js';
import type { ScanKernel } from '../kernel/index.js';
import type { AppendReport, HistogramSample, SeriesAdmission } from '../storage/index.js';
import type { Logger } from '../telemetry/index.js';
import { type CutBlock, Head } from '../tsdb/head/index.js';
import { GroupCommit, removeLeftovers, type SyncMode, splitPages } from '../tsdb/wal/index.js';
import { appendBatch } from './append-batch.js';
import { readCutMark, writeCutMark } from './cut-mark.js';
import type { CutReply, CutTask } from './cut-protocol.js';
import { ExemplarStore } from './exemplar-store.js';
import { MetadataStore } from './metadata-store.js';
import { type ReplayProgress, type ReplayResult, replayLog } from './replay.js';

export interface TenantStoreOptions {
  readonly tenant: string;
  /** Folder of the tenant's log. */
  readonly directory: string;
  /** Folder that the tenant's blocks are written to. */
  readonly blockDirectory: string;
  readonly blockRangeMs: number;
  readonly outOfOrderWindowMs: number;
  readonly headMemoryBytesMax: number;
  readonly sync: SyncMode;
  readonly syncIntervalMs: number;
  readonly segmentBytesMax: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called with new blocks; from its end on every query that begins sees them. */
  readonly onBlocks: (blocks: readonly CutBlock[]) => Promise<void>;
  readonly onCommit: (byteLength: number, seconds: number) => void;
}

/** More log than this must not wait to be written: the disk is too slow for what comes in. */
const BACKLOG_BYTES_MAX = 64 * 1024 * 1024;

/** The head, the log, the metadata and the exemplars of one tenant. */
export class TenantStore {
  readonly head: Head;
  readonly metadata = new MetadataStore();
  readonly exemplars = new ExemplarStore();
  readonly #options: TenantStoreOptions;
  #commit: GroupCommit | null = null;
  #cutting: Promise<unknown> = Promise.resolve();
  /** Up to here the head was cut, exclusive. */
  #cutUpToMs = Number.NEGATIVE_INFINITY;
  /** End of the chunks that are marked but not in blocks yet, exclusive; -Infinity when there are none. */
  #markedEndMs = Number.NEGATIVE_INFINITY;
  #windowMs: number;
  #lastAppendMs: number;
  #closed = false;

  constructor(options: TenantStoreOptions) {
    this.#options = options;
    this.#windowMs = options.outOfOrderWindowMs;
    this.head = new Head({
      chunkRangeMs: options.blockRangeMs,
      outOfOrderWindowMs: options.outOfOrderWindowMs,
      memoryBytesMax: options.headMemoryBytesMax,
    });
    this.#lastAppendMs = options.clock.monotonicMs();
  }

  get walDirectory(): string {
    return join(this.#options.directory, 'wal');
  }

  /** Replays the log and opens it for writing. */
  async open(progress: ReplayProgress): Promise<ReplayResult> {
    await mkdir(this.walDirectory, { recursive: true });
    await mkdir(this.#options.blockDirectory, { recursive: true });
    removeLeftovers(this.walDirectory);
    const mark = await readCutMark(this.#options.directory);
    const result = await replayLog(this.walDirectory, this.head, mark, progress);
    this.#commit = await GroupCommit.open({
      directory: this.walDirectory,
      source: this.head.kernel,
      sync: this.#options.sync,
      syncIntervalMs: this.#options.syncIntervalMs,
      segmentBytesMax: this.#options.segmentBytesMax,
      firstSegment: result.nextSegment,
      splitRecords: splitPages,
      onError: (error) => this.#options.logger.error({ tenant: this.#options.tenant }, error.message),
      onBatch: this.#options.onCommit,
    });
    return result;
  }

  /** Whether the log can be written. */
  get isWritable(): boolean {
    return this.#commit?.available ?? false;
  }

  setOutOfOrderWindow(windowMs: number): void {
    this.#windowMs = windowMs;
    this.head.kernel.configure(this.#options.blockRangeMs, windowMs);
  }

  /** See BatchAppender.append. */
  append(
    scan: ScanKernel,
    histograms: readonly HistogramSample[],
    futureLimitMs: number,
    admission: SeriesAdmission,
  ): AppendReport {
    const commit = this.#commit;
    if (commit === null || this.#closed) {
      throw new VarveError(
        'unavailable',
        'ingester-not-ready',
        'this instance is starting or stopping: retry',
      );
    }
    if (!commit.available)
      throw commit.failure ?? new VarveError('unavailable', 'wal-closed', 'the log is closed');
    const kernel = this.head.kernel;
    if (kernel.batchBytes > BACKLOG_BYTES_MAX) {
      throw new VarveError(
        'unavailable',
        'wal-backlog',
        `${kernel.batchBytes} bytes of write-ahead log wait for the disk (limit ${BACKLOG_BYTES_MAX}): retry later`,
      );
    }
    const result = appendBatch(this.head, scan, histograms, futureLimitMs, admission);
    this.#lastAppendMs = this.#options.clock.monotonicMs();
    return { ...result, durable: commit.commit() };
  }

  /** Cuts what is old enough to be final, or everything when nothing came in for long. Resolves with the blocks made. */
  async cutDue(idleMs: number): Promise<readonly CutBlock[]> {
    const maxTimeMs = this.head.kernel.maxTimeMs;
    if (maxTimeMs === null || this.head.kernel.seriesCount === 0) return [];
    await this.head.dropIdle();
    const { blockRangeMs, clock } = this.#options;
    if (clock.monotonicMs() - this.#lastAppendMs >= idleMs) return this.flush();
    const settled = maxTimeMs - Math.max(blockRangeMs / 2, this.#windowMs);
    const upToMs = Math.floor(settled / blockRangeMs) * blockRangeMs;
    if (upToMs <= this.#cutUpToMs) return [];
    return this.#exclusively(() => this.#cut(upToMs));
  }

  /** Cuts everything that is in the head now. */
  flush(): Promise<readonly CutBlock[]> {
    return this.#exclusively(async () => {
      const maxTimeMs = this.head.kernel.maxTimeMs;
      return maxTimeMs === null || this.head.kernel.seriesCount === 0 ? [] : this.#cut(maxTimeMs + 1);
    });
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#cutting.then(work, work);
    this.#cutting = turn.catch(() => {});
    return turn;
  }

  async #cut(upToMs: number): Promise<readonly CutBlock[]> {
    const commit = this.#commit;
    if (commit === null || this.#closed) return [];
    const started = performance.now();
    // What was logged before this segment and lies before `upToMs` will be in the blocks.
    const segment = await commit.rotate();
    const chunkCount = await this.head.mark(upToMs);
    // Marked chunks stay marked when a cut fails; then the next one takes them along. One that was open may reach further.
    if (chunkCount > 0) {
      const endMs = Math.max(upToMs, this.head.kernel.markedMaxTimeMs + 1);
      this.#markedEndMs = Math.max(this.#markedEndMs, endMs);
    }
    if (this.#markedEndMs === Number.NEGATIVE_INFINITY) {
      // Nothing but series whose samples were all refused.
      await this.head.dropMarked();
      this.#cutUpToMs = Math.max(this.#cutUpToMs, upToMs);
      return [];
    }
    const blocks = await this.#writeBlocks(Math.max(upToMs, this.#markedEndMs));
    // Before the mark: should that fail, the blocks that were written are known all the same, and go into the bucket.
    await this.#options.onBlocks(blocks);
    await writeCutMark(this.#options.directory, { segment, timeMs: upToMs });
    // Queries that began before the blocks were visible still need the marked chunks.
    await this.head.drained();
    const removedSeries = await this.head.dropMarked();
    this.head.kernel.raiseMinTime(upToMs);
    this.#markedEndMs = Number.NEGATIVE_INFINITY;
    this.#cutUpToMs = Math.max(this.#cutUpToMs, upToMs);
    await this.#checkpoint(segment - 1, upToMs);
    this.#options.logger.info(
      {
        tenant: this.#options.tenant,
        blocks: blocks.map((block) => block.ulid),
        samples: blocks.reduce((sum, block) => sum + block.sampleCount, 0),
        removedSeries,
        seconds: Number(((performance.now() - started) / 1000).toFixed(3)),
      },
      'head cut into blocks',
    );
    return blocks;
  }

  async #writeBlocks(upToMs: number): Promise<readonly CutBlock[]> {
    const hold = this.head.hold();
    try {
      const reply = await runTask({
        kind: 'cut',
        memory: this.head.view.memory,
        directory: this.#options.blockDirectory,
        rangeMs: this.#options.blockRangeMs,
        upToMs,
      });
      return reply.kind === 'cut' ? reply.blocks : [];
    } finally {
      hold.release();
    }
  }

  async #checkpoint(upTo: number, minTimeMs: number): Promise<void> {
    const hold = this.head.hold();
    try {
      await runTask({
        kind: 'checkpoint',
        memory: this.head.view.memory,
        walDirectory: this.walDirectory,
        upTo,
        minTimeMs,
      });
    } finally {
      hold.release();
    }
  }

  /** Syncs and closes the log; with `flush` the head goes into blocks first. */
  async close(flush: boolean): Promise<void> {
    try {
      if (flush) await this.flush();
    } finally {
      await this.#cutting;
      this.#closed = true;
      await this.#commit?.close();
    }
  }
}

/** Runs one task in a thread of its own. */
function runTask(task: CutTask): Promise<CutReply> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./cut-worker.js', import.meta.url), { workerData: task });
    worker.once('message', (reply: CutReply) => {
      if (reply.kind === 'error') reject(cutFailure(reply));
      else resolve(reply);
    });
    worker.once('error', reject);
    worker.once('exit', (code) => {
      reject(
        new VarveError(
          'internal',
          'cut-worker-exit',
          `the thread that writes blocks ended with code ${code}`,
        ),
      );
    });
  });
}

function cutFailure({ code, isDisk, message }: CutReply & { kind: 'error' }): VarveError {
  if (!isDisk) return new VarveError('internal', code, `cutting blocks: ${message}`);
  return new VarveError(
    'unavailable',
    'block-disk',
    `cutting blocks: ${message}; make room on the disk of data_dir, or see whether it works: the samples stay in memory and in the log`,
  );
}
