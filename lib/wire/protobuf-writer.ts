import { ByteWriter } from '../bytes/index.js';

const utf8 = new TextEncoder();

/**
 * Writes the fields of one protobuf message as proto3 does: scalars with their default value are left out, except by
 * the methods that say otherwise. Nested messages are built by writers of their own.
 */
export class ProtobufWriter {
  readonly #out = new ByteWriter();

  /** The message so far, as a copy. */
  finish(): Uint8Array {
    return this.#out.copy();
  }

  /** An int64, uint32, uint64 or enum field; negative numbers take ten bytes. */
  varint(field: number, value: number): void {
    if (value !== 0) this.presentVarint(field, value);
  }

  /** The same, written even when 0: a chosen member of a oneof. */
  presentVarint(field: number, value: number): void {
    this.#tag(field, 0).uvarint64(BigInt(value));
  }

  /** A sint32 or sint64 field. */
  zigzag(field: number, value: number): void {
    if (value !== 0) this.presentZigzag(field, value);
  }

  /** The same, written even when 0. */
  presentZigzag(field: number, value: number): void {
    this.#tag(field, 0).varint64(BigInt(value));
  }

  double(field: number, value: number): void {
    if (!Object.is(value, 0)) this.presentDouble(field, value);
  }

  /** The same, written even when 0. */
  presentDouble(field: number, value: number): void {
    this.#tag(field, 1).f64(value);
  }

  /** A double field given as raw bits. */
  doubleBits(field: number, bits: bigint): void {
    if (bits !== 0n) this.#tag(field, 1).u64(bits);
  }

  string(field: number, value: string): void {
    if (value !== '') this.message(field, utf8.encode(value));
  }

  /** A nested message or bytes, written even when empty. */
  message(field: number, bytes: Uint8Array): void {
    this.#tag(field, 2).uvarint(bytes.length).bytes(bytes);
  }

  packedZigzags(field: number, values: readonly number[]): void {
    if (values.length === 0) return;
    const packed = new ByteWriter();
    for (const value of values) packed.varint64(BigInt(value));
    this.message(field, packed.view());
  }

  packedDoubles(field: number, values: readonly number[]): void {
    if (values.length === 0) return;
    const packed = new ByteWriter();
    for (const value of values) packed.f64(value);
    this.message(field, packed.view());
  }

  #tag(field: number, wireType: number): ByteWriter {
    return this.#out.uvarint(field * 8 + wireType);
  }
}
