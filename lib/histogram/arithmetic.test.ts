import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  addHistograms,
  compactHistogram,
  divideHistogram,
  equalHistograms,
  type FloatHistogram,
  formatHistogram,
  HistogramMean,
  HistogramSum,
  histogramFraction,
  histogramQuantile,
  histogramVariance,
  interpolateHistograms,
  isCounterReset,
  multiplyHistogram,
  NAN_NOTE,
  parseHistogramNotation,
  RESET_HINT,
  reduceResolution,
  subtractHistograms,
  trimHistogram,
} from './index.js';

function h(text: string): FloatHistogram {
  return parseHistogramNotation(`{{${text}}}`)!;
}

function expectSame(found: FloatHistogram, expected: string): void {
  const wanted = compactHistogram(h(expected));
  const compacted = compactHistogram(found);
  expect({ text: formatHistogram(compacted), layout: compacted.layout.schema }).toEqual({
    text: formatHistogram(wanted),
    layout: wanted.layout.schema,
  });
  expect(equalHistograms(compacted, wanted)).toBe(true);
}

const ADDITIONS: readonly (readonly [what: string, a: string, b: string, sum: string])[] = [
  [
    'of one layout',
    'count:3 sum:1 buckets:[1 2]',
    'count:7 sum:2 buckets:[3 4]',
    'count:10 sum:3 buckets:[4 6]',
  ],
  [
    'with other buckets',
    'count:3 buckets:[1 0 2]',
    'count:9 offset:-1 buckets:[4 5] n_buckets:[6]',
    'count:12 offset:-1 buckets:[4 6 0 2] n_buckets:[6]',
  ],
  [
    'of schemas 1 and 0',
    'schema:1 count:10 buckets:[1 2 3 4]',
    'count:3 buckets:[1 2]',
    'count:13 buckets:[2 7 4]',
  ],
  [
    'of schemas 0 and 1',
    'count:3 buckets:[1 2]',
    'schema:1 count:10 buckets:[1 2 3 4]',
    'count:13 buckets:[2 7 4]',
  ],
  [
    'with a wider zero bucket on the left',
    'count:1 z_bucket:1 z_bucket_w:1 buckets:[]',
    'count:6 offset:-1 buckets:[1 2 3] n_offset:-1 n_buckets:[4]',
    'count:7 z_bucket:8 z_bucket_w:1 offset:1 buckets:[3]',
  ],
  [
    'with a wider zero bucket on the right',
    'count:6 offset:-1 buckets:[1 2 3] n_offset:-1 n_buckets:[4]',
    'count:1 z_bucket:1 z_bucket_w:1',
    'count:7 z_bucket:8 z_bucket_w:1 offset:1 buckets:[3]',
  ],
  // The bucket (1, 2] would be cut at 1.5, so the zero bucket grows to 2; (-4, -2] stays.
  [
    'with a zero bucket that ends inside a bucket',
    'count:6 buckets:[1 2] n_offset:2 n_buckets:[3]',
    'count:1 z_bucket:1 z_bucket_w:1.5 offset:3 buckets:[9]',
    'count:7 z_bucket:4 z_bucket_w:2 offset:3 buckets:[9] n_offset:2 n_buckets:[3]',
  ],
  // An empty bucket may be cut.
  [
    'with a zero bucket that ends inside an empty bucket',
    'count:6 buckets:[1 0]',
    'count:1 z_bucket:1 z_bucket_w:1.5',
    'count:7 z_bucket:2 z_bucket_w:1.5',
  ],
  [
    'of one set of custom bounds',
    'schema:-53 count:3 custom_values:[1 2] buckets:[1 2]',
    'schema:-53 count:9 custom_values:[1 2] offset:1 buckets:[4 5]',
    'schema:-53 count:12 custom_values:[1 2] buckets:[1 6 5]',
  ],
  [
    'of different custom bounds',
    'schema:-53 count:10 custom_values:[1 2 3] buckets:[1 2 3 4]',
    'schema:-53 count:10 custom_values:[2 3 5] buckets:[1 2 3 4]',
    'schema:-53 count:20 custom_values:[2 3] buckets:[4 5 11]',
  ],
  [
    'of custom bounds without any in common',
    'schema:-53 count:3 custom_values:[1] buckets:[1 2]',
    'schema:-53 count:3 custom_values:[2] buckets:[1 2]',
    'schema:-53 count:6 custom_values:[] buckets:[6]',
  ],
];

