import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock } from '../clock/index.js';
import { FloatHistogram, formatHistogram } from '../histogram/index.js';
import { SAMPLE_CODE, ScanKernel } from '../kernel/index.js';
import { bitsOf, snappy, type TestSeries, writeRequest } from '../kernel/testing/write-request.js';
import { SeededPrng } from '../prng/index.js';
import {
  type AppendReport,
  ArrayArena,
  type HistogramSample,
  type SeriesAdmission,
} from '../storage/index.js';
import { BlockQueryable, BlockReader } from '../tsdb/block/index.js';
import { HeadReader } from '../tsdb/head/index.js';
import {
  type AnyHistogram,
  decodeMixedSet,
  denseHistogram,
  HistogramWalk,
  keyOf,
  keyOfBits,
  mixedSamplesOf,
  STALE_BITS,
  selectMixed,
} from '../tsdb/head/testing/histogram-fixture.js';
import type { TenantStore } from './tenant-store.js';
import { copyAsItIs, copyFolder, makeStore, RANGE_MS } from './testing/store-fixture.js';

// Native histograms in a store on a real folder: restarts, crashes, cuts. What was acknowledged has to be found in the head
// or in the blocks, sample by sample.

const T0 = 1_699_999_200_000; // a block border
const NEVER = 8.64e15;
const scan = new ScanKernel();
const admission: SeriesAdmission = {
  seriesMax: 0,
  admit: (i) => scan.labelBytes(i),
  refusedByLimit: () => {},
};

let root = '';
const opened: TenantStore[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'varve-histograms-'));
});
afterEach(async () => {
  await Promise.allSettled(opened.splice(0).map((store) => store.close(false)));
  rmSync(root, { recursive: true, force: true });
});

async function openStore(folder: string, windowMs = 0, segmentBytesMax = 2 ** 22): Promise<TenantStore> {
  const store = makeStore(folder, { clock: new ManualClock(T0), windowMs, segmentBytesMax });
  opened.push(store);
  await store.open({ segment: 0, lastSegment: 0 });
  return store;
}

/** A sample of a series: bits of a float, or a histogram. */
interface Sent {
  readonly i: number;
  readonly timeMs: number;
  readonly sample: bigint | AnyHistogram;
}

const labels = (i: number): TestSeries['labels'] => [
  ['__name__', 'latency'],
  ['i', String(i)],
];

/** Sends one request: a series of it has floats, histograms, or both. */
function send(store: TenantStore, all: readonly Sent[], limits = admission, futureMs = NEVER): AppendReport {
  const places = [...new Set(all.map(({ i }) => i))];
  const series = places.map((i) => ({
    labels: labels(i),
    samples: all.flatMap((one) =>
      one.i === i && typeof one.sample === 'bigint' ? [{ timeMs: BigInt(one.timeMs), bits: one.sample }] : [],
    ),
  }));
  const histograms: HistogramSample[] = places.flatMap((i, seriesIndex) =>
    all.flatMap(({ i: of, timeMs, sample }) =>
      of === i && typeof sample !== 'bigint' ? [{ seriesIndex, timeMs, histogram: sample }] : [],
    ),
  );
  const body = snappy(writeRequest(series));
  scan.load([body], body.length, 2 ** 27);
  return store.append(scan, histograms, futureMs, limits);
}

type Contents = Map<string, Map<number, string>>;

/** What a store that has to keep all of these holds. */
function contentsOf(all: readonly Sent[]): Contents {
  const contents: Contents = new Map();
  for (const { i, timeMs, sample } of all) {
    const name = `__name__=latency,i=${i}`;
    const samples = contents.get(name) ?? new Map<number, string>();
    if (!samples.has(timeMs))
      samples.set(timeMs, typeof sample === 'bigint' ? keyOfBits(sample) : keyOf(sample));
    contents.set(name, samples);
  }
  return contents;
}

async function everything(store: TenantStore, folder: string): Promise<Contents> {
  const contents: Contents = new Map();
  const add = (name: string, samples: ReadonlyMap<number, string>) => {
    contents.set(name, new Map([...samples, ...(contents.get(name) ?? [])]));
  };
  for (const found of await selectMixed(new HeadReader(store.head.view.memory)))
    add(found.labels, mixedSamplesOf(found));
  for (const name of readdirSync(join(folder, 'blocks'))) {
    if (!existsSync(join(folder, 'blocks', name, 'meta.json'))) continue;
    const block = BlockReader.open(join(folder, 'blocks', name));
    const arena = new ArrayArena();
    const set = await new BlockQueryable(block).select([], { ...ALL_TIME, ...NO_HINTS }, arena);
    for (const found of decodeMixedSet(set, arena)) add(found.labels, mixedSamplesOf(found));
    block.close();
  }
  return contents;
}

