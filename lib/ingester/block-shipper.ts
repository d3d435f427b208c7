import { join } from 'node:path';
import type { Bucket } from '../bucket/index.js';
import { readTenantMark } from '../bucketindex/index.js';
import type { Clock } from '../clock/index.js';
import type { Logger } from '../telemetry/index.js';
import type { LocalBlocks } from './local-blocks.js';
import { type StoredState, storeBlock, storedState } from './ship-block.js';
import type { BlockState, TenantShipping } from './ship-state.js';
import { writeShippedList } from './shipped-list.js';
import type { ShipperLog } from './shipper-log.js';
import type { ShipperMetrics } from './shipper-metrics.js';

export interface BlockShipperParts {
  readonly localBlocks: LocalBlocks;
  readonly bucket: Bucket;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly log: ShipperLog;
  readonly metrics: ShipperMetrics;
  readonly localRetentionMs: number;
  readonly listedIn: (tenant: string, ulid: string) => Promise<boolean>;
  /** Fires when the process stops. */
  readonly signal: AbortSignal;
}

/** A stored block that readers don't find yet is asked for in the bucket so often. */
const LOOK_MS = 300_000;
/** A block that vanishes from the bucket without a trace is stored again so often in one run. */
const REPETITIONS_MAX = 3;

const DELETED =
  'block is deleted in the bucket before it was listed there; it is going to be deleted here too';

/**
 * The steps of one block, each to be repeated when it fails:
 *
 *     new ──stored──> shipped ──listed in the bucket index──> seen ──localRetentionMs, looked at once more──> deleted here
 *
 * A block is deleted here only after the bucket was found to have all its files, to have one that covers it, or to have
 * it deleted by a mark. One that is gone from the bucket without a trace is stored again, a few times in a run: a bucket
 * that was lost or mixed up must not cost data, and no block may stay for ever.
 */
export class BlockShipper {
  readonly #parts: BlockShipperParts;

  constructor(parts: BlockShipperParts) {
    this.#parts = parts;
  }

  /** Sees to it that a block is in the bucket. @throws what the bucket or the disk fails with */
  async ship(shipping: TenantShipping, state: BlockState): Promise<void> {
    const { bucket, clock, log, metrics, signal } = this.#parts;
    const { block } = state;
    if (await this.#dropDeletedTenant(shipping)) return;
    const stored = await storedState(bucket, block);
    signal.throwIfAborted();
    const wasStored = state.phase === 'remembered' || state.repetitions > 0;
    const isReplaced = stored === 'absent' && wasStored && (await this.#isListed(block.tenant, block.ulid));
    if (stored === 'deleted' || isReplaced) this.#see(state, DELETED);
    else if (stored !== 'complete') {
      if (state.phase === 'remembered') this.#beginAnew(state, stored);
      await storeBlock(bucket, block, clock.nowMs(), signal, (byteCount) => metrics.bytes.inc(byteCount));
      metrics.uploads.inc();
      metrics.lastSuccess.set(clock.nowMs() / 1000);
      log.stored(block);
    }
    shipping.setShipped(state, clock.monotonicMs());
    try {
      await writeShippedList(
        join(this.#parts.localBlocks.directory, shipping.tenant),
        shipping.shippedNames(),
      );
    } catch (thrown) {
      log.listTrouble(shipping.tenant, thrown);
    }
  }

  /** Lets a stored block go when it is time and when it is safe. @throws what the bucket fails with */
  async tend(shipping: TenantShipping, state: BlockState): Promise<void> {
    const { localBlocks, bucket, clock, log, signal, localRetentionMs, logger } = this.#parts;
    const { tenant, ulid } = state.block;
    const nowMs = clock.monotonicMs();
    if (state.seenMs === null && (await this.#isListed(tenant, ulid))) state.seenMs = nowMs;
    if (state.seenMs === null) log.unlisted(state.block, nowMs - state.shippedMs);
    const isDue = state.seenMs !== null && nowMs - state.seenMs >= localRetentionMs;
    const isToBeLookedAt = state.seenMs === null && nowMs - state.lookedMs >= LOOK_MS;
    if (!isDue && !isToBeLookedAt) return;
    if (await this.#dropDeletedTenant(shipping)) return;
    const stored = await storedState(bucket, state.block);
    signal.throwIfAborted();
    state.lookedMs = nowMs;
    const isGone =
      stored === 'absent' && (state.repetitions >= REPETITIONS_MAX || (await this.#isListed(tenant, ulid)));
    if (stored === 'damaged' || (stored === 'absent' && !isGone)) {
      this.#beginAnew(state, stored);
    } else if (isDue) {
      localBlocks.remove(tenant, ulid);
      shipping.forget(ulid);
      logger.debug({ tenant, block: ulid }, 'local block deleted: readers find it in the bucket');
    } else if (stored === 'deleted' || isGone) this.#see(state, DELETED);
  }

  /** The bucket does not have what was stored in it. */
  #beginAnew(state: BlockState, stored: StoredState): void {
    const { tenant, ulid } = state.block;
    state.phase = 'new';
    state.seenMs = null;
    state.repetitions++;
    const fields = { tenant, block: ulid };
    if (stored === 'damaged') {
      this.#parts.logger.error(
        fields,
        'the block in the bucket lacks files or bytes: it is stored again from here',
      );
    } else {
      this.#parts.logger.warn(
        fields,
        'the bucket does not have a block any more that was stored in it: it is stored again; is it the right bucket?',
      );
    }
  }

  #see(state: BlockState, message: string): void {
    const { tenant, ulid } = state.block;
    state.seenMs = this.#parts.clock.monotonicMs();
    this.#parts.logger.info({ tenant, block: ulid }, message);
  }

  /** Deletes the local blocks of a tenant that is marked for deletion; tells whether it is. */
  async #dropDeletedTenant(shipping: TenantShipping): Promise<boolean> {
    const { localBlocks, bucket, logger, signal } = this.#parts;
    const { tenant } = shipping;
    if ((await readTenantMark(bucket, tenant)) === null) return false;
    signal.throwIfAborted();
    const ulids = localBlocks.blocksOf(tenant).map(({ ulid }) => ulid);
    for (const ulid of ulids) localBlocks.remove(tenant, ulid);
    shipping.update([]);
    logger.warn(
      { tenant, blocks: ulids },
      'local blocks deleted, as the tenant is marked for deletion in the bucket',
    );
    return true;
  }

  async #isListed(tenant: string, ulid: string): Promise<boolean> {
    try {
      return await this.#parts.listedIn(tenant, ulid);
    } catch (thrown) {
      this.#parts.log.indexUnreadable(tenant, thrown);
      return false;
    }
  }
}
