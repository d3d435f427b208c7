import { VarveError } from '../../errors/index.js';
import type { LabelSet } from '../../labels/index.js';
import type { Matcher } from '../../matcher/index.js';
import {
  CHUNK_ENCODING,
  type ChunkArena,
  type LabelQuery,
  type Queryable,
  type SelectHints,
  type SeriesSet,
} from '../../storage/index.js';
import { ENCODING, PlainChunkWriter } from '../chunk/index.js';
import { intersectPostings, SeriesEntry, unitePostings } from '../index/index.js';
import type { BlockReader } from './block-reader.js';
import type { CopiedChunks } from './chunk-reader.js';
import { matchPostings } from './match.js';
import { SeriesColumns } from './series-columns.js';
import { TombstoneCutter } from './tombstone-cutter.js';
import type { Interval } from './tombstones.js';

/** Series visited between two looks at whether somebody still waits: a millisecond or two. */
const POLL_SERIES = 2048;

/** Below this many series their labels are read rather than every value's postings. */
const SERIES_SCAN_MAX = 4096;

/**
 * Answers queries from one block. Series come in label order; symbol ids are those of the block's index. Chunks are
 * selected by their bounds, so samples outside the hinted range may come along; deleted samples never do.
 *
 * Reads files synchronously: it belongs on query threads, not on the one that takes requests.
 */
export class BlockQueryable implements Queryable {
  readonly #block: BlockReader;
  readonly #cutter: TombstoneCutter;
  #plain: PlainChunkWriter | null;

  constructor(block: BlockReader) {
    this.#block = block;
    this.#cutter = new TombstoneCutter();
    this.#plain = null;
  }

  async select(matchers: readonly Matcher[], hints: SelectHints, arena: ChunkArena): Promise<SeriesSet> {
    const { index, chunks, tombstones } = this.#block;
    const columns = new SeriesColumns();
    /** Spans to cut out of chunks, by number of the chunk. */
    const cuts = new Map<number, readonly Interval[]>();
    if (this.#overlaps(hints.minTimeMs, hints.maxTimeMs)) {
      const { refs, remaining } = matchPostings(index, matchers);
      const entry = new SeriesEntry();
      const limit = hints.limit > 0 ? hints.limit : Number.POSITIVE_INFINITY;
      for (let i = 0; i < refs.length && columns.seriesCount < limit; i++) {
        const ref = refs[i]!;
        index.series(ref, entry);
        if (!remaining.every((test) => test.accepts(entry))) continue;
        const stones = tombstones.get(ref);
        const chunkCount = columns.chunkCount;
        const isFound = addChunks(columns, entry, hints, stones, cuts);
        if (hints.withoutChunks) columns.chunkCount = chunkCount;
        if (isFound) columns.addSeries(entry.labels, entry.labelCount);
      }
    }
    const copied = chunks.copy(columns.chunkRefs, columns.chunkCount, arena);
    this.#makePlain(copied, arena);
    if (!hints.withoutChunks) {
      for (const [chunk, intervals] of cuts) this.#cutter.cut(copied, chunk, intervals, arena);
    }
    return columns.finish(index.symbols, copied);
  }

