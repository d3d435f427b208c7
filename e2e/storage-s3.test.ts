import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { havePeers, type Server, startPrometheus } from './peers.js';
import { makeFolder, stopAll, waitFor } from './processes.js';
import { blocksOf, fileProblems, isRaw, type S3Peer, startS3 } from './s3.js';
import { type Answer, askAll, differencesOf, makeDataset, pushRounds, queriesOf } from './storage-data.js';
import { DEFAULT_TENANT, startVarve, type Varve } from './varve.js';

/**
 * The whole path of a sample, on S3: pushed, cut into a block, stored in the bucket, deleted on the local disk, merged
 * with its neighbours, downsampled. A real Prometheus got the same remote write; at each station, and while one follows
 * the other, Varve has to answer what Prometheus answers.
 */

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const STEP_MS = 120_000;
const NOW_MS = Math.floor(Date.now() / STEP_MS) * STEP_MS - STEP_MS;
/** Begins so that one UTC day at least is over for more than four hours, and so is merged to the largest range. */
const START_MS = Math.floor((NOW_MS - 4 * HOUR_MS) / DAY_MS) * DAY_MS - DAY_MS - 3 * HOUR_MS;
const DATA = makeDataset(START_MS, STEP_MS, Math.floor((NOW_MS - START_MS) / STEP_MS));
const QUERIES = queriesOf(DATA);
const DELETION_DELAY_MS = 8000;
/** Number of the aligned range that a block is cut for. */
const rangeOf = (timeMs: number) => Math.floor(timeMs / (2 * HOUR_MS));

const ARGS = [
  '--blocks-ship-interval=500ms',
  '--blocks-local-retention=1s',
  '--blocks-sync-interval=1s',
  '--compactor-cleanup-interval=500ms',
  '--query-max-source-resolution=0s',
];
const COMPACTING = [
  ...ARGS,
  '--compactor-compaction-interval=1s',
  '--compactor-first-level-compaction-wait-period=0s',
  `--compactor-deletion-delay=${DELETION_DELAY_MS}ms`,
];
const RESTING = [
  ...ARGS,
  '--compactor-compaction-interval=1h',
  '--compactor-first-level-compaction-wait-period=1h',
];

const suite = havePeers('prometheus') ? describe : describe.skip;

