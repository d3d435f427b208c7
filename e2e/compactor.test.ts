import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { startRealS3 } from '../lib/bucket/testing/s3-server.js';
import { daysOf, lateBlock } from '../lib/compactor/testing/replicated-data.js';
import { differences, type Samples, SharedBucket } from '../lib/compactor/testing/shared-bucket.js';
import { findPeer, skip } from './peers.js';
import { makeFolder, pause, stopAll, waitFor } from './processes.js';
import { startVarve, type Varve } from './varve.js';

/**
 * Whole compactor processes on a real S3 server. The bucket holds two days of blocks of two hours, from three replicas
 * each, of several tenants. After each kill -9 a reader sees exactly the samples that were there before.
 */

const KILLS = Number(process.env['E2E_KILLS'] ?? 50);
/** Longest life of a process that is killed, ms: about as long as a handful of jobs takes on a busy machine. */
const LIFE_MS = 6000;
const SEED = Number(process.env['E2E_SEED'] ?? 1);
const MINUTE = 60_000;

const server = await startRealS3();
if (server === null) {
  skip('needs a real S3 server: S3_ENDPOINT, or minio or versitygw on the PATH or among the peers', [
    'minio',
  ]);
} else process.stderr.write(`S3 server: ${server.name}\n`);
const suite = server === null ? describe.skip : describe;

let shared: SharedBucket;

/** A generator of even numbers in [0, 1): mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

async function freshBucket(): Promise<SharedBucket> {
  return SharedBucket.open(server!, `compactor-${randomUUID()}`);
}

function startCompactor(folder: string, id: string, args: readonly string[] = []): Promise<Varve> {
  const { endpoint, credentials } = server!;
  return startVarve({
    folder,
    args: [
      '--target=compactor',
      `--instance-id=${id}`,
      `--bucket=${shared.url}`,
      `--s3-endpoint=${endpoint}`,
      '--compactor-compaction-interval=200ms',
      '--compactor-cleanup-interval=200ms',
      '--compactor-first-level-compaction-wait-period=0s',
      '--compactor-deletion-delay=1s',
      '--compactor-lease-expiry=6s',
      '--compactor-downsampling-1h-range=1d',
      '--compactor-downsampling-1d-range=2d',
      '--membership-heartbeat-period=500ms',
      '--membership-heartbeat-timeout=3s',
      ...args,
    ],
    env: {
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
  });
}

/** What is visible of so many tenants when all is done: two days raw, of 5 minutes and an hour, and both in one of a day. */
function finalShape(tenants: readonly string[]): string[] {
  const levels = [
    [0, 2],
    [5 * MINUTE, 2],
    [60 * MINUTE, 2],
    [1440 * MINUTE, 1],
  ];
  return tenants.flatMap((tenant) => levels.map(([level, count]) => `${tenant} ${level} ${count}`)).sort();
}

async function isFinal(tenants: readonly string[]): Promise<boolean> {
  return (await shared.shape()).join() === finalShape(tenants).join();
}

