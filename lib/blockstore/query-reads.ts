import { VarveError } from '../errors/index.js';

/** What is read of a block. */
export type ReadKind = 'header' | 'postings' | 'series' | 'chunks';

/** What one query read of one kind. */
export interface ReadCounts {
  requests: number;
  /** Bytes that came from the bucket, gaps between wanted ranges included. */
  bytes: number;
  pageHits: number;
  pageMisses: number;
}

export interface QueryReadsOptions {
  /** Most bytes that the query may fetch from the bucket; 0 lifts the limit. */
  readonly bytesMax?: number;
  /** Called before each request; throws when the query was given up. */
  readonly check?: () => void;
}

/**
 * Counts what one query fetches from a bucket, over all its blocks and selectors, and stops it at its budget. When one of
 * its requests has failed the query has: those that still wait for their turn fail with the same error.
 */
export class QueryReads {
  readonly counts: Readonly<Record<ReadKind, ReadCounts>>;
  readonly #bytesMax: number;
  readonly #check: () => void;
  #chargedBytes: number;
  #failure: { readonly error: unknown } | null;

  constructor(options: QueryReadsOptions = {}) {
    const zero = (): ReadCounts => ({ requests: 0, bytes: 0, pageHits: 0, pageMisses: 0 });
    this.counts = { header: zero(), postings: zero(), series: zero(), chunks: zero() };
    this.#bytesMax = options.bytesMax ?? 0;
    this.#check = options.check ?? (() => {});
    this.#chargedBytes = 0;
    this.#failure = null;
  }

  /** Whether no block in the bucket was looked at. */
  get isUntouched(): boolean {
    return Object.values(this.counts).every(
      ({ requests, pageHits, pageMisses }) => requests + pageHits + pageMisses === 0,
    );
  }

  get requests(): number {
    return Object.values(this.counts).reduce((sum, counts) => sum + counts.requests, 0);
  }

  get bytes(): number {
    return Object.values(this.counts).reduce((sum, counts) => sum + counts.bytes, 0);
  }

  /**
   * Takes bytes that are about to be fetched off the budget.
   * @throws VarveError limit `max-fetched-bytes`
   */
  charge(byteCount: number): void {
    this.#chargedBytes += byteCount;
    if (this.#bytesMax === 0 || this.#chargedBytes <= this.#bytesMax) return;
    throw new VarveError(
      'limit',
      'max-fetched-bytes',
      `the query fetches ${this.#chargedBytes} bytes from the bucket, over the limit of ${this.#bytesMax} (limits.max_fetched_bytes_per_query): narrow its selectors or its time range`,
      { details: { count: this.#chargedBytes, limit: this.#bytesMax } },
    );
  }

  /** @throws the error that the query failed with, or what its `check` throws */
  checkWanted(): void {
    if (this.#failure !== null) throw this.#failure.error;
    this.#check();
  }

  /** Notes that a request failed. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /** Takes over what was read on the query's behalf. */
  add(other: QueryReads): void {
    for (const kind of Object.keys(this.counts) as ReadKind[]) {
      const target = this.counts[kind];
      const source = other.counts[kind];
      target.requests += source.requests;
      target.bytes += source.bytes;
      target.pageHits += source.pageHits;
      target.pageMisses += source.pageMisses;
    }
  }
}
