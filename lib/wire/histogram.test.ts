import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesFromHex } from '../bytes/index.js';
import { VarveError } from '../errors/index.js';
import { FloatHistogram, IntegerHistogram, VALUE } from '../histogram/index.js';
import { HistogramReader } from './histogram.js';
import { encodeWriteRequest, parseWriteRequest, type WriteHistogram, writeHistogramOf } from './index.js';

const T0 = 1_700_000_000_000;
const STALE = 0x7ff0000000000002n;

/** The bytes of one Histogram message. */
function encode(histogram: WriteHistogram): Uint8Array {
  const request = encodeWriteRequest({
    timeseries: [{ labels: [], samples: [], exemplars: [], histograms: [histogram] }],
    metadata: [],
  });
  // Tag and length of the series and of the histogram go before it.
  let at = 0;
  for (let i = 0; i < 2; i++) {
    at++;
    while (request[at++]! >= 0x80);
  }
  return request.subarray(at);
}

function read(bytes: Uint8Array, reader = new HistogramReader()) {
  const padded = new Uint8Array(bytes.length + 7).fill(0xff);
  padded.set(bytes, 3);
  return { read: reader.read(padded, 3, 3 + bytes.length), timeMs: reader.timeMs };
}

/** Reads with the plain parser of `parseWriteRequest`. */
function readPlainly(message: Uint8Array): WriteHistogram {
  const series = Buffer.concat([Uint8Array.of(0x22, ...varint(message.length)), message]);
  const request = Buffer.concat([Uint8Array.of(0x0a, ...varint(series.length)), series]);
  return parseWriteRequest(request).timeseries[0]!.histograms[0]!;
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(Math.floor(value / 128))];
}

const plain: WriteHistogram = {
  isFloat: false,
  count: 9,
  sum: 18.5,
  schema: 1,
  zeroThreshold: 0.001,
  zeroCount: 1,
  negativeSpans: [],
  positiveSpans: [
    { offset: -2, length: 2 },
    { offset: 3, length: 1 },
  ],
  negativeDeltas: [],
  positiveDeltas: [3, -1, 1],
  negativeCounts: [],
  positiveCounts: [],
  resetHint: 0,
  timestampMs: T0,
  customValues: [],
};

describe('a histogram of integers', () => {
  test('from golden bytes', () => {
    // count 9, sum 18.5, schema 1, threshold 2^-10, zero count 1, spans (-2, 2) and (3, 1), deltas 3 -1 1, gauge, T0
    const { read: found, timeMs } = read(
      bytesFromHex(
        '0809 190000000000803240 2002 29000000000000503f 3001 5a0408031002 5a0408061001 6203060102 7003 7880d095ffbc31',
      ),
    );
    expect(timeMs).toBe(T0);
    expect(found).toBeInstanceOf(IntegerHistogram);
    const histogram = found as IntegerHistogram;
    expect([histogram.count, histogram.zeroCount, histogram.sum, histogram.hint]).toEqual([9n, 1n, 18.5, 3]);
    expect([...histogram.layout.positiveIndexes]).toEqual([-2, -1, 3]);
    expect(histogram.layout).toMatchObject({ schema: 1, zeroThreshold: 2 ** -10, negativeCount: 0 });
    expect([...histogram.toFloat().positiveBuckets()]).toEqual([3, 2, 3]);
  });

  test('keeps 64 bits', () => {
    const low = 'ffffffffffffffffff01';
    const { read: found } = read(bytesFromHex(`08${low} 30${low} 5a021002 6214 ${low} feffffffffffffffff01`));
    const histogram = found as IntegerHistogram;
    expect(histogram.count).toBe(2n ** 64n - 1n);
    expect(histogram.zeroCount).toBe(2n ** 64n - 1n);
    expect([...histogram.integers.subarray(VALUE.buckets)]).toEqual([-(2n ** 63n), 2n ** 63n - 1n]);
  });

  test('takes nothing of the other kind', () => {
    // count_int after count_float, zero_count_float, one bucket count.
    const { read: found } = read(
      bytesFromHex('11000000000000f03f 0805 39000000000000f03f 69000000000000f03f'),
    );
    expect(found).toBeInstanceOf(IntegerHistogram);
    expect([(found as IntegerHistogram).count, (found as IntegerHistogram).zeroCount]).toEqual([5n, 0n]);
    expect((found as IntegerHistogram).integers).toHaveLength(VALUE.buckets);
  });

  test('that says nothing is an empty one', () => {
    const { read: found, timeMs } = read(new Uint8Array(0));
    expect(found).toBeInstanceOf(IntegerHistogram);
    expect([(found as IntegerHistogram).count, timeMs]).toEqual([0n, 0]);
  });
});

test('a stale marker keeps its bits, in both kinds', () => {
  for (const isFloat of [false, true]) {
    const empty = { ...plain, isFloat, count: 0, zeroCount: 0, positiveSpans: [], positiveDeltas: [] };
    const { read: found } = read(encode({ ...empty, sum: Number.NaN, sumBits: STALE }));
    expect(found).toMatchObject({ isStale: true });
    expect(writeHistogramOf(T0, found as IntegerHistogram | FloatHistogram).sumBits).toBe(STALE);
  }
});

