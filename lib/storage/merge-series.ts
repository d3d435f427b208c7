import { compareUtf8 } from '../labels/index.js';
import { UnitedSymbols } from './merge-symbols.js';
import type { ChunkArena, SeriesSet } from './queryable.js';

/**
 * Merges answers to one select, whose chunks lie in one arena, into one answer.
 *
 * Labels are compared as numbers: each source symbol gets one united id, decoded once, and the rank of its string.
 * Series are then sorted over all sources (sources may be unsorted) and equal neighbours joined. The chunks of a
 * joined series are ordered by first time, and of identical ones (same time, encoding and bytes, as replicas have
 * them) only the first stays. Sources given earlier come first among chunks that begin together, so their samples win.
 */
export function mergeSeriesSets(sets: readonly SeriesSet[], arena: ChunkArena, limit = 0): SeriesSet {
  const warnings = [...new Set(sets.flatMap((set) => set.warnings))];
  const filled = sets.filter((set) => set.seriesCount > 0);
  if (filled.length <= 1) {
    const only = filled[0] ?? sets[0] ?? EMPTY_SET;
    return warnings.length === only.warnings.length ? only : { ...only, warnings };
  }
  const symbols = new UnitedSymbols(filled.map((set) => set.symbols));
  const labels = filled.map((set, source) => unitedLabels(set, source, symbols));
  const ranks = symbols.ranks(compareUtf8);
  const order = sortedSeries(filled, labels, ranks);
  return new SeriesMerger(filled, labels, order, arena.bytes()).merge(symbols, warnings, limit);
}

const EMPTY_SET: SeriesSet = {
  symbols: { text: () => '', find: () => -1 },
  seriesCount: 0,
  labelOffsets: new Uint32Array(1),
  labels: new Uint32Array(0),
  chunkOffsets: new Uint32Array(1),
  chunkAddresses: new Uint32Array(0),
  chunkByteLengths: new Uint32Array(0),
  chunkMinTimes: new Float64Array(0),
  chunkMaxTimes: new Float64Array(0),
  chunkEncodings: new Uint8Array(0),
  warnings: [],
};

/** The label column of a set in united ids. */
function unitedLabels(set: SeriesSet, source: number, symbols: UnitedSymbols): Uint32Array {
  const end = set.labelOffsets[set.seriesCount]!;
  const labels = new Uint32Array(end);
  for (let i = set.labelOffsets[0]!; i < end; i++) labels[i] = symbols.unite(source, set.labels[i]!);
  return labels;
}

/** Series of all sets in label order, as pairs (set, series); equal ones in the order of the sets. */
interface SeriesOrder {
  readonly sets: Uint32Array;
  readonly series: Uint32Array;
}

function sortedSeries(
  sets: readonly SeriesSet[],
  labels: readonly Uint32Array[],
  ranks: Uint32Array,
): SeriesOrder {
  const compare = (a: Cursor, b: Cursor): number =>
    compareLabels(
      labels[a.set]!,
      sets[a.set]!.labelOffsets,
      a.series,
      labels[b.set]!,
      sets[b.set]!.labelOffsets,
      b.series,
      ranks,
    ) || a.set - b.set;
  let total = 0;
  const cursors: Cursor[] = sets.map((set, i) => {
    total += set.seriesCount;
    return { set: i, at: 0, series: 0, order: seriesOrder(set, labels[i]!, ranks) };
  });
  for (const cursor of cursors) cursor.series = cursor.order[0]!;
  const out = { sets: new Uint32Array(total), series: new Uint32Array(total) };
  // A handful of sources: the smallest head is found by looking at each.
  for (let count = 0; count < total; count++) {
    let smallest = cursors[0]!;
    for (let i = 1; i < cursors.length; i++) {
      if (compare(cursors[i]!, smallest) < 0) smallest = cursors[i]!;
    }
    out.sets[count] = smallest.set;
    out.series[count] = smallest.series;
    smallest.at++;
    if (smallest.at === smallest.order.length) cursors.splice(cursors.indexOf(smallest), 1);
    else smallest.series = smallest.order[smallest.at]!;
  }
  return out;
}

