import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FolderBucket } from '../bucket/index.js';
import { VarveError } from '../errors/index.js';
import { createMatcher } from '../matcher/index.js';
import { SeededPrng } from '../prng/index.js';
import { ArrayArena } from '../storage/index.js';
import { BlockQueryable, BlockReader, type DeletionMask } from '../tsdb/block/index.js';
import { dumpSet, hints, ramp, T, testSeries, writeTestBlock } from '../tsdb/block/testing/index.js';
import { BucketBlock } from './bucket-block.js';
import { type BlockCaches, makeBlockCaches, PageCache } from './page-cache.js';
import { QueryReads } from './query-reads.js';
import { DEFAULT_FETCH_OPTIONS, RangeFetcher } from './range-fetcher.js';
import {
  lookUpAll,
  randomHints,
  randomMatchers,
  SPAN_MS,
  selectAll,
  writeSampleBlock,
} from './testing/blocks.js';

let folder = '';
let bucket: FolderBucket;
let ulid = '';
let reader: BlockReader;
const MB = 1024 * 1024;
const ROOMY = { postings: MB, series: MB, chunks: MB };

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-bucketblock-'));
  bucket = new FolderBucket(folder);
  ulid = writeSampleBlock(tenantFolder(), new SeededPrng(1));
  reader = BlockReader.open(join(tenantFolder(), ulid));
});
afterAll(() => {
  reader.close();
  rmSync(folder, { recursive: true });
});

function tenantFolder(): string {
  const path = join(folder, 'tenant');
  mkdirSync(path, { recursive: true });
  return path;
}

let cacheCount = 0;
/** A place for the local files of one opening. */
function freshDirectory(): string {
  return join(folder, 'cache', String(cacheCount++));
}

function open(
  caches: BlockCaches = makeBlockCaches(ROOMY),
  fetcher = new RangeFetcher(bucket),
  directory = freshDirectory(),
): Promise<BucketBlock> {
  return BucketBlock.open(fetcher, { prefix: 'tenant/', ulid }, directory, caches);
}