test('negative times, unknown hints and unknown fields', () => {
  const message = encode({ ...plain, timestampMs: -5, resetHint: 9 });
  const unknown = bytesFromHex('8801 05 9101 0102030405060708 9a01 02 ffff a501 01020304');
  const { read: found, timeMs } = read(Buffer.concat([unknown, message, unknown]));
  expect(timeMs).toBe(-5);
  expect(found).toMatchObject({ hint: 0 });
});

test('repeated scalars in pieces and unpacked', () => {
  const { read: integers } = read(bytesFromHex('5a021004 6201 02 6004 6200 62 02 06 01'));
  expect([...(integers as IntegerHistogram).integers.subarray(VALUE.buckets)]).toEqual([1n, 2n, 3n, -1n]);
  const one = '000000000000f03f';
  const { read: floats } = read(
    bytesFromHex(`11${one} 5a021002 42021001 69${one} 6a08${one} 51${one} 20 69 8101${one} 820108${one}`),
  );
  // Schema -53 with a negative side.
  expect(floats).toMatchObject({ reason: 'custom-negative-buckets' });
  const { read: custom } = read(bytesFromHex(`11${one} 5a021002 69${one} 6a08${one} 20 69 8101${one}`));
  expect([...(custom as FloatHistogram).positiveBuckets()]).toEqual([1, 1]);
  expect([...(custom as FloatHistogram).layout.customBounds]).toEqual([1]);
});

describe('layouts', () => {
  test('are shared by histograms that have the same', () => {
    const reader = new HistogramReader();
    const layoutOf = (histogram: WriteHistogram) =>
      (read(encode(histogram), reader).read as IntegerHistogram).layout;
    const first = layoutOf(plain);
    const others: WriteHistogram[] = [
      { ...plain, schema: 2 },
      { ...plain, zeroThreshold: 0.002 },
      { ...plain, negativeSpans: plain.positiveSpans, negativeDeltas: [1, 1, 1] },
      { ...plain, positiveSpans: [{ offset: -2, length: 3 }] },
      { ...plain, schema: -53, zeroThreshold: 0, customValues: [1, 2] },
      { ...plain, schema: -53, zeroThreshold: 0, customValues: [1, 3] },
    ];
    const layouts = others.map(layoutOf);
    expect(new Set([first, ...layouts]).size).toBe(7);
    expect([plain, ...others].map(layoutOf)).toEqual([first, ...layouts]);
    expect(layoutOf({ ...plain, count: 99, positiveDeltas: [5, 5, 5] })).toBe(first);
    expect(layoutOf({ ...plain, isFloat: true, positiveCounts: [1, 2, 3] })).toBe(first);
  });

  test('that are used stay shared while others come and go', () => {
    const reader = new HistogramReader();
    const layoutOf = (offset: number) => {
      const zigzag = varint(offset < 0 ? -offset * 2 - 1 : offset * 2);
      const span = [0x08, ...zigzag, 0x10, 1];
      const message = Uint8Array.of(0x5a, span.length, ...span, 0x62, 1, 2);
      return (read(message, reader).read as IntegerHistogram).layout;
    };
    const kept = layoutOf(-7);
    const lost = layoutOf(-8);
    for (let i = 0; i < 30_000; i++) {
      layoutOf(i);
      if (i % 1000 === 0) expect(layoutOf(-7)).toBe(kept);
    }
    expect(layoutOf(-8)).not.toBe(lost);
  });

  test.each<[string, Partial<WriteHistogram>, object]>([
    [
      'an unknown schema',
      { schema: 53 },
      {
        reason: 'schema',
        text: 'histogram has an unknown schema, which must be between -9 and 52 for exponential buckets, or -53 for custom buckets, got schema 53',
      },
    ],
    [
      'too few deltas',
      { positiveDeltas: [1] },
      {
        reason: 'spans-buckets-mismatch',
        text: 'positive side: spans need 3 buckets, have 1 buckets: histogram spans specify different number of buckets than provided',
      },
    ],
    [
      'deltas without spans',
      { negativeDeltas: [1] },
      {
        reason: 'spans-buckets-mismatch',
        text: 'negative side: spans need 0 buckets, have 1 buckets: histogram spans specify different number of buckets than provided',
      },
    ],
    [
      'counts beside deltas',
      { isFloat: true },
      {
        reason: 'spans-buckets-mismatch',
        text: 'positive side: spans need 3 buckets, have 0 buckets: histogram spans specify different number of buckets than provided',
      },
    ],
    [
      'a gap of -1',
      {
        positiveSpans: [
          { offset: 0, length: 2 },
          { offset: -1, length: 1 },
        ],
      },
      {
        reason: 'span-negative-offset',
        text: 'positive side: span number 2 with offset -1: histogram has a span whose offset is negative',
      },
    ],
    [
      'indexes beyond 32 bits',
      {
        positiveSpans: [
          { offset: 2 ** 31 - 2, length: 1 },
          { offset: 5, length: 2 },
        ],
      },
      { reason: 'bucket-index' },
    ],
    [
      'spans that claim 4 billion buckets',
      { positiveSpans: [{ offset: 0, length: 2 ** 32 - 1 }] },
      { reason: 'spans-buckets-mismatch' },
    ],
    [
      'negative buckets of schema -53',
      { schema: -53, negativeDeltas: [1] },
      { reason: 'custom-negative-buckets', text: 'custom buckets: must not have negative buckets' },
    ],
  ])('cannot express %s', (_, change, defect) => {
    const reader = new HistogramReader();
    // A layout that is known must not hide what is wrong.
    read(encode(plain), reader);
    expect(read(encode({ ...plain, ...change }), reader).read).toMatchObject(defect);
  });
});

