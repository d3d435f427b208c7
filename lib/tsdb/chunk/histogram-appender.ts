import {
  EMPTY_LAYOUT,
  equalBounds,
  equalLayouts,
  FloatHistogram,
  type HistogramLayout,
  type IntegerHistogram,
  RESET_HINT,
  VALUE,
  valueCountOf,
} from '../../histogram/index.js';
import { BitWriter } from './bit-writer.js';
import {
  ENCODING,
  HISTOGRAM_HEADER_BYTES,
  RESET_HEADER,
  type ResetHeader,
  SAMPLES_MAX,
  STALE_HIGH,
  STALE_LOW,
} from './format.js';
import type { HistogramColumns } from './histogram-columns.js';
import { HistogramDecoder } from './histogram-decoder.js';
import { writeLayout } from './layout-codec.js';
import { unionOfCounters, unionOfGauges } from './layout-union.js';
import {
  FLOAT_ROWS,
  INTEGER_ROWS,
  isStaleWords,
  isZeroAt,
  type RowKind,
  type RowWriter,
  spreadCounts,
} from './rows.js';

/** Whether a sample may join the chunk of the one before, and if not, what is known about a reset between them. */
type Verdict = 'append' | ResetHeader;

/**
 * Writes the histogram chunks of one series, byte for byte as Prometheus does (spec: chunks.md §6.4): a sample joins
 * the open chunk, widens its layout, or starts the next chunk with what is known about a counter reset in its header.
 *
 * Samples come in ascending time. The caller cuts for size and time with `cut`.
 */
export class HistogramAppender<H extends IntegerHistogram | FloatHistogram> {
  readonly encoding: number;
  readonly #kind: RowKind;
  readonly #out: BitWriter;
  #writer: RowWriter | null;
  #header: ResetHeader;
  #sampleCount: number;
  #startCount: number;
  /** Layout of the open chunk, or of the last one while none is open. */
  #layout: HistogramLayout;
  /** Absolute counts of the last sample in that layout; null before the first sample. */
  #last: Int32Array | null;
  #lastMs: number;
  #lastDelta: number;

  private constructor(kind: RowKind) {
    this.encoding = kind.isFloat ? ENCODING.floatHistogram : ENCODING.histogram;
    this.#kind = kind;
    this.#out = new BitWriter(1024);
    this.#writer = null;
    this.#header = RESET_HEADER.unknown;
    this.#sampleCount = 0;
    this.#startCount = 0;
    this.#layout = EMPTY_LAYOUT;
    this.#last = null;
    this.#lastMs = 0;
    this.#lastDelta = 0;
  }

  /** For chunks of encoding 2. */
  static integers(): HistogramAppender<IntegerHistogram> {
    return new HistogramAppender<IntegerHistogram>(INTEGER_ROWS);
  }

  /** For chunks of encoding 3. */
  static floats(): HistogramAppender<FloatHistogram> {
    return new HistogramAppender<FloatHistogram>(FLOAT_ROWS);
  }

  /**
   * Goes on with a chunk that an appender wrote, as if it were that one.
   * @throws CorruptionError when the chunk does not decode
   */
  static resumed(
    encoding: number,
    chunk: Uint8Array,
  ): HistogramAppender<IntegerHistogram> | HistogramAppender<FloatHistogram> {
    if (encoding === ENCODING.floatHistogram) {
      const floats = HistogramAppender.floats();
      floats.#resume(chunk, () => true);
      return floats;
    }
    const integers = HistogramAppender.integers();
    integers.#resume(chunk, () => true);
    return integers;
  }

  /**
   * Some of the samples of a chunk as a chunk of the same layout; without samples when none is kept.
   * @throws CorruptionError when the chunk does not decode
   */
  static filtered(encoding: number, chunk: Uint8Array, keeps: (timestampMs: number) => boolean): Uint8Array {
    const isFloat = encoding === ENCODING.floatHistogram;
    const appender = isFloat ? HistogramAppender.floats() : HistogramAppender.integers();
    appender.#resume(chunk, keeps);
    return appender.chunk() ?? new Uint8Array(HISTOGRAM_HEADER_BYTES);
  }

