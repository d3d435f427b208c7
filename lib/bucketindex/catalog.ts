import type { Bucket } from '../bucket/index.js';
import type { Clock } from '../clock/index.js';
import { messageOf, VarveError } from '../errors/index.js';
import type { BucketIndex, IndexedBlock } from './bucket-index.js';
import { visibleBlocks } from './cover.js';
import { readBucketIndex } from './update-index.js';

export interface CatalogOptions {
  /** How long an index is used before it is read again, ms. */
  readonly syncIntervalMs: number;
  /** An index that was written longer ago is not answered from, ms. */
  readonly staleMs: number;
  /** How long after its deletion mark a block is still read, ms. */
  readonly ignoreDeletionMarksDelayMs: number;
  /** An index nobody asked for this long is dropped, ms. */
  readonly idleMs: number;
}

export const DEFAULT_CATALOG_OPTIONS: CatalogOptions = {
  syncIntervalMs: 60_000,
  staleMs: 3_600_000,
  ignoreDeletionMarksDelayMs: 6 * 3_600_000,
  idleMs: 3_600_000,
};

interface Entry {
  index: BucketIndex | null;
  readMs: number;
  usedMs: number;
  reading: Promise<void> | null;
  error: unknown;
}

/** What blocks there are, for readers: bucket indexes of tenants, read when first asked for and again every so often. */
export class BlockCatalog {
  readonly #bucket: Bucket;
  readonly #clock: Clock;
  readonly #options: CatalogOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(bucket: Bucket, clock: Clock, options: CatalogOptions = DEFAULT_CATALOG_OPTIONS) {
    this.#bucket = bucket;
    this.#clock = clock;
    this.#options = options;
  }

  /**
   * The blocks of all resolutions that overlap a time span, inclusive on both sides. A tenant without an index has no
   * blocks.
   * @throws VarveError unavailable `bucket-index-stale` when nobody has updated the index for too long, or what reading
   *         it failed with
   */
  async blocks(tenant: string, minTime: number, maxTime: number): Promise<IndexedBlock[]> {
    const index = await this.#indexOf(tenant);
    if (index === null) return [];
    const nowMs = this.#clock.nowMs();
    const ageMs = nowMs - index.updatedAt * 1000;
    if (ageMs > this.#options.staleMs) {
      throw new VarveError(
        'unavailable',
        'bucket-index-stale',
        `the bucket index of tenant ${tenant} was updated ${Math.round(ageMs / 60_000)} minutes ago: is a compactor running?`,
        { details: { tenant, ageMs } },
      );
    }
    const overlapping = index.blocks.filter((block) => block.minTime <= maxTime && minTime < block.maxTime);
    const delayMs = this.#options.ignoreDeletionMarksDelayMs;
    return visibleBlocks(overlapping, index.deletionMarks, nowMs, delayMs);
  }

  /** Reads the index of a tenant again at the next question. */
  invalidate(tenant: string): void {
    const entry = this.#entries.get(tenant);
    if (entry !== undefined) entry.readMs = Number.NEGATIVE_INFINITY;
  }

  async #indexOf(tenant: string): Promise<BucketIndex | null> {
    const nowMs = this.#clock.monotonicMs();
    for (const [other, { usedMs }] of this.#entries) {
      if (nowMs - usedMs > this.#options.idleMs) this.#entries.delete(other);
    }
    let entry = this.#entries.get(tenant);
    if (entry === undefined) {
      entry = { index: null, readMs: Number.NEGATIVE_INFINITY, usedMs: nowMs, reading: null, error: null };
      this.#entries.set(tenant, entry);
    }
    entry.usedMs = nowMs;
    if (nowMs - entry.readMs >= this.#options.syncIntervalMs) {
      entry.reading ??= this.#read(tenant, entry);
      await entry.reading;
    }
    // An index that was read before still serves while the bucket doesn't answer, until it is stale.
    if (entry.error !== null && entry.index === null) throw entry.error;
    return entry.index;
  }

  async #read(tenant: string, entry: Entry): Promise<void> {
    try {
      entry.index = await readBucketIndex(this.#bucket, tenant);
      entry.error = null;
    } catch (error) {
      entry.error =
        error instanceof VarveError ? error : new VarveError('internal', 'bucket-index', messageOf(error));
    } finally {
      entry.readMs = this.#clock.monotonicMs();
      entry.reading = null;
    }
  }
}
