import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { multiplyHistogram, parseHistogramNotation } from '../histogram/index.js';
import { labelsFromObject } from '../labels/index.js';
import { createMatcher } from '../matcher/index.js';
import { SeededPrng } from '../prng/index.js';
import type { QueryResult } from '../promql/exec/index.js';
import { encodePoints } from '../promql/testing/index.js';
import { ArrayArena, mergeQueryables, type Queryable } from '../storage/index.js';
import { writeTestBlock } from '../tsdb/block/testing/index.js';
import { samplesOfXor } from '../tsdb/downsample/index.js';
import { leveledQueryable } from './levels.js';
import {
  ask,
  DAY,
  type DaySeries,
  HOUR,
  irregularTimes,
  MINUTE,
  type OpenBlock,
  openTestBlock,
  type Sample,
  T,
  valuesOf,
  writeLevel,
  writeRaw,
} from './testing/level-fixture.js';

/**
 * Four days of gauges and counters as raw blocks of a day, and the levels made from them. What a query says over levels
 * is compared with what it says over raw blocks alone, at the same steps.
 */

const DAYS = 4;
let folder = '';
const raw: OpenBlock[] = [];
let fine: OpenBlock[] = [];
let hours: OpenBlock[] = [];
let days: OpenBlock[] = [];
let mixed: OpenBlock[] = [];

