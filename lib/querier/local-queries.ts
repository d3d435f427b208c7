import { LRUCache } from 'lru-cache';
import type { Matcher } from '../matcher/index.js';
import { mergeQueryables, type Queryable } from '../storage/index.js';
import { HeadReader, SelectionCache } from '../tsdb/head/index.js';
import { TaskExecutor } from './executor.js';
import { makeEngine, makeLanguage } from './promql.js';
import { smallSelectors } from './small-queries.js';
import type { SourceDescriptor, SourceSnapshot } from './sources.js';
import type { QueryTask, QueryWorkerData, TaskAnswer } from './task.js';
import { warmUp } from './warm-up.js';

type Request = (QueryTask & { readonly kind: 'query' })['request'];

/** Longer texts are left to the query threads. */
const TEXT_MAX = 300;
/** Steps of a query without a selector. */
const CONSTANT_STEPS_MAX = 500;
/** Series that the selectors of a query may find, at most. */
const SERIES_MAX = 128;
/** Values of one node: series by steps. */
const ELEMENTS_MAX = 16_384;
/** Series by seconds, which bounds the samples to decode: a few milliseconds of work at a sample every second. */
const SERIES_SECONDS_MAX = 400_000;
const TEXTS_KEPT = 500;
const HEADS_KEPT = 50;
const SELECTION_BYTES_MAX = 4 * 1024 * 1024;
/** The main thread's time for warming up, spent a millisecond at a time. */
const WARM_UP_MS = 1500;

/**
 * The next piece of a text that selects no series: numbers, operators, and calls of functions without a selector. Names
 * count as functions only before a parenthesis, as `time` alone is a metric. Piece by piece, as one expression for the
 * whole text would try all ways to divide a long number.
 */
const CONSTANT_PIECE =
  /[\s+\-*/%^(),<>=!]+|\d[\w.]*|\.\d+|(?:[iI][nN][fF]|[nN][aA][nN]|bool)\b|(?:time|pi|vector|scalar)\s*\(/y;

function selectsNothing(text: string): boolean {
  CONSTANT_PIECE.lastIndex = 0;
  while (CONSTANT_PIECE.lastIndex < text.length) if (!CONSTANT_PIECE.test(text)) return false;
  return true;
}

/**
 * Queries that are answered where they arrive, on the main thread: constants, and those that certainly read little, of
 * one head. Waking a query thread and being woken by it costs some 100 microseconds, more than evaluating them, and more
 * of the main thread's own time.
 */
export class LocalQueries {
  readonly #worker: QueryWorkerData;
  readonly #texts = new LRUCache<string, { readonly selectors: (readonly Matcher[])[] | null }>({
    max: TEXTS_KEPT,
  });
  readonly #heads = new LRUCache<string, HeadReader>({ max: HEADS_KEPT });
  readonly #selections = new SelectionCache(SELECTION_BYTES_MAX);
  #executor: TaskExecutor | null = null;
  #isBusy = false;

  constructor(worker: QueryWorkerData) {
    this.#worker = worker;
  }

  /** Whether a query needs no source and may be run now. */
  takesConstant({ query, startMs, endMs, stepMs }: Request): boolean {
    if (this.#isBusy || query.length > TEXT_MAX || !selectsNothing(query)) return false;
    return stepsOf(startMs, endMs, stepMs) <= CONSTANT_STEPS_MAX;
  }

  /** Whether a query over a snapshot of sources may be run now, while the snapshot is held. */
  takes(
    { query, startMs, endMs, stepMs }: Request,
    window: { readonly minTimeMs: number; readonly maxTimeMs: number },
    { sources, attachments }: SourceSnapshot,
  ): boolean {
    const source = sources[0];
    if (this.#isBusy || query.length > TEXT_MAX || sources.length !== 1 || source?.kind !== 'head')
      return false;
    // What is hidden is left to the threads.
    const isTouched = source.masks?.some(
      (mask) => mask.minTimeMs <= window.maxTimeMs && mask.maxTimeMs >= window.minTimeMs,
    );
    if (isTouched) return false;
    const steps = stepsOf(startMs, endMs, stepMs);
    const seconds = (window.maxTimeMs - window.minTimeMs) / 1000;
    const seriesMax = Math.min(SERIES_MAX, ELEMENTS_MAX / steps, SERIES_SECONDS_MAX / Math.max(1, seconds));
    if (seriesMax < 1) return false;
    let known = this.#texts.get(query);
    if (known === undefined) {
      known = { selectors: smallSelectors(query, this.#worker.engine.parser) };
      this.#texts.set(query, known);
    }
    if (known.selectors === null) return false;
    const memory = attachments.find(({ key }) => key === source.memoryKey)?.value;
    if (!(memory instanceof WebAssembly.Memory)) return false;
    let reader = this.#heads.get(source.memoryKey);
    if (reader === undefined) {
      reader = new HeadReader(memory, this.#selections);
      this.#heads.set(source.memoryKey, reader);
    }
    reader.begin();
    let series = 0;
    for (const matchers of known.selectors) {
      series += reader.seriesAtMost(matchers);
      if (series > seriesMax) return false;
    }
    return true;
  }

  /** Runs a query that was taken. */
  async run(task: QueryTask, timeoutMs: number): Promise<TaskAnswer> {
    this.#isBusy = true;
    try {
      // Made when it is first needed: a process that only takes writes does not need it.
      this.#executor ??= this.#makeExecutor();
      const deadlineMs = performance.now() + timeoutMs;
      return await this.#executor.execute(task, { isCancelled: () => false, deadlineMs, queuedMs: 0 });
    } finally {
      this.#isBusy = false;
    }
  }

  #makeExecutor(): TaskExecutor {
    const engine = makeEngine(this.#worker.engine);
    const language = makeLanguage(this.#worker.engine.parser);
    const open = async (sources: readonly SourceDescriptor[]): Promise<Queryable> =>
      mergeQueryables(sources.flatMap((source) => (source.kind === 'head' ? this.#readerOf(source) : [])));
    // After the first one there are going to be more. What fails here fails in them too, and is told there.
    setImmediate(() => warmUp(engine, language, () => this.#isBusy, WARM_UP_MS).catch(() => {}));
    return new TaskExecutor(engine, language, { open });
  }

  #readerOf({ memoryKey }: { readonly memoryKey: string }): HeadReader[] {
    const reader = this.#heads.get(memoryKey);
    return reader === undefined ? [] : [reader];
  }
}

function stepsOf(startMs: number, endMs: number, stepMs: number): number {
  return stepMs === 0 ? 1 : Math.floor((endMs - startMs) / stepMs) + 1;
}
