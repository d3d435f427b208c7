import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesFromHex, bytesToHex } from '../../bytes/index.js';
import { VarveError } from '../../errors/index.js';
import {
  CUSTOM_SCHEMA,
  equalHistograms,
  type FloatHistogram,
  formatHistogram,
  HistogramLayout,
  IntegerHistogram,
  NO_SPANS,
  RESET_HINT,
  type ResetHint,
  spansOf,
} from '../../histogram/index.js';
import { ENCODING, RESET_HEADER } from './format.js';
import { HistogramAppender } from './histogram-appender.js';
import { histogramAt } from './histogram-columns.js';
import { HistogramDecoder } from './histogram-decoder.js';

/** Vectors were made by the reference implementation (spec: chunks.md §6.6, §7, §8). */

const T = 1_700_000_000_000;
const STALE_SUM = 0x7ff0000000000002n;
const decoder = new HistogramDecoder();
const two = new HistogramLayout(1, 2 ** -128, spansOf([0, 2], [1, 1]), NO_SPANS);

interface Parts {
  readonly layout?: HistogramLayout;
  readonly count: number;
  readonly zeroCount?: number;
  readonly sum: bigint | number;
  readonly positive?: readonly number[];
  readonly negative?: readonly number[];
  readonly hint?: ResetHint;
}

function histogram(parts: Parts): IntegerHistogram {
  return IntegerHistogram.of({
    layout: parts.layout ?? two,
    hint: parts.hint ?? RESET_HINT.unknown,
    count: BigInt(parts.count),
    zeroCount: BigInt(parts.zeroCount ?? 0),
    sum: parts.sum,
    positiveDeltas: (parts.positive ?? []).map(BigInt),
    negativeDeltas: (parts.negative ?? []).map(BigInt),
  });
}

const h1 = histogram({ count: 10, zeroCount: 2, sum: 18.4, positive: [1, 2, 1] });
const h2 = histogram({ count: 14, zeroCount: 3, sum: 25, positive: [2, 2, 1] });
const h3 = histogram({ count: 19, zeroCount: 3, sum: 40, positive: [3, 3, 1] });
const stale = histogram({ layout: new HistogramLayout(0, 0, NO_SPANS, NO_SPANS), count: 0, sum: STALE_SUM });

function custom(...bounds: number[]): IntegerHistogram {
  const layout = new HistogramLayout(CUSTOM_SCHEMA, 0, spansOf([0, 3]), NO_SPANS, Float64Array.from(bounds));
  return histogram({ layout, count: 8, sum: 18.4, positive: [1, 2, 1] });
}

function gauge(h: IntegerHistogram): IntegerHistogram {
  return new IntegerHistogram(h.layout, h.integers, RESET_HINT.gauge);
}

/** The chunks of samples every 15 s from T on, in hexadecimal. */
function encode(samples: readonly IntegerHistogram[]): string[] {
  return encodeWith(HistogramAppender.integers(), samples);
}

function encodeFloats(samples: readonly IntegerHistogram[]): string[] {
  return encodeWith(
    HistogramAppender.floats(),
    samples.map((sample) => sample.toFloat()),
  );
}

function encodeWith<H extends IntegerHistogram | FloatHistogram>(
  appender: HistogramAppender<H>,
  samples: readonly H[],
): string[] {
  const chunks = samples.map((sample, i) => appender.append(T + i * 15_000, sample));
  return [...chunks, appender.cut()].filter((chunk) => chunk !== null).map(bytesToHex);
}

const H1 = '000300748ca48c5fc0003179fcad0018a920193333333333334651f83a98a476676ccccccccccce2237d23fd44';
const INTEGER_VECTORS: readonly (readonly [string, readonly IntegerHistogram[], readonly string[]])[] = [
  ['three samples', [h1, h2, h3], [H1]],
  [
    'a stale marker',
    [h1, stale],
    ['000200748ca48c5fc0003179fcad0018a920193333333333334651f83a983179fe13333333333320'],
  ],
  [
    'short custom bounds',
    [custom(0.005, 1, 2.5)],
    ['00010000ee5c664ede3e9f4e2ff0000c5e7f2b4006208064cccccccccccd1944'],
  ],
  [
    'long custom bounds',
    [custom(0.0001, 1e6, Math.PI)],
    [
      '00010000ee5c664c7e346dc5d638865a412e848000000000200490fdaa22168c7f0000c5e7f2b4006208064cccccccccccd19440',
    ],
  ],
  ['a gauge', [gauge(h1)], ['0001c0748ca48c5fc0003179fcad0018a920193333333333334651']],
  [
    'a counter reset',
    [h2, h1],
    [
      '000100748ca48c5fc0003179fcad0018e9a01c8000000000004a51',
      '000180748ca48c5fc0003179fcb45318a920193333333333334651',
    ],
  ],
  [
    'a bucket that appears',
    [
      h1,
      histogram({
        layout: new HistogramLayout(1, 2 ** -128, spansOf([0, 4]), NO_SPANS),
        count: 15,
        zeroCount: 3,
        sum: 25,
        positive: [2, 2, -3, 4],
      }),
    ],
    ['000200748c687f0000c5e7f2b40062a48064cccccccccccd19569f07531858ecced99999999999c400'],
  ],
];

