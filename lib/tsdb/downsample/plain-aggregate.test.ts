import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ENCODING } from '../chunk/index.js';
import { aggregateFor } from './aggregate-for.js';
import { RESOLUTION } from './levels.js';
import { type PlainAggregate, PlainAggregateWriter } from './plain-aggregate.js';
import { SeriesDownsampler } from './series-downsampler.js';
import {
  decodeChunk,
  load,
  riseOf,
  type Sample,
  STALE_VALUE,
  samplesOf,
  xorChunk,
  xorChunks,
} from './testing/model.js';

const T = 1_699_920_000_000;
const raw = new SeriesDownsampler(0, RESOLUTION.fiveMinutes);
const hours = new SeriesDownsampler(RESOLUTION.fiveMinutes, RESOLUTION.hour);
const writer = new PlainAggregateWriter();

function downsample(samples: readonly Sample[]): ReturnType<SeriesDownsampler['downsample']> {
  return raw.downsample(
    load(
      raw,
      xorChunks(samples, 120).map((data) => ({ encoding: 1, data })),
    ),
  );
}

const VALUES = [10, 20, 30, 5, 15, 25, 35];
const [example] = downsample(VALUES.map((v, i) => [T + i * 60_000, v]));

function plain(aggregate: Parameters<PlainAggregateWriter['write']>[0]): PlainAggregate {
  return writer.write(aggregate, ENCODING.aggregate, example!.data, example!.minTime, example!.maxTime)!;
}

/** What PromQL takes a counter to have risen by up to each of its samples. */
function increases(samples: readonly Sample[]): Map<number, number> {
  let rise = 0;
  return new Map(
    samples.map(([t, v], i) => {
      const before = samples[i - 1]?.[1] ?? v;
      rise += v < before ? v : v - before;
      return [t, rise] as const;
    }),
  );
}

/** Counters with resets, flat stretches and gaps; values with digits that sums round. */
const counter = fc
  .array(
    fc.tuple(
      fc.oneof(fc.constant(60_000), fc.integer({ min: 3, max: 2_000_000 })),
      fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 90 }), fc.double({ min: 0, max: 10, noNaN: true })),
      fc.integer({ min: 0, max: 12 }),
    ),
    { minLength: 2, maxLength: 600 },
  )
  .map((steps) => {
    let t = T;
    let v = 0;
    return steps.map(([step, rise, luck]): Sample => {
      t += step;
      v = luck === 0 ? (rise > 5 ? rise : 0) : v + rise;
      return [t, v];
    });
  });