describe('addition', () => {
  test.each(ADDITIONS)('%s', (_, a, b, sum) => {
    expectSame(addHistograms(h(a), h(b))!.histogram, sum);
    const compensated = new HistogramSum(h(a));
    expect(compensated.add(h(b))).toBe(true);
    expectSame(compensated.result(), sum);
  });

  test('says when bounds were reconciled, and refuses to mix', () => {
    const custom = h('schema:-53 custom_values:[1] buckets:[1]');
    expect(addHistograms(custom, h('schema:-53 custom_values:[2]'))).toMatchObject({ isReconciled: true });
    expect(addHistograms(custom, custom)).toMatchObject({ isReconciled: false });
    expect(addHistograms(custom, h('buckets:[1]'))).toBeNull();
    expect(new HistogramSum(custom).add(h('buckets:[1]'))).toBe(false);
    expect(new HistogramMean(custom).add(h('buckets:[1]'))).toBe(false);
  });

  test('leaves its operands alone', () => {
    const a = h('schema:1 count:3 buckets:[1 2]');
    const b = h('count:1 z_bucket_w:2 buckets:[0 0 1]');
    const before = [formatHistogram(a), formatHistogram(b)];
    addHistograms(a, b);
    subtractHistograms(b, a);
    new HistogramMean(a).add(b);
    expect([formatHistogram(a), formatHistogram(b)]).toEqual(before);
  });

  test.each([
    ['unknown', 'unknown', 'unknown', false],
    ['unknown', 'reset', 'unknown', false],
    ['unknown', 'not_reset', 'unknown', false],
    ['unknown', 'gauge', 'gauge', false],
    ['reset', 'reset', 'reset', false],
    ['reset', 'not_reset', 'unknown', true],
    ['reset', 'gauge', 'gauge', false],
    ['not_reset', 'not_reset', 'not_reset', false],
    ['not_reset', 'gauge', 'gauge', false],
    ['gauge', 'gauge', 'gauge', false],
  ])('of hints %s and %s gives %s', (a, b, hint, isHintCollision) => {
    const [left, right, wanted] = [a, b, hint].map((word) => h(`counter_reset_hint:${word}`));
    for (const combined of [addHistograms(left!, right!)!, addHistograms(right!, left!)!]) {
      expect({ hint: combined.histogram.hint, isHintCollision: combined.isHintCollision }).toEqual({
        hint: wanted!.hint,
        isHintCollision,
      });
    }
  });
});

describe('subtraction', () => {
  test('makes buckets negative that only the second has', () => {
    const { histogram } = subtractHistograms(
      h('count:5 sum:3 buckets:[1 4]'),
      h('count:3 sum:4 offset:1 buckets:[1 2]'),
    )!;
    expectSame(histogram, 'count:2 sum:-1 buckets:[1 3 -2]');
  });
});

describe('scaling', () => {
  test('multiplies and divides every number', () => {
    const a = h('count:6 sum:9 z_bucket:3 z_bucket_w:0.1 buckets:[3] n_buckets:[6]');
    expectSame(
      multiplyHistogram(a, 2),
      'count:12 sum:18 z_bucket:6 z_bucket_w:0.1 buckets:[6] n_buckets:[12]',
    );
    expectSame(divideHistogram(a, 3), 'count:2 sum:3 z_bucket:1 z_bucket_w:0.1 buckets:[1] n_buckets:[2]');
    expect(multiplyHistogram(a, -1).hint).toBe(RESET_HINT.gauge);
    expect(multiplyHistogram(a, 1).hint).toBe(RESET_HINT.unknown);
  });

  test('by zero leaves no buckets but that of zero', () => {
    const divided = divideHistogram(h('count:6 sum:-9 z_bucket:0 z_bucket_w:0.1 buckets:[3]'), 0);
    expect(Array.from(divided.values)).toEqual([
      Number.POSITIVE_INFINITY,
      Number.NaN,
      Number.NEGATIVE_INFINITY,
    ]);
    expect(divided.layout.positiveCount).toBe(0);
  });
});

