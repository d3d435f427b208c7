import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bucket, FolderBucket } from '../../bucket/index.js';
import { listTenant, visibleBlocks } from '../../bucketindex/index.js';
import type { Clock } from '../../clock/index.js';
import { ManualClock } from '../../clock/index.js';
import { DEFAULT_LIMITS, type Limits } from '../../limits/index.js';
import { type Logger, Metrics, silentLogger } from '../../telemetry/index.js';
import { isBlockName } from '../../tsdb/block/index.js';
import {
  type Content,
  float,
  readChunks,
  readContent,
  writeModelBlock,
} from '../../tsdb/compact/testing/model-blocks.js';
import { Compactor, type CompactorOptions } from '../compactor.js';
import type { Engine } from '../engine.js';
import { type Owners, soleOwner } from '../owners.js';
import { runTask } from '../run-task.js';

/** What the tests of the compactor share: a bucket in a folder with small blocks, and compactors on it. */

export const HOUR = 3_600_000;
export const TENANT = 'team-a';
/** A multiple of 8 hours, so that small ranges and spans begin here. */
export const BEGIN = 1_700_006_400_000 - (1_700_006_400_000 % (8 * HOUR));

/** Runs tasks in this thread. */
export const inlineEngine: Engine = {
  run: (task, signal, onProgress) => runTask(task, () => signal.aborted, onProgress),
};

export const OPTIONS: CompactorOptions = {
  compactionIntervalMs: 60_000,
  // No round plans with an earlier listing.
  cleanupIntervalMs: 0,
  concurrency: 1,
  rangesMs: [2 * HOUR, 4 * HOUR],
  firstLevelWaitMs: 0,
  downsampling: { hourMs: 8 * HOUR, dayMs: 24 * HOUR },
  deletionDelayMs: 12 * HOUR,
  partialDelayMs: 24 * HOUR,
  indexRefreshMs: 600_000,
  tenantCleanupDelayMs: 6 * HOUR,
  deletionSettleMs: 24 * HOUR,
  holder: () => 'compactor-1',
  leaseExpiryMs: 600_000,
  scratchFolder: '',
  scratchBytesMax: 0,
};

export class TenantFixture {
  readonly folder = mkdtempSync(join(tmpdir(), 'varve-compactor-'));
  readonly bucketFolder = join(this.folder, 'bucket');
  readonly bucket = new FolderBucket(this.bucketFolder);
  /** After the times that files get. */
  readonly clock = new ManualClock(Date.now() + HOUR);

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Writes a raw block of two hours with a sample a minute of two series; replicas hold the same. */
  write(rangeIndex: number, replica = 0): string {
    const from = BEGIN + rangeIndex * 2 * HOUR;
    const samples = (phase: number) =>
      Array.from({ length: 120 }, (_, i) => float(from + i * 60_000, rangeIndex * 120 + i + phase));
    const series = [
      { labels: { __name__: 'requests_total', pod: 'a' }, samples: samples(0) },
      { labels: { __name__: 'requests_total', pod: 'b' }, samples: samples(0.5) },
      // Only one replica got this one.
      { labels: { __name__: 'seen_by', replica: String(replica) }, samples: samples(7) },
    ];
    const target = join(this.bucketFolder, TENANT);
    mkdirSync(target, { recursive: true });
    return writeModelBlock(target, series, 50).ulid;
  }

  compactor(
    changes: Partial<CompactorOptions> = {},
    parts: {
      readonly bucket?: Bucket;
      readonly clock?: Clock;
      readonly limits?: Partial<Limits>;
      readonly engine?: Engine;
      readonly owners?: Owners;
      readonly logger?: Logger;
      readonly metrics?: Metrics;
    } = {},
  ): Compactor {
    const holder = changes.holder ?? OPTIONS.holder;
    return new Compactor({
      bucket: parts.bucket ?? this.bucket,
      clock: parts.clock ?? this.clock,
      limits: { of: () => ({ ...DEFAULT_LIMITS, ...parts.limits }) },
      logger: parts.logger ?? silentLogger,
      metrics: parts.metrics ?? new Metrics({ withProcessMetrics: false, version: 'test' }),
      engine: parts.engine ?? inlineEngine,
      owners: parts.owners ?? soleOwner,
      options: { ...OPTIONS, scratchFolder: join(this.folder, `scratch-${holder()}`), ...changes },
    });
  }

  blockFolder(ulid: string): string {
    return join(this.bucketFolder, TENANT, ulid);
  }

  /** Names of everything that looks like a block, complete or not. */
  blockNames(): string[] {
    return readdirSync(join(this.bucketFolder, TENANT)).filter(isBlockName).sort();
  }

  /** The blocks a reader uses now, by resolution. */
  async visible(): Promise<Map<number, string[]>> {
    const { index } = await listTenant(this.bucket, TENANT, null, this.clock.nowMs());
    const found = new Map<number, string[]>();
    for (const { ulid, facts } of visibleBlocks(
      index.blocks,
      index.deletionMarks,
      this.clock.nowMs(),
      6 * HOUR,
    )) {
      found.set(facts.resolution, [...(found.get(facts.resolution) ?? []), ulid]);
    }
    return new Map([...found].sort(([a], [b]) => a - b));
  }

  /** All raw samples that a reader sees. */
  async rawContent(): Promise<Content> {
    const all: Content = new Map();
    for (const ulid of (await this.visible()).get(0) ?? []) {
      for (const [series, samples] of readContent(this.blockFolder(ulid))) {
        const target = all.get(series) ?? new Map<number, string>();
        for (const [time, value] of samples) target.set(time, value);
        all.set(series, target);
      }
    }
    return sorted(all);
  }

  /** Chunks of the coarser resolutions that a reader sees, as text, by resolution and series. */
  async coarseContent(): Promise<Map<string, string[]>> {
    const all = new Map<string, string[]>();
    for (const [resolution, names] of await this.visible()) {
      if (resolution === 0) continue;
      for (const ulid of names) {
        for (const [series, chunks] of readChunks(this.blockFolder(ulid))) {
          const key = `${resolution} ${series}`;
          const texts = chunks.map(({ data }) => Buffer.from(data).toString('hex'));
          all.set(key, [...(all.get(key) ?? []), ...texts].sort());
        }
      }
    }
    return new Map([...all].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Samples that stand in the raw blocks a reader uses, repeated ones counted each time. */
  async storedSamples(): Promise<number> {
    let count = 0;
    for (const ulid of (await this.visible()).get(0) ?? []) {
      for (const samples of readContent(this.blockFolder(ulid)).values()) count += samples.size;
    }
    return count;
  }
}

function sorted(content: Content): Content {
  const series = [...content].sort(([a], [b]) => (a < b ? -1 : 1));
  return new Map(series.map(([key, samples]) => [key, new Map([...samples].sort(([a], [b]) => a - b))]));
}

export function sampleCount(content: Content): number {
  return [...content.values()].reduce((sum, samples) => sum + samples.size, 0);
}
