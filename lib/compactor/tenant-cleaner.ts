import { deleteBlock } from '../blocktransfer/index.js';
import type { Bucket } from '../bucket/index.js';
import {
  type BucketIndex,
  blockPrefix,
  coveredBlocks,
  indexName,
  type KnownIndex,
  listTenant,
  markCopyName,
  readBucketIndex,
  type TenantListing,
  writeBucketIndex,
  writeMark,
} from '../bucketindex/index.js';
import type { Clock } from '../clock/index.js';
import { messageOf, VarveError } from '../errors/index.js';
import type { LimitsProvider } from '../limits/index.js';
import type { Logger } from '../telemetry/index.js';
import { RESOLUTION } from '../tsdb/downsample/index.js';
import { type CompactorMetrics, resolutionName } from './metrics.js';

export interface CleanerOptions {
  /** From a deletion mark to the deletion, ms. */
  readonly deletionDelayMs: number;
  /** A partial block nothing was added to for so long is deleted, ms; 0 for never. */
  readonly partialDelayMs: number;
  /** An index without changes is written again after so long, ms: readers refuse old ones. */
  readonly indexRefreshMs: number;
}

export interface CleanerParts {
  /** Told whenever the index of a tenant was written. */
  readonly onIndex?: (tenant: string) => void;
  readonly bucket: Bucket;
  readonly clock: Clock;
  readonly limits: LimitsProvider;
  readonly logger: Logger;
  readonly metrics: CompactorMetrics;
  readonly options: CleanerOptions;
}

/** Blocks deleted in one go, so that the index is not kept waiting. */
const DELETIONS_MAX = 200;

/**
 * Keeps a tenant's bucket index true, marks what retention or a covering block made superfluous, and deletes what was
 * marked long enough ago. At most one per tenant should run at a time, over all processes.
 */
export class TenantCleaner {
  readonly #parts: CleanerParts;
  /** The index objects as they were written last. */
  readonly #written = new Map<string, BucketIndex>();

  constructor(parts: CleanerParts) {
    this.#parts = parts;
  }

  /** @returns what the tenant has now; its index object says the same */
  async clean(tenant: string): Promise<TenantListing> {
    const { bucket, clock, logger } = this.#parts;
    const old = this.#written.get(tenant) ?? (await this.#readIndex(tenant));
    const listing = await listTenant(bucket, tenant, old, clock.nowMs());
    for (const problem of listing.problems)
      logger.warn({ tenant, problem }, 'something in the bucket is unreadable');
    const marks = new Map(listing.index.deletionMarks);
    await this.#applyRetention(tenant, listing.index, marks);
    await this.#markCovered(tenant, listing.index, marks);
    const deleted = await this.#deleteMarked(tenant, listing.index, marks);
    await this.#deletePartials(tenant, listing, marks);
    for (const { ulid, kind } of listing.orphans) await bucket.delete(markCopyName(tenant, ulid, kind));

    for (const ulid of deleted) marks.delete(ulid);
    const blocks = listing.index.blocks.filter(({ ulid }) => !deleted.has(ulid));
    const index = { ...listing.index, blocks, deletionMarks: marks };
    await this.#write(tenant, old, index, listing);
    const result = { ...listing, index };
    this.#count(tenant, result);
    return result;
  }

  /** Drops what is known of a tenant. */
  forget(tenant: string): void {
    this.#written.delete(tenant);
    this.#parts.metrics.forget(tenant);
  }

  async #readIndex(tenant: string): Promise<BucketIndex | null> {
    try {
      return await readBucketIndex(this.#parts.bucket, tenant);
    } catch (error) {
      if (!(error instanceof VarveError) || error.kind !== 'corruption') throw error;
      this.#parts.logger.warn({ tenant, error: messageOf(error) }, 'the bucket index is made anew');
      return null;
    }
  }

