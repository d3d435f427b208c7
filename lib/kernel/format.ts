import { assert } from '../assert/index.js';
import { createMemory, instantiate } from './module.js';

/** Exports of assembly/format; addresses and counts are u32, times in ms. */
interface FormatExports {
  formatTables(powers: number, scratch: number): void;
  formatDouble(to: number, value: number): number;
  formatSteps(prefixes: number, startMs: number, stepMs: number, count: number): void;
  formatRow(prefixes: number, values: number, present: number, count: number, to: number): number;
  formatTimedRow(timestamps: number, values: number, count: number, to: number): number;
  formatSeries(addresses: number, count: number, to: number, end: number): number;
  formatVector(
    addresses: number,
    offsets: number,
    values: number,
    count: number,
    stamp: number,
    stampLength: number,
    to: number,
    end: number,
  ): number;
  formatDone(): number;
}

/** Most points of one call; writers of longer rows take them in pieces. */
export const FORMAT_POINTS_MAX = 12_288;
/** Longest text of a point: 24 bytes before the value, 25 of it, 3 after. */
const POINT_BYTES_MAX = 52;

/** Most elements of a vector, and most names and values of all their labels, in one call. */
export const FORMAT_SERIES_MAX = 2048;
export const FORMAT_LABELS_MAX = 65_536;
/** Labels of one series that are longer are left to the caller. */
const LABELS_BYTES_MAX = 65_536;
const STAMP_BYTES_MAX = 32;
/** The texts of labels may take this much before the kernel makes room for new ones. */
const TEXTS_BYTES_KEPT = 32 * 1024 * 1024;
const TEXTS_BYTES_MAX = 1024 * 1024 * 1024;

const POWER_MIN = -292;
const POWER_MAX = 324;
const POWERS = 16384;
const SCRATCH = POWERS + 16 * (POWER_MAX - POWER_MIN + 1);
const PREFIXES = SCRATCH + 64;
const TIMES = PREFIXES + 32 * FORMAT_POINTS_MAX;
const VALUES = TIMES + 8 * FORMAT_POINTS_MAX;
const PRESENT = VALUES + 8 * FORMAT_POINTS_MAX;
const TEXT = PRESENT + FORMAT_POINTS_MAX + 8;
const TEXT_END = TEXT + LABELS_BYTES_MAX + FORMAT_POINTS_MAX * POINT_BYTES_MAX + 128;
const STAMP = TEXT_END;
const LABELS = STAMP + STAMP_BYTES_MAX;
const OFFSETS = LABELS + 4 * FORMAT_LABELS_MAX;
const RECORDS = OFFSETS + 4 * (FORMAT_SERIES_MAX + 2);
/** Bytes that are read beyond a record. */
const SLACK_BYTES = 16;

/**
 * Writes points as the JSON text of Prometheus' API: `[<seconds>,"<value>"],` for each, values with the fewest digits
 * that read back the same float, and series of them with their labels. Works in a private memory, so results are valid
 * until the next call. The texts of label names and values are given once, and stay until the kernel is replaced.
 */
export class FormatKernel {
  readonly #memory = createMemory(RECORDS, RECORDS + TEXTS_BYTES_MAX);
  readonly #exports = instantiate<FormatExports>(this.#memory);
  #bytes = new Uint8Array(this.#memory.buffer);
  readonly #words = new Uint32Array(this.#memory.buffer);
  readonly #doubles = new Float64Array(this.#memory.buffer);
  #recordsEnd = RECORDS;
  #startMs = Number.NaN;
  #stepMs = 0;
  #stepCount = 0;

