import { CorruptionError } from '../errors/index.js';

/**
 * Reads bytes front to back. Little-endian unless the name says otherwise. Everything throws CorruptionError
 * `bytes-truncated` at the end of the bytes and `varint-overflow` on varints above 64 (or 53) bits, both with the
 * offset in `details`; callers that know a file or object name it as they pass the error on.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset: number;
  readonly #end: number;

  /** Reads bytes[start, end), which must not change meanwhile. Offsets count from the start of `bytes`. */
  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#offset = start;
    this.#end = end;
  }

  /** Where the next read begins. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes left to read. */
  get remaining(): number {
    return this.#end - this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16be(): number {
    return this.#view.getUint16(this.#advance(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  u32be(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  u64be(): bigint {
    return this.#view.getBigUint64(this.#advance(8));
  }

  f64(): number {
    return this.#view.getFloat64(this.#advance(8), true);
  }

  /** The next n bytes as a view. */
  bytes(n: number): Uint8Array {
    const at = this.#advance(n);
    return this.#bytes.subarray(at, at + n);
  }

  skip(n: number): void {
    this.#advance(n);
  }

  /** An unsigned varint that must fit a number exactly: at most 2^53 - 1. */
  uvarint(): number {
    const start = this.#offset;
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 0x80;
    }
    throw overflow(start, 53);
  }

  /** An unsigned varint of 64 bits. */
  uvarint64(): bigint {
    const start = this.#offset;
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (value >> 64n !== 0n) break;
        return value;
      }
    }
    throw overflow(start, 64);
  }

  /** A zigzag varint of a 64-bit integer. */
  varint64(): bigint {
    const zigzag = this.uvarint64();
    return (zigzag >> 1n) ^ -(zigzag & 1n);
  }

  #advance(n: number): number {
    const at = this.#offset;
    if (n > this.#end - at) {
      throw new CorruptionError(
        'bytes-truncated',
        `cannot read ${n} bytes at offset ${at}: ${this.#end - at} are left`,
        { details: { offset: at, expectedBytes: n, foundBytes: this.#end - at } },
      );
    }
    this.#offset = at + n;
    return at;
  }
}

function overflow(offset: number, bits: number): CorruptionError {
  return new CorruptionError('varint-overflow', `the varint at offset ${offset} is above ${bits} bits`, {
    details: { offset, bits },
  });
}
