import { Worker } from 'node:worker_threads';
import {
  CorruptionError,
  type ErrorDetails,
  type ErrorKind,
  messageOf,
  VarveError,
} from '../errors/index.js';
import type { BlockMeta, MaskText } from '../tsdb/block/index.js';
import type { JobKind } from './job.js';

/** Work on local blocks. Cloned to a thread. */
export interface EngineTask {
  readonly kind: Exclude<JobKind, 'rewrite'>;
  /** Directories of the source blocks. */
  readonly sources: readonly string[];
  /** Where the new block is made, as `<directory>/<ulid>`. */
  readonly directory: string;
  readonly ulid: string;
  /** External labels of the result. */
  readonly labels: Readonly<Record<string, string>>;
  /** Samples to leave out. */
  readonly masks: readonly MaskText[];
  /** Keys of deletion rules for meta.json of the result. */
  readonly applied: readonly string[];
  /** Lowest compaction level of a downsampled result. */
  readonly levelMin: number;
}

/** Makes blocks from blocks. */
export interface Engine {
  /**
   * @param onProgress called now and then with the done part of the work, 0 to 1
   * @returns null when the result would be empty: then there is no block
   * @throws VarveError, CorruptionError with `block` in the details where it is known; cancelled when the signal fires
   */
  run(
    task: EngineTask,
    signal: AbortSignal,
    onProgress: (fraction: number) => void,
  ): Promise<BlockMeta | null>;
}

export interface EngineSetup {
  readonly task: EngineTask;
  /** One Int32: 1 to give up. */
  readonly cancelFlag: SharedArrayBuffer;
}

/** From the thread. */
export type EngineReply =
  | { readonly kind: 'progress'; readonly fraction: number }
  | { readonly kind: 'done'; readonly meta: BlockMeta | null }
  | {
      readonly kind: 'failed';
      readonly error: {
        readonly kind: ErrorKind;
        readonly code: string;
        readonly message: string;
        readonly details: ErrorDetails;
      };
    };

/** How long a thread may take to notice that it is to stop, ms; then it is ended. */
const GRACE_MS = 10_000;

/** Runs each task in a thread of its own, whose memory goes with it. */
export class ThreadEngine implements Engine {
  readonly #script: URL;

  constructor(script: URL = new URL('./engine-worker.js', import.meta.url)) {
    this.#script = script;
  }

  run(
    task: EngineTask,
    signal: AbortSignal,
    onProgress: (fraction: number) => void,
  ): Promise<BlockMeta | null> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(cancelled());
        return;
      }
      const cancelFlag = new SharedArrayBuffer(4);
      const worker = new Worker(this.#script, { workerData: { task, cancelFlag } satisfies EngineSetup });
      let timer: NodeJS.Timeout | null = null;
      const onAbort = (): void => {
        Atomics.store(new Int32Array(cancelFlag), 0, 1);
        timer = setTimeout(() => void worker.terminate(), GRACE_MS);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      let outcome: { readonly meta: BlockMeta | null } | { readonly error: Error } = {
        error: new VarveError(
          'internal',
          'compaction-thread',
          'the compaction thread ended without a result',
        ),
      };
      worker.on('message', (reply: EngineReply) => {
        if (reply.kind === 'progress') onProgress(reply.fraction);
        else if (reply.kind === 'done') outcome = { meta: reply.meta };
        else outcome = { error: revive(reply.error) };
      });
      worker.on('error', (error: unknown) => {
        const isMemory = (error as { code?: string }).code === 'ERR_WORKER_OUT_OF_MEMORY';
        const code = isMemory ? 'worker-out-of-memory' : 'compaction-thread';
        outcome = {
          error: new VarveError(
            isMemory ? 'limit' : 'internal',
            code,
            `the compaction thread died: ${messageOf(error)}`,
          ),
        };
      });
      worker.on('exit', () => {
        if (timer !== null) clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        if (signal.aborted) reject(cancelled());
        else if ('error' in outcome) reject(outcome.error);
        else resolve(outcome.meta);
      });
    });
  }
}

function revive(error: (EngineReply & { kind: 'failed' })['error']): VarveError {
  const { kind, code, message, details } = error;
  if (kind === 'corruption') return new CorruptionError(code, message, { details });
  return new VarveError(kind, code, message, { details });
}

function cancelled(): VarveError {
  return new VarveError('cancelled', 'compact-cancelled', 'the compaction was cancelled');
}
