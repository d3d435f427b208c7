import type { Bucket } from '../bucket/index.js';
import { VarveError } from '../errors/index.js';
import type { QueryReads, ReadKind } from './query-reads.js';

export interface FetchOptions {
  /** Requests that are under way at the same time, over all queries. */
  readonly requestsMax: number;
  /** Wanted ranges at most so far apart are fetched by one request: bytes cost less than requests and their latency. */
  readonly gapBytesMax: number;
  /** Longer ranges are fetched in parts of this size, side by side. */
  readonly partBytes: number;
}

export const DEFAULT_FETCH_OPTIONS: FetchOptions = {
  requestsMax: 16,
  gapBytesMax: 512 * 1024,
  partBytes: 4 * 1024 * 1024,
};

/** Fetches ranges of a bucket's objects, a bounded number at a time, first come, first served. */
export class RangeFetcher {
  readonly bucket: Bucket;
  readonly options: FetchOptions;
  /** Since it was made, for metrics. */
  readonly counts: { requests: number; bytes: number; failures: number };
  #running: number;
  readonly #waiting: (() => void)[];

  constructor(bucket: Bucket, options: FetchOptions = DEFAULT_FETCH_OPTIONS) {
    this.bucket = bucket;
    this.options = options;
    this.counts = { requests: 0, bytes: 0, failures: 0 };
    this.#running = 0;
    this.#waiting = [];
  }

  /**
   * The bytes of a range; fewer when the object ends before, none when it ends at its beginning. The caller has charged
   * them.
   */
  async fetch(
    object: string,
    offset: number,
    length: number,
    reads: QueryReads,
    kind: ReadKind,
  ): Promise<Uint8Array> {
    const bytes = await this.run(reads, kind, () =>
      this.bucket.getRange(object, offset, length).catch((error: unknown) => {
        if (error instanceof VarveError && error.code === 'object-range') return new Uint8Array(0);
        throw error;
      }),
    );
    reads.counts[kind].bytes += bytes.length;
    this.counts.bytes += bytes.length;
    return bytes;
  }

  /** Runs one request when its turn has come. */
  async run<Answer>(reads: QueryReads, kind: ReadKind, request: () => Promise<Answer>): Promise<Answer> {
    // A finished request hands its place to the first that waits, so the count stays.
    if (this.#running < this.options.requestsMax) this.#running++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      reads.checkWanted();
      reads.counts[kind].requests++;
      this.counts.requests++;
      return await request();
    } catch (error) {
      this.counts.failures++;
      reads.fail(error);
      throw error;
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
