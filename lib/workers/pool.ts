import { Worker } from 'node:worker_threads';
import { messageOf, VarveError } from '../errors/index.js';
import type { Logger } from '../telemetry/index.js';
import { FairQueue } from './fair-queue.js';
import {
  type Attachment,
  type CallMessage,
  FLAG,
  type HelpMessage,
  type ReadyMessage,
  type ResultMessage,
  type TaskMessage,
  type WorkerSetup,
} from './protocol.js';

export interface WorkerPoolOptions {
  /** Compiled module that calls `serveTasks`. */
  readonly script: URL;
  /**
   * Most threads of one tenant; they are started when first needed and kept. One more is kept for tenants that have none
   * while others have them all, so that nobody waits for the end of somebody else's long tasks.
   */
  readonly size: number;
  /** Cloned to every thread; read there with `workerSetupData`. */
  readonly data: unknown;
  /** Tasks of one tenant that may wait. */
  readonly queuedPerTenantMax: number;
  /** Tasks of all tenants that may wait. */
  readonly queuedMax: number;
  /** Time a thread has to notice that its task is cancelled or late; then it is ended. */
  readonly graceMs: number;
  /** V8 heap of one thread in MiB; 0 for Node's default. */
  readonly heapMiB: number;
}

export interface RunOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Sent to a thread once; see Attachment. */
  readonly attachments?: readonly Attachment[];
  /**
   * Called once when no thread works on the task any more. That may be later than the promise settles: a cancelled task
   * fails at once, but its thread goes on reading until it notices.
   */
  readonly onReleased?: () => void;
}

interface Task {
  readonly id: number;
  readonly tenant: string;
  readonly payload: unknown;
  readonly enqueuedMs: number;
  readonly deadlineMs: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly unlisten: () => void;
  readonly attachments: readonly Attachment[];
  readonly onReleased: () => void;
  /** At the deadline, later at the end of the grace time. */
  timer: NodeJS.Timeout;
  thread: Thread | null;
  isSettled: boolean;
}

interface Thread {
  readonly worker: Worker;
  readonly flags: Int32Array;
  /** Keys of the attachments it has. */
  readonly attached: Set<string>;
  task: Task | null;
  /** Whether it has loaded its program. */
  isReady: boolean;
}

