import { describe, expect, test } from '@jest/globals';
import {
  type FloatHistogram,
  HistogramLayout,
  IntegerHistogram,
  NO_SPANS,
  parseHistogramNotation,
  RESET_HINT,
  spansOf,
} from '../../histogram/index.js';
import { QueryKernel } from '../../kernel/index.js';
import { labelsFromObject } from '../../labels/index.js';
import { createMatcher } from '../../matcher/index.js';
import { CHUNK_ENCODING } from '../../storage/index.js';
import { addStartTimes, encodeXor2, HistogramAppender } from '../../tsdb/chunk/index.js';
import { encodeChunks, MemoryQueryable, type TestChunk } from '../testing/index.js';
import { Annotations } from './annotations.js';
import { QueryContext } from './context.js';
import { BESIDE_FLOATS, type LoadedSet, loadSet } from './loaded-set.js';
import { SAMPLE, SampleReader, type SeriesSamples, sampleWeight } from './series-samples.js';
import { SymbolSpace } from './symbol-space.js';

const { unknown, reset, notReset, gauge } = RESET_HINT;

function h(count: number, hint = ''): FloatHistogram {
  const suffix = hint === '' ? '' : ` counter_reset_hint:${hint}`;
  return parseHistogramNotation(`{{count:${count} sum:${count} buckets:[${count}]${suffix}}}`)!;
}

/** Chunks of histograms at the given times. */
function chunksOf(...samples: readonly (readonly [number, FloatHistogram])[]): TestChunk[] {
  const appender = HistogramAppender.floats();
  const chunks: TestChunk[] = [];
  let first = samples[0]![0];
  let last = first;
  const push = (bytes: Uint8Array | null): void => {
    if (bytes === null) return;
    chunks.push({ bytes, minTimeMs: first, maxTimeMs: last, encoding: CHUNK_ENCODING.floatHistogram });
  };
  for (const [time, histogram] of samples) {
    push(appender.append(time, histogram));
    if (appender.sampleCount === 1) first = time;
    last = time;
  }
  push(appender.cut());
  return chunks;
}

function floats(...samples: readonly (readonly [number, number])[]): TestChunk[] {
  return encodeChunks(
    Float64Array.from(samples, ([t]) => t),
    Float64Array.from(samples, ([, v]) => v),
  );
}

async function load(
  chunks: readonly TestChunk[],
  startTimestamps = false,
  minTimeMs = 0,
  maxTimeMs = 1_000_000,
): Promise<{ context: QueryContext; loaded: LoadedSet }> {
  const storage = new MemoryQueryable();
  storage.appendChunks(labelsFromObject({ __name__: 'm' }), chunks);
  const kernel = new QueryKernel(1 << 24);
  const hints = {
    minTimeMs,
    maxTimeMs,
    stepMs: 0,
    func: '',
    rangeMs: 0,
    withoutChunks: false,
    limit: 0,
  };
  const matchers = [createMatcher('=', '__name__', 'm')];
  const set = await storage.select(matchers, hints, kernel);
  const features = { delayedNameRemoval: false, typeAndUnitLabels: false, startTimestamps };
  const limits = { samplesMax: 1e6, isCancelled: () => false, deadlineMs: Infinity };
  const context = new QueryContext(kernel, new SymbolSpace(), new Annotations(''), features, limits);
  return { context, loaded: loadSet(context, { index: 0, matchers, hints, pos: { start: 0, end: 0 } }, set) };
}

async function read(chunks: readonly TestChunk[], isStatistics = false): Promise<SeriesSamples> {
  const { context, loaded } = await load(chunks);
  return new SampleReader(context, loaded, isStatistics).read(0);
}

function show({ times, values, histograms, kinds }: SeriesSamples): unknown[] {
  return Array.from(times, (t, i) => {
    if (kinds[i] === SAMPLE.stale) return [t, 'stale'];
    const histogram = histograms[i]!;
    return histogram === null ? [t, values[i]!] : [t, histogram.count, histogram.hint];
  });
}

describe('a loaded set', () => {
  test('of plain floats needs no other reader', async () => {
    expect((await load(floats([1, 1], [2, 2]))).loaded.beside).toBeNull();
  });

  test('says which series hold more, within the hinted times only', async () => {
    const chunks = [...floats([1, 1]), ...chunksOf([1000, h(1)])];
    expect((await load(chunks)).loaded.beside).toEqual(Uint8Array.of(BESIDE_FLOATS.histograms));
    expect((await load(chunks, false, 0, 999)).loaded.beside).toBeNull();
  });

  test('says which series have start times, if those matter', async () => {
    const times = Float64Array.of(5, 6);
    const bytes = encodeXor2(times, Float64Array.of(1, 2), Float64Array.of(1, 1));
    const chunk = { bytes, minTimeMs: 5, maxTimeMs: 6, encoding: CHUNK_ENCODING.xor2 };
    expect((await load([chunk])).loaded.beside).toBeNull();
    const { loaded } = await load([chunk], true);
    expect(loaded.beside).toEqual(Uint8Array.of(BESIDE_FLOATS.startTimes));
    expect(loaded.hasHistograms).toBe(false);
  });

  test('of an unknown encoding is corrupt', async () => {
    const chunk = { bytes: new Uint8Array(3), minTimeMs: 5, maxTimeMs: 6, encoding: 9 };
    await expect(load([chunk])).rejects.toMatchObject({ kind: 'corruption', code: 'chunk-encoding' });
  });
});

