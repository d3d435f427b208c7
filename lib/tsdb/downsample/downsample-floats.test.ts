import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesToHex } from '../../bytes/index.js';
import { RESOLUTION } from './levels.js';
import { SeriesDownsampler } from './series-downsampler.js';
import {
  type ChunkModel,
  decodeChunk,
  downsampleLevelModel,
  downsampleRawModel,
  load,
  type Sample,
  STALE_VALUE,
  xorChunk,
  xorChunks,
} from './testing/model.js';

const { fiveMinutes, hour, day } = RESOLUTION;
const raw = new SeriesDownsampler(0, fiveMinutes);
const hours = new SeriesDownsampler(fiveMinutes, hour);
const days = new SeriesDownsampler(hour, day);

/** Begins on a window and a day. */
const T = 1_699_920_000_000;

function downsampleSamples(
  samples: readonly Sample[],
  perChunk = 120,
): ReturnType<SeriesDownsampler['downsample']> {
  return raw.downsample(
    load(
      raw,
      xorChunks(samples, perChunk).map((data) => ({ encoding: 1, data })),
    ),
  );
}

/** Samples as they come: bursts, gaps, repeated times, resets, NaNs, infinities, stale markers. */
const series = fc
  .array(
    fc.tuple(
      fc.oneof(
        { weight: 12, arbitrary: fc.constant(30_000) },
        { weight: 3, arbitrary: fc.integer({ min: 0, max: 400_000 }) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 20_000_000 }) },
      ),
      fc.oneof(
        { weight: 20, arbitrary: fc.integer({ min: 0, max: 50 }) },
        { weight: 4, arbitrary: fc.double({ min: 0, max: 100, noNaN: true }) },
        {
          weight: 2,
          arbitrary: fc.constantFrom<'reset' | 'nan' | 'stale' | 'negative'>(
            'reset',
            'nan',
            'stale',
            'negative',
          ),
        },
      ),
    ),
    { minLength: 1, maxLength: 700 },
  )
  .map((steps) => {
    let t = T;
    let v = 0;
    return steps.map(([step, change]): Sample => {
      t += step;
      if (change === 'nan') return [t, Number.NaN];
      if (change === 'stale') return [t, STALE_VALUE];
      if (change === 'reset') v = 0;
      else if (change === 'negative') v = -3;
      else v += change;
      return [t, v];
    });
  });

function withoutStale(samples: readonly Sample[]): Sample[] {
  return samples.filter(([, v]) => v !== STALE_VALUE);
}

