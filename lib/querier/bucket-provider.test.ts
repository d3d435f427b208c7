import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { ManualClock } from '../clock/index.js';
import { silentLogger } from '../telemetry/index.js';
import { BucketProvider } from './bucket-provider.js';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-bucket-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function addBlock(tenant: string, ulid: string, meta: string): void {
  mkdirSync(join(folder, tenant, ulid), { recursive: true });
  writeFileSync(join(folder, tenant, ulid, 'meta.json'), meta);
}

const ULIDS = [
  '01M7YEQ6GFKXAT4GS3X8BJV064',
  '01M7YEQ6HZTKZ2XDDQJ5PK1F3T',
  '01M7YEQ6MATGS4HGYMDH4S6736',
] as const;

test('BucketProvider offers the raw blocks of a tenant that overlap a time range', async () => {
  addBlock('a', ULIDS[1], '{"minTime":1000,"maxTime":2000}');
  addBlock('a', ULIDS[0], '{"minTime":0,"maxTime":1000}');
  addBlock('a', ULIDS[2], '{"minTime":0,"maxTime":9000,"thanos":{"downsample":{"resolution":300000}}}');
  addBlock('a', 'not-a-ulid', '{"minTime":0,"maxTime":1000}');
  addBlock('b', ULIDS[0], '{"minTime":0}');
  addBlock('..c|', ULIDS[0], '{"minTime":0,"maxTime":1000}');
  const provider = new BucketProvider(folder, 1000, silentLogger);
  await provider.refresh();
  const ulids = (tenant: string, minTimeMs: number, maxTimeMs: number) =>
    provider
      .snapshot(tenant, minTimeMs, maxTimeMs)
      .sources.map((source) => source.kind === 'block' && source.ulid);
  expect(ulids('a', 0, 5000)).toEqual([ULIDS[0], ULIDS[1]]);
  expect(ulids('a', 999, 999)).toEqual([ULIDS[0]]);
  expect(ulids('a', 1000, 1000)).toEqual([ULIDS[1]]);
  expect(ulids('a', 2000, 5000)).toEqual([]);
  expect(ulids('b', 0, 5000)).toEqual([]);
  expect(ulids('..c|', 0, 5000)).toEqual([]);
  rmSync(join(folder, 'a', ULIDS[0]), { recursive: true });
  await provider.refresh();
  expect(ulids('a', 0, 5000)).toEqual([ULIDS[1]]);
});

test('BucketProvider starts without a folder', async () => {
  const provider = new BucketProvider(join(folder, 'missing'), 1000, silentLogger);
  await provider.start();
  expect(provider.snapshot('a', 0, 1).sources).toEqual([]);
  await provider.stop();
});

test('a block that was there before a look stays known when looks overlap', async () => {
  addBlock('a', ULIDS[0], '{"minTime":0,"maxTime":1000}');
  const provider = new BucketProvider(folder, 1000, silentLogger);
  const earlier = Array.from({ length: 5 }, () => provider.refresh());
  addBlock('a', ULIDS[1], '{"minTime":1000,"maxTime":2000}');
  const later = provider.refresh();
  await Promise.all([...earlier, later]);
  expect(provider.snapshot('a', 0, 5000).sources.length).toBe(2);
});

test('BucketProvider reads merged blocks instead of their sources, and marked ones for a while only', async () => {
  const meta = (ulid: string, sources: readonly string[]) =>
    JSON.stringify({
      ulid,
      minTime: 0,
      maxTime: 1000,
      version: 1,
      stats: {},
      compaction: { level: sources.length, sources },
    });
  addBlock('a', ULIDS[0], meta(ULIDS[0], [ULIDS[0]]));
  addBlock('a', ULIDS[1], meta(ULIDS[1], [ULIDS[1]]));
  const clock = new ManualClock(1_000_000);
  const options = { clock, ignoreDeletionMarksDelayMs: 60_000 };
  const provider = new BucketProvider(folder, 1000, silentLogger, options);
  const ulids = async () => {
    await provider.refresh();
    return provider.snapshot('a', 0, 5000).sources.map((source) => source.kind === 'block' && source.ulid);
  };
  expect(await ulids()).toEqual([ULIDS[0], ULIDS[1]]);
  addBlock('a', ULIDS[2], meta(ULIDS[2], [ULIDS[0], ULIDS[1]]));
  expect(await ulids()).toEqual([ULIDS[2]]);
  rmSync(join(folder, 'a', ULIDS[2]), { recursive: true });
  mkdirSync(join(folder, 'a', 'markers'));
  writeFileSync(join(folder, 'a', 'markers', `${ULIDS[0]}-deletion-mark.json`), '{"deletion_time":1000}');
  expect(await ulids()).toEqual([ULIDS[0], ULIDS[1]]);
  clock.advance(60_001);
  expect(await ulids()).toEqual([ULIDS[1]]);
});