suite('blocks on S3', () => {
  const folder = makeFolder('storage-s3');
  let s3: S3Peer;
  let prometheus: Server;
  let varve: Varve;
  let expected: readonly Answer[];

  const start = async (args: readonly string[]) => {
    varve = await startVarve({ folder, bucket: s3.bucketUrl, env: s3.env, args: [...s3.args, ...args] });
  };
  const flush = async () => {
    const response = await fetch(`${varve.url}/ingester/flush`, { method: 'POST' });
    expect([response.status, await response.text()]).toEqual([204, '']);
  };
  const localBlocks = () => {
    const path = join(varve.dataDir, 'blocks', DEFAULT_TENANT);
    return existsSync(path) ? readdirSync(path).filter((name) => name.length === 26) : [];
  };
  const expectSame = async () => {
    expect(await differencesOf(varve.api, QUERIES, expected)).toEqual([]);
  };
  /** Asks again and again while something else is going on. */
  const expectSameDuring = async (work: Promise<void>): Promise<number> => {
    let isDone = false;
    const done = work.finally(() => {
      isDone = true;
    });
    // Told when it is waited for, which a difference before comes first.
    done.catch(() => undefined);
    let rounds = 0;
    for (; !isDone; rounds++) {
      // The raw samples of all series and one query over the whole time: the others would take too long here.
      for (const i of [2, 9, QUERIES.length - 4]) {
        expect(await differencesOf(varve.api, [QUERIES[i]!], [expected[i]!])).toEqual([]);
      }
    }
    await done;
    return rounds;
  };

  beforeAll(async () => {
    s3 = await startS3('storage');
    prometheus = await startPrometheus({ args: ['--enable-feature=native-histograms'] });
    await start(RESTING);
    await pushRounds([varve.pushUrl, `${prometheus.url}/api/v1/write`], DATA, 0, DATA.rounds);
    expected = await askAll(prometheus.api, QUERIES);
  });

  afterAll(async () => {
    await stopAll();
    await s3?.stop();
  });

  test('answers from the head', expectSame);

  test('a flush stores each block with its meta.json last; answers stay the same meanwhile', async () => {
    const rounds = await expectSameDuring(flush());
    const stored = s3.proxy.answered.filter(({ method, status }) => method === 'PUT' && status === 200);
    const names = stored.map(({ url }) => decodeURIComponent(new URL(url, 'http://s3').pathname));
    const blocks = await blocksOf(s3, DEFAULT_TENANT);
    expect(blocks.length).toBe(rangeOf(DATA.endMs) - rangeOf(START_MS) + 1);
    expect(blocks.flatMap(fileProblems)).toEqual([]);
    for (const { ulid } of blocks) {
      const own = names
        .filter((name) => name.includes(`/${ulid}/`))
        .map((name) => name.split(`/${ulid}/`)[1]);
      expect(own).toEqual(['chunks/000001', 'index', 'meta.json']);
    }
    const samples = blocks.reduce((sum, { meta }) => sum + (meta?.stats.numSamples ?? 0), 0);
    expect(samples).toBe(DATA.series.length * DATA.rounds);
    process.stderr.write(
      `${blocks.length} blocks stored, ${samples} samples; ${rounds} rounds of queries meanwhile\n`,
    );
    await expectSame();
  });

  test('local blocks go when the bucket index lists them; answers stay the same', async () => {
    await expectSameDuring(waitFor('local blocks to be deleted', async () => localBlocks().length === 0));
    expect(await s3.has(`${DEFAULT_TENANT}/bucket-index.json.gz`)).toBe(true);
    await expectSame();
  });

  test('a Varve with an empty data folder answers all of it from S3', async () => {
    expect(await varve.stop()).toBe(0);
    rmSync(varve.dataDir, { recursive: true });
    await start(RESTING);
    await expectSame();
  });

  test('compaction, downsampling and deletion of the sources change no answer', async () => {
    expect(await varve.stop()).toBe(0);
    await start(COMPACTING);
    const before = (await blocksOf(s3, DEFAULT_TENANT)).map(({ ulid }) => ulid);
    const isSettled = async () => {
      const blocks = await blocksOf(s3, DEFAULT_TENANT);
      const widest = blocks.some(
        (block) => isRaw(block) && block.meta!.maxTime - block.meta!.minTime === DAY_MS,
      );
      const levels = new Set(blocks.map(({ meta }) => meta?.thanos?.downsample?.resolution ?? 0));
      return (
        widest && levels.size >= 2 && blocks.every(({ isMarked }) => !isMarked) && isQuiet(blocks.length)
      );
    };
    let last = 0;
    let lastCount = -1;
    const isQuiet = (count: number) => {
      if (count !== lastCount) [last, lastCount] = [Date.now(), count];
      return Date.now() - last > 3000;
    };
    const rounds = await expectSameDuring(waitFor('compaction to end', isSettled, 120_000));
    const blocks = await blocksOf(s3, DEFAULT_TENANT);
    const kinds = blocks.map(({ meta }) => {
      const hours = (meta!.maxTime - meta!.minTime) / HOUR_MS;
      return `${hours.toFixed(0)}h at ${meta!.thanos?.downsample?.resolution ?? 0}`;
    });
    process.stderr.write(
      `${before.length} blocks became ${blocks.length} (${kinds.join(', ')}); ${rounds} rounds of queries meanwhile\n`,
    );
    expect(blocks.flatMap(fileProblems)).toEqual([]);
    const raw = blocks.filter(isRaw);
    expect(raw.reduce((sum, { meta }) => sum + (meta?.stats.numSamples ?? 0), 0)).toBe(
      DATA.series.length * DATA.rounds,
    );
    await expectSame();
  });

  test('and so does a Varve that starts empty on the compacted bucket', async () => {
    expect(await varve.stop()).toBe(0);
    rmSync(varve.dataDir, { recursive: true });
    await start(RESTING);
    await expectSame();
  });
});
