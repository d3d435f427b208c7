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
import { type IndexReader, intersectPostings, SeriesEntry, unitePostings } from '../index/index.js';
import type { BlockView, QueriedBlock } from './block-view.js';
import type { CopiedChunks } from './chunk-reader.js';
import { type DeletionMask, masksOfBlock } from './masks.js';
import { type MatchedPostings, matchSteps, RemainingTest } from './match.js';
import { SeriesColumns } from './series-columns.js';
import { TombstoneCutter } from './tombstone-cutter.js';
import { addInterval, type Interval } from './tombstones.js';

/** Series visited between two looks at whether somebody still waits: a millisecond or two. */
const POLL_SERIES = 2048;

/** Below this many series their labels are read rather than every value's postings. */
const SERIES_SCAN_MAX = 4096;
/** Series loaded at a time: some ten megabytes of a distant index. */
const SERIES_BATCH = 64 * 1024;
/** The same when a limit may end it early. */
const SERIES_BATCH_LIMITED = 1024;

/** A chunk in the place of another. */
export interface ConvertedChunk {
  readonly encoding: number;
  readonly data: Uint8Array;
  /** Times of the first and last sample, ms. */
  readonly minTime: number;
  readonly maxTime: number;
}

/**
 * Puts another chunk in the place of each that a select found, as one aggregate in the place of all of a downsampled
 * block; null leaves it out. The data given is read during the call, and the result may be a part of it.
 */
export type ChunkConversion = (
  encoding: number,
  data: Uint8Array,
  minTime: number,
  maxTime: number,
) => ConvertedChunk | null;

/** How a block is shown to a query. */
export interface BlockQueryOptions {
  /** Hide samples as the block's own tombstones do. Label names and values without matchers show neither. */
  readonly masks?: readonly DeletionMask[];
  /** Absent: chunks are shown as they are, and those that the engine can't read are an error. */
  readonly convert?: ChunkConversion;
}

/** A mask that asks about each label value once. */
interface PreparedMask {
  readonly tests: readonly RemainingTest[];
  readonly interval: Interval;
}

/**
 * Answers queries from one block. Series come in label order; symbol ids are those of the block's index. Chunks are
 * selected by their bounds, so samples outside the hinted range may come along; deleted samples never do.
 *
 * Evaluates synchronously, and reads files so: it belongs on query threads, not on the one that takes requests.
 */
export class BlockQueryable implements Queryable {
  readonly #block: QueriedBlock;
  readonly #masks: readonly DeletionMask[];
  readonly #convert: ChunkConversion | null;
  readonly #cutter: TombstoneCutter;
  #plain: PlainChunkWriter | null;

  constructor(block: QueriedBlock, options: BlockQueryOptions = {}) {
    this.#block = block;
    this.#masks = masksOfBlock(options.masks ?? [], block.meta);
    this.#convert = options.convert ?? null;
    this.#cutter = new TombstoneCutter();
    this.#plain = null;
  }

  async select(matchers: readonly Matcher[], hints: SelectHints, arena: ChunkArena): Promise<SeriesSet> {
    const view = this.#block.view();
    const { index, loader } = view;
    const columns = new SeriesColumns();
    /** Spans to cut out of chunks, by number of the chunk. */
    const cuts = new Map<number, readonly Interval[]>();
    if (this.#overlaps(hints.minTimeMs, hints.maxTimeMs)) {
      const { refs, remaining } = await matchIn(view, matchers);
      const masks = this.#prepareMasks(view);
      const entry = new SeriesEntry();
      const limit = hints.limit > 0 ? hints.limit : Number.POSITIVE_INFINITY;
      const batch = batchFor(hints.limit);
      for (let i = 0; i < refs.length && columns.seriesCount < limit; i++) {
        if (loader !== null && i % batch === 0) await loader.series(refs.subarray(i, i + batch));
        const ref = refs[i]!;
        index.series(ref, entry);
        if (!remaining.every((test) => test.accepts(entry))) continue;
        const stones = stonesOf(view, masks, ref, entry);
        const chunkCount = columns.chunkCount;
        const isFound = addChunks(columns, entry, hints, stones, cuts);
        if (hints.withoutChunks) columns.chunkCount = chunkCount;
        if (isFound) columns.addSeries(entry.labels, entry.labelCount);
      }
    }
    let copied = await view.copyChunks(columns.chunkRefs, columns.chunkCount, arena);
    if (this.#convert !== null) copied = convertChunks(this.#convert, columns, copied, cuts, arena);
    this.#makePlain(copied, arena);
    if (!hints.withoutChunks) {
      for (const [chunk, intervals] of cuts) this.#cutter.cut(copied, chunk, intervals, arena);
    }
    return columns.finish(index.symbols, copied);
  }

  async labelNames(query: LabelQuery): Promise<string[]> {
    if (!this.#overlaps(query.minTimeMs, query.maxTimeMs)) return [];
    const view = this.#block.view();
    const { index } = view;
    if (query.matcherSets.length === 0) return limited(index.labelNames(), query.limit);
    const ids = new Set<number>();
    await this.#forEachSeries(view, await matchEach(view, query), query, (entry) => {
      for (let i = 0; i < entry.labelCount * 2; i += 2) ids.add(entry.labels[i]!);
      return true;
    });
    return textsOf(index, ids, query.limit);
  }

