import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
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