describe('a plain chunk of an aggregate chunk', () => {
  test.each([
    [
      'count',
      [
        [299_999, 5],
        [360_000, 2],
      ],
    ],
    [
      'sum',
      [
        [299_999, 80],
        [360_000, 60],
      ],
    ],
    [
      'min',
      [
        [299_999, 5],
        [360_000, 25],
      ],
    ],
    [
      'max',
      [
        [299_999, 30],
        [360_000, 35],
      ],
    ],
    [
      'average',
      [
        [299_999, 16],
        [360_000, 30],
      ],
    ],
  ] as const)('holds the %s of each window', (aggregate, expected) => {
    const chunk = plain(aggregate);
    expect(chunk).toMatchObject({ encoding: 1, minTime: T + 299_999, maxTime: T + 360_000 });
    expect(samplesOf(chunk.data).map(([t, v]) => [t - T, v])).toEqual(expected);
  });

  test('is a counter with true ends, whose reset shows in its window', () => {
    const chunk = plain('counter');
    expect(chunk).toMatchObject({ encoding: 1, minTime: T, maxTime: T + 360_000 });
    // Up to 30 in the first window, then from 0 to 15.
    expect(samplesOf(chunk.data).map(([t, v]) => [t - T, v])).toEqual([
      [0, 10],
      [99_999, 30],
      [299_999, 15],
      [360_000, 35],
    ]);
  });

  test('of a counter is read by increase as the raw counter is, across chunks and levels', () => {
    fc.assert(
      fc.property(counter, fc.integer({ min: 0, max: 100 }), (samples, rawShare) => {
        // The end of the series stays raw, as where the newest blocks are not downsampled yet.
        const split = samples.length - Math.floor((samples.length * rawShare) / 100);
        const fine = downsample(samples.slice(0, split));
        const coarse = fine.length === 0 ? [] : hours.downsample(load(hours, fine));
        const tail = samples.slice(split);
        for (const level of [fine, coarse]) {
          const chunks = level.map(
            (chunk) => writer.write('counter', ENCODING.aggregate, chunk.data, chunk.minTime, chunk.maxTime)!,
          );
          const read = [...chunks.flatMap((chunk) => samplesOf(chunk.data)), ...tail];
          for (let i = 1; i < read.length; i++) expect(read[i]![0]).toBeGreaterThan(read[i - 1]![0]);
          const counters = level.map((chunk) => decodeChunk(chunk)[4]!);
          const expected = riseOf([...counters, tail]).samples;
          const found = increases(read);
          const scale = expected.at(-1)![1] + 1;
          for (const [t, v] of expected) {
            expect(Math.abs(found.get(t)! - (v - expected[0]![1])) / scale).toBeLessThan(1e-8);
          }
          const truth = increases(samples);
          const lastT = read.at(-1)![0];
          expect(Math.abs(found.get(lastT)! - truth.get(lastT)!) / scale).toBeLessThan(1e-8);
        }
      }),
      { seed: 21, numRuns: 300 },
    );
  });

  test.each([
    ['that falls below zero', [-5, 3, -7, 2]],
    ['that becomes infinite', [1, Number.POSITIVE_INFINITY, 3, 4]],
    ['of one sample', [4]],
  ])('of a counter %s is some series in ascending time', (_name, values) => {
    const [chunk] = downsample(values.map((v, i) => [T + i * 200_000, v]));
    const made = writer.write('counter', ENCODING.aggregate, chunk!.data, chunk!.minTime, chunk!.maxTime);
    const times = samplesOf(made!.data).map(([t]) => t);
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
  });

  test('is absent when the aggregate is', () => {
    const countOnly = Uint8Array.from(Buffer.from('0d010001becf24401400000000000000000000', 'hex'));
    for (const aggregate of ['sum', 'average', 'counter'] as const) {
      expect(writer.write(aggregate, ENCODING.aggregate, countOnly, 299_999, 299_999)).toBeNull();
    }
  });

  test('is refused when the chunk is damaged', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), (flips) => {
        const data = example!.data.slice();
        for (const flip of flips) data[(flip >>> 3) % data.length]! ^= 1 << (flip & 7);
        for (const aggregate of ['average', 'counter', 'min'] as const) {
          try {
            writer.write(aggregate, ENCODING.aggregate, data, T, T);
          } catch (error) {
            expect(error).toMatchObject({ kind: 'corruption' });
          }
        }
      }),
      { seed: 22, numRuns: 2000 },
    );
  });
});

describe('a plain chunk of a raw chunk', () => {
  const data = xorChunk([
    [T, 7],
    [T + 1000, STALE_VALUE],
    [T + 2000, 9],
  ]);

  test.each(['sum', 'min', 'max', 'average', 'counter'] as const)(
    'is the chunk itself for the %s',
    (aggregate) => {
      expect(writer.write(aggregate, 1, data, T, T + 2000)!.data).toEqual(data);
    },
  );

  test('counts 1 for each sample, and keeps stale markers', () => {
    const ones = writer.write('count', 1, data, T, T + 2000)!;
    expect(ones.data).toEqual(
      xorChunk([
        [T, 1],
        [T + 1000, STALE_VALUE],
        [T + 2000, 1],
      ]),
    );
  });
});

describe('the aggregate for a function', () => {
  test.each([
    ['rate', 'counter', 'rate', 'exact'],
    ['min_over_time', 'min', 'min_over_time', 'exact'],
    ['count_over_time', 'count', 'sum_over_time', 'exact'],
    ['avg_over_time', 'sum', 'sum_over_time', 'exact'],
    ['sum', 'average', 'sum', 'near'],
    ['', 'average', '', 'near'],
    ['quantile_over_time', 'average', 'quantile_over_time', 'poor'],
  ])('%s is the %s', (func, aggregate, evaluated, grade) => {
    expect(aggregateFor(func)).toMatchObject({ aggregate, func: evaluated, grade });
  });

  test('is divided by the count for means only', () => {
    expect(aggregateFor('avg_over_time').isPerCount).toBe(true);
    expect(aggregateFor('sum_over_time').isPerCount).toBe(false);
  });
});
