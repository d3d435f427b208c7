import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Garbage worth a collection. */
const GARBAGE_BYTES_MIN = 64 * 1024 * 1024;

/**
 * Gives memory back soon after large buffers became garbage. V8 collects when it runs short of heap, to which buffers of
 * hundreds of megabytes hardly count, so an idle thread would keep them for minutes.
 */
export class MemoryTidy {
  readonly #delayMs: number;
  readonly #collect: () => void;
  #garbageBytes = 0;
  #timer: NodeJS.Timeout | null = null;

  /** @param delayMs how long nothing large has to happen: a collection stops this thread for some ten milliseconds */
  constructor(delayMs: number, collect: () => void = collectGarbage) {
    this.#delayMs = delayMs;
    this.#collect = collect;
  }

  /** To be told of large buffers when nobody uses them any more. */
  note(byteCount: number): void {
    this.#garbageBytes += byteCount;
    if (this.#garbageBytes < GARBAGE_BYTES_MIN) return;
    if (this.#timer !== null) {
      this.#timer.refresh();
      return;
    }
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#garbageBytes = 0;
      this.#collect();
    }, this.#delayMs);
    this.#timer.unref();
  }
}

let collector: (() => void) | null = null;

/** A full collection in this thread; nothing where V8 does not allow it. */
function collectGarbage(): void {
  if (collector === null) {
    // The function exists only in contexts made while the flag is set.
    setFlagsFromString('--expose-gc');
    const found = runInNewContext('typeof gc === "function" ? gc : null') as (() => void) | null;
    setFlagsFromString('--no-expose-gc');
    collector = found ?? (() => {});
  }
  collector();
}
