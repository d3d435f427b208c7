import type { Bucket } from '../bucket/index.js';
import type { Clock } from '../clock/index.js';
import { messageOf, VarveError } from '../errors/index.js';
import type { RetentionRule } from '../limits/index.js';
import type { MaskText } from '../tsdb/block/index.js';
import { isDoneWithin } from './catalog.js';
import { deletionMasks } from './deletion-rules.js';
import { type DeletionRequest, listDeletions } from './deletions.js';

export interface DeletionCatalogOptions {
  /** How long what was read is used before it is read again, ms. */
  readonly syncIntervalMs: number;
  /** What nobody asked for this long is dropped, ms. */
  readonly idleMs: number;
  /** How long a question waits for what is being read, ms. */
  readonly waitMs: number;
}

const DEFAULT_OPTIONS: DeletionCatalogOptions = { syncIntervalMs: 60_000, idleMs: 3_600_000, waitMs: 10_000 };
/** Pause before what could not be read is read again, ms. */
const RETRY_MS = 2000;

interface Entry {
  /** Null until they were read once. */
  requests: readonly DeletionRequest[] | null;
  readMs: number;
  usedMs: number;
  reading: Promise<void> | null;
  /** Whether a question has waited for that in vain. */
  isSlow: boolean;
  error: VarveError | null;
}

/** What is deleted of tenants but still in the bucket, for readers: requests, read now and then, and retention. */
export class DeletionCatalog {
  readonly #bucket: Bucket;
  readonly #clock: Clock;
  readonly #retentionOf: (tenant: string) => readonly RetentionRule[];
  readonly #options: DeletionCatalogOptions;
  readonly #entries = new Map<string, Entry>();

  /** @param retentionOf rules of a tenant as they are now */
  constructor(
    bucket: Bucket,
    clock: Clock,
    retentionOf: (tenant: string) => readonly RetentionRule[],
    options: Partial<DeletionCatalogOptions> = {},
  ) {
    this.#bucket = bucket;
    this.#clock = clock;
    this.#retentionOf = retentionOf;
    this.#options = { ...DEFAULT_OPTIONS, ...options };
  }

  /**
   * What must not be shown of a tenant's samples, wherever they are. While the bucket does not answer, what was read
   * last counts.
   * @throws what the first reading failed with: CorruptionError `deletion-request`, or what the bucket throws;
   *         VarveError unavailable `deletions-slow` when that takes too long, or the first after `invalidate` does
   */
  async masks(tenant: string): Promise<readonly MaskText[]> {
    return deletionMasks(await this.requests(tenant), this.#retentionOf(tenant), this.#clock.nowMs());
  }

  /** The requests that are not over, oldest first. @throws as `masks` */
  async requests(tenant: string): Promise<readonly DeletionRequest[]> {
    const entry = this.#entryOf(tenant);
    const { syncIntervalMs, waitMs } = this.#options;
    const ageMs = entry.usedMs - entry.readMs;
    if (ageMs >= (entry.error === null ? syncIntervalMs : Math.min(RETRY_MS, syncIntervalMs))) {
      let reading = this.#sync(tenant, entry);
      // A store that has failed before and hangs must not hold up all queries: what was read once counts.
      const hasOld = entry.requests !== null && entry.error !== null;
      while (!hasOld && !entry.isSlow) {
        entry.isSlow = !(await isDoneWithin(reading, waitMs));
        // It may have been invalidated while it was read.
        if (entry.readMs !== Number.NEGATIVE_INFINITY) break;
        reading = this.#sync(tenant, entry);
      }
    }
    if (entry.requests !== null && entry.readMs !== Number.NEGATIVE_INFINITY) return entry.requests;
    throw (
      entry.error ??
      new VarveError(
        'unavailable',
        'deletions-slow',
        `the bucket does not answer: what is deleted of tenant ${tenant} was not read within ${waitMs / 1000} s`,
        { details: { tenant } },
      )
    );
  }

  /** Reads the requests of a tenant again at the next question. */
  invalidate(tenant: string): void {
    const entry = this.#entries.get(tenant);
    if (entry === undefined) return;
    entry.readMs = Number.NEGATIVE_INFINITY;
    entry.error = null;
    // What is being read now may be what was there before.
    entry.reading = null;
    entry.isSlow = false;
  }

  #entryOf(tenant: string): Entry {
    const nowMs = this.#clock.monotonicMs();
    for (const [other, { usedMs }] of this.#entries) {
      if (nowMs - usedMs > this.#options.idleMs) this.#entries.delete(other);
    }
    let entry = this.#entries.get(tenant);
    if (entry === undefined) {
      entry = {
        requests: null,
        readMs: Number.NEGATIVE_INFINITY,
        usedMs: nowMs,
        reading: null,
        isSlow: false,
        error: null,
      };
      this.#entries.set(tenant, entry);
    }
    entry.usedMs = nowMs;
    return entry;
  }

  #sync(tenant: string, entry: Entry): Promise<void> {
    entry.reading ??= this.#read(tenant, entry);
    return entry.reading;
  }

  #read(tenant: string, entry: Entry): Promise<void> {
    const known = new Map((entry.requests ?? []).map((request) => [request.id, request]));
    const reading: Promise<void> = listDeletions(this.#bucket, tenant, known).then(
      ({ requests }) => this.#finish(entry, reading, requests, null),
      (error: unknown) => this.#finish(entry, reading, null, error),
    );
    return reading;
  }

  #finish(
    entry: Entry,
    reading: Promise<void>,
    requests: readonly DeletionRequest[] | null,
    error: unknown,
  ): void {
    if (entry.reading !== reading) return;
    entry.reading = null;
    entry.isSlow = false;
    entry.readMs = this.#clock.monotonicMs();
    entry.error = null;
    if (requests !== null) entry.requests = requests;
    else if (error instanceof VarveError) entry.error = error;
    else entry.error = new VarveError('internal', 'deletions', messageOf(error));
  }
}
