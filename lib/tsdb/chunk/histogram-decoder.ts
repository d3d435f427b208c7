import { type HistogramLayout, integersToFloats, VALUE, valueCountOf } from '../../histogram/index.js';
import { BitReader } from './bit-reader.js';
import { ENCODING, HISTOGRAM_HEADER_BYTES, type ResetHeader, STALE_HIGH, STALE_LOW } from './format.js';
import { emptyColumns, type HistogramColumns } from './histogram-columns.js';
import { readLayout } from './layout-codec.js';
import { StartTimes } from './start-times.js';
import { readXorValue } from './xor-column.js';

/** Numbers that one decoded chunk may have: a small chunk could otherwise claim gigabytes with stale markers. */
const VALUES_MAX = 1 << 24;
const FIRST_ROWS = 128;

/**
 * An integer histogram chunk as 64-bit integers: counts and bucket deltas as they are in the format. `words` is the
 * same memory as pairs of 32-bit words, low first; the sum in column VALUE.sum is the bits of a double.
 */
export interface IntegerColumns extends Omit<HistogramColumns, 'values'> {
  readonly integers: BigInt64Array;
  readonly words: Int32Array;
}

/**
 * Decodes histogram chunks of encodings 2, 3, 5 and 6 (spec: chunks.md §6-8). Holds scratch memory: one per thread is
 * enough. Results belong to the caller. Hostile bytes give a CorruptionError: `chunk-truncated`, `chunk-bad-layout`,
 * `chunk-bad-window`, `chunk-bad-varint`, `chunk-too-large`, `chunk-encoding`.
 */
export class HistogramDecoder {
  readonly #reader = new BitReader();
  readonly #starts = new StartTimes();
  #layout: HistogramLayout | null = null;
  #header: ResetHeader = 0;
  #sampleCount = 0;
  #stride = 0;
  #rows = 0;
  #timestamps = new Float64Array(0);
  #startTimestamps: Float64Array | null = null;
  /** The rows as pairs of words. */
  #words = new Int32Array(0);

