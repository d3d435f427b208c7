import { describe, expect, test } from '@jest/globals';
import { formatG, log as goLog, log2 as goLog2 } from '../../histogram/index.js';
import { bucketFraction, bucketQuantile, prepareBuckets } from './classic-histogram.js';
import { evaluateDate } from './dates.js';
import { goExp, goLog10, goMax, goMin, goPow } from './go-math.js';
import { goAsin, goAtan, goAtan2, goCos, goSin, goSinh, goTan, goTanh } from './go-trig.js';
import { naturalLess } from './natural-order.js';
import { formatF, formatF6, formatG2 } from './number-format.js';
import { parseGoFloat } from './parse-float.js';
import { xxhash64 } from './xxhash64.js';

describe('elementary functions', () => {
  // Values as Prometheus 3.5.3 returns them.
  const cases: [string, number, number][] = [
    ['exp(0.01)', goExp(0.01), 1.0100501670841682],
    ['log10(1e15)', goLog10(1e15), 14.999999999999998],
    ['log2(8)', goLog2(8), 3],
    ['ln(1)', goLog(1), 0],
    ['100^0.1', goPow(100, 0.1), 1.5848931924611136],
    ['0.5^-2.5', goPow(0.5, -2.5), 5.65685424949238],
    ['sin(10)', goSin(10), -0.5440211108893699],
    ['cos(-0.7)', goCos(-0.7), 0.7648421872844884],
    ['tan(1)', goTan(1), 1.557407724654902],
    ['asin(0.999)', goAsin(0.999), 1.5260712396261635],
    ['atan(10)', goAtan(10), 1.4711276743037345],
    ['0.5 atan2 -2.5', goAtan2(0.5, -2.5), 2.9441970937399122],
    ['sinh(-0.7)', goSinh(-0.7), -0.7585837018395336],
    ['tanh(0.999)', goTanh(0.999), 0.7611738616605699],
  ];
  test.each(cases)('%s has the last bit of the reference', (_name, actual, wanted) => {
    expect(actual).toBe(wanted);
  });

  test('pow has the special cases of C99', () => {
    expect(goPow(NaN, 0)).toBe(1);
    expect(goPow(1, NaN)).toBe(1);
    expect(goPow(-1, Infinity)).toBe(1);
    expect(goPow(-8, 1 / 3)).toBeNaN();
    expect(goPow(-0, -3)).toBe(-Infinity);
    expect(goPow(0, -2)).toBe(Infinity);
    expect(goPow(-Infinity, 3)).toBe(-Infinity);
    expect(goPow(2, 1024)).toBe(Infinity);
    expect(goPow(2, -1074)).toBe(5e-324);
    expect(goPow(-2, 3)).toBe(-8);
  });

  test('logarithms and exp keep their limits', () => {
    expect(goLog(0)).toBe(-Infinity);
    expect(goLog(-1)).toBeNaN();
    expect(goLog2(5e-324)).toBe(-1074);
    expect(goExp(-Infinity)).toBe(0);
    expect(goExp(1000)).toBe(Infinity);
    expect(goExp(-800)).toBe(0);
  });

  test('an infinity beats NaN in min and max', () => {
    expect(goMax(NaN, Infinity)).toBe(Infinity);
    expect(goMin(-Infinity, NaN)).toBe(-Infinity);
    expect(goMax(NaN, 1)).toBeNaN();
  });
});

describe('number formats', () => {
  test.each([
    [1000000, '1e+06'],
    [123456, '123456'],
    [1234567, '1.234567e+06'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [-0, '-0'],
    [Infinity, '+Inf'],
    [1.5e300, '1.5e+300'],
  ])('%%g of %p', (value, text) => {
    expect(formatG(value)).toBe(text);
  });

  test.each([
    [1e-7, '0.0000001'],
    [1e21, '1000000000000000000000'],
    [12.5, '12.5'],
    [-0.25, '-0.25'],
    [NaN, 'NaN'],
  ])('f of %p', (value, text) => {
    expect(formatF(value)).toBe(text);
  });

  test('%.2g and %f', () => {
    expect(formatG2(123)).toBe('1.2e+02');
    expect(formatG2(5)).toBe('5');
    expect(formatG2(0.1)).toBe('0.1');
    expect(formatF6(1.5)).toBe('1.500000');
    expect(formatF6(-Infinity)).toBe('-Inf');
  });
});

test.each([
  ['+Inf', Infinity],
  ['inf', Infinity],
  ['-Infinity', -Infinity],
  ['.5', 0.5],
  ['1e3', 1000],
  ['0x1p3', 8],
  ['0x1.8p1', 3],
  [' 1', null],
  ['1 ', null],
  ['', null],
  ['1e400', null],
  ['abc', null],
  ['0x', null],
])('bucket bound %p', (text, value) => {
  expect(parseGoFloat(text)).toBe(value);
});

test.each([
  ['year', 951782400, 2000],
  ['day_of_month', 951782400, 29],
  ['days_in_month', 951782400, 29],
  ['day_of_week', 0, 4],
  ['day_of_week', -86400, 3],
  ['day_of_year', 31535999, 365],
  ['hour', -1, 23],
  ['minute', -1, 59],
  ['month', -62135596800, 1],
  ['year', -62135596800, 1],
])('%s(%d)', (func, seconds, value) => {
  expect(evaluateDate(func, seconds)).toBe(value);
});

test.each([
  ['a2', 'a10', true],
  ['a10', 'a2', false],
  ['a', 'b', true],
  ['a', 'a1', true],
  ['a1', 'a', false],
  ['99999999999999999999', '1', false],
])('natural order of %p and %p', (a, b, less) => {
  expect(naturalLess(a, b)).toBe(less);
});

describe('classic histograms', () => {
  test('counts that fall are lifted, and said so', () => {
    const buckets = { bounds: [1, Infinity, 2], counts: [10, 8, 5] };
    expect(prepareBuckets(buckets)).toEqual({
      isComplete: true,
      forced: { minBound: 2, maxBound: Infinity, maxDifference: 5 },
    });
    expect(buckets).toEqual({ bounds: [1, 2, Infinity], counts: [10, 10, 10] });
    expect(bucketQuantile(0.5, buckets, true)).toBe(0.5);
  });

  test('without an infinite bucket there is no quantile', () => {
    const buckets = { bounds: [1, 2], counts: [1, 2] };
    expect(bucketQuantile(0.5, buckets, prepareBuckets(buckets).isComplete)).toBeNaN();
  });

  test('a fraction interpolates inside a bucket', () => {
    expect(bucketFraction(0, 1.5, { bounds: [1, 2, Infinity], counts: [2, 4, 4] })).toBe(0.75);
    expect(bucketFraction(1, 1, { bounds: [1, Infinity], counts: [2, 4] })).toBe(0);
  });
});

test.each([
  ['', 0xef46db3751d8e999n],
  ['a', 0xd24ec4f1a98c6e5bn],
  ['abc', 0x44bc2cf5ad770999n],
  ['The quick brown fox jumps over the lazy dog', 0x0b242d361fda71bcn],
])('xxHash64 of %p', (text, hash) => {
  expect(xxhash64(Buffer.from(text))).toBe(hash);
});