describe('BucketBlock', () => {
  test.each([
    { name: 'pages as they are', caches: makeBlockCaches(ROOMY), fetch: DEFAULT_FETCH_OPTIONS },
    {
      name: 'tiny pages, no gaps, short parts, one request at a time',
      caches: tinyPages(64, MB),
      fetch: { requestsMax: 1, gapBytesMax: 0, partBytes: 64 },
    },
    {
      name: 'odd pages, caches that forget',
      caches: tinyPages(101, 8000),
      fetch: { requestsMax: 3, gapBytesMax: 300, partBytes: 1000 },
    },
    {
      name: 'no caches',
      caches: makeBlockCaches({ postings: 0, series: 0, chunks: 0 }),
      fetch: { requestsMax: 4, gapBytesMax: 4096, partBytes: 64 * 1024 },
    },
  ])('answers as the reader of local files does, with $name', async ({ caches, fetch }) => {
    let seriesCount = 0;
    const random = new SeededPrng(7);
    const block = await open(caches, new RangeFetcher(bucket, fetch));
    for (let round = 0; round < 150; round++) {
      const masks = round % 3 === 0 ? [randomMask(random), randomMask(random)] : [];
      const local = new BlockQueryable(reader, { masks });
      const distant = block.queryable(new QueryReads(), { masks });
      const matchers = randomMatchers(random);
      const asked = randomHints(random);
      const context = { round, matchers: matchers.map((m) => m.name + m.type + m.value), asked };
      expect({ context, answer: await selectAll(distant, matchers, asked) }).toEqual({
        context,
        answer: await selectAll(local, matchers, asked),
      });
      seriesCount += ((await selectAll(local, matchers, asked)) as { seriesCount: number }).seriesCount;
      const query = {
        minTimeMs: asked.minTimeMs,
        maxTimeMs: asked.maxTimeMs,
        limit: asked.limit,
        matcherSets: Array.from({ length: random.nextInt(3) }, () => randomMatchers(random)),
      };
      expect({ context, answer: await lookUpAll(distant, query) }).toEqual({
        context,
        answer: await lookUpAll(local, query),
      });
    }
    // The questions are not idle.
    expect(seriesCount).toBeGreaterThan(5000);
    block.close();
  });

  test('reads nothing again that its caches hold', async () => {
    const block = await open();
    const matchers = [createMatcher('=', '__name__', 'm'), createMatcher('=~', 'host', 'host-00.*')];
    const cold = new QueryReads();
    const answer = await selectAll(block.queryable(cold), matchers, hints());
    const warm = new QueryReads();
    expect(await selectAll(block.queryable(warm), matchers, hints())).toEqual(answer);
    expect(cold.requests).toBeGreaterThan(0);
    expect(cold.counts.chunks.bytes).toBeGreaterThan(0);
    expect({ requests: warm.requests, bytes: warm.bytes }).toEqual({ requests: 0, bytes: 0 });
    expect(warm.counts.chunks.pageHits).toBe(cold.counts.chunks.pageMisses);
    block.close();
  });

  test.each([MB, 0])(
    'fetches once what several selects want at a time, with caches of %d bytes',
    async (bytes) => {
      const matchers = [createMatcher('=', '__name__', 'm')];
      const fetched = async (count: number): Promise<[bytes: number, answers: unknown[]]> => {
        const block = await open(makeBlockCaches({ postings: bytes, series: bytes, chunks: bytes }));
        const reads = new QueryReads();
        const source = block.queryable(reads);
        const answers = await Promise.all(
          Array.from({ length: count }, () => selectAll(source, matchers, hints())),
        );
        block.close();
        return [reads.bytes, answers];
      };
      const [alone, [answer]] = await fetched(1);
      const [together, answers] = await fetched(3);
      expect(together).toBe(alone);
      expect(answers).toEqual([answer, answer, answer]);
    },
  );

  test('fetches only what a selector needs', async () => {
    const block = await open(makeBlockCaches({ postings: 0, series: 0, chunks: 0 }));
    const reads = new QueryReads();
    const set = await block
      .queryable(reads)
      .select([createMatcher('=', '__name__', 'none')], hints(), new ArrayArena());
    expect({ series: set.seriesCount, requests: reads.requests }).toEqual({ series: 0, requests: 0 });
    await block.queryable(reads).select([createMatcher('=', '__name__', 'up')], hints(), new ArrayArena());
    // One page each of the 8 KiB of postings and series; the chunks of three series lie in the last segment.
    expect(reads.counts.postings).toMatchObject({ requests: 1, bytes: 8192 });
    expect(reads.counts.series.requests).toBe(1);
    expect(reads.counts.chunks.requests).toBe(1);
    block.close();
  });

  test('stops before the fetch that would exceed the budget', async () => {
    const block = await open();
    const reads = new QueryReads({ bytesMax: 20_000 });
    await expect(
      block.queryable(reads).select([createMatcher('=', '__name__', 'm')], hints(), new ArrayArena()),
    ).rejects.toMatchObject({ kind: 'limit', code: 'max-fetched-bytes' });
    expect(reads.bytes).toBeLessThanOrEqual(20_000);
    block.close();
  });

  test('stops when the query was given up', async () => {
    const block = await open();
    let isWanted = true;
    const check = (): void => {
      if (!isWanted) throw new VarveError('cancelled', 'query-cancelled', 'given up');
      isWanted = false;
    };
    await expect(
      block
        .queryable(new QueryReads({ check }))
        .select([createMatcher('=', '__name__', 'm')], hints(), new ArrayArena()),
    ).rejects.toMatchObject({ kind: 'cancelled' });
    block.close();
  });

  test('does not go on fetching for a query that failed', async () => {
    let requests = 0;
    const failing = new (class extends FolderBucket {
      override async getRange(): Promise<Uint8Array> {
        requests++;
        throw new VarveError('unavailable', 'bucket-unavailable', 'down');
      }
    })(folder);
    const directory = freshDirectory();
    (await open(makeBlockCaches(ROOMY), new RangeFetcher(bucket), directory)).close();
    const fetcher = new RangeFetcher(failing, { requestsMax: 2, gapBytesMax: 0, partBytes: 100 });
    const block = await open(tinyPages(100, 0), fetcher, directory);
    await expect(
      selectAll(block.queryable(new QueryReads()), [createMatcher('=', '__name__', 'm')], hints()),
    ).rejects.toMatchObject({ code: 'bucket-unavailable' });
    await new Promise((resolve) => setImmediate(resolve));
    expect(requests).toBe(2);
    block.close();
  });

  test('never has more requests under way than allowed', async () => {
    let running = 0;
    let most = 0;
    const counting = new (class extends FolderBucket {
      override async getRange(name: string, offset: number, length: number): Promise<Uint8Array> {
        most = Math.max(most, ++running);
        try {
          return await super.getRange(name, offset, length);
        } finally {
          running--;
        }
      }
    })(folder);
    const fetcher = new RangeFetcher(counting, { requestsMax: 3, gapBytesMax: 0, partBytes: 100 });
    const block = await open(tinyPages(100, 0), fetcher);
    await selectAll(block.queryable(new QueryReads()), [createMatcher('=', '__name__', 'm')], hints());
    expect(most).toBe(3);
    block.close();
  });

  test('opens again from its local files alone', async () => {
    const directory = freshDirectory();
    (await open(makeBlockCaches(ROOMY), new RangeFetcher(bucket), directory)).close();
    const fetcher = new RangeFetcher(bucket);
    (await open(makeBlockCaches(ROOMY), fetcher, directory)).close();
    // A listing of the segments: this meta.json does not name them.
    expect(fetcher.counts.requests).toBe(1);
  });

  test('tells a deleted block from a damaged one', async () => {
    const other = writeTestBlock(tenantFolder(), [testSeries({ a: '1' }, ramp(4))]).ulid;
    const place = { prefix: 'tenant/', ulid: other };
    const fetcher = new RangeFetcher(bucket);
    const block = await BucketBlock.open(fetcher, place, freshDirectory(), makeBlockCaches(ROOMY));
    rmSync(join(folder, 'tenant', other, 'chunks'), { recursive: true });
    const select = (): Promise<unknown> => selectAll(block.queryable(new QueryReads()), [], hints());
    await expect(select()).rejects.toMatchObject({ kind: 'corruption', code: 'object-missing' });
    rmSync(join(folder, 'tenant', other), { recursive: true });
    await expect(select()).rejects.toMatchObject({ kind: 'unavailable', code: 'block-gone' });
    await expect(
      BucketBlock.open(fetcher, place, freshDirectory(), makeBlockCaches(ROOMY)),
    ).rejects.toMatchObject({ kind: 'unavailable', code: 'block-gone' });
    block.close();
  });
});

