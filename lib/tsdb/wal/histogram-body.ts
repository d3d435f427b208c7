import { CorruptionError } from '../../errors/index.js';
import {
  FloatHistogram,
  HistogramLayout,
  IntegerHistogram,
  NO_SPANS,
  type ResetHint,
  type Spans,
  spansProblem,
  VALUE,
  valueCountOf,
} from '../../histogram/index.js';
import { ByteReader, type ByteWriter } from '../index/index.js';
import { CUSTOM_BUCKETS_SCHEMA } from './format.js';

/** Codecs of a histogram in a record (spec: wal.md §3): the `body` of a SampleRecordReader. Counts are exact in 64 bits. */

const FILE = 'histogram record';
const VARINT_BYTES_MAX = 10;

/** Decodes an integer histogram: records 7 and 9, or 12. @throws CorruptionError when the body is not whole. */
export function decodeHistogramBody(body: Uint8Array): IntegerHistogram {
  const reader = new ByteReader(FILE, body);
  const hint = readHint(reader);
  const schema = reader.varint();
  const fixed = new Int32Array(4 * 2);
  readDouble(reader, fixed, 3);
  readVarint(reader, fixed, VALUE.zeroCount, false);
  readVarint(reader, fixed, VALUE.count, false);
  readDouble(reader, fixed, VALUE.sum);
  const positive = readSpans(reader);
  const negative = readSpans(reader);
  const positiveDeltas = readDeltas(reader, positive);
  const negativeDeltas = readDeltas(reader, negative);
  const layout = finishLayout(reader, schema, fixed, positive, negative);
  const integers = new BigInt64Array(valueCountOf(layout));
  const histogram = new IntegerHistogram(layout, integers, hint);
  histogram.words.set(fixed.subarray(0, VALUE.buckets * 2));
  histogram.words.set(positiveDeltas, VALUE.buckets * 2);
  histogram.words.set(negativeDeltas, VALUE.buckets * 2 + positiveDeltas.length);
  return histogram;
}

/** Decodes a float histogram: records 8 and 10, or 13. @throws CorruptionError when the body is not whole. */
export function decodeFloatHistogramBody(body: Uint8Array): FloatHistogram {
  const reader = new ByteReader(FILE, body);
  const hint = readHint(reader);
  const schema = reader.varint();
  const fixed = new Int32Array(4 * 2);
  readDouble(reader, fixed, 3);
  readDouble(reader, fixed, VALUE.zeroCount);
  readDouble(reader, fixed, VALUE.count);
  readDouble(reader, fixed, VALUE.sum);
  const positive = readSpans(reader);
  const negative = readSpans(reader);
  const positiveCounts = readDoubles(reader, countBuckets(reader, positive, 8));
  const negativeCounts = readDoubles(reader, countBuckets(reader, negative, 8));
  const layout = finishLayout(reader, schema, fixed, positive, negative);
  const values = new Float64Array(valueCountOf(layout));
  const words = new Int32Array(values.buffer);
  words.set(fixed.subarray(0, VALUE.buckets * 2));
  words.set(positiveCounts, VALUE.buckets * 2);
  words.set(negativeCounts, VALUE.buckets * 2 + positiveCounts.length);
  return new FloatHistogram(layout, values, hint);
}

/** Appends an integer histogram: the body of records 7 (exponential) and 9 (custom bounds). */
export function encodeHistogramBody(out: ByteWriter, histogram: IntegerHistogram): void {
  const { layout, words, hint } = histogram;
  out.u8(hint);
  out.varint(layout.schema);
  writeNumber(out, layout.zeroThreshold);
  writeUvarint(out, words[2 * VALUE.zeroCount + 1]!, words[2 * VALUE.zeroCount]!);
  writeUvarint(out, words[2 * VALUE.count + 1]!, words[2 * VALUE.count]!);
  writeDouble(out, words, VALUE.sum);
  writeSpans(out, layout.positiveSpans);
  writeSpans(out, layout.negativeSpans);
  const negativeFrom = VALUE.buckets + layout.positiveCount;
  writeDeltas(out, words, VALUE.buckets, negativeFrom);
  writeDeltas(out, words, negativeFrom, words.length / 2);
  writeBounds(out, layout);
}

/** Appends a float histogram: the body of records 8 (exponential) and 10 (custom bounds). */
export function encodeFloatHistogramBody(out: ByteWriter, histogram: FloatHistogram): void {
  const { layout, values, hint } = histogram;
  const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
  out.u8(hint);
  out.varint(layout.schema);
  writeNumber(out, layout.zeroThreshold);
  writeDouble(out, words, VALUE.zeroCount);
  writeDouble(out, words, VALUE.count);
  writeDouble(out, words, VALUE.sum);
  writeSpans(out, layout.positiveSpans);
  writeSpans(out, layout.negativeSpans);
  const negativeFrom = VALUE.buckets + layout.positiveCount;
  writeDoubles(out, words, VALUE.buckets, negativeFrom);
  writeDoubles(out, words, negativeFrom, values.length);
  writeBounds(out, layout);
}

function readHint(reader: ByteReader): ResetHint {
  const hint = reader.u8();
  if (hint > 3) throw badBody(reader, `unknown counter reset hint ${hint}`);
  return hint as ResetHint;
}

