import { VarveError } from '../errors/index.js';
import {
  CUSTOM_SCHEMA,
  FloatHistogram,
  type HistogramLayout,
  type HistogramProblem,
  IntegerHistogram,
  RESET_HINT,
  type ResetHint,
  spansProblem,
  VALUE,
} from '../histogram/index.js';
import { LayoutCache, type LayoutParts, spansOfList } from './layout-cache.js';

/**
 * Reads native histograms of remote write 1.0 (docs/formats/remote-write.md):
 *
 *   Histogram  { count_int 1 uint64 | count_float 2 double; sum 3 double; schema 4 sint32; zero_threshold 5 double;
 *                zero_count_int 6 uint64 | zero_count_float 7 double; negative_spans 8 repeated BucketSpan;
 *                negative_deltas 9 repeated sint64; negative_counts 10 repeated double; positive_spans 11,
 *                positive_deltas 12, positive_counts 13 likewise; reset_hint 14 enum; timestamp 15 int64 ms;
 *                custom_values 16 repeated double }
 *   BucketSpan { offset 1 sint32; length 2 uint32 }
 *
 * Numbers are moved as 32-bit words, so that 64-bit counts stay exact without a BigInt each and the stale marker keeps
 * its bits. They are gathered in scratch arrays first, since fields may come in any order and in pieces.
 */

/** Longest message that is read; scratch arrays grow to eight times that. */
export const HISTOGRAM_BYTES_MAX = 1 << 20;

/** A histogram that is well-formed protobuf and still none that can be expressed. */
export interface HistogramDefect {
  readonly reason: HistogramProblem['reason'] | 'bucket-index';
  readonly text: string;
}

/** Schemas that are only known in order to be reduced to 8 (9 to 52) or refused with another text (-9 to -5). */
const SCHEMA_KNOWN_MIN = -9;
const SCHEMA_KNOWN_MAX = 52;
const INDEX_MAX = 2 ** 31 - 1;
const SCRATCH_MIN = 512;

/** One side of a histogram while it is being read. */
class Side {
  pairs = new Int32Array(64);
  spanCount = 0;
  /** Of an integer histogram. */
  deltas = new BigInt64Array(SCRATCH_MIN);
  deltaWords = new Int32Array(this.deltas.buffer);
  deltaCount = 0;
  /** Of a float histogram. A message may have both; one kind is then left aside. */
  counts = new Float64Array(SCRATCH_MIN);
  countBytes = new Uint8Array(this.counts.buffer);
  countCount = 0;

  reset(): void {
    this.spanCount = 0;
    this.deltaCount = 0;
    this.countCount = 0;
  }

  addSpan(offset: number, length: number): void {
    const at = 2 * this.spanCount++;
    if (at === this.pairs.length) {
      const grown = new Int32Array(2 * at);
      grown.set(this.pairs);
      this.pairs = grown;
    }
    this.pairs[at] = offset;
    this.pairs[at + 1] = length;
  }

  reserveDeltas(count: number): void {
    const needed = this.deltaCount + count;
    if (needed <= this.deltas.length) return;
    const grown = new BigInt64Array(Math.max(needed, this.deltas.length * 2));
    grown.set(this.deltas);
    this.deltas = grown;
    this.deltaWords = new Int32Array(grown.buffer);
  }

  reserveCounts(count: number): void {
    const needed = this.countCount + count;
    if (needed <= this.counts.length) return;
    const grown = new Float64Array(Math.max(needed, this.counts.length * 2));
    grown.set(this.counts);
    this.counts = grown;
    this.countBytes = new Uint8Array(grown.buffer);
  }
}

