// Remote write 1.0: golden bytes of the original marshalling code, round trips, and strictness on bad bytes.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesFromHex, bytesToHex } from '../bytes/index.js';
import { VarveError } from '../errors/index.js';
import {
  encodeWriteRequest,
  parseWriteRequest,
  type WriteHistogram,
  type WriteRequest,
  type WriteSeries,
} from './index.js';

const T = 1700000000000;
const STALE = 0x7ff0000000000002n;
const upLabels = [
  { name: '__name__', value: 'up' },
  { name: 'job', value: 'a' },
];
const UP =
  '0a2c 0a0e 0a085f5f6e616d655f5f 12027570 0a08 0a036a6f62 120161 1210 09000000000000f03f 1080d095ffbc31';

function requestOf(series: Partial<WriteSeries>): WriteRequest {
  return {
    timeseries: [{ labels: [], samples: [], exemplars: [], histograms: [], ...series }],
    metadata: [],
  };
}

const h1: WriteHistogram = {
  isFloat: false,
  count: 10,
  sum: 18.4,
  schema: 1,
  zeroThreshold: 2 ** -128,
  zeroCount: 2,
  negativeSpans: [],
  positiveSpans: [
    { offset: 0, length: 2 },
    { offset: 1, length: 1 },
  ],
  negativeDeltas: [],
  positiveDeltas: [1, 2, 1],
  negativeCounts: [],
  positiveCounts: [],
  resetHint: 0,
  timestampMs: T,
  customValues: [],
};

function bitsOf(value: number): bigint {
  return new BigUint64Array(Float64Array.of(value).buffer)[0]!;
}

describe('golden bytes', () => {
  test('a message of one sample', () => {
    const request = requestOf({ labels: upLabels, samples: [{ timestampMs: T, value: 1 }] });
    const bytes = bytesFromHex(UP);
    expect(bytesToHex(encodeWriteRequest(request))).toBe(bytesToHex(bytes));
    expect(parseWriteRequest(bytes)).toEqual(
      requestOf({ labels: upLabels, samples: [{ timestampMs: T, value: 1, bits: bitsOf(1) }] }),
    );
  });

  test('a histogram', () => {
    const body =
      '080a 196666666666663240 2002 29000000000000f037 3002 5a021002 5a0408021001 6203020402 7880d095ffbc31';
    const length = bytesFromHex(body).length;
    const bytes = bytesFromHex(`0a${(length + 2).toString(16)} 22${length.toString(16)} ${body}`);
    expect(bytesToHex(encodeWriteRequest(requestOf({ histograms: [h1] })))).toBe(bytesToHex(bytes));
    expect(parseWriteRequest(bytes)).toEqual(requestOf({ histograms: [{ ...h1, sumBits: bitsOf(18.4) }] }));
  });
});

describe('encoding', () => {
  test('keeps the bits of stale markers and other NaNs', () => {
    const all = [STALE, 0x7ff8000000000001n, 0xfff8000000000000n, 0n, 1n << 63n];
    const samples = all.map((bits, i) => ({ timestampMs: i, value: 0, bits }));
    const parsed = parseWriteRequest(encodeWriteRequest(requestOf({ samples })));
    expect(parsed.timeseries[0]!.samples.map(({ bits }) => bits)).toEqual(all);
  });

  test('writes labels as they are given, invalid ones too', () => {
    const labels = [
      { name: 'z', value: '1' },
      { name: 'a b', value: '' },
      { name: 'z', value: 'ü😀' },
      { name: '', value: '' },
    ];
    expect(parseWriteRequest(encodeWriteRequest(requestOf({ labels }))).timeseries[0]!.labels).toEqual(
      labels,
    );
  });

  test('writes the chosen members of a histogram when they are 0', () => {
    const empty = { ...h1, count: 0, zeroCount: 0, positiveSpans: [], positiveDeltas: [] };
    expect(bytesToHex(encodeWriteRequest(requestOf({ histograms: [empty] })))).toContain('0800');
    const float = { ...empty, isFloat: true };
    const parsed = parseWriteRequest(encodeWriteRequest(requestOf({ histograms: [float] })));
    expect(parsed.timeseries[0]!.histograms[0]!.isFloat).toBe(true);
  });
});