describe('compaction', () => {
  test.each([
    [
      0,
      'buckets:[0 1 0 0 2 0]',
      [
        [1, 1],
        [2, 1],
      ],
    ],
    [
      1,
      'buckets:[0 1 0 0 2 0]',
      [
        [1, 1],
        [2, 1],
      ],
    ],
    [2, 'buckets:[0 1 0 0 2 0]', [[1, 4]]],
    [0, 'buckets:[0 0]', []],
    [0, 'buckets:[1 2]', [[0, 2]]],
  ])('with runs of %i kept: %s', (emptyRunMax, notation, pairs) => {
    const { positiveSpans } = compactHistogram(h(notation), emptyRunMax).layout;
    expect(Array.from(positiveSpans.offsets, (offset, i) => [offset, positiveSpans.lengths[i]])).toEqual(
      pairs,
    );
  });

  test('of a compact histogram is the histogram', () => {
    const a = h('count:1 offset:3 buckets:[1]');
    expect(compactHistogram(a)).toBe(a);
  });
});

describe('a coarser schema', () => {
  test.each([
    ['schema:1 buckets:[1 2 3 4]', 0, 'buckets:[1 5 4]'],
    ['schema:2 offset:-3 buckets:[1 2 3 4 5]', 0, 'offset:0 buckets:[10 5]'],
    ['schema:0 n_offset:1 n_buckets:[1 2 3]', -1, 'schema:-1 n_offset:1 n_buckets:[3 3]'],
    ['schema:8 buckets:[1 2]', -4, 'schema:-4 buckets:[1 2]'],
  ])('of %s, %i', (from, schema, to) => {
    expectSame(reduceResolution(h(from), schema), to);
  });
});

describe('a counter reset', () => {
  test.each([
    ['more of everything', 'count:3 buckets:[1 2]', 'count:5 buckets:[2 3]', false],
    ['a lower count', 'count:5 buckets:[2 3]', 'count:4 buckets:[2 3]', true],
    ['a lower bucket', 'count:5 buckets:[2 3]', 'count:9 buckets:[1 9]', true],
    ['a bucket gone', 'count:5 buckets:[2 3]', 'count:9 buckets:[9]', true],
    ['an empty bucket gone', 'count:5 buckets:[2 0]', 'count:9 buckets:[9]', false],
    ['a negative bucket gone', 'count:5 n_buckets:[2 3]', 'count:9 n_buckets:[9]', true],
    ['a lower sum only', 'count:5 sum:9 buckets:[5]', 'count:5 sum:1 buckets:[5]', false],
    ['a finer schema', 'count:5 buckets:[5]', 'schema:1 count:9 buckets:[9]', true],
    ['a coarser schema', 'schema:1 count:6 buckets:[1 2 3]', 'count:9 buckets:[4 5]', false],
    ['a coarser schema with less', 'schema:1 count:6 buckets:[1 2 3]', 'count:9 buckets:[6 3]', true],
    ['a smaller zero bucket', 'z_bucket_w:1 count:5', 'z_bucket_w:0.5 count:5', true],
    ['a wider zero bucket', 'count:5 offset:-1 buckets:[2 3]', 'count:6 z_bucket:6 z_bucket_w:1', false],
    [
      'a wider zero bucket with less',
      'count:5 offset:-1 buckets:[2 3]',
      'count:6 z_bucket:4 z_bucket_w:1',
      true,
    ],
    [
      'a zero bucket into a bucket',
      'count:5 offset:-1 buckets:[2 3]',
      'count:6 z_bucket:6 z_bucket_w:0.7',
      true,
    ],
    ['a lower zero count', 'count:5 z_bucket:3', 'count:5 z_bucket:2', true],
    ['custom after exponential', 'count:1', 'schema:-53 custom_values:[1] count:2', true],
    ['exponential after custom', 'schema:-53 custom_values:[1] count:2', 'count:3', true],
    [
      'other custom bounds',
      'schema:-53 count:3 custom_values:[1 2] buckets:[1 1 1]',
      'schema:-53 count:4 custom_values:[2] buckets:[2 2]',
      false,
    ],
    [
      'other custom bounds with less',
      'schema:-53 count:3 custom_values:[1 2] buckets:[1 1 1]',
      'schema:-53 count:4 custom_values:[2] buckets:[1 3]',
      true,
    ],
    [
      'a custom bucket below zero',
      'schema:-53 count:3 custom_values:[-1 2] buckets:[2 1]',
      'schema:-53 count:4 custom_values:[-1 2] buckets:[1 3]',
      true,
    ],
    ['a hint of a reset', 'count:3', 'count:5 counter_reset_hint:reset', true],
    ['a hint of none', 'count:5', 'count:3 counter_reset_hint:not_reset', false],
  ])('with %s', (_, previous, current, isReset) => {
    expect(isCounterReset(h(current), h(previous))).toBe(isReset);
  });
});

