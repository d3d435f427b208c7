import type { Bucket } from '../bucket/index.js';
import {
  beginDeletion,
  type CheckedBlocks,
  cancelDeletion,
  type DeletionRequest,
  type DeletionRule,
  deletionClaimName,
  deletionRules,
  endDeletion,
  endedDeletionName,
  type KnownIndex,
  listChecked,
  listDeletions,
  listEndedDeletions,
  openRules,
  type TenantListing,
} from '../bucketindex/index.js';
import type { Clock } from '../clock/index.js';
import { type LimitsProvider, parseRetentionRules } from '../limits/index.js';
import type { Logger } from '../telemetry/index.js';

/** What is to be deleted of a tenant's samples, and what is known to be. */
export interface TenantDeletions {
  readonly rules: readonly DeletionRule[];
  readonly checked: CheckedBlocks;
}

export interface KeeperParts {
  readonly bucket: Bucket;
  readonly clock: Clock;
  readonly limits: LimitsProvider;
  readonly logger: Logger;
  /** How long a request stays in force at least, ms: until no head and no local block has what it deletes. */
  readonly settleMs: number;
}

const NONE: TenantDeletions = { rules: [], checked: new Map() };
/** How long a request that is over is shown, ms. */
const KEEP_ENDED_MS = 7 * 86_400_000;

/** Keeps the books of deletions: what is asked for, what is done, what is over. */
export class DeletionKeeper {
  readonly #parts: KeeperParts;
  /** By tenant, then id. */
  readonly #known = new Map<string, ReadonlyMap<string, DeletionRequest>>();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /** What is in force now. @param listing a look at the tenant's part of the bucket */
  async read(tenant: string, listing: TenantListing): Promise<TenantDeletions> {
    const { bucket, clock, limits } = this.#parts;
    const retention = parseRetentionRules(limits.of(tenant).retentionMatchers);
    if (!listing.hasDeletions) {
      this.#known.delete(tenant);
      if (retention.length === 0) return NONE;
      return { rules: deletionRules([], retention, clock.nowMs()), checked: NONE.checked };
    }
    const { requests, claimed } = await listDeletions(bucket, tenant, this.#known.get(tenant));
    this.#known.set(tenant, new Map(requests.map((request) => [request.id, request])));
    for (const id of claimed) {
      // Left by a death between the end of a request and that of its claim.
      if (!this.#known.get(tenant)!.has(id)) await bucket.delete(deletionClaimName(tenant, id));
    }
    const rules = deletionRules(requests, retention, clock.nowMs());
    if (rules.length === 0) return NONE;
    return { rules, checked: (await listChecked(bucket, tenant)).blocks };
  }

  /** Before something is deleted by rules: notes that requests are begun. False when one was cancelled: then nothing may. */
  async begin(tenant: string, rules: readonly DeletionRule[]): Promise<boolean> {
    const { bucket, clock } = this.#parts;
    for (const { request } of rules) {
      if (request === null || (await beginDeletion(bucket, tenant, request.id))) continue;
      // Its cancellation may have been cut short.
      await cancelDeletion(bucket, tenant, request.id, clock.nowMs());
      return false;
    }
    return true;
  }

  /**
   * Ends the requests that have been in force long enough when no block in the bucket has anything of theirs any more,
   * those that are marked for deletion included.
   */
  async retire(tenant: string, index: KnownIndex, deletions: TenantDeletions): Promise<void> {
    const { bucket, clock, limits, logger, settleMs } = this.#parts;
    const nowMs = clock.nowMs();
    const waitMs = settleMs + limits.of(tenant).outOfOrderTimeWindowMs;
    for (const rule of deletions.rules) {
      const { request } = rule;
      if (request === null || nowMs - request.createdMs < waitMs) continue;
      const isOpen = index.blocks.some((block) => openRules([rule], block, deletions.checked).length > 0);
      if (isOpen) continue;
      await endDeletion(bucket, tenant, request, 'done', nowMs);
      logger.info({ tenant, deletion: request.id, matchers: request.selectors }, 'deletion of samples done');
    }
  }

  /** Removes notes that say nothing any more, and requests that have been over for long. */
  async sweep(tenant: string, index: KnownIndex, deletions: TenantDeletions): Promise<void> {
    const { bucket, clock } = this.#parts;
    const keys = new Set(deletions.rules.map(({ key }) => key));
    const blocks = new Set(index.blocks.map(({ ulid }) => ulid));
    for (const [ulid, names] of (await listChecked(bucket, tenant)).objects) {
      for (const name of names) {
        const isWanted = blocks.has(ulid) && name.split('.').some((part) => keys.has(part));
        if (!isWanted) await bucket.delete(name);
      }
    }
    for (const { request, endedMs } of await listEndedDeletions(bucket, tenant)) {
      if (clock.nowMs() - endedMs > KEEP_ENDED_MS) await bucket.delete(endedDeletionName(tenant, request.id));
    }
  }

  forget(tenant: string): void {
    this.#known.delete(tenant);
  }
}
