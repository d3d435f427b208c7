import { CorruptionError } from '../../errors/index.js';
import { ByteReader } from './byte-reader.js';
import type { ByteSource } from './byte-source.js';
import { crc32c } from './crc.js';

const WINDOW_BYTES = 256 * 1024;

/**
 * Walks a long byte range front to back through a window, so that a section of any size needs little memory. The
 * caller says how many bytes it needs next (`prepare`) and then reads them through `reader`.
 */
export class WindowReader {
  readonly reader: ByteReader;
  readonly #source: ByteSource;
  readonly #end: number;
  readonly #windowBytes: number;
  /** Up to where the checksum was computed; windows overlap when an item straddles them. */
  #crcEnd: number;
  #crc: number;

  constructor(source: ByteSource, start: number, end: number, windowBytes: number = WINDOW_BYTES) {
    this.reader = new ByteReader(source.name, undefined, start);
    this.#source = source;
    this.#end = end;
    this.#windowBytes = windowBytes;
    this.#crcEnd = start;
    this.#crc = 0;
  }

  /** Offset in the file of the next byte. */
  get offset(): number {
    return this.reader.base + this.reader.position;
  }

  get remaining(): number {
    return this.#end - this.offset;
  }

  /** Makes the next bytes readable, or as many as the range still has. */
  prepare(byteCount: number): void {
    if (this.reader.remaining >= byteCount) return;
    const offset = this.offset;
    const length = Math.min(Math.max(byteCount, this.#windowBytes), this.#end - offset);
    if (length <= this.reader.remaining) return;
    const bytes = this.#source.read(offset, length);
    this.reader.reset(bytes, offset);
    if (offset + length > this.#crcEnd) {
      this.#crc = crc32c(bytes, this.#crcEnd - offset, length, this.#crc);
      this.#crcEnd = offset + length;
    }
  }

  /** Reads past the rest of the range and compares the checksum of the whole of it. */
  checkCrc(expected: number, what: string): void {
    while (this.#crcEnd < this.#end) {
      this.reader.skip(this.reader.remaining);
      this.prepare(1);
    }
    if (this.#crc !== expected) throw crcMismatch(this.#source.name, what, this.#end, expected, this.#crc);
  }
}

/** A checksum that does not fit; `offset` is where the stored one lies. */
export function crcMismatch(
  file: string,
  what: string,
  offset: number,
  expected: number,
  found: number,
): CorruptionError {
  return new CorruptionError(
    'crc-mismatch',
    `${file}: checksum of ${what} at offset ${offset} is ${hex(expected)}, the bytes give ${hex(found)}`,
    { details: { file, offset, expected: hex(expected), found: hex(found) } },
  );
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

/** Bounds of a `be32 length, content, be32 CRC` section, checked against the file. */
export function sectionBounds(
  source: ByteSource,
  offset: number,
  what: string,
): { start: number; end: number; crc: number } {
  const reader = new ByteReader(source.name, source.read(offset, 4), offset);
  const length = reader.be32();
  const start = offset + 4;
  const end = start + length;
  if (end + 4 > source.size) {
    throw new CorruptionError(
      'section-too-long',
      `${source.name}: ${what} at offset ${offset} claims ${length} bytes, the file ends at ${source.size}`,
      { details: { file: source.name, offset, expected: length, found: source.size - start } },
    );
  }
  const crc = new ByteReader(source.name, source.read(end, 4), end).be32();
  return { start, end, crc };
}