/** The samples of a block as promtool prints them. */
function dump(folder: string): string[] {
  const text = execFileSync(findPeer('promtool')!, ['tsdb', 'dump', folder], {
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  return text.trimEnd().split('\n').sort();
}

/** What promtool has to print. */
function dumped(samples: Samples, tenant: string): string[] {
  const lines: string[] = [];
  for (const [key, bits] of samples) {
    if (!key.startsWith(`${tenant} `)) continue;
    const [, series, time] = /^\S+ (.*) @ (\d+)$/.exec(key)!;
    const value = new Float64Array(BigUint64Array.of(BigInt(`0x${bits}`)).buffer)[0];
    lines.push(`${series} ${value} ${time}`);
  }
  return lines.sort();
}

/** Jobs that a process says to have done, as `tenant job`. */
function jobsDone({ logFile }: Varve): string[] {
  const lines = readFileSync(logFile, 'utf8').split('\n');
  const done = lines.filter((line) => line.includes('"job done"')).map((line) => JSON.parse(line));
  return done.map(({ tenant, job }: { tenant: string; job: string }) => `${tenant} ${job}`);
}

async function metric(varve: Varve, name: string): Promise<number> {
  const text = await (await fetch(`${varve.url}/metrics`)).text();
  const line = text.split('\n').find((found) => found.startsWith(`${name} `));
  return line === undefined ? Number.NaN : Number(line.slice(name.length + 1));
}

beforeEach(async () => {
  if (server !== null) shared = await freshBucket();
});
afterEach(async () => {
  shared?.close();
  await stopAll();
});
afterAll(() => server?.stop());

suite('a compactor on S3', () => {
  const tenants = ['team-a', 'team-b', 'team-c'];

  test(`killed ${KILLS} times loses and doubles nothing`, async () => {
    const random = randomOf(SEED);
    let kills = 0;
    let rounds = 0;
    let lateBlocks = 0;
    let jobs = 0;
    while (kills < KILLS) {
      shared.close();
      shared = await freshBucket();
      rounds++;
      await shared.write(tenants.flatMap((tenant) => daysOf(tenant, 2, 3)));
      let expected = await shared.samples();
      const folder = makeFolder('killed-compactor');
      let deaths = 0;
      while (kills < KILLS && !(await isFinal(tenants))) {
        const varve = await startCompactor(folder, 'c1');
        await pause(random() * LIFE_MS);
        await varve.kill();
        jobs += jobsDone(varve).length;
        kills++;
        deaths++;
        const problems = differences(expected, await shared.samples());
        expect({ kills, problems }).toEqual({ kills, problems: [] });
        if (deaths % 4 !== 0 || deaths > 8) continue;
        // Samples that come when their day may have been merged and downsampled already.
        await shared.write([lateBlock(tenants[deaths % 3]!, deaths)]);
        lateBlocks++;
        expected = await shared.samples();
      }
      const lastBeganMs = Date.now();
      const last = await startCompactor(folder, 'c1', ['--compactor-partial-block-deletion-delay=8s']);
      await waitFor('the end of the work', () => isFinal(tenants), 120_000);
      await waitFor(
        'the deletion of what is not needed',
        async () => (await shared.leftovers()).length === 0,
        60_000,
      );
      // A tenant without work left may not have had its turn yet.
      await waitFor(
        'the leases of the killed to be taken over',
        async () => (await shared.oldLeases(lastBeganMs)).length === 0,
        60_000,
      );
      expect(await last.stop()).toBe(0);
      expect(await shared.shape()).toEqual(finalShape(tenants));
      expect(differences(expected, await shared.samples())).toEqual([]);
      expect(await shared.storedSamples()).toBe(expected.size);
      expect([await shared.leases(), await shared.heartbeats()]).toEqual([[], []]);
      if (kills < KILLS || findPeer('promtool') === null) continue;
      for (const tenant of tenants) {
        const target = join(makeFolder('downloaded'), tenant);
        // Promtool opens a folder only with a log beside the blocks.
        mkdirSync(join(target, 'wal'), { recursive: true });
        for (const block of await shared.visible()) {
          if (block.tenant === tenant && block.resolution === 0) await shared.download(block, target);
        }
        expect(dump(target)).toEqual(dumped(expected, tenant));
      }
    }
    const work = `${jobs} jobs done by those that were killed, ${lateBlocks} late blocks`;
    process.stderr.write(`${kills} kills on ${rounds} buckets, ${work}: nothing lost\n`);
  }, 1_800_000);
});

suite('three compactors on one bucket', () => {
  const tenants = ['t1', 't2', 't3', 't4', 't5', 't6'];
  // Sources stay, so that the bucket can be read while it changes.
  const args = ['--compactor-first-level-compaction-wait-period=10s', '--compactor-deletion-delay=1h'];

  test('share the jobs, do none twice, and go on with those of one that is killed', async () => {
    const three = await Promise.all(['c1', 'c2', 'c3'].map((id) => startCompactor(makeFolder(id), id, args)));
    const [, victim] = three as [Varve, Varve, Varve];
    for (const varve of three) {
      const count = () =>
        metric(varve, 'varve_membership_members{role="compactor",state="ACTIVE",alive="true"}');
      await waitFor('three members', async () => (await count()) === 3);
    }
    await shared.write(tenants.flatMap((tenant) => daysOf(tenant, 2, 3)));
    const expected = await shared.samples();

    const isBusy = async (): Promise<boolean> => {
      const { jobs } = (await (await fetch(`${victim.url}/compactor/jobs`)).json()) as {
        jobs: { state: string }[];
      };
      return jobs.some(({ state }) => state === 'running') && jobs.some(({ state }) => state === 'done');
    };
    await waitFor('work of the one to be killed', isBusy, 120_000);
    await victim.kill();
    expect(differences(expected, await shared.samples())).toEqual([]);
    const survivors = three.filter((varve) => varve !== victim);

    await waitFor('the end of the work', () => isFinal(tenants), 180_000);
    await waitFor('two members', async () =>
      (
        await Promise.all(
          survivors.map((varve) =>
            metric(varve, 'varve_membership_members{role="compactor",state="ACTIVE",alive="true"}'),
          ),
        )
      ).every((count) => count === 2),
    );
    const done = three.map(jobsDone);
    process.stderr.write(`jobs done by each: ${done.map(({ length }) => length).join(', ')}\n`);
    const all = done.flat();
    const jobs = tenants.length * 7;
    expect(new Set(all).size).toBe(all.length);
    // The killed one may have finished one without saying so.
    expect([jobs, jobs - 1]).toContain(all.length);
    expect(done.map(({ length }) => length > 0)).toEqual([true, true, true]);
    for (const varve of survivors) expect(await varve.stop()).toBe(0);
    expect(differences(expected, await shared.samples())).toEqual([]);
    expect(await shared.storedSamples()).toBe(expected.size);
    expect(await shared.heartbeats()).toEqual([expect.stringContaining('c2.json')]);
  }, 600_000);
});
