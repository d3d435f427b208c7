/** A growing buffer with the integer encodings of TSDB files. The twin of ByteReader. */
export class ByteWriter {
  bytes: Uint8Array;
  length: number;

  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity);
    this.length = 0;
  }

  /** What was written so far; a view that the next write may overwrite or leave behind. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
  }

  /** Makes room for that many more bytes. */
  ensure(byteCount: number): void {
    const needed = this.length + byteCount;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  u8(value: number): void {
    this.ensure(1);
    this.bytes[this.length++] = value;
  }

  be16(value: number): void {
    this.ensure(2);
    this.bytes[this.length++] = value >>> 8;
    this.bytes[this.length++] = value;
  }

  be32(value: number): void {
    this.ensure(4);
    writeBe32(this.bytes, this.length, value);
    this.length += 4;
  }

  /** An integer 0 .. 2^53 in eight bytes. */
  be64(value: number): void {
    this.be32(Math.floor(value / 0x1_0000_0000));
    this.be32(value >>> 0);
  }

  /** An integer 0 .. 2^53. */
  uvarint(value: number): void {
    this.ensure(10);
    const bytes = this.bytes;
    let at = this.length;
    let rest = value;
    while (rest > 0x7fff_ffff) {
      bytes[at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest >= 0x80) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.length = at;
  }

  /** An integer of at most 2^53 in magnitude, zig-zag coded. */
  varint(value: number): void {
    if (value >= -0x4000_0000 && value <= 0x3fff_ffff) this.uvarint(((value << 1) ^ (value >> 31)) >>> 0);
    else if (Math.abs(value) < 2 ** 52) this.uvarint(value >= 0 ? value * 2 : -value * 2 - 1);
    else this.#longVarint(BigInt(value));
  }

  raw(bytes: Uint8Array): void {
    this.ensure(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** Bytes behind their uvarint length. */
  prefixed(bytes: Uint8Array): void {
    this.uvarint(bytes.length);
    this.raw(bytes);
  }

  /** A string as UTF-8 behind its uvarint byte length. */
  string(text: string): void {
    this.prefixed(Buffer.from(text, 'utf8'));
  }

  zeros(byteCount: number): void {
    this.ensure(byteCount);
    this.bytes.fill(0, this.length, this.length + byteCount);
    this.length += byteCount;
  }

  #longVarint(value: bigint): void {
    this.ensure(10);
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
    while (rest >= 0x80n) {
      this.bytes[this.length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.bytes[this.length++] = Number(rest);
  }
}

/** Puts an unsigned 32-bit big-endian integer where the caller made room. */
export function writeBe32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
