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
  /** How long a question waits for an index that is being read, ms. */
  readonly waitMs: number;
}

export const DEFAULT_CATALOG_OPTIONS: CatalogOptions = {
  syncIntervalMs: 60_000,
  staleMs: 3_600_000,
  ignoreDeletionMarksDelayMs: 6 * 3_600_000,
  idleMs: 3_600_000,
  waitMs: 10_000,
};

/** What an index says, worked out once. */
interface Content {
  readonly index: BucketIndex;
  readonly visible: readonly IndexedBlock[];
  /** Names of raw blocks that readers are shown, and of those that were compacted into them. */
  readonly known: ReadonlySet<string>;
}

interface Entry {
  /** Null when the tenant has no index; undefined when it could not be read yet. */
  content: Content | null | undefined;
  readMs: number;
  usedMs: number;
  reading: Promise<void> | null;
  /** Whether questions are to wait for what is being read: there is something newer. */
  isOutdated: boolean;
  /** Whether one of them has waited in vain. */
  isSlow: boolean;
  error: VarveError | null;
}

/** Pause before an index that is stale, or could not be read, is read again, ms. */
const RETRY_MS = 2000;

/**
 * What blocks there are, for readers: bucket indexes of tenants, read when first asked for and kept up to date in the
 * background as long as somebody asks.
 */
export class BlockCatalog {
  readonly #bucket: Bucket;
  readonly #clock: Clock;
  readonly #options: CatalogOptions;
  readonly #entries = new Map<string, Entry>();
  #timer: NodeJS.Timeout | null = null;

  constructor(bucket: Bucket, clock: Clock, options: CatalogOptions = DEFAULT_CATALOG_OPTIONS) {
    this.#bucket = bucket;
    this.#clock = clock;
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#timer = setInterval(() => this.#refreshDue(), Math.min(1000, this.#options.syncIntervalMs));
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /**
   * The blocks of all resolutions that overlap a time span, inclusive on both sides, by begin. A tenant without an index
   * has no blocks.
   * @throws VarveError unavailable `bucket-index-stale` when nobody has updated the index for too long, `bucket-index-slow`
   *         when the bucket takes too long to answer the first question, or what reading the index failed with
   */
  async blocks(tenant: string, minTime: number, maxTime: number): Promise<IndexedBlock[]> {
    const content = await this.#freshContentOf(tenant);
    if (content === null) return [];
    return content.visible.filter((block) => block.minTime <= maxTime && minTime < block.maxTime);
  }

  /**
   * Whether readers are shown a raw block, or a raw one that it was compacted into.
   * @throws as `blocks`
   */
  async lists(tenant: string, ulid: string): Promise<boolean> {
    return (await this.#freshContentOf(tenant))?.known.has(ulid) ?? false;
  }

  async #freshContentOf(tenant: string): Promise<Content | null> {
    const content = await this.#contentOf(tenant);
    if (content === null) return null;
    const ageMs = this.#clock.nowMs() - content.index.updatedAt * 1000;
    if (ageMs > this.#options.staleMs) {
      throw new VarveError(
        'unavailable',
        'bucket-index-stale',
        `the bucket index of tenant ${tenant} was updated ${Math.round(ageMs / 60_000)} minutes ago: is a compactor running?`,
        { details: { tenant, ageMs } },
      );
    }
    return content;
  }

  /** Names of blocks that are in the index of a tenant; null when it is not known at the moment. */
  knownBlocks(tenant: string): ReadonlySet<string> | null {
    const content = this.#entries.get(tenant)?.content;
    if (content === undefined) return null;
    return new Set(content?.index.blocks.map(({ ulid }) => ulid) ?? []);
  }

  /** Reads the index of a tenant again, if somebody uses it: the next question waits for that. */
  invalidate(tenant: string): void {
    const entry = this.#entries.get(tenant);
    if (entry === undefined) return;
    entry.isOutdated = true;
    this.#beginReading(tenant, entry);
  }

  #refreshDue(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [tenant, entry] of this.#entries) {
      if (nowMs - entry.usedMs > this.#options.idleMs) this.#entries.delete(tenant);
      else if (this.#isDue(entry, nowMs)) this.#beginReading(tenant, entry);
    }
  }

  #isDue({ content, error, reading, readMs }: Entry, nowMs: number): boolean {
    if (reading !== null) return false;
    const { syncIntervalMs, staleMs } = this.#options;
    const isStale = content != null && this.#clock.nowMs() - content.index.updatedAt * 1000 > staleMs;
    const pauseMs = isStale || error !== null ? Math.min(RETRY_MS, syncIntervalMs) : syncIntervalMs;
    return nowMs - readMs >= pauseMs;
  }

  async #contentOf(tenant: string): Promise<Content | null> {
    const nowMs = this.#clock.monotonicMs();
    let entry = this.#entries.get(tenant);
    if (entry === undefined) {
      entry = {
        content: undefined,
        readMs: nowMs,
        usedMs: nowMs,
        reading: null,
        isOutdated: true,
        isSlow: false,
        error: null,
      };
      this.#entries.set(tenant, entry);
      this.#beginReading(tenant, entry);
    }
    entry.usedMs = nowMs;
    // Without the timer, as in tools, or when it is late.
    if (this.#isDue(entry, nowMs)) {
      entry.isOutdated ||= entry.error === null;
      this.#beginReading(tenant, entry);
    }
    const isAwaited = entry.isOutdated || entry.content === undefined;
    if (entry.reading !== null && isAwaited && !entry.isSlow) {
      entry.isSlow = !(await isDoneWithin(entry.reading, this.#options.waitMs));
    }
    const { content, error } = entry;
    // An index that was read before still serves while the bucket doesn't answer, until it is stale.
    if (content !== undefined) return content;
    throw (
      error ??
      new VarveError(
        'unavailable',
        'bucket-index-slow',
        `the bucket does not answer: the bucket index of tenant ${tenant} was not read within ${this.#options.waitMs / 1000} s`,
        { details: { tenant } },
      )
    );
  }

  /** Reads it once more, after what is being read now, which may be older than what the caller knows of. */
  #beginReading(tenant: string, entry: Entry): void {
    const reading = (entry.reading ?? Promise.resolve())
      .then(() => this.#read(tenant, entry))
      .finally(() => {
        if (entry.reading !== reading) return;
        entry.reading = null;
        entry.isOutdated = false;
        entry.isSlow = false;
      });
    entry.reading = reading;
  }

  async #read(tenant: string, entry: Entry): Promise<void> {
    try {
      const index = await readBucketIndex(this.#bucket, tenant);
      entry.content = index === null ? null : this.#workOut(index);
      entry.error = null;
    } catch (error) {
      entry.error =
        error instanceof VarveError ? error : new VarveError('internal', 'bucket-index', messageOf(error));
    }
    entry.readMs = this.#clock.monotonicMs();
  }

  #workOut(index: BucketIndex): Content {
    const delayMs = this.#options.ignoreDeletionMarksDelayMs;
    const visible = visibleBlocks(index.blocks, index.deletionMarks, this.#clock.nowMs(), delayMs);
    const raw = visible.filter(({ facts }) => facts === null || facts.resolution === 0);
    const known = new Set(raw.flatMap(({ ulid, facts }) => [ulid, ...(facts?.sources ?? [])]));
    return { index, known, visible };
  }
}

/** Whether something ends in time. It must not fail. */
export async function isDoneWithin(work: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([work.then(() => true), timeout]);
  } finally {
    clearTimeout(timer);
  }
}
