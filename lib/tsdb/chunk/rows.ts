import { type HistogramLayout, VALUE, valueCountOf } from '../../histogram/index.js';
import type { BitWriter } from './bit-writer.js';
import { STALE_HIGH, STALE_LOW } from './format.js';
import { NO_WINDOW, writeXorValue } from './xor-column.js';

/**
 * A histogram as words, low first, in the places of VALUE: the numbers of an integer histogram as they are stored
 * (deltas), those of a float histogram as bits, and both once more as absolute counts. What differs between the two
 * kinds of chunk is said here; the rules of appending are the same.
 */
export interface RowKind {
  readonly isFloat: boolean;
  /** Absolute counts of a row, as a new array. */
  countsOf(row: Int32Array, layout: HistogramLayout): Int32Array;
  /** A row out of absolute counts: the inverse. */
  rowOf(counts: Int32Array, layout: HistogramLayout): Int32Array;
  /** Whether count i of `a` is below count j of `b`. */
  isBelow(a: Int32Array, i: number, b: Int32Array, j: number): boolean;
  writer(stride: number): RowWriter;
}

/** Writes the numbers of samples behind their times. */
export interface RowWriter {
  write(out: BitWriter, row: Int32Array, isFirst: boolean): void;
}

export function isStaleWords(row: Int32Array): boolean {
  return row[2 * VALUE.sum] === STALE_LOW && row[2 * VALUE.sum + 1] === STALE_HIGH;
}

export function isZeroAt(words: Int32Array, k: number): boolean {
  // Counts of -0 are bits, too, but nobody counts to -0.
  return words[2 * k] === 0 && words[2 * k + 1] === 0;
}

/** Moves the buckets of a row of absolute counts to another layout, which has all buckets of the first. */
export function spreadCounts(counts: Int32Array, from: HistogramLayout, to: HistogramLayout): Int32Array {
  const out = new Int32Array(valueCountOf(to) * 2);
  out.set(counts.subarray(0, VALUE.buckets * 2));
  spreadSide(counts, VALUE.buckets, from.positiveIndexes, out, VALUE.buckets, to.positiveIndexes);
  spreadSide(
    counts,
    VALUE.buckets + from.positiveCount,
    from.negativeIndexes,
    out,
    VALUE.buckets + to.positiveCount,
    to.negativeIndexes,
  );
  return out;
}

function spreadSide(
  source: Int32Array,
  sourceAt: number,
  sourceIndexes: Int32Array,
  target: Int32Array,
  targetAt: number,
  targetIndexes: Int32Array,
): void {
  let j = 0;
  for (let i = 0; i < sourceIndexes.length; i++) {
    while (targetIndexes[j] !== sourceIndexes[i]) j++;
    target[2 * (targetAt + j)] = source[2 * (sourceAt + i)]!;
    target[2 * (targetAt + j) + 1] = source[2 * (sourceAt + i) + 1]!;
  }
}

/** words[to] = a[i] + sign * b[j] in 64 bits with wraparound. */
function combine(
  out: Int32Array,
  to: number,
  a: Int32Array,
  i: number,
  b: Int32Array,
  j: number,
  sign: 1 | -1,
): void {
  const aLow = a[2 * i]! >>> 0;
  const bLow = b[2 * j]! >>> 0;
  const low = aLow + sign * bLow;
  const carry = low < 0 ? -1 : low > 0xffff_ffff ? 1 : 0;
  out[2 * to + 1] = a[2 * i + 1]! + sign * b[2 * j + 1]! + carry;
  out[2 * to] = low;
}

class IntegerRowWriter implements RowWriter {
  readonly #last: Int32Array;
  readonly #deltas: Int32Array;
  readonly #windows: Uint8Array;
  readonly #change: Int32Array;

  constructor(stride: number) {
    this.#last = new Int32Array(stride * 2);
    this.#deltas = new Int32Array(stride * 2);
    this.#windows = new Uint8Array(stride * 2).fill(NO_WINDOW);
    this.#change = new Int32Array(4);
  }

