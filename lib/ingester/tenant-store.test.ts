import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock } from '../clock/index.js';
import { ScanKernel } from '../kernel/index.js';
import { bitsOf, snappy, type TestSeries, writeRequest } from '../kernel/testing/write-request.js';
import type { SeriesAdmission } from '../storage/index.js';
import { ArrayArena } from '../storage/index.js';
import { BlockQueryable, BlockReader } from '../tsdb/block/index.js';
import { HeadReader } from '../tsdb/head/index.js';
import { decodeSet, samplesOf, selectAll } from '../tsdb/head/testing/head-fixture.js';
import type { TenantStore } from './tenant-store.js';
import { copyAsItIs, copyFolder, makeStore as makeTestStore, RANGE_MS } from './testing/store-fixture.js';

// A store on a real folder. A crash is a copy of that folder taken while the store runs: whatever was acknowledged by then
// has to be found by a new store on the copy, in its head or in the blocks, once.

const T0 = 1_699_999_200_000; // a block border
const scan = new ScanKernel();
const admission: SeriesAdmission = {
  seriesMax: 0,
  admit: (i) => scan.labelBytes(i),
  refusedByLimit: () => {},
};

let root = '';
let clock = new ManualClock(T0);
let published: string[] = [];
const opened: TenantStore[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'varve-store-'));
  clock = new ManualClock(T0);
  published = [];
});
afterEach(async () => {
  // A store may still be writing a checkpoint: its folder must not vanish under it.
  await Promise.allSettled(opened.splice(0).map((store) => store.close(false)));
  rmSync(root, { recursive: true, force: true });
});

interface StoreSettings {
  readonly windowMs?: number;
  readonly segmentBytesMax?: number;
  readonly onBlocks?: () => Promise<void>;
}

function makeStore(folder: string, settings: StoreSettings = {}): TenantStore {
  return makeTestStore(folder, {
    ...settings,
    clock,
    onBlocks: async (blocks) => {
      await settings.onBlocks?.();
      published.push(...blocks.map((block) => block.ulid));
    },
  });
}

async function openStore(folder: string, settings: StoreSettings = {}): Promise<TenantStore> {
  const store = makeStore(folder, settings);
  opened.push(store);
  await store.open({ segment: 0, lastSegment: 0 });
  return store;
}

/** Appends and returns what waits for the log. */
function append(
  store: TenantStore,
  series: readonly TestSeries[],
): { counts: number[]; durable: Promise<void> } {
  const body = snappy(writeRequest(series));
  scan.load([body], body.length, 2 ** 27);
  const { counts, durable } = store.append(scan, [], 8.64e15, admission);
  return { counts: [...counts], durable };
}

function series(i: number, times: readonly number[]): TestSeries {
  return {
    labels: [
      ['__name__', `metric_${i % 3}`],
      ['i', String(i)],
    ],
    samples: times.map((time) => ({ timeMs: BigInt(time), bits: bitsOf(time % 100_000) })),
  };
}

type Contents = Map<string, Map<number, bigint>>;

function add(contents: Contents, labels: string, time: number, bits: bigint): void {
  const samples = contents.get(labels) ?? new Map<number, bigint>();
  contents.set(labels, samples.set(time, bits));
}

function addSeries(contents: Contents, all: readonly TestSeries[]): void {
  for (const { labels, samples } of all)
    for (const { timeMs, bits } of samples)
      add(contents, labels.map(([name, value]) => `${name}=${value}`).join(','), Number(timeMs), bits);
}

interface Found {
  readonly contents: Contents;
  readonly headSamples: number;
  readonly blockSamples: number;
}

async function everything(store: TenantStore, folder: string): Promise<Found> {
  const contents: Contents = new Map();
  let headSamples = 0;
  let blockSamples = 0;
  for (const found of await selectAll(new HeadReader(store.head.view.memory)))
    for (const [time, bits] of samplesOf(found)) {
      add(contents, found.labels, time, bits);
      headSamples++;
    }
  for (const name of readdirSync(join(folder, 'blocks'))) {
    if (!existsSync(join(folder, 'blocks', name, 'meta.json'))) continue;
    const block = BlockReader.open(join(folder, 'blocks', name));
    const arena = new ArrayArena();
    const hints = {
      minTimeMs: -9e15,
      maxTimeMs: 9e15,
      stepMs: 0,
      func: '',
      rangeMs: 0,
      withoutChunks: false,
      limit: 0,
    };
    for (const found of decodeSet(await new BlockQueryable(block).select([], hints, arena), arena))
      for (const [time, bits] of samplesOf(found)) {
        add(contents, found.labels, time, bits);
        blockSamples++;
      }
    block.close();
  }
  return { contents, headSamples, blockSamples };
}

function plain(contents: Contents): Record<string, [number, bigint][]> {
  return Object.fromEntries(
    [...contents]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([labels, samples]) => [labels, [...samples].sort(([a], [b]) => a - b)]),
  );
}

