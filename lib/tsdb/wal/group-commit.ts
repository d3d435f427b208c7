import { join } from 'node:path';
import { messageOf, VarveError } from '../../errors/index.js';
import { segmentName } from './directory.js';
import { type LogFile, type LogFiles, nodeLogFiles } from './log-files.js';

/**
 * Group commit of a write-ahead log. Records are framed into a batch by the kernel as requests come in; while one batch is
 * being written and synced, the next one fills. Whoever waits for `commit` is told once the batch that holds its records
 * is on disk: one sync serves all requests that arrived during the previous one.
 *
 * When writing or syncing fails (disk full, I/O error) nothing of that batch is acknowledged, and the segment is cut back
 * to what was synced and left behind: after a failed sync the kernel may believe pages clean that never reached the disk.
 * The records are framed anew into the next segment, again and again until that succeeds; until then `available` is false
 * and writers are refused.
 */

const PAGE_BYTES = 32768;
const RETRY_MS = 1000;

/** When an acknowledgement is sent: after the sync, after the write with a sync soon, or after the write. */
export type SyncMode = 'always' | 'interval' | 'none';

/** The batch that the kernel fills. `takeBatch` hands it over and begins another; the view lives until the next call. */
export interface BatchSource {
  readonly batchBytes: number;
  takeBatch(endSegment: boolean): Uint8Array;
  setPagePosition(offset: number): void;
  reframe(records: readonly Uint8Array[]): void;
}

