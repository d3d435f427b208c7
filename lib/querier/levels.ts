import type { LabelSet } from '../labels/index.js';
import type { Matcher } from '../matcher/index.js';
import {
  type ChunkArena,
  type LabelQuery,
  mergeQueryables,
  mergeSeriesSets,
  type Queryable,
  type SelectHints,
  type SelectPlan,
  type SelectWindows,
  type SeriesSet,
  type WindowForm,
} from '../storage/index.js';
import type { BlockQueryOptions, ChunkConversion, DeletionMask } from '../tsdb/block/index.js';
import {
  aggregateFor,
  cutPlain,
  NO_SHARE,
  PlainAggregateWriter,
  type SeriesAggregate,
  sharesInLevels,
} from '../tsdb/downsample/index.js';
import { hiddenNotes, type LevelWindows, levelNotes, wantedResolution, widened } from './level-choice.js';
import { convertSet } from './level-chunks.js';
import { CounterBorders } from './level-counters.js';
import { type CoverRead, type CoverSource, LevelCover } from './level-cover.js';

/**
 * Queries over blocks of several resolutions. Each selector is read at the coarsest one that is fine enough for its
 * function, and elsewhere at what there is (docs/decisions/0012-queries-read-levels.md).
 */

/** A block of any resolution. */
export interface LevelBlock {
  readonly minTimeMs: number;
  /** Exclusive. */
  readonly maxTimeMs: number;
  /** Width of its windows, 0 when raw. */
  readonly resolutionMs: number;
  /** `compaction.sources`: tells which samples raw blocks have that a level lacks. */
  readonly sources: readonly string[];
  /**
   * External labels that tell series apart, if there are any: blocks of different groups are never read for one another.
   * Default '', that of recent samples.
   */
  readonly group?: string;
  /** Called for blocks that are read, once per select and span. */
  open(options: BlockQueryOptions): Promise<Queryable>;
}

/** Samples that no block has, as a head's. In the time of levels they are read beside these. */
export interface RecentSource {
  readonly minTimeMs: number;
  /** Inclusive. */
  readonly maxTimeMs: number;
  /** Hides deleted samples by itself. */
  readonly queryable: Queryable;
}

export interface LevelSources {
  readonly blocks: readonly LevelBlock[];
  readonly recent: readonly RecentSource[];
  /**
   * Coarsest resolution that planned selects may read, and do wherever there is one; Infinity: chosen for each selector.
   * Whoever does not plan reads raw blocks, and levels where there are none.
   */
  readonly maxResolutionMs: number;
  readonly masks: readonly DeletionMask[];
}

/** A source as the cover sees it. */
interface Source extends CoverSource {
  /** Null for recent ones. */
  readonly block: LevelBlock | null;
  readonly recent: Queryable | null;
}

/** One for all queries of a thread. */
let sharedWriter: PlainAggregateWriter | null = null;

/**
 * Joins blocks and recent samples into one source. Nothing is opened before it is read; without downsampled blocks
 * everything is as with `mergeQueryables`.
 */
export function leveledQueryable(sources: LevelSources): Queryable {
  return new LeveledQueryable(sources);
}

/** What the hints of a select bring back. */
class LevelPlan implements SelectPlan {
  readonly key: string;
  readonly func: string;
  readonly rangeMs: number;
  readonly lookbackMs: number;
  readonly form: WindowForm;
  readonly factor: number;
  readonly divisor: LevelPlan | null;
  readonly notes: readonly string[];
  readonly wantedMs: number;
  readonly aggregate: SeriesAggregate;

  constructor(
    func: string,
    aggregate: SeriesAggregate,
    wantedMs: number,
    { rangeMs, lookbackMs, form, factor }: LevelWindows,
    notes: readonly string[],
    divisor: LevelPlan | null,
  ) {
    this.key = `${wantedMs}/${aggregate}`;
    this.func = func;
    this.rangeMs = rangeMs;
    this.lookbackMs = lookbackMs;
    this.form = form;
    this.factor = factor;
    this.divisor = divisor;
    this.notes = notes;
    this.wantedMs = wantedMs;
    this.aggregate = aggregate;
  }
}

class LeveledQueryable implements Queryable {
  /** For planned selects. */
  readonly #cover: LevelCover<Source>;
  readonly #fullCover: LevelCover<Source>;
  readonly #masks: readonly DeletionMask[];
  readonly #maxResolutionMs: number;
  /** Whether there are raw blocks only. */
  readonly #isPlain: boolean;