describe('a damaged block in a bucket', () => {
  let damaged = '';
  let whole = '';

  beforeAll(() => {
    const series = ['a', 'b', 'c'].map((job) => testSeries({ __name__: 'up', job }, ramp(9)));
    damaged = join(tenantFolder(), writeTestBlock(tenantFolder(), series).ulid);
    whole = join(folder, 'whole');
    cpSync(damaged, whole, { recursive: true });
  });

  /** What a query of everything says, or the code of the corruption found, which names the object. */
  async function outcome(caches = makeBlockCaches(ROOMY)): Promise<string> {
    let block: BucketBlock | null = null;
    const directory = freshDirectory();
    try {
      const place = { prefix: 'tenant/', ulid: damaged.slice(-26) };
      block = await BucketBlock.open(new RangeFetcher(bucket), place, directory, caches);
      const arena = new ArrayArena();
      const source = block.queryable(new QueryReads());
      return dumpSet(await source.select([], hints(), arena), arena).join('\n');
    } catch (error) {
      if (!(error instanceof VarveError) || error.kind !== 'corruption') throw error;
      expect(error.message).toContain(damaged.slice(-26));
      return `corruption ${error.code}`;
    } finally {
      block?.close();
      rmSync(directory, { recursive: true, force: true });
    }
  }

  test.each(['index', 'chunks/000001'])('is recognised when %s is cut off anywhere', async (file) => {
    const bytes = readFileSync(join(whole, file));
    for (let length = 0; length < bytes.length; length += 3) {
      writeFileSync(join(damaged, file), bytes.subarray(0, length));
      expect({ length, outcome: await outcome() }).toEqual({
        length,
        outcome: expect.stringMatching(/^corruption /),
      });
    }
    writeFileSync(join(damaged, file), bytes);
  });

  test.each(['index', 'chunks/000001'])(
    'never gives a wrong sample when a byte of %s is flipped',
    async (file) => {
      const bytes = readFileSync(join(whole, file));
      const truth = await outcome();
      expect(truth).not.toContain('corruption');
      for (let at = 0; at < bytes.length; at++) {
        const flipped = Buffer.from(bytes);
        flipped[at]! ^= 1 << (at % 8);
        writeFileSync(join(damaged, file), flipped);
        const found = await outcome();
        if (found !== truth)
          expect({ at, found }).toEqual({ at, found: expect.stringMatching(/^corruption /) });
      }
      writeFileSync(join(damaged, file), bytes);
    },
  );

  test('is whole again for the same caches once it is repaired', async () => {
    const file = join(damaged, 'chunks/000001');
    const bytes = readFileSync(file);
    const flipped = Buffer.from(bytes);
    flipped[30]! ^= 4;
    writeFileSync(file, flipped);
    const caches = makeBlockCaches(ROOMY);
    expect(await outcome(caches)).toMatch(/^corruption/);
    writeFileSync(file, bytes);
    expect(await outcome(caches)).not.toMatch(/^corruption/);
  });
});

test('leaves no temporary files', () => {
  const names = readdirSync(join(folder, 'cache'), { recursive: true }).map(String);
  expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([]);
  expect(existsSync(join(folder, 'cache'))).toBe(true);
});

function tinyPages(pageBytes: number, bytesMax: number): BlockCaches {
  const make = (): PageCache => new PageCache(pageBytes, bytesMax);
  return { postings: make(), series: make(), chunks: make() };
}

function randomMask(random: SeededPrng): DeletionMask {
  const minTime = T + random.nextInt(SPAN_MS);
  return { matchers: randomMatchers(random), minTime, maxTime: minTime + random.nextInt(SPAN_MS) };
}