interface Cursor {
  readonly set: number;
  readonly order: Uint32Array;
  at: number;
  series: number;
}

/** The series of one set in label order; most sources are sorted already. */
function seriesOrder(set: SeriesSet, labels: Uint32Array, ranks: Uint32Array): Uint32Array {
  const offsets = set.labelOffsets;
  const order = Uint32Array.from({ length: set.seriesCount }, (_, i) => i);
  for (let i = 1; i < order.length; i++) {
    if (compareLabels(labels, offsets, i - 1, labels, offsets, i, ranks) > 0) {
      return order.sort((a, b) => compareLabels(labels, offsets, a, labels, offsets, b, ranks) || a - b);
    }
  }
  return order;
}

function compareLabels(
  aLabels: Uint32Array,
  aOffsets: Uint32Array,
  a: number,
  bLabels: Uint32Array,
  bOffsets: Uint32Array,
  b: number,
  ranks: Uint32Array,
): number {
  let i = aOffsets[a]!;
  let j = bOffsets[b]!;
  const aEnd = aOffsets[a + 1]!;
  const bEnd = bOffsets[b + 1]!;
  while (i < aEnd && j < bEnd) {
    const x = aLabels[i++]!;
    const y = bLabels[j++]!;
    if (x !== y) return ranks[x]! - ranks[y]!;
  }
  return aEnd - i - (bEnd - j);
}

/** Builds the columns of the merged answer. */
class SeriesMerger {
  readonly #sets: readonly SeriesSet[];
  readonly #setLabels: readonly Uint32Array[];
  readonly #order: SeriesOrder;
  readonly #memory: Uint8Array;
  readonly #labelOffsets: Uint32Array;
  readonly #labels: Uint32Array;
  readonly #chunkOffsets: Uint32Array;
  readonly #addresses: Uint32Array;
  readonly #byteLengths: Uint32Array;
  readonly #minTimes: Float64Array;
  readonly #maxTimes: Float64Array;
  readonly #encodings: Uint8Array;
  #chunkCount: number;

  constructor(
    sets: readonly SeriesSet[],
    setLabels: readonly Uint32Array[],
    order: SeriesOrder,
    memory: Uint8Array,
  ) {
    let labelCount = 0;
    let chunkCount = 0;
    for (const set of sets) {
      labelCount += set.labelOffsets[set.seriesCount]!;
      chunkCount += set.chunkOffsets[set.seriesCount]!;
    }
    this.#sets = sets;
    this.#setLabels = setLabels;
    this.#order = order;
    this.#memory = memory;
    this.#labelOffsets = new Uint32Array(order.sets.length + 1);
    this.#labels = new Uint32Array(labelCount);
    this.#chunkOffsets = new Uint32Array(order.sets.length + 1);
    this.#addresses = new Uint32Array(chunkCount);
    this.#byteLengths = new Uint32Array(chunkCount);
    this.#minTimes = new Float64Array(chunkCount);
    this.#maxTimes = new Float64Array(chunkCount);
    this.#encodings = new Uint8Array(chunkCount);
    this.#chunkCount = 0;
  }

