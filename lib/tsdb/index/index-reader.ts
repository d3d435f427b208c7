import { LRUCache } from 'lru-cache';
import { CorruptionError } from '../../errors/index.js';
import { ByteReader, readBe32 } from './byte-reader.js';
import type { ByteSource } from './byte-source.js';
import { crc32c } from './crc.js';
import { INDEX_HEADER_BYTES, INDEX_MAGIC, SERIES_ALIGNMENT, TOC_BYTES } from './format.js';
import { PostingsTable, type ValueOffsets } from './postings-table.js';
import type { SeriesEntry } from './series-entry.js';
import { SymbolTable } from './symbol-table.js';
import { crcMismatch } from './window-reader.js';

/** Values of labels kept as strings, over all labels of one index. */
const VALUES_CACHED_MAX = 2_000_000;
/** First guess at the length of a series entry; longer ones are read twice. */
const SERIES_READ_BYTES = 512;

/** Values of labels by name of the label, bounded by their number. */
type ValuesCache = LRUCache<string, ValueOffsets>;

/** Where the sections of an index begin. */
export interface IndexToc {
  readonly symbols: number;
  readonly series: number;
  readonly postings: number;
  readonly postingsTable: number;
}

/**
 * Reads an index file of version 2 (docs/formats). Opening checks the checksums of TOC, symbols and postings offset
 * table; postings and series are checked when they are read. Memory: about 4 bytes per 32 symbols and 32 label pairs,
 * plus bounded caches.
 */
export class IndexReader {
  readonly source: ByteSource;
  readonly toc: IndexToc;
  readonly symbols: SymbolTable;
  readonly postingsTable: PostingsTable;
  readonly #values: ValuesCache;
  readonly #seriesReader: ByteReader;
  #all: Uint32Array | null;

  /** @param values what was learnt of the same index by a reader over another source */
  constructor(
    source: ByteSource,
    toc: IndexToc,
    symbols: SymbolTable,
    postingsTable: PostingsTable,
    values: ValuesCache | null = null,
  ) {
    this.source = source;
    this.toc = toc;
    this.symbols = symbols;
    this.postingsTable = postingsTable;
    this.#values =
      values ??
      new LRUCache({
        maxSize: VALUES_CACHED_MAX,
        sizeCalculation: (entry) => entry.values.length + 1,
      });
    this.#seriesReader = new ByteReader(source.name);
    this.#all = null;
  }

  static open(source: ByteSource): IndexReader {
    const toc = readToc(source);
    const symbols = SymbolTable.open(source, toc.symbols);
    const postingsTable = PostingsTable.open(source, toc.postingsTable);
    checkNames(source.name, toc.postingsTable, symbols, postingsTable);
    return new IndexReader(source, toc, symbols, postingsTable);
  }