  constructor({ blocks, recent, maxResolutionMs, masks }: LevelSources) {
    const shares = sharesInLevels(
      blocks.map(({ minTimeMs, maxTimeMs, resolutionMs, group = '', sources }, i) => ({
        ...{ ulid: `${i}`, minTime: minTimeMs, maxTime: maxTimeMs, resolution: resolutionMs, group, sources },
      })),
    );
    const all: Source[] = [
      ...recent.map(({ minTimeMs, maxTimeMs, queryable }) => ({
        ...{ minTimeMs, maxTimeMs: maxTimeMs + 1, resolutionMs: 0, group: '', share: null },
        ...{ block: null, recent: queryable },
      })),
      ...blocks.map((block, i) => ({
        ...{ minTimeMs: block.minTimeMs, maxTimeMs: block.maxTimeMs, resolutionMs: block.resolutionMs },
        ...{ group: block.group ?? '', share: shares.get(`${i}`) ?? NO_SHARE, block, recent: null },
      })),
    ];
    this.#fullCover = new LevelCover(all, Number.POSITIVE_INFINITY);
    const isLimited = blocks.some(({ resolutionMs }) => resolutionMs > maxResolutionMs);
    this.#cover = isLimited ? new LevelCover(all, maxResolutionMs) : this.#fullCover;
    this.#masks = masks;
    this.#maxResolutionMs = maxResolutionMs;
    this.#isPlain = blocks.every(({ resolutionMs }) => resolutionMs === 0);
  }

