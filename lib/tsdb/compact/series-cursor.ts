import { CorruptionError } from '../../errors/index.js';
import { ByteReader, crc32c, crcMismatch, type IndexReader, readBe32, SeriesEntry } from '../index/index.js';
import { FileWindow } from './file-window.js';

const SERIES_WINDOW_BYTES = 256 * 1024;
const POSTINGS_WINDOW_BYTES = 64 * 1024;
const SERIES_ALIGNMENT = 16;
/** What a first look at a series entry asks for. */
const FIRST_BYTES = 512;
/** Length and count of a postings list. */
const POSTINGS_HEAD_BYTES = 8;

/**
 * Walks the series of an index in label order: along the list of all series, which is read piece by piece like the
 * entries it points to. The labels come as symbols of the result, so that those of several cursors compare by number.
 */
export class SeriesCursor {
  /** The series the cursor stands at; the one before is overwritten by `next`. */
  entry: SeriesEntry;
  ref: number;
  isDone: boolean;
  /** Series of the block, and how many of them were read. */
  readonly seriesCount: number;
  seriesRead: number;
  readonly #index: IndexReader;
  readonly #symbolIds: Uint32Array;
  /** The symbol of the result that is the empty string, or -1. */
  readonly #emptySymbol: number;
  readonly #series: FileWindow;
  readonly #postings: FileWindow;
  readonly #reader: ByteReader;
  readonly #refsOffset: number;
  /** Checksum of the list up to where its window ends. */
  #crc: number;
  #crcEnd: number;
  #before: SeriesEntry;

  /** @param symbolIds the result's symbol for each of the index */
  constructor(index: IndexReader, symbolIds: Uint32Array, emptySymbol: number) {
    this.#index = index;
    this.#symbolIds = symbolIds;
    this.#emptySymbol = emptySymbol;
    this.entry = new SeriesEntry();
    this.#before = new SeriesEntry();
    this.ref = 0;
    this.isDone = false;
    this.seriesRead = 0;
    this.#series = new FileWindow(index.source, SERIES_WINDOW_BYTES);
    this.#postings = new FileWindow(index.source, POSTINGS_WINDOW_BYTES);
    this.#reader = new ByteReader(index.source.name);
    const offset = index.postingsTable.find('', '')?.offset ?? -1;
    this.seriesCount = offset < 0 ? 0 : this.#openPostings(offset);
    this.#refsOffset = offset + POSTINGS_HEAD_BYTES;
    this.#crcEnd = offset + 4;
    this.#crc = 0;
  }

  get bytesRead(): number {
    return this.#series.bytesRead + this.#postings.bytesRead;
  }

  /**
   * Moves to the next series; false at the end.
   * @throws CorruptionError when an entry, its checksum, its labels or chunks, or the order is wrong
   */
  next(): boolean {
    if (this.seriesRead === this.seriesCount) {
      if (!this.isDone && this.seriesCount > 0) this.#checkPostingsCrc();
      this.isDone = true;
      return false;
    }
    const ref = this.#nextRef();
    if (ref <= this.ref) throw this.#bad('postings-order', `series ref ${ref} is not above ${this.ref}`, ref);
    this.ref = ref;
    this.seriesRead++;
    const entry = this.#before;
    this.#before = this.entry;
    this.entry = entry;
    this.#decode(ref, entry);
    this.#mapLabels(entry);
    this.#checkChunks(entry);
    return true;
  }

