import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync } from 'node:fs';
import { CorruptionError, VarveError } from '../../errors/index.js';
import { codecKernel } from '../../kernel/index.js';
import { crc32c, readBe32, readFully } from '../index/index.js';
import type { WalSegment } from './directory.js';
import {
  FRAGMENT,
  FRAGMENT_HEADER_BYTES,
  FRAGMENT_KIND_MASK,
  PAGE_BYTES,
  SNAPPY_FLAG,
  ZSTD_FLAG,
} from './format.js';

/** Pages read at once. */
const READ_BYTES = 32 * PAGE_BYTES;
const EMPTY = new Uint8Array(0);

/** Longest record accepted, decompressed. */
const RECORD_BYTES_MAX = 256 * 1024 * 1024;

export interface WalReaderOptions {
  /** Whether a tear at the end of the last segment given ends the log instead of being an error. */
  readonly toleratesTear: boolean;
}

/** Where a log was cut off in the middle of a write. */
export interface WalTear {
  readonly segment: WalSegment;
  /** End of the last whole record: the length to cut the segment to. */
  readonly offset: number;
  readonly reason: string;
}

/**
 * Reads the records of consecutive segments: `while (reader.next()) use(reader.type, reader.payload)`.
 *
 * A log that ends in the middle of a record was torn by a crash: what is missing was never acknowledged, so in the
 * newest segment that is its end (`tear`), provided that nothing valid follows. All other damage is a
 * CorruptionError with segment and offset; whatever came before it has been handed out.
 */
export class WalReader {
  /** Type byte of the record, 0 for a record of no bytes. */
  type: number;
  /** The record behind its type byte; valid until the next call of `next`. */
  payload: Uint8Array;
  /** The record with its type byte; same lifetime. */
  record: Uint8Array;
  /** Number of the segment, and where in it the record's first fragment begins. */
  segment: number;
  offset: number;
  tear: WalTear | null;
  readonly #segments: readonly WalSegment[];
  readonly #options: WalReaderOptions;
  #segmentIndex: number;
  #fd: number;
  #fileBytes: number;
  #buffer: Uint8Array;
  /** Offset in the file of the buffer's first byte, a multiple of the page size. */
  #base: number;
  #filled: number;
  #position: number;
  /** Where the last whole record of this segment ended. */
  #goodEnd: number;
  /** Fragments of a record that is not complete yet. */
  #parts: Uint8Array;
  #partsLength: number;
  #partFlags: number;

  constructor(segments: readonly WalSegment[], options: WalReaderOptions) {
    this.type = 0;
    this.payload = EMPTY;
    this.record = EMPTY;
    this.segment = segments[0]?.number ?? 0;
    this.offset = 0;
    this.tear = null;
    this.#segments = segments;
    this.#options = options;
    this.#segmentIndex = -1;
    this.#fd = -1;
    this.#fileBytes = 0;
    this.#buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    this.#base = 0;
    this.#filled = 0;
    this.#position = 0;
    this.#goodEnd = 0;
    this.#parts = EMPTY;
    this.#partsLength = 0;
    this.#partFlags = -1;
  }

  /** Moves to the next record; false at the end of the log. @throws CorruptionError. */
  next(): boolean {
    for (;;) {
      if (this.#position === this.#filled && !this.#fill()) return false;
      const buffer = this.#buffer;
      const at = this.#position;
      const typeByte = buffer[at]!;
      const pageEnd = Math.min((Math.floor(at / PAGE_BYTES) + 1) * PAGE_BYTES, this.#filled);
      if (typeByte === FRAGMENT.padding) {
        if (!isZero(buffer, at, pageEnd))
          return this.#damaged('wal-padding', 'bytes behind the end of a page');
        this.#position = pageEnd;
        continue;
      }
      const flags = typeByte & ~FRAGMENT_KIND_MASK;
      const kind = typeByte & FRAGMENT_KIND_MASK;
      if (kind > FRAGMENT.last || (flags !== 0 && flags !== SNAPPY_FLAG && flags !== ZSTD_FLAG)) {
        return this.#damaged('wal-fragment-type', `fragment type ${typeByte}`);
      }
      const start = at + FRAGMENT_HEADER_BYTES;
      if (start > pageEnd) return this.#damaged('wal-fragment-length', 'a fragment header cut off');
      const length = (buffer[at + 1]! << 8) | buffer[at + 2]!;
      if (start + length > pageEnd) {
        return this.#damaged(
          'wal-fragment-length',
          `a fragment of ${length} bytes, ${pageEnd - start} are there`,
        );
      }
      const expected = readBe32(buffer, at + 3);
      const found = crc32c(buffer, start, start + length);
      if (found !== expected) {
        return this.#damaged(
          'wal-crc',
          `checksum ${expected.toString(16)}, the bytes give ${found.toString(16)}`,
        );
      }
      const isContinuation = kind === FRAGMENT.middle || kind === FRAGMENT.last;
      if (isContinuation !== this.#partFlags >= 0 || (isContinuation && flags !== this.#partFlags)) {
        return this.#damaged('wal-fragment-order', `fragment type ${typeByte} out of order`);
      }
      if (!isContinuation) this.offset = this.#base + at;
      this.#position = start + length;
      if (kind === FRAGMENT.full) {
        this.#goodEnd = this.#base + this.#position;
        return this.#hand(buffer.subarray(start, start + length), flags);
      }
      this.#addPart(buffer, start, length);
      this.#partFlags = flags;
      if (kind === FRAGMENT.last) {
        this.#goodEnd = this.#base + this.#position;
        const whole = this.#parts.subarray(0, this.#partsLength);
        this.#partsLength = 0;
        this.#partFlags = -1;
        return this.#hand(whole, flags);
      }
    }
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #hand(stored: Uint8Array, flags: number): true {
    let record = stored;
    if (flags === SNAPPY_FLAG) {
      try {
        record = codecKernel().snappyDecode(stored, RECORD_BYTES_MAX);
      } catch (error) {
        throw this.#corruption('wal-snappy', 'a record that does not decompress', this.offset, error);
      }
    } else if (flags === ZSTD_FLAG) {
      throw new VarveError(
        'unavailable',
        'wal-zstd-unsupported',
        `${this.#path()}: record at offset ${this.offset} is compressed with zstd, which is not supported`,
        {
          details: {
            file: this.#path(),
            segment: this.#segments[this.#segmentIndex]!.number,
            offset: this.offset,
          },
        },
      );
    }
    this.record = record;
    this.type = record.length === 0 ? 0 : record[0]!;
    this.payload = record.subarray(1);
    this.segment = this.#segments[this.#segmentIndex]!.number;
    return true;
  }

