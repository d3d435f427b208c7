import { codecKernel } from '../../kernel/index.js';
import { compareLabelSets, compareUtf8, type LabelSet } from '../../labels/index.js';
import type { Matcher } from '../../matcher/index.js';
import {
  CHUNK_ENCODING,
  type ChunkArena,
  type LabelQuery,
  polled,
  type Queryable,
  type SelectHints,
  type SeriesSet,
  type Symbols,
} from '../../storage/index.js';
import { CHUNK_KIND_RAW, HeadMemory } from './head-memory.js';
import { HeadPostings } from './head-postings.js';
import { pickLabels, type Selection, SelectionCache } from './selection-cache.js';

/** Series whose records and chunks are read ahead at once: they should fit into the second-level cache. */
const TOUCHED_SERIES = 256;
/** Chunks are gathered in slabs of this size: few reservations, little waste. */
const SLAB_BYTES = 256 * 1024;
/** Series visited between two looks at whether somebody still waits: a millisecond or two. */
const POLL_SERIES = 2048;
/** A chunk counts its samples in 16 bits, and small ones let a time range pass over what it does not need. */
const LATE_SAMPLES_PER_CHUNK = 240;
/**
 * Whether other threads see plain stores in the order in which the writer made them. Where they may not (ARM), the newest
 * sample is decoded from its chunk, whose count the writer publishes with a fence.
 */
const STORES_IN_ORDER = process.arch === 'x64' || process.arch === 'ia32';
/** A chunk of one sample whose time takes six bytes: count, time, value. */
const ONE_SAMPLE_BYTES = 16;
/** Times of which that is so, the years 1970 to 2039. */
const SIX_BYTES_MIN = 2 ** 34;
const SIX_BYTES_END = 2 ** 41;

/**
 * A head as a source of series, read from a query thread while the ingest thread goes on writing. One reader serves one
 * thread; `begin` is to be called before each query.
 */
export class HeadReader implements Queryable {
  readonly #memory: HeadMemory;
  readonly #postings: HeadPostings;
  /** A new one for every generation: whoever keeps something by id keeps it by this object. */
  #symbols: Symbols;
  readonly #selections: SelectionCache;
  readonly #number: number;
  #generation = -1;

  /** @param selections shared by all readers of a thread */
  constructor(memory: WebAssembly.Memory, selections = new SelectionCache()) {
    this.#selections = selections;
    this.#number = selections.nextReader();
    this.#memory = new HeadMemory(memory);
    this.#postings = new HeadPostings(this.#memory);
    this.#symbols = symbolsOf(this.#memory);
  }

