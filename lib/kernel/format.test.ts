import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SeededPrng } from '../prng/index.js';
import { FormatKernel, formatKernel } from './format.js';

const kernel = formatKernel();
const doubles = new Float64Array(1);
const words = new Uint32Array(doubles.buffer);
const bits = new BigUint64Array(doubles.buffer);

const target = Buffer.alloc(32);

function floatText(value: number): string {
  return target.toString('latin1', 1, kernel.float(target, 1, value));
}

function fromBits(pattern: bigint): number {
  bits[0] = BigInt.asUintN(64, pattern);
  return doubles[0]!;
}

/** The same text by JavaScript's own conversion, which only differs in names and in exponents of one digit. */
function expectedText(value: number): string {
  if (Object.is(value, -0)) return '-0';
  if (Math.abs(value) === Number.POSITIVE_INFINITY) return value > 0 ? '+Inf' : '-Inf';
  return String(value).replace(/e([+-])(\d)$/, 'e$10$2');
}

/** Compares without a matcher per value, which would take most of the time. */
function mismatches(values: Iterable<number>): string[] {
  const found: string[] = [];
  for (const value of values) {
    for (const signed of [value, -value]) {
      const text = floatText(signed);
      const expected = expectedText(signed);
      if (text !== expected) found.push(`${expected} as ${text}`);
    }
  }
  return found;
}

/** Each value with the floats next to it. */
function* withNeighbours(values: Iterable<number>): Generator<number> {
  for (const value of values) {
    doubles[0] = value;
    const pattern = bits[0]!;
    for (let d = -3n; d <= 3n; d++) yield fromBits(pattern + d);
  }
}

describe('floats', () => {
  test.each([
    [0, '0'],
    [-0, '-0'],
    [Number.NaN, 'NaN'],
    [fromBits(-1n), 'NaN'],
    [Number.POSITIVE_INFINITY, '+Inf'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
    [1e-6, '0.000001'],
    [0.0000012345678901234567, '0.0000012345678901234567'],
    [1e-7, '1e-07'],
    [-1.25e-9, '-1.25e-09'],
    [5e-324, '5e-324'],
    [1e15, '1000000000000000'],
    [9007199254740992, '9007199254740992'],
    [123456789012345680000, '123456789012345680000'],
    [1e21, '1e+21'],
    [1.7976931348623157e308, '1.7976931348623157e+308'],
    [5.684341886080802e-14, '5.684341886080802e-14'],
  ])('%d is written %s', (value, text) => {
    expect(floatText(value)).toBe(text);
  });

  test('around every power of two', () => {
    const powers = Array.from({ length: 2047 }, (_, exponent) => fromBits(BigInt(exponent) << 52n));
    expect(mismatches(withNeighbours(powers))).toEqual([]);
  });

  test('around every power of ten and its multiples', () => {
    const powers = Array.from({ length: 633 }, (_, i) => i - 324).flatMap((power) =>
      Array.from({ length: 9 }, (_, i) => Number(`${i + 1}e${power}`)),
    );
    expect(mismatches(withNeighbours(powers))).toEqual([]);
  });

  test('of a million random bit patterns, subnormals, fractions, integers and decimals', () => {
    const prng = new SeededPrng(7);
    function* values(): Generator<number> {
      for (let i = 0; i < 100_000; i++) {
        words[0] = prng.nextInt(2 ** 32);
        words[1] = prng.nextInt(2 ** 32);
        yield doubles[0]!;
        words[0] = prng.nextInt(2 ** 32);
        words[1] = prng.nextInt(2 ** 20);
        yield doubles[0]!;
        yield prng.nextFloat() * 1000;
        yield prng.nextInt(2 ** 53) / 2 ** prng.nextInt(12);
        yield prng.nextInt(2 ** 53) / 10 ** prng.nextInt(20);
      }
    }
    expect(mismatches(values())).toEqual([]);
  });

  test('whatever they are', () => {
    fc.assert(
      fc.property(fc.double(), (value) => floatText(value) === expectedText(value)),
      { seed: 1, numRuns: 5000 },
    );
  });
});

describe('rows', () => {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

  test('leave out absent points, repeat texts and tell the zeros apart', () => {
    kernel.setSteps(-500, 500, 8);
    const values = Float64Array.of(0, -0, 7.5, 7.5, 1e21, 1e21, 7.5, Number.NaN);
    expect(text(kernel.row(values, Uint8Array.of(1, 1, 1, 1, 0, 1, 1, 1), 0))).toBe(
      '[-0.500,"0"],[0,"-0"],[0.500,"7.5"],[1,"7.5"],[2,"1e+21"],[2.500,"7.5"],[3,"NaN"],',
    );
    expect(text(kernel.row(values, new Uint8Array(8), 0))).toBe('');
    expect(text(kernel.row(Float64Array.of(5), Uint8Array.of(1), 3))).toBe('[-0.500,"5"],');
  });

  test('have times of their own', () => {
    const times = Float64Array.of(
      0,
      1,
      -1500,
      1_700_000_000_120,
      Number.MAX_SAFE_INTEGER,
      Number.MIN_SAFE_INTEGER,
    );
    expect(text(kernel.timedRow(times, Float64Array.of(1, 2, 3, 4, 5, 6), 0))).toBe(
      '[0,"1"],[0.001,"2"],[-1.500,"3"],[1700000000.120,"4"],[9007199254740.991,"5"],[-9007199254740.991,"6"],',
    );
  });

  test('of any length and any place in a buffer are the points one by one', () => {
    const fresh = new FormatKernel();
    const point = fc.oneof(fc.constant(null), fc.integer(), fc.double(), fc.constant(42.5));
    fc.assert(
      fc.property(
        fc.array(point, { maxLength: 40 }),
        fc.integer({ min: -1e6, max: 2e12 }),
        fc.integer({ min: 1, max: 1e6 }),
        fc.nat({ max: 15 }),
        (points, startMs, stepMs, offset) => {
          const present = new Uint8Array(points.length + offset).subarray(offset);
          present.set(points.map((value) => (value === null ? 0 : 1)));
          const values = Float64Array.from(points, (value) => value ?? 0);
          fresh.setSteps(startMs, stepMs, points.length);
          const times = Float64Array.from(points, (_, k) => startMs + k * stepMs);
          const expected = points.map((value, k) =>
            value === null
              ? ''
              : text(kernel.timedRow(times.subarray(k, k + 1), values.subarray(k, k + 1), 0)),
          );
          expect(text(fresh.row(values, present, offset))).toBe(expected.join(''));
        },
      ),
      { seed: 2 },
    );
  });
});