describe('raw samples', () => {
  test('of the worked example become the bytes of the reference', () => {
    const values = [10, 20, 30, 5, 15, 25, 35];
    const [chunk, ...more] = downsampleSamples(values.map((v, i) => [i * 60_000, v]));
    expect(more).toEqual([]);
    expect(chunk).toMatchObject({ minTime: 299_999, maxTime: 360_000 });
    expect(bytesToHex(chunk!.data)).toBe(
      '12010002becf244014000000000000e1d403d61d13010002becf244054000000000000e1d403d62680' +
        '13010002becf244014000000000000e1d403d435a013010002becf24403e000000000000e1d403d247f8' +
        '1a010004004024000000000000dfa712d2462f62b416b1ede8acfd1c',
    );
  });

  test('of any kind become what the model says', () => {
    fc.assert(
      fc.property(series, fc.integer({ min: 1, max: 240 }), (samples, perChunk) => {
        const made = downsampleSamples(samples, perChunk);
        const expected = downsampleRawModel(withoutStale(samples), fiveMinutes);
        expect(made.map(decodeChunk)).toEqual(expected);
        expect(made.map(({ minTime, maxTime }) => [minTime, maxTime])).toEqual(
          expected.map(([count]) => [count![0]![0], count!.at(-1)![0]]),
        );
      }),
      { seed: 11, numRuns: 200 },
    );
  });

  test('fill chunks up to about 140 windows, and none ends within one', () => {
    const samples = Array.from({ length: 2880 }, (_, i): Sample => [T + 7000 + i * 30_000, i]);
    const made = downsampleSamples(samples);
    expect(made.map(decodeChunk).map(([count]) => count!.length)).toEqual([97, 97, 94]);
    for (let i = 1; i < made.length; i++) {
      expect(Math.floor(made[i]!.minTime / fiveMinutes)).toBe(
        Math.floor(made[i - 1]!.maxTime / fiveMinutes) + 1,
      );
    }
    expect(made.at(-1)!.maxTime).toBe(samples.at(-1)![0]);
  });

  test('that are infinite are kept, and sums of them may be NaN', () => {
    const samples: Sample[] = [
      [T, Number.POSITIVE_INFINITY],
      [T + 60_000, Number.NEGATIVE_INFINITY],
      [T + 300_000, Number.POSITIVE_INFINITY],
      [T + 600_000, 1],
    ];
    expect(downsampleSamples(samples).map(decodeChunk)).toEqual(downsampleRawModel(samples, fiveMinutes));
  });

  test('whose time goes back are left out', () => {
    const first = xorChunk([
      [T, 1],
      [T + 60_000, 2],
    ]);
    const second = xorChunk([
      [T + 30_000, 5],
      [T + 90_000, 3],
    ]);
    const made = raw.downsample(
      load(
        raw,
        [first, second].map((data) => ({ encoding: 1, data })),
      ),
    );
    expect(made.map(decodeChunk)).toEqual(
      downsampleRawModel(
        [
          [T, 1],
          [T + 60_000, 2],
          [T + 90_000, 3],
        ],
        fiveMinutes,
      ),
    );
  });

  test('that were deleted do not count', () => {
    const samples = Array.from({ length: 40 }, (_, i): Sample => [T + i * 60_000, i]);
    const chunks = load(
      raw,
      xorChunks(samples, 20).map((data) => ({ encoding: 1, data })),
    );
    const made = raw.downsample(chunks, [{ minTime: T + 120_000, maxTime: T + 1_500_000 }]);
    const left = samples.filter(([t]) => t < T + 120_000 || t > T + 1_500_000);
    expect(made.map(decodeChunk)).toEqual(downsampleRawModel(left, fiveMinutes));
  });

  test.each([
    ['nothing', []],
    [
      'NaNs',
      [
        [T, Number.NaN],
        [T + 15_000, Number.NaN],
      ],
    ],
    ['a stale marker', [[T, STALE_VALUE]]],
  ] as [string, Sample[]][])('that are but %s become no chunk', (_name, samples) => {
    expect(downsampleSamples(samples)).toEqual([]);
  });

  test('of too many windows for one chunk are split', () => {
    // Dense samples make the batches large, sparse ones then fill them with windows of their own.
    const dense = Array.from({ length: 400_000 }, (_, i): Sample => [T + i * 10, 1]);
    const sparse = Array.from({ length: 70_000 }, (_, i): Sample => [T + 4_200_000 + i * 300_000, 1]);
    const made = downsampleSamples([...dense, ...sparse], 60_000);
    const counts = made.map(decodeChunk).map(([count]) => count!.length);
    expect(Math.max(...counts)).toBeLessThanOrEqual(65_000);
    const total = made.flatMap((chunk) => decodeChunk(chunk)[0]!).reduce((sum, [, v]) => sum + v, 0);
    expect(total).toBe(470_000);
  });
});

