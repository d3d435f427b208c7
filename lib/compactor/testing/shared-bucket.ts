import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Bucket, S3Bucket } from '../../bucket/index.js';
import { type S3Server, testOptions } from '../../bucket/testing/s3-server.js';
import { eachOf, listTenant, listTenants, visibleBlocks } from '../../bucketindex/index.js';
import {
  type ModelSeries,
  readChunks,
  readContent,
  writeModelBlock,
} from '../../tsdb/compact/testing/model-blocks.js';

/**
 * A fresh bucket (a prefix of one) on a real S3 server, for tests that start whole compactor processes on it: writes
 * blocks as ingesters would and tells what a reader finds.
 */

export interface FoundBlock {
  readonly tenant: string;
  readonly ulid: string;
  readonly resolution: number;
}

/** `tenant series @ time` to the bits of the value. */
export type Samples = Map<string, string>;

const TRANSFERS_MAX = 16;
/** Objects that are no blocks: what the compactor keeps for itself. */
const LEASE = /^[^/]+\/leases\//;

export class SharedBucket {
  readonly bucket: Bucket;
  /** As `--bucket` takes it. */
  readonly url: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'varve-shared-bucket-'));
  /** Blocks never change, so each is read once. */
  readonly #read = new Map<string, Samples>();

  static async open(server: S3Server, prefix: string): Promise<SharedBucket> {
    const bucket = await S3Bucket.open(testOptions(server, { prefix, connectionsMax: 2 * TRANSFERS_MAX }));
    return new SharedBucket(bucket, `s3://${server.bucket}/${prefix}`);
  }

  private constructor(bucket: Bucket, url: string) {
    this.bucket = bucket;
    this.url = url;
  }

  close(): void {
    this.bucket.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Stores blocks, each with its meta.json last. */
  async write(
    blocks: readonly { readonly tenant: string; readonly series: readonly ModelSeries[] }[],
  ): Promise<void> {
    await eachOf(blocks, TRANSFERS_MAX, async ({ tenant, series }) => {
      const parent = join(this.#folder, 'written', tenant);
      mkdirSync(parent, { recursive: true });
      const { ulid } = writeModelBlock(parent, series, 50);
      for (const path of ['chunks/000001', 'index', 'meta.json']) {
        await this.bucket.put(`${tenant}/${ulid}/${path}`, await readFile(join(parent, ulid, path)));
      }
      rmSync(join(parent, ulid), { recursive: true });
    });
  }

  /** The blocks a reader uses that takes no notice of marked ones. */
  async visible(): Promise<FoundBlock[]> {
    const found: FoundBlock[] = [];
    for (const tenant of (await listTenants(this.bucket)).tenants) {
      const { index } = await listTenant(this.bucket, tenant, null, Date.now());
      for (const { ulid, facts } of visibleBlocks(index.blocks, index.deletionMarks, Date.now(), 0)) {
        found.push({ tenant, ulid, resolution: facts.resolution });
      }
    }
    return found;
  }

  /** How many blocks are visible, as `tenant resolution count`, sorted. */
  async shape(): Promise<string[]> {
    const counts = new Map<string, number>();
    for (const { tenant, resolution } of await this.visible()) {
      const key = `${tenant} ${resolution}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return [...counts].map(([key, count]) => `${key} ${count}`).sort();
  }

  /** All raw samples that a reader sees. */
  async samples(): Promise<Samples> {
    const all: Samples = new Map();
    const raw = (await this.visible()).filter(({ resolution }) => resolution === 0);
    await eachOf(raw, TRANSFERS_MAX, async (block) => {
      const known = this.#read.get(block.ulid) ?? (await this.#readBlock(block));
      this.#read.set(block.ulid, known);
      for (const [key, value] of known) all.set(key, value);
    });
    return all;
  }

  /** How many samples stand in the raw blocks a reader uses, each time counted. Reads them anew. */
  async storedSamples(): Promise<number> {
    let count = 0;
    for (const block of await this.visible()) {
      if (block.resolution !== 0) continue;
      const folder = await this.download(block, mkdtempSync(join(this.#folder, 'stored-')));
      for (const chunks of readChunks(folder).values()) {
        for (const { data } of chunks) count += (data[0]! << 8) | data[1]!;
      }
    }
    return count;
  }

  /** Copies a block into a folder; returns its own. */
  async download({ tenant, ulid }: Pick<FoundBlock, 'tenant' | 'ulid'>, folder: string): Promise<string> {
    const prefix = `${tenant}/`;
    const names = (await this.bucket.list(`${prefix}${ulid}/`)).objects;
    await eachOf(names, TRANSFERS_MAX, async (name) => {
      const path = join(folder, name.slice(prefix.length));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, await this.bucket.get(name));
    });
    return join(folder, ulid);
  }

  /** Names of objects below folders that look like blocks of which no reader uses any. */
  async leftovers(): Promise<string[]> {
    const used = new Set((await this.visible()).map(({ tenant, ulid }) => `${tenant}/${ulid}`));
    return (await this.bucket.list('')).objects.filter((name) => {
      const [tenant = '', folder = ''] = name.split('/');
      return /^[0-9A-Z]{26}$/.test(folder) && !used.has(`${tenant}/${folder}`);
    });
  }

  async leases(): Promise<string[]> {
    return (await this.bucket.list('')).objects.filter((name) => LEASE.test(name));
  }

  /** Leases without a heartbeat since a time, ms: those of processes that have ended. */
  async oldLeases(sinceMs: number): Promise<string[]> {
    const old: string[] = [];
    for (const name of await this.leases()) {
      const text = await this.bucket.get(name).catch(() => null);
      if (text === null) continue;
      const { heartbeatMs } = JSON.parse(Buffer.from(text).toString()) as { heartbeatMs: number };
      if (heartbeatMs < sinceMs) old.push(name);
    }
    return old;
  }

  /** Heartbeats of compactors. */
  async heartbeats(): Promise<readonly string[]> {
    return (await this.bucket.list('__varve_cluster/members/')).objects;
  }

  async #readBlock(block: FoundBlock): Promise<Samples> {
    const folder = mkdtempSync(join(this.#folder, 'read-'));
    const samples: Samples = new Map();
    for (const [series, values] of readContent(await this.download(block, folder))) {
      for (const [time, bits] of values) samples.set(`${block.tenant} ${series} @ ${time}`, bits);
    }
    rmSync(folder, { recursive: true });
    return samples;
  }
}

/** What is missing from and what is wrong in what was found, with the first few examples. */
export function differences(expected: Samples, found: Samples): string[] {
  const missing = [...expected].filter(([key, value]) => found.get(key) !== value);
  const extra = [...found].filter(([key]) => !expected.has(key));
  const texts = (kind: string, entries: readonly [string, string][]): string[] =>
    entries.length === 0 ? [] : [`${entries.length} ${kind}: ${entries.slice(0, 3).join('; ')}`];
  return [...texts('missing or changed', missing), ...texts('never written', extra)];
}