export class HistogramReader {
  /** Time of the histogram that was read last. Exact up to 2^53. */
  timeMs = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** The upper half of the last varint. */
  #high = 0;
  readonly #layouts = new LayoutCache();
  readonly #positive = new Side();
  readonly #negative = new Side();
  /** Count, zero count and sum in the places of VALUE, and the zero threshold: bits, whatever they mean. */
  readonly #head = new Int32Array(8);
  readonly #headDoubles = new Float64Array(this.#head.buffer);
  readonly #headIntegers = new BigInt64Array(this.#head.buffer, 0, VALUE.buckets);
  readonly #headValues = new Float64Array(this.#head.buffer, 0, VALUE.buckets);
  readonly #parts: LayoutParts = {
    schema: 0,
    thresholdLow: 0,
    thresholdHigh: 0,
    zeroThreshold: 0,
    positive: this.#positive,
    negative: this.#negative,
    bounds: new Float64Array(64),
    boundCount: 0,
  };
  #isFloat = false;
  #isZeroCountFloat = false;
  #hint: ResetHint = RESET_HINT.unknown;

  /**
   * Reads the message at bytes[from, to), at most HISTOGRAM_BYTES_MAX long. The result owns its numbers and shares its
   * layout with histograms like it; counts are not checked (`histogramProblem`).
   * @throws VarveError client `write-request-malformed`
   */
  read(bytes: Uint8Array, from: number, to: number): IntegerHistogram | FloatHistogram | HistogramDefect {
    this.#bytes = bytes;
    this.#at = from;
    this.#reset();
    while (this.#at < to) this.#field(this.#varint(to) >>> 0, to);
    return this.#isFloat ? this.#floatHistogram() : this.#integerHistogram();
  }

  #reset(): void {
    this.#head.fill(0);
    this.#positive.reset();
    this.#negative.reset();
    this.#parts.schema = 0;
    this.#parts.boundCount = 0;
    this.#isFloat = false;
    this.#isZeroCountFloat = false;
    this.#hint = RESET_HINT.unknown;
    this.timeMs = 0;
  }

  #field(tag: number, end: number): void {
    // Only unknown fields have a tag of more than a word.
    if (this.#high !== 0) throw malformed();
    switch (tag) {
      case 0x08:
        this.#isFloat = false;
        this.#wordsOf(VALUE.count, end);
        break;
      case 0x11:
        this.#isFloat = true;
        this.#double(VALUE.count, end);
        break;
      case 0x19:
        this.#double(VALUE.sum, end);
        break;
      case 0x20:
        this.#parts.schema = zigzag32(this.#varint(end));
        break;
      case 0x29:
        this.#double(VALUE.buckets, end);
        break;
      case 0x30:
        this.#isZeroCountFloat = false;
        this.#wordsOf(VALUE.zeroCount, end);
        break;
      case 0x39:
        this.#isZeroCountFloat = true;
        this.#double(VALUE.zeroCount, end);
        break;
      case 0x42:
        this.#span(this.#negative, this.#length(end));
        break;
      case 0x48:
        this.#negative.reserveDeltas(1);
        this.#delta(this.#negative, end);
        break;
      case 0x4a:
        this.#packedDeltas(this.#negative, end);
        break;
      case 0x51:
        this.#counts(this.#negative, this.#fixed64(end));
        break;
      case 0x52:
        this.#counts(this.#negative, this.#length(end));
        break;
      case 0x5a:
        this.#span(this.#positive, this.#length(end));
        break;
      case 0x60:
        this.#positive.reserveDeltas(1);
        this.#delta(this.#positive, end);
        break;
      case 0x62:
        this.#packedDeltas(this.#positive, end);
        break;
      case 0x69:
        this.#counts(this.#positive, this.#fixed64(end));
        break;
      case 0x6a:
        this.#counts(this.#positive, this.#length(end));
        break;
      case 0x70:
        this.#hint = hintOf(this.#varint(end), this.#high);
        break;
      case 0x78:
        this.timeMs = (this.#varint(end) >>> 0) + this.#high * 2 ** 32;
        break;
      case 0x81:
        this.#bounds(this.#fixed64(end));
        break;
      case 0x82:
        this.#bounds(this.#length(end));
        break;
      default:
        if (tag >>> 3 <= 16) throw malformed();
        this.#skip(tag & 7, end);
    }
  }

  // Values: each reads from the present position, and throws when it would pass the end.

  /** A varint of 64 bits: the lower word, signed; the upper one is in #high. */
  #varint(end: number): number {
    if (this.#at >= end) throw malformed();
    const byte = this.#bytes[this.#at++]!;
    this.#high = 0;
    return byte < 0x80 ? byte : this.#longVarint(byte & 0x7f, end);
  }

  #longVarint(first: number, end: number): number {
    const bytes = this.#bytes;
    let low = first;
    let high = 0;
    for (let shift = 7; shift < 70 && this.#at < end; shift += 7) {
      const byte = bytes[this.#at++]!;
      const group = byte & 0x7f;
      if (shift < 28) low |= group << shift;
      else if (shift === 28) {
        low |= group << 28;
        high = group >>> 4;
      } else if (shift < 63) high |= group << (shift - 32);
      else {
        if (byte > 1) break;
        high |= byte << 31;
      }
      if (byte < 0x80) {
        this.#high = high;
        return low;
      }
    }
    throw malformed();
  }

  /** The end of a length-delimited value. */
  #length(end: number): number {
    const length = this.#varint(end) >>> 0;
    if (this.#high !== 0 || length > end - this.#at) throw malformed();
    return this.#at + length;
  }

  /** The end of a value of eight bytes. */
  #fixed64(end: number): number {
    if (end - this.#at < 8) throw malformed();
    return this.#at + 8;
  }

  #wordsOf(place: number, end: number): void {
    this.#head[2 * place] = this.#varint(end);
    this.#head[2 * place + 1] = this.#high;
  }

  #double(place: number, end: number): void {
    const to = this.#fixed64(end);
    const bytes = this.#bytes;
    for (let i = 2 * place, at = this.#at; at < to; i++, at += 4) {
      this.#head[i] = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    }
    this.#at = to;
  }

  #span(side: Side, end: number): void {
    let offset = 0;
    let length = 0;
    while (this.#at < end) {
      const tag = this.#varint(end) >>> 0;
      if (this.#high !== 0) throw malformed();
      if (tag === 0x08) offset = zigzag32(this.#varint(end));
      else if (tag === 0x10) length = this.#varint(end);
      else if (tag >>> 3 <= 2) throw malformed();
      else this.#skip(tag & 7, end);
    }
    side.addSpan(offset, length);
  }

  #packedDeltas(side: Side, end: number): void {
    const to = this.#length(end);
    side.reserveDeltas(to - this.#at);
    const bytes = this.#bytes;
    const words = side.deltaWords;
    let at = this.#at;
    let n = 2 * side.deltaCount;
    while (at < to) {
      // Nearly all deltas take one byte or two.
      let low = bytes[at]!;
      if (low < 0x80) at++;
      else if (at + 1 < to && bytes[at + 1]! < 0x80) {
        low = (low & 0x7f) | (bytes[at + 1]! << 7);
        at += 2;
      } else {
        this.#at = at;
        side.deltaCount = n >>> 1;
        this.#delta(side, to);
        at = this.#at;
        n += 2;
        continue;
      }
      const delta = zigzag32(low);
      words[n] = delta;
      words[n + 1] = delta >> 31;
      n += 2;
    }
    this.#at = at;
    side.deltaCount = n >>> 1;
  }

  /** One zigzag varint, for which there is room. */
  #delta(side: Side, end: number): void {
    const low = this.#varint(end);
    const high = this.#high;
    const sign = -(low & 1);
    const at = 2 * side.deltaCount++;
    side.deltaWords[at] = ((low >>> 1) | (high << 31)) ^ sign;
    side.deltaWords[at + 1] = (high >>> 1) ^ sign;
  }

  #counts(side: Side, end: number): void {
    const count = (end - this.#at) / 8;
    if (!Number.isInteger(count)) throw malformed();
    side.reserveCounts(count);
    side.countBytes.set(this.#bytes.subarray(this.#at, end), side.countCount * 8);
    side.countCount += count;
    this.#at = end;
  }

  #bounds(end: number): void {
    const parts = this.#parts;
    const count = (end - this.#at) / 8;
    if (!Number.isInteger(count)) throw malformed();
    if (parts.boundCount + count > parts.bounds.length) {
      const grown = new Float64Array(2 * (parts.boundCount + count));
      grown.set(parts.bounds);
      parts.bounds = grown;
    }
    const target = new Uint8Array(parts.bounds.buffer);
    target.set(this.#bytes.subarray(this.#at, end), parts.boundCount * 8);
    parts.boundCount += count;
    this.#at = end;
  }

  #skip(wireType: number, end: number): void {
    if (wireType === 0) this.#varint(end);
    else if (wireType === 1) this.#at = this.#fixed64(end);
    else if (wireType === 2) this.#at = this.#length(end);
    else if (wireType === 5 && end - this.#at >= 4) this.#at += 4;
    else throw malformed();
  }

  // Results.

  #integerHistogram(): IntegerHistogram | HistogramDefect {
    const { deltaCount: positiveCount, deltas: positive } = this.#positive;
    const { deltaCount: negativeCount, deltas: negative } = this.#negative;
    if (this.#isZeroCountFloat) this.#clearZeroCount();
    const layout = this.#layout(positiveCount, negativeCount);
    if ('text' in layout) return layout;
    const integers = new BigInt64Array(VALUE.buckets + positiveCount + negativeCount);
    integers.set(this.#headIntegers);
    if (positiveCount > 0) integers.set(positive.subarray(0, positiveCount), VALUE.buckets);
    if (negativeCount > 0) integers.set(negative.subarray(0, negativeCount), VALUE.buckets + positiveCount);
    return new IntegerHistogram(layout, integers, this.#hint);
  }

  #floatHistogram(): FloatHistogram | HistogramDefect {
    const { countCount: positiveCount, counts: positive } = this.#positive;
    const { countCount: negativeCount, counts: negative } = this.#negative;
    if (!this.#isZeroCountFloat) this.#clearZeroCount();
    const layout = this.#layout(positiveCount, negativeCount);
    if ('text' in layout) return layout;
    const values = new Float64Array(VALUE.buckets + positiveCount + negativeCount);
    values.set(this.#headValues);
    if (positiveCount > 0) values.set(positive.subarray(0, positiveCount), VALUE.buckets);
    if (negativeCount > 0) values.set(negative.subarray(0, negativeCount), VALUE.buckets + positiveCount);
    return new FloatHistogram(layout, values, this.#hint);
  }

  /** A zero count of the other kind than the histogram is one that is not set. */
  #clearZeroCount(): void {
    this.#head[2 * VALUE.zeroCount] = 0;
    this.#head[2 * VALUE.zeroCount + 1] = 0;
  }

  #layout(positiveCount: number, negativeCount: number): HistogramLayout | HistogramDefect {
    const parts = this.#parts;
    parts.thresholdLow = this.#head[2 * VALUE.buckets]!;
    parts.thresholdHigh = this.#head[2 * VALUE.buckets + 1]!;
    parts.zeroThreshold = this.#headDoubles[VALUE.buckets]!;
    const known = this.#layouts.find(parts);
    if (known !== undefined && known.positiveCount === positiveCount && known.negativeCount === negativeCount)
      return known;
    return layoutDefect(parts, positiveCount, negativeCount) ?? this.#layouts.add(parts);
  }
}

/** What makes a layout impossible; null when nothing does. */
function layoutDefect(
  parts: LayoutParts,
  positiveCount: number,
  negativeCount: number,
): HistogramDefect | null {
  const { schema, positive, negative } = parts;
  const isCustom = schema === CUSTOM_SCHEMA;
  if (!isCustom && !(schema >= SCHEMA_KNOWN_MIN && schema <= SCHEMA_KNOWN_MAX)) {
    const text = `histogram has an unknown schema, which must be between ${SCHEMA_KNOWN_MIN} and ${SCHEMA_KNOWN_MAX} for exponential buckets, or -53 for custom buckets, got schema ${schema}`;
    return { reason: 'schema', text };
  }
  const positiveSpans = spansOfList(positive);
  const problem =
    spansProblem(positiveSpans, positiveCount, isCustom ? 'custom buckets' : 'positive side') ??
    indexDefect(positiveSpans.offsets, positiveSpans.lengths, 'positive side');
  if (problem !== null) return problem;
  if (isCustom) {
    if (negative.spanCount === 0 && negativeCount === 0) return null;
    const what = negative.spanCount > 0 ? 'spans' : 'buckets';
    return { reason: 'custom-negative-buckets', text: `custom buckets: must not have negative ${what}` };
  }
  const negativeSpans = spansOfList(negative);
  return (
    spansProblem(negativeSpans, negativeCount, 'negative side') ??
    indexDefect(negativeSpans.offsets, negativeSpans.lengths, 'negative side')
  );
}

/** Indexes of buckets are 32-bit numbers: spans that go beyond would wrap around and come out unsorted. */
function indexDefect(offsets: Int32Array, lengths: Uint32Array, side: string): HistogramDefect | null {
  let index = 0;
  for (let i = 0; i < offsets.length; i++) {
    index += offsets[i]! + lengths[i]!;
    if (index <= INDEX_MAX) continue;
    const text = `${side}: span number ${i + 1} with offset ${offsets[i]}: histogram has a bucket index above ${INDEX_MAX}`;
    return { reason: 'bucket-index', text };
  }
  return null;
}

function zigzag32(word: number): number {
  return (word >>> 1) ^ -(word & 1);
}

function hintOf(low: number, high: number): ResetHint {
  if (high !== 0) return RESET_HINT.unknown;
  if (low === RESET_HINT.reset || low === RESET_HINT.notReset || low === RESET_HINT.gauge) return low;
  return RESET_HINT.unknown;
}

function malformed(): VarveError {
  return new VarveError(
    'client',
    'write-request-malformed',
    'protobuf: a histogram is not a prometheus.Histogram',
  );
}
