import { describe, expect, test } from '@jest/globals';
import { SAMPLE_CODE } from '../../kernel/index.js';
import { bitsOf } from '../../kernel/testing/write-request.js';
import { SeededPrng } from '../../prng/index.js';
import { CHUNK_ENCODING } from '../../storage/index.js';
import { decodeHistogramSamples, HistogramAppender } from '../chunk/index.js';
import { Head } from './head.js';
import { HeadReader } from './head-reader.js';
import { append, HEAD_OPTIONS } from './testing/head-fixture.js';
import {
  type AnyHistogram,
  denseHistogram,
  HistogramWalk,
  keyOf,
  keyOfBits,
  type MixedChunk,
  mixedSamplesOf,
  refOf,
  STALE_BITS,
  selectMixed,
} from './testing/histogram-fixture.js';

const T0 = 1_699_999_200_000; // a block border
const RANGE = HEAD_OPTIONS.chunkRangeMs;
const NEVER = 8.64e15;
const labels = (i: number): [string, string][] => [
  ['__name__', 'h'],
  ['i', String(i)],
];

/** Appends a float; a stale marker that turns out to be one of a histogram is appended as the ingester does. */
function appendFloat(head: Head, i: number, timeMs: number, bits: bigint): number {
  const { counts } = append(head.kernel, [
    { labels: labels(i), samples: [{ timeMs: BigInt(timeMs), bits }] },
  ]);
  const [stale] = head.kernel.takeStaleMarkers();
  if (stale !== undefined) {
    const ref = head.kernel.refAt(stale.seriesIndex);
    expect(head.kernel.sampleAt(stale.sample).timeMs).toBe(timeMs);
    return head.histograms.append(ref, timeMs, head.histograms.staleMarker(ref), NEVER);
  }
  return counts.findIndex((count) => count > 0);
}

function appendHistogram(head: Head, i: number, timeMs: number, histogram: AnyHistogram): number {
  const ref = refOf(head, labels(i));
  append(head.kernel, []); // Begins a request.
  return head.histograms.append(ref, timeMs, histogram, NEVER);
}

async function dropEverything(head: Head, timeMs = NEVER): Promise<number> {
  await head.mark(timeMs);
  await head.drained();
  return head.dropMarked();
}

