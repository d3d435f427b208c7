/** Pauses between rounds of work, which can all be cut short. */
export class Pauses {
  readonly #ends = new Set<() => void>();

  /** Waits until the time is over, somebody calls `end`, or the signal fires. */
  wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        this.#ends.delete(end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      timer.unref();
      signal.addEventListener('abort', end);
      this.#ends.add(end);
    });
  }

  /** Ends the pauses there are now. */
  end(): void {
    for (const end of this.#ends) end();
  }
}
