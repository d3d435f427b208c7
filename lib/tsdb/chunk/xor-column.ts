import type { BitReader } from './bit-reader.js';

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