  async labelValues(name: string, query: LabelQuery): Promise<string[]> {
    if (!this.#overlaps(query.minTimeMs, query.maxTimeMs)) return [];
    const view = this.#block.view();
    const { index, loader } = view;
    if (query.matcherSets.length === 0) return limited(index.labelValues(name).values, query.limit);
    const nameId = index.symbols.find(name);
    if (nameId < 0 || index.postingsTable.valueCount(name) === 0) return [];
    const selected = await matchEach(view, query);
    const isExact = selected.every((set) => set.remaining.length === 0);
    const refs = unitePostings(selected.map((set) => set.refs));
    if (isExact && refs.length > Math.max(SERIES_SCAN_MAX, index.postingsTable.valueCount(name) * 8)) {
      const { values, offsets } = index.labelValues(name);
      if (loader !== null && values.length > 0) {
        await loader.postings([{ offset: offsets[0]!, end: offsets[values.length]! }]);
      }
      const found: string[] = [];
      for (let i = 0; i < values.length; i++) {
        if (intersectPostings(index.postingsAt(offsets[i]!), refs).length > 0) found.push(values[i]!);
        if (query.limit > 0 && found.length === query.limit) break;
      }
      return found;
    }
    const ids = new Set<number>();
    await this.#forEachSeries(view, selected, query, (entry) => {
      for (let i = 0; i < entry.labelCount * 2; i += 2) {
        if (entry.labels[i] === nameId) ids.add(entry.labels[i + 1]!);
      }
      return true;
    });
    return textsOf(index, ids, query.limit);
  }

  async series(query: LabelQuery): Promise<LabelSet[]> {
    const found: LabelSet[] = [];
    if (!this.#overlaps(query.minTimeMs, query.maxTimeMs)) return found;
    const view = this.#block.view();
    const { symbols } = view.index;
    await this.#forEachSeries(view, await matchEach(view, query), query, (entry) => {
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

  #prepareMasks({ index }: BlockView): readonly PreparedMask[] {
    return this.#masks.map((mask) => ({
      tests: mask.matchers.map((matcher) => new RemainingTest(matcher, index)),
      interval: { minTime: mask.minTime, maxTime: mask.maxTime },
    }));
  }

  /**
   * Visits, in label order, the series that any of the selections has and that have a chunk in range which is not wholly
   * deleted, until the visitor says false.
   */
  async #forEachSeries(
    view: BlockView,
    selected: readonly MatchedPostings[],
    query: LabelQuery,
    visit: (entry: SeriesEntry) => boolean,
  ): Promise<void> {
    const { index, loader } = view;
    const masks = this.#prepareMasks(view);
    const entry = new SeriesEntry();
    const refs = unitePostings(selected.map((each) => each.refs));
    // A series that one selection has for certain needs no test of the others.
    const certain = unitePostings(
      selected.filter((each) => each.remaining.length === 0).map((each) => each.refs),
    );
    const tested = selected.filter((each) => each.remaining.length > 0);
    const cursors = new Uint32Array(tested.length + 1);
    const batch = batchFor(query.limit);
    for (let i = 0; i < refs.length; i++) {
      if (i % POLL_SERIES === POLL_SERIES - 1) query.poll?.();
      if (loader !== null && i % batch === 0) await loader.series(refs.subarray(i, i + batch));
      const ref = refs[i]!;
      index.series(ref, entry);
      let isSelected = isNext(certain, cursors, tested.length, ref);
      for (let s = 0; s < tested.length; s++) {
        const { refs: candidates, remaining } = tested[s]!;
        if (!isNext(candidates, cursors, s, ref) || isSelected) continue;
        isSelected = remaining.every((test) => test.accepts(entry));
      }
      if (!isSelected) continue;
      const stones = stonesOf(view, masks, ref, entry);
      if (hasChunkIn(entry, query.minTimeMs, query.maxTimeMs, stones) && !visit(entry)) return;
    }
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

/** Replaces the chunks of a select; columns and cuts are brought into line. */
function convertChunks(
  convert: ChunkConversion,
  columns: SeriesColumns,
  copied: CopiedChunks,
  cuts: Map<number, readonly Interval[]>,
  arena: ChunkArena,
): CopiedChunks {
  const { addresses, byteLengths, encodings } = copied;
  const { chunkOffsets, chunkMinTimes, chunkMaxTimes } = columns;
  let kept = 0;
  let from = 0;
  for (let series = 0; series < columns.seriesCount; series++) {
    const to = chunkOffsets[series + 1]!;
    for (let i = from; i < to; i++) {
      const source = arena.bytes().subarray(addresses[i]!, addresses[i]! + byteLengths[i]!);
      const chunk = convert(encodings[i]!, source, chunkMinTimes[i]!, chunkMaxTimes[i]!);
      const intervals = cuts.get(i);
      cuts.delete(i);
      if (chunk === null) continue;
      const address = arena.reserve(chunk.data.length);
      arena.bytes().set(chunk.data, address);
      addresses[kept] = address;
      byteLengths[kept] = chunk.data.length;
      encodings[kept] = chunk.encoding;
      chunkMinTimes[kept] = chunk.minTime;
      chunkMaxTimes[kept] = chunk.maxTime;
      // Never above the number of the chunk at hand, so none that is still to come is overwritten.
      if (intervals !== undefined) cuts.set(kept, intervals);
      kept++;
    }
    chunkOffsets[series + 1] = kept;
    from = to;
  }
  columns.chunkCount = kept;
  return {
    addresses: addresses.subarray(0, kept),
    byteLengths: byteLengths.subarray(0, kept),
    encodings: encodings.subarray(0, kept),
  };
}

/** The postings that matchers select, all that they need loaded on the way. */
async function matchIn(view: BlockView, matchers: readonly Matcher[]): Promise<MatchedPostings> {
  const { index, loader } = view;
  const steps = matchSteps(index, matchers, loader?.seriesBytes ?? 0);
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value;
    if (loader !== null && step.value.length > 0) await loader.postings(step.value);
  }
}

