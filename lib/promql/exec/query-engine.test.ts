import { beforeEach, describe, expect, test } from '@jest/globals';
import { equalHistograms, parseHistogramNotation } from '../../histogram/index.js';
import { labelsFromObject } from '../../labels/index.js';
import type { Matcher } from '../../matcher/index.js';
import type { ChunkArena, SelectHints, SeriesSet } from '../../storage/index.js';
import { encodePoints, MemoryQueryable, type Point } from '../testing/index.js';
import {
  createQueryEngine,
  type EngineOptions,
  type QueryRequest,
  type QueryResult,
  type QueryValue,
} from './index.js';

const OPTIONS: EngineOptions = {
  lookbackMs: 300_000,
  evaluationIntervalMs: 60_000,
  samplesMax: 1_000_000,
  memoryBytesMax: 64 * 1024 * 1024,
  parser: {
    experimentalFunctions: true,
    extendedRangeSelectors: true,
    binopFillModifiers: true,
    durationExpressions: true,
  },
};

class CountingQueryable extends MemoryQueryable {
  readonly hints: SelectHints[] = [];

  override select(matchers: readonly Matcher[], hints: SelectHints, arena: ChunkArena): Promise<SeriesSet> {
    this.hints.push(hints);
    return super.select(matchers, hints, arena);
  }
}

let storage: CountingQueryable;

function append(name: string, labels: Record<string, string>, samples: [number, number][]): void {
  storage.append(
    labelsFromObject({ ...labels, __name__: name }),
    Float64Array.from(samples, ([t]) => t),
    Float64Array.from(samples, ([, v]) => v),
  );
}

function request(query: string, startMs: number, endMs = startMs, stepMs = 0, limit = 0): QueryRequest {
  return { query, startMs, endMs, stepMs, lookbackMs: 0, limit };
}

function run(what: QueryRequest, options: Partial<EngineOptions> = {}): Promise<QueryResult> {
  return createQueryEngine({ ...OPTIONS, ...options }).execute(what, storage, () => false, Infinity);
}

/** Series of a vector or matrix as `labels -> values`, null where absent. */
function shape(result: QueryResult): Record<string, (number | null)[]> {
  const { value } = result;
  if (value.type !== 'vector' && value.type !== 'matrix') throw new Error(value.type);
  return Object.fromEntries(
    value.series.map((series) => [
      series.labels.map((label) => `${label.name}=${label.value}`).join(),
      Array.from(series.values, (x, k) => (series.present[k] === 0 ? null : x)),
    ]),
  );
}

beforeEach(() => {
  storage = new CountingQueryable();
});

describe('chunks', () => {
  test('overlapping chunks are merged and the earlier chunk wins a tie', async () => {
    append('m_total', {}, [
      [1000, 1],
      [3000, 3],
      [5000, 5],
    ]);
    append('m_total', {}, [
      [2000, 2],
      [3000, 99],
      [4000, 4],
    ]);
    const result = await run(request('m_total[10s]', 10_000));
    expect(result.value).toMatchObject({
      series: [
        {
          timestampsMs: Float64Array.of(1000, 2000, 3000, 4000, 5000),
          values: Float64Array.of(1, 2, 3, 4, 5),
        },
      ],
    });
    expect(shape(await run(request('m_total', 3000)))).toEqual({ '__name__=m_total': [3] });
    expect(shape(await run(request('m_total', 4500)))).toEqual({ '__name__=m_total': [4] });
  });

  test('a stale marker ends an instant vector and is invisible to ranges', async () => {
    // Bits, not a number: numbers lose NaN payloads.
    const values = new Float64Array(3);
    values.set([1, 0, 4]);
    new Uint32Array(values.buffer).set([2, 0x7ff00000], 2);
    storage.append(labelsFromObject({ __name__: 'm' }), Float64Array.of(1000, 2000, 4000), values);
    expect(shape(await run(request('m', 0, 5000, 1000)))).toEqual({
      '__name__=m': [null, 1, null, null, 4, 4],
    });
    expect(shape(await run(request('count_over_time(m[10s])', 5000)))).toEqual({ '': [2] });
  });

  test('native histograms stand beside floats', async () => {
    const histogram = parseHistogramNotation('{{schema:1 count:3 sum:5 buckets:[1 2]}}')!;
    const points: Point[] = [
      { kind: 'float', value: 7 },
      { kind: 'histogram', histogram, hasHint: false },
      { kind: 'none' },
      { kind: 'stale' },
    ];
    storage.appendChunks(labelsFromObject({ __name__: 'h' }), encodePoints(points, 1000));
    const result = await run(request('h', 0, 4000, 1000));
    const value = result.value as Extract<QueryValue, { type: 'matrix' }>;
    expect(value.series).toHaveLength(1);
    const { present, values, histograms } = value.series[0]!;
    expect([...present]).toEqual([1, 2, 2, 0, 0]);
    expect(values[0]).toBe(7);
    expect(histograms?.map((h) => h !== null && equalHistograms(h, histogram))).toEqual([
      false,
      true,
      true,
      false,
      false,
    ]);
    // Series without any are the same as ever.
    storage.append(labelsFromObject({ __name__: 'h', a: 'b' }), Float64Array.of(1000), Float64Array.of(4));
    const both = (await run(request('h', 1000))).value as Extract<QueryValue, { type: 'vector' }>;
    expect(both.series.map((series) => series.histograms?.length ?? 0)).toEqual([1, 0]);
  });
});