  /**
   * A reader of the same index that takes postings and series from another source, and leaves symbols, table and label
   * values to this one.
   */
  over(source: ByteSource): IndexReader {
    return new IndexReader(source, this.toc, this.symbols, this.postingsTable, this.#values);
  }

  close(): void {
    this.source.close();
  }

  /** Label names, sorted by bytes. */
  labelNames(): readonly string[] {
    return this.postingsTable.names;
  }

  /** Values of a label in byte order with the offsets of their postings; remembered. */
  labelValues(name: string): ValueOffsets {
    let values = this.#values.get(name);
    if (values === undefined) {
      values = this.postingsTable.values(name);
      this.#values.set(name, values);
    }
    return values;
  }

  /** Those of a label's values that begin with a prefix; found without reading the others. */
  labelValuesWithPrefix(name: string, prefix: string): ValueOffsets {
    return this.postingsTable.valuesWithPrefix(name, prefix);
  }

  /** Refs of the series with this label pair, ascending; a fresh array. Empty when there are none. */
  postings(name: string, value: string): Uint32Array {
    const list = this.postingsTable.find(name, value);
    return list === null ? new Uint32Array(0) : this.postingsAt(list.offset);
  }

  /** Refs of all series, ascending. Shared: not to be changed. */
  allPostings(): Uint32Array {
    this.#all ??= this.postings('', '');
    return this.#all;
  }

  /** The postings list at an offset of the postings offset table; a fresh array. */
  postingsAt(offset: number): Uint32Array {
    const source = this.source;
    const head = source.read(offset, 8);
    const length = readBe32(head, 0);
    const count = readBe32(head, 4);
    if (length !== 4 + 4 * count) {
      throw new CorruptionError(
        'postings-length',
        `${source.name}: postings at offset ${offset} have length ${length} for ${count} series`,
        { details: { file: source.name, offset, expected: 4 + 4 * count, found: length } },
      );
    }
    const bytes = source.read(offset + 4, length + 4);
    const expected = readBe32(bytes, length);
    const found = crc32c(bytes, 0, length);
    if (found !== expected) throw crcMismatch(source.name, 'postings', offset + 4 + length, expected, found);
    const postings = new Uint32Array(count);
    Buffer.from(postings.buffer).set(bytes.subarray(4, length));
    Buffer.from(postings.buffer).swap32();
    for (let i = 1; i < count; i++) {
      if (postings[i]! <= postings[i - 1]!) {
        throw new CorruptionError(
          'postings-order',
          `${source.name}: series ref ${postings[i]} at offset ${offset + 8 + 4 * i} is not above its predecessor`,
          { details: { file: source.name, offset: offset + 8 + 4 * i, found: postings[i]! } },
        );
      }
    }
    return postings;
  }

  /** Decodes a series into the caller's entry. @throws CorruptionError when there is no valid entry at the ref. */
  series(ref: number, entry: SeriesEntry): void {
    const source = this.source;
    const offset = ref * SERIES_ALIGNMENT;
    if (offset < this.toc.series || offset >= this.toc.postings) {
      throw new CorruptionError(
        'series-ref',
        `${source.name}: series ref ${ref} lies outside the series section ${this.toc.series}..${this.toc.postings}`,
        { details: { file: source.name, offset, found: ref } },
      );
    }
    const reader = this.#seriesReader;
    reader.reset(source.readUpTo(offset, SERIES_READ_BYTES), offset);
    const length = reader.uvarint();
    if (length > this.toc.postings - offset) {
      throw new CorruptionError(
        'series-length',
        `${source.name}: series entry at offset ${offset} claims ${length} bytes`,
        { details: { file: source.name, offset, expected: this.toc.postings - offset, found: length } },
      );
    }
    const start = reader.position;
    if (start + length + 4 > reader.bytes.length) reader.bytes = source.read(offset, start + length + 4);
    const expected = readBe32(reader.bytes, start + length);
    const found = crc32c(reader.bytes, start, start + length);
    if (found !== expected)
      throw crcMismatch(source.name, 'series', offset + start + length, expected, found);
    entry.decode(reader);
    if (reader.position !== start + length) {
      throw new CorruptionError(
        'series-length',
        `${source.name}: series entry at offset ${offset} has ${length} bytes, its fields end at ${reader.position - start}`,
        { details: { file: source.name, offset, expected: length, found: reader.position - start } },
      );
    }
  }
}

function readToc(source: ByteSource): IndexToc {
  if (source.size < INDEX_HEADER_BYTES + TOC_BYTES) {
    throw new CorruptionError(
      'index-too-short',
      `${source.name}: ${source.size} bytes are too short for an index`,
      {
        details: {
          file: source.name,
          offset: 0,
          expected: INDEX_HEADER_BYTES + TOC_BYTES,
          found: source.size,
        },
      },
    );
  }
  const head = new ByteReader(source.name, source.read(0, INDEX_HEADER_BYTES));
  const magic = head.be32();
  const version = head.u8();
  if (magic !== INDEX_MAGIC || (version !== 2 && version !== 3)) {
    throw new CorruptionError(
      'index-header',
      `${source.name}: magic ${magic.toString(16)} version ${version} is not an index of version 2`,
      {
        details: {
          file: source.name,
          offset: 0,
          expected: INDEX_MAGIC.toString(16),
          found: magic.toString(16),
        },
      },
    );
  }
  const at = source.size - TOC_BYTES;
  return parseToc(source.read(at, TOC_BYTES), source.name, at);
}

/**
 * Reads the last 52 bytes of an index, which lie at `at`.
 * @throws CorruptionError `crc-mismatch` or `toc-offset`
 */
export function parseToc(bytes: Uint8Array, file: string, at: number): IndexToc {
  const expected = readBe32(bytes, TOC_BYTES - 4);
  const found = crc32c(bytes, 0, TOC_BYTES - 4);
  if (found !== expected) throw crcMismatch(file, 'TOC', at + TOC_BYTES - 4, expected, found);
  const reader = new ByteReader(file, bytes, at);
  const symbols = reader.be64();
  const series = reader.be64();
  reader.skip(16);
  const toc = { symbols, series, postings: reader.be64(), postingsTable: reader.be64() };
  for (const [section, offset] of Object.entries(toc)) {
    if (offset < INDEX_HEADER_BYTES || offset + 4 > at) {
      throw new CorruptionError('toc-offset', `${file}: TOC puts ${section} at ${offset}`, {
        details: { file, offset: at, found: offset },
      });
    }
  }
  return toc;
}

/** Checks that every label name of a postings offset table, which lies at `offset`, is a symbol. */
export function checkNames(file: string, offset: number, symbols: SymbolTable, table: PostingsTable): void {
  for (const name of table.names) {
    if (symbols.find(name) >= 0) continue;
    throw new CorruptionError(
      'label-name-unknown',
      `${file}: label name ${JSON.stringify(name)} of the postings offset table is not a symbol`,
      { details: { file, offset, found: name } },
    );
  }
}
