import type { LocalBlock } from './local-blocks.js';

/** Where a local block is on its way into the bucket. */
export interface BlockState {
  readonly block: LocalBlock;
  /**
   * - `new`: to be stored
   * - `remembered`: the list says that it was stored; the bucket was not asked yet
   * - `shipped`: the bucket has it
   */
  phase: 'new' | 'remembered' | 'shipped';
  /** Failed attempts since it was stored or found. */
  failureCount: number;
  /** When readers were first known to find it in the bucket, monotonic ms; null before. */
  seenMs: number | null;
  /** When the bucket was last asked for it, or the block was stored, monotonic ms. */
  lookedMs: number;
  /** When it was first known to be in the bucket, monotonic ms. */
  shippedMs: number;
  /** How often it was found missing or damaged in the bucket after it had been stored. */
  repetitions: number;
}

/** One that waits for blocks to be in the bucket. */
export interface ShipWaiter {
  readonly ulids: Set<string>;
  resolve(): void;
  reject(error: unknown): void;
}

/** What the shipper knows of a tenant. Pure bookkeeping: no requests, no files. */
export class TenantShipping {
  readonly tenant: string;
  readonly #remembered: ReadonlySet<string>;
  readonly #states = new Map<string, BlockState>();
  readonly waiters = new Set<ShipWaiter>();
  /** Failures in a row. */
  failureCount = 0;
  /** When the row of failures began, wall clock; 0 when nothing fails. */
  failingSinceMs = 0;
  /** No attempt before this, monotonic ms. */
  retryAtMs = Number.NEGATIVE_INFINITY;
  /** Stored blocks are to be looked after in the next turn. */
  isTendDue = true;

  constructor(tenant: string, remembered: ReadonlySet<string>) {
    this.tenant = tenant;
    this.#remembered = remembered;
  }

  /** Takes in new blocks and lets go of those that are not there any more. @param blocks oldest first */
  update(blocks: readonly LocalBlock[]): void {
    const present = new Set(blocks.map(({ ulid }) => ulid));
    for (const ulid of [...this.#states.keys()]) if (!present.has(ulid)) this.forget(ulid);
    for (const block of blocks) {
      if (this.#states.has(block.ulid)) continue;
      this.#states.set(block.ulid, {
        block,
        phase: this.#remembered.has(block.ulid) ? 'remembered' : 'new',
        failureCount: 0,
        seenMs: null,
        lookedMs: Number.NEGATIVE_INFINITY,
        shippedMs: Number.POSITIVE_INFINITY,
        repetitions: 0,
      });
    }
  }

  /** The block is in the bucket. */
  setShipped(state: BlockState, nowMs: number): void {
    state.phase = 'shipped';
    state.failureCount = 0;
    state.lookedMs = nowMs;
    state.shippedMs = Math.min(state.shippedMs, nowMs);
    this.#tell(state.block.ulid);
  }

  /** The block is not here any more; who waits for it waits no longer. */
  forget(ulid: string): void {
    this.#states.delete(ulid);
    this.#tell(ulid);
  }

  /** The block to store next: of those that failed least the oldest, so that a bad one holds up no other. */
  nextPending(): BlockState | null {
    let next: BlockState | null = null;
    for (const state of this.#states.values()) {
      if (state.phase !== 'shipped' && (next === null || state.failureCount < next.failureCount))
        next = state;
    }
    return next;
  }

  /** Whether a block still waits whose last attempt failed. */
  hasFailing(): boolean {
    return [...this.#states.values()].some(({ failureCount }) => failureCount > 0);
  }

  /** Blocks that are known to be in the bucket. */
  shipped(): BlockState[] {
    return [...this.#states.values()].filter(({ phase }) => phase === 'shipped');
  }

  /** Names for the list: of all blocks that are or were in the bucket. */
  shippedNames(): string[] {
    const stored = [...this.#states.values()].filter(({ phase }) => phase !== 'new');
    return stored.map(({ block }) => block.ulid).sort();
  }

  /** Blocks the bucket may not have, `remembered` ones included where asked for. */
  pending(withRemembered: boolean): LocalBlock[] {
    const wanted = [...this.#states.values()].filter(
      ({ phase }) => phase === 'new' || (withRemembered && phase === 'remembered'),
    );
    return wanted.map(({ block }) => block);
  }

  rejectWaiters(error: unknown): void {
    for (const waiter of this.waiters) waiter.reject(error);
    this.waiters.clear();
  }

  #tell(ulid: string): void {
    for (const waiter of this.waiters) {
      waiter.ulids.delete(ulid);
      if (waiter.ulids.size > 0) continue;
      this.waiters.delete(waiter);
      waiter.resolve();
    }
  }
}
