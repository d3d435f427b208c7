import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { BlockStore, DEFAULT_FETCH_OPTIONS, QueryReads } from '../../lib/blockstore/index.js';
import { FlatBucket, FolderBucket } from '../../lib/bucket/index.js';
import {
  BlockCatalog,
  listTenant,
  listTenants,
  readBucketIndex,
  writeBucketIndex,
  writeMark,
} from '../../lib/bucketindex/index.js';
import { ManualClock } from '../../lib/clock/index.js';
import { ArrayArena } from '../../lib/storage/index.js';
import type { ChunkConversion } from '../../lib/tsdb/block/index.js';
import { AGGREGATES, Digest, type GoldenLine, goldenBucket } from '../../lib/tsdb/block/testing/golden.js';
import { hints, labelText } from '../../lib/tsdb/block/testing/index.js';
import { decodeAggregateChunk } from '../../lib/tsdb/chunk/index.js';

/** A bucket made by Thanos, read as the blocks of a tenant: listed, indexed, and every sample of every aggregate. */

const golden = goldenBucket();
if (golden === null)
  process.stderr.write('SKIPPED: no fixtures folder (set VARVE_SHARED); the bucket of Thanos not read\n');

const MB = 1024 * 1024;
const NOW = 1_768_300_000_000;

(golden === null ? describe.skip : describe)('a bucket of Thanos', () => {
  const lines = golden?.lines ?? [];
  const blocks = [...new Set(lines.map(({ block }) => block))].sort();
  let folder = '';
  let inside: FolderBucket;
  let bucket: FlatBucket;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'varve-thanos-'));
    cpSync(golden!.folder, join(folder, 'bucket'), { recursive: true });
    inside = new FolderBucket(join(folder, 'bucket'));
    bucket = new FlatBucket(inside, 'team');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('has its blocks listed and indexed as those of the tenant', async () => {
    expect((await listTenants(bucket)).tenants).toEqual(['team']);
    const { index, partials, problems } = await listTenant(bucket, 'team', null, NOW);
    expect([index.blocks.map(({ ulid }) => ulid).sort(), partials.size, problems]).toEqual([blocks, 0, []]);
    expect(index.blocks.map(({ facts }) => facts.resolution).sort((a, b) => a - b)).toEqual([
      0, 300_000, 3_600_000,
    ]);
    expect(index.blocks.map(({ segmentCount }) => segmentCount)).toEqual([1, 1, 1]);
    await writeBucketIndex(bucket, 'team', index);
    expect(await readBucketIndex(bucket, 'team')).toMatchObject({ updatedAt: NOW / 1000 });
    const catalog = new BlockCatalog(bucket, new ManualClock(NOW));
    const { minTime, maxTime } = index.blocks[0]!;
    expect((await catalog.blocks('team', minTime, maxTime)).length).toBe(3);
  });

  test('gets the marks of its blocks where Thanos looks for them', async () => {
    const ulid = blocks[0]!;
    const mark = { ulid, timeSeconds: NOW / 1000, details: '', reason: 'manual' };
    expect(await writeMark(bucket, 'team', 'no-compact', mark)).toBe(true);
    expect(await inside.stat(`${ulid}/no-compact-mark.json`)).not.toBeNull();
    const { marked } = await listTenant(bucket, 'team', null, NOW);
    expect([...marked['no-compact']]).toEqual([ulid]);
  });

  test.each(blocks)('%s has every sample of its golden lines', async (ulid) => {
    const store = new BlockStore({
      bucket,
      folder: null,
      cacheDirectory: join(folder, 'cache'),
      cacheBytes: { postings: MB, series: MB, chunks: MB },
      fetch: DEFAULT_FETCH_OPTIONS,
      openBlocksMax: 5,
    });
    const ofBlock = lines.filter(({ block }) => block === ulid);
    for (const aggregate of new Set(ofBlock.map((line) => line.aggregate))) {
      const found = await digestsOf(store, ulid, conversionTo(aggregate));
      const expected = ofBlock.filter((line) => line.aggregate === aggregate);
      expect(expected).toHaveLength(10);
      for (const line of expected) {
        expect({ series: line.series, ...(found.get(line.series) ?? new Digest()).line() }).toEqual(
          figuresOf(line),
        );
      }
    }
    await store.close();
  });
});

function figuresOf({ series, chunks, samples, first, last, sha256 }: GoldenLine) {
  return { series, chunks, samples, first, last, sha256 };
}

function conversionTo(aggregate: string): ChunkConversion | null {
  const i = AGGREGATES.indexOf(aggregate);
  if (i < 0) return null;
  return (_, data, minTime, maxTime) => {
    const inner = decodeAggregateChunk(data)[i] ?? null;
    return inner === null ? null : { ...inner, minTime, maxTime };
  };
}

async function digestsOf(
  store: BlockStore,
  ulid: string,
  convert: ChunkConversion | null,
): Promise<Map<string, Digest>> {
  const place = { prefix: 'team/', ulid };
  const source = await store.queryable(place, new QueryReads(), convert === null ? {} : { convert });
  const arena = new ArrayArena();
  const set = await source.select([], hints(), arena);
  const digests = new Map<string, Digest>();
  for (let i = 0; i < set.seriesCount; i++) {
    const digest = new Digest();
    for (let c = set.chunkOffsets[i]!; c < set.chunkOffsets[i + 1]!; c++) {
      const address = set.chunkAddresses[c]!;
      const data = arena.bytes().slice(address, address + set.chunkByteLengths[c]!);
      digest.add({ encoding: set.chunkEncodings[c]!, data });
    }
    digests.set(labelText(set, i), digest);
  }
  return digests;
}
