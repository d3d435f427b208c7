import { resolve } from 'node:path';
import { type Bucket, FolderBucket } from '../../lib/bucket/index.js';
import type { Clock } from '../../lib/clock/index.js';
import type { Config } from '../../lib/config/index.js';
import { Distributor } from '../../lib/distributor/index.js';
import type { PushService } from '../../lib/http/index.js';
import { Ingester } from '../../lib/ingester/index.js';
import type { LimitsProvider } from '../../lib/limits/index.js';
import {
  BucketProvider,
  EMPTY_HEAD_STATS,
  type SourceDescriptor,
  type SourceProvider,
} from '../../lib/querier/index.js';
import type { Service } from '../../lib/service/index.js';
import type { Logger, Metrics } from '../../lib/telemetry/index.js';
import { DataLock } from './data-lock.js';

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
  /** Takes remote write requests; null when this process takes none. */
  readonly push: PushService | null;
  /**
   * Cuts heads into blocks, of one tenant or, with '', of all. Resolves with the number of blocks when they are in
   * the bucket; null when this process has no heads.
   */
  readonly flush: ((tenant: string) => Promise<number>) | null;
}

/** How often the bucket folder is looked at for new blocks. */
const REFRESH_MS = 30_000;

/** Heads may hold late samples of any age. */
const EARLIEST_MS = -8.64e15;

/** Distributor and ingester in one process, and the blocks in the bucket folder. */
export async function buildStorage({
  config,
  limits,
  metrics,
  logger,
  clock,
}: StorageParts): Promise<Storage> {
  const bucketFolder = resolve(config.bucket.slice('file:'.length));
  const bucket = new FolderBucket(bucketFolder);
  const blocks = new BucketProvider(bucketFolder, REFRESH_MS, logger, {
    clock,
    // Long before the files go.
    ignoreDeletionMarksDelayMs: config.compactor.deletionDelayMs / 2,
  });
  const ingester = new Ingester({
    options: {
      dataDir: resolve(config.dataDir),
      blockDir: bucketFolder,
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
    onBlocks: () => blocks.refresh(),
  });
  const distributor = new Distributor({
    target: ingester,
    limits,
    metrics,
    logger,
    clock,
    decodedBytesMax: config.push.maxDecodedBytes,
  });
  const sources: SourceProvider = {
    snapshot(tenant, minTimeMs, maxTimeMs) {
      // The head is held before the blocks are listed: what leaves it afterwards waits for this query.
      const held = ingester.hold(tenant);
      const isOutside =
        held !== null &&
        held.minTimeMs !== null &&
        (held.minTimeMs > maxTimeMs || held.maxTimeMs < minTimeMs);
      if (isOutside) held.release();
      const head = isOutside ? null : held;
      const inBucket = blocks.snapshot(tenant, minTimeMs, maxTimeMs);
      const found: SourceDescriptor[] = [...inBucket.sources];
      const memoryKey = `head-${head?.view.id}`;
      if (head !== null) {
        found.push({ kind: 'head', minTimeMs: EARLIEST_MS, maxTimeMs: head.maxTimeMs, memoryKey });
      }
      return {
        sources: found,
        attachments: head === null ? [] : [{ key: memoryKey, value: head.view.memory }],
        release: () => {
          head?.release();
          inBucket.release();
        },
      };
    },
    metadata: async (tenant) => ingester.metadata(tenant),
    exemplars: (tenant, matcherSets, minTimeMs, maxTimeMs) =>
      ingester.exemplars(tenant, matcherSets, minTimeMs, maxTimeMs),
    headStats: async (tenant, limit) => {
      const figures = ingester.statistics(tenant, limit);
      return figures ?? EMPTY_HEAD_STATS;
    },
  };
  let lock: DataLock | null = null;
  return {
    sources,
    bucket,
    push: distributor,
    flush: (tenant) => ingester.flush(tenant),
    start: async () => {
      lock = await DataLock.take(resolve(config.dataDir));
      await blocks.start();
      await ingester.start();
    },
    stop: async () => {
      await ingester.stop();
      await blocks.stop();
      bucket.close();
      await lock?.release();
    },
  };
}
