import { CorruptionError } from '../../errors/index.js';

/** Reads go up to 8 bytes beyond the position they begin at. */
const PADDING_BYTES = 16;
/** Bits behind the prefix of a varbit integer, by the number of ones in the prefix. */
const VARBIT_WIDTHS = Uint8Array.of(0, 3, 6, 9, 12, 18, 25);

/**
 * Reads a bit stream, most significant bit first. Results above 32 bits are left in `high` and `low`, as signed
 * words. Everything throws CorruptionError `chunk-truncated` when the bits run out.
 */
export class BitReader {
  high: number;
  low: number;
  /** Bits read. */
  position: number;
  #end: number;
  /** A copy of the chunk with room behind it, so that reads need no check of every byte. */
  #bytes: Uint8Array;
  #view: DataView;

  constructor() {
    this.high = 0;
    this.low = 0;
    this.position = 0;
    this.#end = 0;
    this.#bytes = new Uint8Array(4096);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Begins to read a chunk at one of its bytes. The chunk is not kept. */
  reset(chunk: Uint8Array, byteOffset: number): void {
    const needed = chunk.length + PADDING_BYTES;
    if (needed > this.#bytes.length) {
      this.#bytes = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      this.#view = new DataView(this.#bytes.buffer);
    }
    this.#bytes.set(chunk);
    this.position = byteOffset * 8;
    this.#end = chunk.length * 8;
  }

  get remaining(): number {
    return this.#end - this.position;
  }

  /** 1 to 32 bits, unsigned. */
  bits(width: number): number {
    const word = this.#peek();
    this.#skip(width);
    return word >>> (32 - width);
  }

  isSet(): boolean {
    const word = this.#peek();
    this.#skip(1);
    return word < 0;
  }

  /** 1 to 64 bits into `high` and `low`. */
  wide(width: number): void {
    this.high = width > 32 ? this.bits(width - 32) | 0 : 0;
    this.low = this.bits(Math.min(width, 32)) | 0;
  }

  /** How many ones stand before the next zero, at most `limit`; the zero is consumed. */
  ones(limit: number): number {
    const count = Math.clz32(~this.#peek());
    if (count >= limit) {
      this.#skip(limit);
      return limit;
    }
    this.#skip(count + 1);
    return count;
  }

  /** A signed varbit integer into `high` and `low`; returned as well, rounded beyond 2^53. */
  varbitInt(): number {
    const word = this.#peek();
    if (word >= 0) {
      this.#skip(1);
      this.high = 0;
      this.low = 0;
      return 0;
    }
    const ones = Math.clz32(~word);
    if (ones < 7) {
      const width = VARBIT_WIDTHS[ones]!;
      this.#skip(ones + 1 + width);
      let value = (word << (ones + 1)) >>> (32 - width);
      // The pattern 100…0 is positive: the ranges are not those of two's complement.
      if (value > 1 << (width - 1)) value -= 1 << width;
      this.low = value;
      this.high = value >> 31;
      return value;
    }
    this.#skip(8);
    if (ones === 7) {
      this.wide(56);
      const high = this.high;
      if (high > 0x80_0000 || (high === 0x80_0000 && this.low !== 0)) this.high = high - 0x100_0000;
    } else this.wide(64);
    return this.high * 0x1_0000_0000 + (this.low >>> 0);
  }

  /** An unsigned varbit integer into `high` and `low`; returned as well, rounded beyond 2^53. */
  varbitUint(): number {
    const word = this.#peek();
    this.high = 0;
    if (word >= 0) {
      this.#skip(1);
      this.low = 0;
      return 0;
    }
    const ones = Math.clz32(~word);
    if (ones < 7) {
      const width = VARBIT_WIDTHS[ones]!;
      this.#skip(ones + 1 + width);
      this.low = (word << (ones + 1)) >>> (32 - width);
      return this.low;
    }
    this.#skip(8);
    this.wide(ones === 7 ? 56 : 64);
    return (this.high >>> 0) * 0x1_0000_0000 + (this.low >>> 0);
  }

  /** An unsigned varint of bytes at any bit position. Rounded beyond 2^53. */
  uvarint(): number {
    const value = this.#varint();
    return Number(value);
  }

  /** A zig-zag varint of bytes at any bit position. Rounded beyond 2^53. */
  varint(): number {
    const value = this.#varint();
    return Number((value >> 1n) ^ -(value & 1n));
  }

  /** A double. NaNs may lose their payload: values go through `wide`. */
  double(): number {
    this.wide(64);
    doubleWords[0] = this.low;
    doubleWords[1] = this.high;
    return doubles[0]!;
  }

  #varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.bits(8);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw this.fail('chunk-bad-varint', 'a varint is longer than 64 bits');
  }

  fail(code: string, text: string): CorruptionError {
    return new CorruptionError(code, `cannot decode a chunk of ${this.#end / 8} bytes: ${text}`, {
      details: { chunkBytes: this.#end / 8, bitOffset: this.position },
    });
  }

  /** The next 32 bits as a signed word; those behind the end are whatever was there. */
  #peek(): number {
    const position = this.position;
    const at = position >>> 3;
    const shift = position & 7;
    const word = this.#view.getInt32(at);
    // A shift by 32 would be one by 0: hence two shifts.
    return (word << shift) | ((this.#bytes[at + 4]! >>> 1) >>> (7 - shift));
  }

  #skip(width: number): void {
    const position = this.position + width;
    if (position > this.#end) throw this.fail('chunk-truncated', 'the bits run out');
    this.position = position;
  }
}

const doubles = new Float64Array(1);
const doubleWords = new Int32Array(doubles.buffer);