function expectAll(found: Contents, acknowledged: Contents): void {
  for (const [labels, samples] of acknowledged)
    for (const [time, bits] of samples)
      if (found.get(labels)?.get(time) !== bits) throw new Error(`${labels} at ${time} is lost`);
}

describe('a tenant store', () => {
  test('answers the same before a cut, after it, and after restarts, late samples included', async () => {
    const settings = { windowMs: 3_600_000 };
    let store = await openStore(root, settings);
    const sent: Contents = new Map();
    const push = async (all: readonly TestSeries[]) => {
      addSeries(sent, all);
      const { counts, durable } = append(store, all);
      await durable;
      return counts;
    };
    // Six hours in steps of a minute; every tenth sample comes half an hour late.
    const late: number[] = [];
    for (let minute = 0; minute < 360; minute += 20) {
      const times = Array.from({ length: 20 }, (_, k) => T0 + (minute + k) * 60_000);
      late.push(...times.filter((time) => (time / 60_000) % 10 === 0));
      const onTime = times.filter((time) => (time / 60_000) % 10 !== 0);
      await push([0, 1, 2, 3].map((i) => series(i, onTime)));
      const due = late.filter((time) => time <= times.at(-1)! - 1_800_000);
      late.splice(0, due.length);
      if (due.length > 0) await push([0, 1].map((i) => series(i, due)));
      if (minute % 100 === 0) {
        const before = plain((await everything(store, root)).contents);
        const blocks = await store.cutDue(10 ** 9);
        expect(plain((await everything(store, root)).contents)).toEqual(before);
        for (const block of blocks) expect(block.maxTimeMs - block.minTimeMs).toBeLessThanOrEqual(RANGE_MS);
      }
      if (minute % 140 === 0) {
        await store.close(false);
        store = await openStore(root, settings);
      }
      const { contents } = await everything(store, root);
      expect(plain(contents)).toEqual(plain(sent));
    }
    expect(published.length).toBeGreaterThan(1);
    await store.flush();
    const flushed = await everything(store, root);
    expect(flushed.headSamples).toBe(0);
    expect(store.head.kernel.seriesCount).toBe(0);
    expect(plain(flushed.contents)).toEqual(plain(sent));
    await store.close(false);
    store = await openStore(root, settings);
    const reopened = await everything(store, root);
    expect(reopened.headSamples).toBe(0);
    expect(plain(reopened.contents)).toEqual(plain(sent));
    await store.close(false);
  });

  test('loses nothing acknowledged when it crashes at any moment of a flush under load', async () => {
    const store = await openStore(root);
    const acknowledged: Contents = new Map();
    let time = T0;
    let flushing = true;
    const push = async () => {
      // Series run ahead of each other: some chunks reach beyond the time of the cut.
      const all = Array.from({ length: 40 }, (_, i) =>
        series(i, [time + (i % 5) * 10, time + (i % 5) * 10 + 7]),
      );
      time += 20;
      await append(store, all).durable;
      addSeries(acknowledged, all);
    };
    for (let i = 0; i < 50; i++) await push();
    const copies: { folder: string; acknowledged: Contents }[] = [];
    const work = (async () => {
      for (let i = 0; i < 3; i++) await store.flush();
      flushing = false;
    })();
    const crash = () => {
      const folder = `${root}/crash-${copies.length}`;
      const snapshot: Contents = new Map(
        [...acknowledged].map(([labels, samples]) => [labels, new Map(samples)]),
      );
      copyAsItIs(root, folder);
      copies.push({ folder, acknowledged: snapshot });
    };
    for (let i = 0; flushing; i++) {
      await push();
      if (i % 7 === 0 && copies.length < 40) crash();
    }
    await work;
    await push();
    crash();
    expectAll((await everything(store, root)).contents, acknowledged);
    expect(copies.length).toBeGreaterThan(2);
    for (const copy of copies) {
      const recovered = await openStore(copy.folder);
      expectAll((await everything(recovered, copy.folder)).contents, copy.acknowledged);
      await recovered.close(false);
    }
    await store.close(false);
  });

  test('makes up for a cut that failed, without losing or forgetting what was marked', async () => {
    let failures = 1;
    const store = await openStore(root, {
      onBlocks: async () => {
        if (failures-- > 0) throw new Error('the bucket is away');
      },
    });
    await append(store, [series(1, [T0, T0 + 1000]), series(2, [T0 + 4 * RANGE_MS])]).durable;
    await expect(store.cutDue(10 ** 9)).rejects.toThrow('the bucket is away');
    const blocks = await store.cutDue(10 ** 9);
    expect(blocks).toHaveLength(1);
    expect(blocks[0]).toMatchObject({ sampleCount: 2, minTimeMs: T0 });
    expect(await store.cutDue(10 ** 9)).toEqual([]);
    expect((await everything(store, root)).headSamples).toBe(1);
    await store.close(false);
  });

  test('tells of the blocks of a cut whose mark cannot be written, and cuts again', async () => {
    const store = await openStore(root);
    const all = [series(1, [T0, T0 + 1000])];
    await append(store, all).durable;
    mkdirSync(join(root, 'log', 'cut.json.tmp'));
    await expect(store.flush()).rejects.toThrow('EISDIR');
    expect(published.length).toBe(1);
    rmSync(join(root, 'log', 'cut.json.tmp'), { recursive: true });
    await store.flush();
    expect(published.length).toBe(2);
    expect(published).toEqual(readdirSync(join(root, 'blocks')).sort());
    const sent: Contents = new Map();
    addSeries(sent, all);
    expectAll((await everything(store, root)).contents, sent);
    await store.close(false);
  });

  test('cuts a head that nothing came into for long, and then leaves it alone', async () => {
    const store = await openStore(root);
    await append(store, [series(1, [T0])]).durable;
    expect(await store.cutDue(3_600_000)).toEqual([]);
    clock.advance(3_600_000);
    expect(await store.cutDue(3_600_000)).toHaveLength(1);
    expect(store.head.kernel.seriesCount).toBe(0);
    const segments = readdirSync(store.walDirectory).filter((name) => /^\d+$/.test(name));
    expect(segments).toHaveLength(1);
    // A series whose only sample is refused is no reason to cut for ever.
    append(store, [series(2, [T0 - 5 * RANGE_MS])]);
    expect(store.head.kernel.seriesCount).toBe(1);
    clock.advance(3_600_000);
    expect(await store.cutDue(3_600_000)).toEqual([]);
    expect(store.head.kernel.seriesCount).toBe(0);
    const before = readdirSync(store.walDirectory);
    expect(await store.cutDue(3_600_000)).toEqual([]);
    expect(readdirSync(store.walDirectory)).toEqual(before);
    await store.close(false);
  });

  test('gives the same head from the same log, whenever it is read, and takes a torn end for the end', async () => {
    const store = await openStore(root, { windowMs: 3_600_000 });
    const requests: TestSeries[][] = [];
    const ends: number[] = [];
    const segment = join(store.walDirectory, '00000000');
    for (let i = 0; i < 30; i++) {
      const request = [0, 1, 2].map((k) =>
        series(k + (i % 5), [T0 + i * 1000 + k, T0 + i * 1000 - 5000 + k]),
      );
      requests.push(request);
      await append(store, request).durable;
      ends.push(readFileSync(segment).length);
    }
    await store.close(false);
    const log = readFileSync(segment);
    const cases = new Set([
      ...ends.slice(0, 6),
      ...Array.from({ length: 60 }, (_, i) => Math.floor((log.length * i) / 60)),
    ]);
    for (const length of cases) {
      const folder = join(root, `cut-${length}`);
      copyFolder(join(root, 'log'), join(folder, 'log'));
      truncateSync(join(folder, 'log', 'wal', '00000000'), length);
      const expected: Contents = new Map();
      requests.slice(0, ends.filter((end) => end <= length).length).forEach((request) => {
        addSeries(expected, request);
      });
      const first = await openStore(folder, { windowMs: 3_600_000 });
      const found = plain((await everything(first, folder)).contents);
      expectAll((await everything(first, folder)).contents, expected);
      await first.close(false);
      const second = await openStore(folder, { windowMs: 3_600_000 });
      expect(plain((await everything(second, folder)).contents)).toEqual(found);
      await second.close(false);
      rmSync(folder, { recursive: true });
    }
  });

  test('names segment and offset of damage in the middle of the log', async () => {
    const store = await openStore(root);
    for (let i = 0; i < 50; i++) await append(store, [series(1, [T0 + i])]).durable;
    await store.close(false);
    const segment = join(root, 'log', 'wal', '00000000');
    const log = readFileSync(segment);
    log[200] = log[200]! ^ 0x40;
    writeFileSync(segment, log);
    await expect(openStore(root)).rejects.toMatchObject({
      kind: 'corruption',
      details: { segment: 0, offset: expect.any(Number) },
    });
    const damaged = makeStore(root);
    await damaged.open({ segment: 0, lastSegment: 0 }).catch((thrown: unknown) => {
      const { details } = thrown as { details: { offset: number } };
      expect(details.offset).toBeLessThanOrEqual(200);
      expect(details.offset).toBeGreaterThan(100);
    });
  });

  test('joins a series that the log knows under two refs', async () => {
    let store = await openStore(root);
    await append(store, [series(1, [T0])]).durable;
    await store.flush();
    await append(store, [series(1, [T0 + 1000])]).durable;
    await store.close(false);
    // As after a crash before the checkpoint: the first definition is still there.
    const earlier = join(root, 'log', 'wal');
    const names = readdirSync(earlier);
    expect(names.some((name) => name.startsWith('checkpoint'))).toBe(true);
    store = await openStore(root);
    await append(store, [series(1, [T0 + 2000])]).durable;
    expect(plain((await everything(store, root)).contents)).toEqual({
      '__name__=metric_1,i=1': [
        [T0, bitsOf(T0 % 100_000)],
        [T0 + 1000, bitsOf((T0 + 1000) % 100_000)],
        [T0 + 2000, bitsOf((T0 + 2000) % 100_000)],
      ],
    });
    await store.close(false);
  });
});