const ALL_TIME = { minTimeMs: -9e15, maxTimeMs: 9e15 };
const NO_HINTS = { stepMs: 0, func: '', rangeMs: 0, withoutChunks: false, limit: 0 };

function sorted(contents: Contents): [string, [number, string][]][] {
  return [...contents]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, samples]) => [name, [...samples].sort(([a], [b]) => a - b)]);
}

/** Makes samples of a dozen series of all kinds; some change between them. */
class Load {
  readonly #prng: SeededPrng;
  readonly #walks: HistogramWalk[];

  constructor(seed: number) {
    this.#prng = new SeededPrng(seed);
    this.#walks = Array.from(
      { length: 12 },
      (_, i) =>
        new HistogramWalk(this.#prng, { isFloat: i % 2 === 0, isGauge: i % 3 === 0, isCustom: i % 4 === 0 }),
    );
  }

  at(timeMs: number): Sent[] {
    return this.#walks.map((walk, i) => {
      const isNumber = i >= 9 && Math.floor(timeMs / 1_500_000) % 2 === i % 2;
      const sample = isNumber ? bitsOf(this.#prng.nextInt(100)) : walk.next();
      return { i, timeMs: timeMs + i, sample };
    });
  }
}

describe('a store of histograms', () => {
  test('answers the same before a cut, after it, and after restarts, late samples included', async () => {
    let store = await openStore(root, 3_600_000);
    const load = new Load(1);
    const sent: Sent[] = [];
    const late: Sent[] = [];
    for (let minute = 0; minute < 360; minute++) {
      const all = load.at(T0 + minute * 60_000);
      const onTime = minute % 10 === 7 ? all.filter(({ i }) => i % 3 === 0) : all;
      late.push(...all.filter((one) => !onTime.includes(one)));
      const due = minute % 25 === 0 ? late.splice(0) : [];
      for (const request of [onTime, due]) {
        if (request.length === 0) continue;
        const { counts, histogramCounts, durable } = send(store, request);
        await durable;
        const taken =
          counts[SAMPLE_CODE.accepted]! +
          counts[SAMPLE_CODE.acceptedOutOfOrder]! +
          histogramCounts[SAMPLE_CODE.accepted]! +
          histogramCounts[SAMPLE_CODE.acceptedOutOfOrder]!;
        expect(taken).toBe(request.length);
        sent.push(...request);
      }
      if (minute % 97 === 96) {
        await store.cutDue(10 ** 9);
        expect(sorted(await everything(store, root))).toEqual(sorted(contentsOf(sent)));
      }
      if (minute % 140 === 139) {
        await store.close(false);
        store = await openStore(root, 3_600_000);
        expect(sorted(await everything(store, root))).toEqual(sorted(contentsOf(sent)));
      }
    }
    await store.flush();
    expect(store.head.kernel.seriesCount).toBe(0);
    expect(store.head.histograms.openCount).toBe(0);
    expect(sorted(await everything(store, root))).toEqual(sorted(contentsOf(sent)));
    await store.close(false);
    store = await openStore(root, 3_600_000);
    expect(store.head.kernel.seriesCount).toBe(0);
    expect(sorted(await everything(store, root))).toEqual(sorted(contentsOf(sent)));
  }, 60_000);

  test('loses nothing acknowledged when it crashes at any moment of a flush under load', async () => {
    const store = await openStore(root);
    const load = new Load(2);
    const acknowledged: Sent[] = [];
    let time = T0;
    const push = async () => {
      const all = load.at(time);
      time += 1000;
      await send(store, all).durable;
      acknowledged.push(...all);
    };
    for (let i = 0; i < 40; i++) await push();
    const copies: { folder: string; count: number }[] = [];
    const crash = () => {
      const folder = `${root}/crash-${copies.length}`;
      const count = acknowledged.length;
      copyAsItIs(root, folder);
      copies.push({ folder, count });
    };
    let flushing = true;
    const work = (async () => {
      for (let i = 0; i < 3; i++) await store.flush();
      flushing = false;
    })();
    for (let i = 0; flushing; i++) {
      await push();
      if (i % 7 === 0 && copies.length < 15) crash();
    }
    await work;
    await push();
    crash();
    expect(copies.length).toBeGreaterThan(2);
    for (const { folder, count } of copies) {
      const recovered = await openStore(folder);
      const found = await everything(recovered, folder);
      for (const [name, samples] of contentsOf(acknowledged.slice(0, count)))
        for (const [timeMs, key] of samples)
          expect([timeMs, found.get(name)?.get(timeMs)]).toEqual([timeMs, key]);
      await recovered.close(false);
    }
  }, 60_000);

  test('replays the same chunks from the same log, and takes a torn end for the end', async () => {
    const store = await openStore(root, 3_600_000);
    const load = new Load(3);
    const ends: number[] = [];
    const segment = join(store.walDirectory, '00000000');
    for (let k = 0; k < 40; k++) {
      await send(store, load.at(T0 + k * 60_000 - (k % 9 === 8 ? 1_000_000 : 0))).durable;
      ends.push(readFileSync(segment).length);
    }
    const chunks = async (from: TenantStore) =>
      (await selectMixed(new HeadReader(from.head.view.memory))).map((series) => ({
        name: series.labels,
        chunks: series.chunks.map(({ bytes }) => Buffer.from(bytes).toString('hex')),
      }));
    const original = await chunks(store);
    await store.close(false);
    const length = readFileSync(segment).length;
    const cuts = [length, ends[20]!, ...Array.from({ length: 20 }, (_, i) => Math.floor((length * i) / 20))];
    for (const cut of cuts) {
      const folder = join(root, `cut-${cut}`);
      copyFolder(join(root, 'log'), join(folder, 'log'));
      truncateSync(join(folder, 'log', 'wal', '00000000'), cut);
      const again = await openStore(folder, 3_600_000);
      const found = await chunks(again);
      if (cut === length) expect(found).toEqual(original);
      await again.close(false);
      const third = await openStore(folder, 3_600_000);
      expect(await chunks(third)).toEqual(found);
      await third.close(false);
      rmSync(folder, { recursive: true });
    }
  }, 60_000);

  test('keeps in a checkpoint what is not in blocks', async () => {
    let store = await openStore(root, 600_000, 2 ** 16);
    const load = new Load(4);
    const sent: Sent[] = [];
    for (let minute = 0; minute < 200; minute++) {
      const all = load.at(T0 + minute * 60_000);
      await send(store, all).durable;
      sent.push(...all);
    }
    expect((await store.cutDue(10 ** 9)).length).toBe(1);
    const names = readdirSync(store.walDirectory);
    expect(names.some((name) => name.startsWith('checkpoint.'))).toBe(true);
    await store.close(false);
    store = await openStore(root, 600_000);
    expect(store.head.kernel.minTimeMs).toBe(T0 + RANGE_MS);
    expect(sorted(await everything(store, root))).toEqual(sorted(contentsOf(sent)));
  });
});

