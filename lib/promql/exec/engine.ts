import type { FloatHistogram } from '../../histogram/index.js';
import type { LabelSet } from '../../labels/index.js';
import type { Queryable } from '../../storage/index.js';
import type { ParserOptions } from '../parse/index.js';

/** A query as it reaches the engine. An instant query has `startMs === endMs` and `stepMs === 0`. */
export interface QueryRequest {
  readonly query: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
  readonly lookbackMs: number;
  /** Truncate the result to this many series with a warning; 0 for no limit. */
  readonly limit: number;
  /** Whether the statistics tell the samples of each step, which makes the query slower. Default false. */
  readonly perStepStats?: boolean;
}

export interface EngineOptions {
  readonly lookbackMs: number;
  /** Default subquery step. */
  readonly evaluationIntervalMs: number;
  readonly samplesMax: number;
  readonly memoryBytesMax: number;
  readonly parser: ParserOptions;
  /** Feature `promql-delayed-name-removal`: names are dropped at the end of the query. Default false. */
  readonly delayedNameRemoval?: boolean;
  /** Feature `type-and-unit-labels`: counters are told by their `__type__` label. Default false. */
  readonly typeAndUnitLabels?: boolean;
  /** Feature `use-start-timestamps`: counters know when they began, where chunks tell. Default false. */
  readonly startTimestamps?: boolean;
}

/**
 * A float column over the steps of the query. `present[k]` is 1 when step k has a value. Native histograms, when the
 * series holds any, stand in `histograms[k]` and have `present[k]` = 2.
 */
export interface ResultSeries {
  readonly labels: LabelSet;
  readonly values: Float64Array;
  readonly present: Uint8Array;
  /** null (or absent) when the series holds no histogram. */
  readonly histograms?: readonly (FloatHistogram | null)[] | null;
}

/**
 * The series of a result as columns, for writers: no object per series. Result i is row `rows[i]`: its labels are the
 * ids (name, value in turn) at `labels[labelOffsets[row] .. labelOffsets[row + 1])`, its steps those at `row * steps`.
 */
export interface SeriesColumns {
  readonly rows: Uint32Array;
  readonly labelOffsets: Uint32Array;
  readonly labels: Uint32Array;
  readonly steps: number;
  readonly values: Float64Array;
  /** 1 where there is a value, else 0. */
  readonly present: Uint8Array;
  /** The string of an id. */
  text(id: number): string;
  /**
   * As long as this is the same object, an id below 2^31 stands for the same string, in other results as well. null when
   * all ids are of this result alone.
   */
  readonly symbols: object | null;
}

/** One series of a matrix with its own timestamps: an instant query of a range selector or subquery. */
export interface RawSeries {
  readonly labels: LabelSet;
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  /** Where not null at i, sample i is this histogram; null (or absent) when the series holds none. */
  readonly histograms?: readonly (FloatHistogram | null)[] | null;
}

export type QueryValue =
  | { readonly type: 'scalar'; readonly timestampMs: number; readonly value: number }
  | { readonly type: 'string'; readonly timestampMs: number; readonly value: string }
  /** Instant vector: every series has one step, stamped with `timestampMs`. */
  | {
      readonly type: 'vector';
      readonly timestampMs: number;
      readonly series: readonly ResultSeries[];
      /** The same as columns; absent when there are histograms. */
      readonly columns?: SeriesColumns;
    }
  /** Range query: step k is at `startMs + k * stepMs`; series sorted by label set. */
  | {
      readonly type: 'matrix';
      readonly startMs: number;
      readonly stepMs: number;
      readonly stepCount: number;
      readonly series: readonly ResultSeries[];
      /** The same as columns; absent when there are histograms. */
      readonly columns?: SeriesColumns;
    }
  | { readonly type: 'rawMatrix'; readonly series: readonly RawSeries[] };

/** Samples read for each step: `counts[k]` at `startMs + k * stepMs`. */
export interface StepSamples {
  readonly startMs: number;
  readonly stepMs: number;
  readonly counts: Float64Array;
}

export interface QueryStats {
  readonly totalQueryableSamples: number;
  /** The same for each step; null (or absent) unless the request asked for it. */
  readonly perStep?: StepSamples | null;
  readonly peakSamples: number;
  /** Seconds. */
  readonly evalTotalTime: number;
  readonly queryPreparationTime: number;
  readonly innerEvalTime: number;
  readonly resultSortTime: number;
  readonly execTotalTime: number;
}

export interface QueryResult {
  readonly value: QueryValue;
  /** Texts as Prometheus shows them, in order of first occurrence. */
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
  readonly stats: QueryStats;
}

/**
 * Evaluates PromQL. One engine serves one thread: it owns a query kernel, runs one query at a time, selects first
 * (asynchronously) and then evaluates synchronously.
 *
 * Errors: `client`/`promql-parse` (bad_data, 400), `client`/`promql-execution` (execution, 422), `limit`/… (execution,
 * 422), `timeout`/`query-timeout` (timeout, 503), `cancelled`/`query-cancelled` (canceled, 499).
 */
export interface QueryEngine {
  /**
   * @param isCancelled polled between units of work of at most a few milliseconds; may read a shared flag
   * @param deadlineMs  monotonic clock of this thread
   */
  execute(
    request: QueryRequest,
    queryable: Queryable,
    isCancelled: () => boolean,
    deadlineMs: number,
  ): Promise<QueryResult>;
}
