import type { Bucket } from '../bucket/index.js';
import {
  type KnownIndex,
  listTenant,
  listTenants,
  readTenantMark,
  type TenantListing,
  writeTenantMark,
} from '../bucketindex/index.js';
import type { Clock } from '../clock/index.js';
import { messageOf, VarveError } from '../errors/index.js';
import type { LimitsProvider } from '../limits/index.js';
import type { Service } from '../service/index.js';
import type { Logger, Metrics } from '../telemetry/index.js';
import { DeletionKeeper, type TenantDeletions } from './deletion-keeper.js';
import type { Engine } from './engine.js';
import { Heart } from './heart.js';
import type { Blocked, Job } from './job.js';
import { JobBoard, type JobView } from './job-board.js';
import { JobRunner } from './job-runner.js';
import { type Lease, LeaseTaker } from './lease.js';
import { CompactorMetrics, resolutionName } from './metrics.js';
import type { Owners } from './owners.js';
import { Pauses } from './pauses.js';
import { type Plan, planTenant } from './plan.js';
import type { DownsampleSpans } from './plan-downsampling.js';
import { Quarantine } from './quarantine.js';
import { Scratch } from './scratch.js';
import { type CleanerOptions, TenantCleaner } from './tenant-cleaner.js';
import { deleteTenant } from './tenant-deletion.js';

export interface CompactorOptions extends CleanerOptions {
  /** Pause between rounds of jobs, ms. */
  readonly compactionIntervalMs: number;
  /** Pause between updates of the bucket indexes, ms. */
  readonly cleanupIntervalMs: number;
  /** Jobs at once. */
  readonly concurrency: number;
  readonly rangesMs: readonly number[];
  readonly firstLevelWaitMs: number;
  readonly downsampling: DownsampleSpans | null;
  readonly tenantCleanupDelayMs: number;
  /** How long a deletion of samples stays in force at least, ms. */
  readonly deletionSettleMs: number;
  /** Name of this compactor, the same after a restart; asked for after the start. */
  readonly holder: () => string;
  readonly leaseExpiryMs: number;
  readonly scratchFolder: string;
  /** 0 for what the disk has. */
  readonly scratchBytesMax: number;
}

export interface CompactorParts {
  readonly bucket: Bucket;
  readonly clock: Clock;
  readonly limits: LimitsProvider;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly engine: Engine;
  readonly owners: Owners;
  /** Told whenever the index of a tenant was written. */
  readonly onIndex?: (tenant: string) => void;
  readonly options: CompactorOptions;
}

/** What is known of a tenant, for the admin page. */
export interface TenantView {
  readonly tenant: string;
  readonly blocks: Readonly<Record<string, number>>;
  readonly samples: Readonly<Record<string, number>>;
  readonly markedForDeletion: number;
  readonly noCompact: readonly string[];
  readonly noDownsample: readonly string[];
  readonly partials: readonly string[];
  readonly blocked: readonly Blocked[];
  readonly indexUpdatedAt: number;
}

interface QueuedJob {
  readonly tenant: string;
  readonly job: Job;
}

/** Uploads that never ended, and leases that nobody gave back, are looked for this often, ms. */
const LEFTOVERS_EVERY_MS = 3_600_000;

/**
 * Keeps the bucket in order: index, marks and deletions of each tenant in one loop, merging and downsampling in
 * another. Several may run: each takes the tenants and jobs that `owners` gives it, and leases keep them apart while
 * they disagree.
 */
export class Compactor implements Service {
  readonly #parts: CompactorParts;
  readonly #metrics: CompactorMetrics;
  readonly #board: JobBoard;
  readonly #cleaner: TenantCleaner;
  readonly #quarantine: Quarantine;
  readonly #keeper: DeletionKeeper;
  readonly #leases: LeaseTaker;
  readonly #runner: JobRunner;
  readonly #scratch: Scratch;
  readonly #stopping = new AbortController();
  /** The last listing of each tenant. */
  readonly #listings = new Map<string, TenantListing>();
  /** What is to be deleted of each tenant, read after its listing. */
  readonly #deletions = new Map<string, TenantDeletions>();
  readonly #blocked = new Map<string, readonly Blocked[]>();
  /** Leases for cleaning, kept as long as this process lives. */
  readonly #cleanLeases = new Map<string, Lease>();
  readonly #runningKeys = new Set<string>();
  readonly #pauses = new Pauses();
  /** Whether the next round must not plan with an earlier listing. */
  #mustLook = false;
  #loops: readonly Promise<void>[] = [];
  readonly #sweptMs = new Map<string, number>();
  #abandonedMs = Number.NEGATIVE_INFINITY;