/** What a head has to make of samples, whatever they are. */
class Model {
  readonly #windowMs: number;
  #maxTime = Number.NEGATIVE_INFINITY;
  readonly series = new Map<
    number,
    { last: number; lastKey: string; samples: Map<number, Set<string>>; late: Map<number, Set<string>> }
  >();

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Outcomes that are right. */
  append(i: number, timeMs: number, key: string): number[] {
    const empty = { last: Number.NEGATIVE_INFINITY, lastKey: '', samples: new Map(), late: new Map() };
    const series = this.series.get(i) ?? empty;
    this.series.set(i, series);
    const isStale = key === keyOfBits(STALE_BITS);
    const kind = series.lastKey.split(' ')[0]!;
    const became = isStale && (kind === 'integer' || kind === 'float') ? `${kind} stale` : key;
    const max = this.#maxTime;
    if (timeMs > series.last && (max === Number.NEGATIVE_INFINITY || timeMs >= max - RANGE / 2)) {
      series.last = timeMs;
      series.lastKey = became;
      this.#maxTime = Math.max(max, timeMs);
      note(series.samples, timeMs, became);
      return [SAMPLE_CODE.accepted];
    }
    if (timeMs === series.last)
      return [became === series.lastKey ? SAMPLE_CODE.duplicate : SAMPLE_CODE.newValue];
    if (this.#windowMs > 0) {
      if (timeMs < max - this.#windowMs) return [SAMPLE_CODE.tooOld];
      const known = series.late.get(timeMs);
      note(series.samples, timeMs, became);
      note(series.late, timeMs, became);
      if (known === undefined) return [SAMPLE_CODE.acceptedOutOfOrder];
      // Late samples are compared with some of the others only.
      return [SAMPLE_CODE.acceptedOutOfOrder, SAMPLE_CODE.newValue, SAMPLE_CODE.duplicate];
    }
    return [timeMs < max - RANGE / 2 ? SAMPLE_CODE.outOfBounds : SAMPLE_CODE.outOfOrder];
  }
}

function note(samples: Map<number, Set<string>>, timeMs: number, key: string): void {
  const known = samples.get(timeMs);
  if (known === undefined) samples.set(timeMs, new Set([key]));
  else known.add(key);
}

/** Whether a chunk is what an appender makes of its samples. */
function expectWellMade({ encoding, bytes }: MixedChunk): void {
  if (encoding === CHUNK_ENCODING.xor) return;
  const { sampleCount, timestamps, at } = decodeHistogramSamples(encoding, bytes);
  const isFloat = encoding === CHUNK_ENCODING.floatHistogram;
  const appender: HistogramAppender<AnyHistogram> = isFloat
    ? HistogramAppender.floats()
    : HistogramAppender.integers();
  for (let k = 0; k < sampleCount; k++) expect(appender.append(timestamps[k]!, at(k))).toBeNull();
  const again = appender.chunk()!;
  // What the header says was found out from the chunk before.
  again[2] = bytes[2]!;
  expect(Buffer.from(again)).toEqual(Buffer.from(bytes));
}

describe.each([0, 1_800_000])('histograms and floats in a head with a window of %d ms', (windowMs) => {
  test.each([1, 2, 3, 4, 5, 6])('are taken and refused as the model does, seed %d', async (seed) => {
    const prng = new SeededPrng(seed);
    const head = new Head({ ...HEAD_OPTIONS, outOfOrderWindowMs: windowMs });
    const reader = new HeadReader(head.kernel.memory);
    const model = new Model(windowMs);
    const walks = Array.from({ length: 4 }, (_, i) => [
      new HistogramWalk(prng, { isGauge: i === 2, isCustom: i === 3 }),
      new HistogramWalk(prng, { isFloat: true, isGauge: i === 2, isCustom: i === 3 }),
    ]);
    const newest = [T0, T0, T0, T0];
    const kinds = [0, 0, 0, 0];
    const last: (AnyHistogram | bigint)[] = [0n, 0n, 0n, 0n];
    for (let n = 0; n < 1500; n++) {
      const i = prng.nextInt(4);
      const dice = prng.nextInt(20);
      const step =
        dice < 15 ? 15_000 : dice === 15 ? 0 : dice === 16 ? 90_000 : -prng.nextInt(dice === 17 ? 5e6 : 9e5);
      const timeMs = newest[i]! + step;
      newest[i] = Math.max(newest[i]!, timeMs);
      // Series stay with one kind of sample for a while.
      if (prng.nextInt(40) === 0) kinds[i] = prng.nextInt(3);
      const isRepeated = step === 0 && prng.nextInt(2) === 0;
      const sample = isRepeated
        ? last[i]!
        : prng.nextInt(25) === 0
          ? STALE_BITS
          : kinds[i] === 2
            ? bitsOf(prng.nextInt(9))
            : walks[i]![kinds[i]!]!.next();
      if (step > 0) last[i] = sample;
      const isFloat = typeof sample === 'bigint';
      const code = isFloat ? appendFloat(head, i, timeMs, sample) : appendHistogram(head, i, timeMs, sample);
      const allowed = model.append(i, timeMs, isFloat ? keyOfBits(sample) : keyOf(sample));
      expect(allowed).toContain(code);
      if (n % 100 === 99) head.histograms.dropIdle(prng.nextInt(2) === 0 ? 0 : 9e15, Infinity);
    }
    const found = await selectMixed(reader);
    for (const [i, { samples, last: lastMs }] of model.series) {
      if (samples.size === 0) continue;
      const series = found.find((one) => one.labels === `__name__=h,i=${i}`)!;
      const merged = mixedSamplesOf(series);
      expect([...merged.keys()]).toEqual([...samples.keys()].sort((a, b) => a - b));
      for (const [time, key] of merged) expect([...samples.get(time)!]).toContain(key);
      for (const chunk of series.chunks) expectWellMade(chunk);
      if (windowMs > 0) continue;
      const [only] = (await selectMixed(reader, lastMs - 300_000, lastMs, true)).filter(
        (one) => one.labels === series.labels,
      );
      expect([...mixedSamplesOf(only!)].at(-1)).toEqual([...merged].at(-1));
    }
    expect(await dropEverything(head)).toBe(head.kernel.removedSeries);
    expect(head.kernel.seriesCount).toBe(0);
    expect(head.histograms.openCount).toBe(0);
  });
});

describe('a series of histograms', () => {
  test('gives its memory back when it leaves the head', async () => {
    const head = new Head({ ...HEAD_OPTIONS, outOfOrderWindowMs: 3_600_000 });
    const prng = new SeededPrng(7);
    const round = async (base: number) => {
      for (let i = 0; i < 20; i++) {
        const walk = new HistogramWalk(prng, { isFloat: i % 2 === 0, bucketsMax: 40 });
        for (let k = 0; k < 300; k++) appendHistogram(head, i, base + k * 15_000, walk.next());
        for (let k = 0; k < 20; k++) appendHistogram(head, i, base + 4_400_000 - k * 20_001, walk.next());
      }
      head.kernel.takeBatch(false);
      await dropEverything(head);
      return head.kernel.usedBytes;
    };
    const first = await round(T0);
    for (let n = 1; n < 4; n++) expect(await round(T0 + n * 2 * RANGE)).toBe(first);
  });

  test('goes on in the same chunk after it was idle, byte for byte', async () => {
    for (let n = 0; n < 8; n++) {
      const head = new Head(HEAD_OPTIONS);
      const shape = { isFloat: n % 2 === 0, isGauge: n % 4 > 1, isCustom: n > 3 };
      const walk = new HistogramWalk(new SeededPrng(n), shape);
      const appender: HistogramAppender<AnyHistogram> = shape.isFloat
        ? HistogramAppender.floats()
        : HistogramAppender.integers();
      const expected: (Uint8Array | null)[] = [];
      for (let k = 0; k < 9; k++) {
        const histogram = walk.next();
        appendHistogram(head, 0, T0 + k * 15_000, histogram);
        expected.push(appender.append(T0 + k * 15_000, histogram));
        expect(head.histograms.openCount).toBe(1);
        head.histograms.dropIdle(NEVER, Number.POSITIVE_INFINITY);
        expect(head.histograms.openCount).toBe(0);
      }
      expected.push(appender.cut());
      const [series] = await selectMixed(new HeadReader(head.kernel.memory));
      expect(series!.chunks.map(({ bytes }) => Buffer.from(bytes))).toEqual(
        expected.filter((chunk) => chunk !== null).map((chunk) => Buffer.from(chunk)),
      );
    }
  });

  test('is cut at a kilobyte or two, evenly, with ten samples at least, and at block borders', async () => {
    const head = new Head(HEAD_OPTIONS);
    const start = T0 + RANGE / 2;
    refOf(head, labels(0));
    // Ten of these take more than a chunk should.
    for (let k = 0; k < 40; k++)
      appendHistogram(head, 1, start + k * 15_000, denseHistogram(100, k ** 6 + 1, true));
    for (let k = 0; k < 480; k++) appendHistogram(head, 0, start + k * 15_000, denseHistogram(20, k + 1));
    const [small, large] = await selectMixed(new HeadReader(head.kernel.memory));
    const border = T0 + RANGE;
    for (const { chunks } of [small!, large!]) {
      for (const { times } of chunks) expect(times[0]! < border && times.at(-1)! >= border).toBe(false);
    }
    const lengths = small!.chunks.map(({ bytes }) => bytes.length);
    expect(Math.max(...lengths)).toBeLessThan(2048);
    const counts = small!.chunks.slice(0, -1).map(({ times }) => times.length);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThan(Math.max(...counts) / 2);
    expect(large!.chunks.map(({ times }) => times.length)).toEqual([10, 10, 10, 10]);
    expect(head.kernel.chunksMade).toBe(small!.chunks.length + large!.chunks.length);
    expect(head.kernel.maxTimeMs).toBe(start + 479 * 15_000);
    expect(head.kernel.minTimeMs).toBe(start);
  });

  test('takes histograms of thousands of buckets', async () => {
    const head = new Head(HEAD_OPTIONS);
    const reader = new HeadReader(head.kernel.memory);
    const sent = Array.from({ length: 15 }, (_, k) => denseHistogram(20_000, k * 1000 + 1, true));
    for (const [k, histogram] of sent.entries()) appendHistogram(head, 0, T0 + k * 15_000, histogram);
    const [series] = await selectMixed(reader);
    expect(series!.chunks[0]!.bytes.length).toBeGreaterThan(65_536);
    expect([...mixedSamplesOf(series!).values()]).toEqual(sent.map(keyOf));
    await dropEverything(head);
  });

  test('is as it was when a head without room refused a sample', async () => {
    const head = new Head({ ...HEAD_OPTIONS, memoryBytesMax: 8 * 2 ** 20 });
    const reader = new HeadReader(head.kernel.memory);
    const sent: string[] = [];
    const walk = (k: number) => denseHistogram(2000, (k * 7919) ** 2 + 1, true);
    const ref = head.kernel.create(Uint8Array.of(0x0a, 6, 0x0a, 1, 0x61, 0x12, 1, 0x62));
    for (let k = 0; k < 1000; k++) {
      try {
        head.histograms.append(ref, T0 + k * 1000, walk(k), NEVER);
      } catch (thrown) {
        expect(thrown).toMatchObject({ kind: 'unavailable', code: 'head-memory-full' });
        break;
      }
      sent.push(keyOf(walk(k)));
    }
    expect(sent.length).toBeGreaterThan(20);
    expect(sent.length).toBeLessThan(1000);
    expect([...mixedSamplesOf((await selectMixed(reader))[0]!).values()]).toEqual(sent);
    const next = T0 + sent.length * 1000;
    expect(head.histograms.append(ref, next - 1000, walk(sent.length - 1), NEVER)).toBe(
      SAMPLE_CODE.duplicate,
    );
    await dropEverything(head, next - 10_000);
    expect(head.histograms.append(ref, next, walk(sent.length), NEVER)).toBe(SAMPLE_CODE.accepted);
  });
});
