import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Fault, FaultPlan } from '../lib/bucket/testing/faulty-proxy.js';
import { call } from './answers.js';
import { havePeers, promtool } from './peers.js';
import { makeFolder, pause, stopAll, waitFor } from './processes.js';
import { blocksOf, downloadBlock, fileProblems, isRaw, type S3Peer, startS3 } from './s3.js';
import {
  type Answer,
  answerOf,
  askAll,
  type Dataset,
  difference,
  makeDataset,
  pushRounds,
  queriesOf,
} from './storage-data.js';
import { DEFAULT_TENANT, startVarve, type Varve } from './varve.js';

/**
 * A store that misbehaves, in each way for some seconds while samples are pushed, blocks are cut and stored, merged, and
 * queried. Pushes are accepted all the time. A query answers completely or fails with a reason, within its time. When
 * the fault is over, every block gets complete into the bucket without anybody's help, and nothing was lost.
 */

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const STEP_MS = 60_000;
const ROUNDS = 180;
/** How long some requests break, and then how long all do. */
const SOME_MS = 1000;
const ALL_MS = 2000;
const QUERY_TIMEOUT_MS = 8000;
/** For answers on a busy machine. */
const GRACE_MS = 4000;

const READS = new Set(['GET']);
const WRITES = new Set(['PUT', 'POST']);
const ALL = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE']);
const status = (code: number, name: string): Fault => ({ kind: 'status', status: code, code: name });

/** What happens to requests of some methods: to some of them at first, then to all. */
const FAULTS: readonly (readonly [name: string, fault: Fault, methods: ReadonlySet<string>])[] = [
  ['500', status(500, 'InternalError'), ALL],
  ['503 SlowDown', status(503, 'SlowDown'), ALL],
  ['bodies that trickle', { kind: 'trickle', bytes: 300 }, READS],
  ['truncated bodies', { kind: 'truncate', bytes: 20 }, READS],
  ['connections reset before the answer', { kind: 'reset' }, ALL],
  ['connections reset in the body of an answer', { kind: 'resetBody', bytes: 20 }, READS],
  ['connections reset in the body of an upload', { kind: 'resetUpload' }, WRITES],
  ['answers lost after the work', { kind: 'lostAnswer' }, ALL],
  ['403', status(403, 'AccessDenied'), ALL],
  ['no answer at all', { kind: 'silence' }, ALL],
];

/** Breaks a part of the requests, the same in every run. */
function breaking(fault: Fault, methods: ReadonlySet<string>, share: number): FaultPlan {
  let n = 0;
  return (method) => (methods.has(method) && (n++ * 0.618) % 1 < share ? fault : null);
}

const ARGS = [
  '--blocks-ship-interval=300ms',
  '--blocks-local-retention=500ms',
  '--blocks-sync-interval=1s',
  // Everything is read from the bucket for each query anew.
  '--blocks-cache-index-bytes=0',
  '--blocks-cache-chunks-bytes=0',
  '--query-max-open-blocks=1',
  '--query-max-source-resolution=0s',
  `--query-timeout=${QUERY_TIMEOUT_MS}ms`,
  '--s3-request-timeout=500ms',
  '--s3-deadline=1500ms',
  '--compactor-cleanup-interval=500ms',
  '--compactor-compaction-interval=1s',
  '--compactor-first-level-compaction-wait-period=0s',
  '--compactor-deletion-delay=5s',
  '--compactor-partial-block-deletion-delay=10s',
  '--compactor-downsampling-enabled=false',
];

/** Days, of which each fault gets one, all over for long, so that the blocks of each can be merged. */
const dayOf = (index: number): Dataset => {
  const today = Math.floor((Date.now() - 5 * HOUR_MS) / DAY_MS) * DAY_MS;
  return makeDataset(today - (FAULTS.length + 2 - index) * DAY_MS + 5 * HOUR_MS, STEP_MS, ROUNDS);
};

interface Outcome {
  readonly complete: number;
  readonly failed: number;
  /** What is wrong with answers, and with errors. */
  readonly problems: readonly string[];
  /** One of the errors. */
  readonly example: string;
  readonly slowestMs: number;
}

const suite = havePeers('promtool') ? describe : describe.skip;

