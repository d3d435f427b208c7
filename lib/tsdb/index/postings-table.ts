import { CorruptionError } from '../../errors/index.js';
import { ByteReader, compareBytes, utf8Text } from './byte-reader.js';
import type { ByteSource } from './byte-source.js';
import { SAMPLE_STEP } from './format.js';
import { sectionBounds, WindowReader } from './window-reader.js';

/** Values of one label that follow one another in the table, and where their postings lie. */
export interface ValueOffsets {
  /** Sorted by bytes. */
  readonly values: readonly string[];
  /** One more than values: the postings of value i begin at `offsets[i]` and end before `offsets[i + 1]`. */
  readonly offsets: Float64Array;
}

/** Where a postings list begins, and where the next one does: padding may lie between. */
export interface ListRange {
  readonly offset: number;
  readonly end: number;
}

/** The entries of one label name. Positions are relative to the table's first entry. */
interface NameRange {
  readonly count: number;
  readonly samples: Uint32Array;
  readonly end: number;
  /** Offset of the postings behind the last of this name. */
  listsEnd: number;
}

/**
 * The table (name, value) -> postings offset, left on disk. Held are the label names and the position of every 32nd
 * entry of each name; a lookup compares the sampled entries where they lie, then scans at most 32 of them.
 */
export class PostingsTable {
  /** Label names, sorted by bytes; without the empty name of the list of all series. */
  readonly names: readonly string[];
  readonly entryCount: number;
  readonly #source: ByteSource;
  readonly #start: number;
  readonly #ranges: ReadonlyMap<string, NameRange>;

  constructor(source: ByteSource, start: number, entryCount: number, ranges: ReadonlyMap<string, NameRange>) {
    this.#source = source;
    this.#start = start;
    this.entryCount = entryCount;
    this.#ranges = ranges;
    this.names = [...ranges.keys()].filter((name) => name !== '');
  }

  /**
   * Reads through the table once: checksum, order of names and samples.
   * @param listsEnd where the last postings list ends: in an index file, where the table begins
   */
  static open(source: ByteSource, offset: number, listsEnd: number = offset): PostingsTable {
    const { start, end, crc } = sectionBounds(source, offset, 'postings offset table');
    const window = new WindowReader(source, start, end);
    const reader = window.reader;
    window.prepare(4);
    const entryCount = reader.be32();
    const first = start + 4;
    const ranges = new Map<string, NameRange>();
    let name: Uint8Array | null = null;
    let count = 0;
    let samples: number[] = [];
    const closeName = (at: number): NameRange | null => {
      if (name === null) return null;
      const range = { count, samples: Uint32Array.from(samples), end: at, listsEnd };
      ranges.set(utf8Text(name), range);
      return range;
    };
    for (let i = 0; i < entryCount; i++) {
      const at = window.offset - first;
      window.prepare(1);
      const parts = reader.uvarint();
      if (parts !== 2) throw badEntry(source.name, first + at, parts);
      window.prepare(10);
      const nameLength = reader.uvarint();
      window.prepare(nameLength);
      const nameBytes = reader.take(nameLength);
      const order: number = name === null ? -1 : compareBytes(name, nameBytes);
      if (order > 0) throw outOfOrder(source.name, first + at, utf8Text(nameBytes));
      let closed: NameRange | null = null;
      if (order < 0) {
        closed = closeName(at);
        name = new Uint8Array(nameBytes);
        count = 0;
        samples = [];
      }
      if (count % SAMPLE_STEP === 0) samples.push(at);
      count++;
      window.prepare(10);
      const valueLength = reader.uvarint();
      window.prepare(valueLength);
      reader.skip(valueLength);
      window.prepare(10);
      const listOffset = reader.uvarint();
      if (closed !== null) closed.listsEnd = listOffset;
    }
    closeName(window.offset - first);
    window.checkCrc(crc, 'postings offset table');
    return new PostingsTable(source, first, entryCount, ranges);
  }

  /** How many values a label has. */
  valueCount(name: string): number {
    return this.#ranges.get(name)?.count ?? 0;
  }

