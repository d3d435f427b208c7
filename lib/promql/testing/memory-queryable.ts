import { compareLabelSets, type LabelSet, labelValue } from '../../labels/index.js';
import type { Matcher } from '../../matcher/index.js';
import {
  CHUNK_ENCODING,
  type ChunkArena,
  type LabelQuery,
  type Queryable,
  type SelectHints,
  type SeriesSet,
  type Symbols,
} from '../../storage/index.js';
import { encodeXorChunk } from './xor-encode.js';

const CHUNK_SAMPLES = 120;

export interface Chunk {
  readonly bytes: Uint8Array;
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly encoding: number;
}

interface Series {
  readonly labels: LabelSet;
  readonly ids: Uint32Array;
  readonly chunks: Chunk[];
}

class SymbolTable implements Symbols {
  private readonly texts: string[] = [];
  private readonly ids = new Map<string, number>();

  text(id: number): string {
    return this.texts[id]!;
  }

  find(text: string): number {
    return this.ids.get(text) ?? -1;
  }

  add(text: string): number {
    const known = this.ids.get(text);
    if (known !== undefined) return known;
    this.ids.set(text, this.texts.length);
    this.texts.push(text);
    return this.texts.length - 1;
  }
}

/** Series in memory, in order of creation, for tests and benches of the engine. */
export class MemoryQueryable implements Queryable {
  private readonly symbols = new SymbolTable();
  private readonly byKey = new Map<string, Series>();

  /** Forgets everything; ids of strings stay. */
  clear(): void {
    this.byKey.clear();
  }

  get seriesCount(): number {
    return this.byKey.size;
  }

  private seriesOf(labels: LabelSet): Series {
    const key = JSON.stringify(labels);
    let series = this.byKey.get(key);
    if (series === undefined) {
      const ids = labels.flatMap(({ name, value }) => [this.symbols.add(name), this.symbols.add(value)]);
      series = { labels, ids: Uint32Array.from(ids), chunks: [] };
      this.byKey.set(key, series);
    }
    return series;
  }

  /** Adds float samples in time order, as chunks of 120. */
  append(labels: LabelSet, timestampsMs: Float64Array, values: Float64Array): void {
    this.appendChunks(labels, encodeChunks(timestampsMs, values));
  }

  /** Adds chunks made by `encodeChunks`, which many series may share. */
  appendChunks(labels: LabelSet, chunks: readonly Chunk[]): void {
    this.seriesOf(labels).chunks.push(...chunks);
  }

  select(matchers: readonly Matcher[], hints: SelectHints, arena: ChunkArena): Promise<SeriesSet> {
    const { minTimeMs, maxTimeMs } = hints;
    const touches = (chunk: Chunk): boolean => chunk.maxTimeMs >= minTimeMs && chunk.minTimeMs <= maxTimeMs;
    const found: Series[] = [];
    let labelCount = 0;
    const chunks: Chunk[] = [];
    const chunkOffsets = [0];
    for (const series of this.byKey.values()) {
      if (!matchers.every((matcher) => matcher.matches(labelValue(series.labels, matcher.name)))) continue;
      const first = series.chunks.findIndex(touches);
      if (first < 0) continue;
      found.push(series);
      labelCount += series.ids.length;
      for (const chunk of series.chunks) if (touches(chunk)) chunks.push(chunk);
      chunkOffsets.push(chunks.length);
    }
    const labelOffsets = new Uint32Array(found.length + 1);
    const labels = new Uint32Array(labelCount);
    found.forEach((series, i) => {
      labels.set(series.ids, labelOffsets[i]!);
      labelOffsets[i + 1] = labelOffsets[i]! + series.ids.length;
    });
    return Promise.resolve({
      symbols: this.symbols,
      seriesCount: found.length,
      labelOffsets,
      labels,
      chunkOffsets: Uint32Array.from(chunkOffsets),
      chunkAddresses: copyChunks(chunks, arena),
      chunkByteLengths: Uint32Array.from(chunks, (chunk) => chunk.bytes.length),
      chunkMinTimes: Float64Array.from(chunks, (chunk) => chunk.minTimeMs),
      chunkMaxTimes: Float64Array.from(chunks, (chunk) => chunk.maxTimeMs),
      chunkEncodings: Uint8Array.from(chunks, (chunk) => chunk.encoding),
      warnings: [],
    });
  }

  async labelNames(query: LabelQuery): Promise<string[]> {
    const sets = await this.series(query);
    return [...new Set(sets.flatMap((set) => set.map((label) => label.name)))].sort();
  }

  async labelValues(name: string, query: LabelQuery): Promise<string[]> {
    const sets = await this.series(query);
    return [...new Set(sets.map((set) => labelValue(set, name)).filter((value) => value !== ''))].sort();
  }

  series(query: LabelQuery): Promise<LabelSet[]> {
    const sets = [...this.byKey.values()].map((series) => series.labels);
    const matching = sets.filter(
      (set) =>
        query.matcherSets.length === 0 ||
        query.matcherSets.some((matchers) => matchers.every((m) => m.matches(labelValue(set, m.name)))),
    );
    return Promise.resolve(matching.sort(compareLabelSets));
  }
}

/** Copies chunks into one reservation; every chunk has readable bytes behind it. */
function copyChunks(chunks: readonly Chunk[], arena: ChunkArena): Uint32Array {
  const addresses = new Uint32Array(chunks.length);
  let total = 0;
  for (const chunk of chunks) total += chunk.bytes.length;
  const base = arena.reserve(total);
  const bytes = arena.bytes();
  let at = base;
  chunks.forEach((chunk, i) => {
    bytes.set(chunk.bytes, at);
    addresses[i] = at;
    at += chunk.bytes.length;
  });
  return addresses;
}

/** Encodes samples in time order as chunks of 120. */
export function encodeChunks(timestampsMs: Float64Array, values: Float64Array): Chunk[] {
  const chunks: Chunk[] = [];
  for (let from = 0; from < values.length; from += CHUNK_SAMPLES) {
    const to = Math.min(values.length, from + CHUNK_SAMPLES);
    chunks.push({
      bytes: encodeXorChunk(timestampsMs, values, from, to),
      minTimeMs: timestampsMs[from]!,
      maxTimeMs: timestampsMs[to - 1]!,
      encoding: CHUNK_ENCODING.xor,
    });
  }
  return chunks;
}
