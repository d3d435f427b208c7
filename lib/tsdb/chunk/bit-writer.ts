/** Widths behind prefixes of 1 to 6 ones. */
const VARBIT_WIDTHS = Uint8Array.of(3, 6, 9, 12, 18, 25);
/** Place among the widths by the bits that a value needs. */
const WIDTH_OF_BITS = Uint8Array.from({ length: 26 }, (_, bits) =>
  VARBIT_WIDTHS.findIndex((width) => width >= bits),
);
const SHORT_MAX = 2 ** 24;

/** Writes a bit stream, most significant bit first. 64-bit integers come as signed words, high and low. */
export class BitWriter {
  #bytes: Uint8Array;
  /** Bits written. */
  position: number;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.position = 0;
  }

  get byteLength(): number {
    return (this.position + 7) >>> 3;
  }

  /** Forgets what was written. */
  clear(): void {
    this.#bytes.fill(0, 0, this.byteLength);
    this.position = 0;
  }

  /** What was written, unused bits zero, as a copy. */
  copy(): Uint8Array {
    return this.#bytes.slice(0, this.byteLength);
  }

  /** What was written from a byte on, as a view. */
  viewFrom(from: number): Uint8Array {
    return this.#bytes.subarray(from, this.byteLength);
  }

  /** Overwrites a byte written before. */
  putByte(at: number, value: number): void {
    this.#bytes[at] = value;
  }

  /** The low `width` bits of a word, 1 to 32 of them. */
  bits(value: number, width: number): void {
    const at = this.position >>> 3;
    if (at + 5 > this.#bytes.length) this.#grow();
    const bytes = this.#bytes;
    const shift = this.position & 7;
    this.position += width;
    // The bits at the upper end of a word, moved to their place; what is behind the position is zero already.
    const word = value << (32 - width);
    const moved = word >>> shift;
    bytes[at] = bytes[at]! | (moved >>> 24);
    bytes[at + 1] = moved >>> 16;
    bytes[at + 2] = moved >>> 8;
    bytes[at + 3] = moved;
    // A shift by 32 would be one by 0: hence two shifts.
    bytes[at + 4] = (word << 1) << (7 - shift);
  }

  /** The low `width` bits of a 64-bit integer, 1 to 64 of them. */
  wide(high: number, low: number, width: number): void {
    if (width > 32) this.bits(high, width - 32);
    this.bits(low, Math.min(width, 32));
  }

  /** A signed varbit integer (spec: chunks.md §5). */
  varbitInt(high: number, low: number): void {
    if (high === low >> 31 && low > -SHORT_MAX && low <= SHORT_MAX) {
      if (low === 0) this.bits(0, 1);
      else this.#short(low, low > 0 ? low : 1 - low);
      return;
    }
    // 56 bits hold -(2^55 - 1) to 2^55.
    const isPositive = high >= 0 && (high < 0x80_0000 || (high === 0x80_0000 && low === 0));
    const isNegative = high < 0 && (high > -0x80_0000 || (high === -0x80_0000 && low !== 0));
    this.#long(high, low, isPositive || isNegative);
  }

  /** An unsigned varbit integer. */
  varbitUint(high: number, low: number): void {
    const value = low >>> 0;
    if (high === 0 && value < 2 ** 25) {
      if (value === 0) this.bits(0, 1);
      // One bit more than signed values have: the range of n bits ends at 2^n - 1.
      else this.#short(low, (value + 2) >>> 1);
      return;
    }
    this.#long(high, low, high >>> 0 < 0x100_0000);
  }

  /** A whole number of at most 2^53 in magnitude as a signed varbit integer. */
  varbitNumber(value: number): void {
    this.varbitInt(Math.floor(value / 0x1_0000_0000) | 0, value | 0);
  }

  /** @param size the value whose width is looked for, at least 1: the widest of n bits is 2^(n-1) */
  #short(low: number, size: number): void {
    const i = WIDTH_OF_BITS[33 - Math.clz32(size - 1)]!;
    const width = VARBIT_WIDTHS[i]!;
    // i + 1 ones, a zero, and the value: 32 bits at most.
    const prefix = (2 << (i + 1)) - 2;
    this.bits((prefix << width) | (low & ((1 << width) - 1)), i + 2 + width);
  }

  #long(high: number, low: number, isShort: boolean): void {
    this.bits(isShort ? 0xfe : 0xff, 8);
    this.wide(high, low, isShort ? 56 : 64);
  }

  #grow(): void {
    const grown = new Uint8Array(this.#bytes.length * 2);
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}