describe('limits on histograms', () => {
  const bucket = { kind: 'histogram', histogram: parseHistogramNotation('{{buckets:[1 2 3]}}')! } as const;
  const points: Point[] = Array.from({ length: 10 }, () => ({ ...bucket, hasHint: false }));

  test('a histogram counts as its size in floats', async () => {
    storage.appendChunks(labelsFromObject({ __name__: 'h' }), encodePoints(points, 1000));
    const limited = createQueryEngine({ ...OPTIONS, samplesMax: 100 });
    const execute = (query: string, endMs: number) =>
      limited.execute(request(query, 0, endMs, 1000), storage, () => false, Infinity);
    // 13 each.
    expect((await execute('h', 6000)).stats).toMatchObject({ totalQueryableSamples: 91, peakSamples: 91 });
    await expect(execute('h', 7000)).rejects.toMatchObject({ code: 'query-samples-limit' });
    expect((await execute('count_over_time(h[2s])', 9000)).stats.totalQueryableSamples).toBe(19 * 13);
  });
});

describe('samples of each step', () => {
  const at = (seconds: number, value: number): [number, number] => [seconds * 1000, value];

  beforeEach(() => {
    // At steps 0, 10, .. 50 s: m counts 0 1 2 2 1 0 with a lookback of 15 s.
    append('m', { i: '1' }, [at(5, 1), at(15, 2), at(20, 3)]);
    append('m', { i: '2' }, [at(12, 1), at(22, 2), at(30, 3)]);
    const bucket = parseHistogramNotation('{{buckets:[1 2 3]}}')!;
    const point = { kind: 'histogram', histogram: bucket, hasHint: false } as const;
    storage.appendChunks(
      labelsFromObject({ __name__: 'h' }),
      encodePoints([{ kind: 'none' }, point, point], 20_000),
    );
  });

  const ask = (query: string, endMs = 50_000): Promise<QueryResult> =>
    run({ ...request(query, 0, endMs, endMs === 0 ? 0 : 10_000), lookbackMs: 15_000, perStepStats: true });

  test.each<[string, readonly number[]]>([
    ['1', [0, 0, 0, 0, 0, 0]],
    ['m', [0, 1, 2, 2, 1, 0]],
    ['m offset 10s', [0, 0, 1, 2, 2, 1]],
    ['m @ 20', [2, 2, 2, 2, 2, 2]],
    ['m @ 20 + m', [2, 3, 4, 4, 3, 2]],
    ['m + m', [0, 2, 4, 4, 2, 0]],
    ['scalar(sum(m)) * scalar(sum(m))', [0, 2, 4, 4, 2, 0]],
    ['count_over_time(m[10s])', [0, 1, 3, 2, 0, 0]],
    ['count_over_time(m[10s] @ 20)', [3, 3, 3, 3, 3, 3]],
    ['max_over_time(m[20s:10s])', [0, 1, 3, 4, 3, 1]],
    ['max_over_time((m @ 20)[20s:10s])', [4, 4, 4, 4, 4, 4]],
    // Also what the result could do without.
    ['nothing + m', [0, 1, 2, 2, 1, 0]],
    ['topk(0, m)', [0, 1, 2, 2, 1, 0]],
    // A histogram weighs 13, but no more than a number where its time is asked for.
    ['h', [0, 0, 13, 13, 13, 13]],
    ['sum_over_time(h[30s])', [0, 0, 13, 13, 26, 13]],
    ['timestamp(h)', [0, 0, 1, 1, 1, 1]],
    ['count_over_time(h[20s:10s])', [0, 0, 13, 26, 26, 26]],
  ])('%s', async (query, counts) => {
    const { stats } = await ask(query);
    expect(stats.perStep).toEqual({ startMs: 0, stepMs: 10_000, counts: Float64Array.from(counts) });
    expect(stats.totalQueryableSamples).toBe(counts.reduce((a, b) => a + b, 0));
  });

  test('an instant query has one step, whatever it returns', async () => {
    append('now', {}, [at(-20, 1), at(-10, 2)]);
    for (const [query, count] of [
      ['now', 1],
      ['now[1m]', 2],
      ['now[25s:10s]', 3],
      ['"text"', 0],
    ] as const) {
      const { stats } = await ask(query, 0);
      expect(stats.perStep).toEqual({ startMs: 0, stepMs: 0, counts: Float64Array.of(count) });
    }
  });

  test('nobody counts them unasked', async () => {
    expect((await run(request('m', 0, 50_000, 10_000))).stats.perStep).toBeNull();
  });
});

