import { describe, expect, test } from '@jest/globals';
import {
  CUSTOM_SCHEMA,
  equalHistograms,
  equalSpans,
  exponentialBound,
  FloatHistogram,
  formatHistogram,
  HistogramLayout,
  histogramJson,
  histogramProblem,
  IntegerHistogram,
  indexesOfSpans,
  NO_SPANS,
  parseHistogramNotation,
  spansOf,
  spansOfIndexes,
  spansProblem,
} from './index.js';

function h(text: string): FloatHistogram {
  return parseHistogramNotation(`{{${text}}}`)!;
}

describe('a bucket bound', () => {
  test.each([
    [0, 0, 1],
    [1, 0, 2],
    [-3, 0, 0.125],
    [0, 1, 1],
    [-1, 1, 0.7071067811865475],
    [1, 1, 2 * 0.7071067811865475],
    [3, 2, 1.6817928305074288],
    [1, 8, 1.0027112750502025],
    [2, -1, 16],
    [1, -4, 65536],
    [1024, 0, Number.MAX_VALUE],
    [1025, 0, Number.POSITIVE_INFINITY],
    [64, -4, Number.MAX_VALUE],
    [65, -4, Number.POSITIVE_INFINITY],
    [262144, 8, Number.MAX_VALUE],
    [262145, 8, Number.POSITIVE_INFINITY],
    [-1074, 0, Number.MIN_VALUE],
    [-1075, 0, 0],
  ])('of index %i in schema %i is %d', (index, schema, bound) => {
    expect(exponentialBound(index, schema)).toBe(bound);
  });
});

describe('spans', () => {
  test.each([
    [[], []],
    [
      [-3, -2, 4, 5, 9],
      [
        [-3, 2],
        [5, 2],
        [3, 1],
      ],
    ],
  ])('stand for indexes and back: %j', (indexes, pairs) => {
    const spans = spansOf(...(pairs as [number, number][]));
    expect(Array.from(indexesOfSpans(spans))).toEqual(indexes);
    expect(equalSpans(spansOfIndexes(Int32Array.from(indexes)), spans)).toBe(true);
  });

  test('are equal apart from empty ones', () => {
    expect(equalSpans(spansOf([1, 0], [1, 2], [3, 0]), spansOf([2, 2]))).toBe(true);
    expect(equalSpans(spansOf([2, 1], [0, 1]), spansOf([2, 2]))).toBe(false);
    expect(equalSpans(spansOf([2, 2]), spansOf([2, 2], [1, 1]))).toBe(false);
  });
});

describe('the forms of a histogram', () => {
  test.each([
    ['count:2 sum:0.7 schema:1 buckets:[2]', '{count:2, sum:0.7, (0.7071067811865475,1]:2}'],
    [
      'count:12 sum:18.4 schema:1 z_bucket:2 z_bucket_w:0.001 buckets:[3 0 1] n_buckets:[4 2]',
      '{count:12, sum:18.4, [-1.414213562373095,-1):2, [-1,-0.7071067811865475):4, [-0.001,0.001]:2, (0.7071067811865475,1]:3, (1.414213562373095,2]:1}',
    ],
    [
      'schema:-53 count:1e6 sum:-1e-5 custom_values:[5 10] buckets:[1 2.5 1234567]',
      '{count:1e+06, sum:-1e-05, [-Inf,5]:1, (5,10]:2.5, (10,+Inf]:1.234567e+06}',
    ],
    // Bounds are not cut at the zero bucket.
    ['count:1 z_bucket_w:0.7 buckets:[1]', '{count:1, sum:0, (0.5,1]:1}'],
    ['', '{count:0, sum:0}'],
  ])('as text: %s', (notation, text) => {
    expect(formatHistogram(h(notation))).toBe(text);
  });

  test.each([
    [
      'count:12 sum:18.4 schema:1 z_bucket:2 z_bucket_w:0.8 buckets:[3 0 1] n_buckets:[4]',
      {
        count: '12',
        sum: '18.4',
        buckets: [
          [1, '-1', '-0.8', '4'],
          [3, '-0.8', '0.8', '2'],
          [0, '0.8', '1', '3'],
          [0, '1.414213562373095', '2', '1'],
        ],
      },
    ],
    [
      'schema:-53 count:3 custom_values:[5 10] buckets:[1 0 2]',
      {
        count: '3',
        sum: '0',
        buckets: [
          [3, '-Infinity', '5', '1'],
          [0, '10', 'Infinity', '2'],
        ],
      },
    ],
    ['count:0', { count: '0', sum: '0' }],
  ])('as JSON: %s', (notation, json) => {
    expect(histogramJson(h(notation), String)).toEqual(json);
  });

  test.each(['{{count:}}', '{{colour:1}}', '{count:1}', '{{counter_reset_hint:maybe}}'])(
    'no notation: %s',
    (text) => {
      expect(parseHistogramNotation(text)).toBeNull();
    },
  );
});