describe('samples of a series', () => {
  test('are floats and histograms in the order of time', async () => {
    const chunks = [...floats([1, 1], [2, 2]), ...chunksOf([3, h(3)], [4, h(4)]), ...floats([5, 5])];
    expect(show(await read(chunks))).toEqual([
      [1, 1],
      [2, 2],
      [3, 3, unknown],
      [4, 4, notReset],
      [5, 5],
    ]);
  });

  test('of overlapping chunks are merged: the earlier chunk wins, hints about others are dropped', async () => {
    const chunks = [
      ...chunksOf([1, h(1)], [3, h(3)], [5, h(5)], [6, h(6)]),
      ...chunksOf([2, h(20, 'gauge')], [3, h(30, 'gauge')], [4, h(40, 'gauge')]),
      ...floats([5, 50], [7, 7]),
    ];
    expect(show(await read(chunks))).toEqual([
      [1, 1, unknown],
      [2, 20, gauge],
      [3, 3, unknown],
      [4, 40, gauge],
      [5, 5, unknown],
      [6, 6, notReset],
      [7, 7],
    ]);
  });

  test('include stale markers of both kinds, which can be left out', async () => {
    const stale = new Float64Array(Uint32Array.of(2, 0x7ff00000).buffer);
    const values = new Float64Array(3);
    values.set(stale, 2);
    const staleHistogram = h(0);
    staleHistogram.values.set(stale, 2);
    const { context, loaded } = await load([
      ...encodeChunks(Float64Array.of(1, 2, 3), values),
      ...chunksOf([4, h(4)], [5, staleHistogram], [6, h(6)]),
    ]);
    const reader = new SampleReader(context, loaded, false);
    expect(show(reader.read(0))).toEqual([
      [1, 0],
      [2, 0],
      [3, 'stale'],
      [4, 4, unknown],
      [5, 'stale'],
      [6, 6, unknown],
    ]);
    expect(show(reader.readLive(0))).toEqual([
      [1, 0],
      [2, 0],
      [4, 4, unknown],
      [6, 6, unknown],
    ]);
  });

  test('outside of the hinted times are left out', async () => {
    const chunks = chunksOf([1, h(1)], [2, h(2)], [3, h(3)], [4, h(4)]);
    const { context, loaded } = await load(chunks, false, 2, 3);
    expect(show(new SampleReader(context, loaded, false).read(0))).toEqual([
      [2, 2, notReset],
      [3, 3, notReset],
    ]);
  });

  test('read for statistics know whether they were reset', async () => {
    const chunks = [
      ...chunksOf([1, h(5)], [2, h(6)], [3, h(1)], [4, h(2)]),
      ...chunksOf([5, h(2)]),
      ...chunksOf([6, h(9, 'gauge')]),
    ];
    expect(show(await read(chunks, true)).map((sample) => (sample as number[])[2])).toEqual([
      unknown,
      notReset,
      reset,
      notReset,
      notReset,
      gauge,
    ]);
  });

  test('have start times where any chunk has', async () => {
    const [plain] = chunksOf([10, h(1)], [20, h(2)]);
    const { encoding, data } = addStartTimes(plain!.encoding, plain!.bytes, Float64Array.of(0, 7));
    const times = Float64Array.of(30);
    const xor2 = encodeXor2(times, Float64Array.of(3), Float64Array.of(25));
    const samples = await read([
      { bytes: data, minTimeMs: 10, maxTimeMs: 20, encoding },
      { bytes: xor2, minTimeMs: 30, maxTimeMs: 30, encoding: CHUNK_ENCODING.xor2 },
      ...floats([40, 4]),
    ]);
    expect(show(samples).map((sample) => (sample as number[])[1])).toEqual([1, 2, 3, 4]);
    expect(samples.starts).toEqual(Float64Array.of(0, 7, 25, 0));
    expect((await read(floats([1, 1]))).starts).toBeNull();
  });

  test('may be integer histograms', async () => {
    const layout = new HistogramLayout(0, 0, spansOf([0, 2]), NO_SPANS);
    const integers = { layout, count: 5n, zeroCount: 0n, sum: 2.5, negativeDeltas: [] };
    const appender = HistogramAppender.integers();
    appender.append(7, IntegerHistogram.of({ ...integers, positiveDeltas: [2n, 1n] }));
    const bytes = appender.cut()!;
    const { histogram } = CHUNK_ENCODING;
    const samples = await read([{ bytes, minTimeMs: 7, maxTimeMs: 7, encoding: histogram }]);
    expect([...samples.histograms[0]!.values]).toEqual([5, 0, 2.5, 2, 3]);
  });

  test('cut short are corrupt', async () => {
    const [chunk] = chunksOf([1, h(1)], [2, h(2)]);
    const short = { ...chunk!, bytes: chunk!.bytes.slice(0, 20) };
    await expect(read([short])).rejects.toMatchObject({ kind: 'corruption' });
  });
});

describe('the weight of a histogram', () => {
  test.each([
    ['{{}}', 11],
    ['{{buckets:[1]}}', 12],
    ['{{buckets:[1 2 3] n_buckets:[1]}}', 14],
    ['{{schema:-53 custom_values:[1 2] buckets:[1 2 3]}}', 14],
  ])('of %s is %i floats', (text, weight) => {
    expect(sampleWeight(parseHistogramNotation(text)!)).toBe(weight);
  });
});
