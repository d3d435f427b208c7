import { parentPort, type TransferListItem, workerData } from 'node:worker_threads';
import { assert } from '../assert/index.js';
import { messageOf, VarveError } from '../errors/index.js';
import type { ResultMessage, TaskMessage, WorkerSetup } from './protocol.js';

/** What a task may ask while it runs. */
export interface TaskContext {
  /** Reads the shared flag: cheap enough to be asked every few hundred microseconds. */
  isCancelled(): boolean;
  /** By the monotonic clock of this thread (`performance.now()`). */
  readonly deadlineMs: number;
  readonly queuedMs: number;
}

export interface TaskResult {
  readonly value: unknown;
  /** Buffers in the value that move instead of being copied. */
  readonly transfer: readonly TransferListItem[];
}

/** Runs in a thread of a pool: answers one task after the other, for ever. */
export function serveTasks(handle: (payload: unknown, context: TaskContext) => Promise<TaskResult>): void {
  assert(parentPort !== null, 'serveTasks runs in a worker thread');
  const port = parentPort;
  const flag = new Int32Array((workerData as WorkerSetup).cancelFlag);
  port.on('message', ({ id, payload, attachments, timeoutMs, queuedMs }: TaskMessage) => {
    for (const { key, value } of attachments) received.set(key, value);
    const context: TaskContext = {
      isCancelled: () => Atomics.load(flag, 0) !== 0,
      deadlineMs: performance.now() + timeoutMs,
      queuedMs,
    };
    handle(payload, context).then(
      ({ value, transfer }) => port.postMessage({ id, value } satisfies ResultMessage, transfer),
      (error: unknown) => {
        const { kind, code, details } =
          error instanceof VarveError
            ? error
            : { kind: 'internal' as const, code: 'task-failed', details: {} };
        port.postMessage({
          id,
          error: { kind, code, details, message: messageOf(error) },
        } satisfies ResultMessage);
      },
    );
  });
}

const received = new Map<string, unknown>();

/** An attachment of the task at hand or of an earlier one. */
export function attachment(key: string): unknown {
  return received.get(key);
}

/** What the pool's owner gave to every thread. */
export function workerSetupData(): unknown {
  return (workerData as WorkerSetup).data;
}