  constructor(parts: CompactorParts) {
    const { bucket, clock, logger, options } = parts;
    this.#parts = parts;
    this.#metrics = new CompactorMetrics(parts.metrics);
    this.#board = new JobBoard(clock, options.concurrency);
    this.#cleaner = new TenantCleaner({ ...parts, metrics: this.#metrics });
    this.#quarantine = new Quarantine(bucket, clock, logger, this.#metrics);
    this.#leases = new LeaseTaker(bucket, clock, { holder: options.holder, expiryMs: options.leaseExpiryMs });
    this.#scratch = new Scratch(options.scratchFolder, options.scratchBytesMax);
    this.#keeper = new DeletionKeeper({ ...parts, settleMs: options.deletionSettleMs });
    this.#runner = new JobRunner({
      ...parts,
      scratch: this.#scratch,
      metrics: this.#metrics,
      deletions: this.#keeper,
    });
  }

  async start(): Promise<void> {
    await this.#scratch.clear();
    const { cleanupIntervalMs, compactionIntervalMs } = this.#parts.options;
    this.#loops = [
      this.#loop('update of the bucket indexes', cleanupIntervalMs, () => this.cleanOnce()),
      this.#loop('round of compaction', compactionIntervalMs, () => this.compactOnce()),
    ];
  }

  /** Gives up what runs; nothing is lost by that. */
  async stop(): Promise<void> {
    this.#stopping.abort(new VarveError('cancelled', 'compactor-stopping', 'the compactor is stopping'));
    await Promise.all(this.#loops);
    for (const lease of this.#cleanLeases.values()) await lease.release().catch(() => lease.abandon());
    this.#cleanLeases.clear();
  }

  /** Begins the next round of either kind now, to see what was asked for. */
  wake(): void {
    this.#mustLook = true;
    this.#pauses.end();
  }

  jobs(): JobView[] {
    return this.#board.jobs();
  }

  etaSeconds(): number | null {
    return this.#board.etaSeconds();
  }

  tenants(): TenantView[] {
    return [...this.#listings]
      .map(([tenant, listing]) => this.#viewOf(tenant, listing))
      .sort((a, b) => (a.tenant < b.tenant ? -1 : 1));
  }

  /** Marks a tenant: its blocks and later everything of it are deleted. */
  async markTenant(tenant: string): Promise<void> {
    const { bucket, clock } = this.#parts;
    if ((await readTenantMark(bucket, tenant)) !== null) return;
    await writeTenantMark(bucket, tenant, {
      deletionTime: Math.floor(clock.nowMs() / 1000),
      finishedTime: 0,
    });
  }

  /** Whether a tenant is marked, and whether its blocks are gone. */
  async tenantDeletion(
    tenant: string,
  ): Promise<{ readonly isMarked: boolean; readonly blocksDeleted: boolean }> {
    const mark = await readTenantMark(this.#parts.bucket, tenant);
    return { isMarked: mark !== null, blocksDeleted: (mark?.finishedTime ?? 0) > 0 };
  }

  /** Updates indexes, applies retention and deletes, for every tenant that is this process' own. Returns how many failed. */
  async cleanOnce(): Promise<number> {
    const { bucket, clock, owners, logger, options } = this.#parts;
    const { tenants, marked } = await listTenants(bucket);
    let failures = 0;
    for (const tenant of tenants) {
      if (this.#stopping.signal.aborted) return failures;
      try {
        if (!owners.owns(tenant)) await this.#handOver(tenant);
        if (!owners.owns(tenant) || !(await this.#mayClean(tenant))) continue;
        if (marked.has(tenant) && (await this.#delete(tenant))) continue;
        const listing = await this.#cleaner.clean(tenant);
        this.#listings.set(tenant, listing);
        await this.#keepDeletions(tenant, listing);
        await this.#sweepLeases(tenant);
        if (listing.hasOldTenantMark) await this.#delete(tenant);
      } catch (error) {
        failures++;
        this.#metrics.cleansFailed.inc();
        logger.error({ tenant, error: messageOf(error) }, 'bucket index not updated, it is tried again');
      }
    }
    for (const tenant of this.#listings.keys()) if (!tenants.includes(tenant)) this.#forget(tenant);
    if (owners.owns('abandoned uploads') && clock.monotonicMs() - this.#abandonedMs > LEFTOVERS_EVERY_MS) {
      this.#abandonedMs = clock.monotonicMs();
      if (options.partialDelayMs > 0)
        await bucket.removeAbandonedUploads(clock.nowMs() - options.partialDelayMs);
    }
    return failures;
  }

  /** Plans and runs jobs until there are none left for this process. Returns how many were done. */
  async compactOnce(): Promise<number> {
    const { logger, options } = this.#parts;
    this.#metrics.runsStarted.inc();
    let failures = 0;
    let done = 0;
    const queue: QueuedJob[] = [];
    const { tenants, marked } = await listTenants(this.#parts.bucket);
    for (const tenant of tenants) {
      if (this.#stopping.signal.aborted) break;
      if (marked.has(tenant)) continue;
      try {
        queue.push(...this.#ownJobs(tenant, this.#planRecent(tenant) ?? (await this.#plan(tenant))));
      } catch (error) {
        failures++;
        logger.error({ tenant, error: messageOf(error) }, 'tenant not planned, it is tried again');
      }
    }
    this.#mustLook = false;
    const order = fairOrder(queue);
    if (order.length > 0)
      logger.info({ jobs: order.length, tenants: tenants.length }, 'round of compaction begins');
    const lane = async (): Promise<void> => {
      for (let next = order.shift(); next !== undefined; next = order.shift()) {
        if (this.#stopping.signal.aborted) return;
        this.#showQueue([next, ...order]);
        const outcome = await this.#runJob(next);
        if (outcome === 'failed') failures++;
        if (outcome !== 'done') continue;
        done++;
        const { tenant } = next;
        try {
          const found = this.#ownJobs(tenant, await this.#plan(tenant));
          const others = order.filter((other) => other.tenant !== tenant);
          order.splice(0, order.length, ...fairOrder([...others, ...found]));
        } catch (error) {
          failures++;
          logger.error({ tenant, error: messageOf(error) }, 'tenant not planned, it is tried again');
        }
      }
    };
    await Promise.all(Array.from({ length: options.concurrency }, lane));
    this.#showQueue([]);
    if (failures === 0) {
      this.#metrics.runsCompleted.inc();
      this.#metrics.lastSuccess.set(this.#parts.clock.nowMs() / 1000);
    } else this.#metrics.runsFailed.inc();
    return done;
  }

  async #loop(name: string, intervalMs: number, run: () => Promise<unknown>): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await run();
      } catch (error) {
        this.#parts.logger.error({ error: messageOf(error) }, `${name} failed, it is tried again`);
      }
      if (!signal.aborted) await this.#pauses.wait(intervalMs, signal);
    }
  }

  /** One process at a time cleans a tenant. */
  async #mayClean(tenant: string): Promise<boolean> {
    const held = this.#cleanLeases.get(tenant);
    if (held !== undefined) {
      if (await held.beat()) return true;
      held.abandon();
      this.#cleanLeases.delete(tenant);
    }
    const lease = await this.#leases.take(tenant, 'cleaner');
    if (lease !== null) this.#cleanLeases.set(tenant, lease);
    return lease !== null;
  }

  /** Lets another process clean a tenant that has become its own. */
  async #handOver(tenant: string): Promise<void> {
    const lease = this.#cleanLeases.get(tenant);
    if (lease === undefined) return;
    this.#cleanLeases.delete(tenant);
    this.#sweptMs.delete(tenant);
    // What is counted per tenant is now the other's to tell.
    this.#cleaner.forget(tenant);
    await lease.release();
  }

  async #keepDeletions(tenant: string, listing: TenantListing): Promise<void> {
    const deletions = await this.#keeper.read(tenant, listing);
    this.#deletions.set(tenant, deletions);
    const requests = deletions.rules.filter(({ request }) => request !== null);
    this.#metrics.deletions.labels(tenant).set(requests.length);
    if (!listing.hasDeletions) return;
    await this.#keeper.retire(tenant, listing.index, deletions);
    if (this.#isSweepDue(tenant)) await this.#keeper.sweep(tenant, listing.index, deletions);
  }

  #isSweepDue(tenant: string): boolean {
    const nowMs = this.#parts.clock.monotonicMs();
    return nowMs - (this.#sweptMs.get(tenant) ?? Number.NEGATIVE_INFINITY) >= LEFTOVERS_EVERY_MS;
  }

  async #sweepLeases(tenant: string): Promise<void> {
    if (!this.#isSweepDue(tenant)) return;
    this.#sweptMs.set(tenant, this.#parts.clock.monotonicMs());
    await this.#leases.sweep(tenant);
  }

  /** Goes on deleting a tenant; false when it is not to be deleted. */
  async #delete(tenant: string): Promise<boolean> {
    const { bucket, clock, logger, options } = this.#parts;
    const state = await deleteTenant(bucket, tenant, clock, options.tenantCleanupDelayMs);
    if (state === 'not marked') return false;
    this.#forget(tenant);
    if (state === 'gone') logger.info({ tenant }, 'tenant deleted');
    return true;
  }

  #forget(tenant: string): void {
    this.#listings.delete(tenant);
    this.#deletions.delete(tenant);
    this.#keeper.forget(tenant);
    this.#blocked.delete(tenant);
    this.#sweptMs.delete(tenant);
    this.#cleanLeases.get(tenant)?.abandon();
    this.#cleanLeases.delete(tenant);
    this.#cleaner.forget(tenant);
  }

  /** Plans with what the other loop has just listed, to save requests; null when that is too long ago. */
  #planRecent(tenant: string): Plan | null {
    const listing = this.#listings.get(tenant);
    if (listing === undefined || this.#mustLook) return null;
    const ageMs = this.#parts.clock.nowMs() - listing.index.updatedAt * 1000;
    return ageMs < this.#parts.options.cleanupIntervalMs ? this.#planFrom(tenant, listing) : null;
  }

  /** Looks at a tenant's blocks and says what is to be done. */
  async #plan(tenant: string): Promise<Plan> {
    const { bucket, clock } = this.#parts;
    const known: KnownIndex | null = this.#listings.get(tenant)?.index ?? null;
    const listing = await listTenant(bucket, tenant, known, clock.nowMs());
    this.#listings.set(tenant, listing);
    this.#deletions.set(tenant, await this.#keeper.read(tenant, listing));
    return this.#planFrom(tenant, listing);
  }

  #planFrom(tenant: string, listing: TenantListing): Plan {
    const { clock, limits, options } = this.#parts;
    const nowMs = clock.nowMs();
    const known = this.#deletions.get(tenant);
    const deletions = known === undefined ? {} : { deletions: known };
    const marked = { ...listing.marked, deletion: new Set(listing.index.deletionMarks.keys()) };
    const plan = planTenant(
      { blocks: listing.index.blocks, marked, nowMs, ...deletions },
      {
        rangesMs: options.rangesMs,
        firstLevelWaitMs: options.firstLevelWaitMs,
        lateMs: limits.of(tenant).outOfOrderTimeWindowMs,
        downsampling: options.downsampling,
      },
    );
    this.#blocked.set(tenant, plan.blocked);
    return plan;
  }

  #ownJobs(tenant: string, plan: Plan): QueuedJob[] {
    const { owners } = this.#parts;
    return plan.jobs
      .filter(({ key }) => owners.owns(`${tenant}/${key}`) && !this.#runningKeys.has(`${tenant}/${key}`))
      .filter((job) => this.#quarantine.isDue(tenant, job))
      .map((job) => ({ tenant, job }));
  }

  async #runJob({ tenant, job: planned }: QueuedJob): Promise<'done' | 'failed' | 'not needed'> {
    const id = `${tenant}/${planned.key}`;
    if (this.#runningKeys.has(id)) return 'not needed';
    this.#runningKeys.add(id);
    let lease: Lease | null = null;
    try {
      lease = await this.#leases.take(tenant, planned.key);
      if (lease === null) return 'not needed';
      // What was planned may have been done by somebody else before the lease was taken.
      const job = (await this.#plan(tenant)).jobs.find(({ key }) => key === planned.key);
      return job === undefined ? 'not needed' : await this.#runLeased(tenant, job, lease);
    } catch (error) {
      this.#parts.logger.error({ tenant, job: planned.key, error: messageOf(error) }, 'job not begun');
      return 'failed';
    } finally {
      await lease?.release().catch(() => lease?.abandon());
      this.#runningKeys.delete(id);
    }
  }

  async #runLeased(tenant: string, job: Job, lease: Lease): Promise<'done' | 'failed' | 'not needed'> {
    const { clock, logger } = this.#parts;
    const running = this.#board.begin(tenant, job);
    this.#showOpen();
    const startedMs = clock.monotonicMs();
    const heart = new Heart(lease, this.#parts.options.leaseExpiryMs, this.#stopping.signal);
    try {
      const result = await this.#runner.run(tenant, job, running, lease, heart.signal);
      const seconds = (clock.monotonicMs() - startedMs) / 1000;
      const samples = job.blocks.reduce((sum, { facts }) => sum + facts.samples, 0);
      this.#board.end(running, { result });
      this.#metrics.jobsDone.inc({ kind: job.kind, resolution: resolutionName(job.resolution) });
      this.#metrics.jobSeconds.observe({ kind: job.kind }, seconds);
      this.#metrics.jobSamples.inc({ kind: job.kind }, samples);
      this.#quarantine.succeeded(tenant, job);
      const eta = this.#board.etaSeconds();
      logger.info(
        {
          tenant,
          job: job.key,
          blocks: job.blocks.length,
          samples,
          result,
          seconds,
          etaSeconds: eta === null ? null : Math.round(eta),
        },
        'job done',
      );
      return 'done';
    } catch (error) {
      if (this.#stopping.signal.aborted || isGivenUp(error)) {
        this.#board.end(running, null);
        logger.info({ tenant, job: job.key, reason: messageOf(error) }, 'job given up');
        return 'not needed';
      }
      this.#board.end(running, { error: messageOf(error) });
      const code = error instanceof VarveError ? error.code : 'internal';
      this.#metrics.jobsFailed.inc({ kind: job.kind, code });
      await this.#quarantine.failed(tenant, job, error);
      return 'failed';
    } finally {
      heart.stop();
      this.#showOpen();
    }
  }

  #showQueue(queue: readonly QueuedJob[]): void {
    this.#board.setPlanned(queue);
    this.#showOpen();
  }

  #showOpen(): void {
    for (const kind of ['compact', 'downsample', 'rewrite'] as const) {
      for (const state of ['planned', 'running'] as const) {
        this.#metrics.jobsOpen.labels(kind, state).set(this.#board.count(kind, state));
      }
    }
    this.#metrics.eta.set(this.#board.etaSeconds() ?? Number.NaN);
  }

  #viewOf(tenant: string, { index, marked, partials }: TenantListing): TenantView {
    const blocks: Record<string, number> = {};
    const samples: Record<string, number> = {};
    for (const { ulid, facts } of index.blocks) {
      if (index.deletionMarks.has(ulid)) continue;
      const name = resolutionName(facts.resolution);
      blocks[name] = (blocks[name] ?? 0) + 1;
      samples[name] = (samples[name] ?? 0) + facts.samples;
    }
    return {
      tenant,
      blocks,
      samples,
      markedForDeletion: index.deletionMarks.size,
      noCompact: [...marked['no-compact']].sort(),
      noDownsample: [...marked['no-downsample']].sort(),
      partials: [...partials.keys()].sort(),
      blocked: this.#blocked.get(tenant) ?? [],
      indexUpdatedAt: index.updatedAt * 1000,
    };
  }
}

/** Tenants take turns; the jobs of each keep their order. */
function fairOrder(jobs: readonly QueuedJob[]): QueuedJob[] {
  const byTenant = new Map<string, QueuedJob[]>();
  for (const job of jobs) {
    const own = byTenant.get(job.tenant);
    if (own === undefined) byTenant.set(job.tenant, [job]);
    else own.push(job);
  }
  const turns = [...byTenant.values()].flatMap((own) => own.map((job, turn) => ({ job, turn })));
  return turns.sort((a, b) => a.turn - b.turn).map(({ job }) => job);
}

function isGivenUp(error: unknown): boolean {
  return error instanceof VarveError && (error.kind === 'cancelled' || error.code === 'block-vanished');
}
