import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesFromHex, bytesToHex } from '../../bytes/index.js';
import {
  CUSTOM_SCHEMA,
  equalHistograms,
  HistogramLayout,
  IntegerHistogram,
  NO_SPANS,
  RESET_HINT,
  type ResetHint,
  spansOf,
} from '../../histogram/index.js';
import { ByteWriter } from '../index/index.js';
import { RECORD } from './format.js';
import {
  decodeFloatHistogramBody,
  decodeHistogramBody,
  encodeFloatHistogramBody,
  encodeHistogramBody,
} from './histogram-body.js';
import { SampleRecordReader, SampleRecordWriter } from './records.js';
import { SampleV2RecordReader } from './records-v2.js';

const T = 1_700_000_000_000;
/** Written by the reference (spec: wal.md §5). */
const GOLDEN =
  '07 0000000000000001 0000018bcfe56800 00 00 00 02 37f0000000000000 02 0a 4032666666666666 02 00 02 02 01 00 03 02 04 02 00';

const h1 = IntegerHistogram.of({
  layout: new HistogramLayout(1, 2 ** -128, spansOf([0, 2], [1, 1]), NO_SPANS),
  count: 10n,
  zeroCount: 2n,
  sum: 18.4,
  positiveDeltas: [1n, 2n, 1n],
  negativeDeltas: [],
});

function bodyOf(histogram: IntegerHistogram): Uint8Array {
  const out = new ByteWriter();
  encodeHistogramBody(out, histogram);
  return out.view().slice();
}

function floatBodyOf(histogram: IntegerHistogram): Uint8Array {
  const out = new ByteWriter();
  encodeFloatHistogramBody(out, histogram.toFloat());
  return out.view().slice();
}

const histogramArbitrary = fc
  .record({
    isCustom: fc.boolean(),
    positive: fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { maxLength: 6 }),
    negative: fc.array(fc.bigInt({ min: -100n, max: 100n }), { maxLength: 4 }),
    count: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    zeroCount: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    sum: fc.oneof(fc.constant(0x7ff0000000000002n), fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })),
    hint: fc.constantFrom<ResetHint>(0, 1, 2, 3),
    offset: fc.integer({ min: -(2 ** 30), max: 2 ** 30 }),
  })
  .map((part) => {
    const negative = part.isCustom ? [] : part.negative;
    const spans = (offset: number, length: number) => (length === 0 ? NO_SPANS : spansOf([offset, length]));
    const layout = new HistogramLayout(
      part.isCustom ? CUSTOM_SCHEMA : 3,
      part.isCustom ? 0 : 0.001,
      spans(part.isCustom ? 0 : part.offset, part.positive.length),
      spans(-2, negative.length),
      part.isCustom ? Float64Array.of(-1, 0.5, 1e300) : undefined,
    );
    const { hint, count, zeroCount, sum, positive: positiveDeltas } = part;
    return IntegerHistogram.of({
      layout,
      hint,
      count,
      zeroCount,
      sum,
      positiveDeltas,
      negativeDeltas: negative,
    });
  });