  /** Samples in the open chunk. */
  get sampleCount(): number {
    return this.#sampleCount;
  }

  get byteLength(): number {
    return this.#out.byteLength;
  }

  /** Grows whenever a chunk is begun, or the open one is written anew in a wider layout. */
  get startCount(): number {
    return this.#startCount;
  }

  /** The bytes of the open chunk from one on, sample count not filled in; a view that the next call may change. */
  bytesFrom(from: number): Uint8Array {
    return this.#out.viewFrom(from);
  }

  /** Whether a histogram is the one appended last: buckets that are not there count as empty ones. */
  isLast(histogram: H): boolean {
    const last = this.#last;
    if (last === null) return false;
    const { layout, row } = this.#rowOf(histogram);
    const counts = this.#kind.countsOf(row, layout);
    if (isStaleWords(counts) || isStaleWords(last)) return isStaleWords(counts) && isStaleWords(last);
    const chunk = this.#layout;
    const isAlike =
      layout.schema === chunk.schema &&
      layout.zeroThreshold === chunk.zeroThreshold &&
      equalBounds(layout.customBounds, chunk.customBounds);
    if (!isAlike) return false;
    const union = unionOfGauges(chunk, layout);
    const a = union === chunk ? last : spreadCounts(last, chunk, union);
    const b = layout === union ? counts : spreadCounts(counts, layout, union);
    return a.every((word, i) => word === b[i]);
  }

  /** The open chunk, as a copy; null while it has no samples. */
  chunk(): Uint8Array | null {
    if (this.#sampleCount === 0) return null;
    this.#out.putByte(0, this.#sampleCount >>> 8);
    this.#out.putByte(1, this.#sampleCount & 0xff);
    return this.#out.copy();
  }

  /** Ends the open chunk and returns it, null when there is none. The next sample begins another. */
  cut(): Uint8Array | null {
    const chunk = this.chunk();
    this.#sampleCount = 0;
    return chunk;
  }

  /**
   * Appends a sample.
   * @returns the chunk that the sample ended, or null when it joined the open one or opened one
   */
  append(timestampMs: number, histogram: H): Uint8Array | null {
    const { hint } = histogram;
    const isGauge = hint === RESET_HINT.gauge;
    const { layout, row } = this.#rowOf(histogram);
    const counts = this.#kind.countsOf(row, layout);
    // Mostly it has the buckets of the chunk: then they need not be compared one by one.
    const alike = equalLayouts(layout, this.#layout) ? this.#layout : layout;
    const isReset = hint === RESET_HINT.reset;
    if (this.#last === null) {
      const known = isReset ? RESET_HEADER.reset : RESET_HEADER.unknown;
      this.#open(timestampMs, layout, row, counts, headerOf(isGauge, known));
      return null;
    }
    const verdict = isGauge ? this.#judgeGauge(alike, row) : this.#judge(alike, counts, isReset);
    if (this.#sampleCount === 0 || this.#sampleCount === SAMPLES_MAX) {
      const finished = this.cut();
      let known: ResetHeader = verdict === 'append' ? RESET_HEADER.notReset : verdict;
      // A chunk of doubles that was not forced open says reset or not.
      if (this.#kind.isFloat && known === RESET_HEADER.unknown) known = RESET_HEADER.notReset;
      this.#open(timestampMs, layout, row, counts, headerOf(isGauge, isReset ? RESET_HEADER.reset : known));
      return finished;
    }
    if (verdict !== 'append') {
      const finished = this.cut();
      const isUnknown = this.#kind.isFloat && verdict !== RESET_HEADER.reset;
      this.#open(
        timestampMs,
        layout,
        row,
        counts,
        headerOf(isGauge, isUnknown ? RESET_HEADER.unknown : verdict),
      );
      return finished;
    }
    this.#join(timestampMs, alike, row, counts, isGauge);
    return null;
  }

  /** The numbers of a histogram; a stale marker loses all but its sum. */
  #rowOf(histogram: H): { layout: HistogramLayout; row: Int32Array } {
    if (histogram.isStale) {
      const row = new Int32Array(VALUE.buckets * 2);
      row[2 * VALUE.sum] = STALE_LOW;
      row[2 * VALUE.sum + 1] = STALE_HIGH;
      return { layout: EMPTY_LAYOUT, row };
    }
    if (histogram instanceof FloatHistogram) {
      const { values } = histogram;
      return {
        layout: histogram.layout,
        row: new Int32Array(values.buffer, values.byteOffset, values.length * 2),
      };
    }
    return { layout: histogram.layout, row: histogram.words };
  }

  /** Judges a sample of a counter by the last one; the order of the tests decides what the header says. */
  #judge(layout: HistogramLayout, counts: Int32Array, isReset: boolean): Verdict {
    const last = this.#last!;
    const chunk = this.#layout;
    const { isBelow } = this.#kind;
    if (this.#header === RESET_HEADER.gauge) return RESET_HEADER.notReset;
    if (isReset) return RESET_HEADER.reset;
    if (isStaleWords(counts)) return 'append';
    if (isStaleWords(last)) return RESET_HEADER.unknown;
    if (isBelow(counts, VALUE.count, last, VALUE.count)) return RESET_HEADER.reset;
    if (layout.schema !== chunk.schema || layout.zeroThreshold !== chunk.zeroThreshold)
      return RESET_HEADER.unknown;
    if (!equalBounds(layout.customBounds, chunk.customBounds)) return RESET_HEADER.reset;
    if (isBelow(counts, VALUE.zeroCount, last, VALUE.zeroCount)) return RESET_HEADER.reset;
    const isDropped =
      this.#isDropped(VALUE.buckets, chunk.positiveIndexes, VALUE.buckets, layout.positiveIndexes, counts) ||
      this.#isDropped(
        VALUE.buckets + chunk.positiveCount,
        chunk.negativeIndexes,
        VALUE.buckets + layout.positiveCount,
        layout.negativeIndexes,
        counts,
      );
    return isDropped ? RESET_HEADER.reset : 'append';
  }

