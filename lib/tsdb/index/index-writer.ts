import { rmSync } from 'node:fs';
import { VarveError } from '../../errors/index.js';
import { compareBytes, utf8Text } from './byte-reader.js';
import { type ByteSource, FileByteSource } from './byte-source.js';
import { ByteWriter } from './byte-writer.js';
import { crc32c } from './crc.js';
import { FileSink } from './file-sink.js';
import {
  INDEX_HEADER_BYTES,
  INDEX_MAGIC,
  INDEX_VERSION,
  SAMPLE_STEP,
  SECTION_BYTES_MAX,
  SERIES_ALIGNMENT,
} from './format.js';
import { PostingsWriter } from './postings-writer.js';
import type { SeriesEntry } from './series-entry.js';
import { SymbolTable } from './symbol-table.js';

/**
 * Writes an index file of version 2 front to back, bit for bit as Prometheus does: first all symbols in byte order,
 * then all series in label order, then `finish`. Labels are given as symbol numbers (the place of the symbol in the
 * order given), which compare like the strings. What arrives out of order or repeated is refused.
 */
export class IndexWriter {
  readonly path: string;
  readonly #sink: FileSink;
  readonly #postings: PostingsWriter;
  readonly #out: ByteWriter;
  #source: ByteSource | null;
  #symbols: SymbolTable | null;
  #symbolCount: number;
  #symbolSamples: number[];
  #lastSymbol: Uint8Array;
  #hasEmptySymbol: boolean;
  #seriesOffset: number;
  #lastLabels: Uint32Array;
  #lastLabelCount: number;
  #lastChunkRef: number;

  constructor(path: string) {
    this.path = path;
    this.#sink = new FileSink(path);
    this.#postings = new PostingsWriter(`${path}.postings`);
    this.#out = new ByteWriter(4096);
    this.#source = null;
    this.#symbols = null;
    this.#symbolCount = 0;
    this.#symbolSamples = [];
    this.#lastSymbol = new Uint8Array(0);
    this.#hasEmptySymbol = false;
    this.#seriesOffset = 0;
    this.#lastLabels = new Uint32Array(64);
    this.#lastLabelCount = 0;
    this.#lastChunkRef = 0;
    const out = this.#out;
    out.be32(INDEX_MAGIC);
    out.u8(INDEX_VERSION);
    // Length and count of the symbol table are patched in when it ends.
    out.be32(0);
    out.be32(0);
    this.#sink.write(out.view());
  }

  get seriesCount(): number {
    return this.#postings.seriesCount;
  }

  get symbolCount(): number {
    return this.#symbolCount;
  }