export interface GroupCommitOptions {
  readonly directory: string;
  readonly source: BatchSource;
  readonly sync: SyncMode;
  /** Longest wait for the sync in mode `interval`. */
  readonly syncIntervalMs: number;
  readonly segmentBytesMax: number;
  /** Number of the first segment to write: one above the newest that exists. */
  readonly firstSegment: number;
  /** Splits a stream of framed pages into records, beginning at a position within a page. */
  readonly splitRecords: (pages: Uint8Array, pagePosition: number) => Uint8Array[];
  /** The file system; tests put a failing one here. */
  readonly files?: LogFiles;
  /** Wait between attempts to write again after a failure. */
  readonly retryMs?: number;
  readonly onError?: (error: VarveError) => void;
  /** Called after each batch that became durable. */
  readonly onBatch?: (byteLength: number, seconds: number) => void;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: VarveError) => void;
}

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #files: LogFiles;
  #file: LogFile;
  #segment: number;
  #position = 0;
  /** Where the batch in hand begins: what lies before it is as safe as it will get. */
  #batchStart = 0;
  #waiters: Waiter[] = [];
  #rotations: {
    readonly resolve: (segment: number) => void;
    readonly reject: (error: VarveError) => void;
  }[] = [];
  #running: Promise<void> | null = null;
  #failure: VarveError | null = null;
  #syncTimer: NodeJS.Timeout | null = null;
  #retryTimer: NodeJS.Timeout | null = null;
  #recovering: Promise<void> | null = null;
  #closed = false;

  private constructor(options: GroupCommitOptions, files: LogFiles, file: LogFile) {
    this.#options = options;
    this.#files = files;
    this.#file = file;
    this.#segment = options.firstSegment;
  }

  /** Opens a new segment. @throws when the directory cannot be written. */
  static async open(options: GroupCommitOptions): Promise<GroupCommit> {
    const files = options.files ?? nodeLogFiles;
    const file = await files.create(join(options.directory, segmentName(options.firstSegment)));
    options.source.setPagePosition(0);
    return new GroupCommit(options, files, file);
  }

  /** False while batches cannot be written; the reason is in `failure`. */
  get available(): boolean {
    return this.#failure === null && !this.#closed;
  }

  get failure(): VarveError | null {
    return this.#failure;
  }

  /** Number of the segment that is being written. */
  get segment(): number {
    return this.#segment;
  }

  /** Resolves when everything framed so far is as safe as the sync mode promises; rejects when it could not be made so. */
  commit(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#closed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#start();
    });
  }

  /** Ends the current segment. Resolves with the number of the new one: all records framed before the call precede it. */
  rotate(): Promise<number> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#closed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      this.#rotations.push({ resolve, reject });
      this.#start();
    });
  }

  /** Writes and syncs what is left and closes the segment. */
  async close(): Promise<void> {
    if (this.#closed) return;
    try {
      if (this.#failure === null && this.#options.source.batchBytes > 0) await this.commit();
    } finally {
      this.#closed = true;
      await this.#running;
      if (this.#syncTimer !== null) clearTimeout(this.#syncTimer);
      if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
      await this.#recovering;
      try {
        if (this.#failure === null) await this.#file.sync();
      } finally {
        await this.#file.close();
      }
    }
  }

  #start(): void {
    if (this.#running !== null) return;
    this.#running = this.#run().finally(() => {
      this.#running = null;
      if ((this.#waiters.length > 0 || this.#rotations.length > 0) && this.#failure === null) this.#start();
    });
  }

  async #run(): Promise<void> {
    // Requests that arrive in the same turn of the event loop share the batch.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiters.length > 0 || this.#rotations.length > 0) {
      const waiters = this.#waiters;
      const rotations = this.#rotations;
      this.#waiters = [];
      this.#rotations = [];
      const full = this.#position + this.#options.source.batchBytes >= this.#options.segmentBytesMax;
      const endSegment = rotations.length > 0 || full;
      const started = performance.now();
      this.#batchStart = this.#position;
      const batch = this.#options.source.takeBatch(endSegment);
      try {
        await this.#write(batch);
        // A batch of nothing confirms what an earlier one made durable.
        if (this.#options.sync === 'always') {
          if (batch.length > 0) await this.#sync();
        } else if (this.#options.sync === 'interval') this.#syncSoon();
        if (endSegment) await this.#nextSegment();
      } catch (thrown) {
        this.#fail(thrown, batch, [...waiters, ...rotations]);
        return;
      }
      this.#options.onBatch?.(batch.length, (performance.now() - started) / 1000);
      for (const waiter of waiters) waiter.resolve();
      for (const rotation of rotations) rotation.resolve(this.#segment);
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      done += await this.#file.write(bytes, done, this.#position + done);
    }
    this.#position += done;
  }

  async #sync(): Promise<void> {
    await this.#file.sync();
  }

  #syncSoon(): void {
    if (this.#syncTimer !== null) return;
    this.#syncTimer = setTimeout(() => {
      this.#syncTimer = null;
      this.#sync().catch((thrown: unknown) => this.#options.onError?.(walError(thrown, this.#segment)));
    }, this.#options.syncIntervalMs);
    this.#syncTimer.unref();
  }

  async #nextSegment(): Promise<void> {
    await this.#file.sync();
    const file = await this.#files.create(join(this.#options.directory, segmentName(this.#segment + 1)));
    const finished = this.#file;
    this.#file = file;
    this.#segment++;
    this.#position = 0;
    this.#batchStart = 0;
    // Its contents are safe: failing to close it concerns nobody's samples.
    await finished
      .close()
      .catch((thrown: unknown) => this.#options.onError?.(walError(thrown, this.#segment - 1)));
  }

  #fail(
    thrown: unknown,
    batch: Uint8Array,
    refused: readonly { reject: (error: VarveError) => void }[],
  ): void {
    const error = walError(thrown, this.#segment);
    this.#failure = error;
    // The view dies with the next batch.
    const unsafe = Uint8Array.from(batch);
    this.#options.onError?.(error);
    for (const waiter of refused) waiter.reject(error);
    this.#refuseWaiting(error);
    const later = Uint8Array.from(this.#options.source.takeBatch(false));
    const pages = new Uint8Array(unsafe.length + later.length);
    pages.set(unsafe);
    pages.set(later, unsafe.length);
    this.#retryLater(this.#options.splitRecords(pages, this.#batchStart % PAGE_BYTES));
  }

  #refuseWaiting(error: VarveError): void {
    for (const waiter of [...this.#waiters, ...this.#rotations]) waiter.reject(error);
    this.#waiters = [];
    this.#rotations = [];
  }

  #retryLater(records: readonly Uint8Array[]): void {
    if (this.#closed) return;
    this.#retryTimer = setTimeout(() => {
      this.#recovering = this.#recover(records)
        .catch((thrown: unknown) => {
          this.#failure = walError(thrown, this.#segment);
          this.#retryLater(records);
        })
        .finally(() => {
          this.#recovering = null;
        });
    }, this.#options.retryMs ?? RETRY_MS);
    this.#retryTimer.unref();
  }

  /**
   * Cuts the failed segment back to what was there before the failed batch, pads it to a page, and writes the refused
   * records into the next segment. Where nothing came before, the segment itself is begun anew: a disk that stays full
   * for hours does not leave a trail of empty files.
   */
  async #recover(records: readonly Uint8Array[]): Promise<void> {
    const start = this.#batchStart;
    await this.#file.truncate(start);
    if (start > 0) {
      await this.#file.truncate(Math.ceil(start / PAGE_BYTES) * PAGE_BYTES);
      await this.#nextSegment();
    }
    this.#position = 0;
    this.#options.source.reframe(records);
    await this.#write(this.#options.source.takeBatch(false));
    await this.#sync();
    this.#failure = null;
  }
}

function closedError(): VarveError {
  return new VarveError(
    'unavailable',
    'wal-closed',
    'the write-ahead log is closed: this instance is shutting down',
  );
}

function walError(thrown: unknown, segment: number): VarveError {
  return new VarveError(
    'unavailable',
    'wal-unavailable',
    `cannot write the write-ahead log (segment ${segment}): ${messageOf(thrown)}; free space or repair the disk, writing resumes by itself`,
    { cause: thrown, details: { segment } },
  );
}
