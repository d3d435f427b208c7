import { join } from 'node:path';
import type { Bucket } from '../bucket/index.js';
import type { Clock } from '../clock/index.js';
import { messageOf, VarveError } from '../errors/index.js';
import type { Service } from '../service/index.js';
import type { Logger, Metrics } from '../telemetry/index.js';
import { BlockShipper } from './block-shipper.js';
import type { LocalBlock, LocalBlocks } from './local-blocks.js';
import { TenantShipping } from './ship-state.js';
import { readShippedList } from './shipped-list.js';
import { ShipperLog } from './shipper-log.js';
import { ShipperMetrics } from './shipper-metrics.js';

export interface ShipperOptions {
  /** How often local blocks are looked at, ms. */
  readonly shipIntervalMs: number;
  /** How long a block stays here after readers find it in the bucket, ms. */
  readonly localRetentionMs: number;
  /** Tenants that are worked on at once; one block of each. */
  readonly concurrency: number;
  /** Longest pause after failures in a row, ms. */
  readonly retryMsMax: number;
  /** How long a stop waits for the store, ms. */
  readonly stopMsMax: number;
}

export const DEFAULT_SHIPPER_OPTIONS: ShipperOptions = {
  shipIntervalMs: 10_000,
  localRetentionMs: 600_000,
  concurrency: 4,
  retryMsMax: 60_000,
  stopMsMax: 3_000,
};

export interface ShipperParts {
  readonly localBlocks: LocalBlocks;
  readonly bucket: Bucket;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly options: ShipperOptions;
  /**
   * Whether the bucket index that readers use lists a block, or one that covers it. Asked for each stored block at each
   * round; what it throws counts as no.
   */
  readonly listedIn: (tenant: string, ulid: string) => Promise<boolean>;
  /** Random numbers in [0, 1) for pauses; `Math.random` when absent. */
  readonly random?: () => number;
}

/**
 * Brings local blocks into the bucket, and lets them go when every reader finds them there. `BlockShipper` says how; here
 * is when: each tenant has turns of one block, so that a backlog of one does not hold up the others. A failure puts off
 * the tenant's next turn, up to `retryMsMax`, and is repeated for ever.
 */