const F1 =
  '000200748ca48c5fc0003179fcad000804800000000000080000000000000008064cccccccccccc7fe000000000000080100000000000008020000000000001f07531b01ec07b33b66666666666784bfffac2f6830';
const F2 =
  '000200748ca48c5fc0003179fcad000804800000000000080000000000000008064cccccccccccc7fe000000000000080100000000000008020000000000001f0753184d804e1078bcff09999999999990';

describe('a histogram chunk', () => {
  test.each(INTEGER_VECTORS)('of integers has the bytes of the reference: %s', (_, samples, expected) => {
    expect(encode(samples)).toEqual(expected);
  });

  test.each([
    ['two samples', [h1, h2], F1],
    ['a stale marker', [h1, stale], F2],
  ])('of floats has the bytes of the reference: %s', (_, samples, expected) => {
    expect(encodeFloats(samples)).toEqual([expected]);
  });

  test('reads back what was appended', () => {
    const columns = decoder.decode(ENCODING.histogram, bytesFromHex(H1));
    expect(Array.from(columns.timestamps)).toEqual([T, T + 15_000, T + 30_000]);
    const read = [0, 1, 2].map((i) => histogramAt(columns, i));
    expect(read.map((h) => h.hint)).toEqual([RESET_HINT.unknown, RESET_HINT.notReset, RESET_HINT.notReset]);
    for (const [i, h] of [h1, h2, h3].entries()) expect(equalHistograms(read[i]!, h.toFloat())).toBe(true);
    expect(formatHistogram(read[0]!)).toBe(
      '{count:10, sum:18.4, [-2.938735877055719e-39,2.938735877055719e-39]:2, (0.7071067811865475,1]:1, (1,1.414213562373095]:3, (2,2.82842712474619]:4}',
    );
  });

  test('gives gauges their hint and keeps stale markers apart', () => {
    const columns = decoder.decode(ENCODING.histogram, bytesFromHex(encode([gauge(h1)])[0]!));
    expect(histogramAt(columns, 0).hint).toBe(RESET_HINT.gauge);
    for (const hex of [INTEGER_VECTORS[1]![2][0]!, F2]) {
      const encoding = hex === F2 ? ENCODING.floatHistogram : ENCODING.histogram;
      const withStale = decoder.decode(encoding, bytesFromHex(hex));
      expect(histogramAt(withStale, 0).isStale).toBe(false);
      expect(histogramAt(withStale, 1).isStale).toBe(true);
      expect(histogramAt(withStale, 1).values).toHaveLength(3);
    }
  });

  test('with start times reads as without', () => {
    const s1 = '000280748ca48c5fc0003179fcad0018a920193333333333334651d00ff83a98a476676ccccccccccce200';
    const s2 =
      '000381748ca48c5fc0003179fcad0018a920193333333333334651b0ea01f83a98a476676ccccccccccce211be91fea200';
    const first = decoder.decode(ENCODING.histogramSt, bytesFromHex(s1));
    expect(Array.from(first.startTimestamps ?? [])).toEqual([T - 1000, T - 1000]);
    expect(equalHistograms(histogramAt(first, 1), h2.toFloat())).toBe(true);
    const second = decoder.decode(ENCODING.histogramSt, bytesFromHex(s2));
    expect(Array.from(second.startTimestamps ?? [])).toEqual([T - 15_000, T, T + 15_000]);
    expect(equalHistograms(histogramAt(second, 2), h3.toFloat())).toBe(true);
    expect(Array.from(second.timestamps)).toEqual([T, T + 15_000, T + 30_000]);
  });

  test('keeps integers above 2^53 exactly and rounds them once for queries', () => {
    const layout = new HistogramLayout(0, 0, spansOf([0, 3]), NO_SPANS);
    const big = [
      2n ** 63n - 1n,
      -(2n ** 62n),
      12345n,
      2n ** 55n,
      -(2n ** 55n) + 1n,
      -(2n ** 55n),
      2n ** 24n,
      -1n,
    ];
    const samples = big.map((x, i) =>
      IntegerHistogram.of({
        layout,
        hint: RESET_HINT.gauge,
        count: 2n ** 64n - 1n - BigInt(i),
        zeroCount: BigInt.asUintN(64, x),
        sum: 1.5,
        positiveDeltas: [x, -x + 7n, 3n],
        negativeDeltas: [],
      }),
    );
    const chunk = bytesFromHex(encode(samples)[0]!);
    const columns = decoder.decodeIntegers(ENCODING.histogram, chunk);
    expect(columns.sampleCount).toBe(big.length);
    for (const [i, sample] of samples.entries()) {
      const row = columns.integers.subarray(i * columns.stride, (i + 1) * columns.stride);
      expect(row).toEqual(sample.integers);
    }
    const floats = decoder.decode(ENCODING.histogram, chunk);
    expect(histogramAt(floats, 0).count).toBe(2 ** 64);
    expect(Array.from(histogramAt(floats, 2).positiveBuckets())).toEqual([12345, 7, 10]);
    expect(histogramAt(floats, 3).positiveBuckets()[0]).toBe(2 ** 55);
  });

  test.each([2, 3, 5, 6])('of encoding %i without samples is empty, without a header refused', (encoding) => {
    expect(decoder.decode(encoding, new Uint8Array(3)).sampleCount).toBe(0);
    for (const n of [0, 1, 2]) expect(() => decoder.decode(encoding, new Uint8Array(n))).toThrow(VarveError);
  });

  test('of another encoding is refused', () => {
    expect(() => decoder.decode(1, bytesFromHex(H1))).toThrow(
      expect.objectContaining({ code: 'chunk-encoding' }),
    );
  });
});