describe('round trip', () => {
  const timestampMs = fc.maxSafeInteger();
  const text = fc.string({ maxLength: 12, unit: 'grapheme' });
  const labels = fc.array(fc.record({ name: text, value: text }), { maxLength: 4 });
  const double = fc.double({ noNaN: true });
  const whole = fc.integer();
  const spans = fc.array(fc.record({ offset: whole, length: fc.nat() }), { maxLength: 3 });
  const sample = fc
    .record({ timestampMs, value: double })
    .map(({ timestampMs, value }) => ({ timestampMs, value, bits: bitsOf(value) }));
  const histogram = fc
    .record({
      isFloat: fc.boolean(),
      count: fc.maxSafeNat(),
      sum: double,
      schema: fc.integer({ min: -53, max: 8 }),
      zeroThreshold: double,
      zeroCount: fc.maxSafeNat(),
      negativeSpans: spans,
      positiveSpans: spans,
      negativeDeltas: fc.array(fc.maxSafeInteger(), { maxLength: 4 }),
      positiveDeltas: fc.array(fc.maxSafeInteger(), { maxLength: 4 }),
      negativeCounts: fc.array(double, { maxLength: 4 }),
      positiveCounts: fc.array(double, { maxLength: 4 }),
      resetHint: fc.nat(3),
      timestampMs,
      customValues: fc.array(double, { maxLength: 4 }),
    })
    .map((one) => ({ ...one, sumBits: bitsOf(one.sum) }));
  const request = fc.record({
    timeseries: fc.array(
      fc.record({
        labels,
        samples: fc.array(sample, { maxLength: 3 }),
        exemplars: fc.array(fc.record({ labels, value: double, timestampMs }), { maxLength: 2 }),
        histograms: fc.array(histogram, { maxLength: 2 }),
      }),
      { maxLength: 3 },
    ),
    metadata: fc.array(fc.record({ type: fc.nat(7), metricFamilyName: text, help: text, unit: text }), {
      maxLength: 3,
    }),
  });

  test('what is encoded is parsed back', () => {
    fc.assert(
      fc.property(request, (given) => {
        expect(parseWriteRequest(encodeWriteRequest(given))).toEqual(given);
      }),
      { seed: 41, numRuns: 200 },
    );
  });

  test('a flipped bit gives a request or a client error', () => {
    fc.assert(
      fc.property(request, fc.nat(), (given, flip) => {
        const bytes = encodeWriteRequest(given);
        if (bytes.length === 0) return;
        bytes[(flip >> 3) % bytes.length]! ^= 1 << (flip & 7);
        try {
          parseWriteRequest(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(VarveError);
          expect(error).toMatchObject({ kind: 'client', code: 'protobuf-malformed' });
        }
      }),
      { seed: 42, numRuns: 400 },
    );
  });
});

describe('parsing', () => {
  test('an empty message is an empty request', () => {
    expect(parseWriteRequest(new Uint8Array(0))).toEqual({ timeseries: [], metadata: [] });
  });

  test('skips unknown fields of every wire type', () => {
    // Numbers 7 to 11, as a varint, 8 bytes, a length with bytes, and 4 bytes.
    const unknown = '3801 410102030405060708 4a03aabbcc 5501020304';
    const length = 0x2c + bytesFromHex(unknown).length;
    const bytes = bytesFromHex(`${unknown} 0a${length.toString(16)} ${UP.slice(4)} ${unknown}`);
    expect(parseWriteRequest(bytes).timeseries[0]!.labels).toEqual(upLabels);
  });

  test('takes unpacked repeated scalars', () => {
    const parsed = parseWriteRequest(bytesFromHex('0a11 220f 6002 6004 69000000000000f03f 6000'));
    expect(parsed.timeseries[0]!.histograms[0]!).toMatchObject({
      positiveDeltas: [1, 2, 0],
      positiveCounts: [1],
    });
  });

  test('refuses every truncation inside the only series', () => {
    const bytes = bytesFromHex(UP);
    for (let n = 1; n < bytes.length; n++) {
      expect(() => parseWriteRequest(bytes.subarray(0, n))).toThrow(
        expect.objectContaining({ kind: 'client', code: 'protobuf-malformed' }),
      );
    }
  });

  test.each([
    ['a wrong wire type', '0801'],
    ['a wrong wire type of a sample', '0a04 1202 0801'],
    ['a wrong wire type of a label', '0a04 0a02 0801'],
    ['field number 0', '0001'],
    ['a field number above 29 bits', '8280808010 00'],
    ['a group', '13 14'],
    ['wire type 7', '17'],
    ['a length beyond the end', '0a05 00'],
    ['a length of 2^63', '0affffffffffffffff7f'],
    ['a varint above 64 bits', '10ffffffffffffffffff02'],
    ['a label that is not UTF-8', '0a05 0a03 0a01ff'],
  ])('refuses %s', (_, hex) => {
    expect(() => parseWriteRequest(bytesFromHex(hex))).toThrow(
      expect.objectContaining({ kind: 'client', code: 'protobuf-malformed' }),
    );
  });
});
