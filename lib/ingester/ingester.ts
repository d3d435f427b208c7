import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../clock/index.js';
import { messageOf, VarveError } from '../errors/index.js';
import type { Exemplar, ExemplarSeries } from '../exemplar/index.js';
import type { ScanKernel } from '../kernel/index.js';
import type { LabelSet } from '../labels/index.js';
import type { LimitsProvider } from '../limits/index.js';
import type { Matcher } from '../matcher/index.js';
import type { AppendReport, BatchAppender, HistogramSample, SeriesAdmission } from '../storage/index.js';
import type { Logger, Metrics } from '../telemetry/index.js';
import { isValidTenant } from '../tenant/index.js';
import type { CutBlock, HeadStatistics, HeadView } from '../tsdb/head/index.js';
import type { SyncMode } from '../tsdb/wal/index.js';
import type { MetricMetadata } from './metadata-store.js';
import { TenantStore } from './tenant-store.js';

export interface IngesterOptions {
  /** Logs stand at `<dataDir>/tsdb/<tenant>/wal`. */
  readonly dataDir: string;
  /** Blocks are cut into `<blockDir>/<tenant>/<ULID>`: the folder of `LocalBlocks`. */
  readonly blockDir: string;
  readonly blockRangeMs: number;
  readonly headMemoryBytesMax: number;
  /** A head without new samples for this long is cut and released. */
  readonly idleTimeoutMs: number;
  readonly sync: SyncMode;
  readonly syncIntervalMs: number;
  readonly segmentBytesMax: number;
  readonly flushOnShutdown: boolean;
}

export interface IngesterParts {
  readonly options: IngesterOptions;
  readonly limits: LimitsProvider;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  /**
   * Makes new blocks of a tenant visible to queries that begin after it resolves. When it throws, the cut is made again
   * later, into other blocks.
   */
  readonly onBlocks: (tenant: string, blocks: readonly CutBlock[]) => Promise<void>;
}

/** A head, held for a query. */
export interface HeldHead {
  readonly view: HeadView;
  /** Times of its samples at this moment, inclusive; null when it has none. */
  readonly minTimeMs: number | null;
  readonly maxTimeMs: number;
  release(): void;
}

export interface ReplayStatus {
  readonly tenant: string;
  readonly segment: number;
  readonly lastSegment: number;
}

const CUT_CHECK_MS = 30_000;

/** Holds the recent samples of all tenants: logs them, keeps them in heads, cuts heads into blocks. */
export class Ingester implements BatchAppender {
  readonly #parts: IngesterParts;
  readonly #stores = new Map<string, TenantStore>();
  readonly #opening = new Map<string, Promise<TenantStore>>();
  readonly #walBytes: { inc(amount?: number): void };
  readonly #walSeconds: { observe(value: number): void };
  readonly #cuts: { inc(amount?: number): void };
  readonly #cutFailures: { inc(amount?: number): void };
  #replay: ReplayStatus | null = null;
  #timer: NodeJS.Timeout | null = null;
  #ready = false;
  #isCutting = false;