describe('the levels', () => {
  const levels = (samples: readonly Sample[]): ChunkModel[][] => {
    const fine = downsampleSamples(samples);
    const coarse = hours.downsample(load(hours, fine));
    return [fine, coarse, days.downsample(load(days, coarse))].map((made) => made.map(decodeChunk));
  };

  test('are what the model makes of one another', () => {
    fc.assert(
      fc.property(series, (samples) => {
        const [fine, coarse, coarsest] = levels(samples);
        const model = downsampleRawModel(withoutStale(samples), fiveMinutes);
        const hourly = downsampleLevelModel(model, fiveMinutes, hour);
        expect(fine).toEqual(model);
        expect(coarse).toEqual(hourly);
        expect(coarsest).toEqual(downsampleLevelModel(hourly, hour, day));
      }),
      { seed: 12, numRuns: 150 },
    );
  });

  test('agree on counts, sums, least and greatest values', () => {
    const samples = Array.from({ length: 20_000 }, (_, i): Sample => [T + i * 60_000, (i * 7919) % 1013]);
    const [fine, coarse, coarsest] = levels(samples);
    for (const [below, above, width] of [
      [fine, coarse, hour],
      [coarse, coarsest, day],
    ] as const) {
      for (let k = 0; k < 4; k++) {
        const join = k < 2 ? (a: number, b: number) => a + b : k === 2 ? Math.min : Math.max;
        expect(byWindow(above!, k, width, join)).toEqual(byWindow(below!, k, width, join));
      }
    }
  });

  test('take raw chunks among the others', () => {
    const samples = Array.from({ length: 60 }, (_, i): Sample => [T + i * 60_000, i]);
    const [fine] = downsampleSamples(samples.slice(0, 30));
    const chunks = load(hours, [
      fine!,
      { encoding: 1, data: xorChunk([]) },
      { encoding: 1, data: xorChunk(samples.slice(30)), minTime: samples[30]![0], maxTime: samples[59]![0] },
    ]);
    const [chunk] = hours.downsample(chunks).map(decodeChunk);
    expect(chunk![0]).toEqual([[T + 59 * 60_000, 60]]);
    expect(chunk![4]).toEqual([
      [T, 0],
      [T + 59 * 60_000, 59],
      [T + 59 * 60_000, 59],
    ]);
  });

  test('see resets between chunks, and none where there was none', () => {
    const first = downsampleSamples([
      [T, 5],
      [T + 60_000, 9],
    ]);
    const second = downsampleSamples([
      [T + 600_000, 9],
      [T + 660_000, 12],
    ]);
    const third = downsampleSamples([
      [T + 1_200_000, 2],
      [T + 1_260_000, 3],
    ]);
    const [chunk] = hours.downsample(load(hours, [...first, ...second, ...third])).map(decodeChunk);
    const end = T + 1_260_000;
    expect(chunk![4]).toEqual([
      [T, 5],
      [end, 15],
      [end, 3],
    ]);
  });
});

function byWindow(
  chunks: readonly ChunkModel[],
  aggregate: number,
  width: number,
  join: (a: number, b: number) => number,
): [number, number][] {
  const windows = new Map<number, number>();
  for (const [t, v] of chunks.flatMap((chunk) => chunk[aggregate]!)) {
    const at = Math.floor(t / width);
    const before = windows.get(at);
    windows.set(at, before === undefined ? v : join(before, v));
  }
  return [...windows];
}

describe('damaged chunks', () => {
  const [good] = downsampleSamples(Array.from({ length: 50 }, (_, i): Sample => [T + i * 60_000, i % 17]));

  test('cut anywhere are refused', () => {
    for (let n = 0; n < good!.data.length; n++) {
      const chunks = load(hours, [{ data: good!.data.slice(0, n) }]);
      expect(() => hours.downsample(chunks)).toThrow(expect.objectContaining({ kind: 'corruption' }));
    }
  });

  test('with flipped bits give a chunk or an error of corruption', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), (flips) => {
        const data = good!.data.slice();
        for (const flip of flips) data[(flip >>> 3) % data.length]! ^= 1 << (flip & 7);
        try {
          hours.downsample(load(hours, [{ data }, good!]));
        } catch (error) {
          expect(error).toMatchObject({ kind: 'corruption' });
        }
      }),
      { seed: 13, numRuns: 3000 },
    );
  });

  test('of random bytes give an error of corruption', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.constantFrom(1, 2, 3, 4, 5, 6, 255),
        (data, encoding) => {
          for (const downsampler of [raw, hours]) {
            try {
              downsampler.downsample(load(downsampler, [{ encoding, data }]));
            } catch (error) {
              expect(error).toMatchObject({
                code: expect.stringMatching(/^(chunk|aggregate|bytes|downsample)-/),
              });
            }
          }
        },
      ),
      { seed: 14, numRuns: 3000 },
    );
  });
});