  async #applyRetention(tenant: string, index: KnownIndex, marks: Map<string, number>): Promise<void> {
    const { clock, limits, logger } = this.#parts;
    const { retentionRawMs, retention5mMs, retention1hMs, retention1dMs } = limits.of(tenant);
    const retentions: Readonly<Record<number, number>> = {
      [RESOLUTION.raw]: retentionRawMs,
      [RESOLUTION.fiveMinutes]: retention5mMs,
      [RESOLUTION.hour]: retention1hMs,
      [RESOLUTION.day]: retention1dMs,
    };
    const nowMs = clock.nowMs();
    for (const { ulid, maxTime, facts } of index.blocks) {
      const retentionMs = retentions[facts.resolution] ?? 0;
      if (retentionMs === 0 || maxTime + retentionMs >= nowMs || marks.has(ulid)) continue;
      const resolution = resolutionName(facts.resolution);
      await this.#mark(tenant, ulid, marks, 'retention', `older than the retention of ${resolution} blocks`);
      logger.info({ tenant, block: ulid, resolution }, 'block is past its retention');
    }
  }

  async #markCovered(tenant: string, index: KnownIndex, marks: Map<string, number>): Promise<void> {
    const unmarked = index.blocks.filter(({ ulid }) => !marks.has(ulid));
    for (const [ulid, cover] of coveredBlocks(unmarked)) {
      await this.#mark(tenant, ulid, marks, 'covered', `all of it is in ${cover}`);
    }
  }

  async #mark(
    tenant: string,
    ulid: string,
    marks: Map<string, number>,
    reason: string,
    details: string,
  ): Promise<void> {
    const timeSeconds = Math.floor(this.#parts.clock.nowMs() / 1000);
    const mark = { ulid, timeSeconds, details, reason: '' };
    const isNew = await writeMark(this.#parts.bucket, tenant, 'deletion', mark);
    // One that stood already has another time, which the next listing tells.
    if (isNew) marks.set(ulid, timeSeconds);
    if (isNew) this.#parts.metrics.marksWritten.inc({ reason });
  }

  async #deleteMarked(
    tenant: string,
    index: KnownIndex,
    marks: ReadonlyMap<string, number>,
  ): Promise<Set<string>> {
    const { clock, logger, metrics, options } = this.#parts;
    const deleted = new Set<string>();
    for (const { ulid } of index.blocks) {
      const time = marks.get(ulid);
      if (time === undefined || clock.nowMs() - time * 1000 < options.deletionDelayMs) continue;
      if (deleted.size === DELETIONS_MAX) break;
      try {
        await deleteBlock(this.#parts.bucket, tenant, ulid);
      } catch (error) {
        metrics.deletionsFailed.inc();
        throw error;
      }
      deleted.add(ulid);
      metrics.blocksDeleted.inc();
      logger.info({ tenant, block: ulid }, 'block deleted');
    }
    return deleted;
  }

  async #deletePartials(
    tenant: string,
    { partials }: TenantListing,
    marks: ReadonlyMap<string, number>,
  ): Promise<void> {
    const { bucket, clock, logger, metrics, options } = this.#parts;
    for (const [ulid, state] of partials) {
      // One with a damaged meta.json may be all there is of its data.
      if (state === 'corrupt') continue;
      const isBegun = marks.has(ulid);
      if (!isBegun) {
        if (options.partialDelayMs === 0) continue;
        const newestMs = await this.#newestObject(tenant, ulid);
        if (newestMs === null || clock.nowMs() - newestMs < options.partialDelayMs) continue;
      }
      await deleteBlock(bucket, tenant, ulid);
      metrics.blocksDeleted.inc();
      logger.info(
        { tenant, block: ulid },
        isBegun ? 'deletion of a block finished' : 'upload that nobody went on with deleted',
      );
    }
  }

  /** Null when the block is complete by now, or gone. */
  async #newestObject(tenant: string, ulid: string): Promise<number | null> {
    const { bucket } = this.#parts;
    const prefix = blockPrefix(tenant, ulid);
    const { objects } = await bucket.list(prefix);
    if (objects.length === 0 || objects.includes(`${prefix}meta.json`)) return null;
    let newestMs = 0;
    for (const name of objects) {
      const found = await bucket.stat(name);
      if (found === null) return null;
      newestMs = Math.max(newestMs, found.modifiedMs);
    }
    return newestMs;
  }

  async #write(
    tenant: string,
    old: BucketIndex | null,
    index: KnownIndex,
    listing: TenantListing,
  ): Promise<void> {
    const { bucket, clock, metrics, options } = this.#parts;
    if (index.blocks.length === 0 && listing.partials.size === 0) {
      if (old !== null) await bucket.delete(indexName(tenant));
      this.#written.delete(tenant);
      return;
    }
    const isSame =
      old !== null &&
      !listing.isChanged &&
      isSameMarks(old, index) &&
      old.blocks.length === index.blocks.length;
    const ageMs = old === null ? 0 : clock.nowMs() - old.updatedAt * 1000;
    if (isSame && ageMs < options.indexRefreshMs) return;
    await writeBucketIndex(bucket, tenant, index);
    this.#parts.onIndex?.(tenant);
    this.#written.set(tenant, index);
    metrics.indexUpdated.labels(tenant).set(index.updatedAt);
  }

  #count(tenant: string, { index, marked, partials }: TenantListing): void {
    const { metrics } = this.#parts;
    for (const resolution of Object.values(RESOLUTION)) {
      const blocks = index.blocks.filter(({ facts }) => facts.resolution === resolution);
      metrics.blocks.labels(tenant, resolutionName(resolution)).set(blocks.length);
    }
    metrics.blocksMarked.labels(tenant).set(index.deletionMarks.size);
    metrics.blocksExcluded.labels(tenant).set(marked['no-compact'].size);
    metrics.blocksPartial.labels(tenant).set(partials.size);
  }
}

function isSameMarks(a: BucketIndex, b: BucketIndex): boolean {
  return (
    a.deletionMarks.size === b.deletionMarks.size &&
    [...a.deletionMarks.keys()].every((ulid) => b.deletionMarks.has(ulid))
  );
}
