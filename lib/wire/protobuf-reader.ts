import { ByteReader } from '../bytes/index.js';
import { messageOf, VarveError } from '../errors/index.js';

const WIRE_TYPES = ['varint', 'fixed64', 'bytes', 'group start', 'group end', 'fixed32'] as const;
const FIELD_MAX = 2 ** 29 - 1;

/** One field as it stands in a message; the methods check that its wire type is the one its number asks for. */
export class ProtobufField {
  readonly number: number;
  readonly #path: string;
  readonly #wireType: number;
  readonly #reader: ByteReader;

  constructor(path: string, number: number, wireType: number, reader: ByteReader) {
    this.#path = path;
    this.number = number;
    this.#wireType = wireType;
    this.#reader = reader;
  }

  /** A uint64 as a number: exact up to 2^53, rounded above. */
  unsigned(): number {
    this.#expect(0);
    return Number(this.#reader.uvarint64());
  }

  /** An int64 as a number: exact up to 2^53, rounded above. */
  signed(): number {
    this.#expect(0);
    return Number(BigInt.asIntN(64, this.#reader.uvarint64()));
  }

  /** A sint32 or sint64 as a number. */
  zigzag(): number {
    this.#expect(0);
    return Number(this.#reader.varint64());
  }

  double(): number {
    this.#expect(1);
    return this.#reader.f64();
  }

  /** A double as raw bits. */
  doubleBits(): bigint {
    this.#expect(1);
    return this.#reader.u64();
  }

  /** A nested message or bytes, as a view. */
  bytes(): Uint8Array {
    this.#expect(2);
    return this.#reader.bytes(this.#reader.uvarint());
  }

  /** A string, which must be valid UTF-8. */
  string(): string {
    const bytes = this.bytes();
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (error) {
      throw malformed(this.#path, `field ${this.number} is not valid UTF-8`, error);
    }
  }

  /** The elements of a repeated uint64, enum or bool: packed, or one of the unpacked kind. */
  unsigneds(): number[] {
    if (this.#wireType !== 2) return [this.unsigned()];
    return this.#packed((reader) => Number(reader.uvarint64()));
  }

  /** The elements of a repeated sint64: packed, or one of the unpacked kind. */
  zigzags(): number[] {
    return this.#wireType === 2 ? this.#packed((reader) => Number(reader.varint64())) : [this.zigzag()];
  }

  /** The elements of a repeated double: packed, or one of the unpacked kind. */
  doubles(): number[] {
    return this.#wireType === 2 ? this.#packed((reader) => reader.f64()) : [this.double()];
  }

  /** Passes over the value of a field that nobody knows. */
  skip(): void {
    if (this.#wireType === 0) this.#reader.uvarint64();
    else if (this.#wireType === 1) this.#reader.skip(8);
    else if (this.#wireType === 2) this.#reader.skip(this.#reader.uvarint());
    else if (this.#wireType === 5) this.#reader.skip(4);
    else
      throw malformed(this.#path, `field ${this.number} has wire type ${this.#wireType}, which is not read`);
  }

  #packed(read: (reader: ByteReader) => number): number[] {
    const reader = new ByteReader(this.bytes());
    const values: number[] = [];
    while (reader.remaining > 0) values.push(read(reader));
    return values;
  }

  #expect(wireType: number): void {
    if (this.#wireType === wireType) return;
    throw malformed(
      this.#path,
      `field ${this.number} has wire type ${WIRE_TYPES[this.#wireType] ?? this.#wireType}, expected ${WIRE_TYPES[wireType]}`,
    );
  }
}

/**
 * Calls `onField` for every field of a message, in order; it must read or skip the value.
 * @param path names the message in errors, such as `TimeSeries.Label`
 * @throws VarveError `protobuf-malformed` of kind client
 */
export function readMessage(path: string, bytes: Uint8Array, onField: (field: ProtobufField) => void): void {
  const reader = new ByteReader(bytes);
  while (reader.remaining > 0) {
    const start = reader.offset;
    try {
      const tag = reader.uvarint();
      const number = Math.floor(tag / 8);
      if (number === 0 || number > FIELD_MAX) throw malformed(path, `field number ${number} does not exist`);
      onField(new ProtobufField(path, number, tag % 8, reader));
    } catch (error) {
      if (error instanceof VarveError && error.code === 'protobuf-malformed') throw error;
      throw malformed(path, `the field at offset ${start}: ${messageOf(error)}`, error);
    }
  }
}

function malformed(path: string, text: string, cause?: unknown): VarveError {
  return new VarveError('client', 'protobuf-malformed', `cannot read ${path}: ${text}`, { cause });
}
