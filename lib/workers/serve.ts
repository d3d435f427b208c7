import { parentPort, type TransferListItem, workerData } from 'node:worker_threads';
import { assert } from '../assert/index.js';
import { messageOf, VarveError } from '../errors/index.js';
import {
  type CallMessage,
  FLAG,
  type HelpMessage,
  type ReadyMessage,
  type ResultMessage,
  type TaskMessage,
  type WorkerSetup,
} from './protocol.js';

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

/**
 * Runs in a thread of a pool: answers one task after the other, for ever.
 * @param help works on what another thread asked help with (`callForHelp`), between two tasks of its own; must return
 *             soon after `isWanted` says that the next one has come
 */
export function serveTasks(
  handle: (payload: unknown, context: TaskContext) => Promise<TaskResult>,
  help: (request: unknown, isWanted: () => boolean) => void = () => {},
): void {
  assert(parentPort !== null, 'serveTasks runs in a worker thread');
  const port = parentPort;
  const flags = new Int32Array((workerData as WorkerSetup).flags);
  const isWanted = (): boolean => Atomics.load(flags, FLAG.wanted) !== 0;
  let running = 0;
  port.on('message', (message: TaskMessage | HelpMessage) => {
    if ('help' in message) {
      // Asked when it was idle, but a task may have come first.
      if (running > 0 || isWanted()) return;
      try {
        help(message.help, isWanted);
      } catch {
        // What fails here fails in the thread that asked too, and is told there.
      }
      return;
    }
    const { id, payload, attachments, timeoutMs, queuedMs } = message;
    Atomics.store(flags, FLAG.wanted, 0);
    running++;
    for (const { key, value } of attachments) received.set(key, value);
    const context: TaskContext = {
      isCancelled: () => Atomics.load(flags, FLAG.cancelled) !== 0,
      deadlineMs: performance.now() + timeoutMs,
      queuedMs,
    };
    handle(payload, context).then(
      ({ value, transfer }) => {
        running--;
        port.postMessage({ id, value } satisfies ResultMessage, transfer);
      },
      (error: unknown) => {
        running--;
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
  port.postMessage({ ready: true } satisfies ReadyMessage);
}

const received = new Map<string, unknown>();

/** An attachment of the task at hand or of an earlier one. */
export function attachment(key: string): unknown {
  return received.get(key);
}

/** Asks idle threads of the pool for help with the task at hand; see `serveTasks`. */
export function callForHelp(request: unknown, helpers: number): void {
  parentPort?.postMessage({ call: request, helpers } satisfies CallMessage);
}

/** Number of this thread in its pool, and how many threads that may have. */
export function workerPlace(): { readonly number: number; readonly size: number } {
  const { number, size } = workerData as WorkerSetup;
  return { number, size };
}

/** What the pool's owner gave to every thread. */
export function workerSetupData(): unknown {
  return (workerData as WorkerSetup).data;
}