describe('a histogram record', () => {
  test('has the bytes of the reference, both ways', () => {
    const reader = new SampleRecordReader();
    reader.reset(RECORD.histograms, bytesFromHex(GOLDEN).subarray(1));
    expect(reader.next()).toBe(true);
    const histogram = decodeHistogramBody(reader.body);
    expect(histogram.integers).toEqual(h1.integers);
    expect(equalHistograms(histogram.toFloat(), h1.toFloat())).toBe(true);
    const writer = new SampleRecordWriter(new ByteWriter());
    writer.start(RECORD.histograms);
    writer.add(1, T, bodyOf(h1));
    expect(bytesToHex(writer.out.view())).toBe(GOLDEN.replace(/ /g, ''));
  });

  test.each([RECORD.floatHistograms, RECORD.customFloatHistograms])('of type %i holds doubles', (type) => {
    const body = floatBodyOf(h1);
    const writer = new SampleRecordWriter(new ByteWriter());
    writer.start(type);
    writer.add(7, T, body);
    writer.add(8, T + 1, body);
    const reader = new SampleRecordReader();
    reader.reset(type, writer.out.view().slice(1));
    expect([reader.next(), reader.next(), reader.ref, reader.timestampMs]).toEqual([true, true, 8, T + 1]);
    expect(equalHistograms(decodeFloatHistogramBody(reader.body), h1.toFloat())).toBe(true);
    expect(reader.next()).toBe(false);
  });

  test('gives back any histogram to the bit', () => {
    fc.assert(
      fc.property(histogramArbitrary, (histogram) => {
        const body = bodyOf(histogram);
        const found = decodeHistogramBody(body);
        expect(found.integers).toEqual(histogram.integers);
        expect([found.hint, found.isStale]).toEqual([histogram.hint, histogram.isStale]);
        expect(bodyOf(found)).toEqual(body);
        const floatBody = floatBodyOf(histogram);
        const float = decodeFloatHistogramBody(floatBody);
        expect(float.isStale).toBe(histogram.isStale);
        const out = new ByteWriter();
        encodeFloatHistogramBody(out, float);
        expect(out.view().slice()).toEqual(floatBody);
      }),
      { seed: 31, numRuns: 500 },
    );
  });

  test('cut anywhere or damaged is refused as corruption, or is another histogram', () => {
    const custom = IntegerHistogram.of({
      layout: new HistogramLayout(CUSTOM_SCHEMA, 0, spansOf([0, 2]), NO_SPANS, Float64Array.of(1, 2)),
      hint: RESET_HINT.gauge,
      count: 3n,
      zeroCount: 0n,
      sum: 1,
      positiveDeltas: [1n, 1n],
      negativeDeltas: [],
    });
    for (const [decode, body] of [
      [decodeHistogramBody, bodyOf(h1)],
      [decodeHistogramBody, bodyOf(custom)],
      [decodeFloatHistogramBody, floatBodyOf(h1)],
      [decodeFloatHistogramBody, floatBodyOf(custom)],
    ] as const) {
      for (let n = 0; n < body.length; n++) {
        expect(() => decode(body.subarray(0, n))).toThrow(expect.objectContaining({ kind: 'corruption' }));
      }
      for (let bit = 0; bit < body.length * 8; bit++) {
        const damaged = body.slice();
        damaged[bit >>> 3]! ^= 1 << (bit & 7);
        try {
          decode(damaged);
        } catch (error) {
          expect(error).toMatchObject({ kind: 'corruption' });
        }
      }
    }
  });
});

describe('a record of version 2', () => {
  test('has refs against the entry before, and start times', () => {
    const out = new ByteWriter();
    const value = (): void => out.raw(bytesFromHex('3ff0000000000000'));
    for (const field of [5, T, T - 1000]) out.varint(field);
    value();
    for (const [ref, time, marker] of [
      [2, 10, 1],
      [-1, 20, 0],
      [3, 30, 2],
    ] as const) {
      out.varint(ref);
      out.varint(time);
      out.u8(marker);
      if (marker === 2) out.varint(500);
      value();
    }
    const reader = new SampleV2RecordReader();
    reader.reset(RECORD.samplesV2, out.view());
    const found: number[][] = [];
    while (reader.next())
      found.push([reader.ref, reader.timestampMs - T, reader.startMs, reader.body.length]);
    expect(found).toEqual([
      [5, 0, T - 1000, 8],
      [7, 10, T - 1000, 8],
      [6, 20, 0, 8],
      [9, 30, T - 500, 8],
    ]);
    for (let n = 1; n < out.length; n++) {
      reader.reset(RECORD.samplesV2, out.view().subarray(0, n));
      try {
        while (reader.next());
      } catch (error) {
        expect(error).toMatchObject({ kind: 'corruption' });
      }
    }
  });

  test.each([
    [RECORD.histogramsV2, bodyOf(h1), decodeHistogramBody],
    [RECORD.floatHistogramsV2, floatBodyOf(h1), decodeFloatHistogramBody],
  ] as const)('of type %i holds histograms', (type, body, decode) => {
    const out = new ByteWriter();
    for (const field of [1, T, 0]) out.varint(field);
    out.raw(body);
    for (const field of [1, 15_000]) out.varint(field);
    out.u8(1);
    out.raw(body);
    const reader = new SampleV2RecordReader();
    reader.reset(type, out.view());
    expect([reader.next(), reader.next(), reader.ref, reader.timestampMs]).toEqual([
      true,
      true,
      2,
      T + 15_000,
    ]);
    const found = decode(reader.body);
    expect(equalHistograms('toFloat' in found ? found.toFloat() : found, h1.toFloat())).toBe(true);
    expect(reader.next()).toBe(false);
  });
});
