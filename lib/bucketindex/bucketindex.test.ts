import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Bucket, FolderBucket } from '../bucket/index.js';
import { ManualClock } from '../clock/index.js';
import { VarveError } from '../errors/index.js';
import { encodeBlockMeta } from '../tsdb/block/index.js';
import {
  BlockCatalog,
  type BucketIndex,
  DEFAULT_CATALOG_OPTIONS,
  decodeBucketIndex,
  encodeBucketIndex,
  listTenant,
  listTenants,
  markCopyName,
  markName,
  readBucketIndex,
  readMark,
  readTenantMark,
  visibleBlocks,
  writeBucketIndex,
  writeMark,
  writeTenantMark,
} from './index.js';

const A = '01M7YA9Z5MQ1BWAC7DKEN933DN';
const B = '01M7YA9Z5MQ1BWAC7DKEN933DP';
const C = '01M7YA9Z5MQ1BWAC7DKEN933DQ';
/** The worked example of the format page. */
const EXAMPLE =
  '{"version":1,"blocks":[{"block_id":"01M7YA9Z5MQ1BWAC7DKEN933DN","min_time":1700000000000,"max_time":1700000045001,"segments_format":"1b6d","segments_num":1,"uploaded_at":1795240100}],"block_deletion_marks":[],"updated_at":1795240900}';

