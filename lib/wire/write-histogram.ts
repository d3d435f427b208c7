import { FloatHistogram, type IntegerHistogram, type Spans, VALUE } from '../histogram/index.js';
import type { WriteHistogram, WriteSpan } from './remote-write1.js';

/** The message of a histogram, for `encodeWriteRequest`. Integers above 2^53 are rounded, the bits of the sum are kept. */
export function writeHistogramOf(
  timestampMs: number,
  histogram: IntegerHistogram | FloatHistogram,
): WriteHistogram {
  const { layout } = histogram;
  const isFloat = histogram instanceof FloatHistogram;
  const sumBits = isFloat
    ? new BigUint64Array(histogram.values.slice(VALUE.sum, VALUE.sum + 1).buffer)[0]!
    : BigInt.asUintN(64, histogram.integers[VALUE.sum]!);
  const buckets = isFloat
    ? Array.from(histogram.values.subarray(VALUE.buckets))
    : Array.from(histogram.integers.subarray(VALUE.buckets), Number);
  const positive = buckets.slice(0, layout.positiveCount);
  const negative = buckets.slice(layout.positiveCount);
  return {
    isFloat,
    count: Number(histogram.count),
    sum: histogram.sum,
    sumBits,
    schema: layout.schema,
    zeroThreshold: layout.zeroThreshold,
    zeroCount: Number(histogram.zeroCount),
    negativeSpans: writeSpansOf(layout.negativeSpans),
    positiveSpans: writeSpansOf(layout.positiveSpans),
    negativeDeltas: isFloat ? [] : negative,
    positiveDeltas: isFloat ? [] : positive,
    negativeCounts: isFloat ? negative : [],
    positiveCounts: isFloat ? positive : [],
    resetHint: histogram.hint,
    timestampMs,
    customValues: Array.from(layout.customBounds),
  };
}

function writeSpansOf({ offsets, lengths }: Spans): WriteSpan[] {
  return Array.from(offsets, (offset, i) => ({ offset, length: lengths[i]! }));
}
