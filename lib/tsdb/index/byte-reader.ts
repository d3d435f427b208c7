import { CorruptionError } from '../../errors/index.js';

/**
 * Reads the big-endian integers, varints and strings of TSDB files from a byte range. Every read checks the end of
 * the range, so hostile bytes give a CorruptionError that names file and offset, never a value from elsewhere.
 *
 * Integers are JavaScript numbers: 64-bit fields beyond 2^53 come out rounded, which callers refuse where it matters.
 */
export class ByteReader {
  bytes: Uint8Array;
  position: number;
  /** Offset in the file of `bytes[0]`, for messages. */
  base: number;
  readonly file: string;

  constructor(file: string, bytes: Uint8Array = EMPTY, base = 0) {
    this.file = file;
    this.bytes = bytes;
    this.position = 0;
    this.base = base;
  }

  /** Points the reader at other bytes of the same file. */
  reset(bytes: Uint8Array, base: number): void {
    this.bytes = bytes;
    this.position = 0;
    this.base = base;
  }

  get remaining(): number {
    return this.bytes.length - this.position;
  }

  u8(): number {
    const at = this.position;
    if (at >= this.bytes.length) this.failTruncated(1);
    this.position = at + 1;
    return this.bytes[at]!;
  }

  be32(): number {
    const at = this.position;
    const bytes = this.bytes;
    if (at + 4 > bytes.length) this.failTruncated(4);
    this.position = at + 4;
    return readBe32(bytes, at);
  }

  /** An unsigned 64-bit integer. */
  be64(): number {
    const hi = this.be32();
    return hi * 0x1_0000_0000 + this.be32();
  }

  uvarint(): number {
    const bytes = this.bytes;
    let at = this.position;
    const end = bytes.length;
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      if (at >= end) this.failTruncated(at - this.position + 1);
      const byte = bytes[at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.position = at;
        return value;
      }
    }
    let scale = 0x1000_0000;
    for (let count = 4; count < 7; count++) {
      if (at >= end) this.failTruncated(at - this.position + 1);
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) {
        this.position = at;
        return value;
      }
    }
    return Number(this.#longUvarint());
  }

  varint(): number {
    const start = this.position;
    const raw = this.uvarint();
    if (raw > Number.MAX_SAFE_INTEGER) {
      this.position = start;
      const big = this.#longUvarint();
      return Number((big >> 1n) ^ -(big & 1n));
    }
    if (raw <= 0x7fff_ffff) return (raw >>> 1) ^ -(raw & 1);
    return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2;
  }

  /** A view of the next bytes; lives as long as the underlying bytes. */
  take(byteCount: number): Uint8Array {
    const at = this.position;
    if (at + byteCount > this.bytes.length) this.failTruncated(byteCount);
    this.position = at + byteCount;
    return this.bytes.subarray(at, at + byteCount);
  }

  skip(byteCount: number): void {
    if (this.position + byteCount > this.bytes.length) this.failTruncated(byteCount);
    this.position += byteCount;
  }

  /** A string behind its uvarint byte length. */
  string(): string {
    return utf8Text(this.take(this.uvarint()));
  }

  failTruncated(byteCount: number): never {
    throw new CorruptionError(
      'bytes-truncated',
      `${this.file}: ${byteCount} bytes expected at offset ${this.base + this.position}, ${this.remaining} found`,
      {
        details: {
          file: this.file,
          offset: this.base + this.position,
          expected: byteCount,
          found: this.remaining,
        },
      },
    );
  }

  #longUvarint(): bigint {
    let value = 0n;
    for (let i = 0; i < 10; i++) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) {
        if (value > 0xffff_ffff_ffff_ffffn) break;
        return value;
      }
    }
    throw new CorruptionError(
      'varint-overlong',
      `${this.file}: varint before offset ${this.base + this.position} is longer than 64 bits`,
      { details: { file: this.file, offset: this.base + this.position } },
    );
  }
}

const EMPTY = new Uint8Array(0);

/** The unsigned 32-bit big-endian integer at a position the caller has checked. */
export function readBe32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** Decodes UTF-8; invalid sequences become U+FFFD. */
export function utf8Text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

/** Byte order of two byte strings. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