  #judgeGauge(layout: HistogramLayout, row: Int32Array): Verdict {
    const chunk = this.#layout;
    if (this.#header !== RESET_HEADER.gauge) return RESET_HEADER.gauge;
    if (isStaleWords(row)) return 'append';
    const isOther =
      isStaleWords(this.#last!) ||
      layout.schema !== chunk.schema ||
      layout.zeroThreshold !== chunk.zeroThreshold ||
      !equalBounds(layout.customBounds, chunk.customBounds);
    return isOther ? RESET_HEADER.gauge : 'append';
  }

  /** Whether a bucket of the last sample went down, or vanished with a count, on one side. */
  #isDropped(
    lastAt: number,
    lastIndexes: Int32Array,
    countsAt: number,
    indexes: Int32Array,
    counts: Int32Array,
  ): boolean {
    const last = this.#last!;
    let j = 0;
    for (let i = 0; i < lastIndexes.length; i++) {
      const index = lastIndexes[i]!;
      while (j < indexes.length && indexes[j]! < index) j++;
      if (j < indexes.length && indexes[j] === index) {
        if (this.#kind.isBelow(counts, countsAt + j, last, lastAt + i)) return true;
      } else if (!isZeroAt(last, lastAt + i)) return true;
    }
    return false;
  }

  #open(
    timestampMs: number,
    layout: HistogramLayout,
    row: Int32Array,
    counts: Int32Array,
    header: ResetHeader,
  ): void {
    this.#header = header;
    this.#layout = layout;
    this.#begin();
    this.#write(timestampMs, row, counts);
  }

