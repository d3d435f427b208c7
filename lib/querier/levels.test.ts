import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SeededPrng } from '../prng/index.js';
import type { QueryResult } from '../promql/exec/index.js';
import type { Queryable } from '../storage/index.js';
import {
  ask,
  DAY,
  type DaySeries,
  HOUR,
  irregularTimes,
  MINUTE,
  type OpenBlock,
  type Sample,
  T,
  valuesOf,
  writeLevel,
  writeRaw,
} from './level-testing.js';
import { leveledQueryable } from './levels.js';

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
