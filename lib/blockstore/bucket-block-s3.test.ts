import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { S3Bucket } from '../bucket/index.js';
import { type Fault, FaultyProxy } from '../bucket/testing/faulty-proxy.js';
import { type S3Server, startRealS3, startS3rver, testOptions } from '../bucket/testing/s3-server.js';
import { VarveError } from '../errors/index.js';
import { SeededPrng } from '../prng/index.js';
import { BlockQueryable, BlockReader } from '../tsdb/block/index.js';
import { BucketBlock } from './bucket-block.js';
import { makeBlockCaches } from './page-cache.js';
import { QueryReads } from './query-reads.js';
import { DEFAULT_FETCH_OPTIONS, type FetchOptions, RangeFetcher } from './range-fetcher.js';
import {
  lookUpAll,
  randomHints,
  randomMatchers,
  selectAll,
  uploadBlock,
  writeSampleBlock,
} from './testing/blocks.js';

/** Blocks on S3 servers, also on such that fail: an answer is complete, or there is an error that says why. */

const standIn = await startS3rver();
const real = await startRealS3();
const servers = real === null ? [standIn] : [standIn, real];
process.stderr.write(`S3 servers under test: ${servers.map((server) => server.name).join(', ')}\n`);

let folder = '';
let ulid = '';
let reader: BlockReader;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-s3block-'));
  ulid = writeSampleBlock(folder, new SeededPrng(2));
  reader = BlockReader.open(join(folder, ulid));
});
afterAll(async () => {
  reader.close();
  rmSync(folder, { recursive: true });
  for (const server of servers) await server.stop();
});

/** Requests of many sizes, so that faults hit all kinds of them. */
const SMALL: FetchOptions = { requestsMax: 8, gapBytesMax: 2000, partBytes: 16_384 };
const NO_CACHES = { postings: 0, series: 0, chunks: 0 };
const MB = 1024 * 1024;

const FAULTS: readonly Fault[] = [
  { kind: 'status', status: 500, code: 'InternalError' },
  { kind: 'status', status: 503, code: 'SlowDown' },
  { kind: 'reset' },
  { kind: 'lostAnswer' },
  { kind: 'truncate', bytes: 0 },
  { kind: 'truncate', bytes: 700 },
];

for (const server of servers) describe(`BucketBlock on ${server.name}`, () => blockTests(server));

function blockTests(server: S3Server): void {
  const prefix = `blocks/${randomUUID()}`;
  let proxy: FaultyProxy;
  let bucket: S3Bucket;

  beforeAll(async () => {
    proxy = await FaultyProxy.start(server.endpoint);
    bucket = await S3Bucket.open(testOptions(server, { prefix, endpoint: proxy.url }));
    await uploadBlock(bucket, join(folder, ulid), `tenant/${ulid}`);
  });
  afterAll(async () => {
    proxy.plan = () => null;
    for (const name of (await bucket.list('')).objects) await bucket.delete(name);
    bucket.close();
    await proxy.stop();
  });

  function open(from: S3Bucket, fetch: FetchOptions, directory: string): Promise<BucketBlock> {
    const caches = makeBlockCaches(fetch === SMALL ? NO_CACHES : { postings: MB, series: MB, chunks: MB });
    const place = { prefix: 'tenant/', ulid };
    return BucketBlock.open(new RangeFetcher(from, fetch), place, directory, caches);
  }

  test('answers as the reader of local files does', async () => {
    const random = new SeededPrng(3);
    const block = await open(bucket, DEFAULT_FETCH_OPTIONS, join(folder, 'cache', server.name));
    const local = new BlockQueryable(reader);
    for (let round = 0; round < 60; round++) {
      const matchers = randomMatchers(random);
      const asked = randomHints(random);
      const distant = block.queryable(new QueryReads());
      expect(await selectAll(distant, matchers, asked)).toEqual(await selectAll(local, matchers, asked));
      const query = { ...asked, matcherSets: [matchers] };
      expect(await lookUpAll(distant, query)).toEqual(await lookUpAll(local, query));
    }
    block.close();
  });

  test('answers completely, or says why not, when requests fail', async () => {
    const random = new SeededPrng(4);
    const hasty = await S3Bucket.open(
      testOptions(server, {
        prefix,
        endpoint: proxy.url,
        retry: { deadlineMs: 250, attemptMs: 150, firstPauseMs: 2, longestPauseMs: 60, random: Math.random },
      }),
    );
    const local = new BlockQueryable(reader);
    const outcomes = { complete: 0, failed: 0, broken: 0 };
    const answer = async (distant: BucketBlock | null, round: number): Promise<void> => {
      const matchers = randomMatchers(random);
      const asked = randomHints(random);
      const truth = await selectAll(local, matchers, asked);
      // From a store that fails now and then to one that fails nearly always.
      const oneIn = [10, 3, 1][round % 3]!;
      proxy.plan = () => {
        if (random.nextInt(oneIn) > 0 || random.nextInt(20) === 0) return null;
        outcomes.broken++;
        return FAULTS[random.nextInt(FAULTS.length)]!;
      };
      let block = distant;
      try {
        block ??= await open(hasty, SMALL, join(folder, 'faulty', server.name, String(round)));
        expect(await selectAll(block.queryable(new QueryReads()), matchers, asked)).toEqual(truth);
        outcomes.complete++;
      } catch (error) {
        if (!(error instanceof VarveError)) throw error;
        expect(error).toMatchObject({ kind: 'unavailable', code: 'bucket-unavailable' });
        outcomes.failed++;
      } finally {
        proxy.plan = () => null;
        if (distant === null) block?.close();
      }
    };
    const opened = await open(hasty, SMALL, join(folder, 'steady', server.name));
    for (let round = 0; round < 40; round++) await answer(opened, round);
    // Opening it is part of these.
    for (let round = 0; round < 20; round++) await answer(null, round);
    expect(outcomes.complete).toBeGreaterThan(10);
    expect(outcomes.failed).toBeGreaterThan(3);
    expect(outcomes.broken).toBeGreaterThan(50);
    opened.close();
    hasty.close();
  }, 120_000);

  test('says that rights are missing at once', async () => {
    const block = await open(bucket, SMALL, join(folder, 'cache', server.name));
    proxy.plan = () => ({ kind: 'status', status: 403, code: 'AccessDenied' });
    await expect(
      selectAll(block.queryable(new QueryReads()), [], randomHints(new SeededPrng(1))),
    ).rejects.toMatchObject({ kind: 'unavailable', code: 'bucket-refused' });
    proxy.plan = () => null;
    block.close();
  });
}
