import { VarveError } from '../errors/index.js';

/** How an operation on a remote store is repeated. Times in ms. */
export interface RetryPolicy {
  /** One operation, all its attempts included, ends after this long. */
  readonly deadlineMs: number;
  /** Longest one attempt may take. */
  readonly attemptMs: number;
  /** Upper end of the first pause; doubles with each attempt. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** Random numbers in [0, 1). */
  readonly random: () => number;
}

/** What an attempt is told: give up when the signal fires. */
export type Attempt<Result> = (signal: AbortSignal) => Promise<Result>;

/**
 * Runs an attempt until it succeeds, fails for good, or the deadline is over. Pauses are drawn between zero and a bound
 * that doubles ("full jitter"), so that many clients of a store that was down don't come back at once.
 * @param judge turns what an attempt threw into an error; `unavailable` ones are tried again
 * @param isFinal unavailable errors that trying again cannot cure
 */
export async function withRetries<Result>(
  policy: RetryPolicy,
  attempt: Attempt<Result>,
  judge: (thrown: unknown) => VarveError,
  isFinal: (error: VarveError) => boolean,
): Promise<Result> {
  const endMs = performance.now() + policy.deadlineMs;
  let last: VarveError | null = null;
  for (let tries = 0; ; tries++) {
    const leftMs = endMs - performance.now();
    const timer = new AbortController();
    const timeout = setTimeout(
      () => timer.abort(new Error('no answer in time')),
      Math.max(1, Math.min(policy.attemptMs, leftMs)),
    );
    try {
      return await attempt(timer.signal);
    } catch (thrown) {
      // What ended because the whole time was up is not the reason, if there was one before.
      const isCutShort = timer.signal.aborted && leftMs < policy.attemptMs;
      last = (isCutShort ? last : null) ?? judge(timer.signal.aborted ? timer.signal.reason : thrown);
    } finally {
      clearTimeout(timeout);
    }
    const failure = last;
    if (failure.kind !== 'unavailable' || isFinal(failure)) throw failure;
    const bound = Math.min(policy.longestPauseMs, policy.firstPauseMs * 2 ** tries);
    const pauseMs = policy.random() * bound;
    if (performance.now() + pauseMs >= endMs) {
      throw new VarveError(
        failure.kind,
        failure.code,
        `${failure.message} (${tries + 1} attempts in ${Math.round(policy.deadlineMs / 1000)} s)`,
        { cause: failure.cause, details: { ...failure.details, attempts: tries + 1 } },
      );
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