describe('the header of the next chunk', () => {
  const wide = new HistogramLayout(2, 2 ** -128, spansOf([0, 3]), NO_SPANS);
  const more = { count: 20, zeroCount: 3, sum: 40, positive: [3, 3, 1] };
  const withHint = (h: IntegerHistogram, hint: ResetHint) => new IntegerHistogram(h.layout, h.integers, hint);
  const cases: readonly (readonly [string, IntegerHistogram, IntegerHistogram, number, number])[] = [
    ['a gauge chunk', gauge(h1), h2, RESET_HEADER.notReset, RESET_HEADER.unknown],
    ['a counter chunk and a gauge', h1, gauge(h2), RESET_HEADER.gauge, RESET_HEADER.gauge],
    ['an explicit reset', h1, withHint(h2, RESET_HINT.reset), RESET_HEADER.reset, RESET_HEADER.reset],
    ['a stale marker', stale, h1, RESET_HEADER.unknown, RESET_HEADER.unknown],
    ['another schema', h1, histogram({ layout: wide, ...more }), RESET_HEADER.unknown, RESET_HEADER.unknown],
    ['other custom bounds', custom(1, 2, 3), custom(1, 2, 4), RESET_HEADER.reset, RESET_HEADER.reset],
    ['a lower count', h2, h1, RESET_HEADER.reset, RESET_HEADER.reset],
    [
      'a lower zero count',
      h2,
      histogram({ count: 14, zeroCount: 2, sum: 1, positive: [3, 2, 1] }),
      RESET_HEADER.reset,
      RESET_HEADER.reset,
    ],
    [
      'a lower bucket',
      h2,
      histogram({ count: 20, zeroCount: 3, sum: 1, positive: [5, -2, 9] }),
      RESET_HEADER.reset,
      RESET_HEADER.reset,
    ],
    [
      'a bucket that is gone',
      h2,
      histogram({
        layout: new HistogramLayout(1, 2 ** -128, spansOf([0, 2]), NO_SPANS),
        count: 20,
        zeroCount: 3,
        sum: 1,
        positive: [8, 1],
      }),
      RESET_HEADER.reset,
      RESET_HEADER.reset,
    ],
  ];
  test.each(cases)('after %s', (_, before, after, integer, float) => {
    const chunks = encode([before, after]);
    expect(chunks).toHaveLength(2);
    expect(bytesFromHex(chunks[1]!)[2]).toBe(integer);
    const floats = encodeFloats([before, after]);
    expect(floats).toHaveLength(2);
    expect(bytesFromHex(floats[1]!)[2]).toBe(float);
  });

  test('after a cut for size says what the last sample shows', () => {
    const next = (before: IntegerHistogram, after: IntegerHistogram): number[] =>
      [HistogramAppender.integers(), HistogramAppender.floats()].map((appender) => {
        const isFloat = appender.encoding === ENCODING.floatHistogram;
        const add = (t: number, h: IntegerHistogram) =>
          isFloat
            ? (appender as HistogramAppender<FloatHistogram>).append(t, h.toFloat())
            : (appender as HistogramAppender<IntegerHistogram>).append(t, h);
        add(T, before);
        appender.cut();
        expect(add(T + 1, after)).toBeNull();
        return appender.chunk()![2]!;
      });
    expect(next(h1, h2)).toEqual([RESET_HEADER.notReset, RESET_HEADER.notReset]);
    expect(next(h2, h1)).toEqual([RESET_HEADER.reset, RESET_HEADER.reset]);
    const other = histogram({ layout: wide, ...more });
    expect(next(h1, other)).toEqual([RESET_HEADER.unknown, RESET_HEADER.notReset]);
  });
});