  /** Decodes any histogram chunk into doubles; integers above 2^53 are rounded once, as Prometheus does. */
  decode(encoding: number, chunk: Uint8Array): HistogramColumns {
    const isFloat = encoding === ENCODING.floatHistogram || encoding === ENCODING.floatHistogramSt;
    if (!isFloat) return floatColumns(this.decodeIntegers(encoding, chunk));
    if (!this.#start(encoding, chunk))
      return emptyColumns(this.#header, encoding === ENCODING.floatHistogramSt);
    this.#readFloats();
    return {
      ...this.#common(),
      values: new Float64Array(this.#words.buffer, 0, this.#sampleCount * this.#stride),
    };
  }

  /** Decodes a chunk of integer histograms (encodings 2 and 5) exactly. */
  decodeIntegers(encoding: number, chunk: Uint8Array): IntegerColumns {
    if (encoding !== ENCODING.histogram && encoding !== ENCODING.histogramSt) {
      this.#reader.reset(chunk, 0);
      throw this.#reader.fail('chunk-encoding', `encoding ${encoding} is not one of histograms`);
    }
    if (!this.#start(encoding, chunk)) {
      const empty = emptyColumns(this.#header, encoding === ENCODING.histogramSt);
      return { ...empty, integers: new BigInt64Array(0), words: new Int32Array(0) };
    }
    this.#readIntegers();
    const words = this.#words.subarray(0, this.#sampleCount * this.#stride * 2);
    return { ...this.#common(), words, integers: new BigInt64Array(words.buffer, 0, words.length / 2) };
  }

  /** Reads header and layout; says whether there are samples. */
  #start(encoding: number, chunk: Uint8Array): boolean {
    const reader = this.#reader;
    reader.reset(chunk, 0);
    if (chunk.length < HISTOGRAM_HEADER_BYTES) throw reader.fail('chunk-truncated', 'no header');
    const hasStarts = encoding === ENCODING.histogramSt || encoding === ENCODING.floatHistogramSt;
    const first = chunk[0]!;
    const second = chunk[1]!;
    const third = chunk[2]!;
    this.#header = ((hasStarts ? first : third) & 0xc0) as ResetHeader;
    this.#sampleCount = hasStarts ? ((first & 0x3f) << 8) | second : (first << 8) | second;
    if (this.#sampleCount === 0) return false;
    this.#starts.reset(hasStarts ? third : 0);
    reader.reset(chunk, HISTOGRAM_HEADER_BYTES);
    this.#layout = readLayout(reader);
    this.#stride = valueCountOf(this.#layout);
    if (this.#sampleCount * this.#stride > VALUES_MAX) {
      throw reader.fail('chunk-too-large', `${this.#sampleCount} samples of ${this.#stride} numbers`);
    }
    this.#timestamps = new Float64Array(this.#sampleCount);
    this.#startTimestamps = hasStarts ? new Float64Array(this.#sampleCount) : null;
    this.#rows = Math.min(this.#sampleCount, FIRST_ROWS);
    this.#words = new Int32Array(this.#rows * this.#stride * 2);
    return true;
  }

  #common(): Omit<HistogramColumns, 'values'> {
    return {
      layout: this.#layout!,
      header: this.#header,
      sampleCount: this.#sampleCount,
      timestamps: this.#timestamps,
      startTimestamps: this.#startTimestamps,
      stride: this.#stride,
    };
  }

  /** Makes room for row i: claimed rows are only believed as they come. */
  #reserveRow(i: number): Int32Array {
    if (i >= this.#rows) {
      this.#rows = Math.min(this.#rows * 2, this.#sampleCount);
      const grown = new Int32Array(this.#rows * this.#stride * 2);
      grown.set(this.#words);
      this.#words = grown;
    }
    return this.#words;
  }

  #readIntegers(): void {
    const reader = this.#reader;
    const starts = this.#starts;
    const stride = this.#stride;
    const timestamps = this.#timestamps;
    const startTimestamps = this.#startTimestamps;
    /** Last value and last delta of each column, in pairs of words. */
    const values = new Int32Array(stride * 2);
    const deltas = new Int32Array(stride * 2);
    const windows = new Uint8Array(stride * 2);
    let timestamp = 0;
    let timeDelta = 0;
    for (let i = 0; i < this.#sampleCount; i++) {
      const out = this.#reserveRow(i);
      const row = i * stride * 2;
      if (i === 0) timestamp = reader.varbitInt();
      else {
        timeDelta += reader.varbitInt();
        timestamp += timeDelta;
      }
      timestamps[i] = timestamp;
      if (i === 0) {
        readCount(reader, values, VALUE.count);
        readCount(reader, values, VALUE.zeroCount);
        reader.wide(64);
        values[2 * VALUE.sum] = reader.low;
        values[2 * VALUE.sum + 1] = reader.high;
      } else {
        readDelta(reader, values, deltas, VALUE.count);
        readDelta(reader, values, deltas, VALUE.zeroCount);
        readXorValue(reader, values, windows, VALUE.sum);
      }
      if (values[2 * VALUE.sum] === STALE_LOW && values[2 * VALUE.sum + 1] === STALE_HIGH) {
        out[row + 2 * VALUE.sum] = STALE_LOW;
        out[row + 2 * VALUE.sum + 1] = STALE_HIGH;
      } else {
        if (i === 0) for (let k = VALUE.buckets; k < stride; k++) readFirst(reader, values, k);
        else for (let k = VALUE.buckets; k < stride; k++) readDelta(reader, values, deltas, k);
        out.set(values, row);
      }
      if (startTimestamps !== null) startTimestamps[i] = starts.next(reader, i, timestamp);
    }
  }

  #readFloats(): void {
    const reader = this.#reader;
    const starts = this.#starts;
    const stride = this.#stride;
    const timestamps = this.#timestamps;
    const startTimestamps = this.#startTimestamps;
    const values = new Int32Array(stride * 2);
    const windows = new Uint8Array(stride * 2);
    let timestamp = 0;
    let timeDelta = 0;
    for (let i = 0; i < this.#sampleCount; i++) {
      const out = this.#reserveRow(i);
      const row = i * stride * 2;
      if (i === 0) timestamp = reader.varbitInt();
      else {
        timeDelta += reader.varbitInt();
        timestamp += timeDelta;
      }
      timestamps[i] = timestamp;
      readValues(reader, values, windows, i === 0, 0, VALUE.buckets);
      if (values[2 * VALUE.sum] === STALE_LOW && values[2 * VALUE.sum + 1] === STALE_HIGH) {
        out[row + 2 * VALUE.sum] = STALE_LOW;
        out[row + 2 * VALUE.sum + 1] = STALE_HIGH;
      } else {
        readValues(reader, values, windows, i === 0, VALUE.buckets, stride);
        out.set(values, row);
      }
      if (startTimestamps !== null) startTimestamps[i] = starts.next(reader, i, timestamp);
    }
  }
}

/** Reads the columns [from, to) of a float histogram. */
function readValues(
  reader: BitReader,
  values: Int32Array,
  windows: Uint8Array,
  isFirst: boolean,
  from: number,
  to: number,
): void {
  for (let k = from; k < to; k++) {
    if (isFirst) {
      reader.wide(64);
      values[2 * k] = reader.low;
      values[2 * k + 1] = reader.high;
    } else readXorValue(reader, values, windows, k);
  }
}

function readCount(reader: BitReader, values: Int32Array, k: number): void {
  reader.varbitUint();
  values[2 * k] = reader.low;
  values[2 * k + 1] = reader.high;
}

function readFirst(reader: BitReader, values: Int32Array, k: number): void {
  reader.varbitInt();
  values[2 * k] = reader.low;
  values[2 * k + 1] = reader.high;
}

/** Reads how much the delta of a column changes, and moves the column on, in 64 bits with wraparound. */
function readDelta(reader: BitReader, values: Int32Array, deltas: Int32Array, k: number): void {
  reader.varbitInt();
  const at = 2 * k;
  const low = deltas[at]! + reader.low;
  // The unsigned sum of two words overflowed when it came out below either.
  const carry = low >>> 0 < reader.low >>> 0 ? 1 : 0;
  const deltaLow = low | 0;
  const deltaHigh = (deltas[at + 1]! + reader.high + carry) | 0;
  deltas[at] = deltaLow;
  deltas[at + 1] = deltaHigh;
  const valueLow = (values[at]! + deltaLow) | 0;
  const valueCarry = valueLow >>> 0 < deltaLow >>> 0 ? 1 : 0;
  values[at] = valueLow;
  values[at + 1] = (values[at + 1]! + deltaHigh + valueCarry) | 0;
}

/** Counts out of deltas, as doubles. */
function floatColumns(columns: IntegerColumns): HistogramColumns {
  const { integers: _, words, ...common } = columns;
  const values = new Float64Array(common.sampleCount * common.stride);
  integersToFloats(words, values, common.layout, common.sampleCount);
  return { ...common, values };
}
