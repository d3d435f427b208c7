import { rmSync } from 'node:fs';
import { writeBe32 } from './byte-writer.js';
import { crc32c } from './crc.js';
import { FileSink } from './file-sink.js';
import { PairTable } from './pair-table.js';

/** Marks the last pair of a series in the spill. */
const LAST_PAIR = 0x8000_0000;
const NOT_IN_BATCH = 0xffff_ffff;
const SPILL_WORDS = 256 * 1024;
/** Postings inverted at a time: 64 MiB. */
const BATCH_POSTINGS_MAX = 16 * 1024 * 1024;

/**
 * Collects which series have which label pairs and writes the postings sections.
 *
 * Series arrive in ref order, so the lists come out sorted when they are filled in the order of arrival. What arrives
 * is a stream of pair numbers, four bytes per label; it goes to a scratch file and is read back once per batch of
 * lists that fit into 64 MiB. Held in memory are the distinct pairs and one ref per series.
 */
export class PostingsWriter {
  readonly pairs: PairTable;
  seriesCount: number;
  /** Refs in file byte order, so that lists are written without another pass. */
  #refs: Uint32Array;
  readonly #spillPath: string;
  #spill: FileSink | null;
  readonly #words: Uint32Array;
  #wordCount: number;
  readonly #batchPostingsMax: number;

  constructor(spillPath: string, batchPostingsMax: number = BATCH_POSTINGS_MAX) {
    this.pairs = new PairTable();
    this.seriesCount = 0;
    this.#refs = new Uint32Array(4096);
    this.#spillPath = spillPath;
    this.#spill = null;
    this.#words = new Uint32Array(SPILL_WORDS);
    this.#wordCount = 0;
    this.#batchPostingsMax = batchPostingsMax;
  }

  /** Notes a series with at least one label; refs ascend. */
  add(ref: number, labels: Uint32Array, labelCount: number): void {
    if (this.seriesCount === this.#refs.length) {
      const grown = new Uint32Array(this.#refs.length * 2);
      grown.set(this.#refs);
      this.#refs = grown;
    }
    this.#refs[this.seriesCount++] = swap32(ref);
    if (this.#wordCount + labelCount > SPILL_WORDS) this.#spillOut();
    if (labelCount > SPILL_WORDS)
      throw new RangeError(`a series with ${labelCount} labels cannot be indexed`);
    let at = this.#wordCount;
    for (let i = 0; i < labelCount; i++) {
      this.#words[at++] = this.pairs.add(labels[2 * i]!, labels[2 * i + 1]!);
    }
    this.#words[at - 1]! |= LAST_PAIR;
    this.#wordCount = at;
  }

  /**
   * Writes all lists, the one of all series first, then by ascending pair.
   * @returns the pairs in that order and the offsets of their lists.
   */
  write(sink: FileSink): { order: Uint32Array; offsets: Float64Array; allOffset: number } {
    const pairs = this.pairs;
    const order = pairs.sorted();
    const offsets = new Float64Array(order.length);
    const allOffset = writeList(sink, this.#refs, 0, this.seriesCount);
    const next = new Uint32Array(pairs.count).fill(NOT_IN_BATCH);
    let first = 0;
    while (first < order.length) {
      let total = 0;
      let end = first;
      while (end < order.length) {
        const count = pairs.seriesCounts[order[end]!]!;
        if (total > 0 && total + count > this.#batchPostingsMax) break;
        next[order[end]!] = total;
        total += count;
        end++;
      }
      const lists = new Uint32Array(total);
      this.#fill(lists, next);
      let at = 0;
      for (let i = first; i < end; i++) {
        const pair = order[i]!;
        const count = pairs.seriesCounts[pair]!;
        offsets[i] = writeList(sink, lists, at, count);
        at += count;
        next[pair] = NOT_IN_BATCH;
      }
      first = end;
    }
    return { order, offsets, allOffset };
  }

  /** Removes the scratch file. */
  close(): void {
    this.#spill?.close();
    this.#spill = null;
    rmSync(this.#spillPath, { force: true });
  }

  #spillOut(): void {
    this.#spill ??= new FileSink(this.#spillPath, 4096);
    this.#spill.write(bytesOf(this.#words, 0, this.#wordCount));
    this.#wordCount = 0;
  }

  #fill(lists: Uint32Array, next: Uint32Array): void {
    let series = 0;
    const spill = this.#spill;
    if (spill !== null) {
      const words = new Uint32Array(SPILL_WORDS);
      const total = spill.position;
      for (let offset = 0; offset < total; offset += words.byteLength) {
        const count = spill.readBack(bytesOf(words, 0, Math.min(SPILL_WORDS, (total - offset) / 4)), offset);
        series = distribute(words, count / 4, series, this.#refs, lists, next);
      }
    }
    distribute(this.#words, this.#wordCount, series, this.#refs, lists, next);
  }
}

/** Appends the refs of consecutive series to the lists of their pairs; returns the number of the next series. */
function distribute(
  words: Uint32Array,
  wordCount: number,
  firstSeries: number,
  refs: Uint32Array,
  lists: Uint32Array,
  next: Uint32Array,
): number {
  let series = firstSeries;
  for (let i = 0; i < wordCount; i++) {
    const word = words[i]!;
    const pair = word & 0x7fff_ffff;
    const at = next[pair]!;
    if (at !== NOT_IN_BATCH) {
      lists[at] = refs[series]!;
      next[pair] = at + 1;
    }
    if (word >= LAST_PAIR) series++;
  }
  return series;
}

function writeList(sink: FileSink, refs: Uint32Array, start: number, count: number): number {
  sink.align(4);
  const offset = sink.position;
  const head = new Uint8Array(8);
  writeBe32(head, 0, 4 + 4 * count);
  writeBe32(head, 4, count);
  const body = bytesOf(refs, start, count);
  const crc = crc32c(body, 0, body.length, crc32c(head, 4, 8));
  sink.write(head);
  sink.write(body);
  writeBe32(head, 0, crc);
  sink.write(head.subarray(0, 4));
  return offset;
}

function bytesOf(words: Uint32Array, start: number, count: number): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset + start * 4, count * 4);
}

function swap32(value: number): number {
  return ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}
