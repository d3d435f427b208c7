import { VarveError } from '../errors/index.js';
import type { Lease } from './lease.js';

const HEARTBEATS_PER_EXPIRY = 10;

/** Keeps a lease alive while a job runs, and ends the job when it is lost. */
export class Heart {
  readonly #lease: Lease;
  readonly #expiryMs: number;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly signal: AbortSignal;
  #lastMs = performance.now();

  constructor(lease: Lease, expiryMs: number, stopping: AbortSignal) {
    this.#lease = lease;
    this.#expiryMs = expiryMs;
    this.signal = AbortSignal.any([this.#controller.signal, stopping]);
    this.#timer = setInterval(() => void this.#beat(), Math.max(10, expiryMs / HEARTBEATS_PER_EXPIRY));
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #beat(): Promise<void> {
    let isHeld: boolean;
    try {
      isHeld = await this.#lease.beat();
      this.#lastMs = performance.now();
    } catch {
      // The bucket does not answer: the lease stays until others could take it.
      isHeld = performance.now() - this.#lastMs < this.#expiryMs / 2;
    }
    if (!isHeld) this.#controller.abort(new VarveError('cancelled', 'job-overtaken', 'the lease was lost'));
  }
}
