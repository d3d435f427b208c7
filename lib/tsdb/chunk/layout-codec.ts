import { CUSTOM_SCHEMA, HistogramLayout, NO_SPANS, powerOfTwo, type Spans } from '../../histogram/index.js';
import type { BitReader } from './bit-reader.js';
import type { BitWriter } from './bit-writer.js';

/** Finest and coarsest schema that may stand in a chunk; see HistogramLayout for those that are worked with. */
const CHUNK_SCHEMA_MAX = 52;
const CHUNK_SCHEMA_MIN = -9;
const NO_BOUNDS = new Float64Array(0);
const INT32_MAX = 0x7fff_ffff;

/** Reads the layout of a histogram chunk (spec: chunks.md §6). @throws CorruptionError `chunk-bad-layout` */
export function readLayout(reader: BitReader): HistogramLayout {
  const zeroThreshold = readZeroThreshold(reader);
  const schema = reader.varbitInt();
  if (schema !== CUSTOM_SCHEMA && (schema < CHUNK_SCHEMA_MIN || schema > CHUNK_SCHEMA_MAX)) {
    throw reader.fail('chunk-bad-layout', `unknown histogram schema ${schema}`);
  }
  const positive = readSpans(reader);
  const negative = readSpans(reader);
  const bounds = schema === CUSTOM_SCHEMA ? readBounds(reader) : NO_BOUNDS;
  return new HistogramLayout(schema, zeroThreshold, positive, negative, bounds);
}

/** A byte for the common powers of two, or the double behind a byte of ones. */
function readZeroThreshold(reader: BitReader): number {
  const byte = reader.bits(8);
  if (byte === 0) return 0;
  return byte === 255 ? reader.double() : powerOfTwo(byte - 244);
}

/** Length first, then offset. */
function readSpans(reader: BitReader): Spans {
  const count = reader.varbitUint();
  if (count === 0) return NO_SPANS;
  // Hostile counts: a span takes at least two bits, a bucket at least one.
  if (count > reader.remaining / 2) throw reader.fail('chunk-bad-layout', `${count} spans`);
  const offsets = new Int32Array(count);
  const lengths = new Uint32Array(count);
  let index = 0;
  let buckets = 0;
  for (let i = 0; i < count; i++) {
    const length = reader.varbitUint();
    const offset = reader.varbitInt();
    index += offset + length;
    buckets += length;
    const isBadOffset = (i > 0 && offset < 0) || offset > INT32_MAX || offset < -INT32_MAX;
    if (isBadOffset || buckets > reader.remaining || index > INT32_MAX) {
      throw reader.fail('chunk-bad-layout', `span ${i} of offset ${offset} and length ${length}`);
    }
    offsets[i] = offset;
    lengths[i] = length;
  }
  return { offsets, lengths };
}

/** Multiples of 0.001 as integers, others as doubles behind a zero bit. */
function readBounds(reader: BitReader): Float64Array {
  const count = reader.varbitUint();
  if (count > reader.remaining / 5) throw reader.fail('chunk-bad-layout', `${count} custom bounds`);
  const bounds = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const thousandths = reader.varbitUint();
    bounds[i] = thousandths === 0 ? reader.double() : (thousandths - 1) / 1000;
  }
  return bounds;
}

/** Largest bound, in thousandths, that has the short form. */
const THOUSANDTHS_MAX = 33_554_430;

/** Writes the layout of a histogram chunk: the twin of `readLayout`. */
export function writeLayout(writer: BitWriter, layout: HistogramLayout): void {
  writeZeroThreshold(writer, layout.zeroThreshold);
  writer.varbitNumber(layout.schema);
  writeSpans(writer, layout.positiveSpans);
  writeSpans(writer, layout.negativeSpans);
  if (!layout.isCustom) return;
  writer.varbitUint(0, layout.customBounds.length);
  for (const bound of layout.customBounds) writeBound(writer, bound);
}

function writeZeroThreshold(writer: BitWriter, threshold: number): void {
  const exponent = Math.round(Math.log2(threshold));
  if (threshold === 0) writer.bits(0, 8);
  else if (exponent >= -243 && exponent <= 10 && powerOfTwo(exponent) === threshold) {
    writer.bits(exponent + 244, 8);
  } else {
    writer.bits(255, 8);
    writeDouble(writer, threshold);
  }
}

function writeSpans(writer: BitWriter, spans: Spans): void {
  writer.varbitUint(0, spans.lengths.length);
  for (let i = 0; i < spans.lengths.length; i++) {
    writer.varbitUint(0, spans.lengths[i]!);
    writer.varbitNumber(spans.offsets[i]!);
  }
}

function writeBound(writer: BitWriter, bound: number): void {
  const thousandths = Math.round(bound * 1000);
  if (bound >= 0 && bound * 1000 <= THOUSANDTHS_MAX && thousandths / 1000 === bound) {
    writer.varbitUint(0, thousandths + 1);
  } else {
    writer.bits(0, 1);
    writeDouble(writer, bound);
  }
}

const doubles = new Float64Array(1);
const doubleWords = new Int32Array(doubles.buffer);

function writeDouble(writer: BitWriter, value: number): void {
  doubles[0] = value;
  writer.wide(doubleWords[1]!, doubleWords[0]!, 64);
}