  /** Takes note of growth and of ids that mean something else now. */
  begin(): void {
    const generation = this.#memory.begin();
    if (generation === this.#generation) return;
    this.#generation = generation;
    this.#symbols = symbolsOf(this.#memory);
    this.#postings.clear();
  }

  /** A bound on what a select finds, known at once: Infinity when no matcher names its values. */
  seriesAtMost(matchers: readonly Matcher[]): number {
    return this.#postings.seriesAtMost(matchers);
  }

  select(matchers: readonly Matcher[], hints: SelectHints, arena: ChunkArena): Promise<SeriesSet> {
    const scope = `${this.#number}/${this.#generation}/`;
    const selection = this.#selections.select(scope, matchers, this.#memory, this.#postings);
    const columns = new SeriesColumns(this.#memory, this.#symbols, arena, hints, selection);
    const count = selection.refs.length;
    const withChunks = !hints.withoutChunks && hints.newestOnly !== true;
    for (let i = 0; i < count; i++) {
      if (i % TOUCHED_SERIES === 0) {
        const to = Math.min(count, i + TOUCHED_SERIES);
        this.#memory.touchSeries(selection.refs, i, to, withChunks, hints.minTimeMs);
      }
      columns.add(i);
      if (hints.limit > 0 && columns.seriesCount >= hints.limit) break;
    }
    return Promise.resolve(columns.finish());
  }

  labelNames(query: LabelQuery): Promise<string[]> {
    const names = new Set<string>();
    if (query.matcherSets.length === 0)
      this.#memory.eachName((symbol) => names.add(this.#memory.text(symbol)));
    else {
      const seen = new Set<number>();
      this.#eachPair(query, (pair) => seen.add(this.#memory.pairName(pair)));
      for (const symbol of seen) names.add(this.#memory.text(symbol));
    }
    return Promise.resolve(limited([...names].sort(compareUtf8), query.limit));
  }

  labelValues(name: string, query: LabelQuery): Promise<string[]> {
    const memory = this.#memory;
    const values = new Set<string>();
    if (query.matcherSets.length === 0) {
      const pairs = this.#postings.pairsOf(name);
      for (const value of pairs.values) values.add(value);
    } else {
      const symbol = memory.findSymbol(name);
      const seen = new Set<number>();
      this.#eachPair(query, (pair) => {
        if (memory.pairName(pair) === symbol) seen.add(pair);
      });
      for (const pair of seen) values.add(memory.text(memory.pairValue(pair)));
    }
    return Promise.resolve(limited([...values].sort(compareUtf8), query.limit));
  }

  series(query: LabelQuery): Promise<LabelSet[]> {
    const memory = this.#memory;
    const found: LabelSet[] = [];
    const seen = new Set<number>();
    for (const matchers of query.matcherSets.length === 0 ? [[]] : query.matcherSets) {
      for (const ref of this.#postings.select(matchers)) {
        if (seen.has(ref)) continue;
        seen.add(ref);
        if (seen.size % POLL_SERIES === 0) query.poll?.();
        const labels = this.#labelsInRange(ref, query.minTimeMs, query.maxTimeMs);
        if (labels === 0) continue;
        const count = memory.load(labels);
        const set: { name: string; value: string }[] = [];
        for (let i = 0; i < count; i++) {
          const pair = memory.load(labels + 4 + i * 4);
          set.push({ name: memory.text(memory.pairName(pair)), value: memory.text(memory.pairValue(pair)) });
        }
        found.push(set);
      }
    }
    found.sort(polled(compareLabelSets, query.poll));
    return Promise.resolve(limited(found, query.limit));
  }

  /** Visits each distinct label pair of the matching series. */
  #eachPair(query: LabelQuery, visit: (pair: number) => void): void {
    const memory = this.#memory;
    const seen = new Set<number>();
    let visited = 0;
    for (const matchers of query.matcherSets) {
      for (const ref of this.#postings.select(matchers)) {
        if (++visited % POLL_SERIES === 0) query.poll?.();
        const labels = this.#labelsInRange(ref, query.minTimeMs, query.maxTimeMs);
        if (labels === 0) continue;
        const count = memory.load(labels);
        for (let i = 0; i < count; i++) {
          const pair = memory.load(labels + 4 + i * 4);
          if (seen.has(pair)) continue;
          seen.add(pair);
          visit(pair);
        }
      }
    }
  }

  /** The label list of a series that may have samples in the range, or 0. */
  #labelsInRange(ref: number, minTimeMs: number, maxTimeMs: number): number {
    const memory = this.#memory;
    const series = memory.seriesAddress(ref);
    if (series === 0) return 0;
    const labels = memory.seriesLabels(series);
    if (labels === 0) return 0;
    for (const newest of [memory.newestChunk(series), memory.newestLateChunk(series)]) {
      for (let chunk = newest; chunk !== 0; chunk = memory.olderChunk(chunk)) {
        memory.chunkSampleCount(chunk);
        if (memory.chunkMinTime(chunk) <= maxTimeMs && memory.chunkMaxTime(chunk) >= minTimeMs) return labels;
      }
    }
    return 0;
  }
}

function symbolsOf(memory: HeadMemory): Symbols {
  return { text: (id) => memory.text(id), find: (text) => memory.findSymbol(text) || -1 };
}

function limited<T>(items: T[], limit: number): T[] {
  return limit > 0 && items.length > limit ? items.slice(0, limit) : items;
}

/** Collects the answer to a select: labels as symbol ids, chunk bytes in the arena. */
class SeriesColumns {
  readonly #memory: HeadMemory;
  readonly #symbols: Symbols;
  readonly #arena: ChunkArena;
  readonly #hints: SelectHints;
  readonly #selection: Selection;
  seriesCount = 0;
  #chunkCount = 0;
  /** Which series of the selection are in the answer. */
  readonly #picks: Uint32Array;
  readonly #chunkOffsets: Uint32Array;
  #addresses: Uint32Array;
  #byteLengths: Uint32Array;
  #minTimes: Float64Array;
  #maxTimes: Float64Array;
  #encodings: Uint8Array;
  #slabAt = 0;
  #slabEnd = 0;
  #slab: Uint8Array = new Uint8Array(0);
  #slabWords: Uint32Array = new Uint32Array(0);
  #headTime = Number.NaN;
  #headLow = 0;
  #headHigh = 0;
  // Chunks of the series in hand, newest first.
  #found = new Uint32Array(16);
  readonly #lateHistograms: number[] = [];

