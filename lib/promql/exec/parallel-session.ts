import type { QueryKernel } from '../../kernel/index.js';
import type { HelpRequest } from './parallel-helper.js';
import { CONTROL, createControlBuffer, HELPERS_MAX, JOBS_MAX, SharedJob } from './parallel-layout.js';

/** Where a query thread asks the others for help. */
export interface HelpDesk {
  /** Tells the query threads of a process apart. */
  readonly coordinator: number;
  /** Threads that may come; 0 when there are no others. */
  readonly helpersMax: number;
  /** Asks idle threads to come. Nobody has to; those who do leave when a query of their own wants them. */
  call(request: HelpRequest, helpers: number): void;
}

/** How long a query waits for a helper of the one before, which may be in the middle of a kernel call. */
const LEAVE_MS = 5;

/** The coordinating side of parallel queries: one per kernel memory, used for one query after the other. */
export class ParallelSession {
  readonly helpers: number;
  private readonly desk: HelpDesk;
  private readonly kernel: QueryKernel;
  private readonly buffer: SharedArrayBuffer;
  private readonly words: Int32Array;
  private readonly jobs: readonly SharedJob[];
  private isOpen = false;
  private jobCount = 0;

  constructor(desk: HelpDesk, kernel: QueryKernel) {
    this.desk = desk;
    this.kernel = kernel;
    this.helpers = Math.min(desk.helpersMax, HELPERS_MAX);
    this.buffer = createControlBuffer();
    this.jobs = Array.from({ length: JOBS_MAX }, (_, job) => new SharedJob(this.buffer, job));
    this.words = this.jobs[0]!.words;
  }

  /** Calls for help with the query at hand, the first time. Helpers need a moment to wake. */
  call(): void {
    if (this.isOpen) return;
    this.isOpen = true;
    this.jobCount = 0;
    const { words, kernel } = this;
    Atomics.store(words, CONTROL.areas, (1 << this.helpers) - 1);
    Atomics.store(words, CONTROL.jobCount, 0);
    const session = Atomics.add(words, CONTROL.session, 1) + 1;
    const { memory, memoryNumber } = kernel;
    const { coordinator } = this.desk;
    this.desk.call({ coordinator, memoryNumber, memory, control: this.buffer, session }, this.helpers);
  }

  /** A new job, to be begun and published; null when there are too many. */
  openJob(): SharedJob | null {
    this.call();
    return this.jobs[this.jobCount] ?? null;
  }

  /** Lets helpers see the job that was opened last. */
  publishJob(): void {
    Atomics.store(this.words, CONTROL.jobCount, ++this.jobCount);
    this.ring();
  }

  /** Wakes helpers that wait for work. */
  ring(): void {
    Atomics.add(this.words, CONTROL.bell, 1);
    Atomics.notify(this.words, CONTROL.bell);
  }

  /** Ends the query: helpers leave soon, and none comes any more. */
  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    Atomics.add(this.words, CONTROL.session, 1);
    this.ring();
  }

  /**
   * Whether all helpers have left a session that was closed; waits for them for a moment.
   * @returns false when one has lost its core or its thread has died: neither the memory nor this session may be used
   * again
   */
  isLeft(waitMs = LEAVE_MS): boolean {
    const { words } = this;
    const endMs = performance.now() + waitMs;
    for (;;) {
      const active = Atomics.load(words, CONTROL.active);
      if (active <= 0) return true;
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return false;
      Atomics.wait(words, CONTROL.active, active, leftMs);
    }
  }
}
