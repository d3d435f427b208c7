import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { makeFolder, stopAll } from './processes.js';
import { type Answer, askAll, differencesOf, makeDataset, pushRounds, queriesOf } from './storage-data.js';
import { DEFAULT_TENANT, startVarve, type Varve } from './varve.js';

/**
 * No room for blocks: samples are accepted, queries answered, and whoever asks for a flush is told; when there is room
 * again, the blocks are made without a restart. The disk is a small one in memory, for which this suite must be root.
 */

const STEP_MS = 15_000;
const HOUR_MS = 3_600_000;
const START_MS = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 5 * HOUR_MS;
const DATA = makeDataset(START_MS, STEP_MS, (4 * HOUR_MS) / STEP_MS);
const QUERIES = queriesOf(DATA);
const DISK_BYTES = 4 * 1024 * 1024;
/** Too little for the blocks of what is pushed first. */
const LEFT_BYTES = 64 * 1024;

/** Mounts a disk in memory; false, said aloud, where that is not allowed. */
function mountDisk(folder: string): boolean {
  mkdirSync(folder, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', folder], { stdio: 'ignore' });
    return true;
  } catch {
    process.stderr.write('SKIPPED: this suite needs the right to mount a disk in memory\n');
    return false;
  }
}

const folder = makeFolder('full-disk');
const disk = join(folder, 'data', 'blocks');
const isMounted = mountDisk(disk);
const suite = isMounted ? describe : describe.skip;

suite('a full disk', () => {
  const filler = join(disk, 'filler');
  let varve: Varve;
  let expected: readonly Answer[];

  const flush = () => fetch(`${varve.url}/ingester/flush`, { method: 'POST' });
  const fillDisk = () => {
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(filler, Buffer.alloc(bavail * bsize - LEFT_BYTES));
  };
  const blocksIn = (path: string) => readdirSync(path).filter((name) => name.length === 26);

  beforeAll(async () => {
    varve = await startVarve({
      folder,
      args: ['--blocks-ship-interval=300ms', '--query-max-source-resolution=0s'],
    });
    await pushRounds([varve.pushUrl], DATA, 0, DATA.rounds / 2);
    fillDisk();
  });

  afterAll(async () => {
    // Before its folder is removed; what has files open on it is about to end.
    execFileSync('umount', ['-l', disk]);
    await stopAll();
  });

  test('a flush says that there is no room, and nothing is lost', async () => {
    const response = await flush();
    const text = await response.text();
    expect([response.status, text]).toEqual([
      503,
      expect.stringMatching(/no space left.*make room on the disk/),
    ]);
    await pushRounds([varve.pushUrl], DATA, DATA.rounds / 2, DATA.rounds);
    expected = await askAll(varve.api, QUERIES);
    expect((await flush()).status).toBe(503);
    expect(await differencesOf(varve.api, QUERIES, expected)).toEqual([]);
    expect(blocksIn(disk)).toEqual([]);
  });

  test('a kill and a start on the full disk lose nothing', async () => {
    await varve.kill();
    varve = await startVarve({
      folder,
      args: ['--blocks-ship-interval=300ms', '--query-max-source-resolution=0s'],
    });
    expect(await differencesOf(varve.api, QUERIES, expected)).toEqual([]);
  });

  test('when there is room again, blocks are cut and stored', async () => {
    rmSync(filler);
    const response = await flush();
    expect([response.status, await response.text()]).toEqual([204, '']);
    expect(blocksIn(join(varve.bucketDir, DEFAULT_TENANT)).length).toBeGreaterThan(1);
    expect(await differencesOf(varve.api, QUERIES, expected)).toEqual([]);
    expect(await varve.stop()).toBe(0);
  });
});