async function matchEach(view: BlockView, query: LabelQuery): Promise<readonly MatchedPostings[]> {
  const selected: MatchedPostings[] = [];
  for (const matchers of query.matcherSets.length === 0 ? [[]] : query.matcherSets) {
    selected.push(await matchIn(view, matchers));
  }
  return selected;
}

function batchFor(limit: number): number {
  return limit > 0 && limit < SERIES_BATCH ? Math.max(limit, SERIES_BATCH_LIMITED) : SERIES_BATCH;
}

/** Whether an ascending list has a ref, asked in ascending order; `cursors[at]` remembers how far it was walked. */
function isNext(list: Uint32Array, cursors: Uint32Array, at: number, ref: number): boolean {
  let cursor = cursors[at]!;
  while (cursor < list.length && list[cursor]! < ref) cursor++;
  cursors[at] = cursor;
  return list[cursor] === ref;
}

/** Deleted spans of a series: the block's own and those of masks. */
function stonesOf(
  view: BlockView,
  masks: readonly PreparedMask[],
  ref: number,
  entry: SeriesEntry,
): readonly Interval[] | undefined {
  let stones = view.tombstones.get(ref);
  for (const { tests, interval } of masks) {
    if (tests.every((test) => test.accepts(entry))) stones = addInterval(stones ?? [], interval);
  }
  return stones;
}

/** Symbol ids are in byte order, so sorting them sorts the strings. */
function textsOf(index: IndexReader, ids: ReadonlySet<number>, limit: number): string[] {
  const sorted = Uint32Array.from(ids).sort();
  const wanted = limit > 0 ? sorted.subarray(0, limit) : sorted;
  return Array.from(wanted, (id) => index.symbols.text(id));
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

function hasChunkIn(
  entry: SeriesEntry,
  minTimeMs: number,
  maxTimeMs: number,
  stones: readonly Interval[] | undefined,
): boolean {
  for (let i = 0; i < entry.chunkCount; i++) {
    const minTime = entry.chunkMinTimes[i]!;
    const maxTime = entry.chunkMaxTimes[i]!;
    if (minTime > maxTimeMs || maxTime < minTimeMs) continue;
    // What of the chunk was asked for.
    const from = Math.max(minTime, minTimeMs);
    const to = Math.min(maxTime, maxTimeMs);
    if (!stones?.some((stone) => stone.minTime <= from && stone.maxTime >= to)) return true;
  }
  return false;
}

function limited(texts: readonly string[], limit: number): string[] {
  return limit > 0 ? texts.slice(0, limit) : [...texts];
}