describe('sums and means', () => {
  test('keep what single additions would lose', () => {
    const sum = new HistogramSum(h('count:1 sum:1 buckets:[1]'));
    for (const text of [
      'count:1 sum:1e100 buckets:[1e100]',
      'count:1 sum:1 buckets:[1]',
      'count:1 sum:-1e100 buckets:[-1e100]',
    ]) {
      sum.add(h(text));
    }
    expectSame(sum.result(), 'count:4 sum:2 buckets:[2]');
  });

  test('of large numbers go on as a running mean', () => {
    const mean = new HistogramMean(h('count:1 sum:1.5e308 buckets:[4]'));
    mean.add(h('count:3 sum:1.5e308 buckets:[8]'));
    mean.add(h('count:5 sum:1.5e308 buckets:[6]'));
    const { count, sum } = mean.result();
    expect([count, sum]).toEqual([3, 1.5e308]);
  });

  test('divide in the end', () => {
    const mean = new HistogramMean(h('count:1 sum:3 buckets:[1]'));
    mean.add(h('count:3 sum:4 offset:1 buckets:[3]'));
    expectSame(mean.result(), 'count:2 sum:3.5 buckets:[0.5 1.5]');
  });

  test('notice contradicting hints of any two members', () => {
    const sum = new HistogramSum(h('counter_reset_hint:reset'));
    sum.add(h('counter_reset_hint:unknown'));
    expect(sum.isHintCollision).toBe(false);
    sum.add(h('counter_reset_hint:not_reset'));
    expect(sum.isHintCollision).toBe(true);
  });

  test('interpolate between two', () => {
    expectSame(
      interpolateHistograms(h('count:2 buckets:[2]'), h('count:10 buckets:[4 6]'), 0.5)!,
      'count:6 buckets:[3 3]',
    );
    expect(interpolateHistograms(h('count:2'), h('schema:-53 custom_values:[1]'), 0.5)).toBeNull();
  });
});

describe('NaN observations', () => {
  const a = h('count:10 sum:NaN buckets:[4 4]');
  test('make quantiles beyond the buckets NaN and others higher', () => {
    expect(histogramQuantile(0.9, a)).toEqual({ value: Number.NaN, note: NAN_NOTE.resultIsNaN });
    expect(histogramQuantile(0.2, a)).toEqual({ value: 2 ** -0.5, note: NAN_NOTE.skewedHigher });
    expect(histogramQuantile(0.2, h('count:8 sum:NaN buckets:[4 4]')).note).toBe(NAN_NOTE.none);
  });

  test('are in no fraction', () => {
    expect(histogramFraction(0, 8, a)).toEqual({ value: 0.8, note: NAN_NOTE.excluded });
  });
});

/**
 * Histograms with whole counts, so that sums are exact in any order. Zero buckets are alike and below all others: where
 * they have to be widened, the order of additions does matter, as it does upstream.
 */
