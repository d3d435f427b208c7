import { CorruptionError } from '../../errors/index.js';
import { ByteReader, compareBytes, utf8Text } from './byte-reader.js';
import type { ByteSource } from './byte-source.js';
import { SAMPLE_STEP } from './format.js';
import { sectionBounds, WindowReader } from './window-reader.js';

/** Most strings an instance remembers; the oldest are forgotten first. */
const TEXT_CACHE_MAX = 64 * 1024;

/**
 * The sorted strings of an index, left on disk: only every 32nd offset is held. A symbol's id is its place in the
 * table, so comparing ids compares bytes.
 */
export class SymbolTable {
  readonly count: number;
  readonly #source: ByteSource;
  /** Offset of the first symbol's length; the samples are relative to it. */
  readonly #start: number;
  readonly #end: number;
  readonly #samples: Uint32Array;
  readonly #texts: Map<number, string> = new Map();

  constructor(source: ByteSource, start: number, end: number, count: number, samples: Uint32Array) {
    this.#source = source;
    this.#start = start;
    this.#end = end;
    this.count = count;
    this.#samples = samples;
  }

  /** Reads through a symbol section once: checksum, order and samples. */
  static open(source: ByteSource, offset: number): SymbolTable {
    const { start, end, crc } = sectionBounds(source, offset, 'symbol table');
    const window = new WindowReader(source, start, end);
    const reader = window.reader;
    window.prepare(4);
    const count = reader.be32();
    if (count > end - start) {
      throw new CorruptionError(
        'symbol-count',
        `${source.name}: symbol table at offset ${offset} claims ${count} symbols in ${end - start} bytes`,
        { details: { file: source.name, offset, expected: end - start, found: count } },
      );
    }
    const samples = new Uint32Array(Math.ceil(count / SAMPLE_STEP));
    const first = start + 4;
    for (let i = 0; i < count; i++) {
      if (i % SAMPLE_STEP === 0) samples[i / SAMPLE_STEP] = window.offset - first;
      if (reader.remaining < 10) window.prepare(10);
      const length = reader.uvarint();
      if (reader.remaining < length) window.prepare(length);
      reader.skip(length);
    }
    window.checkCrc(crc, 'symbol table');
    return new SymbolTable(source, first, end, count, samples);
  }

  /** The bytes of a symbol. @throws CorruptionError `symbol-unknown` when the table is shorter. */
  bytes(id: number): Uint8Array {
    if (!(id >= 0 && id < this.count)) {
      throw new CorruptionError(
        'symbol-unknown',
        `${this.#source.name}: reference to symbol ${id}, the table has ${this.count}`,
        { details: { file: this.#source.name, offset: this.#start, expected: this.count, found: id } },
      );
    }
    const reader = this.#block(Math.floor(id / SAMPLE_STEP));
    for (let i = id % SAMPLE_STEP; i > 0; i--) reader.skip(reader.uvarint());
    return reader.take(reader.uvarint());
  }

  /** The string of a symbol. */
  text(id: number): string {
    let text = this.#texts.get(id);
    if (text === undefined) {
      text = utf8Text(this.bytes(id));
      if (this.#texts.size >= TEXT_CACHE_MAX) {
        const oldest = this.#texts.keys().next();
        if (oldest.done !== true) this.#texts.delete(oldest.value);
      }
      this.#texts.set(id, text);
    }
    return text;
  }

  /** The id of a string, or -1. */
  find(text: string): number {
    return this.findBytes(Buffer.from(text, 'utf8'));
  }

  /** The id of a byte string, or -1. */
  findBytes(wanted: Uint8Array): number {
    let low = 0;
    let high = this.#samples.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const reader = this.#block(middle);
      const order = compareBytes(reader.take(reader.uvarint()), wanted);
      if (order === 0) return middle * SAMPLE_STEP;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    if (high < 0) return -1;
    const reader = this.#block(high);
    const first = high * SAMPLE_STEP;
    const end = Math.min(this.count, first + SAMPLE_STEP);
    for (let id = first; id < end; id++) {
      const order = compareBytes(reader.take(reader.uvarint()), wanted);
      if (order === 0) return id;
      if (order > 0) return -1;
    }
    return -1;
  }

  /** A reader at the sampled symbol, over the bytes up to the next sample. */
  #block(index: number): ByteReader {
    const from = this.#start + this.#samples[index]!;
    const next = index + 1 < this.#samples.length ? this.#start + this.#samples[index + 1]! : this.#end;
    return new ByteReader(this.#source.name, this.#source.read(from, next - from), from);
  }
}
