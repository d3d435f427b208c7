import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  type FloatHistogram,
  HistogramLayout,
  IntegerHistogram,
  NO_SPANS,
  reduceResolution,
  spansOf,
} from '../histogram/index.js';
import { ResolutionReducer } from './histogram-resolution.js';

const layoutArbitrary = fc
  .record({
    schema: fc.integer({ min: -3, max: 20 }),
    positive: fc.uniqueArray(fc.integer({ min: -300, max: 300 }), { maxLength: 40 }),
    negative: fc.uniqueArray(fc.integer({ min: -300, max: 300 }), { maxLength: 5 }),
  })
  .map(({ schema, positive, negative }) => {
    const indexes = [positive, negative].map((side) => Int32Array.from(side).sort());
    return HistogramLayout.ofIndexes(schema, 0.001, indexes[0]!, indexes[1]!);
  });

function integersOf(layout: HistogramLayout, seed: number): IntegerHistogram {
  const deltasOf = (count: number) => {
    const counts = Array.from({ length: count }, (_, i) => BigInt((seed * (i + 7)) % 1000));
    return counts.map((each, i) => each - (counts[i - 1] ?? 0n));
  };
  const [positiveDeltas, negativeDeltas] = [deltasOf(layout.positiveCount), deltasOf(layout.negativeCount)];
  return IntegerHistogram.of({
    layout,
    count: 7n,
    zeroCount: 3n,
    sum: 1.5,
    positiveDeltas,
    negativeDeltas,
    hint: 2,
  });
}

test('histograms get the finest schema that fits, with the sums of their buckets', () => {
  const reducer = new ResolutionReducer();
  fc.assert(
    fc.property(
      layoutArbitrary,
      fc.nat(9999),
      fc.integer({ min: 0, max: 20 }),
      (layout, seed, bucketsMax) => {
        const integers = integersOf(layout, seed);
        const reduced = reducer.reduce(integers, 8, bucketsMax);
        const candidates = Array.from({ length: Math.min(8, layout.schema) + 5 }, (_, i) =>
          reduceResolution(integers.toFloat(), Math.min(8, layout.schema) - i),
        );
        const expected = candidates.find(({ values }) => bucketsMax === 0 || values.length - 3 <= bucketsMax);
        const plain = (histogram: FloatHistogram) => ({
          schema: histogram.schema,
          spans: [histogram.layout.positiveSpans, histogram.layout.negativeSpans],
          zeroThreshold: histogram.layout.zeroThreshold,
          values: [...histogram.values],
          hint: histogram.hint,
        });
        if (expected === undefined) expect(reduced).toBeNull();
        else {
          expect(plain((reduced as IntegerHistogram).toFloat())).toEqual(plain(expected));
          expect(plain(reducer.reduce(integers.toFloat(), 8, bucketsMax) as FloatHistogram)).toEqual(
            plain(expected),
          );
        }
      },
    ),
    { seed: 3, numRuns: 300 },
  );
});

test('histograms that share a layout share the coarser one, and 64-bit counts are exact', () => {
  const layout = new HistogramLayout(3, 0, spansOf([1, 4]), NO_SPANS);
  const reducer = new ResolutionReducer();
  const reduce = (positiveDeltas: bigint[]) =>
    reducer.reduce(
      IntegerHistogram.of({ layout, count: 0n, zeroCount: 0n, sum: 0, positiveDeltas, negativeDeltas: [] }),
      3,
      2,
    ) as IntegerHistogram;
  const large = 2n ** 60n;
  const first = reduce([large + 1n, 0n, 2n, -large - 3n]);
  // Counts 2^60+1, 2^60+1, 2^60+3, 0 become 2^61+2 and 2^60+3.
  expect([...first.integers.subarray(3)]).toEqual([2n * large + 2n, 1n - large]);
  expect(reduce([1n, 1n, 1n, 1n]).layout).toBe(first.layout);
});