  /** Where the postings of a label pair lie; null when there are none. */
  find(name: string, value: string): ListRange | null {
    const range = this.#ranges.get(name);
    if (range === undefined) return null;
    const wanted = Buffer.from(value, 'utf8');
    const block = this.#sampleBefore(range, wanted);
    const reader = this.#block(range, block);
    while (reader.remaining > 0) {
      const order = compareBytes(takeValue(reader), wanted);
      const offset = reader.uvarint();
      if (order === 0) return { offset, end: this.#nextOffset(range, block, reader) };
      if (order > 0) return null;
    }
    return null;
  }

  /** All values of a label with their postings offsets; empty when the label does not exist. */
  values(name: string): ValueOffsets {
    const range = this.#ranges.get(name);
    if (range === undefined) return { values: [], offsets: new Float64Array(1) };
    const values: string[] = new Array(range.count);
    const offsets = new Float64Array(range.count + 1);
    offsets[range.count] = range.listsEnd;
    let at = 0;
    for (let block = 0; block < range.samples.length; block++) {
      const reader = this.#block(range, block);
      while (reader.remaining > 0) {
        values[at] = utf8Text(takeValue(reader));
        offsets[at++] = reader.uvarint();
      }
    }
    return { values, offsets };
  }

  /** The values of a label that begin with a prefix. */
  valuesWithPrefix(name: string, prefix: string): ValueOffsets {
    const values: string[] = [];
    const offsets: number[] = [];
    const range = this.#ranges.get(name);
    const wanted = Buffer.from(prefix, 'utf8');
    let end = range === undefined ? 0 : -1;
    for (let block = end === 0 ? 0 : this.#sampleBefore(range!, wanted); end < 0; block++) {
      const reader = this.#block(range!, block);
      while (reader.remaining > 0) {
        const value = takeValue(reader);
        const offset = reader.uvarint();
        const order = compareBytes(value.subarray(0, wanted.length), wanted);
        if (order > 0) {
          end = offset;
          break;
        }
        if (order < 0) continue;
        values.push(utf8Text(value));
        offsets.push(offset);
      }
      if (end < 0 && block + 1 === range!.samples.length) end = range!.listsEnd;
    }
    offsets.push(end);
    return { values, offsets: Float64Array.from(offsets) };
  }

  /** The last sampled entry whose value is not above the one wanted, or the first. */
  #sampleBefore(range: NameRange, wanted: Uint8Array): number {
    let low = 0;
    let high = range.samples.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (compareBytes(takeValue(this.#block(range, middle)), wanted) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The postings offset of the entry behind the one that a reader over a block has just read. */
  #nextOffset(range: NameRange, block: number, reader: ByteReader): number {
    let next = reader;
    if (reader.remaining === 0) {
      if (block + 1 === range.samples.length) return range.listsEnd;
      next = this.#block(range, block + 1);
    }
    takeValue(next);
    return next.uvarint();
  }

  /** A reader over the entries from one sample to the next. */
  #block(range: NameRange, index: number): ByteReader {
    const from = range.samples[index]!;
    const to = index + 1 < range.samples.length ? range.samples[index + 1]! : range.end;
    return new ByteReader(
      this.#source.name,
      this.#source.read(this.#start + from, to - from),
      this.#start + from,
    );
  }
}

/** Reads an entry up to its value, which it returns; the offset is next. */
function takeValue(reader: ByteReader): Uint8Array {
  reader.uvarint();
  reader.skip(reader.uvarint());
  return reader.take(reader.uvarint());
}

function badEntry(file: string, offset: number, found: number): CorruptionError {
  return new CorruptionError(
    'postings-table-entry',
    `${file}: postings offset table entry at ${offset} has ${found} strings, 2 expected`,
    { details: { file, offset, expected: 2, found } },
  );
}

function outOfOrder(file: string, offset: number, name: string): CorruptionError {
  return new CorruptionError(
    'postings-table-order',
    `${file}: label name ${JSON.stringify(name)} at offset ${offset} is out of order`,
    { details: { file, offset, found: name } },
  );
}
