import { Buffer } from 'node:buffer';
import { CHUNK_ENCODING } from '../../storage/index.js';

/**
 * Reads the memory of a head that another thread writes. Offsets repeat lib/kernel/assembly/head/layout.ts, which says
 * how records look and how the writer publishes them; a test holds the two equal.
 *
 * What makes it safe without locks: the writer stores a thing before the pointer to it, counts last, and keeps memory
 * that it has replaced until the queries that were running then have ended.
 */

export const ROOT = {
  seriesLimit: 1024,
  symbolLimit: 1028,
  pairLimit: 1032,
  symbolTable: 1036,
  firstName: 1040,
  generation: 1044,
  seriesCount: 1048,
  pairTable: 1052,
  maxTime: 1056,
} as const;

const SYMBOL_DIR = 0x10000;
const PAIR_DIR = 0x50000;
const SERIES_DIR = 0x90000;
const PAGE_BITS = 12;
const PAGE_MASK = 4095;
const SYMBOL_BYTES = 16;
const PAIR_BYTES = 32;
const SERIES_BYTES = 64;
const CHUNK_PAYLOAD = 24;
const CHUNK_LARGEST_BYTES = 1152;
const CHUNK_LONG_BYTES = 24;
const CHUNK_LONG_PAYLOAD = 32;
const FLAG_SEALED = 1;
const FLAG_FORWARD = 4;
const FLAG_HISTOGRAM = 8;
const TOMBSTONE = 0xffffffff;
/** Beside the write position of a series while its newest sample is being replaced. */
const SERIES_BUSY = 0x80000000;

export const CHUNK_KIND_RAW = 2;
const CHUNK_KIND_HISTOGRAM = 3;
const CHUNK_MARKED = 0x100;

/** Whether chunks of a kind have the length in a word of its own: those of histograms. */
function isLong(kind: number): boolean {
  return kind >= CHUNK_KIND_HISTOGRAM;
}