function makeSeries(): DaySeries[] {
  const prng = new SeededPrng(7);
  const end = T + DAYS * DAY;
  const gauge = (intervalMs: number, gapMs: number): Sample[] =>
    irregularTimes(prng, T, end, intervalMs, gapMs).map((t) => [
      t,
      100 * Math.sin(t / (3 * HOUR)) + prng.nextInt(1000) / 100,
    ]);
  const counter = (intervalMs: number, gapMs: number): Sample[] => {
    let v = 0;
    let day = 0;
    return irregularTimes(prng, T, end, intervalMs, gapMs).map((t): Sample => {
      const today = Math.floor((t - T) / DAY);
      // Also where one block ends and the next begins.
      if (prng.nextInt(1500) === 0 || (today !== day && today % 2 === 0)) v = 0;
      day = today;
      v += prng.nextInt(20);
      return [t, v];
    });
  };
  return [
    { labels: { __name__: 'gauge', job: 'even' }, samples: gauge(30_000, 0) },
    { labels: { __name__: 'gauge', job: 'gaps' }, samples: gauge(45_000, 20 * MINUTE) },
    { labels: { __name__: 'requests_total', job: 'even' }, samples: counter(30_000, 0) },
    { labels: { __name__: 'requests_total', job: 'gaps' }, samples: counter(45_000, 20 * MINUTE) },
  ];
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-levels-'));
  const series = makeSeries();
  for (let d = 0; d < DAYS; d++) raw.push(writeRaw(folder, series, T + d * DAY, T + (d + 1) * DAY));
  fine = raw.map((block) => writeLevel([block]));
  hours = fine.map((block) => writeLevel([block]));
  days = [writeLevel(hours.slice(0, 2)), writeLevel(hours.slice(2))];
  // Blocks whose ends lie inside of others.
  mixed = [writeLevel(raw.slice(0, 2)), writeLevel(fine.slice(1, 3)), writeLevel(raw.slice(1, 4))];
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function leveled(blocks: readonly OpenBlock[], maxResolutionMs = Number.POSITIVE_INFINITY): Queryable {
  return leveledQueryable({ blocks, recent: [], maxResolutionMs, masks: [] });
}

function openings(blocks: readonly OpenBlock[]): number {
  return blocks.reduce((sum, block) => sum + block.opened, 0);
}

/** Where both have a value, the worst relative difference; throws where only one of them has one. */
function worstDifference(found: QueryResult, expected: QueryResult): number {
  const a = valuesOf(found);
  const b = valuesOf(expected);
  expect([...a.keys()].sort()).toEqual([...b.keys()].sort());
  let worst = 0;
  for (const [key, values] of b) {
    const others = a.get(key)!;
    values.forEach((y, k) => {
      const x = others[k] ?? null;
      if ((x === null) !== (y === null)) throw new Error(`${key}, step ${k}: ${x} instead of ${y}`);
      if (x === null || y === null || x === y) return;
      worst = Math.max(worst, Math.abs(x - y) / Math.max(Math.abs(x), Math.abs(y)));
    });
  }
  return worst;
}

const DASHBOARD = { startMs: T + 2 * HOUR, endMs: T + DAYS * DAY, stepMs: HOUR };

describe('levels against raw blocks at the same steps', () => {
  test.each([
    ['sum_over_time(gauge[1h])', 1e-12],
    ['avg_over_time(gauge[1h])', 1e-12],
    ['min_over_time(gauge[1h])', 0],
    ['max_over_time(gauge[1h])', 0],
    ['count_over_time(gauge[1h])', 0],
    ['present_over_time(gauge[1h])', 0],
    ['sum by (job) (sum_over_time(gauge[1h]))', 1e-12],
    ['avg_over_time(gauge[6h])', 1e-12],
    ['max_over_time(gauge[1d])', 0],
    // A scrape at each end of the window is extrapolated by one and known to the other.
    ['rate(requests_total{job="even"}[1h])', 0.06],
    ['increase(requests_total{job="even"}[1h])', 0.06],
    ['sum(rate(requests_total{job="even"}[1h]))', 0.06],
    ['rate(requests_total{job="even"}[1h30s])', 0.06],
    ['increase(requests_total[6h])', 0.08],
    ['rate(requests_total[1d])', 0.02],
  ])('%s at full hours', async (query, tolerance) => {
    const expected = await ask(leveled(raw), query, DASHBOARD);
    const found = await ask(leveled([...raw, ...fine, ...hours]), query, DASHBOARD);
    expect(worstDifference(found, expected)).toBeLessThanOrEqual(tolerance);
    expect(openings(raw) + openings(fine)).toBe(openings(raw));
    expect(found.infos.join()).toMatch(/read at resolution 1h/);
    expect(expected.infos).toEqual([]);
    expect(found.warnings).toEqual([]);
  });
});

/** Any blocks that together have all four days. */
const anyBlocks = fc
  .uint8Array({ minLength: 17, maxLength: 17 })
  .map((luck) => [...raw, ...fine, ...hours, ...days, ...mixed].filter((_, i) => luck[i]! % 3 === 0))
  .filter((blocks) =>
    [0, 1, 2, 3].every((d) =>
      blocks.some((block) => block.minTimeMs <= T + d * DAY && block.maxTimeMs >= T + (d + 1) * DAY),
    ),
  );

function forAnyBlocks(
  numRuns: number,
  check: (blocks: readonly OpenBlock[]) => Promise<void>,
): Promise<void> {
  return fc.assert(fc.asyncProperty(anyBlocks, check), { numRuns, seed: 11 });
}

describe('whatever blocks are left', () => {
  const whole = { startMs: T + DAYS * DAY };

  test('everything is counted, and nothing twice', async () => {
    const queries = [
      ['count_over_time(gauge[4d])', 0],
      ['sum_over_time(gauge[4d])', 1e-11],
      ['avg_over_time(gauge[4d])', 1e-11],
      ['min_over_time(gauge[4d])', 0],
      ['max_over_time(gauge[4d])', 0],
      // Sixteen resets; where a level is cut inside of a chunk, a scrape or two may be missing.
      ['increase(requests_total[4d])', 0.01],
    ] as const;
    const expected: QueryResult[] = [];
    for (const [query] of queries) expected.push(await ask(leveled(raw), query, whole));
    await forAnyBlocks(60, async (blocks) => {
      for (const [i, [query, tolerance]] of queries.entries()) {
        for (const max of [Number.POSITIVE_INFINITY, DAY]) {
          const found = await ask(leveled(blocks, max), query, whole);
          const worst = worstDifference(found, expected[i]!);
          if (worst > tolerance) throw new Error(`${query} up to ${max}: off by ${worst}`);
        }
      }
    });
  });

  test('there is a value wherever raw blocks have one', async () => {
    // Two days behind the begin, as a rate of days needs two of them.
    const steps = { startMs: T + 2 * DAY, endMs: T + DAYS * DAY, stepMs: 37 * MINUTE };
    // Without gaps: behind one, a level has nothing until its first window ends.
    const queries = [
      'gauge{job="even"}',
      'count(gauge{job="even"})',
      'sum_over_time(gauge{job="even"}[5m])',
      'avg_over_time(gauge{job="even"}[1h])',
      'quantile_over_time(0.5, gauge{job="even"}[10m])',
      'rate(requests_total{job="even"}[5m])',
      'irate(requests_total{job="even"}[5m])',
      'increase(requests_total{job="even"}[1h])',
      'deriv(gauge{job="even"}[10m])',
    ];
    await forAnyBlocks(40, async (blocks) => {
      for (const query of queries) {
        for (const max of [Number.POSITIVE_INFINITY, DAY]) {
          const expected = valuesOf(await ask(leveled(raw), query, steps));
          const found = valuesOf(await ask(leveled(blocks, max), query, steps));
          for (const [key, values] of expected) {
            const others = found.get(key) ?? [];
            values.forEach((value, k) => {
              if (value !== null && (others[k] ?? null) === null)
                throw new Error(`${query} ${key}: none at step ${k}`);
            });
          }
        }
      }
    });
  });
});

describe('where raw blocks were deleted', () => {
  const recent = { startMs: T + 2 * DAY + 30 * MINUTE, endMs: T + DAYS * DAY, stepMs: 30 * MINUTE };

  test('windows are widened, and what grows with them is scaled back', async () => {
    const blocks = [...hours.slice(0, 3), raw[3]!];
    for (const [query, wide, tolerance, infos] of [
      [
        'sum_over_time(gauge{job="even"}[10m])',
        'sum_over_time(gauge{job="even"}[1h]) / 6',
        1e-9,
        'range of 10m widened to 1h and the result scaled to it',
      ],
      [
        'max_over_time(gauge{job="even"}[10m])',
        'max_over_time(gauge{job="even"}[1h])',
        0,
        'range of 10m widened to 1h, as',
      ],
      [
        'avg_over_time(gauge{job="even"}[10m])',
        'avg_over_time(gauge{job="even"}[1h])',
        1e-9,
        'range of 10m widened to 1h, as',
      ],
    ] as const) {
      const full = { ...recent, startMs: T + 2 * DAY + HOUR, stepMs: HOUR };
      const found = await ask(leveled(blocks), query, full);
      expect(worstDifference(found, await ask(leveled(raw), wide, full))).toBeLessThanOrEqual(tolerance);
      expect(found.infos).toEqual([
        expect.stringMatching(/^PromQL info: read at resolution 1h \(downsampled\): "gauge" \(1:15\)$/),
        expect.stringContaining(`${infos}`),
      ]);
    }
  });

  test('counters are interpolated', async () => {
    const blocks = [...hours.slice(0, 3), raw[3]!];
    const half = { startMs: T + DAY + 90 * MINUTE, endMs: T + 3 * DAY, stepMs: HOUR };
    const found = await ask(leveled(blocks), 'increase(requests_total{job="even"}[5m])', half);
    const hour = await ask(leveled(raw), 'rate(requests_total{job="even"}[1h] offset -30m) * 300', half);
    // In an hour with a reset nobody knows when it was.
    const [a, b] = [[...valuesOf(found).values()][0]!, [...valuesOf(hour).values()][0]!];
    const far = a.filter((x, k) => Math.abs(x! - b[k]!) > 0.06 * b[k]!);
    expect(far.length).toBeLessThan(a.length / 10);
    expect(found.infos).toEqual([
      'PromQL info: read at resolution 1h (downsampled): "requests_total" (1:10)',
      'PromQL info: counters are interpolated between samples 1h apart: "requests_total" (1:10)',
    ]);
    // Over the border to raw samples, which may lie anywhere in a window; with a reset two hours before.
    const border = { startMs: T + 2 * DAY + 20 * HOUR, endMs: T + 3 * DAY + 4 * HOUR, stepMs: 7 * MINUTE };
    const across = await ask(leveled(blocks), 'rate(requests_total{job="even"}[2h])', border);
    const expected = await ask(leveled(raw), 'rate(requests_total{job="even"}[2h])', border);
    expect(worstDifference(across, expected)).toBeLessThan(0.25);
  });

  test('a plain selector looks further back', async () => {
    const found = await ask(leveled([...hours.slice(0, 3), raw[3]!]), 'gauge', recent);
    expect([...valuesOf(found).values()].flat().includes(null)).toBe(false);
    expect(found.infos).toEqual([
      'PromQL info: read at resolution 1h (downsampled): "gauge" (1:1)',
      'PromQL info: lookback of 5m widened to 1h, as the data is downsampled: "gauge" (1:1)',
    ]);
  });

  test('queries of later times are as ever', async () => {
    const late = { ...recent, startMs: T + 3 * DAY + 10 * MINUTE };
    const found = await ask(leveled([...hours.slice(0, 3), raw[3]!]), 'rate(requests_total[5m])', late);
    expect(worstDifference(found, await ask(leveled(raw), 'rate(requests_total[5m])', late))).toBe(0);
    expect(found.infos).toEqual([]);
  });
});

describe('the resolution', () => {
  const month = { startMs: T + 2 * HOUR, endMs: T + DAYS * DAY, stepMs: HOUR };
  const resolutionOf = (result: QueryResult): string =>
    result.infos.map((text) => /at resolution (.*) \(down/.exec(text)?.[1] ?? '').join('') || 'raw';

  test.each([
    ['max_over_time(gauge[4d])', { startMs: T + DAYS * DAY }, '1d'],
    ['max_over_time(gauge[3d])', { startMs: T + DAYS * DAY - 7 * MINUTE }, '1h'],
    ['max_over_time(gauge[2d])', { startMs: T + DAYS * DAY - 7 * MINUTE }, '5m'],
    ['max_over_time(gauge[3h])', { startMs: T + DAYS * DAY - 7 * MINUTE }, 'raw'],
    ['rate(requests_total[1h])', { startMs: T + 3 * DAY }, '1h'],
    ['rate(requests_total[1h])', { startMs: T + 3 * DAY - 1 }, '1h'],
    ['rate(requests_total[1h])', { startMs: T + 3 * DAY - 2 }, 'raw'],
    ['rate(requests_total[1h] offset 30m)', { startMs: T + 3 * DAY }, '5m'],
    ['rate(requests_total[1h])', { ...month, startMs: T + 2 * HOUR + 1 }, '5m'],
    ['rate(requests_total[10m])', { ...month, startMs: T + 2 * HOUR + 1 }, 'raw'],
    ['rate(requests_total[10m])', month, '5m'],
    ['sum_over_time(gauge[1h30s])', month, '5m'],
    ['sum_over_time(gauge[1h:5m])', { startMs: T + 3 * DAY }, 'raw'],
    ['gauge', { ...month, stepMs: 5 * HOUR }, '1h'],
    ['gauge', month, '5m'],
    ['gauge', { ...month, stepMs: 20 * MINUTE }, 'raw'],
    ['gauge', { startMs: T + 3 * DAY }, 'raw'],
    ['gauge[1h]', { startMs: T + 3 * DAY }, 'raw'],
    ['quantile_over_time(0.9, gauge[1d])', month, 'raw'],
    ['changes(gauge[1d])', month, 'raw'],
    ['timestamp(gauge)', { ...month, stepMs: 5 * HOUR }, 'raw'],
  ] as const)('of %s at %j is %s', async (query, asked, expected) => {
    const found = await ask(leveled([...raw, ...fine, ...hours, ...days]), query, asked);
    expect(resolutionOf(found)).toBe(expected);
  });

  test.each([
    [0, 'raw'],
    [5 * MINUTE, '5m'],
    [HOUR, '1h'],
    [DAY, '1d'],
  ])('is at most, and where it can be, %i ms where that is asked for', async (max, expected) => {
    const found = await ask(
      leveled([...raw, ...fine, ...hours, ...days], max),
      'rate(requests_total[5m])',
      month,
    );
    expect(resolutionOf(found)).toBe(expected);
  });

  test('is not coarser than asked for, which is told', async () => {
    const found = await ask(leveled([...hours.slice(0, 3), raw[3]!], 0), 'max_over_time(gauge[1h])', month);
    expect(found.infos).toEqual([
      'PromQL info: data that is there at resolution 1h only is left out, as max_source_resolution is 0s: "gauge" (1:15)',
    ]);
    expect(
      [...valuesOf(found).values()].every((values) => values[0] === null && values.at(-1) !== null),
    ).toBe(true);
  });
});

describe('answers keep', () => {
  const blocks = () => [...raw, ...fine, ...hours];

  test.each([false, true])('their labels, with names dropped at the end: %s', async (delayedNameRemoval) => {
    const asked = { ...DASHBOARD, delayedNameRemoval };
    const outcome = (blocks: readonly OpenBlock[], query: string) =>
      ask(leveled(blocks), query, asked).then(
        (result) => [...valuesOf(result).keys()].sort(),
        (error: Error) => error.message,
      );
    for (const query of [
      'avg_over_time({__name__=~"gauge|requests_total", job="even"}[1h])',
      'sum by (__name__) (avg_over_time({__name__=~"gauge|requests_total", job="even"}[1h]))',
      'label_replace(avg_over_time({__name__=~"gauge|requests_total"}[1h]), "x", "$1", "__name__", "(.*)")',
      'avg_over_time(gauge[1h]) > 3',
      'label_replace(avg_over_time(gauge[1h]), "x", "$1", "job", "(.*)")',
      'absent_over_time(gauge{job="none"}[1h])',
      'last_over_time(gauge{job="even"}[1h])',
    ]) {
      expect(await outcome(blocks(), query)).toEqual(await outcome(raw, query));
    }
  });

  test('the values that operators compare', async () => {
    const asked = { ...DASHBOARD, stepMs: 5 * HOUR };
    const found = await ask(leveled(blocks()), 'count(gauge > -1e9) + 0 * max(-gauge)', asked);
    expect([...valuesOf(found).values()].flat().every((value) => value === 2)).toBe(true);
  });

  test('the error for series that become the same', async () => {
    const query = 'avg_over_time({__name__=~"gauge|requests_total", job="even"}[1h])';
    const message = /same labelset/;
    await expect(ask(leveled(raw), query, DASHBOARD)).rejects.toThrow(message);
    await expect(ask(leveled(blocks()), query, DASHBOARD)).rejects.toThrow(message);
  });

  test('infos of the function', async () => {
    const found = await ask(leveled(blocks()), 'rate(gauge[1h])', DASHBOARD);
    expect(found.infos.join()).toMatch(/metric might not be a counter/);
  });
});

describe('native histograms', () => {
  const steps = { startMs: 2 * HOUR, endMs: DAY, stepMs: HOUR };
  let block: OpenBlock;
  let hour: OpenBlock;

  beforeAll(() => {
    const histogram = parseHistogramNotation('{{schema:0 sum:10 count:12 buckets:[1 2 4 5]}}')!;
    const points = Array.from({ length: Math.floor(DAY / 59_000) }, (_, i) => ({
      kind: 'histogram' as const,
      histogram: multiplyHistogram(histogram, i + 1),
      hasHint: false,
    }));
    const chunks = encodePoints(points, 59_000).map(({ bytes, minTimeMs, maxTimeMs, encoding }) => ({
      ...{ data: bytes, minTime: minTimeMs, maxTime: maxTimeMs, encoding },
    }));
    const meta = writeTestBlock(folder, [{ labels: labelsFromObject({ __name__: 'h' }), chunks }], {
      ...{ minTime: 0, maxTime: DAY },
    });
    block = openTestBlock(join(folder, meta.ulid));
    hour = writeLevel([writeLevel([block])]);
  });

  test.each([
    ['count_over_time(h[1h])', 0],
    ['sum_over_time(h[1h])', 1e-12],
    ['avg_over_time(h[1h])', 1e-12],
    ['rate(h[1h])', 0.03],
    ['histogram_quantile(0.9, increase(h[2h]))', 0.01],
    ['histogram_count(rate(h[1h]))', 0.03],
  ])('%s', async (query, tolerance) => {
    const expected = await ask(leveled([block]), query, steps);
    const found = await ask(leveled([hour]), query, steps);
    expect(worstDifference(found, expected)).toBeLessThanOrEqual(tolerance);
  });
});

describe('late samples', () => {
  const whole = { startMs: T + DAYS * DAY };
  let late: OpenBlock;
  beforeAll(() => {
    const samples = [1, 2, 3].map((i): Sample => [T + DAY + i * HOUR + 1234, 1e6 + i]);
    const series = [{ labels: { __name__: 'gauge', job: 'even' }, samples }];
    late = writeRaw(folder, series, T + DAY, T + DAY + 4 * HOUR);
  });

  test('are counted with and without the raw blocks they belong to', async () => {
    for (const query of [
      'count_over_time(gauge[4d])',
      'sum_over_time(gauge[4d])',
      'max_over_time(gauge[4d])',
    ]) {
      const expected = await ask(leveled([...raw, late]), query, whole);
      const there = await ask(leveled([...raw, ...fine, ...hours, late]), query, whole);
      expect(worstDifference(there, expected)).toBeLessThan(1e-12);
      const deleted = await ask(leveled([...fine, ...hours, late]), query, whole);
      expect(worstDifference(deleted, expected)).toBeLessThan(1e-12);
    }
  });

  test('are not taken for resets of counters', async () => {
    const samples = [1, 2, 3].map((i): Sample => [T + DAY + i * HOUR + 1234, 1]);
    const series = [{ labels: { __name__: 'requests_total', job: 'even' }, samples }];
    const counters = writeRaw(folder, series, T + DAY, T + DAY + 4 * HOUR);
    const query = 'increase(requests_total[4d])';
    const expected = await ask(leveled(raw), query, whole);
    const found = await ask(leveled([...hours, counters]), query, whole);
    expect(worstDifference(found, expected)).toBeLessThan(0.01);
  });
});

describe('beside blocks', () => {
  test('recent samples are read raw and counted once', async () => {
    const head = mergeQueryables([await raw[3]!.open({})]);
    const recent = { minTimeMs: T + 3 * DAY, maxTimeMs: T + DAYS * DAY - 1, queryable: head };
    const source = leveledQueryable({
      ...{
        blocks: hours.slice(0, 3),
        recent: [recent],
        maxResolutionMs: Number.POSITIVE_INFINITY,
        masks: [],
      },
    });
    for (const query of [
      'count_over_time(gauge[1h])',
      'avg_over_time(gauge[1h])',
      'sum_over_time(gauge[6h])',
    ]) {
      const found = await ask(source, query, DASHBOARD);
      expect(worstDifference(found, await ask(leveled(raw), query, DASHBOARD))).toBeLessThan(1e-12);
    }
  });

  test('masks hide samples of every level', async () => {
    const masks = [
      {
        matchers: [createMatcher('=', 'job', 'gaps')],
        minTime: T + DAY,
        maxTime: T + 2 * DAY - 1,
      },
    ];
    for (const blocks of [raw, fine, hours]) {
      const source = leveledQueryable({
        blocks,
        recent: [],
        maxResolutionMs: Number.POSITIVE_INFINITY,
        masks,
      });
      const found = await ask(source, 'count_over_time(gauge[1d])', {
        ...DASHBOARD,
        startMs: T + DAY,
        stepMs: DAY,
      });
      const values = valuesOf(found);
      expect(values.get('{"job":"gaps"}')?.map((value) => value === null)).toEqual([
        false,
        true,
        false,
        false,
      ]);
      expect(values.get('{"job":"even"}')?.includes(null)).toBe(false);
    }
  });

  test('labels come from raw blocks, and from levels where there are none', async () => {
    const before = openings(hours);
    const query = { minTimeMs: T, maxTimeMs: T + DAYS * DAY, matcherSets: [], limit: 0 };
    expect(await leveled([...raw, ...hours]).labelValues('job', query)).toEqual(['even', 'gaps']);
    expect(openings(hours)).toBe(before);
    expect(await leveled([raw[3]!, ...hours]).labelNames(query)).toEqual(['__name__', 'job']);
    expect(await leveled([raw[3]!, ...hours], 0).series(query)).toHaveLength(4);
    expect(openings(hours)).toBe(before + 6);
  });

  test('who does not plan reads raw blocks, and elsewhere means', async () => {
    const arena = new ArrayArena();
    const hints = { minTimeMs: T, maxTimeMs: T + DAYS * DAY, stepMs: 0, func: 'sum_over_time', rangeMs: 0 };
    const set = await leveled([raw[3]!, ...hours.slice(0, 3)]).select(
      [createMatcher('=', '__name__', 'gauge')],
      { ...hints, withoutChunks: false, limit: 0 },
      arena,
    );
    const first = arena
      .bytes()
      .subarray(set.chunkAddresses[0]!, set.chunkAddresses[0]! + set.chunkByteLengths[0]!);
    expect(Math.max(...samplesOfXor(first).values)).toBeLessThan(120);
    expect(set.seriesCount).toBe(2);
  });
});

test('leaves that are divided among threads give the same', async () => {
  const series = Array.from({ length: 500 }, (_, i): DaySeries => {
    const samples = Array.from(
      { length: 288 },
      (_, k): Sample => [T + 1000 + k * 5 * MINUTE, i + k * (i % 7)],
    );
    return { labels: { __name__: 'many_total', i: `${i}`.padStart(3, '0') }, samples };
  });
  const block = writeLevel([writeRaw(folder, series, T, T + DAY)]);
  const asked = { startMs: T + HOUR, endMs: T + DAY, stepMs: HOUR };
  for (const func of ['avg_over_time', 'count_over_time', 'rate', 'max_over_time']) {
    const alone = await ask(leveled([block]), `${func}(many_total[1h])`, asked);
    const divided = await ask(leveled([block]), `${func}(many_total[1h])`, { ...asked, withHelp: true });
    expect(valuesOf(divided)).toEqual(valuesOf(alone));
    expect(divided.stats.totalQueryableSamples).toBe(alone.stats.totalQueryableSamples);
  }
});