  #begin(): void {
    const out = this.#out;
    out.clear();
    this.#startCount++;
    out.bits(this.#header, HISTOGRAM_HEADER_BYTES * 8);
    writeLayout(out, this.#layout);
    this.#writer = this.#kind.writer(valueCountOf(this.#layout));
    this.#sampleCount = 0;
  }

  #join(
    timestampMs: number,
    layout: HistogramLayout,
    row: Int32Array,
    counts: Int32Array,
    isGauge: boolean,
  ): void {
    if (isStaleWords(counts)) {
      const wide = new Int32Array(valueCountOf(this.#layout) * 2);
      wide.set(counts);
      this.#write(timestampMs, wide, wide);
      return;
    }
    let chunk = this.#layout;
    if (layout !== chunk) {
      const union = isGauge ? unionOfGauges(chunk, layout) : unionOfCounters(chunk, layout);
      if (union !== chunk) this.#recode(union);
      chunk = union;
    }
    // The union has all buckets of the sample: as many are the same.
    if (layout.positiveCount === chunk.positiveCount && layout.negativeCount === chunk.negativeCount) {
      this.#write(timestampMs, row, counts);
    } else {
      const wide = spreadCounts(counts, layout, chunk);
      this.#write(timestampMs, this.#kind.rowOf(wide, chunk), wide);
    }
  }

  /** Writes the open chunk anew in a wider layout, from the first sample on: windows and deltas come out differently. */
  #recode(union: HistogramLayout): void {
    const before = this.#layout;
    const kind = this.#kind;
    const { columns, words } = this.#decode(this.chunk()!);
    const { timestamps, stride } = columns;
    this.#layout = union;
    this.#begin();
    for (let i = 0; i < columns.sampleCount; i++) {
      const row = words.subarray(i * stride * 2, (i + 1) * stride * 2);
      const counts = spreadCounts(kind.countsOf(row, before), before, union);
      this.#write(timestamps[i]!, kind.rowOf(counts, union), counts);
    }
  }

  /** Takes a chunk over, or some of its samples, by writing it once more. */
  #resume(chunk: Uint8Array, keeps: (timestampMs: number) => boolean): void {
    const { columns, words } = this.#decode(chunk);
    const { timestamps, stride, header } = columns;
    let isBegun = false;
    for (let i = 0; i < columns.sampleCount; i++) {
      if (!keeps(timestamps[i]!)) continue;
      let row = words.slice(i * stride * 2, (i + 1) * stride * 2);
      if (!isBegun) {
        // Behind a stale marker in front there are only such.
        this.#layout = isStaleWords(row) ? EMPTY_LAYOUT : columns.layout;
        // What the header says is about the first sample of the chunk.
        this.#header = i === 0 || header === RESET_HEADER.gauge ? header : RESET_HEADER.unknown;
        this.#begin();
        isBegun = true;
      }
      row = row.subarray(0, valueCountOf(this.#layout) * 2);
      this.#write(timestamps[i]!, row, this.#kind.countsOf(row, this.#layout));
    }
  }

  #decode(chunk: Uint8Array): { columns: Omit<HistogramColumns, 'values'>; words: Int32Array } {
    const decoder = new HistogramDecoder();
    if (this.#kind.isFloat) {
      const columns = decoder.decode(this.encoding, chunk);
      return { columns, words: new Int32Array(columns.values.buffer) };
    }
    const columns = decoder.decodeIntegers(this.encoding, chunk);
    return { columns, words: columns.words };
  }

  /**
   * Writes a sample in the layout of the open chunk.
   * @param row its numbers as stored
   * @param counts the same as absolute counts, kept
   */
  #write(timestampMs: number, row: Int32Array, counts: Int32Array): void {
    const isFirst = this.#sampleCount === 0;
    const out = this.#out;
    if (isFirst) {
      out.varbitNumber(timestampMs);
      this.#lastDelta = 0;
    } else {
      const delta = timestampMs - this.#lastMs;
      out.varbitNumber(delta - this.#lastDelta);
      this.#lastDelta = delta;
    }
    this.#lastMs = timestampMs;
    this.#writer!.write(out, row, isFirst);
    this.#last = counts;
    this.#sampleCount++;
  }
}

/** The header of a chunk whose first sample is a gauge, or else has this relation to the sample before. */
function headerOf(isGauge: boolean, known: ResetHeader): ResetHeader {
  return isGauge ? RESET_HEADER.gauge : known;
}