  /** Adds the next symbol; its number is the count of those before it. */
  addSymbol(symbol: Uint8Array | string): void {
    if (this.#symbols !== null) throw misuse('symbols come before the first series');
    const bytes = typeof symbol === 'string' ? Buffer.from(symbol, 'utf8') : symbol;
    if (this.#symbolCount > 0 && compareBytes(this.#lastSymbol, bytes) >= 0) {
      throw misuse(`symbol ${JSON.stringify(utf8Text(bytes))} is not above the one before it`);
    }
    if (this.#symbolCount % SAMPLE_STEP === 0) this.#symbolSamples.push(this.#sink.position - SYMBOLS_START);
    if (bytes.length === 0) this.#hasEmptySymbol = true;
    this.#symbolCount++;
    // Not slice(), which on a Buffer is a view.
    this.#lastSymbol = new Uint8Array(bytes);
    const out = this.#out;
    out.clear();
    out.prefixed(bytes);
    this.#sink.write(out.view());
  }

  /** The number of a symbol, or -1. Ends the symbols. */
  findSymbol(text: string): number {
    return this.#endSymbols().find(text);
  }

  /**
   * Adds a series: `labels` holds pairs of symbol numbers by ascending name, the entry its chunks (its own label
   * columns are not looked at). Nothing given is kept.
   * @returns the series ref.
   */
  addSeries(labels: Uint32Array, labelCount: number, chunks: SeriesEntry): number {
    if (this.#symbols === null) this.#endSymbols();
    this.#checkLabels(labels, labelCount);
    this.#sink.align(SERIES_ALIGNMENT);
    const ref = this.#sink.position / SERIES_ALIGNMENT;
    if (ref > 0xffff_ffff) throw tooLarge('index', this.#sink.position);
    const out = this.#out;
    out.clear();
    out.uvarint(labelCount);
    for (let i = 0; i < labelCount * 2; i++) out.uvarint(labels[i]!);
    this.#encodeChunks(chunks);
    const bodyLength = out.length;
    out.be32(crc32c(out.bytes, 0, bodyLength));
    HEAD.clear();
    HEAD.uvarint(bodyLength);
    this.#sink.write(HEAD.view());
    this.#sink.write(out.view());
    this.#postings.add(ref, labels, labelCount);
    return ref;
  }

  /** Writes postings, offset table and TOC, fsyncs and closes. */
  finish(): void {
    const symbols = this.#endSymbols();
    const sink = this.#sink;
    const postingsOffset = sink.position;
    const { order, offsets, allOffset } = this.#postings.write(sink);
    const tableOffset = sink.position;
    this.#writeOffsetTable(symbols, order, offsets, allOffset);
    const out = this.#out;
    out.clear();
    out.be64(INDEX_HEADER_BYTES);
    out.be64(this.#seriesOffset);
    // The two fields of the label indexes of old; Prometheus points them at what follows.
    out.be64(postingsOffset);
    out.be64(tableOffset);
    out.be64(postingsOffset);
    out.be64(tableOffset);
    out.be32(crc32c(out.bytes, 0, out.length));
    sink.write(out.view());
    sink.finish();
    this.#release();
  }

  /** Gives up: closes and removes what was written. */
  abort(): void {
    this.#sink.close();
    this.#release();
    rmSync(this.path, { force: true });
  }

  #release(): void {
    this.#postings.close();
    this.#source?.close();
    this.#source = null;
  }

  #endSymbols(): SymbolTable {
    if (this.#symbols !== null) return this.#symbols;
    const sink = this.#sink;
    const end = sink.position;
    const length = end - SYMBOLS_START + 4;
    if (length > SECTION_BYTES_MAX) throw tooLarge('symbol table', length);
    const out = this.#out;
    out.clear();
    out.be32(length);
    out.be32(this.#symbolCount);
    sink.patch(INDEX_HEADER_BYTES, out.view());
    const crc = this.#crcOf(SYMBOLS_START - 4, end);
    out.clear();
    out.be32(crc);
    sink.write(out.view());
    sink.flush();
    this.#seriesOffset = sink.position;
    this.#source = new FileByteSource(this.path);
    this.#symbols = new SymbolTable(
      this.#source,
      SYMBOLS_START,
      end,
      this.#symbolCount,
      Uint32Array.from(this.#symbolSamples),
    );
    this.#symbolSamples = [];
    return this.#symbols;
  }

  #crcOf(start: number, end: number): number {
    const piece = new Uint8Array(Math.min(1 << 20, end - start));
    let crc = 0;
    for (let at = start; at < end; at += piece.length) {
      const count = this.#sink.readBack(piece.subarray(0, Math.min(piece.length, end - at)), at);
      crc = crc32c(piece, 0, count, crc);
    }
    return crc;
  }

  #checkLabels(labels: Uint32Array, labelCount: number): void {
    if (labelCount === 0) throw misuse('a series needs labels');
    let order = this.#lastLabelCount === 0 ? 1 : 0;
    const last = this.#lastLabels;
    for (let i = 0; i < labelCount * 2; i++) {
      const symbol = labels[i]!;
      if (symbol >= this.#symbolCount) throw misuse(`symbol number ${symbol} of ${this.#symbolCount}`);
      if (i % 2 === 1 && symbol === 0 && this.#hasEmptySymbol) throw misuse('a label value is empty');
      if (i % 2 === 0 && i > 0 && symbol <= labels[i - 2]!) throw misuse('label names are out of order');
      if (order === 0) order = i < this.#lastLabelCount * 2 ? symbol - last[i]! : 1;
    }
    if (order <= 0) throw misuse(`series ${this.seriesCount} is not above the one before it`);
    if (labelCount * 2 > last.length) this.#lastLabels = new Uint32Array(labelCount * 4);
    for (let i = 0; i < labelCount * 2; i++) this.#lastLabels[i] = labels[i]!;
    this.#lastLabelCount = labelCount;
  }

  #encodeChunks(chunks: SeriesEntry): void {
    const out = this.#out;
    const count = chunks.chunkCount;
    if (count === 0) throw misuse('a series needs chunks');
    out.uvarint(count);
    let maxTime = 0;
    let ref = this.#lastChunkRef;
    for (let i = 0; i < count; i++) {
      const minTime = chunks.chunkMinTimes[i]!;
      const nextRef = chunks.chunkRefs[i]!;
      if (i > 0 && minTime <= maxTime)
        throw misuse(`chunk ${i} begins at ${minTime}, the last ended at ${maxTime}`);
      if (nextRef < ref) throw misuse(`chunk ref ${nextRef} after ${ref}`);
      if (i === 0) out.varint(minTime);
      else out.uvarint(minTime - maxTime);
      maxTime = chunks.chunkMaxTimes[i]!;
      if (!(maxTime >= minTime)) throw misuse(`chunk ${i} ends at ${maxTime} before it begins at ${minTime}`);
      out.uvarint(maxTime - minTime);
      if (i === 0) out.uvarint(nextRef);
      else out.varint(nextRef - ref);
      ref = nextRef;
    }
    this.#lastChunkRef = ref;
  }

  #writeOffsetTable(
    symbols: SymbolTable,
    order: Uint32Array,
    offsets: Float64Array,
    allOffset: number,
  ): void {
    const sink = this.#sink;
    const out = this.#out;
    const tableOffset = sink.position;
    const pairs = this.#postings.pairs;
    out.clear();
    out.be32(0);
    out.be32(order.length + 1);
    out.uvarint(2);
    out.u8(0);
    out.u8(0);
    out.uvarint(allOffset);
    let crc = crc32c(out.bytes, 4, out.length);
    sink.write(out.view());
    out.clear();
    for (let i = 0; i < order.length; i++) {
      const pair = order[i]!;
      out.uvarint(2);
      out.prefixed(symbols.bytes(pairs.names[pair]!));
      out.prefixed(symbols.bytes(pairs.values[pair]!));
      out.uvarint(offsets[i]!);
      if (out.length > 64 * 1024 || i === order.length - 1) {
        crc = crc32c(out.bytes, 0, out.length, crc);
        sink.write(out.view());
        out.clear();
      }
    }
    const length = sink.position - tableOffset - 4;
    if (length > SECTION_BYTES_MAX) throw tooLarge('postings offset table', length);
    out.clear();
    out.be32(crc);
    sink.write(out.view());
    out.clear();
    out.be32(length);
    sink.patch(tableOffset, out.view());
  }
}

/** First symbol: behind the header, the section's length and the count. */
const SYMBOLS_START = 13;
const HEAD = new ByteWriter(16);

function misuse(message: string): VarveError {
  return new VarveError('internal', 'index-order', `index writer: ${message}`);
}

function tooLarge(what: string, byteCount: number): VarveError {
  return new VarveError(
    'limit',
    'index-too-large',
    `${what} of ${byteCount} bytes does not fit the index format`,
    {
      details: { found: byteCount },
    },
  );
}