export class Shipper implements Service {
  readonly #parts: ShipperParts;
  readonly #metrics: ShipperMetrics;
  readonly #log: ShipperLog;
  readonly #steps: BlockShipper;
  readonly #tenants = new Map<string, TenantShipping>();
  /** Tenants whose turn it is next. */
  readonly #queue = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();
  /** Those that wait until no turn is left. */
  #waitingForIdle: (() => void)[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(parts: ShipperParts) {
    const { localBlocks, bucket, clock, logger, options, listedIn } = parts;
    this.#parts = parts;
    this.#metrics = new ShipperMetrics(parts.metrics, () => this.#unshipped());
    const log = new ShipperLog(logger, clock, () => [...this.#tenants.values()]);
    this.#log = log;
    const { signal } = this.#stopping;
    const { localRetentionMs } = options;
    const metrics = this.#metrics;
    const steps = { localBlocks, bucket, clock, logger, log, metrics, localRetentionMs, listedIn, signal };
    this.#steps = new BlockShipper(steps);
  }

  /** Reads what was stored before. Does not wait for the bucket. */
  async start(): Promise<void> {
    const { localBlocks, options, logger } = this.#parts;
    for (const tenant of localBlocks.tenants()) {
      this.#tenants.set(tenant, new TenantShipping(tenant, await this.#readList(tenant)));
      this.#update(tenant);
    }
    const waiting = [...this.#tenants.values()].flatMap((shipping) => shipping.pending(false));
    if (waiting.length > 0) {
      const bytes = waiting.reduce((sum, block) => sum + block.byteCount, 0);
      logger.info(
        { blocks: waiting.length, bytes },
        'blocks of an earlier run are to be stored in the bucket',
      );
    }
    this.#timer = setInterval(() => void this.round(), options.shipIntervalMs);
    this.#timer.unref();
    void this.round();
  }

  /** Ends the upload under way, which the next start begins anew. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#queue.clear();
    const reason = new VarveError(
      'cancelled',
      'shipper-stopped',
      'this instance is stopping: blocks that are not in the bucket stay on its disk',
    );
    this.#stopping.abort(reason);
    for (const shipping of this.#tenants.values()) shipping.rejectWaiters(reason);
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#parts.options.stopMsMax);
    });
    await Promise.race([Promise.all(this.#running.values()), patience]);
    clearTimeout(timer);
    await this.#parts.localBlocks.settled();
  }

  /** A tenant has new blocks: they are stored without waiting for the next round. */
  kick(tenant: string): void {
    this.#update(tenant);
    this.#enqueue(tenant);
  }

  /** Looks at all tenants; resolves when nothing is left that can be done now. */
  async round(): Promise<void> {
    for (const tenant of this.#parts.localBlocks.tenants()) this.#update(tenant);
    for (const shipping of [...this.#tenants.values()]) {
      shipping.isTendDue = true;
      this.#enqueue(shipping.tenant);
    }
    if (this.#running.size === 0) return;
    await new Promise<void>((resolve) => this.#waitingForIdle.push(resolve));
  }

  /**
   * Resolves when all blocks that a tenant (or, with '', every tenant) has here now are in the bucket. Does not keep to
   * pauses after failures.
   * @throws what the first attempt failed with; the blocks stay here and are tried again
   */
  async shipNow(tenant: string): Promise<void> {
    this.#stopping.signal.throwIfAborted();
    const tenants = tenant === '' ? this.#parts.localBlocks.tenants() : [tenant];
    await Promise.all(tenants.map((name) => this.#shipTenant(name)));
  }

  async #shipTenant(tenant: string): Promise<void> {
    const shipping = this.#update(tenant);
    const ulids = new Set(shipping.pending(true).map(({ ulid }) => ulid));
    if (ulids.size === 0) return;
    shipping.retryAtMs = Number.NEGATIVE_INFINITY;
    await new Promise<void>((resolve, reject) => {
      shipping.waiters.add({ ulids, resolve, reject });
      this.#enqueue(tenant);
    });
  }

  *#unshipped(): Generator<readonly [string, readonly LocalBlock[]]> {
    for (const [tenant, shipping] of this.#tenants) yield [tenant, shipping.pending(false)];
  }

  /** What is known of a tenant, with the blocks it has by now. */
  #update(tenant: string): TenantShipping {
    const shipping = this.#tenants.get(tenant) ?? new TenantShipping(tenant, new Set());
    this.#tenants.set(tenant, shipping);
    shipping.update(this.#parts.localBlocks.blocksOf(tenant));
    return shipping;
  }

  #enqueue(tenant: string): void {
    if (this.#stopping.signal.aborted) return;
    this.#queue.add(tenant);
    this.#pump();
  }

  #pump(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    for (const tenant of this.#queue) {
      if (this.#running.size >= this.#parts.options.concurrency) return;
      // One whose turn is not over stays in the queue.
      if (this.#running.has(tenant)) continue;
      this.#queue.delete(tenant);
      const shipping = this.#update(tenant);
      if (shipping.retryAtMs > nowMs) continue;
      this.#running.set(
        tenant,
        this.#turn(shipping).finally(() => this.#endTurn(tenant)),
      );
    }
  }

  #endTurn(tenant: string): void {
    this.#running.delete(tenant);
    this.#pump();
    if (this.#running.size > 0) return;
    for (const resolve of this.#waitingForIdle.splice(0)) resolve();
  }

  /** Stores one block of a tenant, looks after its stored ones, and sees whether there is more to do. Never throws. */
  async #turn(shipping: TenantShipping): Promise<void> {
    const errors = [await this.#shipNext(shipping), await this.#tendAll(shipping)];
    if (this.#stopping.signal.aborted) return;
    const error = errors.find((one) => one !== null) ?? null;
    if (error !== null) {
      this.#putOff(shipping, error);
      return;
    }
    shipping.failureCount = 0;
    if (!shipping.hasFailing()) this.#log.recovered(shipping);
    if (shipping.nextPending() !== null) this.#queue.add(shipping.tenant);
    else if (this.#parts.localBlocks.byteCount(shipping.tenant) === 0) this.#tenants.delete(shipping.tenant);
  }

  async #shipNext(shipping: TenantShipping): Promise<VarveError | null> {
    const next = shipping.nextPending();
    if (next === null) return null;
    try {
      await this.#steps.ship(shipping, next);
      return null;
    } catch (thrown) {
      next.failureCount++;
      return asVarveError(thrown);
    }
  }

  async #tendAll(shipping: TenantShipping): Promise<VarveError | null> {
    if (!shipping.isTendDue) return null;
    shipping.isTendDue = false;
    try {
      for (const state of shipping.shipped()) {
        if (this.#stopping.signal.aborted) return null;
        await this.#steps.tend(shipping, state);
      }
      return null;
    } catch (thrown) {
      return asVarveError(thrown);
    }
  }

  #putOff(shipping: TenantShipping, error: VarveError): void {
    const { clock, options, random = Math.random } = this.#parts;
    this.#metrics.failures.inc();
    const bound = Math.min(
      options.retryMsMax,
      options.shipIntervalMs * 2 ** Math.min(shipping.failureCount, 20),
    );
    shipping.failureCount++;
    // Half of it by chance, so that many instances don't come back to a store at once.
    shipping.retryAtMs = clock.monotonicMs() + bound * (0.5 + random() / 2);
    this.#log.failed(shipping, error);
    shipping.rejectWaiters(error);
  }

  async #readList(tenant: string): Promise<ReadonlySet<string>> {
    try {
      return await readShippedList(join(this.#parts.localBlocks.directory, tenant));
    } catch (thrown) {
      this.#log.listTrouble(tenant, thrown);
      return new Set();
    }
  }
}

function asVarveError(thrown: unknown): VarveError {
  if (thrown instanceof VarveError) return thrown;
  return new VarveError('internal', 'ship-block', messageOf(thrown), { cause: thrown });
}