  async labelNames(query: LabelQuery): Promise<string[]> {
    if (!this.#overlaps(query.minTimeMs, query.maxTimeMs)) return [];
    const { index } = this.#block;
    if (query.matcherSets.length === 0) return limited(index.labelNames(), query.limit);
    const ids = new Set<number>();
    this.#forEachSeries(query, (entry) => {
      for (let i = 0; i < entry.labelCount * 2; i += 2) ids.add(entry.labels[i]!);
      return true;
    });
    return this.#textsOf(ids, query.limit);
  }

  async labelValues(name: string, query: LabelQuery): Promise<string[]> {
    if (!this.#overlaps(query.minTimeMs, query.maxTimeMs)) return [];
    const { index } = this.#block;
    if (query.matcherSets.length === 0) return limited(index.labelValues(name).values, query.limit);
    const nameId = index.symbols.find(name);
    if (nameId < 0 || index.postingsTable.valueCount(name) === 0) return [];
    const selected = query.matcherSets.map((matchers) => matchPostings(index, matchers));
    const isExact = selected.every((set) => set.remaining.length === 0);
    const refs = unitePostings(selected.map((set) => set.refs));
    if (isExact && refs.length > Math.max(SERIES_SCAN_MAX, index.postingsTable.valueCount(name) * 8)) {
      const { values, offsets } = index.labelValues(name);
      const found: string[] = [];
      for (let i = 0; i < values.length; i++) {
        if (intersectPostings(index.postingsAt(offsets[i]!), refs).length > 0) found.push(values[i]!);
        if (query.limit > 0 && found.length === query.limit) break;
      }
      return found;
    }
    const ids = new Set<number>();
    this.#forEachSeries(query, (entry) => {
      for (let i = 0; i < entry.labelCount * 2; i += 2) {
        if (entry.labels[i] === nameId) ids.add(entry.labels[i + 1]!);
      }
      return true;
    });
    return this.#textsOf(ids, query.limit);
  }

  async series(query: LabelQuery): Promise<LabelSet[]> {
    const { symbols } = this.#block.index;
    const found: LabelSet[] = [];
    if (!this.#overlaps(query.minTimeMs, query.maxTimeMs)) return found;
    this.#forEachSeries(query, (entry) => {
      const labels = [];
      for (let i = 0; i < entry.labelCount * 2; i += 2) {
        labels.push({ name: symbols.text(entry.labels[i]!), value: symbols.text(entry.labels[i + 1]!) });
      }
      found.push(labels);
      return query.limit === 0 || found.length < query.limit;
    });
    return found;
  }

  #overlaps(minTimeMs: number, maxTimeMs: number): boolean {
    const { minTime, maxTime } = this.#block.meta;
    return minTimeMs < maxTime && maxTimeMs >= minTime;
  }

  /** Visits, in label order, the series of any matcher set with a chunk in range, until the visitor says false. */
  #forEachSeries(query: LabelQuery, visit: (entry: SeriesEntry) => boolean): void {
    const { index } = this.#block;
    const sets = query.matcherSets.length === 0 ? [[]] : query.matcherSets;
    const entry = new SeriesEntry();
    const lists = sets.map((matchers) => {
      const { refs, remaining } = matchPostings(index, matchers);
      if (remaining.length === 0) return refs;
      return refs.filter((ref) => {
        index.series(ref, entry);
        return remaining.every((test) => test.accepts(entry));
      });
    });
    let visited = 0;
    for (const ref of unitePostings(lists)) {
      if (++visited % POLL_SERIES === 0) query.poll?.();
      index.series(ref, entry);
      if (hasChunkIn(entry, query.minTimeMs, query.maxTimeMs) && !visit(entry)) return;
    }
  }

  /** Symbol ids are in byte order, so sorting them sorts the strings. */
  #textsOf(ids: ReadonlySet<number>, limit: number): string[] {
    const sorted = Uint32Array.from(ids).sort();
    const wanted = limit > 0 ? sorted.subarray(0, limit) : sorted;
    return Array.from(wanted, (id) => this.#block.index.symbols.text(id));
  }

  /** Replaces chunks with start times by those that the engine reads, and refuses what it can't. */
  #makePlain(copied: CopiedChunks, arena: ChunkArena): void {
    const { encodings, addresses, byteLengths } = copied;
    for (let i = 0; i < encodings.length; i++) {
      const encoding = encodings[i]!;
      if (encoding >= CHUNK_ENCODING.xor && encoding <= CHUNK_ENCODING.floatHistogram) continue;
      if (encoding < ENCODING.xor2 || encoding > ENCODING.floatHistogramSt) throw this.#unreadable(encoding);
      this.#plain ??= new PlainChunkWriter();
      const source = arena.bytes().subarray(addresses[i]!, addresses[i]! + byteLengths[i]!);
      const plain = this.#plain.write(encoding, source);
      const address = arena.reserve(plain.data.length);
      arena.bytes().set(plain.data, address);
      encodings[i] = plain.encoding;
      addresses[i] = address;
      byteLengths[i] = plain.data.length;
    }
  }

  #unreadable(encoding: number): VarveError {
    const isAggregate = encoding === ENCODING.aggregate;
    const what = isAggregate ? 'downsampled (aggregate) chunks' : `chunks of encoding ${encoding}`;
    return new VarveError(
      'unavailable',
      'chunk-encoding-unsupported',
      `block ${this.#block.meta.ulid} holds ${what}, which cannot be queried`,
      { details: { block: this.#block.meta.ulid, encoding } },
    );
  }
}

/** Adds the chunks of a series that touch the range and are not wholly deleted; says whether there are any. */
function addChunks(
  columns: SeriesColumns,
  entry: SeriesEntry,
  hints: SelectHints,
  stones: readonly Interval[] | undefined,
  cuts: Map<number, readonly Interval[]>,
): boolean {
  let isFound = false;
  for (let i = 0; i < entry.chunkCount; i++) {
    const minTime = entry.chunkMinTimes[i]!;
    const maxTime = entry.chunkMaxTimes[i]!;
    if (minTime > hints.maxTimeMs) break;
    if (maxTime < hints.minTimeMs) continue;
    if (stones !== undefined) {
      const hit = stones.filter((stone) => stone.minTime <= maxTime && stone.maxTime >= minTime);
      if (hit.some((stone) => stone.minTime <= minTime && stone.maxTime >= maxTime)) continue;
      if (hit.length > 0) cuts.set(columns.chunkCount, hit);
    }
    columns.addChunk(entry.chunkRefs[i]!, minTime, maxTime);
    isFound = true;
  }
  return isFound;
}

function hasChunkIn(entry: SeriesEntry, minTimeMs: number, maxTimeMs: number): boolean {
  for (let i = 0; i < entry.chunkCount; i++) {
    if (entry.chunkMinTimes[i]! <= maxTimeMs && entry.chunkMaxTimes[i]! >= minTimeMs) return true;
  }
  return false;
}

function limited(texts: readonly string[], limit: number): string[] {
  return limit > 0 ? texts.slice(0, limit) : [...texts];
}
