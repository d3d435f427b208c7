import type { LabelSet } from '../labels/index.js';
import type { Matcher } from '../matcher/index.js';

/**
 * The contract between whoever holds series (head, block, a peer over the network) and the query engine.
 *
 * A select answers with symbol ids and encoded chunks, never with strings and samples: labels become strings only in
 * the response, and chunks are decoded straight into the columns of the range functions. Chunk bytes are copied into
 * an arena, a region of the query kernel's own memory, so the answer stays valid until the arena is reset at the end
 * of the query, whatever the source does meanwhile.
 */

/** Chunk encoding bytes as they stand in blocks (docs/formats). */
export const CHUNK_ENCODING = {
  none: 0,
  xor: 1,
  histogram: 2,
  floatHistogram: 3,
  xor2: 4,
  histogramStartTimes: 5,
  floatHistogramStartTimes: 6,
} as const;

/** Memory for the encoded chunks of one query. Implemented by the query kernel. */
export interface ChunkArena {
  /**
   * Reserves bytes (8-byte aligned, zeroed or not) and returns their address; at least 16 readable bytes follow each
   * reservation, so decoders may over-read. Views taken earlier from `bytes()` may be stale afterwards.
   * @throws VarveError limit `query-memory-limit` when the query's budget is used up.
   */
  reserve(byteCount: number): number;
  /** The memory as bytes; valid until the next `reserve`. */
  bytes(): Uint8Array;
}

/** Resolves symbol ids of one SeriesSet. Ids are small integers, only comparable within one `Symbols`. */
export interface Symbols {
  /** The string of an id that the series set handed out. */
  text(id: number): string;
  /** The id of a string, or -1 when no series of this set can carry it. */
  find(text: string): number;
}

/**
 * What a select found, as columns. Series are in the source's order: label order when several sources were merged
 * or the source is a block, else order of creation.
 *
 * labels of series i:  pairs (name id, value id) at `labels[labelOffsets[i] .. labelOffsets[i + 1])`, sorted by
 *                      label name in byte order, `__name__` included.
 * chunks of series i:  indexes `chunkOffsets[i] .. chunkOffsets[i + 1]` of the chunk columns, by ascending mint.
 *                      Chunks of one series may overlap in time (out-of-order data, replicas): readers merge them,
 *                      and of equal timestamps the sample of the later chunk in the list is dropped.
 */
export interface SeriesSet {
  readonly symbols: Symbols;
  readonly seriesCount: number;
  readonly labelOffsets: Uint32Array;
  readonly labels: Uint32Array;
  readonly chunkOffsets: Uint32Array;
  /** Address of the chunk's data (from its 2-byte sample count on) in the arena. */
  readonly chunkAddresses: Uint32Array;
  readonly chunkByteLengths: Uint32Array;
  /** First and last sample time, inclusive, ms. They may be wider than the truth, never narrower. */
  readonly chunkMinTimes: Float64Array;
  readonly chunkMaxTimes: Float64Array;
  /** One of CHUNK_ENCODING. */
  readonly chunkEncodings: Uint8Array;
  /**
   * For the reader to keep what it works out of the labels: a source that will answer with the same label arrays and
   * symbols again gives this map with them. Absent when it will not.
   */
  readonly labelMemo?: Map<string, unknown>;
  /** Notes for the user about this answer (a missing block, a widened window). */
  readonly warnings: readonly string[];
}

/** What the engine will do with a selector, so that a source can send less. All times in ms, inclusive. */
export interface SelectHints {
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly stepMs: number;
  /** Enclosing function or aggregation name, or ''. */
  readonly func: string;
  /** Range of the selector, 0 for instant selectors. */
  readonly rangeMs: number;
  /** True when only the label sets matter (series API): no chunks are returned. */
  readonly withoutChunks: boolean;
  /** Most series to return, 0 for all. */
  readonly limit: number;
  /** True when of each series only the newest sample up to `maxTimeMs` matters: a source may leave out the others. */
  readonly newestOnly?: boolean;
  /** What `planSelect` of the same source has said about this selector; the times above follow it. */
  readonly plan?: SelectPlan;
}

/** The windows through which a query is going to look at a selector. Times in ms. */
export interface SelectWindows {
  /** Enclosing function or aggregation name, or ''. */
  readonly func: string;
  /** End of the first window: evaluation time with offset and `@`. */
  readonly firstMs: number;
  /** From one window's end to the next one's; 0 when there is one only. */
  readonly stepMs: number;
  readonly count: number;
  /** Range of the selector, 0 for instant selectors. */
  readonly rangeMs: number;
  /** How far back an instant selector looks, and the extended forms of a range beyond it. */
  readonly lookbackMs: number;
  readonly form: WindowForm;
}

/** `anchored` ranges also look at samples before them, as far as the lookback goes, `smoothed` ones at those behind, too. */
export type WindowForm = 'plain' | 'anchored' | 'smoothed';

/**
 * How to evaluate a selector whose source holds other series in the place of the one asked for: one value per window of
 * time (docs/formats/downsampled.md). The result is `func` over `rangeMs`, by that of `divisor` if there is one, times
 * `factor`.
 */
export interface SelectPlan {
  /** Equal for plans that read the same of equal matchers and times. */
  readonly key: string;
  /** The function to evaluate, mostly the given one. */
  readonly func: string;
  readonly rangeMs: number;
  readonly lookbackMs: number;
  readonly form: WindowForm;
  readonly factor: number;
  readonly divisor: SelectPlan | null;
  /** For the user: what is read, and what was changed for it. The selector's name follows. */
  readonly notes: readonly string[];
}

export interface LabelQuery {
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  /** Any of these selectors may match; empty means all series. */
  readonly matcherSets: readonly (readonly Matcher[])[];
  /** Most names or values to return, 0 for all. */
  readonly limit: number;
  /** To be called every few milliseconds of work, if given; throws when nobody waits for the answer any more. */
  readonly poll?: () => void;
}

/** A source of series for one tenant at one moment. */
export interface Queryable {
  /**
   * Says how a selector is to be evaluated, from its windows alone; null when simply as it stands. Absent where that is
   * always so. Whoever evaluates it so puts the plan into the hints of its select.
   */
  planSelect?(windows: SelectWindows): SelectPlan | null;
  /** Series that match all matchers and have (or may have) samples inside the hinted time range. */
  select(matchers: readonly Matcher[], hints: SelectHints, arena: ChunkArena): Promise<SeriesSet>;
  /** Sorted, distinct label names. */
  labelNames(query: LabelQuery): Promise<string[]>;
  /** Sorted, distinct values of one label. */
  labelValues(name: string, query: LabelQuery): Promise<string[]>;
  /** Label sets of matching series, sorted, distinct. */
  series(query: LabelQuery): Promise<LabelSet[]>;
}