  constructor(
    memory: HeadMemory,
    symbols: Symbols,
    arena: ChunkArena,
    hints: SelectHints,
    selection: Selection,
  ) {
    this.#memory = memory;
    this.#symbols = symbols;
    this.#arena = arena;
    this.#hints = hints;
    this.#selection = selection;
    const count = selection.refs.length;
    this.#picks = new Uint32Array(count);
    this.#chunkOffsets = new Uint32Array(count + 1);
    // One more than series: doubling from nothing would never end.
    this.#addresses = new Uint32Array(count + 1);
    this.#byteLengths = new Uint32Array(count + 1);
    this.#minTimes = new Float64Array(count + 1);
    this.#maxTimes = new Float64Array(count + 1);
    this.#encodings = new Uint8Array(count + 1);
  }

  /** Adds series `pick` of the selection if it may have samples in the time range. */
  add(pick: number): void {
    const memory = this.#memory;
    const series = memory.seriesAddress(this.#selection.refs[pick]!);
    if (series === 0 || memory.seriesLabels(series) === 0) return;
    const { minTimeMs, maxTimeMs, newestOnly, withoutChunks } = this.#hints;
    if (STORES_IN_ORDER && newestOnly === true && !withoutChunks && this.#addNewest(series)) {
      this.#end(pick);
      return;
    }
    const newest = memory.newestChunk(series);
    let found = 0;
    for (let chunk = newest; chunk !== 0; chunk = memory.olderChunk(chunk)) {
      memory.chunkSampleCount(chunk);
      if (memory.chunkMaxTime(chunk) < minTimeMs) break; // older ones end earlier still
      if (memory.chunkMinTime(chunk) > maxTimeMs) continue;
      if (found === this.#found.length) this.#found = grown(this.#found);
      this.#found[found++] = chunk;
    }
    let late = 0;
    const histograms = this.#lateHistograms;
    histograms.length = 0;
    for (let chunk = memory.newestLateChunk(series); chunk !== 0; chunk = memory.olderChunk(chunk)) {
      const count = memory.chunkSampleCount(chunk);
      if (memory.chunkMaxTime(chunk) < minTimeMs || memory.chunkMinTime(chunk) > maxTimeMs) continue;
      if (memory.chunkKind(chunk) === CHUNK_KIND_RAW) late += count;
      else histograms.push(chunk);
    }
    if (found === 0 && late === 0 && histograms.length === 0) return;
    const firstChunk = this.#chunkCount;
    if (!withoutChunks) {
      for (let i = found - 1; i >= 0; i--) this.#copyChunk(this.#found[i]!);
      if (late > 0) this.#addLate(series, late, firstChunk);
      if (histograms.length > 0) this.#addLateHistograms(firstChunk);
    }
    this.#end(pick);
  }

  #end(pick: number): void {
    this.#picks[this.seriesCount++] = pick;
    this.#chunkOffsets[this.seriesCount] = this.#chunkCount;
  }

  /** The newest sample alone, without a look at chunks; false when that does not answer the select. */
  #addNewest(series: number): boolean {
    const memory = this.#memory;
    const { minTimeMs, maxTimeMs } = this.#hints;
    // A series that lags behind the others may have late samples that are newer than its newest in-order one.
    const newest = memory.newestChunk(series);
    if (newest === 0 || memory.newestLateChunk(series) !== 0) return false;
    const time = memory.newestSample(series);
    if (Number.isNaN(time)) return this.#addNewestHistogram(newest);
    if (!(time >= minTimeMs && time <= maxTimeMs && time >= SIX_BYTES_MIN && time < SIX_BYTES_END))
      return false;
    if (time !== this.#headTime) this.#setHead(time);
    const address = this.#room(ONE_SAMPLE_BYTES);
    const words = this.#slabWords;
    const at = address >>> 2;
    words[at] = this.#headLow;
    words[at + 1] = this.#headHigh;
    words[at + 2] = swapped(memory.valueHigh);
    words[at + 3] = swapped(memory.valueLow);
    this.#addChunk(address, ONE_SAMPLE_BYTES, time, time, CHUNK_ENCODING.xor);
    return true;
  }

  /** The chunk of histograms that holds the newest sample: little to copy, and the others need not be looked at. */
  #addNewestHistogram(chunk: number): boolean {
    const memory = this.#memory;
    if (memory.chunkEncoding(chunk) === CHUNK_ENCODING.xor) return false;
    memory.chunkSampleCount(chunk);
    const time = memory.chunkMaxTime(chunk);
    if (time < this.#hints.minTimeMs || time > this.#hints.maxTimeMs) return false;
    this.#copyChunk(chunk);
    return true;
  }

  /** The first eight bytes of a chunk of one sample: count and time, which many series have in common. */
  #setHead(time: number): void {
    this.#headTime = time;
    const low = (2 * time) % 2 ** 28;
    const high = Math.floor((2 * time) / 2 ** 28);
    const byte = (n: number, shift: number) => ((n >>> shift) & 0x7f) | 0x80;
    this.#headLow = 0x100 | (byte(low, 0) << 16) | (byte(low, 7) << 24);
    this.#headHigh =
      byte(low, 14) | (byte(low, 21) << 8) | (byte(high, 0) << 16) | (((high >>> 7) & 0x7f) << 24);
  }

