import { VarveError } from '../errors/index.js';
import type { ChunkArena } from '../storage/index.js';

/** What a task is told from outside while it runs. */
export interface TaskControl {
  isCancelled(): boolean;
  /** By the monotonic clock of this thread. */
  readonly deadlineMs: number;
  readonly queuedMs: number;
}

/** Ends a task that nobody waits for any more, that is late or whose answer grows too large. */
export class TaskGuard {
  readonly #control: TaskControl;
  readonly #answerBytesMax: number;

  /** @param answerBytesMax 0 for no limit */
  constructor(control: TaskControl, answerBytesMax = 0) {
    this.#control = control;
    this.#answerBytesMax = answerBytesMax;
  }

  /**
   * To be called every few milliseconds of work; costs about as much as reading the clock.
   * @throws VarveError cancelled `query-cancelled`, timeout `query-timeout`
   */
  check(): void {
    if (this.#control.isCancelled()) {
      throw new VarveError('cancelled', 'query-cancelled', 'query was canceled in query execution');
    }
    if (performance.now() >= this.#control.deadlineMs) {
      throw new VarveError('timeout', 'query-timeout', 'query timed out in query execution');
    }
  }

  /** The same for a text in the making. @throws also VarveError limit `response-too-large` */
  checkAnswer(byteLength: number): void {
    const limit = this.#answerBytesMax;
    if (limit > 0 && byteLength > limit) {
      throw new VarveError(
        'limit',
        'response-too-large',
        `the answer is larger than ${limit} bytes (limits.max_query_response_size): narrow the selectors or the time range, or take larger steps`,
        { details: { limit } },
      );
    }
    this.check();
  }
}

/** An arena that looks at a guard whenever a source fetches more: so that selecting can be cancelled too. */
export class GuardedArena implements ChunkArena {
  readonly #arena: ChunkArena;
  readonly #guard: TaskGuard;
  readonly #bytesMax: number;
  #bytesReserved = 0;

  /** @param bytesMax memory that may be reserved, where the arena has no budget of its own; 0 for no limit */
  constructor(arena: ChunkArena, guard: TaskGuard, bytesMax = 0) {
    this.#arena = arena;
    this.#guard = guard;
    this.#bytesMax = bytesMax;
  }

  /** @throws also VarveError limit `query-memory-limit` */
  reserve(byteCount: number): number {
    this.#guard.check();
    this.#bytesReserved += byteCount;
    if (this.#bytesMax > 0 && this.#bytesReserved > this.#bytesMax) {
      throw new VarveError(
        'limit',
        'query-memory-limit',
        `the query needs more than ${this.#bytesMax} bytes of memory (query.max_memory_bytes): narrow its selectors or its time range`,
        { details: { bytesMax: this.#bytesMax } },
      );
    }
    return this.#arena.reserve(byteCount);
  }

  bytes(): Uint8Array {
    return this.#arena.bytes();
  }
}