describe('long work', () => {
  // One series with windows so large that the kernel is called for a part of the steps at a time.
  const COUNT = 20_000;

  beforeEach(() => {
    const times = Float64Array.from({ length: COUNT }, (_, i) => i * 1000);
    storage.append(
      labelsFromObject({ __name__: 'm_total' }),
      times,
      times.map((t) => t / 1000),
    );
  });

  const cases: [string, (k: number) => number][] = [
    // Samples i - 7199 .. i of the step at i seconds.
    ['sum_over_time(m_total[2h])', (i) => 7200 * (i - 3599.5)],
    ['sum_over_time(m_total[2h:1s])', (i) => 7200 * (i - 3599.5)],
    ['predict_linear(m_total[2h], 100)', (i) => i + 100],
    ['quantile_over_time(time() / time() * 0.5, m_total[2h])', (i) => i - 3599.5],
  ];
  test.each(cases)('%s is the same when it is split', async (query, wanted) => {
    const result = await run(request(query, 8_000_000, 18_000_000, 50_000), { samplesMax: 100_000_000 });
    const counted = await run(
      { ...request(query, 8_000_000, 18_000_000, 50_000), perStepStats: true },
      { samplesMax: 100_000_000 },
    );
    expect(counted.stats.perStep?.counts).toEqual(new Float64Array(201).fill(7200));
    const values = Object.values(shape(result))[0]!;
    expect(values).toHaveLength(201);
    values.forEach((value, k) => {
      expect(value).toBeCloseTo(wanted(8000 + k * 50), 5);
    });
  });
});

describe('plan', () => {
  test('equal selectors are selected once', async () => {
    append('m', {}, [[1000, 2]]);
    const result = await run(request('m + m * sum(m)', 1000));
    expect(shape(result)).toEqual({ '': [6] });
    expect(storage.hints).toHaveLength(1);
  });

  test('the hinted times are those that matter', async () => {
    append('m', {}, [[1000, 2]]);
    await run(request('rate(m[5m] offset 1m)', 600_000, 1_200_000, 60_000));
    expect(storage.hints[0]).toMatchObject({
      minTimeMs: 600_000 - 60_000 - 300_000 + 1,
      maxTimeMs: 1_200_000 - 60_000,
      rangeMs: 300_000,
      func: 'rate',
    });
  });

  test('range queries refuse ranges and strings', async () => {
    await expect(run(request('m[5m]', 0, 1000, 1000))).rejects.toMatchObject({
      code: 'promql-parse',
      message: 'invalid expression type "range vector" for range query, must be Scalar or instant Vector',
    });
  });
});

describe('limits', () => {
  beforeEach(() => {
    for (let i = 0; i < 20; i++) append('m', { i: String(i) }, [[1000, i]]);
  });

  test('too many samples', async () => {
    await expect(run(request('m', 0, 100_000, 1000), { samplesMax: 100 })).rejects.toMatchObject({
      kind: 'limit',
      message:
        'query processing would load too many samples into memory in query execution (query.max_samples: 100)',
    });
  });

  test('an aggregation lets its input go', async () => {
    const result = await run(request('sum(m)', 1000), { samplesMax: 20 });
    expect(result.stats).toMatchObject({ totalQueryableSamples: 20, peakSamples: 20 });
  });

  test('too much memory', async () => {
    await expect(run(request('m', 0, 10_000_000, 1000), { memoryBytesMax: 200_000 })).rejects.toMatchObject({
      code: 'query-memory-limit',
    });
  });

  test('a truncated result says so', async () => {
    const result = await run(request('m', 1000, 1000, 0, 3));
    expect(Object.keys(shape(result))).toHaveLength(3);
    expect(result.warnings).toEqual(['results truncated due to limit']);
  });

  test('cancellation and deadline', async () => {
    const engine = createQueryEngine(OPTIONS);
    await expect(engine.execute(request('m', 1000), storage, () => true, Infinity)).rejects.toMatchObject({
      kind: 'cancelled',
      message: 'query was canceled in expression evaluation',
    });
    await expect(engine.execute(request('m', 1000), storage, () => false, 0)).rejects.toMatchObject({
      kind: 'timeout',
      message: 'query timed out in expression evaluation',
    });
    // The engine is usable afterwards.
    const result = await engine.execute(request('count(m)', 1000), storage, () => false, Infinity);
    expect(shape(result)).toEqual({ '': [20] });
  });
});

