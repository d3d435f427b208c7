import {
  FloatHistogram,
  isStaleAt,
  RESET_HINT,
  type ResetHint,
  VALUE,
  valueCountOf,
} from './float-histogram.js';
import type { HistogramLayout } from './layout.js';

const scratch = new DataView(new ArrayBuffer(8));

/** What an integer histogram is made from. */
export interface IntegerHistogramParts {
  readonly layout: HistogramLayout;
  readonly hint?: ResetHint;
  readonly count: bigint;
  readonly zeroCount: bigint;
  /** Raw bits of the sum where it may be a stale marker, else the number. */
  readonly sum: bigint | number;
  /** The first count, then differences of each to its left neighbour. */
  readonly positiveDeltas: readonly bigint[];
  readonly negativeDeltas: readonly bigint[];
}

/**
 * A native histogram as it arrives and is stored: 64-bit counts, buckets as differences to their left neighbours. For
 * ingestion, logs and compaction; queries see FloatHistogram only.
 *
 * `integers` has the places of `FloatHistogram.values`: count and zero count (unsigned), the raw bits of the sum, the
 * bucket deltas. Its memory seen as pairs of words, `words`, is what codecs work on: exact in 64 bits without a BigInt
 * per bucket.
 */
export class IntegerHistogram {
  readonly layout: HistogramLayout;
  readonly integers: BigInt64Array;
  readonly words: Int32Array;
  readonly hint: ResetHint;

  /** Keeps the array. */
  constructor(layout: HistogramLayout, integers: BigInt64Array, hint: ResetHint = RESET_HINT.unknown) {
    this.layout = layout;
    this.integers = integers;
    this.words = new Int32Array(integers.buffer, integers.byteOffset, integers.length * 2);
    this.hint = hint;
  }

  static of(parts: IntegerHistogramParts): IntegerHistogram {
    const { layout, count, zeroCount, sum, positiveDeltas, negativeDeltas } = parts;
    const integers = new BigInt64Array(valueCountOf(layout));
    integers[VALUE.count] = BigInt.asIntN(64, count);
    integers[VALUE.zeroCount] = BigInt.asIntN(64, zeroCount);
    integers[VALUE.sum] = typeof sum === 'bigint' ? BigInt.asIntN(64, sum) : bitsOf(sum);
    integers.set(positiveDeltas, VALUE.buckets);
    integers.set(negativeDeltas, VALUE.buckets + layout.positiveCount);
    return new IntegerHistogram(layout, integers, parts.hint);
  }

  get count(): bigint {
    return BigInt.asUintN(64, this.integers[VALUE.count]!);
  }

  get zeroCount(): bigint {
    return BigInt.asUintN(64, this.integers[VALUE.zeroCount]!);
  }

  /** NaNs may lose their payload: see `isStale`. */
  get sum(): number {
    scratch.setBigInt64(0, this.integers[VALUE.sum]!);
    return scratch.getFloat64(0);
  }

  get isStale(): boolean {
    return this.words[2 * VALUE.sum + 1] === 0x7ff0_0000 && this.words[2 * VALUE.sum] === 2;
  }

  /** The same with doubles; integers above 2^53 are rounded once. */
  toFloat(): FloatHistogram {
    const values = new Float64Array(this.integers.length);
    integersToFloats(this.words, values, this.layout, 1);
    return new FloatHistogram(this.layout, values, this.hint);
  }
}

function bitsOf(value: number): bigint {
  scratch.setFloat64(0, value);
  return scratch.getBigInt64(0);
}

/**
 * Converts rows of integers to rows of doubles, deltas to counts.
 * @param words rows of 64-bit integers as pairs of words, low first, in the places of VALUE
 * @param values out, the same rows
 */
export function integersToFloats(
  words: Int32Array,
  values: Float64Array,
  layout: HistogramLayout,
  rowCount: number,
): void {
  const valueWords = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
  const stride = valueCountOf(layout);
  const negativeFrom = VALUE.buckets + layout.positiveCount;
  for (let i = 0; i < rowCount; i++) {
    const row = i * stride;
    const sum = row + VALUE.sum;
    values[row + VALUE.count] = unsignedAt(words, row + VALUE.count);
    values[row + VALUE.zeroCount] = unsignedAt(words, row + VALUE.zeroCount);
    valueWords[2 * sum] = words[2 * sum]!;
    valueWords[2 * sum + 1] = words[2 * sum + 1]!;
    accumulate(words, values, row + VALUE.buckets, row + negativeFrom);
    accumulate(words, values, row + negativeFrom, row + stride);
  }
}

function unsignedAt(words: Int32Array, at: number): number {
  return (words[2 * at + 1]! >>> 0) * 0x1_0000_0000 + (words[2 * at]! >>> 0);
}

/** Running sums of 64-bit integers with wraparound. */
function accumulate(words: Int32Array, values: Float64Array, from: number, to: number): void {
  let low = 0;
  let high = 0;
  for (let k = from; k < to; k++) {
    const addend = words[2 * k]!;
    low = (low + addend) | 0;
    high = (high + words[2 * k + 1]! + (low >>> 0 < addend >>> 0 ? 1 : 0)) | 0;
    values[k] = high * 0x1_0000_0000 + (low >>> 0);
  }
}

/** Whether the sum in a row of doubles is the stale marker. */
export function isStaleRow(values: Float64Array, row: number): boolean {
  return Number.isNaN(values[row + VALUE.sum]!) && isStaleAt(values, row + VALUE.sum);
}
