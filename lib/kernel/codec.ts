import { assert } from '../assert/index.js';
import { CorruptionError, VarveError } from '../errors/index.js';
import { createMemory, instantiate } from './module.js';

/** What the codec part of the kernel exports; addresses and lengths in bytes. See assembly/codec for the contracts. */
interface CodecExports {
  crcInit(): void;
  crc32cUpdate(crc: number, ptr: number, length: number): number;
  snappyDeclaredLength(src: number, length: number): bigint;
  snappyDecode(src: number, length: number, dst: number, capacity: number): number;
  snappyEncode(src: number, length: number, dst: number, table: number): number;
  snappyMaxEncodedLength(length: number): number;
  xxhash64(ptr: number, length: number, seed: bigint): bigint;
  xorDecode(chunk: number, length: number, timestamps: number, values: number): number;
  xorEncode(timestamps: number, values: number, count: number, dst: number): number;
}

const PAGE_BYTES = 65536;
const TABLE_ADDRESS = 16384;
const SCRATCH_ADDRESS = TABLE_ADDRESS + 32768;
/** The vectors of the codecs read and write a little beyond the data. */
const SLACK_BYTES = 64;
/** Checksums of long inputs are taken piece by piece: a piece stays in the cache, and the memory small. */
const PIECE_BYTES = 65536;
const SAMPLES_MAX = 65535;

const SNAPPY_ERRORS: Readonly<Record<number, readonly [code: string, text: string]>> = {
  [-1]: ['snappy-bad-preamble', 'the block does not begin with a length of at most 32 bits'],
  [-2]: ['snappy-too-long', 'the decoded length is above the limit'],
  [-3]: ['snappy-truncated', 'the block ends within an element'],
  [-4]: ['snappy-bad-offset', 'a copy refers to bytes before the start'],
  [-5]: ['snappy-wrong-length', 'the block holds more or less data than it declares'],
};

/**
 * The codecs over plain arrays, for readers and writers of blocks, logs and requests. Works in a private memory, which
 * grows to the largest input so far and stays so. Arguments are copied in and not kept. Results are copies that belong
 * to the caller; small ones share an allocation with others, so don't transfer their buffers.
 */
export class CodecKernel {
  readonly #memory = createMemory(0);
  readonly #exports = instantiate<CodecExports>(this.#memory);
  #bytes = new Uint8Array(this.#memory.buffer);
  #doubles = new Float64Array(this.#memory.buffer);

  constructor() {
    this.#exports.crcInit();
  }

  /**
   * Decodes a snappy block (not the framed format).
   * @param limit the longest decoded length to accept, checked before anything is allocated for it
   * @throws VarveError of kind client: `snappy-bad-preamble`, `snappy-too-long`, `snappy-truncated`,
   * `snappy-bad-offset`, `snappy-wrong-length`
   */
  snappyDecode(bytes: Uint8Array, limit: number): Uint8Array {
    // The preamble takes five bytes at most: looked at before the block moves.
    const head = this.#put(bytes.length > 5 ? bytes.subarray(0, 5) : bytes, 0);
    const declared = Number(this.#exports.snappyDeclaredLength(head, Math.min(bytes.length, 5)));
    if (declared < 0) throw snappyError(-1, bytes, declared, limit);
    if (declared > limit) throw snappyError(-2, bytes, declared, limit);
    const source = this.#put(bytes, declared + SLACK_BYTES);
    const target = roomAfter(source, bytes.length);
    const length = this.#exports.snappyDecode(source, bytes.length, target, declared);
    if (length < 0) throw snappyError(length, bytes, declared, limit);
    return this.#take(target, length);
  }

  /** Encodes a snappy block. */
  snappyEncode(bytes: Uint8Array): Uint8Array {
    const source = this.#put(bytes, this.#exports.snappyMaxEncodedLength(bytes.length));
    const target = roomAfter(source, bytes.length);
    return this.#take(target, this.#exports.snappyEncode(source, bytes.length, target, TABLE_ADDRESS));
  }

  /** The CRC-32C of bytes, or of all bytes so far when `before` is the checksum of those in front of them. */
  crc32c(bytes: Uint8Array, before = 0): number {
    let crc = before;
    if (bytes.length <= PIECE_BYTES) {
      crc = this.#exports.crc32cUpdate(crc, this.#put(bytes, 0), bytes.length);
    } else {
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        const piece = bytes.subarray(at, at + PIECE_BYTES);
        crc = this.#exports.crc32cUpdate(crc, this.#put(piece, 0), piece.length);
      }
    }
    return crc >>> 0;
  }

