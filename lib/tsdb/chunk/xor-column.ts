import type { BitReader } from './bit-reader.js';
import type { BitWriter } from './bit-writer.js';

/**
 * Reads the next value of an XOR coded column: the words at `words[2k]` (low) and `words[2k + 1]` (high) change from
 * the value before to this one.
 * @param windows leading and trailing zeros of column k at `windows[2k]` and `windows[2k + 1]`; zeros at the start
 */
export function readXorValue(reader: BitReader, words: Int32Array, windows: Uint8Array, k: number): void {
  const code = reader.ones(2);
  if (code === 0) return;
  if (code === 2) readWindow(reader, windows, k);
  readInWindow(reader, words, windows, k);
}

/** Reads a new window: five bits of leading zeros, six of width. */
export function readWindow(reader: BitReader, windows: Uint8Array, k: number): void {
  const leading = reader.bits(5);
  const width = reader.bits(6) || 64;
  if (leading + width > 64) throw reader.fail('chunk-bad-window', 'a value is wider than 64 bits');
  windows[2 * k] = leading;
  windows[2 * k + 1] = 64 - leading - width;
}

/** Reads the bits inside the present window and applies them. */
export function readInWindow(reader: BitReader, words: Int32Array, windows: Uint8Array, k: number): void {
  const trailing = windows[2 * k + 1]!;
  reader.wide(64 - windows[2 * k]! - trailing);
  let { high, low } = reader;
  if (trailing >= 32) {
    high = low << (trailing - 32);
    low = 0;
  } else if (trailing > 0) {
    high = (high << trailing) | (low >>> (32 - trailing));
    low <<= trailing;
  }
  words[2 * k]! ^= low;
  words[2 * k + 1]! ^= high;
}

/** Marks a column that has no window yet. */
export const NO_WINDOW = 0xff;
const LEADING_MAX = 31;

/**
 * Writes a value of an XOR coded column: the twin of `readXorValue`.
 * @param last words of the value before, which this one replaces
 * @param windows as for reading, but NO_WINDOW at the start
 */
export function writeXorValue(
  writer: BitWriter,
  last: Int32Array,
  next: Int32Array,
  windows: Uint8Array,
  k: number,
): void {
  const low = last[2 * k]! ^ next[2 * k]!;
  const high = last[2 * k + 1]! ^ next[2 * k + 1]!;
  last[2 * k] = next[2 * k]!;
  last[2 * k + 1] = next[2 * k + 1]!;
  if (low === 0 && high === 0) {
    writer.bits(0, 1);
    return;
  }
  let leading = high === 0 ? 32 + Math.clz32(low) : Math.clz32(high);
  let trailing = low === 0 ? 32 + trailingZeros(high) : trailingZeros(low);
  const isInside =
    windows[2 * k] !== NO_WINDOW && leading >= windows[2 * k]! && trailing >= windows[2 * k + 1]!;
  if (isInside) {
    leading = windows[2 * k]!;
    trailing = windows[2 * k + 1]!;
    writer.bits(0b10, 2);
  } else {
    leading = Math.min(leading, LEADING_MAX);
    windows[2 * k] = leading;
    windows[2 * k + 1] = trailing;
    writer.bits(0b11, 2);
    writer.bits(leading, 5);
    // 64 is written as 0.
    writer.bits(64 - leading - trailing, 6);
  }
  writeShifted(writer, high, low, leading, trailing);
}

/** The bits of a word pair inside a window. */
export function writeShifted(
  writer: BitWriter,
  high: number,
  low: number,
  leading: number,
  trailing: number,
): void {
  const shiftedLow =
    trailing >= 32
      ? high >>> (trailing - 32)
      : trailing === 0
        ? low
        : (low >>> trailing) | (high << (32 - trailing));
  const shiftedHigh = trailing >= 32 ? 0 : high >>> trailing;
  writer.wide(shiftedHigh, shiftedLow, 64 - leading - trailing);
}

export function trailingZeros(word: number): number {
  return 31 - Math.clz32(word & -word);
}