  #openPostings(offset: number): number {
    const { bytes } = this.#postings;
    const at = this.#postings.locate(offset, POSTINGS_HEAD_BYTES);
    const length = readBe32(bytes, at);
    const count = readBe32(bytes, at + 4);
    if (length !== 4 + 4 * count || offset + 4 + length + 4 > this.#index.source.size) {
      throw this.#badAt(offset, 'postings-length', `length ${length} for ${count} series`, length);
    }
    return count;
  }

  #nextRef(): number {
    const postings = this.#postings;
    const offset = this.#refsOffset + 4 * this.seriesRead;
    if (postings.available(offset) < 4) {
      this.#addToCrc(offset);
      // All of the window has been read: the next one begins here.
      const left = 4 * (this.seriesCount - this.seriesRead);
      postings.locate(offset, Math.min(left, POSTINGS_WINDOW_BYTES));
    }
    return readBe32(postings.bytes, postings.locate(offset, 4));
  }

  /** Takes the bytes before an offset, which are in the window, into the checksum. */
  #addToCrc(end: number): void {
    const { bytes, base } = this.#postings;
    this.#crc = crc32c(bytes, this.#crcEnd - base, end - base, this.#crc);
    this.#crcEnd = end;
  }

  #checkPostingsCrc(): void {
    const end = this.#refsOffset + 4 * this.seriesCount;
    this.#addToCrc(end);
    const expected = readBe32(this.#postings.bytes, this.#postings.locate(end, 4));
    if (expected !== this.#crc) {
      throw crcMismatch(this.#index.source.name, 'postings', end, expected, this.#crc);
    }
  }

  #decode(ref: number, entry: SeriesEntry): void {
    const { source, toc } = this.#index;
    const window = this.#series;
    const reader = this.#reader;
    const offset = ref * SERIES_ALIGNMENT;
    if (offset < toc.series || offset >= toc.postings) {
      throw this.#bad(
        'series-ref',
        `series ref ${ref} lies outside the series section ${toc.series}..${toc.postings}`,
        ref,
      );
    }
    let at = window.locate(offset, Math.min(FIRST_BYTES, source.size - offset));
    reader.bytes = window.bytes;
    reader.base = window.base;
    reader.position = at;
    const length = reader.uvarint();
    const headBytes = reader.position - at;
    if (length > toc.postings - offset) {
      throw this.#bad('series-length', `series entry claims ${length} bytes`, length);
    }
    at = window.locate(offset, headBytes + length + 4);
    const bytes = window.bytes;
    const start = at + headBytes;
    const end = start + length;
    const expected = readBe32(bytes, end);
    const found = crc32c(bytes, start, end);
    if (found !== expected)
      throw crcMismatch(source.name, 'series', offset + headBytes + length, expected, found);
    reader.bytes = bytes;
    reader.base = window.base;
    reader.position = start;
    entry.decode(reader);
    if (reader.position !== end) {
      throw this.#bad(
        'series-length',
        `series entry of ${length} bytes has ${reader.position - start}`,
        length,
      );
    }
  }

  /** Puts symbols of the result in place of those of the block, and checks order within and between series. */
  #mapLabels(entry: SeriesEntry): void {
    const { labels, labelCount } = entry;
    const before = this.#before;
    const ids = this.#symbolIds;
    if (labelCount === 0) throw this.#bad('series-labels', 'a series has no labels', 0);
    let order = this.seriesRead === 1 ? 1 : 0;
    let name = -1;
    for (let i = 0; i < labelCount * 2; i += 2) {
      const nameSymbol = labels[i]!;
      const valueSymbol = labels[i + 1]!;
      if (nameSymbol >= ids.length || valueSymbol >= ids.length) {
        throw this.#bad(
          'symbol-unknown',
          `reference to symbol ${Math.max(nameSymbol, valueSymbol)}`,
          ids.length,
        );
      }
      const nextName = ids[nameSymbol]!;
      const value = ids[valueSymbol]!;
      if (nextName <= name) throw this.#bad('series-labels', 'label names are out of order', i / 2);
      if (value === this.#emptySymbol) throw this.#bad('series-labels', 'a label value is empty', i / 2);
      name = nextName;
      labels[i] = name;
      labels[i + 1] = value;
      if (order === 0) {
        if (i >= before.labelCount * 2) order = 1;
        else {
          const difference = name - before.labels[i]!;
          order = difference !== 0 ? difference : value - before.labels[i + 1]!;
        }
      }
    }
    if (order <= 0) throw this.#bad('series-order', 'a series is not above the one before', this.seriesRead);
  }

  #checkChunks(entry: SeriesEntry): void {
    const { chunkMinTimes, chunkMaxTimes, chunkCount } = entry;
    for (let i = 0; i < chunkCount; i++) {
      const minTime = chunkMinTimes[i]!;
      if (chunkMaxTimes[i]! < minTime || (i > 0 && minTime <= chunkMaxTimes[i - 1]!)) {
        throw this.#bad(
          'chunk-order',
          `chunk ${i} overlaps the one before or ends before it begins`,
          minTime,
        );
      }
    }
  }

  /** An error at the series that the cursor stands at. */
  #bad(code: string, message: string, found: number): CorruptionError {
    return this.#badAt(this.ref * SERIES_ALIGNMENT, code, message, found);
  }

  #badAt(offset: number, code: string, message: string, found: number): CorruptionError {
    const file = this.#index.source.name;
    return new CorruptionError(code, `${file}: at offset ${offset}: ${message}`, {
      details: { file, offset, found },
    });
  }
}