suite('a store that misbehaves', () => {
  const folder = makeFolder('s3-faults');
  const first = dayOf(0);
  const queries = queriesOf(first).filter((_, i) => i % 3 === 0);
  let s3: S3Peer;
  let varve: Varve;
  let expected: readonly Answer[];

  const start = async (more: readonly string[] = []) => {
    varve = await startVarve({
      folder,
      bucket: s3.bucketUrl,
      env: s3.env,
      args: [...s3.args, ...ARGS, ...more],
    });
  };
  const localBlocks = () => {
    const path = join(varve.dataDir, 'blocks', DEFAULT_TENANT);
    return existsSync(path) ? readdirSync(path).filter((name) => name.length === 26) : [];
  };
  const flush = async () => {
    const response = await fetch(`${varve.url}/ingester/flush`, { method: 'POST' });
    return { status: response.status, text: await response.text() };
  };

  /** Queries until told to stop; what they may say is only the truth, or that they cannot. */
  const queryUntil = async (isOver: () => boolean): Promise<Outcome> => {
    const problems: string[] = [];
    let [complete, failed, slowestMs, example] = [0, 0, 0, ''];
    for (let i = 0; !isOver(); i++) {
      // Nothing of the block is known any more.
      rmSync(join(varve.dataDir, 'index-headers'), { recursive: true, force: true });
      const [text, parameters] = queries[i % queries.length]!;
      const startedMs = performance.now();
      const path = 'start' in parameters ? 'query_range' : 'query';
      const { status, body } = await call(varve.api, path, { query: text, ...parameters }, 'POST');
      slowestMs = Math.max(slowestMs, performance.now() - startedMs);
      if (status === 200) {
        complete++;
        const { result } = body.data as { result: unknown };
        const where = difference(answerOf(result), expected[i % queries.length]!);
        if (where !== null) problems.push(`${text}: ${where}`);
        continue;
      }
      failed++;
      example = body.error ?? '';
      const isClear =
        status === 503 && /unavailable|timeout/.test(body.errorType ?? '') && example.length > 20;
      if (!isClear) problems.push(`${status} ${body.errorType}: ${body.error}`);
    }
    return { complete, failed, problems, example, slowestMs };
  };

  const samplesStored = async () => {
    const raw = (await blocksOf(s3, DEFAULT_TENANT)).filter((block) => isRaw(block) && !block.isMarked);
    return raw.reduce((sum, { meta }) => sum + (meta?.stats.numSamples ?? 0), 0);
  };
  /** How many samples of some metrics a day has. */
  const countOf = async (day: Dataset) => {
    const counted = 'sum(count_over_time(up[4h])) + sum(count_over_time(requests_total[4h]))';
    const [answer] = await askAll(varve.api, [[counted, { time: (day.endMs / 1000).toFixed(3) }]]);
    return Number(([...answer!.values()][0] as { value: [number, string] }).value[1]);
  };
  const COUNTED = (3 + 12) * ROUNDS;

  beforeAll(async () => {
    s3 = await startS3('faults');
    await start();
    await pushRounds([varve.pushUrl], first, 0, ROUNDS);
    expected = await askAll(varve.api, queries);
    expect((await flush()).status).toBe(204);
    await waitFor('local blocks to be deleted', async () => localBlocks().length === 0);
    const { problems } = await queryUntil(
      (() => {
        let n = queries.length;
        return () => n-- === 0;
      })(),
    );
    expect(problems).toEqual([]);
  });

  afterAll(async () => {
    await stopAll();
    await s3?.stop();
  });

  test.each(FAULTS.map(([name, fault, methods], i) => [name, fault, methods, i + 1] as const))(
    '%s',
    async (...row) => {
      const [name, fault, methods, index] = row;
      const day = dayOf(index);
      let isOver = false;
      const work = async () => {
        let slowestMs = 0;
        const push = async (from: number, to: number) => {
          for (let round = from; round < to; round += 10) {
            const pushedMs = performance.now();
            await pushRounds([varve.pushUrl], day, round, round + 10);
            slowestMs = Math.max(slowestMs, performance.now() - pushedMs);
            await pause(20);
          }
        };
        s3.proxy.plan = breaking(fault, methods, 0.4);
        await Promise.all([push(0, ROUNDS / 2), pause(SOME_MS)]);
        s3.proxy.plan = breaking(fault, methods, 1);
        const all = pause(ALL_MS);
        await push(ROUNDS / 2, ROUNDS);
        // The index was read before, so what the head holds is answered all the time.
        expect(await countOf(day)).toBe(COUNTED);
        const flushed = await flush();
        await all;
        isOver = true;
        return { slowestMs, flushed };
      };
      const [pushes, outcome] = await Promise.all([
        work().finally(() => {
          isOver = true;
        }),
        queryUntil(() => isOver),
      ]);
      s3.proxy.plan = () => null;
      process.stderr.write(
        `${name}: ${outcome.complete} queries answered, ${outcome.failed} failed (slowest ${Math.round(outcome.slowestMs)} ms), ` +
          `slowest push ${Math.round(pushes.slowestMs)} ms, flush ${pushes.flushed.status} ${pushes.flushed.text.trim()}\n` +
          (outcome.example === '' ? '' : `  ${outcome.example}\n`),
      );
      expect(outcome.problems).toEqual([]);
      expect(outcome.slowestMs).toBeLessThan(QUERY_TIMEOUT_MS + GRACE_MS);
      expect(pushes.slowestMs).toBeLessThan(GRACE_MS);
      expect([204, 503]).toContain(pushes.flushed.status);
      // At once, whatever is where at the moment.
      await waitFor('the bucket index', async () => (await countOf(day).catch(() => 0)) === COUNTED, 20_000);
      await waitFor('local blocks to be deleted', async () => localBlocks().length === 0, 30_000);
      expect(await countOf(day)).toBe(COUNTED);
    },
  );

  test('afterwards all that was pushed is in the bucket, complete and merged, and nothing else', async () => {
    const days = FAULTS.length + 1;
    await waitFor(
      'compaction to end',
      async () => {
        const blocks = await blocksOf(s3, DEFAULT_TENANT);
        return (
          blocks.filter(isRaw).length === days &&
          blocks.every(({ meta, isMarked }) => meta !== null && !isMarked)
        );
      },
      60_000,
    );
    const blocks = await blocksOf(s3, DEFAULT_TENANT);
    expect(blocks.flatMap(fileProblems)).toEqual([]);
    expect(await s3.unfinishedUploads()).toBe(0);
    expect(await samplesStored()).toBe(days * ROUNDS * first.series.length);
    const dataDir = makeFolder('faults-blocks');
    mkdirSync(join(dataDir, 'wal'));
    for (const block of blocks.filter(isRaw)) await downloadBlock(s3, DEFAULT_TENANT, block, dataDir);
    const lines = execFileSync(promtool(), ['tsdb', 'dump', dataDir], {
      encoding: 'utf8',
      maxBuffer: 1 << 30,
    });
    const floatSeries = first.series.filter(({ samples }) => samples !== undefined).length;
    const floats = lines.split('\n').filter((line) => line !== '' && !line.includes('{count:'));
    expect(floats.length).toBe(days * ROUNDS * floatSeries);
  });
});
