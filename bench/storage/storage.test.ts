import { describe, expect, test } from '@jest/globals';
import { encodeRequest, uncompress, type WireSeries } from '../../e2e/wire.js';
import { checksumOf, labelsOf } from '../load/index.js';
import type { Answer } from './ask.js';
import { HistoryBody } from './body.js';
import { compare } from './difference.js';
import { DAY_MS, readSetup } from './setup.js';
import { firstValue, instanceOf, nextValue, scrapeOffsetMs, stateOf } from './values.js';

/** What the bench of the storage measures is this load: it must not change unnoticed. */
const INTERVAL_MS = 30_000;
const START_MS = 1_699_920_000_000;
const ROUNDS_PER_DAY = DAY_MS / INTERVAL_MS;

function seriesAt(series: number, firstRound: number, roundCount: number): WireSeries {
  let value = firstValue(series);
  const instance = instanceOf(series);
  const samples = [];
  for (let round = 0; round < firstRound + roundCount; round++) {
    const state = stateOf(instance, round, INTERVAL_MS);
    if (state === 'absent') continue;
    value = nextValue(series, round, value, state === 'reset');
    const timestampMs = START_MS + round * INTERVAL_MS + scrapeOffsetMs(instance, INTERVAL_MS);
    if (round >= firstRound) samples.push({ value, timestampMs });
  }
  return { labels: labelsOf(series), samples };
}

describe('the load of the storage bench', () => {
  test('is what an encoder writes, and the same for ever', () => {
    const body = new HistoryBody({
      ...{ firstSeries: 150, seriesCount: 120, startMs: START_MS, intervalMs: INTERVAL_MS, roundsMax: 40 },
    });
    body.fill(0, 40);
    const plain = Buffer.from(uncompress(body.fill(40, 40)));
    const expected = encodeRequest(Array.from({ length: 120 }, (_, i) => seriesAt(150 + i, 40, 40)));
    expect(plain.equals(expected)).toBe(true);
    expect(checksumOf(plain).toString(16)).toBe('c87a2903');
  });

  test('has restarts: samples are absent, then counters begin again', () => {
    let restarts = 0;
    for (let instance = 0; instance < 20; instance++) {
      for (let round = 0; round < 10 * ROUNDS_PER_DAY; round++) {
        if (stateOf(instance, round, INTERVAL_MS) !== 'reset') continue;
        restarts++;
        expect(stateOf(instance, round - 1, INTERVAL_MS)).toBe('absent');
        expect(nextValue(instance * 100, round, 5000, true)).toBeLessThan(100);
      }
    }
    // Twenty instances for ten days, about once in four days each.
    expect(restarts).toBeGreaterThan(25);
    expect(restarts).toBeLessThan(90);
  });

  test('has values of zero and above that move, and that stay in their range', () => {
    for (let series = 0; series < 10; series++) {
      let value = firstValue(series);
      let moves = 0;
      for (let round = 0; round < 8 * ROUNDS_PER_DAY; round++) {
        const next = nextValue(series, round, value, false);
        if (next !== value) moves++;
        value = next;
        if (value < 0 || value > 1e12) throw new Error(`series ${series} is worth ${value}`);
      }
      expect(moves > 0).toBe(series !== 6);
    }
  });

  test('is scraped on full hours in one cluster of four and never in the others', () => {
    for (let instance = 0; instance < 400; instance++) {
      const offsetMs = scrapeOffsetMs(instance, INTERVAL_MS);
      expect(offsetMs === 0).toBe(labelsOf(instance * 100)[1]![1] === 'prod-eu-west-1');
      expect(offsetMs).toBeLessThan(INTERVAL_MS - 1);
    }
  });
});

describe('a run of the storage bench', () => {
  test('ends at a midnight that is settled and has spans that lie within it', () => {
    const nowMs = Date.UTC(2026, 10, 21, 14, 33);
    const setup = readSetup([], nowMs)!;
    expect(setup.endMs).toBe(Date.UTC(2026, 10, 21));
    expect([setup.hourSpanMs, setup.daySpanMs]).toEqual([7 * DAY_MS, 28 * DAY_MS]);
    const short = readSetup(['--days=3'], Date.UTC(2026, 10, 21, 1))!;
    expect(short.endMs).toBe(Date.UTC(2026, 10, 20));
    expect([short.hourSpanMs, short.daySpanMs]).toEqual([DAY_MS, DAY_MS]);
    expect(readSetup(['--help'], nowMs)).toBeNull();
    expect(() => readSetup(['--days=0'], nowMs)).toThrow('--days has to be');
  });
});

describe('the difference of two answers', () => {
  const answer = (values: Record<string, Record<number, number>>): Answer => ({
    series: new Map(
      Object.entries(values).map(([series, points]) => [
        series,
        new Map(Object.entries(points).map(([time, value]) => [Number(time), value])),
      ]),
    ),
    ...{ ms: 0, requests: 0, bytes: 0, infos: [] },
  });

  test('counts what is missing and what is too much, and finds the largest', () => {
    const found = compare(
      answer({ a: { 1: 10, 2: 20, 4: 7 }, c: { 1: 1 } }),
      answer({ a: { 1: 10, 2: 25, 3: 30 }, b: { 1: 1 } }),
    );
    expect(found).toMatchObject({ points: 2, missing: 2, added: 2, relativeMax: 0.2, inexact: 0.5 });
    expect(found.worst).toBe('a at 2: 20, raw 25');
    expect(found.bias).toBeCloseTo(-5 / 35, 12);
  });

  test('is nothing for equal values, NaN and infinities among them', () => {
    const values = { a: { 1: Number.NaN, 2: Number.POSITIVE_INFINITY, 3: 0 } };
    expect(compare(answer(values), answer(values))).toMatchObject({ relativeMax: 0, inexact: 0, missing: 0 });
  });
});
