import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { type Bucket, type BucketSettings, bucketFolder } from '../../lib/bucket/index.js';
import type { BlockCatalog, DeletionCatalog } from '../../lib/bucketindex/index.js';
import type { Clock } from '../../lib/clock/index.js';
import { type Config, renderConfig, renderFlags } from '../../lib/config/index.js';
import type { HttpServer } from '../../lib/http/index.js';
import type { LimitsProvider } from '../../lib/limits/index.js';
import {
  AdminApi,
  type BlockAccess,
  type BuildInfo,
  blockReadMetrics,
  LocalQueries,
  QueryApi,
  type QueryWorkerData,
  ReadApi,
  type SourceProvider,
} from '../../lib/querier/index.js';
import type { Module } from '../../lib/service/index.js';
import type { Logger, Metrics } from '../../lib/telemetry/index.js';
import { WorkerPool } from '../../lib/workers/index.js';
import { HeaderCleaner } from './header-cleaner.js';

export interface QuerierParts {
  readonly config: Config;
  readonly provider: SourceProvider;
  readonly server: HttpServer;
  readonly limits: LimitsProvider;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly objects: Bucket;
  /** What is deleted of tenants: the same that the provider's snapshots are made with. */
  readonly deletions: DeletionCatalog;
  /** Has what is deleted taken from blocks now; null when no compactor runs in this process. */
  readonly rewriteNow: ((tenant: string) => void) | null;
  readonly buildInfo: BuildInfo;
  /** Compiled module of the query threads. */
  readonly workerScript: URL;
  readonly bucket: BucketSettings;
  readonly catalog: BlockCatalog;
  /** Folder of the blocks that are not in the bucket yet. */
  readonly localBlocks: string;
}

/** Time a query thread has to notice that nobody waits for its query. */
const GRACE_MS = 5000;
/** The pool may have one thread more than its size. */
const SPARE_THREADS = 1;
/** Each thread fetches ranges side by side. */
const CONNECTIONS_MIN = 16;
/** Queries of all tenants that may wait at once. */
const QUEUED_MAX = 5000;

/** Mounts the query API and returns the module of its threads. */
export function buildQuerier(parts: QuerierParts): Module {
  const { config, metrics, logger } = parts;
  const { query } = config;
  const has = (feature: Config['enableFeature'][number]) => config.enableFeature.includes(feature);
  const size = query.concurrency === 0 ? availableParallelism() : query.concurrency;
  const data: QueryWorkerData = {
    engine: {
      lookbackMs: query.lookbackDeltaMs,
      evaluationIntervalMs: query.defaultEvaluationIntervalMs,
      samplesMax: query.maxSamples,
      memoryBytesMax: query.maxMemoryBytes,
      parser: {
        experimentalFunctions: has('promql-experimental-functions'),
        extendedRangeSelectors: has('promql-extended-range-selectors'),
        binopFillModifiers: has('promql-binop-fill-modifiers'),
        durationExpressions: has('promql-duration-expr'),
      },
      delayedNameRemoval: has('promql-delayed-name-removal'),
      typeAndUnitLabels: has('type-and-unit-labels'),
      startTimestamps: has('use-start-timestamps'),
    },
    blocks: blockAccess(parts, size + SPARE_THREADS),
    nice: query.nice,
  };
  const pool = new WorkerPool(
    {
      script: parts.workerScript,
      size,
      data,
      queuedPerTenantMax: query.maxOutstandingPerTenant,
      queuedMax: QUEUED_MAX,
      graceMs: GRACE_MS,
      heapMiB: 0,
    },
    logger,
  );
  metrics.gauge('varve_query_queue_length', 'Queries waiting for a thread.', [], (gauge) => {
    gauge.set(pool.queuedCount);
  });
  metrics.gauge('varve_query_running', 'Queries running in threads.', [], (gauge) =>
    gauge.set(pool.runningCount),
  );
  metrics.gauge('varve_query_threads', 'Query threads started.', [], (gauge) => gauge.set(pool.threadCount));
  metrics.gauge('varve_query_thread_losses', 'Query threads that died or were ended.', [], (gauge) => {
    gauge.set(pool.crashCount);
  });
  const onReads = blockReadMetrics(metrics);
  const apiParts = {
    pool,
    onReads,
    provider: parts.provider,
    limits: parts.limits,
    clock: parts.clock,
    logger,
  };
  const api = new QueryApi(
    {
      tenant: config,
      timeoutMs: query.timeoutMs,
      lookbackDeltaMs: query.lookbackDeltaMs,
      formBodyBytesMax: config.http.maxFormBodyBytes,
      slowLogThresholdMs: query.slowLogThresholdMs,
      maxSourceResolution: query.maxSourceResolution,
      buildInfo: parts.buildInfo,
      configYaml: () => renderConfig(config),
      flags: () => flagsOf(config),
      features: { promql: Object.fromEntries(config.enableFeature.map((feature) => [feature, true])) },
    },
    { ...apiParts, local: new LocalQueries(data) },
  );
  api.mount(parts.server);
  const { timeoutMs, lookbackDeltaMs, maxSamples, maxMemoryBytes } = query;
  const budgets = { samplesMax: maxSamples, memoryBytesMax: maxMemoryBytes };
  new ReadApi({ tenant: config, timeoutMs, lookbackDeltaMs, ...budgets }, apiParts).mount(parts.server);
  const { objects, deletions, rewriteNow } = parts;
  new AdminApi(
    {
      tenant: config,
      isEnabled: config.http.enableAdminApi,
      timeoutMs,
      formBodyBytesMax: config.http.maxFormBodyBytes,
      memoryBytesMax: maxMemoryBytes,
    },
    { ...apiParts, bucket: objects, deletions, rewriteNow },
  ).mount(parts.server);
  const { cacheFolder, bucket } = data.blocks;
  const headers =
    bucketFolder(bucket) !== null ? null : new HeaderCleaner(cacheFolder, parts.catalog, logger);
  return {
    name: 'query-threads',
    needs: ['storage'],
    // Threads are started when first asked for: a process that only takes writes saves their memory, 70 MB each.
    service: {
      start: async () => headers?.start(),
      stop: async () => {
        headers?.stop();
        await pool.stop();
      },
    },
  };
}

/** How the threads get at blocks: caches and connections are shared out among them. */
function blockAccess({ config, bucket, localBlocks }: QuerierParts, threads: number): BlockAccess {
  const { blocks } = config;
  const share = (bytes: number) => Math.floor(bytes / threads);
  const maxConnections = Math.max(CONNECTIONS_MIN, share(bucket.s3.maxConnections));
  const index = share(blocks.cacheIndexBytes / 2);
  return {
    bucket: { ...bucket, s3: { ...bucket.s3, maxConnections } },
    localFolder: localBlocks,
    cacheFolder: resolve(blocks.cacheDir === '' ? join(config.dataDir, 'index-headers') : blocks.cacheDir),
    cacheBytes: { postings: index, series: index, chunks: share(blocks.cacheChunksBytes) },
    openBlocksMax: config.query.maxOpenBlocks,
  };
}

/** Our flags, and under Prometheus' names those that its tools ask for. */
function flagsOf(config: Config): Record<string, string> {
  const flags = renderFlags(config);
  return {
    ...flags,
    'query.lookback-delta': flags['query-lookback-delta'] ?? '',
    'query.max-concurrency': flags['query-concurrency'] ?? '',
    'query.max-samples': flags['query-max-samples'] ?? '',
    'query.timeout': flags['query-timeout'] ?? '',
    'web.listen-address': flags['http-listen'] ?? '',
  };
}
