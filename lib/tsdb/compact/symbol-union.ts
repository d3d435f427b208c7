import { CorruptionError } from '../../errors/index.js';
import { compareBytes, type IndexReader, type IndexWriter } from '../index/index.js';
import { FileWindow } from './file-window.js';

const WINDOW_BYTES = 256 * 1024;
/** Most bytes of a symbol's length. */
const LENGTH_BYTES_MAX = 5;

/** Walks the symbols of an index, whose checksum was verified when it was opened. */
class SymbolCursor {
  /** The symbol the cursor stands at, as a view until the next step. */
  symbol: Uint8Array;
  /** Its number, and how many there are. */
  position: number;
  readonly count: number;
  readonly #window: FileWindow;
  #offset: number;

  constructor(index: IndexReader) {
    this.symbol = new Uint8Array(0);
    this.position = -1;
    this.count = index.symbols.count;
    this.#window = new FileWindow(index.source, WINDOW_BYTES);
    // Behind length and count.
    this.#offset = index.toc.symbols + 8;
  }

  get bytesRead(): number {
    return this.#window.bytesRead;
  }

  /** Moves to the next symbol; false at the end. */
  next(): boolean {
    if (this.position + 1 >= this.count) return false;
    this.position++;
    const window = this.#window;
    const offset = this.#offset;
    // The checksum behind the table makes these bytes exist even for the shortest last symbol.
    let at = window.locate(offset, LENGTH_BYTES_MAX);
    const from = at;
    let length = 0;
    let scale = 1;
    while (at - from < LENGTH_BYTES_MAX) {
      const byte = window.bytes[at++]!;
      length += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
    }
    const lengthBytes = at - from;
    const start = window.locate(offset, lengthBytes + length) + lengthBytes;
    this.symbol = window.bytes.subarray(start, start + length);
    this.#offset = offset + lengthBytes + length;
    return true;
  }

  /** The error of a symbol that is not above the one before. */
  outOfOrder(): CorruptionError {
    const file = this.#window.source.name;
    const offset = this.#offset;
    return new CorruptionError(
      'symbol-order',
      `${file}: symbol ${this.position}, before offset ${offset}, is not above the one before`,
      { details: { file, offset, found: this.position } },
    );
  }
}

/**
 * Writes the symbols of several indexes as one sorted table and tells which symbol became which. Held in memory are
 * four bytes per symbol of each source.
 */
export class SymbolUnion {
  /** The result's number of each symbol, per source. */
  readonly ids: readonly Uint32Array[];
  /** The number of the empty string, or -1. */
  emptySymbol: number;
  readonly #cursors: readonly SymbolCursor[];
  readonly #out: IndexWriter;
  /** Numbers of the sources that still have symbols, and of those that stand at the least one. */
  #live: number[];
  readonly #equal: number[];
  #last: Uint8Array;

  /** @param sources at least one */
  constructor(sources: readonly IndexReader[], out: IndexWriter) {
    this.#cursors = sources.map((index) => new SymbolCursor(index));
    this.ids = sources.map((index) => new Uint32Array(index.symbols.count));
    this.emptySymbol = -1;
    this.#out = out;
    this.#live = sources.map((_, i) => i).filter((i) => this.#cursors[i]!.next());
    this.#equal = [];
    this.#last = new Uint8Array(64);
  }

  get bytesRead(): number {
    return this.#cursors.reduce((sum, cursor) => sum + cursor.bytesRead, 0);
  }

  /** Writes up to so many symbols; false when there are no more. @throws CorruptionError `symbol-order` */
  step(symbolCount: number): boolean {
    for (let i = 0; i < symbolCount; i++) {
      if (this.#live.length === 0) return false;
      this.#writeLeast();
    }
    return true;
  }

  #writeLeast(): void {
    const cursors = this.#cursors;
    const live = this.#live;
    const equal = this.#equal;
    let least = cursors[live[0]!]!.symbol;
    equal.length = 0;
    equal.push(live[0]!);
    for (let i = 1; i < live.length; i++) {
      const symbol = cursors[live[i]!]!.symbol;
      const order = compareBytes(symbol, least);
      if (order > 0) continue;
      if (order < 0) {
        equal.length = 0;
        least = symbol;
      }
      equal.push(live[i]!);
    }
    const id = this.#out.symbolCount;
    this.#out.addSymbol(least);
    if (least.length === 0) this.emptySymbol = id;
    // A copy: the views go when their cursors move.
    if (least.length > this.#last.length) this.#last = new Uint8Array(least.length * 2);
    this.#last.set(least);
    const last = this.#last.subarray(0, least.length);
    for (const source of equal) {
      const cursor = cursors[source]!;
      this.ids[source]![cursor.position] = id;
      if (!cursor.next()) this.#live = this.#live.filter((other) => other !== source);
      else if (compareBytes(cursor.symbol, last) <= 0) throw cursor.outOfOrder();
    }
  }
}
