import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type Bucket, bucketMetrics, openBucket } from '../../lib/bucket/index.js';
import { BlockCatalog, DEFAULT_CATALOG_OPTIONS, DeletionCatalog } from '../../lib/bucketindex/index.js';
import type { Clock } from '../../lib/clock/index.js';
import type { Config } from '../../lib/config/index.js';
import { Distributor } from '../../lib/distributor/index.js';
import type { PushService } from '../../lib/http/index.js';
import { DEFAULT_SHIPPER_OPTIONS, Ingester, LocalBlocks, Shipper } from '../../lib/ingester/index.js';
import { type LimitsProvider, parseRetentionRules } from '../../lib/limits/index.js';
import type { SourceProvider } from '../../lib/querier/index.js';
import type { Service } from '../../lib/service/index.js';
import type { Logger, Metrics } from '../../lib/telemetry/index.js';
import { bucketSettings } from './bucket-storage.js';
import { DataLock } from './data-lock.js';
import { processSources } from './process-sources.js';

/** How long a stop that flushed waits for the bucket. */
const SHIP_AT_STOP_MS = 20_000;

export interface StorageParts {
  readonly config: Config;
  readonly limits: LimitsProvider;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** The part of the process that holds data: what the other parts need of it. */
export interface Storage extends Service {
  /** What queries read; null when this process answers none. */
  readonly sources: SourceProvider | null;
  /** Where blocks are kept. */
  readonly bucket: Bucket;
  /** What blocks are there; null when this process answers no queries. */
  readonly catalog: BlockCatalog | null;
  /** What is deleted of them; null when this process answers no queries. */
  readonly deletions: DeletionCatalog | null;
  /** Takes remote write requests; null when this process takes none. */
  readonly push: PushService | null;
  /**
   * Cuts heads into blocks, of one tenant or, with '', of all. Resolves with the number of blocks when they are in
   * the bucket; null when this process has no heads.
   */
  readonly flush: ((tenant: string) => Promise<number>) | null;
}

/** Where blocks stand that are not in the bucket yet. */
export function localBlocksFolder(config: Config): string {
  return resolve(join(config.dataDir, 'blocks'));
}

/** Distributor and ingester in one process, the blocks they made, and those in the bucket. */
export async function buildStorage({
  config,
  limits,
  metrics,
  logger,
  clock,
}: StorageParts): Promise<Storage> {
  const bucket = await openBucket(bucketSettings(config), bucketMetrics(metrics));
  const catalog = new BlockCatalog(bucket, clock, {
    ...DEFAULT_CATALOG_OPTIONS,
    syncIntervalMs: config.blocks.syncIntervalMs,
    // Long before the files go.
    ignoreDeletionMarksDelayMs: config.compactor.deletionDelayMs / 2,
  });
  const retentionOf = (tenant: string) => parseRetentionRules(limits.of(tenant).retentionMatchers);
  const deletions = new DeletionCatalog(bucket, clock, retentionOf, {
    syncIntervalMs: config.blocks.syncIntervalMs,
    idleMs: DEFAULT_CATALOG_OPTIONS.idleMs,
  });
  const localBlocks = new LocalBlocks({ directory: localBlocksFolder(config), logger, metrics });
  const shipper = new Shipper({
    localBlocks,
    bucket,
    clock,
    logger: logger.child({ component: 'shipper' }),
    metrics,
    listedIn: (tenant, ulid) => catalog.lists(tenant, ulid),
    options: {
      ...DEFAULT_SHIPPER_OPTIONS,
      shipIntervalMs: config.blocks.shipIntervalMs,
      localRetentionMs: config.blocks.localRetentionMs,
    },
  });
  const ingester = new Ingester({
    options: {
      dataDir: resolve(config.dataDir),
      blockDir: localBlocksFolder(config),
      blockRangeMs: config.head.blockRangeMs,
      headMemoryBytesMax: config.head.memoryBytesMax,
      idleTimeoutMs: config.head.idleTimeoutMs,
      sync: config.wal.sync,
      syncIntervalMs: config.wal.syncIntervalMs,
      segmentBytesMax: config.wal.segmentBytes,
      flushOnShutdown: config.head.flushOnShutdown,
    },
    limits,
    metrics,
    logger,
    clock,
    onBlocks: async (tenant, blocks) => {
      await localBlocks.add(tenant, blocks);
      shipper.kick(tenant);
    },
  });
  const distributor = new Distributor({
    target: ingester,
    limits,
    metrics,
    logger,
    clock,
    decodedBytesMax: config.push.maxDecodedBytes,
  });
  let lock: DataLock | null = null;
  /** What is not in the bucket by then waits on the disk for the next start. */
  const shipWithin = async (ms: number): Promise<void> => {
    const timeout = setTimeout(ms, undefined, { ref: false });
    await Promise.race([shipper.shipNow('').catch(() => {}), timeout]);
  };
  return {
    sources: processSources({ ingester, localBlocks, catalog, deletions, bucket }),
    bucket,
    catalog,
    deletions,
    push: distributor,
    flush: async (tenant) => {
      const count = await ingester.flush(tenant);
      await shipper.shipNow(tenant);
      return count;
    },
    start: async () => {
      lock = await DataLock.take(resolve(config.dataDir));
      await localBlocks.load();
      await ingester.start();
      await catalog.start();
      await shipper.start();
    },
    stop: async () => {
      await ingester.stop();
      if (config.head.flushOnShutdown) await shipWithin(SHIP_AT_STOP_MS);
      await shipper.stop();
      await catalog.stop();
      bucket.close();
      await lock?.release();
    },
  };
}