  constructor() {
    writePowers(new BigUint64Array(this.#memory.buffer, POWERS));
    this.#exports.formatTables(POWERS, SCRATCH);
  }

  /** Sets the times of rows to come: step k is at `startMs + k * stepMs`, k below `count`, at most FORMAT_POINTS_MAX. */
  setSteps(startMs: number, stepMs: number, count: number): void {
    assert(count <= FORMAT_POINTS_MAX, 'too many steps for one call');
    if (startMs === this.#startMs && stepMs === this.#stepMs && count <= this.#stepCount) return;
    this.#exports.formatSteps(PREFIXES, startMs, stepMs, count);
    this.#startMs = startMs;
    this.#stepMs = stepMs;
    this.#stepCount = count;
  }

  /**
   * The points of the steps whose `present` is 1, a comma behind each.
   * @param alignment remainder by 8 of the position where the text will be copied to
   */
  row(values: Float64Array, present: Uint8Array, alignment: number): Uint8Array {
    assert(values.length <= this.#stepCount, 'more values than steps');
    // Copies to and from shared memory go byte by byte unless both sides are aligned alike.
    const flags = PRESENT + (present.byteOffset & 7);
    const text = TEXT + (alignment & 7);
    this.#doubles.set(values, VALUES / 8);
    this.#bytes.set(present, flags);
    const end = this.#exports.formatRow(PREFIXES, VALUES, flags, values.length, text);
    return this.#bytes.subarray(text, end);
  }

  /** Bytes that label texts take. */
  get textByteCount(): number {
    return this.#recordsEnd - RECORDS;
  }

  /**
   * Keeps the text of a label name or value, a JSON string with its quotes.
   * @returns its address, for `series` and `vector`
   */
  addText(text: Uint8Array): number {
    const address = this.#recordsEnd;
    const end = address + 4 + text.length;
    if (end + SLACK_BYTES > this.#bytes.length) {
      const wanted = Math.max(end + SLACK_BYTES - this.#bytes.length, this.#bytes.length >>> 1);
      this.#memory.grow(Math.ceil(wanted / 65536));
      this.#bytes = new Uint8Array(this.#memory.buffer);
    }
    const length = text.length;
    this.#bytes.set([length & 255, (length >>> 8) & 255, (length >>> 16) & 255, length >>> 24], address);
    this.#bytes.set(text, address + 4);
    this.#recordsEnd = (end + 3) & ~3;
    return address;
  }

  /**
   * A series of a matrix, up to its last point and the comma behind it.
   * @param labels addresses of texts, name and value in turn
   * @returns null when the labels are too long for this
   */
  series(
    labels: Uint32Array,
    values: Float64Array,
    present: Uint8Array,
    alignment: number,
  ): Uint8Array | null {
    assert(values.length <= this.#stepCount, 'more values than steps');
    if (labels.length > FORMAT_LABELS_MAX) return null;
    const flags = PRESENT + (present.byteOffset & 7);
    const text = TEXT + (alignment & 7);
    this.#words.set(labels, LABELS / 4);
    const points = this.#exports.formatSeries(LABELS, labels.length, text, text + LABELS_BYTES_MAX);
    if (points === 0) return null;
    this.#doubles.set(values, VALUES / 8);
    this.#bytes.set(present, flags);
    const end = this.#exports.formatRow(PREFIXES, VALUES, flags, values.length, points);
    return this.#bytes.subarray(text, end);
  }

  /**
   * Elements of an instant vector, a comma behind each, as many as there is room for.
   * @param labels addresses of texts: those of element i from `offsets[i]` to `offsets[i + 1]`, name and value in turn
   * @param offsets one more than values
   * @returns their text, empty when the labels of the first are too long for this, and how many they are
   */
  vector(
    labels: Uint32Array,
    offsets: Uint32Array,
    values: Float64Array,
    stamp: Uint8Array,
    alignment: number,
  ): { text: Uint8Array; count: number } {
    assert(
      values.length <= FORMAT_SERIES_MAX && labels.length <= FORMAT_LABELS_MAX,
      'too many elements for one call',
    );
    const text = TEXT + (alignment & 7);
    this.#words.set(labels, LABELS / 4);
    this.#words.set(offsets, OFFSETS / 4);
    this.#doubles.set(values, VALUES / 8);
    this.#bytes.set(stamp, STAMP);
    const end = this.#exports.formatVector(
      LABELS,
      OFFSETS,
      VALUES,
      values.length,
      STAMP,
      stamp.length,
      text,
      TEXT_END - SLACK_BYTES,
    );
    return { text: this.#bytes.subarray(text, end), count: this.#exports.formatDone() };
  }

  /** The points of a series with times of its own, at most FORMAT_POINTS_MAX, a comma behind each. */
  timedRow(timestampsMs: Float64Array, values: Float64Array, alignment: number): Uint8Array {
    assert(values.length <= FORMAT_POINTS_MAX, 'too many points for one call');
    const text = TEXT + (alignment & 7);
    this.#doubles.set(timestampsMs, TIMES / 8);
    this.#doubles.set(values, VALUES / 8);
    const end = this.#exports.formatTimedRow(TIMES, VALUES, values.length, text);
    return this.#bytes.subarray(text, end);
  }

  /**
   * Writes one value to the caller's bytes, at most 25 of them.
   * @returns the position after it
   */
  float(target: Uint8Array, at: number, value: number): number {
    const end = this.#exports.formatDouble(TEXT, value);
    const bytes = this.#bytes;
    for (let i = TEXT; i < end; i++) target[at++] = bytes[i]!;
    return at;
  }
}

/** For each power of ten its highest 128 bits plus one unit, low half first; see assembly/format/shortest.ts. */
function writePowers(out: BigUint64Array): void {
  for (let power = POWER_MIN; power <= POWER_MAX; power++) {
    const log2 = BigInt((power * 1741647) >> 19);
    const size = 10n ** BigInt(Math.abs(power));
    const shift = 127n - log2;
    const top = power < 0 ? (1n << shift) / size : shift < 0n ? size >> -shift : size << shift;
    const bits = top + 1n;
    out[2 * (power - POWER_MIN)] = BigInt.asUintN(64, bits);
    out[2 * (power - POWER_MIN) + 1] = bits >> 64n;
  }
}

let shared: FormatKernel | null = null;

/**
 * The thread's own kernel for writing answers, made at the first use (about 3 ms), and anew when it keeps too many texts.
 * To be asked for once per answer.
 */
export function formatKernel(): FormatKernel {
  if (shared === null || shared.textByteCount > TEXTS_BYTES_KEPT) shared = new FormatKernel();
  return shared;
}
