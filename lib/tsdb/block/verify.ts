import { CorruptionError } from '../../errors/index.js';
import { compareBytes, type IndexReader, SeriesEntry } from '../index/index.js';
import { BlockReader } from './block-reader.js';
import { SEGMENT_HEADER_BYTES, SEGMENT_SCALE } from './chunk-format.js';
import { ChunkTimes } from './chunk-times.js';
import type { BlockMeta } from './meta.js';

/** What a whole block was found to hold. */
export interface VerifiedBlock {
  readonly meta: BlockMeta;
  readonly seriesCount: number;
  readonly chunkCount: number;
  readonly sampleCount: number;
  readonly symbolCount: number;
  readonly postingsListCount: number;
}

/**
 * Reads everything of a block: all checksums, the order of symbols, series, labels, chunks and postings, that every
 * reference leads somewhere, that postings and series agree, that chunks decode and lie in the times the index
 * gives, and that the counts are those of meta.json.
 * @throws CorruptionError at the first thing that is wrong.
 */
export function verifyBlock(directory: string): VerifiedBlock {
  const block = BlockReader.open(directory);
  try {
    return new BlockVerifier(block).run();
  } finally {
    block.close();
  }
}

class BlockVerifier {
  readonly #block: BlockReader;
  readonly #index: IndexReader;
  readonly #times: ChunkTimes;
  /** Series counted per label pair, to compare with the postings: "name id, value id" as one number. */
  readonly #pairCounts: Map<number, number>;
  #chunkCount: number;
  #sampleCount: number;
  #chunkEnd: number;

  constructor(block: BlockReader) {
    this.#block = block;
    this.#index = block.index;
    this.#times = new ChunkTimes();
    this.#pairCounts = new Map();
    this.#chunkCount = 0;
    this.#sampleCount = 0;
    this.#chunkEnd = 0;
  }

  run(): VerifiedBlock {
    const index = this.#index;
    this.#checkSymbols();
    const all = index.allPostings();
    this.#checkAllSeries(all);
    this.#checkPostings(all);
    for (const ref of this.#block.tombstones.keys()) {
      if (!includes(all, ref))
        this.#fail('tombstone-ref', `tombstone of series ref ${ref}, which does not exist`);
    }
    const stats = this.#block.meta.stats;
    this.#compare('numSeries', stats.numSeries ?? 0, all.length);
    this.#compare('numChunks', stats.numChunks ?? 0, this.#chunkCount);
    this.#compare('numSamples', stats.numSamples ?? 0, this.#sampleCount);
    return {
      meta: this.#block.meta,
      seriesCount: all.length,
      chunkCount: this.#chunkCount,
      sampleCount: this.#sampleCount,
      symbolCount: index.symbols.count,
      postingsListCount: index.postingsTable.entryCount,
    };
  }

