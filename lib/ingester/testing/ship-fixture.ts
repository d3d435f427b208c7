import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bucket, FolderBucket } from '../../bucket/index.js';
import { ManualClock } from '../../clock/index.js';
import { SeededPrng } from '../../prng/index.js';
import { createLogger, type Logger, Metrics } from '../../telemetry/index.js';
import { parseBlockMeta } from '../../tsdb/block/index.js';
import { LocalBlocks } from '../local-blocks.js';
import { DEFAULT_SHIPPER_OPTIONS, Shipper, type ShipperOptions } from '../shipper.js';

/** Local blocks and a bucket in folders, for tests of shipping. The files of blocks hold arbitrary bytes. */

export const HOUR = 3_600_000;
export const NOW_MS = Date.UTC(2026, 0, 1);
const RANGE_MS = 2 * HOUR;

/** A process that ships: to be made anew for each life. */
export interface Life {
  readonly blocks: LocalBlocks;
  readonly shipper: Shipper;
  readonly metrics: Metrics;
}

export class ShipFixture {
  readonly folder = mkdtempSync(join(tmpdir(), 'varve-ship-'));
  readonly blocksFolder = join(this.folder, 'blocks');
  readonly bucketFolder = join(this.folder, 'bucket');
  readonly clock = new ManualClock(NOW_MS);
  /** Blocks the bucket index is to list. */
  readonly listed = new Set<string>();
  /** Lines of all lives. */
  readonly lines: Readonly<Record<string, unknown>>[] = [];
  readonly #random = new SeededPrng(7);
  #count = 0;

  /** Makes a block as a cut leaves it; returns its name. Later ones have higher names. */
  write(tenant: string, bytes = 1000, segments = 2): string {
    const n = this.#count++;
    const ulid = `01M7YEQ6GFKXAT4GS3X8${String(n).padStart(6, '0')}`;
    const directory = join(this.blocksFolder, tenant, ulid);
    mkdirSync(join(directory, 'chunks'), { recursive: true });
    for (let i = 1; i <= segments; i++) {
      writeFileSync(join(directory, 'chunks', String(i).padStart(6, '0')), this.#bytes(bytes));
    }
    writeFileSync(join(directory, 'index'), this.#bytes(bytes));
    writeFileSync(join(directory, 'tombstones'), this.#bytes(9));
    const minTime = NOW_MS + n * RANGE_MS;
    const meta = {
      ulid,
      minTime,
      maxTime: minTime + RANGE_MS,
      stats: { numSamples: 10, numSeries: 2, numChunks: 2 },
      compaction: { level: 1, sources: [ulid] },
      version: 1,
    };
    writeFileSync(join(directory, 'meta.json'), JSON.stringify(meta));
    return ulid;
  }

  #bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.#random.nextInt(256));
  }

  /** Blocks as a process finds them at its start, and its shipper, not started. */
  async live(bucket: Bucket = this.bucket(), options: Partial<ShipperOptions> = {}): Promise<Life> {
    const metrics = new Metrics({ withProcessMetrics: false, version: 'test' });
    const { logger } = this;
    const blocks = new LocalBlocks({ directory: this.blocksFolder, logger, metrics });
    await blocks.load();
    const shipper = new Shipper({
      localBlocks: blocks,
      bucket,
      clock: this.clock,
      logger,
      metrics,
      options: { ...DEFAULT_SHIPPER_OPTIONS, stopMsMax: 50, ...options },
      listedIn: async (_tenant, ulid) => this.listed.has(ulid),
      random: () => 1,
    });
    return { blocks, shipper, metrics };
  }

  bucket(): FolderBucket {
    return new FolderBucket(this.bucketFolder);
  }

  get logger(): Logger {
    const write = (line: string) => this.lines.push(JSON.parse(line) as Record<string, unknown>);
    return createLogger({ level: 'info', write });
  }

  messages(level: string): string[] {
    return this.lines.filter((line) => line['level'] === level).map((line) => String(line['message']));
  }

  /** Names of the local blocks of a tenant. */
  local(tenant: string): string[] {
    return namesIn(join(this.blocksFolder, tenant)).filter((name) => name.length === 26);
  }

  /** Names of the blocks of a tenant with a meta.json in the bucket. */
  published(tenant: string): string[] {
    const folder = join(this.bucketFolder, tenant);
    return namesIn(folder).filter((name) => namesIn(join(folder, name)).includes('meta.json'));
  }

  /**
   * What is wrong: blocks in the bucket that are published but not whole, or differ from the copies here.
   * @param copies a folder with copies of the blocks
   */
  faults(tenant: string, copies: string): string[] {
    const faults: string[] = [];
    for (const ulid of this.published(tenant)) {
      const folder = join(this.bucketFolder, tenant, ulid);
      const meta = parseBlockMeta(readFileSync(join(folder, 'meta.json'), 'utf8'), ulid);
      const files = meta.thanos?.['files'] as { rel_path: string; size_bytes?: number }[] | undefined;
      if (files?.length !== 4) faults.push(`${ulid}: files ${JSON.stringify(files)}`);
      for (const { rel_path: path, size_bytes: size } of files ?? []) {
        if (path === 'meta.json') continue;
        const original = readFileSync(join(copies, tenant, ulid, path));
        if (size !== original.length) faults.push(`${ulid}/${path}: size ${size}`);
        if (statSync(join(folder, path), { throwIfNoEntry: false }) === undefined) {
          faults.push(`${ulid}/${path} is missing`);
        } else if (!readFileSync(join(folder, path)).equals(original)) faults.push(`${ulid}/${path} differs`);
      }
    }
    return faults;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Value of a metric, with its labels as they are printed; null when it is not there. */
export async function metricOf(metrics: Metrics, name: string): Promise<number | null> {
  const line = (await metrics.render()).split('\n').find((one) => one.startsWith(`${name} `));
  return line === undefined ? null : Number(line.slice(name.length + 1));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