  /** The XXH64 of bytes, unsigned. */
  xxhash64(bytes: Uint8Array, seed = 0n): bigint {
    return BigInt.asUintN(64, this.#exports.xxhash64(this.#put(bytes, 0), bytes.length, seed));
  }

  /**
   * Decodes one XOR chunk into caller-owned columns.
   * @param chunk the payload: without length, encoding byte and checksum
   * @param timestamps out, ms since the epoch; at least as long as the sample count in the first two bytes
   * @param values out, same length; raw bits, stale markers intact
   * @returns the sample count, 0..65535
   * @throws CorruptionError `chunk-truncated` when the bits run out, `chunk-bad-window` on an impossible bit width
   */
  decodeXorInto(chunk: Uint8Array, timestamps: Float64Array, values: Float64Array): number {
    const declared = chunk.length < 2 ? 0 : (chunk[0]! << 8) | chunk[1]!;
    assert(
      timestamps.length >= declared && values.length >= declared,
      `columns of ${Math.min(timestamps.length, values.length)} samples for a chunk of ${declared}`,
    );
    const source = this.#put(chunk, declared * 16);
    const target = roomAfter(source, chunk.length);
    const count = this.#exports.xorDecode(source, chunk.length, target, target + declared * 8);
    if (count < 0) throw xorError(count, chunk.length, declared);
    const first = target / 8;
    // Between arrays of doubles `set` moves bits; reading a value as a number could change a NaN.
    timestamps.set(this.#doubles.subarray(first, first + count));
    values.set(this.#doubles.subarray(first + count, first + 2 * count));
    return count;
  }

  /**
   * Encodes the first n samples, 0..65535, into one XOR chunk: the payload that `decodeXorInto` takes.
   * @param timestamps ms since the epoch, ascending
   * @param values raw bits are kept, stale markers included
   */
  encodeXor(timestamps: Float64Array, values: Float64Array, n: number): Uint8Array {
    assert(
      n >= 0 && n <= Math.min(SAMPLES_MAX, timestamps.length, values.length),
      `cannot encode ${n} samples of columns of ${timestamps.length} and ${values.length}`,
    );
    const target = SCRATCH_ADDRESS + n * 16;
    this.#ensure(target + 20 + n * 19);
    const first = SCRATCH_ADDRESS / 8;
    this.#doubles.set(n === timestamps.length ? timestamps : timestamps.subarray(0, n), first);
    this.#doubles.set(n === values.length ? values : values.subarray(0, n), first + n);
    const length = this.#exports.xorEncode(SCRATCH_ADDRESS, SCRATCH_ADDRESS + n * 8, n, target);
    return this.#take(target, length);
  }

  /** Copies bytes in, makes sure of `room` bytes at `roomAfter` them, and returns the address. */
  #put(bytes: Uint8Array, room: number): number {
    // Copies between equally aligned addresses go by words, others into shared memory by bytes: 8 times slower.
    const address = SCRATCH_ADDRESS + (bytes.byteOffset & 7);
    this.#ensure(roomAfter(address, bytes.length) + room);
    this.#bytes.set(bytes, address);
    return address;
  }

  #ensure(bytes: number): void {
    const missing = bytes - this.#bytes.length;
    if (missing <= 0) return;
    this.#memory.grow(Math.ceil(missing / PAGE_BYTES));
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#doubles = new Float64Array(this.#memory.buffer);
  }

  #take(address: number, length: number): Uint8Array {
    // The pool behind allocUnsafe makes small results several times cheaper than arrays of their own.
    const pooled = Buffer.allocUnsafe(length);
    const out = new Uint8Array(pooled.buffer, pooled.byteOffset, length);
    out.set(this.#bytes.subarray(address, address + length));
    return out;
  }
}

/** The first aligned address behind an input and the slack that belongs to it. */
function roomAfter(address: number, length: number): number {
  return Math.ceil((address + length + SLACK_BYTES) / 16) * 16;
}

function snappyError(result: number, bytes: Uint8Array, declared: number, limit: number): VarveError {
  const [code, text] = SNAPPY_ERRORS[result]!;
  return new VarveError('client', code, `cannot decode a snappy block of ${bytes.length} bytes: ${text}`, {
    details: { encodedBytes: bytes.length, declaredBytes: declared, limitBytes: limit },
  });
}

function xorError(result: number, chunkBytes: number, declared: number): CorruptionError {
  const [code, text] =
    result === -1
      ? ['chunk-truncated', 'the bits run out']
      : ['chunk-bad-window', 'a value is wider than 64 bits'];
  return new CorruptionError(code, `cannot decode an XOR chunk of ${chunkBytes} bytes: ${text}`, {
    details: { chunkBytes, declaredSamples: declared },
  });
}

let ofThread: CodecKernel | null = null;

/** The instance of this thread, made at the first call. */
export function codecKernel(): CodecKernel {
  ofThread ??= new CodecKernel();
  return ofThread;
}
