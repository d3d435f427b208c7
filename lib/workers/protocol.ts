import type { ErrorDetails, ErrorKind } from '../errors/index.js';

/** What a pool hands to each of its threads once. */
export interface WorkerSetup {
  /** One Int32 per thread: 0 go on, 1 give up the current task. */
  readonly cancelFlag: SharedArrayBuffer;
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