  planSelect(windows: SelectWindows): SelectPlan | null {
    const max = this.#maxResolutionMs;
    if (this.#isPlain) return null;
    const wantedMs = max === Number.POSITIVE_INFINITY ? wantedResolution(windows) : max;
    const { aggregate, func, isPerCount } = aggregateFor(windows.func);
    // Wider windows reach further back, where there may be only coarser blocks.
    for (let coarsest = 0; ; ) {
      const wide = widened(windows, coarsest);
      const { minTimeMs, maxTimeMs } = timesOf(windows, wide);
      const reads = this.#cover.reads(minTimeMs, maxTimeMs, wantedMs, aggregate !== 'counter');
      const read = reads.map(({ source }) => source.resolutionMs);
      const found = Math.max(0, ...read);
      if (found > coarsest) {
        coarsest = found;
        continue;
      }
      const hidden = hiddenNotes(this.#cover.hidden(minTimeMs, maxTimeMs), max);
      const notes = [...levelNotes(windows, read, wide), ...hidden];
      if (coarsest > 0) {
        const divisor = isPerCount
          ? new LevelPlan('sum_over_time', 'count', wantedMs, wide, notes, null)
          : null;
        return new LevelPlan(func, aggregate, wantedMs, wide, notes, divisor);
      }
      return hidden.length === 0 ? null : new LevelPlan(windows.func, aggregate, wantedMs, wide, notes, null);
    }
  }

  async select(matchers: readonly Matcher[], hints: SelectHints, arena: ChunkArena): Promise<SeriesSet> {
    const plan = hints.plan instanceof LevelPlan ? hints.plan : null;
    const aggregate = plan?.aggregate ?? unplannedAggregate(hints.func);
    const cover = plan === null ? this.#fullCover : this.#cover;
    const { minTimeMs, maxTimeMs } = hints;
    const reads = cover.reads(minTimeMs, maxTimeMs, plan?.wantedMs ?? 0, aggregate !== 'counter');
    const isLeveled = reads.some(({ source }) => source.resolutionMs > 0);
    const reader = new SelectReader(matchers, hints, isLeveled ? aggregate : null, this.#masks, arena);
    // All of them, as those that still run write to the arena.
    const settled = await Promise.allSettled(reads.map((read) => reader.read(read)));
    const sets = settled.map((outcome) => {
      if (outcome.status === 'fulfilled') return outcome.value;
      throw outcome.reason;
    });
    const merged = mergeSeriesSets(sets, arena, hints.limit);
    reader.borders?.cut(merged, arena);
    return merged;
  }

  async labelNames(query: LabelQuery): Promise<string[]> {
    return (await this.#fewest(query)).labelNames(query);
  }

  async labelValues(name: string, query: LabelQuery): Promise<string[]> {
    return (await this.#fewest(query)).labelValues(name, query);
  }

  async series(query: LabelQuery): Promise<LabelSet[]> {
    return (await this.#fewest(query)).series(query);
  }

  /** What holds all series of the times: raw blocks, and levels where there are none. */
  async #fewest({ minTimeMs, maxTimeMs }: LabelQuery): Promise<Queryable> {
    const reads = this.#fullCover.reads(minTimeMs, maxTimeMs, 0, true);
    const sources = [...new Set(reads.map(({ source }) => source))];
    const masks = this.#masks;
    const opened = await Promise.all(sources.map((source) => source.recent ?? source.block!.open({ masks })));
    return mergeQueryables(opened);
  }
}

/** The times of samples that windows look at, inclusive. */
function timesOf(
  windows: SelectWindows,
  { rangeMs, lookbackMs, form }: LevelWindows,
): { readonly minTimeMs: number; readonly maxTimeMs: number } {
  const { firstMs, stepMs, count } = windows;
  const beyond = form === 'plain' ? 0 : lookbackMs;
  const before = windows.rangeMs === 0 ? lookbackMs : rangeMs + beyond;
  const after = form === 'smoothed' ? lookbackMs : 0;
  return { minTimeMs: firstMs - before + 1, maxTimeMs: firstMs + (count - 1) * stepMs + after };
}

/** For readers that don't plan: what a series looks like, or the counter or extremes that the function hint asks for. */
function unplannedAggregate(func: string): SeriesAggregate {
  const { aggregate } = aggregateFor(func);
  return aggregate === 'sum' || aggregate === 'count' ? 'average' : aggregate;
}

/** Reads the parts of one select. */
class SelectReader {
  readonly #matchers: readonly Matcher[];
  readonly #hints: SelectHints;
  /** What to read of levels; null when only raw blocks are read. */
  readonly #aggregate: SeriesAggregate | null;
  readonly #masks: readonly DeletionMask[];
  readonly #arena: ChunkArena;
  /** Counters of levels that are cut at a place that the query sees. */
  borders: CounterBorders | null;

  constructor(
    matchers: readonly Matcher[],
    hints: SelectHints,
    aggregate: SeriesAggregate | null,
    masks: readonly DeletionMask[],
    arena: ChunkArena,
  ) {
    this.#matchers = matchers;
    this.#hints = hints;
    this.#aggregate = aggregate;
    this.#masks = masks;
    this.#arena = arena;
    this.borders = null;
  }

  async read({ source, fromMs, toMs }: CoverRead<Source>): Promise<SeriesSet> {
    const { minTimeMs, maxTimeMs } = this.#hints;
    // Samples before and behind the queried times are nobody's concern, and there are none outside of the source.
    const cut = {
      fromMs: fromMs <= Math.max(minTimeMs, source.minTimeMs) ? Number.NEGATIVE_INFINITY : fromMs,
      toMs: toMs >= Math.min(maxTimeMs + 1, source.maxTimeMs) ? Number.POSITIVE_INFINITY : toMs,
    };
    const hints = {
      ...this.#hints,
      minTimeMs: Math.max(minTimeMs, cut.fromMs),
      maxTimeMs: Math.min(maxTimeMs, cut.toMs - 1),
    };
    const isCut = cut.fromMs > Number.NEGATIVE_INFINITY || cut.toMs < Number.POSITIVE_INFINITY;
    const convert = this.#conversion(source.resolutionMs, cut.fromMs, cut.toMs, isCut);
    const { recent, block } = source;
    if (recent !== null) {
      const set = await recent.select(this.#matchers, hints, this.#arena);
      return convert === null ? set : convertSet(set, convert, this.#arena);
    }
    const masks = this.#masks;
    const queryable = await block!.open(convert === null ? { masks } : { masks, convert });
    const set = await queryable.select(this.#matchers, hints, this.#arena);
    if (isCut && source.resolutionMs > 0 && this.#aggregate === 'counter') {
      this.borders ??= new CounterBorders(writer());
      this.borders.note(set, cut);
    }
    return set;
  }

  #conversion(resolutionMs: number, fromMs: number, toMs: number, isCut: boolean): ChunkConversion | null {
    const aggregate = this.#aggregate;
    const isCounted = aggregate === 'count';
    if (resolutionMs === 0 && !isCut && !isCounted) return null;
    const plain = writer();
    // Raw samples stand for themselves.
    const wanted = aggregate ?? 'sum';
    const isBordered = isCut && resolutionMs > 0 && aggregate === 'counter';
    return (encoding, data, minTime, maxTime) => {
      // Raw chunks that are not touched stay where they are.
      if (resolutionMs === 0 && !isCounted && minTime >= fromMs && maxTime < toMs) {
        return { encoding, data, minTime, maxTime };
      }
      const chunk = plain.write(wanted, encoding, data, minTime, maxTime);
      if (chunk === null || (chunk.minTime >= fromMs && chunk.maxTime < toMs)) return chunk;
      const entry = isBordered ? plain.counterEntry(encoding, data) : null;
      return entry === null ? cutPlain(chunk, fromMs, toMs) : { ...chunk, data: entry };
    };
  }
}

function writer(): PlainAggregateWriter {
  sharedWriter ??= new PlainAggregateWriter();
  return sharedWriter;
}