export class HeadMemory {
  readonly #memory: WebAssembly.Memory;
  #bytes: Buffer;
  #words: Uint32Array;
  #view: DataView;
  #byteLength: number;
  #generation: number;
  #texts: (string | undefined)[];
  /** Work area of `touchSeries`. */
  private chunks = new Uint32Array(0);
  /** What `newestSample` found. */
  valueLow = 0;
  valueHigh = 0;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
    this.#bytes = Buffer.from(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#byteLength = memory.buffer.byteLength;
    this.#generation = -1;
    this.#texts = [];
  }

  /**
   * To be called when a query begins. Returns a number that changes whenever ids seen earlier may mean something else
   * now: whoever caches by symbol or pair id starts afresh then.
   */
  begin(): number {
    this.#grow();
    const generation = Atomics.load(this.#words, ROOT.generation >>> 2);
    if (generation !== this.#generation) {
      this.#generation = generation;
      this.#texts = [];
    }
    return generation;
  }

  #grow(): void {
    if (this.#memory.buffer.byteLength === this.#byteLength) return;
    this.#bytes = Buffer.from(this.#memory.buffer);
    this.#words = new Uint32Array(this.#memory.buffer);
    this.#view = new DataView(this.#memory.buffer);
    this.#byteLength = this.#memory.buffer.byteLength;
  }

  /** Follows a published pointer or count; memory may have grown under it. */
  load(address: number): number {
    if (address >= this.#byteLength) this.#grow();
    return Atomics.load(this.#words, address >>> 2);
  }

  /** Reads a field that never changes once what holds it was published; memory may have grown under it. */
  #fixed(address: number): number {
    if (address >= this.#byteLength) this.#grow();
    return this.#words[address >>> 2]!;
  }

  /** The memory as words, as far as `end` at least. */
  wordsTo(end: number): Uint32Array {
    if (end > this.#byteLength) this.#grow();
    return this.#words;
  }

  get byteLength(): number {
    return this.#byteLength;
  }

  get seriesLimit(): number {
    return this.load(ROOT.seriesLimit);
  }

  get seriesCount(): number {
    return this.load(ROOT.seriesCount);
  }

  /** Time of the newest sample, ms, or null when the head never had one. */
  get maxTimeMs(): number | null {
    const time = this.#view.getBigInt64(ROOT.maxTime, true);
    return time === -(2n ** 63n) ? null : Number(time);
  }

  // Symbols

  #symbolAddress(id: number): number {
    return this.load(SYMBOL_DIR + ((id >>> PAGE_BITS) << 2)) + (id & PAGE_MASK) * SYMBOL_BYTES;
  }

  /** The string of a symbol; cached until the generation changes. */
  text(id: number): string {
    const cached = this.#texts[id];
    if (cached !== undefined) return cached;
    const address = this.load(this.#symbolAddress(id));
    const length = this.load(address);
    if (address + 4 + length > this.#byteLength) this.#grow();
    const text = this.#bytes.toString('utf8', address + 4, address + 4 + length);
    this.#texts[id] = text;
    return text;
  }

  textByteLength(id: number): number {
    return this.load(this.load(this.#symbolAddress(id)));
  }

  /** The id of a string, or 0. */
  findSymbol(text: string): number {
    const wanted = Buffer.from(text, 'utf8');
    let hash = (0x811c9dc5 ^ wanted.length) >>> 0;
    for (const byte of wanted) hash = Math.imul(hash ^ byte, 0x01000193);
    hash = (hash ^ (hash >>> 15)) >>> 0;
    const table = this.load(ROOT.symbolTable);
    const mask = this.load(table);
    for (let k = (hash & mask) >>> 0; ; k = (k + 1) & mask) {
      const id = this.load(table + 4 + k * 4);
      if (id === 0) return 0;
      if (id === TOMBSTONE) continue;
      const symbol = this.#symbolAddress(id);
      if (this.load(symbol + 4) !== hash) continue;
      const address = this.load(symbol);
      const length = this.load(address);
      if (length !== wanted.length) continue;
      if (address + 4 + length > this.#byteLength) this.#grow();
      if (wanted.equals(this.#bytes.subarray(address + 4, address + 4 + length))) return id;
    }
  }

  // Label names and pairs

  /** Calls back for every label name that has series: symbol id, first pair id, number of pairs. */
  eachName(visit: (symbol: number, firstPair: number, pairCount: number) => void): void {
    for (let record = this.load(ROOT.firstName); record !== 0; record = this.load(record + 12)) {
      const pairCount = this.load(record + 8);
      if (pairCount > 0) visit(this.load(record), this.load(record + 4), pairCount);
    }
  }

  /** The record of a label name (see layout.ts), or 0. */
  nameRecord(symbol: number): number {
    return symbol === 0 ? 0 : this.load(this.#symbolAddress(symbol) + 8);
  }

  firstPairOfName(record: number): number {
    return this.load(record + 4);
  }

  pairCountOfName(record: number): number {
    return this.load(record + 8);
  }

  #pairAddress(id: number): number {
    return this.#fixed(PAIR_DIR + ((id >>> PAGE_BITS) << 2)) + (id & PAGE_MASK) * PAIR_BYTES;
  }

  pairName(id: number): number {
    return this.#fixed(this.#pairAddress(id));
  }

  pairValue(id: number): number {
    return this.#fixed(this.#pairAddress(id) + 4);
  }

  /**
   * Writes the symbol ids (name, value) of a label list to `out` from `at` on and returns the new end. The caller has
   * made room for twice `labelCount(labels)`.
   */
  labelSymbolsInto(labels: number, out: Uint32Array, at: number): number {
    const count = this.#fixed(labels);
    if (labels + 4 + count * 4 > this.#byteLength) this.#grow();
    let words = this.#words;
    for (let i = 0; i < count; i++) {
      const pair = words[((labels + 4) >>> 2) + i]!;
      const page = words[(PAIR_DIR >>> 2) + (pair >>> PAGE_BITS)]!;
      const address = page + (pair & PAGE_MASK) * PAIR_BYTES;
      if (address >= this.#byteLength) {
        this.#grow();
        words = this.#words;
      }
      out[at++] = words[address >>> 2]!;
      out[at++] = words[(address >>> 2) + 1]!;
    }
    return at;
  }

  /** Number of labels in a label list. */
  labelCount(labels: number): number {
    return this.#fixed(labels);
  }

  nextPair(id: number): number {
    return this.load(this.#pairAddress(id) + 8);
  }

  /** Series of a pair; dead ones that were not swept yet included. */
  pairSeriesCount(id: number): number {
    return this.load(this.#pairAddress(id) + 12);
  }

  /** The pair of a name and a value, or 0. */
  findPair(name: number, value: number): number {
    let hash = (Math.imul(value, 0x9e3779b1) + Math.imul(name, 0x85ebca77)) >>> 0;
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0;
    hash = (hash ^ (hash >>> 13)) >>> 0;
    const table = this.load(ROOT.pairTable);
    const mask = this.load(table);
    for (let k = (hash & mask) >>> 0; ; k = (k + 1) & mask) {
      const id = this.load(table + 4 + k * 4);
      if (id === 0) return 0;
      if (id === TOMBSTONE) continue;
      const pair = this.#pairAddress(id);
      if (this.load(pair + 4) === value && this.load(pair) === name) return id;
    }
  }

  /** Appends the postings of a pair to `out` from `at` on, as far as there is room; returns the new end. */
  postingsInto(pair: number, out: Uint32Array, at: number): number {
    const postings = this.load(this.#pairAddress(pair) + 16);
    if (postings === 0) return at;
    if ((postings & 1) !== 0) {
      if (at < out.length) out[at++] = postings >>> 1;
      return at;
    }
    for (let block = postings; block !== 0; block = this.load(block)) {
      const count = Math.min(this.load(block + 4), out.length - at);
      if (block + 16 + count * 4 > this.#byteLength) this.#grow();
      const words = this.#words;
      const from = (block + 16) >>> 2;
      for (let i = 0; i < count; i++) out[at + i] = words[from + i]!;
      at += count;
    }
    return at;
  }

  // Series

  /** Address of a series record, or 0 when its page is gone. */
  seriesAddress(ref: number): number {
    const page = this.#fixed(SERIES_DIR + (ref >>> PAGE_BITS) * 4);
    return page === 0 ? 0 : page + (ref & PAGE_MASK) * SERIES_BYTES;
  }

  /**
   * Brings what a select will read of a run of series into the processor's cache: records and, for those with chunks,
   * chunks as far back as a time. Series by series, each read would have to wait for the one before, pointer by pointer;
   * here the reads of one kind are made for all series, and wait together.
   * @param refs ascending
   * @returns a number without meaning, so that no read is left out
   */
  touchSeries(refs: Uint32Array, from: number, to: number, withChunks: boolean, minTimeMs: number): number {
    if (to - from > this.chunks.length) this.chunks = new Uint32Array(to - from);
    const { chunks } = this;
    const words = this.#words;
    let count = 0;
    let sum = 0;
    let page = -1;
    let pageWord = 0;
    for (let i = from; i < to; i++) {
      const ref = refs[i]!;
      if (ref >>> PAGE_BITS !== page) {
        page = ref >>> PAGE_BITS;
        pageWord = this.#fixed(SERIES_DIR + page * 4) >>> 2;
      }
      if (pageWord === 0) continue;
      // Undefined beyond what of a grown memory is known: such series are not prepared.
      chunks[count++] = words[pageWord + (((ref & PAGE_MASK) * SERIES_BYTES) >>> 2) + 5] ?? 0;
    }
    if (!withChunks) return chunks[0]!;
    while (count > 0) {
      let left = 0;
      for (let i = 0; i < count; i++) sum += words[chunks[i]! >>> 2] ?? 0;
      for (let i = 0; i < count; i++) {
        const chunk = chunks[i]!;
        if (chunk === 0 || chunk + CHUNK_LARGEST_BYTES > this.#byteLength) continue;
        const at = chunk >>> 2;
        const end = (chunk + CHUNK_PAYLOAD + (words[at + 1]! & 0xffff)) >>> 2;
        for (let line = at + 16; line < end; line += 16) sum += words[line]!;
        if (this.chunkMinTime(chunk) > minTimeMs) chunks[left++] = words[at]!;
      }
      count = left;
    }
    return sum;
  }

  /** Address of the label list of a series (u32 count, pair ids by label name), or 0 when it is dead. */
  seriesLabels(series: number): number {
    return this.load(series + 16);
  }

  /** Whether the log may still name this ref: a live series, or one that stands for it. */
  isKnown(ref: number): boolean {
    for (let hops = 0; hops < 64; hops++) {
      if (ref <= 0 || ref >= this.seriesLimit) return false;
      const series = this.seriesAddress(ref);
      if (series === 0) return false;
      if (this.seriesLabels(series) !== 0) return true;
      if (this.load(series + 60) !== FLAG_FORWARD) return false;
      ref = this.newestChunk(series);
    }
    return false;
  }

  newestChunk(series: number): number {
    return this.load(series + 20);
  }

  /** Time of the newest in-order sample, ms; -2^63 before the first. For the thread that writes. */
  lastTimeMs(series: number): number {
    return (this.load(series + 28) | 0) * 2 ** 32 + this.load(series + 24);
  }

  /** Whether the newest in-order sample is a histogram. For the thread that writes. */
  endsInHistogram(series: number): boolean {
    return (this.load(series + 60) & FLAG_HISTOGRAM) !== 0;
  }

  /** Whether the newest chunk takes no more samples. For the thread that writes. */
  isSealed(series: number): boolean {
    return (this.load(series + 60) & FLAG_SEALED) !== 0;
  }

  /**
   * Reads the newest in-order sample of a series from its record: its value bits are in `valueLow` and `valueHigh` then.
   * @returns its time, or NaN when the series has no sample in order or a newer one is just taking its place
   */
  newestSample(series: number): number {
    if (series + SERIES_BYTES > this.#byteLength) this.#grow();
    const words = this.#words;
    const at = series >>> 2;
    if (Atomics.load(words, at + 5) === 0) return Number.NaN;
    // The writer marks the record, stores time and value, and takes the mark away; we read the other way round. No mark:
    // the sample of this time was complete. The same time again: the next one's value was not there yet.
    const timeLow = Atomics.load(words, at + 6);
    const timeHigh = Atomics.load(words, at + 7);
    if (Atomics.load(words, at + 11) >= SERIES_BUSY) return Number.NaN;
    this.valueLow = Atomics.load(words, at + 8);
    this.valueHigh = Atomics.load(words, at + 9);
    if (Atomics.load(words, at + 6) !== timeLow || Atomics.load(words, at + 7) !== timeHigh)
      return Number.NaN;
    return (timeHigh | 0) * 2 ** 32 + timeLow;
  }

  newestLateChunk(series: number): number {
    return this.load(series + 52);
  }

  // Chunks

  olderChunk(chunk: number): number {
    return this.#fixed(chunk);
  }

  /** Samples of a chunk at this moment; to be read before anything else of it. */
  chunkSampleCount(chunk: number): number {
    return this.load(chunk + 20);
  }

  chunkByteLength(chunk: number): number {
    const word = this.#fixed(chunk + 4);
    return isLong((word >>> 16) & 0xff) ? this.#fixed(chunk + CHUNK_LONG_BYTES) : word & 0xffff;
  }

  chunkKind(chunk: number): number {
    return (this.#fixed(chunk + 4) >>> 16) & 0xff;
  }

  /** The CHUNK_ENCODING of the payload; not for raw chunks. */
  chunkEncoding(chunk: number): number {
    const kind = this.chunkKind(chunk);
    if (!isLong(kind)) return CHUNK_ENCODING.xor;
    return kind === CHUNK_KIND_HISTOGRAM ? CHUNK_ENCODING.histogram : CHUNK_ENCODING.floatHistogram;
  }

  #payloadAt(chunk: number): number {
    return chunk + (isLong(this.chunkKind(chunk)) ? CHUNK_LONG_PAYLOAD : CHUNK_PAYLOAD);
  }

  isMarked(chunk: number): boolean {
    return ((this.#fixed(chunk + 4) >>> 16) & CHUNK_MARKED) !== 0;
  }

  chunkMinTime(chunk: number): number {
    return (this.#fixed(chunk + 12) | 0) * 2 ** 32 + this.#fixed(chunk + 8);
  }

  /** Time of the last sample; may already include a sample that the count read earlier does not. */
  chunkMaxTime(chunk: number): number {
    return this.chunkMinTime(chunk) + this.load(chunk + 16);
  }

  /**
   * Copies the payload of a chunk to a 4-byte aligned address of another memory, given as words and as bytes; the sample
   * count is filled in.
   */
  copyPayload(
    chunk: number,
    sampleCount: number,
    byteLength: number,
    targetWords: Uint32Array,
    targetBytes: Uint8Array,
    address: number,
  ): void {
    const from = this.#payloadAt(chunk);
    if (from + byteLength + 8 > this.#byteLength) this.#grow();
    const words = this.#words;
    const start = from >>> 2;
    const to = address >>> 2;
    const count = (byteLength + 3) >>> 2;
    for (let i = 0; i < count; i++) targetWords[to + i] = words[start + i]!;
    targetBytes[address] = sampleCount >>> 8;
    targetBytes[address + 1] = sampleCount & 0xff;
  }

  /** A copy of the payload of a chunk. */
  payload(chunk: number, sampleCount: number): Uint8Array {
    const length = this.chunkByteLength(chunk);
    const from = this.#payloadAt(chunk);
    if (from + length > this.#byteLength) this.#grow();
    const copy = new Uint8Array(length);
    copy.set(this.#bytes.subarray(from, from + length));
    if (this.chunkKind(chunk) !== CHUNK_KIND_RAW) {
      copy[0] = sampleCount >>> 8;
      copy[1] = sampleCount & 0xff;
    }
    return copy;
  }

  /** The samples of a raw (late) chunk into columns; returns the number of samples. */
  rawInto(
    chunk: number,
    sampleCount: number,
    timestamps: Float64Array,
    valueWords: Uint32Array,
    at: number,
  ): void {
    const from = chunk + CHUNK_PAYLOAD;
    if (from + sampleCount * 16 > this.#byteLength) this.#grow();
    const words = this.#words;
    for (let i = 0; i < sampleCount; i++) {
      const entry = (from >>> 2) + i * 4;
      timestamps[at + i] = (words[entry + 1]! | 0) * 2 ** 32 + words[entry]!;
      valueWords[(at + i) * 2] = words[entry + 2]!;
      valueWords[(at + i) * 2 + 1] = words[entry + 3]!;
    }
  }
}
