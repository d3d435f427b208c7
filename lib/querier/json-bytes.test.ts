import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  ByteWriter,
  FLOAT_BYTES_MAX,
  formatFloat,
  formatPlain,
  quoteJson,
  quoteJsonHtml,
  TIMESTAMP_BYTES_MAX,
  writeFloat,
  writeTimestamp,
} from './json-bytes.js';

function written(
  write: (bytes: Uint8Array, at: number, value: number) => number,
  value: number,
  room: number,
): string {
  const bytes = new Uint8Array(room + 1);
  return Buffer.from(bytes.subarray(1, write(bytes, 1, value))).toString();
}

describe('sample values', () => {
  // Texts that Prometheus 3.5 sent for vector(x) and for the scalar x.
  test.each([
    [0, '0', '0'],
    [-0, '-0', '-0'],
    [1, '1', '1'],
    [-1, '-1', '-1'],
    [0.1, '0.1', '0.1'],
    [1.5, '1.5', '1.5'],
    [123456789, '123456789', '123456789'],
    [2147483647, '2147483647', '2147483647'],
    [2147483648, '2147483648', '2147483648'],
    [-4294967296, '-4294967296', '-4294967296'],
    [999999999999999, '999999999999999', '999999999999999'],
    [1e15, '1000000000000000', '1000000000000000'],
    [9007199254740992, '9007199254740992', '9007199254740992'],
    [1e20, '100000000000000000000', '100000000000000000000'],
    [1e21, '1e+21', '1000000000000000000000'],
    [1.5e300, '1.5e+300', `15${'0'.repeat(299)}`],
    [1e-6, '0.000001', '0.000001'],
    [1e-7, '1e-07', '0.0000001'],
    [-1.25e-9, '-1.25e-09', '-0.00000000125'],
    [5e-324, '5e-324', `0.${'0'.repeat(323)}5`],
    [1.7976931348623157e308, '1.7976931348623157e+308', `17976931348623157${'0'.repeat(292)}`],
    [0.30000000000000004, '0.30000000000000004', '0.30000000000000004'],
    [Number.NaN, 'NaN', 'NaN'],
    [Number.POSITIVE_INFINITY, '+Inf', '+Inf'],
    [Number.NEGATIVE_INFINITY, '-Inf', '-Inf'],
  ])('%d is written %s, as a scalar %s', (value, short, plain) => {
    expect(written(writeFloat, value, FLOAT_BYTES_MAX)).toBe(short);
    expect(formatFloat(value)).toBe(short);
    expect(formatPlain(value)).toBe(plain);
  });

  test('read back as the same float, whatever it is', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = written(writeFloat, value, FLOAT_BYTES_MAX);
        return (
          Object.is(Number(text), value) &&
          text === formatFloat(value) &&
          Object.is(Number(formatPlain(value)), value)
        );
      }),
      { seed: 1, numRuns: 3000 },
    );
    fc.assert(
      fc.property(
        fc.maxSafeInteger(),
        (value) => written(writeFloat, value, FLOAT_BYTES_MAX) === String(value),
      ),
      { seed: 2, numRuns: 3000 },
    );
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.integer({ min: 1, max: 12 }), (digits, places) => {
        const value = digits / 10 ** places;
        return written(writeFloat, value, FLOAT_BYTES_MAX) === formatFloat(value);
      }),
      { seed: 3, numRuns: 5000 },
    );
  });
});

describe('timestamps', () => {
  test.each([
    [0, '0'],
    [500, '0.500'],
    [-500, '-0.500'],
    [-1500, '-1.500'],
    [1, '0.001'],
    [1_700_000_000_000, '1700000000'],
    [1_700_000_000_001, '1700000000.001'],
    [1_700_000_000_120, '1700000000.120'],
    [Number.MAX_SAFE_INTEGER, '9007199254740.991'],
    [Number.MIN_SAFE_INTEGER, '-9007199254740.991'],
  ])('%d ms is %s', (timestampMs, text) => {
    expect(written(writeTimestamp, timestampMs, TIMESTAMP_BYTES_MAX)).toBe(text);
  });
});

describe('strings', () => {
  test.each([
    ['', '""', '""'],
    ['plain', '"plain"', '"plain"'],
    ['a"b\\c', '"a\\"b\\\\c"', '"a\\"b\\\\c"'],
    ['\n\r\t', '"\\n\\r\\t"', '"\\n\\r\\t"'],
    ['\b\f\0\x1f\x7f', '"\\u0008\\u000c\\u0000\\u001f\x7f"', '"\\u0008\\u000c\\u0000\\u001f\x7f"'],
    ['<a & b>', '"<a & b>"', '"\\u003ca \\u0026 b\\u003e"'],
    ['\u2028é', '"\u2028é"', '"\\u2028é"'],
  ])('%j', (text, plain, html) => {
    expect(quoteJson(text)).toBe(plain);
    expect(quoteJsonHtml(text)).toBe(html);
  });

  test('are JSON whatever they hold', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        return JSON.parse(quoteJson(text)) === text && JSON.parse(quoteJsonHtml(text)) === text;
      }),
      { seed: 4 },
    );
  });
});

describe('ByteWriter', () => {
  test('writes UTF-8 of every length and grows', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 90 })), (texts) => {
        const out = new ByteWriter(1);
        for (const text of texts) out.text(text);
        return Buffer.from(out.finish()).equals(Buffer.from(texts.join('')));
      }),
      { seed: 4 },
    );
  });
});