  constructor(parts: IngesterParts) {
    this.#parts = parts;
    const { metrics } = parts;
    this.#walBytes = metrics.counter(
      'varve_ingester_wal_written_bytes_total',
      'Bytes of log written and synced.',
    );
    this.#walSeconds = metrics.histogram(
      'varve_ingester_wal_commit_duration_seconds',
      'Time to write and sync one batch of the log.',
    );
    this.#cuts = metrics.counter('varve_ingester_blocks_cut_total', 'Blocks cut from heads.');
    this.#cutFailures = metrics.counter(
      'varve_ingester_block_cut_failures_total',
      'Attempts to cut a head into blocks that failed; they are repeated.',
    );
    this.#gauge(
      'varve_ingester_memory_series',
      'Series in the head.',
      (store) => store.head.kernel.seriesCount,
    );
    this.#gauge('varve_ingester_exemplars', 'Exemplars in memory.', (store) => store.exemplars.count);
    this.#gauge(
      'varve_ingester_head_used_bytes',
      'Bytes in use in the head.',
      (store) => store.head.kernel.usedBytes,
    );
    this.#gauge(
      'varve_ingester_head_memory_bytes',
      'Size of the head memory, free blocks included.',
      (store) => store.head.kernel.memoryBytes,
    );
    this.#gauge(
      'varve_ingester_wal_writable',
      '1 while the write-ahead log can be written, 0 while pushes are refused because it cannot.',
      (store) => (store.isWritable ? 1 : 0),
    );
    this.#gauge(
      'varve_ingester_head_max_time_seconds',
      'Time of the newest sample.',
      (store) => (store.head.kernel.maxTimeMs ?? 0) / 1000,
    );
  }

  #gauge(name: string, help: string, value: (store: TenantStore) => number): void {
    this.#parts.metrics.gauge(name, help, ['user'], (gauge) => {
      for (const [tenant, store] of this.#stores) gauge.labels(tenant).set(value(store));
    });
  }

  /** Replays the logs of all tenants. */
  async start(): Promise<void> {
    const root = join(this.#parts.options.dataDir, 'tsdb');
    mkdirSync(root, { recursive: true });
    for (const tenant of readdirSync(root)) if (isValidTenant(tenant)) await this.#open(tenant);
    this.#ready = true;
    this.#timer = setInterval(() => void this.#cutDue(), CUT_CHECK_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    this.#ready = false;
    if (this.#timer !== null) clearInterval(this.#timer);
    await Promise.allSettled(this.#opening.values());
    // One tenant's full disk must not keep the others from being closed.
    for (const [tenant, store] of this.#stores) {
      try {
        await store.close(this.#parts.options.flushOnShutdown);
      } catch (thrown) {
        this.#parts.logger.error(
          { tenant, error: messageOf(thrown) },
          'the store was not closed in order; what was acknowledged is in the log',
        );
      }
    }
  }

  /** What is being replayed, null when nothing is. */
  get replaying(): ReplayStatus | null {
    return this.#replay;
  }

  #open(tenant: string): Promise<TenantStore> {
    const pending = this.#opening.get(tenant);
    if (pending !== undefined) return pending;
    const opening = this.#openStore(tenant).finally(() => this.#opening.delete(tenant));
    this.#opening.set(tenant, opening);
    return opening;
  }

  async #openStore(tenant: string): Promise<TenantStore> {
    const { options, limits, clock, logger } = this.#parts;
    const store = new TenantStore({
      tenant,
      directory: join(options.dataDir, 'tsdb', tenant),
      blockDirectory: join(options.blockDir, tenant),
      blockRangeMs: options.blockRangeMs,
      outOfOrderWindowMs: limits.of(tenant).outOfOrderTimeWindowMs,
      headMemoryBytesMax: options.headMemoryBytesMax,
      sync: options.sync,
      syncIntervalMs: options.syncIntervalMs,
      segmentBytesMax: options.segmentBytesMax,
      clock,
      logger,
      onBlocks: (blocks) => this.#parts.onBlocks(tenant, blocks),
      onCommit: (byteLength, seconds) => {
        this.#walBytes.inc(byteLength);
        this.#walSeconds.observe(seconds);
      },
    });
    const progress = { tenant, segment: 0, lastSegment: 0 };
    this.#replay = progress;
    try {
      const result = await store.open(progress);
      if (result.sampleCount > 0 || result.tear !== null) {
        logger.info(
          {
            tenant,
            series: result.seriesCount,
            samples: result.sampleCount,
            samplesOfUnknownSeries: result.unknownSampleCount,
            seconds: Number(result.seconds.toFixed(3)),
            samplesPerSecond: Math.round(result.sampleCount / Math.max(result.seconds, 0.001)),
            ...(result.tear === null
              ? {}
              : {
                  cutOffSegment: result.tear.segment.number,
                  cutOffAt: result.tear.offset,
                  tear: result.tear.reason,
                }),
          },
          'write-ahead log replayed',
        );
      }
    } finally {
      if (this.#replay === progress) this.#replay = null;
    }
    this.#stores.set(tenant, store);
    return store;
  }

  append(
    tenant: string,
    scan: ScanKernel,
    histograms: readonly HistogramSample[],
    futureLimitMs: number,
    admission: SeriesAdmission,
  ): AppendReport {
    const store = this.#stores.get(tenant);
    if (store === undefined) {
      throw new VarveError(
        'unavailable',
        'tenant-opening',
        `the store of tenant ${tenant} is being opened: retry`,
      );
    }
    return store.append(scan, histograms, futureLimitMs, admission);
  }

  /** Makes sure that a tenant has a store; to be awaited before `append` for a tenant that may be new. */
  prepare(tenant: string): Promise<unknown> | null {
    if (this.#stores.has(tenant)) return null;
    if (!this.#ready) {
      return Promise.reject(
        new VarveError('unavailable', 'ingester-not-ready', 'this instance is starting or stopping: retry'),
      );
    }
    return this.#open(tenant);
  }

  recordMetadata(tenant: string, metric: string, metadata: MetricMetadata, metricsMax: number): boolean {
    return this.#stores.get(tenant)?.metadata.record(metric, metadata, metricsMax) ?? false;
  }

  /** See ExemplarStore.record. */
  recordExemplar(tenant: string, labels: LabelSet, exemplar: Exemplar, countMax: number): boolean {
    return this.#stores.get(tenant)?.exemplars.record(labels, exemplar, countMax) ?? false;
  }

  /** See ExemplarStore.select. */
  async exemplars(
    tenant: string,
    matcherSets: readonly (readonly Matcher[])[],
    minTimeMs: number,
    maxTimeMs: number,
  ): Promise<readonly ExemplarSeries[]> {
    return (await this.#stores.get(tenant)?.exemplars.select(matcherSets, minTimeMs, maxTimeMs)) ?? [];
  }

  metadata(tenant: string): ReadonlyMap<string, readonly MetricMetadata[]> {
    return this.#stores.get(tenant)?.metadata.entries ?? new Map();
  }

  /** The head of a tenant, held until released; null when the tenant has none. */
  hold(tenant: string): HeldHead | null {
    const store = this.#stores.get(tenant);
    if (store === undefined) return null;
    const hold = store.head.hold();
    return {
      view: store.head.view,
      minTimeMs: store.head.kernel.minTimeMs,
      maxTimeMs: store.head.kernel.maxTimeMs ?? 0,
      release: () => hold.release(),
    };
  }

  statistics(tenant: string, limit: number): (HeadStatistics & HeadFigures) | null {
    const store = this.#stores.get(tenant);
    if (store === undefined) return null;
    return {
      ...store.head.statistics(limit),
      chunkCount: store.head.kernel.chunksMade,
      minTimeMs: store.head.kernel.minTimeMs,
      maxTimeMs: store.head.kernel.maxTimeMs,
    };
  }

  /** Cuts the head of one tenant, or of all with '', into blocks. Resolves with the number of blocks. */
  async flush(tenant: string): Promise<number> {
    const stores = tenant === '' ? [...this.#stores.values()] : [this.#stores.get(tenant)];
    let count = 0;
    for (const store of stores) {
      if (store === undefined) continue;
      const blocks = await store.flush();
      this.#cuts.inc(blocks.length);
      count += blocks.length;
    }
    return count;
  }

  async #cutDue(): Promise<void> {
    if (this.#isCutting) return;
    this.#isCutting = true;
    for (const [tenant, store] of this.#stores) {
      try {
        store.setOutOfOrderWindow(this.#parts.limits.of(tenant).outOfOrderTimeWindowMs);
        this.#cuts.inc((await store.cutDue(this.#parts.options.idleTimeoutMs)).length);
      } catch (thrown) {
        this.#cutFailures.inc();
        this.#parts.logger.error(
          { tenant, error: messageOf(thrown) },
          'the head could not be cut into blocks; its samples stay in memory and in the log, the next attempt follows',
        );
      }
    }
    this.#isCutting = false;
  }
}

export interface HeadFigures {
  readonly chunkCount: number;
  readonly minTimeMs: number | null;
  readonly maxTimeMs: number | null;
}