describe('a request', () => {
  const codes = (counts: Uint32Array): Record<string, number> =>
    Object.fromEntries(
      Object.entries(SAMPLE_CODE).flatMap(([name, code]) =>
        counts[code]! > 0 ? [[name, counts[code]!]] : [],
      ),
    );

  test('is reported sample by sample, floats and histograms apart', async () => {
    const store = await openStore(root, 600_000);
    const h = (n: number) => denseHistogram(4, n);
    const at = (i: number, seconds: number, sample: bigint | AnyHistogram): Sent => ({
      i,
      timeMs: T0 + seconds * 1000,
      sample,
    });
    const first = send(store, [at(1, 0, h(1)), at(1, 60, h(2)), at(2, 0, bitsOf(1)), at(3, 0, h(3))]);
    expect([codes(first.counts), codes(first.histogramCounts)]).toEqual([{ accepted: 1 }, { accepted: 3 }]);
    expect(first.examples.size).toBe(0);
    const second = send(
      store,
      [
        at(1, 60, h(2)), // again
        at(1, 60, h(9)), // another value
        at(1, 60, denseHistogram(4, 2, true)), // the same in doubles
        at(1, 30, h(1)), // late
        at(1, 30, h(1)), // late, again
        at(1, 30, h(2)), // late, another value
        at(1, -1000, h(1)), // too late
        at(1, 1000, h(9)), // from the future
        at(2, 0, h(1)), // where a float is
        at(3, 0, bitsOf(1)), // where a histogram is
        at(4, 50, h(1)), // of a series that is refused
        at(4, 50, bitsOf(7)),
      ],
      { ...admission, admit: () => null },
      T0 + 500_000,
    );
    expect(codes(second.counts)).toEqual({ newValue: 1, seriesRefused: 1 });
    expect(codes(second.histogramCounts)).toEqual({
      acceptedOutOfOrder: 1,
      duplicate: 2,
      newValue: 4,
      tooOld: 1,
      future: 1,
      seriesRefused: 1,
    });
    expect(second.examples.get(SAMPLE_CODE.newValue)).toEqual({ seriesIndex: 2, timeMs: T0, value: 1 });
    expect(second.examples.get(SAMPLE_CODE.tooOld)).toMatchObject({
      seriesIndex: 0,
      timeMs: T0 - 1_000_000,
      histogram: h(1),
    });
    await second.durable;
  });

  test('turns stale markers for series of histograms into histograms', async () => {
    let store = await openStore(root);
    const sent: Sent[] = [0, 1, 2, 3].map((i) => ({
      i,
      timeMs: T0,
      sample: i === 0 ? bitsOf(1) : denseHistogram(5, 3, i === 2),
    }));
    send(store, sent);
    const stale = [0, 1, 2, 3].map((i) => ({ i, timeMs: T0 + 1000, sample: STALE_BITS }));
    expect(codes(send(store, stale).counts)).toEqual({ accepted: 4 });
    expect(codes(send(store, stale).counts)).toEqual({ duplicate: 4 });
    const early = send(store, [{ i: 1, timeMs: T0 - 1000, sample: STALE_BITS }]);
    expect(codes(early.counts)).toEqual({ outOfOrder: 1 });
    const expected = ['number 7ff0000000000002', 'integer stale', 'float stale', 'integer stale'];
    for (let round = 0; round < 2; round++) {
      const found = await everything(store, root);
      expect(expected.map((_, i) => found.get(`__name__=latency,i=${i}`)!.get(T0 + 1000))).toEqual(expected);
      // The second time after a restart.
      await store.close(false);
      store = await openStore(root);
    }
  });

  test('turns late stale markers into histograms, too', async () => {
    const store = await openStore(root, 600_000);
    send(store, [{ i: 1, timeMs: T0, sample: denseHistogram(5, 3) }]);
    const late = { i: 1, timeMs: T0 - 1000, sample: STALE_BITS };
    expect(codes(send(store, [late]).counts)).toEqual({ acceptedOutOfOrder: 1 });
    expect(codes(send(store, [late]).counts)).toEqual({ duplicate: 1 });
    const found = await everything(store, root);
    expect(found.get('__name__=latency,i=1')!.get(T0 - 1000)).toBe('integer stale');
  });
});