  /** Reads on, in this segment or the next; false at the end of the log. */
  #fill(): boolean {
    for (;;) {
      if (this.#fd >= 0) {
        const offset = this.#base + this.#filled;
        const length = Math.min(READ_BYTES, this.#fileBytes - offset);
        if (length > 0) {
          readFully(this.#fd, this.#buffer.subarray(0, length), offset, this.#path());
          this.#base = offset;
          this.#filled = length;
          this.#position = 0;
          return true;
        }
        if (this.#partFlags >= 0) return this.#damaged('wal-record-unfinished', 'the end of the file');
        this.close();
      }
      if (this.#segmentIndex + 1 >= this.#segments.length) return false;
      this.#segmentIndex++;
      this.#fd = openSync(this.#path(), 'r');
      this.#fileBytes = fstatSync(this.#fd).size;
      this.#base = 0;
      this.#filled = 0;
      this.#position = 0;
      this.#goodEnd = 0;
    }
  }

  #addPart(buffer: Uint8Array, start: number, length: number): void {
    const needed = this.#partsLength + length;
    if (needed > this.#parts.length) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.#parts.length, 2 * PAGE_BYTES));
      grown.set(this.#parts.subarray(0, this.#partsLength));
      this.#parts = grown;
    }
    this.#parts.set(buffer.subarray(start, start + length), this.#partsLength);
    this.#partsLength = needed;
  }

  /** Ends the log at a tear, or throws. */
  #damaged(code: string, found: string): false {
    const offset = this.#base + this.#position;
    const segment = this.#segments[this.#segmentIndex]!;
    const isNewest = this.#segmentIndex === this.#segments.length - 1;
    if (!this.#options.toleratesTear || !isNewest || this.#isFollowed(offset)) {
      throw this.#corruption(code, found, offset, undefined);
    }
    this.tear = { segment, offset: this.#goodEnd, reason: `${found} at offset ${offset}` };
    this.close();
    this.#segmentIndex = this.#segments.length;
    this.#position = this.#filled;
    this.#partFlags = -1;
    this.#partsLength = 0;
    return false;
  }

  /**
   * Whether something valid lies behind a damage: then it is not where a write was cut off. Looked for at every
   * place of the damaged page, since a length there may be wrong, and at the start of every later page.
   */
  #isFollowed(damageOffset: number): boolean {
    const pageStart = Math.floor(damageOffset / PAGE_BYTES) * PAGE_BYTES;
    const page = Buffer.allocUnsafe(PAGE_BYTES);
    for (let base = pageStart; base < this.#fileBytes; base += PAGE_BYTES) {
      const length = Math.min(PAGE_BYTES, this.#fileBytes - base);
      readFully(this.#fd, page.subarray(0, length), base, this.#path());
      const from = base === pageStart ? damageOffset - base + 1 : 0;
      const to = base === pageStart ? length : 1;
      for (let at = from; at < to; at++) if (isFragment(page, at, length)) return true;
    }
    return false;
  }

  #path(): string {
    return this.#segments[this.#segmentIndex]?.path ?? '';
  }

  #corruption(code: string, found: string, offset: number, cause: unknown): CorruptionError {
    return new CorruptionError(code, `${this.#path()}: ${found} at offset ${offset}`, {
      ...(cause === undefined ? {} : { cause }),
      details: {
        file: this.#path(),
        segment: this.#segments[this.#segmentIndex]?.number ?? 0,
        offset,
        found,
        goodBytes: this.#goodEnd,
      },
    });
  }
}

/**
 * Cuts a torn segment behind its last whole record and fills its page with zeros, so that it reads as a closed
 * segment; new records then go to a new one.
 */
export function repairTear(tear: WalTear): void {
  const fd = openSync(tear.segment.path, 'r+');
  try {
    ftruncateSync(fd, tear.offset);
    ftruncateSync(fd, Math.ceil(tear.offset / PAGE_BYTES) * PAGE_BYTES);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Whether a whole fragment with data and a right checksum lies here. */
function isFragment(page: Uint8Array, at: number, end: number): boolean {
  const typeByte = page[at]!;
  const kind = typeByte & FRAGMENT_KIND_MASK;
  if (kind < FRAGMENT.full || kind > FRAGMENT.last || typeByte > (ZSTD_FLAG | FRAGMENT.last)) return false;
  const start = at + FRAGMENT_HEADER_BYTES;
  if (start > end) return false;
  const length = (page[at + 1]! << 8) | page[at + 2]!;
  if (length === 0 || start + length > end) return false;
  return crc32c(page, start, start + length) === readBe32(page, at + 3);
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== 0) return false;
  return true;
}
