import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { FolderBucket } from '../bucket/index.js';
import { createMatcher } from '../matcher/index.js';
import { ArrayArena } from '../storage/index.js';
import { BlockQueryable, BlockReader, type ConvertedChunk, isBlockName } from '../tsdb/block/index.js';
import {
  dumpSet,
  hints,
  ramp,
  sharedFolder,
  T,
  testSeries,
  writeTestBlock,
} from '../tsdb/block/testing/index.js';
import { AGGREGATE, decodeAggregateChunk, ENCODING } from '../tsdb/chunk/index.js';
import { BlockStore, removeHeaders } from './block-store.js';
import { QueryReads } from './query-reads.js';
import { DEFAULT_FETCH_OPTIONS } from './range-fetcher.js';
import { lookUpAll, selectAll } from './testing/blocks.js';

const MB = 1024 * 1024;
let folder = '';
let ulids: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-store-'));
  mkdirSync(join(folder, 't'));
  ulids = ['a', 'b', 'c'].map(
    (value) => writeTestBlock(join(folder, 't'), [testSeries({ job: value }, ramp(8))]).ulid,
  );
});
afterEach(() => rmSync(folder, { recursive: true }));

function makeStore(isFolder: boolean, openBlocksMax = 2): BlockStore {
  return new BlockStore({
    bucket: new FolderBucket(folder),
    folder: isFolder ? folder : null,
    cacheDirectory: join(folder, 'cache'),
    cacheBytes: { postings: MB, series: MB, chunks: MB },
    fetch: DEFAULT_FETCH_OPTIONS,
    openBlocksMax,
  });
}

function place(number: number): { prefix: string; ulid: string } {
  return { prefix: 't/', ulid: ulids[number]! };
}

describe.each([true, false])('BlockStore, blocks read as files: %s', (isFolder) => {
  test('answers, without what masks hide', async () => {
    const store = makeStore(isFolder);
    const mask = { matchers: [createMatcher('=', 'job', 'a')], minTime: T + 15_000, maxTime: T + 75_000 };
    const arena = new ArrayArena();
    const shown = async (masks: (typeof mask)[]): Promise<string[]> => {
      const source = await store.queryable(place(0), new QueryReads(), { masks });
      return dumpSet(await source.select([], hints(), arena), arena);
    };
    expect(await shown([])).toEqual(['{job="a"} | 0:0 15:1 30:2 45:3 | 60:4 75:5 90:6 105:7']);
    expect(await shown([mask])).toEqual(['{job="a"} | 0:0 | 90:6 105:7']);
    expect(await shown([{ ...mask, matchers: [createMatcher('=', 'job', 'b')] }])).toEqual(await shown([]));
    const all = { ...mask, matchers: [], minTime: 0, maxTime: 2 ** 52 };
    expect(await shown([all])).toEqual([]);
    const source = await store.queryable(place(0), new QueryReads(), { masks: [all] });
    expect(await source.series({ minTimeMs: 0, maxTimeMs: 2 ** 52, matcherSets: [], limit: 0 })).toEqual([]);
    await store.close();
  });

  test('keeps the blocks used last open, and closes the others between queries', async () => {
    const store = makeStore(isFolder);
    for (const number of [0, 1, 2, 0]) await store.queryable(place(number), new QueryReads());
    expect(store.openCount).toBe(3);
    await store.trim();
    expect(store.openCount).toBe(2);
    await store.retain((name) => name === `t/${ulids[0]!}`);
    expect(store.openCount).toBe(1);
    await store.close();
    expect(store.openCount).toBe(0);
  });

  test('opens a block once for queries at the same time, and again after a failure', async () => {
    const store = makeStore(isFolder);
    const reads = Array.from({ length: 5 }, () => new QueryReads());
    await Promise.all(reads.map((each) => store.queryable(place(0), each)));
    expect(reads.filter((each) => each.requests > 0).length).toBe(isFolder ? 0 : 1);
    const missing = { prefix: 't/', ulid: '01M7YEQ6GFKXAT4GS3X8BJV064' };
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(store.queryable(missing, new QueryReads())).rejects.toMatchObject({ code: 'block-gone' });
    }
    expect(store.openCount).toBe(1);
    await store.close();
  });
});

