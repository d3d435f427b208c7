import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Exemplar } from '../exemplar/index.js';
import { labelsFromObject } from '../labels/index.js';
import { createMatcher } from '../matcher/index.js';
import { ExemplarStore } from './exemplar-store.js';

const seriesOf = (job: string) => labelsFromObject({ __name__: 'hits', job });
const exemplarOf = (timestampMs: number, value = 1, id = 'x'): Exemplar => ({
  labels: labelsFromObject({ trace_id: id }),
  value,
  timestampMs,
});
const all = [[createMatcher('=', '__name__', 'hits')]];

let store: ExemplarStore;
beforeEach(() => {
  store = new ExemplarStore();
});

/** Job and times of what a select finds. */
async function timesOf(matcherSets = all, minTimeMs = 0, maxTimeMs = 1e15) {
  const found = await store.select(matcherSets, minTimeMs, maxTimeMs);
  return found.map(({ labels, exemplars }) => [
    labels.at(-1)!.value,
    ...exemplars.map(({ timestampMs }) => timestampMs),
  ]);
}

describe('recording', () => {
  test.each<[string, Exemplar, boolean, number]>([
    ['later', exemplarOf(11), true, 2],
    ['the same again', exemplarOf(10, 5, 'm'), true, 1],
    ['earlier', exemplarOf(9, 9, 'z'), false, 1],
    ['the same time with a larger value', exemplarOf(10, 6, 'a'), true, 2],
    ['the same time with a smaller value', exemplarOf(10, 4, 'z'), false, 1],
    ['the same time and value with later labels', exemplarOf(10, 5, 'n'), true, 2],
    ['the same time and value with earlier labels', exemplarOf(10, 5, 'l'), false, 1],
  ])('%s', (_name, exemplar, isTaken, count) => {
    expect(store.record(seriesOf('a'), exemplarOf(10, 5, 'm'), 10)).toBe(true);
    expect(store.record(seriesOf('a'), exemplar, 10)).toBe(isTaken);
    expect(store.count).toBe(count);
  });

  test('the oldest of all series makes room', async () => {
    for (let i = 1; i <= 4; i++) store.record(seriesOf('a'), exemplarOf(i), 4);
    store.record(seriesOf('b'), exemplarOf(5), 4);
    expect(await timesOf()).toEqual([
      ['a', 2, 3, 4],
      ['b', 5],
    ]);
    for (let i = 6; i <= 8; i++) store.record(seriesOf('c'), exemplarOf(i), 4);
    expect(await timesOf()).toEqual([
      ['b', 5],
      ['c', 6, 7, 8],
    ]);
    store.record(seriesOf('b'), exemplarOf(9), 4);
    store.record(seriesOf('b'), exemplarOf(10), 1);
    expect(await timesOf()).toEqual([['b', 10]]);
    expect(store.count).toBe(1);
  });

  test('a limit of 0 keeps nothing', () => {
    store.record(seriesOf('a'), exemplarOf(1), 4);
    expect(store.record(seriesOf('a'), exemplarOf(2), 0)).toBe(true);
    expect(store.count).toBe(0);
  });

  test('stays within the limit over many rounds', async () => {
    for (let i = 0; i < 10_000; i++) store.record(seriesOf(String(i % 7)), exemplarOf(i), 100);
    expect(store.count).toBe(100);
    const found = await timesOf();
    expect(found.flatMap((row) => row.slice(1)).sort()).toEqual(
      Array.from({ length: 100 }, (_, i) => 9900 + i),
    );
  });
});

describe('selecting', () => {
  test.each<[string, typeof all, number, number, unknown]>([
    [
      'any selector, sorted by labels',
      all,
      0,
      100,
      [
        ['a', 1, 2, 3],
        ['b', 2],
      ],
    ],
    [
      'a range, inclusive',
      all,
      2,
      2,
      [
        ['a', 2],
        ['b', 2],
      ],
    ],
    ['a range after everything', all, 4, 9, []],
    ['one series', [[createMatcher('=', 'job', 'b')]], 0, 100, [['b', 2]]],
    [
      'two selectors',
      [[createMatcher('=', 'job', 'b')], [createMatcher('=~', 'job', 'a|z'), createMatcher('=', 'zone', '')]],
      3,
      100,
      [['a', 3]],
    ],
    ['none', [[createMatcher('=', 'job', 'c')]], 0, 100, []],
  ])('%s', async (_name, matcherSets, min, max, expected) => {
    store.record(seriesOf('b'), exemplarOf(2), 10);
    for (const time of [1, 2, 3]) store.record(seriesOf('a'), exemplarOf(time), 10);
    expect(await timesOf(matcherSets, min, max)).toEqual(expected);
  });

  test('survives series that go while it runs', async () => {
    for (let i = 0; i < 5000; i++) store.record(seriesOf(String(i)), exemplarOf(i + 1), 5000);
    const selecting = store.select(all, 0, 1e9);
    store.record(seriesOf('new'), exemplarOf(9000), 1);
    expect((await selecting).length).toBeLessThan(5000);
  });
});