  #checkSymbols(): void {
    const symbols = this.#index.symbols;
    for (let id = 1; id < symbols.count; id++) {
      if (compareBytes(symbols.bytes(id - 1), symbols.bytes(id)) >= 0) {
        this.#fail(
          'symbol-order',
          `symbol ${id} (${JSON.stringify(symbols.text(id))}) is not above the one before`,
        );
      }
    }
  }

  #checkAllSeries(all: Uint32Array): void {
    let entry = new SeriesEntry();
    let before = new SeriesEntry();
    for (const ref of all) {
      this.#index.series(ref, entry);
      this.#checkLabels(ref, entry, before);
      this.#checkChunks(ref, entry);
      [entry, before] = [before, entry];
    }
  }

  #checkLabels(ref: number, entry: SeriesEntry, before: SeriesEntry): void {
    const symbols = this.#index.symbols;
    if (entry.labelCount === 0) this.#fail('series-labels', `series ${ref} has no labels`);
    let order = before.labelCount === 0 ? 1 : 0;
    for (let i = 0; i < entry.labelCount * 2; i++) {
      const id = entry.labels[i]!;
      if (id >= symbols.count) this.#fail('symbol-unknown', `series ${ref} refers to symbol ${id}`);
      if (i % 2 === 0 && i > 0 && id <= entry.labels[i - 2]!) {
        this.#fail('series-labels', `label names of series ${ref} are out of order`);
      }
      if (i % 2 === 1) {
        if (id === 0 && symbols.bytes(0).length === 0)
          this.#fail('series-labels', `series ${ref} has an empty value`);
        const pair = entry.labels[i - 1]! * symbols.count + id;
        this.#pairCounts.set(pair, (this.#pairCounts.get(pair) ?? 0) + 1);
      }
      if (order === 0) order = i < before.labelCount * 2 ? id - before.labels[i]! : 1;
    }
    if (order <= 0) this.#fail('series-order', `series ${ref} is not above the one before`);
  }

  #checkChunks(ref: number, entry: SeriesEntry): void {
    const { meta, chunks } = this.#block;
    if (entry.chunkCount === 0) this.#fail('series-chunks', `series ${ref} has no chunks`);
    for (let i = 0; i < entry.chunkCount; i++) {
      const minTime = entry.chunkMinTimes[i]!;
      const maxTime = entry.chunkMaxTimes[i]!;
      const chunkRef = entry.chunkRefs[i]!;
      if (minTime < meta.minTime || maxTime >= meta.maxTime) {
        this.#fail(
          'chunk-time',
          `chunk ${i} of series ${ref} (${minTime}..${maxTime}) leaves the block's time range`,
        );
      }
      if (i > 0 && minTime <= entry.chunkMaxTimes[i - 1]!) {
        this.#fail('chunk-order', `chunk ${i} of series ${ref} overlaps the one before`);
      }
      const isAdjacent = chunkRef === this.#chunkEnd || chunkRef % SEGMENT_SCALE === SEGMENT_HEADER_BYTES;
      if (chunkRef < this.#chunkEnd)
        this.#fail('chunk-order', `chunk ${i} of series ${ref} lies before its predecessor`);
      if (!isAdjacent) this.#fail('chunk-gap', `bytes before chunk ${i} of series ${ref} belong to nothing`);
      const { encoding, data, end } = chunks.read(chunkRef);
      this.#chunkEnd = end;
      this.#chunkCount++;
      this.#sampleCount += this.#checkSamples(ref, i, encoding, data, minTime, maxTime);
    }
  }

  #checkSamples(
    ref: number,
    chunk: number,
    encoding: number,
    data: Uint8Array,
    minTime: number,
    maxTime: number,
  ): number {
    const timestamps = this.#times.read(encoding, data);
    const count = timestamps.length;
    if (count === 0) this.#fail('chunk-empty', `chunk ${chunk} of series ${ref} has no samples`);
    for (let i = 1; i < count; i++) {
      if (timestamps[i]! <= timestamps[i - 1]!) {
        this.#fail(
          'sample-order',
          `sample ${i} of chunk ${chunk} of series ${ref} is not after the one before`,
        );
      }
    }
    if (timestamps[0] !== minTime || timestamps[count - 1] !== maxTime) {
      this.#fail(
        'chunk-time',
        `chunk ${chunk} of series ${ref} spans ${timestamps[0]}..${timestamps[count - 1]}, the index says ${minTime}..${maxTime}`,
      );
    }
    return count;
  }

  /** Every pair of the table lists exactly as many existing series as have it, and every pair has its list. */
  #checkPostings(all: Uint32Array): void {
    const index = this.#index;
    let pairCount = 0;
    const isMember = membership(all);
    for (const name of index.labelNames()) {
      const nameId = index.symbols.find(name);
      const { values, offsets } = index.postingsTable.values(name);
      for (let i = 0; i < values.length; i++) {
        const postings = index.postingsAt(offsets[i]!);
        const pair = nameId * index.symbols.count + index.symbols.find(values[i]!);
        const expected = this.#pairCounts.get(pair) ?? 0;
        if (postings.length !== expected || !postings.every(isMember)) {
          this.#fail(
            'postings-mismatch',
            `postings of ${name}=${JSON.stringify(values[i])} have ${postings.length} series, ${expected} carry it`,
          );
        }
        pairCount++;
      }
    }
    if (pairCount !== this.#pairCounts.size) {
      this.#fail('postings-missing', `${this.#pairCounts.size} label pairs have ${pairCount} postings lists`);
    }
  }

  #compare(what: string, expected: number, found: number): void {
    if (expected !== found)
      this.#fail('block-stats', `meta.json says ${what} ${expected}, the block has ${found}`);
  }

  #fail(code: string, message: string): never {
    throw new CorruptionError(code, `${this.#block.directory}: ${message}`, {
      details: { file: this.#block.directory },
    });
  }
}

/** A test for refs of a sorted list: one bit per possible ref. */
function membership(refs: Uint32Array): (ref: number) => boolean {
  const bits = new Uint32Array(Math.ceil(((refs.at(-1) ?? 0) + 1) / 32));
  for (const ref of refs) bits[ref >>> 5]! |= 1 << (ref & 31);
  return (ref) => ((bits[ref >>> 5] ?? 0) & (1 << (ref & 31))) !== 0;
}

function includes(sorted: Uint32Array, ref: number): boolean {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < ref) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === ref;
}