test('local files of blocks that are not kept are deleted, and made again when asked for', async () => {
  const store = makeStore(false);
  for (const number of [0, 1, 2]) await store.queryable(place(number), new QueryReads());
  await removeHeaders(join(folder, 'cache'), 't/', new Set([ulids[1]!]));
  expect(readdirSync(join(folder, 'cache/t'))).toEqual([ulids[1]!]);
  await removeHeaders(join(folder, 'cache'), 'other/', new Set());
  const matchers = [createMatcher('=', 'job', 'a')];
  const query = { minTimeMs: 0, maxTimeMs: 2 ** 52, matcherSets: [matchers], limit: 0 };
  // The open block still reads what was deleted.
  expect(await (await store.queryable(place(0), new QueryReads())).series(query)).toHaveLength(1);
  await store.close();
  expect(await (await store.queryable(place(0), new QueryReads())).series(query)).toHaveLength(1);
  expect(existsSync(join(folder, 'cache/t', ulids[0]!, 'index-header'))).toBe(true);
  await store.close();
});

function minimumOf(
  encoding: number,
  data: Uint8Array,
  minTime: number,
  maxTime: number,
): ConvertedChunk | null {
  expect(encoding).toBe(ENCODING.aggregate);
  const chunk = decodeAggregateChunk(data)[AGGREGATE.min] ?? null;
  return chunk === null ? null : { ...chunk, minTime, maxTime };
}

const shared = sharedFolder();
if (shared === null)
  process.stderr.write('SKIPPED: no fixtures folder (set VARVE_SHARED); foreign blocks not read\n');

test("reads blocks at the root of a bucket, written by Prometheus' and Thanos' code", async () => {
  if (shared === null) return;
  const bucketFolder = join(shared, 'fixtures/thanos-bucket');
  const store = new BlockStore({
    bucket: new FolderBucket(bucketFolder),
    folder: null,
    cacheDirectory: join(folder, 'cache'),
    cacheBytes: { postings: MB, series: MB, chunks: MB },
    fetch: DEFAULT_FETCH_OPTIONS,
    openBlocksMax: 5,
  });
  const names = readdirSync(bucketFolder).filter(isBlockName);
  expect(names.length).toBe(3);
  for (const ulid of names) {
    const reads = new QueryReads();
    const distant = await store.queryable({ prefix: '', ulid }, reads);
    const reader = BlockReader.open(join(bucketFolder, ulid));
    const local = new BlockQueryable(reader);
    const query = { minTimeMs: 0, maxTimeMs: 2 ** 52, matcherSets: [], limit: 0 };
    expect(await lookUpAll(distant, query)).toEqual(await lookUpAll(local, query));
    if ((reader.meta.thanos?.downsample.resolution ?? 0) === 0) {
      expect(await selectAll(distant, [], hints())).toEqual(await selectAll(local, [], hints()));
    } else {
      await expect(selectAll(distant, [], hints())).rejects.toMatchObject({
        code: 'chunk-encoding-unsupported',
      });
      // Histograms have no minimum, so some chunks are left out.
      const options = { convert: minimumOf };
      const minima = await selectAll(
        await store.queryable({ prefix: '', ulid }, reads, options),
        [],
        hints(),
      );
      expect(minima).toEqual(await selectAll(new BlockQueryable(reader, options), [], hints()));
      const { encodings, chunkOffsets } = minima as { encodings: number[]; chunkOffsets: number[] };
      expect(new Set(encodings)).toEqual(new Set([1]));
      expect(chunkOffsets.at(-1)).toBe(encodings.length);
      expect(encodings.length).toBeLessThan(reader.meta.stats.numChunks!);
    }
    reader.close();
  }
  await store.close();
});
