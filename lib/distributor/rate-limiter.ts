import type { Clock } from '../clock/index.js';

/** A token bucket: `rate` per second, at most `burst` at once. */
export class RateLimiter {
  readonly #clock: Clock;
  #tokens = 0;
  #rate = 0;
  #burst = 0;
  #atMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Takes n tokens, or none when they are not there.
   * @param rate  tokens per second; 0 lifts the limit
   * @param burst size of the bucket; a request larger than that can never pass
   * @returns seconds until the tokens will be there, 0 when they were taken
   */
  take(n: number, rate: number, burst: number): number {
    if (rate <= 0) return 0;
    const now = this.#clock.monotonicMs();
    if (rate !== this.#rate || burst !== this.#burst) {
      // A new limit starts with a full bucket.
      this.#rate = rate;
      this.#burst = burst;
      this.#tokens = burst;
    } else {
      this.#tokens = Math.min(burst, this.#tokens + ((now - this.#atMs) / 1000) * rate);
    }
    this.#atMs = now;
    if (this.#tokens >= n) {
      this.#tokens -= n;
      return 0;
    }
    return (n - this.#tokens) / rate;
  }
}
