import { VarveError } from '../../errors/index.js';
import type { BlockReader, Interval } from '../block/index.js';
import { compareBytes, SeriesEntry } from '../index/index.js';
import type { LoadedChunk, SeriesDownsampler } from './series-downsampler.js';

const NO_INTERVALS: readonly Interval[] = [];

/** Where one block stands in the common walk over all series in label order. */
class BlockCursor {
  readonly block: BlockReader;
  readonly entry: SeriesEntry;
  /** Labels of the series at hand in united symbol numbers. */
  labels: Uint32Array;
  ref: number;
  readonly #refs: Uint32Array;
  /** United number by the block's own; null where they are the same. */
  readonly #symbols: Uint32Array | null;
  #next: number;

  constructor(block: BlockReader, symbols: Uint32Array | null) {
    this.block = block;
    this.entry = new SeriesEntry();
    this.labels = new Uint32Array(0);
    this.ref = 0;
    this.#refs = block.index.allPostings();
    this.#symbols = symbols;
    this.#next = 0;
  }

  /** Goes to the next series; false behind the last. */
  advance(): boolean {
    if (this.#next === this.#refs.length) return false;
    this.ref = this.#refs[this.#next++]!;
    const { entry } = this;
    this.block.index.series(this.ref, entry);
    const count = entry.labelCount * 2;
    if (this.#symbols === null) this.labels = entry.labels.subarray(0, count);
    else {
      if (this.labels.length !== count) this.labels = new Uint32Array(count);
      for (let i = 0; i < count; i++) this.labels[i] = this.#symbols[entry.labels[i]!]!;
    }
    return true;
  }
}

/**
 * Walks over the series of adjacent blocks in label order: the blocks' symbols are united first, in byte order, then
 * the block whose series is lowest goes on. Memory: 4 bytes per symbol and per series of each block.
 */
export class BlockSeries {
  /** Labels of the series at hand, numbers of the united symbols. */
  labels: Uint32Array;
  readonly #cursors: BlockCursor[];
  /** Cursors on the series at hand, in the order of the blocks. */
  #current: BlockCursor[];

  /**
   * @param blocks in time order
   * @param addSymbol gets the united symbols in ascending order
   */
  constructor(blocks: readonly BlockReader[], addSymbol: (symbol: Uint8Array) => void) {
    const maps = uniteSymbols(blocks, addSymbol);
    this.labels = new Uint32Array(0);
    this.#cursors = blocks
      .map((block, i) => new BlockCursor(block, maps[i]!))
      .filter((cursor) => cursor.advance());
    this.#current = [];
  }

  /** Goes to the next series; false behind the last. */
  next(): boolean {
    for (const cursor of this.#current) {
      if (!cursor.advance()) this.#cursors.splice(this.#cursors.indexOf(cursor), 1);
    }
    this.#current = [];
    for (const cursor of this.#cursors) {
      const first = this.#current[0];
      const order = first === undefined ? 0 : compareLabels(cursor.labels, first.labels);
      if (order < 0) this.#current = [cursor];
      else if (order === 0) this.#current.push(cursor);
    }
    if (this.#current.length === 0) return false;
    this.labels = this.#current[0]!.labels;
    return true;
  }

  /** Loads the chunks of the series from all blocks. @throws VarveError unavailable `downsample-overlap` */
  load(kernel: SeriesDownsampler['kernel']): LoadedChunk[] {
    const chunks: LoadedChunk[] = [];
    for (const { block, entry, ref } of this.#current) {
      const { chunkRefs, chunkMinTimes, chunkMaxTimes, chunkCount } = entry;
      const { addresses, byteLengths, encodings } = block.chunks.copy(chunkRefs, chunkCount, kernel);
      for (let i = 0; i < chunkCount; i++) {
        const minTime = chunkMinTimes[i]!;
        const before = chunks.at(-1);
        if (before !== undefined && minTime <= before.maxTime)
          throw overlap(block, ref, minTime, before.maxTime);
        chunks.push({
          encoding: encodings[i]!,
          address: addresses[i]!,
          length: byteLengths[i]!,
          minTime,
          maxTime: chunkMaxTimes[i]!,
        });
      }
    }
    return chunks;
  }

  /** Deleted spans of the series. */
  get deleted(): readonly Interval[] {
    let all = NO_INTERVALS;
    for (const { block, ref } of this.#current) {
      const stones = block.tombstones.get(ref);
      if (stones !== undefined) all = [...all, ...stones];
    }
    return all;
  }
}

/** Hands out the union of the blocks' symbols and returns, for each block, the united number by its own. */
function uniteSymbols(
  blocks: readonly BlockReader[],
  addSymbol: (symbol: Uint8Array) => void,
): (Uint32Array | null)[] {
  const tables = blocks.map((block) => block.index.symbols);
  if (tables.length === 1) {
    for (let id = 0; id < tables[0]!.count; id++) addSymbol(tables[0]!.bytes(id));
    return [null];
  }
  const maps = tables.map((table) => new Uint32Array(table.count));
  const heads = tables.map((table) => (table.count === 0 ? null : table.bytes(0)));
  const places = tables.map(() => 0);
  for (let united = 0; ; united++) {
    let lowest: Uint8Array | null = null;
    for (const head of heads) {
      if (head !== null && (lowest === null || compareBytes(head, lowest) < 0)) lowest = head;
    }
    if (lowest === null) return maps;
    addSymbol(lowest);
    for (let i = 0; i < tables.length; i++) {
      const head = heads[i];
      if (head == null || compareBytes(head, lowest) !== 0) continue;
      const place = places[i]!;
      maps[i]![place] = united;
      places[i] = place + 1;
      heads[i] = place + 1 < tables[i]!.count ? tables[i]!.bytes(place + 1) : null;
    }
  }
}

/** Order of label sets by their numbers, names and values in turn; a prefix comes first. */
function compareLabels(a: Uint32Array, b: Uint32Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

function overlap(block: BlockReader, ref: number, minTime: number, maxTime: number): VarveError {
  return new VarveError(
    'unavailable',
    'downsample-overlap',
    `${block.directory}: a chunk of series ${ref} begins at ${minTime}, the one before ends at ${maxTime}; compact the blocks first`,
    { details: { block: block.meta.ulid, series: ref } },
  );
}