  write(out: BitWriter, row: Int32Array, isFirst: boolean): void {
    const stride = row.length / 2;
    const isStale = isStaleWords(row);
    if (isFirst) {
      this.#last.set(row);
      out.varbitUint(row[2 * VALUE.count + 1]!, row[2 * VALUE.count]!);
      out.varbitUint(row[2 * VALUE.zeroCount + 1]!, row[2 * VALUE.zeroCount]!);
      out.wide(row[2 * VALUE.sum + 1]!, row[2 * VALUE.sum]!, 64);
      for (let k = VALUE.buckets; k < stride; k++) out.varbitInt(row[2 * k + 1]!, row[2 * k]!);
      return;
    }
    if (isStale) out.bits(0, 2);
    else {
      this.#writeChange(out, row, VALUE.count);
      this.#writeChange(out, row, VALUE.zeroCount);
    }
    writeXorValue(out, this.#last, row, this.#windows, VALUE.sum);
    if (!isStale) for (let k = VALUE.buckets; k < stride; k++) this.#writeChange(out, row, k);
  }

  #writeChange(out: BitWriter, row: Int32Array, k: number): void {
    const change = this.#change;
    const deltas = this.#deltas;
    combine(change, 0, row, k, this.#last, k, -1);
    combine(change, 1, change, 0, deltas, k, -1);
    deltas[2 * k] = change[0]!;
    deltas[2 * k + 1] = change[1]!;
    this.#last[2 * k] = row[2 * k]!;
    this.#last[2 * k + 1] = row[2 * k + 1]!;
    out.varbitInt(change[3]!, change[2]!);
  }
}

class FloatRowWriter implements RowWriter {
  readonly #last: Int32Array;
  readonly #windows: Uint8Array;

  constructor(stride: number) {
    this.#last = new Int32Array(stride * 2);
    this.#windows = new Uint8Array(stride * 2).fill(NO_WINDOW);
  }

  write(out: BitWriter, row: Int32Array, isFirst: boolean): void {
    const columns = isStaleWords(row) ? VALUE.buckets : row.length / 2;
    if (isFirst) {
      this.#last.set(row);
      for (let k = 0; k < columns; k++) out.wide(row[2 * k + 1]!, row[2 * k]!, 64);
    } else for (let k = 0; k < columns; k++) writeXorValue(out, this.#last, row, this.#windows, k);
  }
}

/** Runs along the buckets of each side: counts out of deltas, or the reverse. */
function alongSides(row: Int32Array, layout: HistogramLayout, isSum: boolean): Int32Array {
  const out = row.slice();
  const negativeFrom = VALUE.buckets + layout.positiveCount;
  for (let k = VALUE.buckets + 1; k < out.length / 2; k++) {
    if (k === negativeFrom) continue;
    if (isSum) combine(out, k, row, k, out, k - 1, 1);
    else combine(out, k, row, k, row, k - 1, -1);
  }
  return out;
}

/** Rows of integer histograms. */
export const INTEGER_ROWS: RowKind = {
  isFloat: false,
  countsOf: (row, layout) => alongSides(row, layout, true),
  rowOf: (counts, layout) => alongSides(counts, layout, false),
  isBelow(a, i, b, j) {
    const difference = a[2 * i + 1]! - b[2 * j + 1]!;
    return difference !== 0 ? difference < 0 : a[2 * i]! >>> 0 < b[2 * j]! >>> 0;
  },
  writer: (stride) => new IntegerRowWriter(stride),
};

const doubles = new Float64Array(2);
const doubleWords = new Int32Array(doubles.buffer);

/** Rows of float histograms. */
export const FLOAT_ROWS: RowKind = {
  isFloat: true,
  // A copy: the row belongs to the caller and may be a window on a whole chunk.
  countsOf: (row) => row.slice(),
  rowOf: (counts) => counts,
  isBelow(a, i, b, j) {
    doubleWords[0] = a[2 * i]!;
    doubleWords[1] = a[2 * i + 1]!;
    doubleWords[2] = b[2 * j]!;
    doubleWords[3] = b[2 * j + 1]!;
    return doubles[0]! < doubles[1]!;
  },
  writer: (stride) => new FloatRowWriter(stride),
};
