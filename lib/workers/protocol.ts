import type { ErrorDetails, ErrorKind } from '../errors/index.js';

/** What a pool hands to each of its threads once. */
export interface WorkerSetup {
  /** Words of this thread alone, see FLAG. */
  readonly flags: SharedArrayBuffer;
  /** Tells the threads of a pool apart. */
  readonly number: number;
  /** Threads of the pool, when all are started. */
  readonly size: number;
  /** From the pool's owner. */
  readonly data: unknown;
}

/**
 * Something that many tasks need and that is dear to clone, such as a WebAssembly memory: it is sent to a thread with the
 * first task that names it and kept there under its key.
 */
export interface Attachment {
  readonly key: string;
  readonly value: unknown;
}

/** Int32 words by which the pool reaches a thread that is at work. */
export const FLAG = {
  /** 1: give up the current task. */
  cancelled: 0,
  /** 1: a task is on its way, so stop helping others. */
  wanted: 1,
} as const;

/** Pool to thread: another thread asks for help with its task. */
export interface HelpMessage {
  readonly help: unknown;
}

/** Thread to pool: asks so many idle threads for help with the task at hand. */
export interface CallMessage {
  readonly call: unknown;
  readonly helpers: number;
}

/** Thread to pool, once: it has loaded its program. */
export interface ReadyMessage {
  readonly ready: true;
}

/** Pool to thread. */
export interface TaskMessage {
  readonly id: number;
  readonly payload: unknown;
  /** Attachments that the thread does not have yet. */
  readonly attachments: readonly Attachment[];
  /** Time left, ms: clocks of threads have different origins. */
  readonly timeoutMs: number;
  /** Time the task waited for a free thread, ms. */
  readonly queuedMs: number;
}

/** Thread to pool. Errors travel as fields because structured clone drops subclasses. */
export type ResultMessage =
  | { readonly id: number; readonly value: unknown }
  | {
      readonly id: number;
      readonly error: {
        readonly kind: ErrorKind;
        readonly code: string;
        readonly message: string;
        readonly details: ErrorDetails;
      };
    };
