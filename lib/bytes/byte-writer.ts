const INITIAL_BYTES = 256;

/**
 * Builds bytes front to back in a buffer that doubles. Little-endian unless the name says otherwise; varints are seven
 * bits per byte, low group first, as in protobuf and Prometheus' files.
 */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(initialBytes: number = INITIAL_BYTES) {
    this.#bytes = new Uint8Array(initialBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** What was written, as a view that the next write or `reset` may change. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** What was written, as a copy for the caller to keep. */
  copy(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** Forgets what was written and keeps the buffer. */
  reset(): void {
    this.#length = 0;
  }

  u8(value: number): this {
    const at = this.#advance(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16be(value: number): this {
    const at = this.#advance(2);
    this.#view.setUint16(at, value);
    return this;
  }

  u32(value: number): this {
    const at = this.#advance(4);
    this.#view.setUint32(at, value, true);
    return this;
  }

  u32be(value: number): this {
    const at = this.#advance(4);
    this.#view.setUint32(at, value);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#advance(8);
    this.#view.setBigUint64(at, value, true);
    return this;
  }

  u64be(value: bigint): this {
    const at = this.#advance(8);
    this.#view.setBigUint64(at, value);
    return this;
  }

  /** A double. NaNs may lose their payload on the way through a number: write those with `u64`. */
  f64(value: number): this {
    const at = this.#advance(8);
    this.#view.setFloat64(at, value, true);
    return this;
  }

  bytes(source: Uint8Array): this {
    const at = this.#advance(source.length);
    this.#bytes.set(source, at);
    return this;
  }

  /** An unsigned varint of an integer from 0 to 2^53 - 1. */
  uvarint(value: number): this {
    const at = this.#advance(8);
    const bytes = this.#bytes;
    let p = at;
    let rest = value;
    while (rest >= 0x80) {
      bytes[p++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    bytes[p++] = rest;
    this.#length = p;
    return this;
  }

  /** An unsigned varint of 64 bits; negative values are taken as their two's complement. */
  uvarint64(value: bigint): this {
    let rest = BigInt.asUintN(64, value);
    for (; rest >= 0x80n; rest >>= 7n) this.u8(Number(rest & 0x7fn) | 0x80);
    return this.u8(Number(rest));
  }

  /** A zigzag varint of a 64-bit integer. */
  varint64(value: bigint): this {
    return this.uvarint64((value << 1n) ^ (value >> 63n));
  }

  /** Grows by n bytes and returns where they begin. To be called before the buffer is looked at: it may change. */
  #advance(n: number): number {
    const at = this.#length;
    const needed = at + n;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#length = needed;
    return at;
  }
}