const histogramArbitrary = fc
  .record({
    schema: fc.integer({ min: -2, max: 4 }),
    zeroCount: fc.nat(50),
    offset: fc.integer({ min: -6, max: 6 }),
    buckets: fc.array(fc.nat(100), { maxLength: 8 }),
    negativeOffset: fc.integer({ min: -6, max: 6 }),
    negativeBuckets: fc.array(fc.nat(100), { maxLength: 5 }),
    sum: fc.integer({ min: -1000, max: 1000 }),
  })
  .map((part) => {
    const count = [part.zeroCount, ...part.buckets, ...part.negativeBuckets].reduce((a, b) => a + b, 0);
    return h(
      `schema:${part.schema} count:${count} sum:${part.sum} z_bucket:${part.zeroCount} z_bucket_w:${2 ** -200} ` +
        `offset:${part.offset} buckets:[${part.buckets.join(' ')}] ` +
        `n_offset:${part.negativeOffset} n_buckets:[${part.negativeBuckets.join(' ')}]`,
    );
  });

const text = (a: FloatHistogram): string => formatHistogram(compactHistogram(a));

describe('histograms of whole counts', () => {
  test('add up in any order', () => {
    fc.assert(
      fc.property(histogramArbitrary, histogramArbitrary, histogramArbitrary, (a, b, c) => {
        const add = (x: FloatHistogram, y: FloatHistogram) => addHistograms(x, y)!.histogram;
        expect(text(add(a, b))).toBe(text(add(b, a)));
        expect(text(add(add(a, b), c))).toBe(text(add(a, add(b, c))));
        const sum = new HistogramSum(a);
        sum.add(b);
        sum.add(c);
        expect(text(sum.result())).toBe(text(add(add(a, b), c)));
      }),
      { seed: 21, numRuns: 500 },
    );
  });

  test('give back what was added, and grow without a reset', () => {
    fc.assert(
      fc.property(histogramArbitrary, histogramArbitrary, (a, b) => {
        const total = addHistograms(a, b)!.histogram;
        const rest = compactHistogram(subtractHistograms(total, b)!.histogram);
        expect(rest.count).toBe(a.count);
        expect(isCounterReset(total, a)).toBe(false);
        const isOther = total.layout.schema !== a.layout.schema;
        expect(isCounterReset(a, total)).toBe(b.count > 0 || isOther);
      }),
      { seed: 22, numRuns: 500 },
    );
  });

  test('have quantiles that ascend, inside of fractions that say the same', () => {
    fc.assert(
      fc.property(
        histogramArbitrary,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (a, q1, q2) => {
          if (a.count === 0) return;
          const [low, high] = [Math.min(q1, q2), Math.max(q1, q2)];
          const value = histogramQuantile(low, a).value;
          const slack = Math.abs(value) * 1e-9;
          const next = histogramQuantile(high, a).value;
          expect(value).toBeLessThanOrEqual(next + slack);
          // Between populated buckets the fraction is a step: the quantile is at one of its ends.
          const fraction = (x: number) => histogramFraction(Number.NEGATIVE_INFINITY, x, a).value;
          expect(fraction(value - slack)).toBeLessThanOrEqual(low + 1e-6);
          expect(fraction(value + slack)).toBeGreaterThanOrEqual(low - 1e-6);
          expect(histogramVariance(a)).toBeGreaterThanOrEqual(0);
        },
      ),
      { seed: 23, numRuns: 500 },
    );
  });

  test('fall apart into what lies below and above a bound', () => {
    fc.assert(
      fc.property(histogramArbitrary, fc.double({ min: -20, max: 20, noNaN: true }), (a, bound) => {
        const below = trimHistogram(a, bound, true);
        const above = trimHistogram(a, bound, false);
        expect(below.count + above.count).toBeCloseTo(a.count, 6);
      }),
      { seed: 24, numRuns: 500 },
    );
  });

  test('reduced in two steps are as in one', () => {
    fc.assert(
      fc.property(histogramArbitrary, fc.nat(3), fc.nat(3), (a, first, second) => {
        const middle = Math.max(-4, a.layout.schema - first);
        const last = Math.max(-4, middle - second);
        expect(text(reduceResolution(reduceResolution(a, middle), last))).toBe(
          text(reduceResolution(a, last)),
        );
      }),
      { seed: 25, numRuns: 300 },
    );
  });
});