describe('broken messages', () => {
  test.each([
    ['a wrong wire type of a count', '0a00'],
    ['a wrong wire type of a sum', '1801'],
    ['a wrong wire type of spans', '4001'],
    ['a wrong wire type of deltas', '6100'],
    ['a wrong wire type of custom values', '8001 00'],
    ['a wrong wire type inside a span', '4202 0a00'],
    ['field number 0', '0001'],
    ['a group', '9b01 9c01'],
    ['a tag above 32 bits', '888080808001 00'],
    ['doubles that are cut', '6a07 00000000000000'],
    ['a span that reaches out', '5a05 0801'],
    ['a delta that reaches out', '6201 80 01'],
    ['a delta that is not there', '60'],
    ['a varint of eleven bytes', '08 8080808080808080808001'],
    ['a varint above 64 bits', '08 ffffffffffffffffff02'],
    ['a length of 2^63', '62 80808080808080808001'],
  ])('%s', (_, hex) => {
    expect(() => read(bytesFromHex(hex))).toThrow(
      expect.objectContaining({ kind: 'client', code: 'write-request-malformed' }),
    );
  });
});

describe('against the plain parser', () => {
  const number = fc.oneof(fc.double(), fc.integer().map(Number));
  const side = fc
    .array(fc.record({ offset: fc.nat(9), length: fc.nat(4) }), { maxLength: 3 })
    .chain((spans) => {
      const n = spans.reduce((sum, { length }) => sum + length, 0);
      return fc.record({
        spans: fc.constant(spans),
        deltas: fc.array(fc.oneof(fc.integer({ min: -100, max: 100 }), fc.maxSafeInteger()), {
          minLength: n,
          maxLength: n,
        }),
        counts: fc.array(number, { minLength: n, maxLength: n }),
      });
    });
  const histogram = fc
    .record({
      isFloat: fc.boolean(),
      isCustom: fc.boolean(),
      count: fc.maxSafeNat(),
      sum: number,
      schema: fc.integer({ min: -9, max: 52 }),
      zeroThreshold: fc.double({ noNaN: true }),
      zeroCount: fc.maxSafeNat(),
      positive: side,
      negative: side,
      resetHint: fc.nat(3),
      timestampMs: fc.maxSafeInteger(),
      customValues: fc.array(number, { maxLength: 3 }),
    })
    .map(({ positive, negative, isCustom, ...one }): WriteHistogram => {
      const { spans, deltas, counts } = isCustom ? { spans: [], deltas: [], counts: [] } : negative;
      return {
        ...one,
        schema: isCustom ? -53 : one.schema,
        positiveSpans: positive.spans,
        negativeSpans: spans,
        positiveDeltas: one.isFloat ? [] : positive.deltas,
        negativeDeltas: one.isFloat ? [] : deltas,
        positiveCounts: one.isFloat ? positive.counts : [],
        negativeCounts: one.isFloat ? counts : [],
      };
    });
  const reader = new HistogramReader();

  test('the same is read, and written again', () => {
    fc.assert(
      fc.property(histogram, (given) => {
        const { read: found, timeMs } = read(encode(given), reader);
        expect(found).not.toHaveProperty('text');
        expect(writeHistogramOf(timeMs, found as IntegerHistogram | FloatHistogram)).toEqual(
          readPlainly(encode(given)),
        );
      }),
      { seed: 11, numRuns: 400 },
    );
  });

  test('damaged bytes are refused by both or read by both', () => {
    fc.assert(
      fc.property(histogram, fc.nat(), fc.nat(), fc.boolean(), (given, at, flip, isCut) => {
        const bytes = Buffer.from(encode(given));
        const damaged = isCut ? bytes.subarray(0, at % bytes.length) : bytes;
        if (!isCut) bytes[at % bytes.length]! ^= 1 << (flip % 8);
        let expected: WriteHistogram | null = null;
        try {
          expected = readPlainly(damaged);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(VarveError);
        }
        try {
          const { read: found } = read(damaged, reader);
          expect(expected).not.toBeNull();
          if ('text' in found) return;
          expect(found instanceof FloatHistogram).toBe(expected!.isFloat);
          expect(Number(found.count)).toBe(expected!.count);
        } catch (thrown) {
          if (!(thrown instanceof VarveError)) throw thrown;
          expect(expected).toBeNull();
        }
      }),
      { seed: 12, numRuns: 1500 },
    );
  });
});
