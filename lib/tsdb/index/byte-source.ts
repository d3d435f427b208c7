import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { CorruptionError, messageOf, VarveError } from '../../errors/index.js';

/**
 * Random access to immutable bytes, synchronously. Whatever `read` returns stays valid and unchanged for as long as
 * the caller holds it, and must not be written to.
 */
export interface ByteSource {
  /** Where the bytes come from, for messages. */
  readonly name: string;
  readonly size: number;
  /** Exactly `length` bytes. @throws CorruptionError `file-truncated` when they are not all there. */
  read(offset: number, length: number): Uint8Array;
  /** At most so many bytes, and one at least: as many as are at hand. Same error. */
  readUpTo(offset: number, lengthMax: number): Uint8Array;
  /** Fills the caller's buffer, past any cache: for large reads. Same error. */
  readInto(into: Uint8Array, offset: number): void;
  close(): void;
}

/** Bytes in memory as a source. */
export class MemoryByteSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #bytes: Uint8Array;

  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    this.size = bytes.length;
    this.#bytes = bytes;
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    return this.#bytes.subarray(offset, offset + length);
  }

  readUpTo(offset: number, lengthMax: number): Uint8Array {
    return this.read(offset, lengthUpTo(this, offset, lengthMax));
  }

  readInto(into: Uint8Array, offset: number): void {
    into.set(this.read(offset, into.length));
  }

  close(): void {}
}

const PAGE_BYTES = 64 * 1024;
/** Reads of at least this length bypass the page cache. */
const DIRECT_BYTES = 2 * PAGE_BYTES;

/**
 * A file read with preads through a small cache of 64 KiB pages. Pages are never reused for other bytes, so views
 * into them outlive their eviction. The file may be unlinked while it is open.
 */
export class FileByteSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #fd: number;
  readonly #pages: Map<number, Uint8Array> = new Map();
  readonly #pageCountMax: number;
  #lastIndex: number;
  #lastPage: Uint8Array;
  #isOpen: boolean;

  /** With a cache of 0 bytes every read is a pread of just that range. */
  constructor(path: string, cacheBytesMax: number = 4 * 1024 * 1024) {
    this.name = path;
    this.#fd = openSync(path, 'r');
    this.size = fstatSync(this.#fd).size;
    this.#pageCountMax = Math.ceil(cacheBytesMax / PAGE_BYTES);
    this.#lastIndex = -1;
    this.#lastPage = new Uint8Array(0);
    this.#isOpen = true;
  }

  read(offset: number, length: number): Uint8Array {
    const pageIndex = Math.floor(offset / PAGE_BYTES);
    const inPage = offset - pageIndex * PAGE_BYTES;
    if (pageIndex === this.#lastIndex && inPage + length <= this.#lastPage.length) {
      return this.#lastPage.subarray(inPage, inPage + length);
    }
    checkRange(this, offset, length);
    if (length === 0) return new Uint8Array(0);
    if (this.#pageCountMax === 0) return this.#readFile(offset, length);
    if (inPage + length <= PAGE_BYTES) return this.#page(pageIndex).subarray(inPage, inPage + length);
    if (length >= DIRECT_BYTES) return this.#readFile(offset, length);
    const assembled = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const index = Math.floor((offset + filled) / PAGE_BYTES);
      const from = offset + filled - index * PAGE_BYTES;
      const part = this.#page(index).subarray(from, Math.min(PAGE_BYTES, from + length - filled));
      assembled.set(part, filled);
      filled += part.length;
    }
    return assembled;
  }

  readUpTo(offset: number, lengthMax: number): Uint8Array {
    return this.read(offset, lengthUpTo(this, offset, lengthMax));
  }

  readInto(into: Uint8Array, offset: number): void {
    checkRange(this, offset, into.length);
    if (!this.#isOpen) throw new VarveError('internal', 'file-closed', `${this.name}: read after close`);
    readFully(this.#fd, into, offset, this.name);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#pages.clear();
    closeSync(this.#fd);
  }

  #page(index: number): Uint8Array {
    let page = this.#pages.get(index);
    if (page === undefined) {
      page = this.#readFile(index * PAGE_BYTES, Math.min(PAGE_BYTES, this.size - index * PAGE_BYTES));
      if (this.#pages.size >= this.#pageCountMax) {
        const oldest = this.#pages.keys().next();
        if (oldest.done !== true) this.#pages.delete(oldest.value);
      }
    } else {
      this.#pages.delete(index);
    }
    this.#pages.set(index, page);
    this.#lastIndex = index;
    this.#lastPage = page;
    return page;
  }

  #readFile(offset: number, length: number): Uint8Array {
    const bytes = Buffer.allocUnsafe(length);
    this.readInto(bytes, offset);
    return bytes;
  }
}

/** Fills the whole buffer from a file position. @throws CorruptionError `file-truncated` at the end of the file. */
export function readFully(fd: number, into: Uint8Array, offset: number, name: string): void {
  let filled = 0;
  while (filled < into.length) {
    let count: number;
    try {
      count = readSync(fd, into, filled, into.length - filled, offset + filled);
    } catch (error) {
      throw new VarveError('unavailable', 'file-read-failed', `${name}: read failed: ${messageOf(error)}`, {
        cause: error,
        details: { file: name, offset: offset + filled },
      });
    }
    if (count === 0) throw truncated(name, offset, into.length, filled);
    filled += count;
  }
}

function lengthUpTo(source: ByteSource, offset: number, lengthMax: number): number {
  return Math.max(1, Math.min(lengthMax, source.size - offset));
}

function checkRange(source: ByteSource, offset: number, length: number): void {
  if (offset < 0 || length < 0 || offset + length > source.size) {
    throw truncated(source.name, offset, length, Math.max(0, source.size - offset));
  }
}

/** The error for bytes that a file or object should have and has not. */
export function truncated(name: string, offset: number, expected: number, found: number): CorruptionError {
  return new CorruptionError(
    'file-truncated',
    `${name}: ${expected} bytes expected at offset ${offset}, ${found} found`,
    { details: { file: name, offset, expected, found } },
  );
}