  merge(symbols: UnitedSymbols, warnings: readonly string[], limit: number): SeriesSet {
    const order = this.#order;
    const total = order.sets.length;
    let count = 0;
    for (let i = 0; i < total && (limit === 0 || count < limit); ) {
      let end = i + 1;
      while (end < total && this.#isEqual(i, end)) end++;
      const first = this.#chunkCount;
      for (let j = i; j < end; j++) this.#insertChunks(order.sets[j]!, order.series[j]!, first, j > i);
      const set = this.#sets[order.sets[i]!]!;
      const series = order.series[i]!;
      const from = set.labelOffsets[series]!;
      const to = set.labelOffsets[series + 1]!;
      const at = this.#labelOffsets[count]!;
      this.#labels.set(this.#setLabels[order.sets[i]!]!.subarray(from, to), at);
      count++;
      this.#labelOffsets[count] = at + to - from;
      this.#chunkOffsets[count] = this.#chunkCount;
      i = end;
    }
    const chunkCount = this.#chunkCount;
    return {
      symbols,
      seriesCount: count,
      labelOffsets: this.#labelOffsets.subarray(0, count + 1),
      labels: this.#labels.subarray(0, this.#labelOffsets[count]!),
      chunkOffsets: this.#chunkOffsets.subarray(0, count + 1),
      chunkAddresses: this.#addresses.subarray(0, chunkCount),
      chunkByteLengths: this.#byteLengths.subarray(0, chunkCount),
      chunkMinTimes: this.#minTimes.subarray(0, chunkCount),
      chunkMaxTimes: this.#maxTimes.subarray(0, chunkCount),
      chunkEncodings: this.#encodings.subarray(0, chunkCount),
      warnings,
    };
  }

  /** Whether two series of the order have equal labels. */
  #isEqual(i: number, j: number): boolean {
    const { sets, series } = this.#order;
    const aOffsets = this.#sets[sets[i]!]!.labelOffsets;
    const bOffsets = this.#sets[sets[j]!]!.labelOffsets;
    let a = aOffsets[series[i]!]!;
    let b = bOffsets[series[j]!]!;
    const aEnd = aOffsets[series[i]! + 1]!;
    if (aEnd - a !== bOffsets[series[j]! + 1]! - b) return false;
    const aLabels = this.#setLabels[sets[i]!]!;
    const bLabels = this.#setLabels[sets[j]!]!;
    while (a < aEnd) if (aLabels[a++] !== bLabels[b++]) return false;
    return true;
  }

  /** Puts the chunks of a series among those from `first` on, which are sorted by first time. */
  #insertChunks(setIndex: number, series: number, first: number, mayRepeat: boolean): void {
    const set = this.#sets[setIndex]!;
    const end = set.chunkOffsets[series + 1]!;
    for (let chunk = set.chunkOffsets[series]!; chunk < end; chunk++) {
      const minTime = set.chunkMinTimes[chunk]!;
      let at = this.#chunkCount;
      while (at > first && this.#minTimes[at - 1]! > minTime) at--;
      if (mayRepeat && this.#isRepeated(set, chunk, at, first)) continue;
      for (let i = this.#chunkCount; i > at; i--) this.#moveChunk(i - 1, i);
      this.#addresses[at] = set.chunkAddresses[chunk]!;
      this.#byteLengths[at] = set.chunkByteLengths[chunk]!;
      this.#minTimes[at] = minTime;
      this.#maxTimes[at] = set.chunkMaxTimes[chunk]!;
      this.#encodings[at] = set.chunkEncodings[chunk]!;
      this.#chunkCount++;
    }
  }

  /** Whether one of the chunks before `at` that begin at the same time has the same bytes. */
  #isRepeated(set: SeriesSet, chunk: number, at: number, first: number): boolean {
    const minTime = set.chunkMinTimes[chunk]!;
    const length = set.chunkByteLengths[chunk]!;
    const address = set.chunkAddresses[chunk]!;
    for (let i = at - 1; i >= first && this.#minTimes[i] === minTime; i--) {
      if (this.#byteLengths[i] !== length || this.#encodings[i] !== set.chunkEncodings[chunk]) continue;
      if (isSame(this.#memory, this.#addresses[i]!, address, length)) return true;
    }
    return false;
  }

  #moveChunk(from: number, to: number): void {
    this.#addresses[to] = this.#addresses[from]!;
    this.#byteLengths[to] = this.#byteLengths[from]!;
    this.#minTimes[to] = this.#minTimes[from]!;
    this.#maxTimes[to] = this.#maxTimes[from]!;
    this.#encodings[to] = this.#encodings[from]!;
  }
}

function isSame(memory: Uint8Array, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (memory[a + i] !== memory[b + i]) return false;
  return true;
}