let folder = '';
let bucket: FolderBucket;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-index-'));
  bucket = new FolderBucket(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

function decode(json: string): Promise<BucketIndex> {
  return decodeBucketIndex(gzipSync(json), 'index');
}

async function encode(index: BucketIndex): Promise<string> {
  return gunzipSync(await encodeBucketIndex(index)).toString();
}

interface Made {
  readonly sources?: readonly string[];
  readonly minTime?: number;
  readonly resolution?: number;
}

async function putBlock(
  ulid: string,
  { sources = [ulid], minTime = 0, resolution = 0 }: Made = {},
): Promise<void> {
  await bucket.put(`t/${ulid}/chunks/000001`, Buffer.from('x'));
  await bucket.put(`t/${ulid}/index`, Buffer.from('x'));
  const meta = {
    ulid,
    minTime,
    maxTime: minTime + 100,
    stats: { numSamples: 5, numSeries: 2 },
    compaction: { level: sources.length, sources },
    version: 1 as const,
    thanos: {
      labels: {},
      downsample: { resolution },
      source: 'test',
      index_stats: { series_max_size: 9, chunk_max_size: 8 },
    },
  };
  await bucket.put(`t/${ulid}/meta.json`, Buffer.from(encodeBlockMeta(meta)));
}

const mark = (ulid: string, timeSeconds: number) => ({ ulid, timeSeconds, details: '', reason: '' });

describe('the index file', () => {
  test('of Cortex is read and written back as it was', async () => {
    const index = await decode(EXAMPLE);
    expect(index.blocks).toMatchObject([
      { ulid: A, minTime: 1_700_000_000_000, maxTime: 1_700_000_045_001, segmentCount: 1, facts: null },
    ]);
    expect(await encode(index)).toBe(EXAMPLE);
  });

  test('of Mimir keeps its fields', async () => {
    const theirs = {
      compactor_shard_id: '1_of_4',
      source: 'ingester',
      compaction_level: 1,
      out_of_order: true,
    };
    const json = JSON.parse(EXAMPLE);
    json.version = 2;
    Object.assign(json.blocks[0], theirs, { parquet: { version: 1 } });
    const index = await decode(JSON.stringify(json));
    expect(JSON.parse(await encode(index)).blocks[0]).toMatchObject({ ...theirs, parquet: { version: 1 } });
  });

  test('may have null for empty lists, and other fields anywhere', async () => {
    const index = await decode(
      '{"version":1,"blocks":null,"block_deletion_marks":null,"updated_at":7,"new":1}',
    );
    expect(index).toEqual({ blocks: [], deletionMarks: new Map(), updatedAt: 7 });
  });

  test('keeps our facts', async () => {
    await putBlock(A);
    await putBlock(B, { sources: [A, C], resolution: 300_000, minTime: 50 });
    const { index } = await listTenant(bucket, 't', null, 9000);
    expect(await decode(await encode(index))).toEqual({
      ...index,
      blocks: index.blocks.map((block) => ({
        ...block,
        uploadedAtMs: Math.floor(block.uploadedAtMs / 1000) * 1000,
      })),
    });
    expect(index.blocks[1]).toMatchObject({
      ulid: B,
      segmentCount: 1,
      seriesBytesMax: 9,
      chunkBytesMax: 8,
      facts: { resolution: 300_000, level: 2, sources: [A, C], series: 2, samples: 5 },
    });
  });

  test.each([
    ['no gzip', Buffer.from('{}')],
    ['no JSON', gzipSync('{')],
    ['no times', gzipSync('{"blocks":[{"block_id":"01M7YA9Z5MQ1BWAC7DKEN933DN"}],"updated_at":1}')],
    ['a bad name', gzipSync('{"blocks":[{"block_id":"../x"}],"updated_at":1}')],
    ['a list that is none', gzipSync('{"blocks":{},"updated_at":1}')],
    ['no update time', gzipSync('{"blocks":[]}')],
  ])('is refused with %s', async (_, bytes) => {
    await expect(decodeBucketIndex(bytes, 'x')).rejects.toMatchObject({
      kind: 'corruption',
      code: 'bucket-index',
    });
  });
});

describe('listing a tenant', () => {
  test('finds blocks, marks, partial blocks and what was marked but is gone', async () => {
    await putBlock(A);
    await bucket.put(`t/${B}/index`, Buffer.from('x'));
    await bucket.put('t/something/else', Buffer.from('x'));
    await writeMark(bucket, 't', 'deletion', mark(A, 100));
    await bucket.put(markCopyName('t', C, 'no-compact'), Buffer.from('{}'));
    const listing = await listTenant(bucket, 't', null, 9000);
    expect(listing.index.blocks.map(({ ulid }) => ulid)).toEqual([A]);
    expect(listing.index.deletionMarks).toEqual(new Map([[A, 100]]));
    expect(listing.index.updatedAt).toBe(9);
    expect([...listing.partials]).toEqual([[B, 'missing']]);
    expect(listing.orphans).toEqual([{ ulid: C, kind: 'no-compact' }]);
    expect(listing.isChanged).toBe(true);
    expect((await listTenant(bucket, 't', listing.index, 9000)).isChanged).toBe(false);
  });

  test('reads known blocks no more', async () => {
    await putBlock(A);
    const { index } = await listTenant(bucket, 't', null, 9000);
    await bucket.put(`t/${A}/meta.json`, Buffer.from('never looked at'));
    expect((await listTenant(bucket, 't', index, 9000)).index.blocks).toEqual(index.blocks);
  });

  test('leaves out a block whose mark went with its deletion', async () => {
    await putBlock(A);
    await writeMark(bucket, 't', 'deletion', mark(A, 100));
    const { index } = await listTenant(bucket, 't', null, 9000);
    await bucket.delete(markName('t', A, 'deletion'));
    await bucket.delete(markCopyName('t', A, 'deletion'));
    expect((await listTenant(bucket, 't', index, 9000)).index.blocks).toEqual([]);
  });

  test('passes a damaged mark and a damaged meta.json over and says so', async () => {
    await putBlock(A);
    await putBlock(B);
    await bucket.put(markCopyName('t', A, 'deletion'), Buffer.from('{'));
    await bucket.put(markName('t', A, 'deletion'), Buffer.from('{'));
    await bucket.put(`t/${B}/meta.json`, Buffer.from('{'));
    const { index, partials, problems } = await listTenant(bucket, 't', null, 9000);
    expect(index.blocks.map(({ ulid }) => ulid)).toEqual([A]);
    expect(index.deletionMarks.size).toBe(0);
    expect([...partials]).toEqual([[B, 'corrupt']]);
    expect(problems.length).toBe(2);
  });
});

describe('marks', () => {
  test('are written twice, and the first one stands', async () => {
    await putBlock(A);
    expect(
      await writeMark(bucket, 't', 'no-compact', { ...mark(A, 5), reason: 'manual', details: 'why' }),
    ).toBe(true);
    expect(await writeMark(bucket, 't', 'no-compact', { ...mark(A, 9), reason: 'other' })).toBe(false);
    const text = Buffer.from(await bucket.get(`t/${A}/no-compact-mark.json`)).toString();
    expect(JSON.parse(text)).toEqual({
      id: A,
      version: 1,
      details: 'why',
      no_compact_time: 5,
      reason: 'manual',
    });
    expect(Buffer.from(await bucket.get(`t/markers/${A}-no-compact-mark.json`)).toString()).toBe(text);
    expect(await readMark(bucket, 't', A, 'no-compact')).toEqual({
      ulid: A,
      timeSeconds: 5,
      details: 'why',
      reason: 'manual',
    });
    expect(await readMark(bucket, 't', A, 'deletion')).toBeNull();
  });

  test('of tenants are read from both places', async () => {
    expect(await readTenantMark(bucket, 't')).toBeNull();
    await bucket.put('t/markers/tenant-deletion-mark.json', Buffer.from('{"deletion_time":3}'));
    expect(await readTenantMark(bucket, 't')).toEqual({ deletionTime: 3, finishedTime: 0 });
    await writeTenantMark(bucket, 't', { deletionTime: 4, finishedTime: 5 });
    expect(await readTenantMark(bucket, 't')).toEqual({ deletionTime: 4, finishedTime: 5 });
    await writeTenantMark(bucket, 'gone', { deletionTime: 4, finishedTime: 5 });
    const { tenants, marked } = await listTenants(bucket);
    expect([tenants, [...marked].sort()]).toEqual([
      ['gone', 't'],
      ['gone', 't'],
    ]);
  });
});

describe('what a reader sees', () => {
  test('leaves out covered blocks, and marked ones after a while', async () => {
    await putBlock(A);
    await putBlock(B);
    await putBlock(C, { sources: [A, B] });
    const { index } = await listTenant(bucket, 't', null, 9000);
    const seen = (marks: readonly (readonly [string, number])[], nowMs: number) =>
      visibleBlocks(index.blocks, new Map(marks), nowMs, 1000).map(({ ulid }) => ulid);
    expect(seen([], 0)).toEqual([C]);
    expect(seen([[A, 0]], 500)).toEqual([C]);
    // A marked block covers nothing, but is read for a while.
    expect(seen([[C, 0]], 500)).toEqual([A, B, C]);
    expect(seen([[C, 0]], 1500)).toEqual([A, B]);
    expect(
      seen(
        [
          [A, 0],
          [C, 0],
        ],
        1500,
      ),
    ).toEqual([B]);
  });

  test('covers within a resolution only', async () => {
    await putBlock(A);
    await putBlock(B, { sources: [A, C], resolution: 300_000 });
    const { index } = await listTenant(bucket, 't', null, 9000);
    expect(visibleBlocks(index.blocks, new Map(), 0, 0).length).toBe(2);
  });

  test('follows the index, and refuses an old one', async () => {
    const clock = new ManualClock(10_000_000);
    const catalog = new BlockCatalog(bucket, clock);
    expect(await catalog.blocks('t', 0, 1000)).toEqual([]);
    await putBlock(A, { minTime: 100 });
    await writeBucketIndex(bucket, 't', (await listTenant(bucket, 't', null, clock.nowMs())).index);
    expect(await catalog.blocks('t', 0, 1000)).toEqual([]);
    clock.advance(60_000);
    expect((await catalog.blocks('t', 0, 1000)).map(({ ulid }) => ulid)).toEqual([A]);
    expect(await catalog.blocks('t', 200, 1000)).toEqual([]);
    expect(await catalog.blocks('t', 0, 99)).toEqual([]);
    expect((await catalog.blocks('t', 199, 199)).length).toBe(1);
    clock.advance(3_600_000);
    await expect(catalog.blocks('t', 0, 1000)).rejects.toMatchObject({ code: 'bucket-index-stale' });
    expect(await readBucketIndex(bucket, 'other')).toBeNull();
  });

  describe('a catalog', () => {
    async function publish(clock: ManualClock): Promise<void> {
      await writeBucketIndex(bucket, 't', (await listTenant(bucket, 't', null, clock.nowMs())).index);
    }
    const ulids = (blocks: readonly { ulid: string }[]) => blocks.map(({ ulid }) => ulid);

    test('reads an index again at once when told so, and knows what was compacted', async () => {
      const clock = new ManualClock(10_000_000);
      const catalog = new BlockCatalog(bucket, clock);
      catalog.invalidate('t');
      expect(await catalog.blocks('t', 0, 1000)).toEqual([]);
      expect(catalog.knownBlocks('t')).toEqual(new Set());
      expect(catalog.knownBlocks('u')).toBeNull();
      await putBlock(B, { sources: [A, B] });
      await publish(clock);
      expect(await catalog.lists('t', B)).toBe(false);
      catalog.invalidate('t');
      expect(await catalog.lists('t', B)).toBe(true);
      expect(await catalog.lists('t', A)).toBe(true);
      expect(await catalog.lists('t', C)).toBe(false);
      expect(catalog.knownBlocks('t')).toEqual(new Set([B]));
    });

    test('goes on with what it has when the bucket fails or is slow, and says so when it has nothing', async () => {
      const clock = new ManualClock(10_000_000);
      await putBlock(A);
      await publish(clock);
      let get = (name: string): Promise<Uint8Array> => bucket.get(name);
      const flaky = new Proxy(bucket, {
        get: (target, key: keyof Bucket) =>
          key === 'get' ? (name: string) => get(name) : target[key].bind(target),
      });
      const catalog = new BlockCatalog(flaky, clock, { ...DEFAULT_CATALOG_OPTIONS, waitMs: 20 });
      const failing = () => Promise.reject(new VarveError('unavailable', 'bucket-unavailable', 'down'));
      get = failing;
      await expect(catalog.blocks('t', 0, 1000)).rejects.toMatchObject({ code: 'bucket-unavailable' });
      get = (name) => bucket.get(name);
      clock.advance(2000);
      expect(ulids(await catalog.blocks('t', 0, 1000))).toEqual([A]);
      get = failing;
      clock.advance(60_000);
      expect(ulids(await catalog.blocks('t', 0, 1000))).toEqual([A]);
      get = () => new Promise(() => {});
      clock.advance(2000);
      expect(ulids(await catalog.blocks('t', 0, 1000))).toEqual([A]);
      await expect(catalog.blocks('other', 0, 1000)).rejects.toMatchObject({ code: 'bucket-index-slow' });
    });
  });
});