describe('equality', () => {
  test.each([
    ['count:1 buckets:[1]', 'count:1 buckets:[1]', true],
    ['count:1 buckets:[1] counter_reset_hint:gauge', 'count:1 buckets:[1]', true],
    ['sum:NaN', 'sum:NaN', true],
    ['sum:-0', 'sum:0', false],
    ['z_bucket_w:0.1', 'z_bucket_w:0.2', false],
    ['schema:1', 'schema:2', false],
    ['buckets:[1]', 'buckets:[1 0]', false],
    ['schema:-53 custom_values:[1]', 'schema:-53 custom_values:[2]', false],
  ])('of %s and %s is %j', (a, b, isEqual) => {
    expect(equalHistograms(h(a), h(b))).toBe(isEqual);
  });
});

describe('an integer histogram', () => {
  const layout = new HistogramLayout(1, 2 ** -128, spansOf([0, 2], [1, 1]), spansOf([0, 2]));

  test('becomes one of doubles, rounded once', () => {
    const integers = IntegerHistogram.of({
      layout,
      count: 2n ** 64n - 1n,
      zeroCount: 2n ** 53n + 1n,
      sum: 1.5,
      positiveDeltas: [2n ** 60n, -(2n ** 60n) + 3n, 2n],
      negativeDeltas: [7n, -7n],
    });
    const floats = integers.toFloat();
    expect(Array.from(floats.values)).toEqual([2 ** 64, 2 ** 53, 1.5, 2 ** 60, 3, 5, 7, 0]);
    expect(integers.isStale).toBe(false);
  });

  test('knows the stale marker by its bits', () => {
    const of = (sum: bigint) =>
      IntegerHistogram.of({
        layout: new HistogramLayout(0, 0, NO_SPANS, NO_SPANS),
        count: 0n,
        zeroCount: 0n,
        sum,
        positiveDeltas: [],
        negativeDeltas: [],
      });
    const stale = of(0x7ff0000000000002n);
    expect([stale.isStale, stale.toFloat().isStale]).toEqual([true, true]);
    const quiet = of(0x7ff8000000000001n);
    expect([quiet.isStale, quiet.toFloat().isStale]).toEqual([false, false]);
  });
});

describe('validation', () => {
  function integers(
    count: number,
    zeroCount: number,
    deltas: number[],
    sum = 1,
    schema = 0,
  ): IntegerHistogram {
    const layout = new HistogramLayout(schema, 0, spansOf([0, deltas.length]), NO_SPANS);
    return IntegerHistogram.of({
      layout,
      count: BigInt(count),
      zeroCount: BigInt(zeroCount),
      sum,
      positiveDeltas: deltas.map(BigInt),
      negativeDeltas: [],
    });
  }
  const custom = (bounds: number[], length: number, threshold = 0, offset = 0) =>
    new FloatHistogram(
      new HistogramLayout(
        CUSTOM_SCHEMA,
        threshold,
        spansOf([offset, length]),
        NO_SPANS,
        Float64Array.from(bounds),
      ),
      new Float64Array(3 + length),
    );

  test.each([
    ['integers that add up', integers(6, 2, [1, 2]), null],
    ['a count too low', integers(5, 2, [1, 2]), 'count-mismatch'],
    ['a count too high', integers(7, 2, [1, 2]), 'count-mismatch'],
    ['a count above with NaN', integers(7, 2, [1, 2], Number.NaN), null],
    ['a count below with NaN', integers(5, 2, [1, 2], Number.NaN), 'count-not-big-enough'],
    ['a bucket below zero', integers(1, 0, [1, -2]), 'negative-bucket-count'],
    ['schema 9', integers(1, 0, [1], 1, 9), 'schema'],
    ['schema -5', integers(1, 0, [1], 1, -5), 'schema'],
    ['doubles below zero', h('count:1 buckets:[-1]'), 'negative-bucket-count'],
    ['a count of doubles below zero', h('count:-1'), 'negative-count'],
    ['doubles that do not add up', h('count:1 buckets:[7]'), null],
    ['custom bounds', custom([1, 2], 3), null],
    ['too few custom bounds', custom([1], 3), 'custom-bounds'],
    ['descending custom bounds', custom([2, 1], 1), 'custom-bounds'],
    ['custom bounds of NaN', custom([Number.NaN], 1), 'custom-bounds'],
    ['an infinite custom bound', custom([Number.POSITIVE_INFINITY], 1), 'custom-bounds'],
    ['a custom bucket below the first', custom([1, 2], 1, 0, -1), 'custom-bounds'],
    ['a zero threshold beside custom bounds', custom([1], 1, 0.5), 'custom-zero-bucket'],
    ['a zero count beside custom bounds', h('schema:-53 z_bucket:1 custom_values:[1]'), 'custom-zero-bucket'],
    [
      'negative buckets beside custom bounds',
      h('schema:-53 custom_values:[1] n_buckets:[1]'),
      'custom-negative-buckets',
    ],
  ])('of %s', (_, histogram, reason) => {
    expect(histogramProblem(histogram)?.reason ?? null).toBe(reason);
  });

  test('says what the spans need', () => {
    expect(spansProblem(spansOf([0, 2]), 2, 'positive side')).toBeNull();
    expect(spansProblem(spansOf([0, 2]), 3, 'positive side')!.text).toBe(
      'positive side: spans need 2 buckets, have 3 buckets: histogram spans specify different number of buckets than provided',
    );
    expect(spansProblem(spansOf([0, 1], [-1, 1]), 2, 'negative side')!.text).toBe(
      'negative side: span number 2 with offset -1: histogram has a span whose offset is negative',
    );
  });
});