/** Offset first, then length: not the order of chunks. */
function readSpans(reader: ByteReader): Spans {
  const count = reader.uvarint();
  if (count === 0) return NO_SPANS;
  if (count > reader.remaining / 2) throw badBody(reader, `${count} spans`);
  const offsets = new Int32Array(count);
  const lengths = new Uint32Array(count);
  let index = 0;
  for (let i = 0; i < count; i++) {
    const offset = reader.varint();
    const length = reader.uvarint();
    index += offset + length;
    if (Math.abs(offset) > 0x7fff_ffff || Math.abs(index) > 0x7fff_ffff) {
      throw badBody(reader, `span ${i} of offset ${offset} and length ${length}`);
    }
    offsets[i] = offset;
    lengths[i] = length;
  }
  return { offsets, lengths };
}

/** Reads how many buckets follow, which the spans must agree to. */
function countBuckets(reader: ByteReader, spans: Spans, bytesMin: number): number {
  const count = reader.uvarint();
  if (count > reader.remaining / bytesMin) throw badBody(reader, `${count} buckets`);
  const problem = spansProblem(spans, count, 'a side');
  if (problem !== null) throw badBody(reader, problem.text);
  return count;
}

function readDeltas(reader: ByteReader, spans: Spans): Int32Array {
  const count = countBuckets(reader, spans, 1);
  const words = new Int32Array(count * 2);
  for (let k = 0; k < count; k++) readVarint(reader, words, k, true);
  return words;
}

function readDoubles(reader: ByteReader, count: number): Int32Array {
  const words = new Int32Array(count * 2);
  for (let k = 0; k < count; k++) readDouble(reader, words, k);
  return words;
}

/** Reads what stands behind the buckets, and makes sure that it is the end. */
function finishLayout(
  reader: ByteReader,
  schema: number,
  fixed: Int32Array,
  positive: Spans,
  negative: Spans,
): HistogramLayout {
  let bounds: Float64Array | undefined;
  if (schema === CUSTOM_BUCKETS_SCHEMA) {
    const count = reader.uvarint();
    if (count > reader.remaining / 8) throw badBody(reader, `${count} custom bounds`);
    bounds = new Float64Array(readDoubles(reader, count).buffer);
  }
  if (reader.remaining > 0) throw badBody(reader, `${reader.remaining} bytes behind the end`);
  const zeroThreshold = new Float64Array(fixed.buffer)[3]!;
  return new HistogramLayout(schema, zeroThreshold, positive, negative, bounds);
}

/** Reads a big-endian double into the words of column k. */
function readDouble(reader: ByteReader, words: Int32Array, k: number): void {
  words[2 * k + 1] = reader.be32();
  words[2 * k] = reader.be32();
}

/** Reads a varint of up to 64 bits into the words of column k. */
function readVarint(reader: ByteReader, words: Int32Array, k: number, isZigZag: boolean): void {
  let low = 0;
  let high = 0;
  for (let i = 0; ; i++) {
    if (i === VARINT_BYTES_MAX) throw badBody(reader, 'a varint is longer than 64 bits');
    const byte = reader.u8();
    const bits = byte & 0x7f;
    if (i < 4) low |= bits << (7 * i);
    else if (i === 4) {
      low |= bits << 28;
      high |= bits >>> 4;
    } else high |= bits << (7 * i - 32);
    if (byte < 0x80) break;
  }
  if (isZigZag) {
    const sign = -(low & 1);
    low = ((low >>> 1) | (high << 31)) ^ sign;
    high = (high >>> 1) ^ sign;
  }
  words[2 * k] = low;
  words[2 * k + 1] = high;
}

function writeSpans(out: ByteWriter, spans: Spans): void {
  out.uvarint(spans.lengths.length);
  for (let i = 0; i < spans.lengths.length; i++) {
    out.varint(spans.offsets[i]!);
    out.uvarint(spans.lengths[i]!);
  }
}

function writeDeltas(out: ByteWriter, words: Int32Array, from: number, to: number): void {
  out.uvarint(to - from);
  for (let k = from; k < to; k++) {
    const low = words[2 * k]!;
    const high = words[2 * k + 1]!;
    const sign = high >> 31;
    writeUvarint(out, ((high << 1) | (low >>> 31)) ^ sign, (low << 1) ^ sign);
  }
}

function writeDoubles(out: ByteWriter, words: Int32Array, from: number, to: number): void {
  out.uvarint(to - from);
  for (let k = from; k < to; k++) writeDouble(out, words, k);
}

function writeBounds(out: ByteWriter, layout: HistogramLayout): void {
  if (layout.schema !== CUSTOM_BUCKETS_SCHEMA) return;
  out.uvarint(layout.customBounds.length);
  for (const bound of layout.customBounds) writeNumber(out, bound);
}

function writeDouble(out: ByteWriter, words: Int32Array, k: number): void {
  out.be32(words[2 * k + 1]!);
  out.be32(words[2 * k]!);
}

const numbers = new Float64Array(1);
const numberWords = new Int32Array(numbers.buffer);

function writeNumber(out: ByteWriter, value: number): void {
  numbers[0] = value;
  writeDouble(out, numberWords, 0);
}

function writeUvarint(out: ByteWriter, high: number, low: number): void {
  let restLow = low >>> 0;
  let restHigh = high >>> 0;
  while (restHigh !== 0) {
    out.u8((restLow & 0x7f) | 0x80);
    restLow = ((restLow >>> 7) | (restHigh << 25)) >>> 0;
    restHigh >>>= 7;
  }
  out.uvarint(restLow);
}

function badBody(reader: ByteReader, text: string): CorruptionError {
  return new CorruptionError('histogram-record', `${FILE}: ${text} at offset ${reader.position}`, {
    details: { file: FILE, offset: reader.position },
  });
}