describe('annotations', () => {
  test('names that do not look like counters are noted with their place', async () => {
    append('m', {}, [
      [1000, 1],
      [2000, 2],
    ]);
    const result = await run(request('\n  sum(rate(m[5m]))', 3000));
    expect(result.infos).toEqual([
      'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "m" (2:12)',
    ]);
  });

  test('sorting a range query is noted', async () => {
    append('m', {}, [[1000, 1]]);
    const result = await run(request('sort(m)', 1000, 3000, 1000));
    expect(result.warnings).toEqual([
      'PromQL warning: sort is ineffective for range queries since results are always ordered by labels (1:1)',
    ]);
  });
});

describe('results', () => {
  test('aggregate over scalars at every step, whatever ran before on the engine', async () => {
    const engine = createQueryEngine(OPTIONS);
    const execute = (what: QueryRequest) => engine.execute(what, storage, () => false, Infinity);
    expect(shape(await execute(request('sum(vector(3))', 1000)))).toEqual({ '': [3] });
    const steps = await execute(request('sum(vector(3))', 1000, 4000, 1000));
    expect(shape(steps)).toEqual({ '': [3, 3, 3, 3] });
    expect(shape(await execute(request('sum(vector(3))', 1000)))).toEqual({ '': [3] });
  });

  test('instant vectors keep the order of evaluation, matrices are sorted', async () => {
    append('m', { i: 'b' }, [[1000, 1]]);
    append('m', { i: 'a' }, [[1000, 2]]);
    expect(Object.keys(shape(await run(request('m', 1000))))).toEqual(['__name__=m,i=b', '__name__=m,i=a']);
    expect(Object.keys(shape(await run(request('m', 1000, 2000, 1000))))).toEqual([
      '__name__=m,i=a',
      '__name__=m,i=b',
    ]);
    expect(Object.keys(shape(await run(request('sort_desc(m)', 1000))))).toEqual([
      '__name__=m,i=a',
      '__name__=m,i=b',
    ]);
  });

  test('scalars and strings', async () => {
    expect((await run(request('1 + 2', 5000))).value).toEqual({
      type: 'scalar',
      timestampMs: 5000,
      value: 3,
    });
    expect((await run(request('"x"', 5000))).value).toEqual({
      type: 'string',
      timestampMs: 5000,
      value: 'x',
    });
    expect(shape(await run(request('time()', 1000, 3000, 1000)))).toEqual({ '': [1, 2, 3] });
  });

  test('equal label sets are an error', async () => {
    append('a', {}, [[1000, 1]]);
    append('b', {}, [[1000, 1]]);
    for (const delayedNameRemoval of [false, true]) {
      await expect(
        run(request('abs({__name__=~"a|b"})', 1000), { delayedNameRemoval }),
      ).rejects.toMatchObject({
        message: 'vector cannot contain metrics with the same labelset',
      });
    }
  });

  test('selectors over different sources share one symbol space', async () => {
    append('a', { i: 'x' }, [[1000, 1]]);
    const other = new MemoryQueryable();
    other.append(
      labelsFromObject({ zzz: '1', __name__: 'b', i: 'x' }),
      Float64Array.of(1000),
      Float64Array.of(5),
    );
    const both = {
      select: (matchers: readonly Matcher[], hints: SelectHints, arena: ChunkArena): Promise<SeriesSet> =>
        (matchers.some((matcher) => matcher.matches('a')) ? storage : other).select(matchers, hints, arena),
      labelNames: () => Promise.resolve([]),
      labelValues: () => Promise.resolve([]),
      series: () => Promise.resolve([]),
    };
    const engine = createQueryEngine(OPTIONS);
    const result = await engine.execute(request('a + on (i) b', 1000), both, () => false, Infinity);
    expect(shape(result)).toEqual({ 'i=x': [6] });
  });
});