/** A counter or gauge with changing buckets on both sides. */
const samplesArbitrary = fc.array(
  fc.record({
    positive: fc.dictionary(fc.integer({ min: -4, max: 8 }).map(String), fc.nat(1000), { maxKeys: 6 }),
    negative: fc.dictionary(fc.integer({ min: -2, max: 4 }).map(String), fc.nat(20), { maxKeys: 3 }),
    sum: fc.double({ noNaN: true }),
    isGauge: fc.boolean(),
    isStale: fc.boolean(),
    step: fc.integer({ min: 1, max: 1e9 }),
  }),
  { minLength: 1, maxLength: 12 },
);

type Sample =
  typeof samplesArbitrary extends fc.Arbitrary<infer S>
    ? S extends readonly (infer U)[]
      ? U
      : never
    : never;

function ofSample(sample: Sample): IntegerHistogram {
  if (sample.isStale && sample.step % 3 === 0) return stale;
  const side = (counts: Record<string, number>) => {
    const indexes = Int32Array.from(Object.keys(counts), Number).sort();
    const values = Array.from(indexes, (index) => counts[String(index)]!);
    return { indexes, values, deltas: values.map((value, i) => value - (values[i - 1] ?? 0)) };
  };
  const positive = side(sample.positive);
  const negative = side(sample.negative);
  return histogram({
    layout: HistogramLayout.ofIndexes(3, 0.001, positive.indexes, negative.indexes),
    count: [...positive.values, ...negative.values].reduce((a, b) => a + b, 0),
    sum: sample.sum,
    positive: positive.deltas,
    negative: negative.deltas,
    hint: sample.isGauge ? RESET_HINT.gauge : RESET_HINT.unknown,
  });
}

describe('histogram chunks of any series', () => {
  test('say what was appended, as integers and as doubles', () => {
    fc.assert(
      fc.property(samplesArbitrary, (samples) => {
        const integers = HistogramAppender.integers();
        const floats = HistogramAppender.floats();
        const chunks: [number, Uint8Array | null][] = [];
        let t = T;
        const expected = samples.map((sample) => {
          t += sample.step;
          const h = ofSample(sample);
          chunks.push([2, integers.append(t, h)], [3, floats.append(t, h.toFloat())]);
          return `${t} ${formatHistogram(h.toFloat())}`;
        });
        chunks.push([2, integers.cut()], [3, floats.cut()]);
        for (const encoding of [2, 3]) {
          const found = chunks.flatMap(([chunkEncoding, chunk]) => {
            if (chunkEncoding !== encoding || chunk === null) return [];
            const columns = decoder.decode(encoding, chunk);
            return Array.from(
              columns.timestamps,
              (time, i) => `${time} ${formatHistogram(histogramAt(columns, i))}`,
            );
          });
          expect(found).toEqual(expected);
        }
      }),
      { seed: 7, numRuns: 300 },
    );
  });
});

const HOSTILE: readonly (readonly [number, string])[] = [
  ...INTEGER_VECTORS.map(([, , chunks]): [number, string] => [2, chunks[0]!]),
  [3, F1],
  [3, F2],
  [5, '000381748ca48c5fc0003179fcad0018a920193333333333334651b0ea01f83a98a476676ccccccccccce211be91fea200'],
];

describe('hostile histogram chunks', () => {
  test.each(HOSTILE)('of encoding %i cut anywhere are refused: %s', (encoding, hex) => {
    const chunk = bytesFromHex(hex);
    for (let n = 0; n < chunk.length; n++) {
      expect(() => decoder.decode(encoding, chunk.subarray(0, n))).toThrow(
        expect.objectContaining({ kind: 'corruption' }),
      );
    }
  });

  test('with flipped bits give samples or an error of corruption', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...HOSTILE),
        fc.array(fc.nat(), { minLength: 1, maxLength: 6 }),
        ([encoding, hex], flips) => {
          const chunk = bytesFromHex(hex);
          for (const flip of flips) {
            const bit = flip % (chunk.length * 8);
            chunk[bit >>> 3]! ^= 1 << (bit & 7);
          }
          try {
            const columns = decoder.decode(encoding, chunk);
            expect(columns.values).toHaveLength(columns.sampleCount * columns.stride);
          } catch (error) {
            expect(error).toMatchObject({ kind: 'corruption' });
          }
        },
      ),
      { seed: 11, numRuns: 5000 },
    );
  });
});