  #room(byteLength: number): number {
    const aligned = (byteLength + 7) & ~7;
    if (this.#slabAt + aligned > this.#slabEnd) {
      const size = Math.max(SLAB_BYTES, aligned);
      this.#slabAt = this.#arena.reserve(size);
      this.#slabEnd = this.#slabAt + size;
      this.#slab = this.#arena.bytes();
      this.#slabWords = new Uint32Array(this.#slab.buffer, 0, this.#slab.buffer.byteLength >>> 2);
    }
    const address = this.#slabAt;
    this.#slabAt += aligned;
    return address;
  }

  #addChunk(address: number, byteLength: number, minTime: number, maxTime: number, encoding: number): void {
    if (this.#chunkCount === this.#addresses.length) {
      this.#addresses = grown(this.#addresses);
      this.#byteLengths = grown(this.#byteLengths);
      this.#minTimes = grownTimes(this.#minTimes);
      this.#maxTimes = grownTimes(this.#maxTimes);
      const encodings = new Uint8Array(this.#encodings.length * 2);
      encodings.set(this.#encodings);
      this.#encodings = encodings;
    }
    const i = this.#chunkCount++;
    this.#addresses[i] = address;
    this.#byteLengths[i] = byteLength;
    this.#minTimes[i] = minTime;
    this.#maxTimes[i] = maxTime;
    this.#encodings[i] = encoding;
  }

  #copyChunk(chunk: number): void {
    const memory = this.#memory;
    // The count comes first: what it covers is complete in everything read after it.
    const count = memory.chunkSampleCount(chunk);
    const byteLength = memory.chunkByteLength(chunk);
    const address = this.#room(byteLength);
    memory.copyPayload(chunk, count, byteLength, this.#slabWords, this.#slab, address);
    this.#addChunk(
      address,
      byteLength,
      memory.chunkMinTime(chunk),
      memory.chunkMaxTime(chunk),
      memory.chunkEncoding(chunk),
    );
  }

  /** Late samples of a series become further chunks, put in their place by first time. */
  #addLate(series: number, atLeast: number, firstChunk: number): void {
    const late = collectLate(this.#memory, series, atLeast, () => true);
    const { minTimeMs, maxTimeMs } = this.#hints;
    for (let from = 0; from < late.count; from += LATE_SAMPLES_PER_CHUNK) {
      const to = Math.min(late.count, from + LATE_SAMPLES_PER_CHUNK);
      const first = late.timestamps[from]!;
      const last = late.timestamps[to - 1]!;
      if (last < minTimeMs || first > maxTimeMs) continue;
      const encoded = codecKernel().encodeXor(
        late.timestamps.subarray(from, to),
        late.values.subarray(from, to),
        to - from,
      );
      const address = this.#room(encoded.length);
      this.#slab.set(encoded, address);
      this.#addChunk(address, encoded.length, first, last, CHUNK_ENCODING.xor);
      this.#place(firstChunk);
    }
  }

  /** Late histograms are chunks already. Those stored first come first among equal times. */
  #addLateHistograms(firstChunk: number): void {
    const memory = this.#memory;
    const chunks = this.#lateHistograms.reverse();
    chunks.sort((a, b) => memory.chunkMinTime(a) - memory.chunkMinTime(b));
    for (const chunk of chunks) {
      this.#copyChunk(chunk);
      this.#place(firstChunk);
    }
  }

  /** Moves the chunk added last to its place by first time among those of its series. */
  #place(firstChunk: number): void {
    for (let i = this.#chunkCount - 1; i > firstChunk && this.#minTimes[i]! < this.#minTimes[i - 1]!; i--) {
      swap(this.#addresses, i);
      swap(this.#byteLengths, i);
      swap(this.#minTimes, i);
      swap(this.#maxTimes, i);
      swap(this.#encodings, i);
    }
  }

  finish(): SeriesSet {
    const chunks = this.#chunkCount;
    const picks = this.#picks.subarray(0, this.seriesCount);
    const { labelOffsets, labels, labelMemo } = pickLabels(this.#selection, picks);
    return {
      symbols: this.#symbols,
      seriesCount: this.seriesCount,
      labelOffsets,
      labels,
      labelMemo,
      chunkOffsets: this.#chunkOffsets.subarray(0, this.seriesCount + 1),
      chunkAddresses: this.#addresses.subarray(0, chunks),
      chunkByteLengths: this.#byteLengths.subarray(0, chunks),
      chunkMinTimes: this.#minTimes.subarray(0, chunks),
      chunkMaxTimes: this.#maxTimes.subarray(0, chunks),
      chunkEncodings: this.#encodings.subarray(0, chunks),
      warnings: [],
    };
  }
}

/**
 * The late samples of a series as columns, sorted by time, of equal times the one that came first.
 * @param take which of the chunks to read
 */
export function collectLate(
  memory: HeadMemory,
  series: number,
  atLeast: number,
  take: (chunk: number) => boolean,
): { timestamps: Float64Array; values: Float64Array; count: number } {
  const chunks: number[] = [];
  const counts: number[] = [];
  let total = 0;
  for (let chunk = memory.newestLateChunk(series); chunk !== 0; chunk = memory.olderChunk(chunk)) {
    const count = memory.chunkSampleCount(chunk);
    if (memory.chunkKind(chunk) !== CHUNK_KIND_RAW || !take(chunk)) continue;
    chunks.push(chunk);
    counts.push(count);
    total += count;
  }
  const size = Math.max(total, atLeast);
  const times = new Float64Array(size);
  const words = new Uint32Array(size * 2);
  let at = 0;
  // Oldest first: a stable sort then keeps what was stored first in front.
  for (let i = chunks.length - 1; i >= 0; i--) {
    memory.rawInto(chunks[i]!, counts[i]!, times, words, at);
    at += counts[i]!;
  }
  const order = Array.from({ length: total }, (_, i) => i).sort((a, b) => times[a]! - times[b]!);
  const timestamps = new Float64Array(total);
  const values = new Float64Array(total);
  const valueWords = new Uint32Array(values.buffer);
  let count = 0;
  for (const i of order) {
    if (count > 0 && timestamps[count - 1] === times[i]) continue;
    timestamps[count] = times[i]!;
    valueWords[count * 2] = words[i * 2]!;
    valueWords[count * 2 + 1] = words[i * 2 + 1]!;
    count++;
  }
  return { timestamps, values, count };
}

function swapped(word: number): number {
  return (word >>> 24) | ((word >>> 8) & 0xff00) | ((word << 8) & 0xff0000) | (word << 24);
}

function grown(old: Uint32Array): Uint32Array<ArrayBuffer> {
  const bigger = new Uint32Array(old.length * 2);
  bigger.set(old);
  return bigger;
}

function grownTimes(old: Float64Array): Float64Array<ArrayBuffer> {
  const bigger = new Float64Array(old.length * 2);
  bigger.set(old);
  return bigger;
}

function swap(column: Uint32Array | Float64Array | Uint8Array, i: number): void {
  const value = column[i]!;
  column[i] = column[i - 1]!;
  column[i - 1] = value;
}
