import type { ChunkArena } from './queryable.js';

/** A chunk arena in ordinary memory, for tools and tests that decode chunks outside a query kernel. */
export class ArrayArena implements ChunkArena {
  #bytes: Uint8Array;
  #used: number;

  constructor(capacity = 64 * 1024) {
    this.#bytes = new Uint8Array(capacity);
    // Address 0 stays free, so that a forgotten address shows.
    this.#used = 8;
  }

  reserve(byteCount: number): number {
    const address = this.#used;
    this.#used += (byteCount + 7) & ~7;
    if (this.#used + 16 > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#used + 16, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    return address;
  }

  bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Forgets everything reserved so far. */
  reset(): void {
    this.#used = 8;
  }
}