const peers = process.env['PEERS_DIR'] ?? join(homedir(), 'peers');
const tool = [process.env['PROMTOOL_BIN'] ?? '', join(peers, 'bin/promtool')].find(
  (path) => path !== '' && existsSync(path),
);
if (tool === undefined)
  process.stderr.write('SKIPPED: no promtool (set PROMTOOL_BIN); stores of histograms not shown to it\n');

(tool === undefined ? describe.skip : describe)('promtool', () => {
  const run = (...parameters: string[]) => {
    const result = spawnSync(tool ?? '', ['tsdb', ...parameters], { encoding: 'utf8', maxBuffer: 1 << 26 });
    expect({ status: result.status, stderr: result.stderr.includes('rror') ? result.stderr : '' }).toEqual({
      status: 0,
      stderr: '',
    });
    return result.stdout.trim().split('\n').sort();
  };
  const line = ({ i, timeMs, sample }: Sent): string => {
    const text =
      typeof sample === 'bigint'
        ? String(new Float64Array(BigUint64Array.of(sample).buffer)[0])
        : formatHistogram(sample instanceof FloatHistogram ? sample : sample.toFloat());
    return `{__name__="latency", i="${i}"} ${text} ${timeMs}`;
  };

  test('reads the log and the blocks of a store', async () => {
    const store = await openStore(root);
    const load = new Load(5);
    const sent: Sent[] = [];
    for (let minute = 0; minute < 150; minute++) {
      const all = load.at(T0 + minute * 60_000);
      await send(store, all).durable;
      sent.push(...all);
    }
    const server = join(root, 'server');
    mkdirSync(server);
    copyFolder(store.walDirectory, join(server, 'wal'));
    // It prints the floats of a series, then float histograms, then histograms, and loses the sample at which it goes on to
    // the next: some of the first are missing, and all of a series that changes behind the change.
    const expected = sent.map(line).sort();
    const missing = (found: readonly string[]) => {
      const known = new Set(found);
      expect(found.filter((one) => !expected.includes(one)).slice(0, 3)).toEqual([]);
      return sent.filter((one) => !known.has(line(one)));
    };
    const fromLog = missing(run('dump', '--sandbox-dir-root', server, server));
    expect(fromLog.filter(({ i, timeMs }) => i < 9 && timeMs >= T0 + 180_000)).toEqual([]);
    expect(fromLog.length).toBeLessThan(sent.length / 4);
    await store.flush();
    const flushed = join(root, 'flushed');
    copyFolder(join(root, 'blocks'), flushed);
    mkdirSync(join(flushed, 'wal'));
    const blocks = readdirSync(join(root, 'blocks'));
    expect(blocks.length).toBe(2);
    const fromBlocks = missing(run('dump', '--sandbox-dir-root', flushed, flushed));
    expect(fromBlocks).toEqual(fromLog);
    const list = run('list', flushed).join('\n');
    for (const block of blocks) {
      expect(list).toContain(block);
      expect(run('analyze', flushed, block).join('\n')).toContain(`Block ID: ${block}`);
    }
  });
});
