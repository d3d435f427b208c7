import { assert } from '../assert/index.js';
import { createMemory, instantiate } from './module.js';

/** Exports of assembly/format; addresses and counts are u32, times in ms. */
interface FormatExports {
  formatTables(powers: number, scratch: number): void;
  formatDouble(to: number, value: number): number;
  formatSteps(prefixes: number, startMs: number, stepMs: number, count: number): void;
  formatRow(prefixes: number, values: number, present: number, count: number, to: number): number;
  formatTimedRow(timestamps: number, values: number, count: number, to: number): number;
}

/** Most points of one call; writers of longer rows take them in pieces. */
export const FORMAT_POINTS_MAX = 12_288;
/** Longest text of a point: 24 bytes before the value, 25 of it, 3 after. */
const POINT_BYTES_MAX = 52;

const POWER_MIN = -292;
const POWER_MAX = 324;
const POWERS = 16384;
const SCRATCH = POWERS + 16 * (POWER_MAX - POWER_MIN + 1);
const PREFIXES = SCRATCH + 64;
const TIMES = PREFIXES + 32 * FORMAT_POINTS_MAX;
const VALUES = TIMES + 8 * FORMAT_POINTS_MAX;
const PRESENT = VALUES + 8 * FORMAT_POINTS_MAX;
const TEXT = PRESENT + FORMAT_POINTS_MAX + 8;
const END = TEXT + FORMAT_POINTS_MAX * POINT_BYTES_MAX + 128;

/**
 * Writes points as the JSON text of Prometheus' API: `[<seconds>,"<value>"],` for each, values with the fewest digits
 * that read back the same float. Works in a small private memory, so results are valid until the next call.
 */
export class FormatKernel {
  readonly #memory = createMemory(END, END);
  readonly #exports = instantiate<FormatExports>(this.#memory);
  readonly #bytes = new Uint8Array(this.#memory.buffer);
  readonly #doubles = new Float64Array(this.#memory.buffer);
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

/** The thread's own kernel for writing numbers, made at the first use (about 3 ms). */
export function formatKernel(): FormatKernel {
  shared ??= new FormatKernel();
  return shared;
}