/**
 * Long-lived threads that work on one task each at a time. Tasks wait in a queue that is fair to tenants; a cancelled
 * or late one is dropped from the queue, or told to stop through a shared flag, or, when it doesn't listen, ended with
 * its thread. A thread that dies takes only its own task along; the next task starts a new one.
 */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #logger: Logger;
  readonly #queue = new FairQueue<Task>();
  readonly #threads: Thread[] = [];
  #nextId = 1;
  #nextNumber = 0;
  #crashCount = 0;
  #isStopped = false;

  constructor(options: WorkerPoolOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
  }

  get queuedCount(): number {
    return this.#queue.size;
  }

  get runningCount(): number {
    return this.#threads.filter((thread) => thread.task !== null).length;
  }

  get threadCount(): number {
    return this.#threads.length;
  }

  get crashCount(): number {
    return this.#crashCount;
  }

  /**
   * Runs a task in some thread.
   * @param payload cloned to the thread
   * @throws VarveError limit `queue-full`, unavailable `pool-overloaded` or `pool-stopped`, timeout `query-timeout`,
   *         cancelled `query-cancelled`, internal `worker-crashed`, limit `worker-out-of-memory`, or the task's own
   */
  run(tenant: string, payload: unknown, options: RunOptions): Promise<unknown> {
    const { timeoutMs, signal, attachments = [], onReleased = () => {} } = options;
    const refusal = this.#refusal(tenant, signal);
    if (refusal !== null) {
      onReleased();
      return Promise.reject(refusal);
    }
    return new Promise((resolve, reject) => {
      const nowMs = performance.now();
      const onAbort = () => this.#cancel(task);
      signal.addEventListener('abort', onAbort, { once: true });
      const task: Task = {
        id: this.#nextId++,
        tenant,
        payload,
        enqueuedMs: nowMs,
        deadlineMs: nowMs + timeoutMs,
        resolve,
        reject,
        unlisten: () => signal.removeEventListener('abort', onAbort),
        attachments,
        onReleased,
        timer: setTimeout(() => this.#expire(task), Math.min(timeoutMs, 2 ** 31 - 1)),
        thread: null,
        isSettled: false,
      };
      this.#queue.push(tenant, task);
      this.#dispatch();
    });
  }

  /** Refuses new tasks, ends all threads. Waiting and running tasks fail with `pool-stopped`. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (let task = this.#queue.shift(); task !== undefined; task = this.#queue.shift()) {
      this.#settle(task, stopped());
      task.onReleased();
    }
    const threads = this.#threads.splice(0);
    await Promise.all(
      threads.map((thread) => {
        if (thread.task !== null) {
          this.#settle(thread.task, stopped());
          clearTimeout(thread.task.timer);
        }
        return thread.worker.terminate().then(() => thread.task?.onReleased());
      }),
    );
  }

  #refusal(tenant: string, signal: AbortSignal): VarveError | null {
    if (this.#isStopped) return stopped();
    if (signal.aborted) return cancelled();
    if (this.#queue.sizeOf(tenant) >= this.#options.queuedPerTenantMax) {
      return new VarveError('limit', 'queue-full', 'too many outstanding requests', { details: { tenant } });
    }
    if (this.#queue.size >= this.#options.queuedMax) {
      return new VarveError(
        'unavailable',
        'pool-overloaded',
        'too many queries are waiting, try again later',
      );
    }
    return null;
  }

  #dispatch(): void {
    while (this.#queue.size > 0 && !this.#isStopped) {
      const thread = this.runningCount < this.#options.size ? this.#anyThread() : this.#spareThread();
      if (thread === null) return;
      const isSpare = this.runningCount >= this.#options.size;
      const task = this.#queue.shift((tenant) => !isSpare || !this.#isRunning(tenant))!;
      task.thread = thread;
      thread.task = task;
      Atomics.store(thread.flags, FLAG.cancelled, 0);
      Atomics.store(thread.flags, FLAG.wanted, 1);
      const nowMs = performance.now();
      const message: TaskMessage = {
        id: task.id,
        payload: task.payload,
        attachments: task.attachments.filter(({ key }) => !thread.attached.has(key)),
        timeoutMs: Math.max(0, task.deadlineMs - nowMs),
        queuedMs: nowMs - task.enqueuedMs,
      };
      try {
        thread.worker.postMessage(message);
        for (const { key } of message.attachments) thread.attached.add(key);
      } catch (error) {
        thread.task = null;
        task.onReleased();
        this.#settle(task, error instanceof Error ? error : new Error(String(error)));
      }
    }
  }

  #anyThread(): Thread {
    const idle = this.#threads.filter(({ task }) => task === null);
    return idle.find(({ isReady }) => isReady) ?? idle[0] ?? this.#startThread();
  }

  /**
   * The thread for tenants that have none while others have all; null when it isn't needed or taken. A task is not bound to
   * it before it has loaded its program: until then another thread may become free.
   */
  #spareThread(): Thread | null {
    if (this.runningCount > this.#options.size) return null;
    if (!this.#queue.someTenant((tenant) => !this.#isRunning(tenant))) return null;
    const idle = this.#threads.find(({ task }) => task === null) ?? this.#startThread();
    return idle.isReady ? idle : null;
  }

  #isRunning(tenant: string): boolean {
    return this.#threads.some((thread) => thread.task?.tenant === tenant);
  }

  #startThread(): Thread {
    const flags = new SharedArrayBuffer(8);
    const { heapMiB, data, size } = this.#options;
    const setup: WorkerSetup = { flags, number: this.#nextNumber++, size, data };
    const worker = new Worker(this.#options.script, {
      workerData: setup,
      ...(heapMiB > 0 ? { resourceLimits: { maxOldGenerationSizeMb: heapMiB } } : {}),
    });
    const idle = { attached: new Set<string>(), task: null, isReady: false };
    const thread: Thread = { worker, flags: new Int32Array(flags), ...idle };
    worker.on('message', (message: ReadyMessage | ResultMessage | CallMessage) => {
      if ('ready' in message) {
        thread.isReady = true;
        this.#dispatch();
      } else if ('call' in message) this.#callHelpers(thread, message);
      else this.#finish(thread, message);
    });
    worker.on('error', (error: unknown) => this.#lose(thread, error));
    worker.on('exit', () => this.#lose(thread, new Error('the thread ended')));
    this.#threads.push(thread);
    return thread;
  }

  /** Sends a thread's call to others that have nothing to do. Starts one for the next call if there are too few. */
  #callHelpers(caller: Thread, { call, helpers }: CallMessage): void {
    const message: HelpMessage = { help: call };
    let asked = 0;
    for (const thread of this.#threads) {
      if (asked === helpers) return;
      if (thread === caller || thread.task !== null) continue;
      thread.worker.postMessage(message);
      asked++;
    }
    const wanted = Math.min(this.#options.size, helpers + 1);
    if (this.#threads.length < wanted && !this.#isStopped) this.#startThread();
  }

  #finish(thread: Thread, message: ResultMessage): void {
    const task = thread.task;
    if (task === null || task.id !== message.id) return;
    thread.task = null;
    clearTimeout(task.timer);
    task.onReleased();
    if ('error' in message) {
      const { kind, code, message: text, details } = message.error;
      this.#settle(task, new VarveError(kind, code, text, { details }));
    } else if (!task.isSettled) {
      task.isSettled = true;
      task.unlisten();
      task.resolve(message.value);
    }
    this.#dispatch();
  }

  #cancel(task: Task): void {
    this.#settle(task, cancelled());
    this.#giveUp(task);
  }

  #expire(task: Task): void {
    const place = task.thread === null ? 'query queue' : 'query execution';
    const late = new VarveError('timeout', 'query-timeout', `query timed out in ${place}`);
    if (task.thread === null) this.#settle(task, late);
    else {
      // The thread knows the deadline too and usually answers first, with a better message.
      clearTimeout(task.timer);
      task.timer = setTimeout(() => {
        this.#settle(task, late);
        this.#end(task);
      }, this.#options.graceMs);
      return;
    }
    this.#giveUp(task);
  }

  /** Nobody waits for the task any more: drops it from the queue or asks its thread to stop. */
  #giveUp(task: Task): void {
    clearTimeout(task.timer);
    if (task.thread === null) {
      if (this.#queue.remove(task.tenant, task)) task.onReleased();
      return;
    }
    if (task.thread.task !== task) return;
    Atomics.store(task.thread.flags, FLAG.cancelled, 1);
    task.timer = setTimeout(() => this.#end(task), this.#options.graceMs);
  }

  /** Ends the thread of a task that doesn't listen. */
  #end(task: Task): void {
    const thread = task.thread;
    if (thread === null || thread.task !== task) return;
    this.#logger.warn({ tenant: task.tenant }, 'a query did not stop in time, its thread is ended');
    this.#lose(thread, new Error('the thread was ended because its task did not stop'));
  }

  #lose(thread: Thread, error: unknown): void {
    const index = this.#threads.indexOf(thread);
    if (index < 0) return;
    this.#threads.splice(index, 1);
    this.#crashCount++;
    const task = thread.task;
    thread.task = null;
    if (!this.#isStopped) this.#logger.error({ error: messageOf(error) }, 'a query thread died');
    // Until it has really ended, the thread may still read what the task was given.
    void thread.worker.terminate().then(() => task?.onReleased());
    if (task !== null) {
      clearTimeout(task.timer);
      const isMemory = (error as { code?: string }).code === 'ERR_WORKER_OUT_OF_MEMORY';
      this.#settle(
        task,
        isMemory
          ? new VarveError('limit', 'worker-out-of-memory', 'the query needs more memory than its thread has')
          : new VarveError('internal', 'worker-crashed', `the query thread died: ${messageOf(error)}`),
      );
    }
    this.#dispatch();
  }

  #settle(task: Task, error: Error): void {
    if (task.isSettled) return;
    task.isSettled = true;
    task.unlisten();
    clearTimeout(task.timer);
    task.reject(error);
  }
}

function cancelled(): VarveError {
  return new VarveError('cancelled', 'query-cancelled', 'query was canceled in query execution');
}

function stopped(): VarveError {
  return new VarveError('unavailable', 'pool-stopped', 'the server is stopping');
}
