import { describe, expect, test } from '@jest/globals';
import { codecKernel } from '../../kernel/index.js';
import { type CounterCut, cutCounter } from './cut-counter.js';
import { cutPlain, samplesOfXor } from './cut-plain.js';
import { PlainAggregateWriter } from './plain-aggregate.js';

type Sample = readonly [number, number];

function chunk(samples: readonly Sample[]): Uint8Array {
  const times = Float64Array.from(samples, ([t]) => t);
  return codecKernel().encodeXor(
    times,
    Float64Array.from(samples, ([, v]) => v),
    samples.length,
  );
}

function samplesOf(data: Uint8Array | undefined): Sample[] | null {
  if (data === undefined) return null;
  const { times, values } = samplesOfXor(data);
  return Array.from(times, (t, i) => [t, values[i]!]);
}

/** Windows of 100 ms: up to 30, a reset in the third window, up to 25; 15 more than that were counted before. */
const ENTRY: readonly Sample[] = [
  [7, 10],
  [99, 20],
  [199, 30],
  [299, 45],
  [399, 50],
  [490, 55],
  [490, 25],
];
const ALL = Number.POSITIVE_INFINITY;

function cut(what: Partial<CounterCut>): Sample[] | null {
  const entry = cutCounter(chunk(ENTRY), { fromMs: -ALL, toMs: ALL, before: null, after: null, ...what });
  return samplesOf(entry ?? undefined);
}

describe('a counter entry', () => {
  test.each<[string, Partial<CounterCut>, readonly Sample[] | null]>([
    ['stays as it is without a cut', {}, ENTRY],
    [
      'goes on from the value before the cut',
      { fromMs: 300, before: 15 },
      [
        [300, 15],
        [399, 20],
        [490, 25],
        [490, 25],
      ],
    ],
    [
      'begins as it stands when there is nothing before',
      { fromMs: 300 },
      [
        [399, 50],
        [490, 55],
        [490, 25],
      ],
    ],
    [
      'ends with the lower value behind the cut',
      { toMs: 300, after: 17 },
      [
        [7, 10],
        [99, 20],
        [199, 30],
        [299, 45],
        [299, 17],
      ],
    ],
    [
      'ends as it stands before a higher one',
      { toMs: 200, after: 90 },
      [
        [7, 10],
        [99, 20],
        [199, 30],
        [199, 30],
      ],
    ],
    ['is nothing outside of its times', { fromMs: 500 }, null],
  ])('%s', (_, what, expected) => {
    expect(cut(what)).toEqual(expected);
  });

  test('that was cut rises by what it rose, whatever was reset before', () => {
    const entry = cutCounter(chunk(ENTRY), { fromMs: 200, toMs: ALL, before: 30, after: null })!;
    const plain = samplesOf(new PlainAggregateWriter().writeCounter(entry)?.data)!;
    let rise = 0;
    plain.forEach(([, v], i) => {
      const before = i === 0 ? 30 : plain[i - 1]![1];
      rise += v < before ? v : v - before;
    });
    expect(rise).toBe(25);
    expect(plain.at(-1)).toEqual([490, 25]);
  });
});

describe('a plain chunk', () => {
  const samples: readonly Sample[] = [
    [10, 1],
    [20, 2],
    [30, 3],
  ];
  const plain = { encoding: 1, data: chunk(samples), minTime: 10, maxTime: 30 };

  test.each<[number, number, readonly Sample[] | null]>([
    [10, 31, samples],
    [11, 30, [[20, 2]]],
    [20, 99, samples.slice(1)],
    [31, 99, null],
    [0, 10, null],
    [11, 19, null],
  ])('from %i to %i', (from, to, expected) => {
    const found = cutPlain(plain, from, to);
    expect(found === null ? null : samplesOf(found.data)).toEqual(expected);
    if (found !== null)
      expect([found.minTime, found.maxTime]).toEqual([expected![0]![0], expected!.at(-1)![0]]);
  });
});
