import { QueryReads } from '../blockstore/index.js';
import { VarveError } from '../errors/index.js';
import type { Matcher } from '../matcher/index.js';
import type { QueryEngine } from '../promql/exec/index.js';
import { ArrayArena, type LabelQuery, type Queryable, type SelectHints } from '../storage/index.js';
import { badData, badParameter, encodeError } from './api-error.js';
import { activeSeries, labelNamesCardinality, labelValuesCardinality } from './cardinality.js';
import { countDeleted } from './deletion-counts.js';
import { encodeLabelSets, encodeQueryResult, encodeStrings, encodeSuccess } from './encode.js';
import { federate } from './federate.js';
import { FetchLimited } from './fetch-limits.js';
import { quoteJsonHtml, stringifyHtml } from './json-bytes.js';
import { TIME_MS_MAX } from './params.js';
import { readChunks, readSamples } from './remote-read.js';
import { searchNames } from './search.js';
import type { SourceDescriptor } from './sources.js';
import type { CardinalityTask, LookupTask, QueryTask, SelectorText, TaskAnswer } from './task.js';
import { GuardedArena, type TaskControl, TaskGuard } from './task-guard.js';

/** The parts of the query language that aren't evaluation. All throw VarveError client `promql-parse`. */
export interface Language {
  /** Matchers of a selector such as `{job="a"}`. */
  parseSelector(text: string): readonly Matcher[];
  /** Matchers of every selector in a query. */
  selectors(query: string): readonly (readonly Matcher[])[];
  /** The query in Prometheus' layout. */
  format(query: string): string;
  /** The syntax tree as the parse_query endpoint shows it. */
  toTree(query: string): unknown;
}

/** Turns descriptions of sources into one that can be read. */
export interface SourceOpener {
  /**
   * @param reads counts what the task fetches, and ends it when it is over its budget or given up
   * @param maxResolutionMs coarsest downsampled level to read where there are raw samples too; Infinity to go by range
   *        and step; default 0
   */
  open(sources: readonly SourceDescriptor[], reads: QueryReads, maxResolutionMs?: number): Promise<Queryable>;
}

const TRUNCATED = 'results truncated due to limit';

/** Does the work of a query thread: one task in, JSON bytes out. Errors become answers too. */
export class TaskExecutor {
  readonly #engine: QueryEngine;
  readonly #language: Language;
  readonly #opener: SourceOpener;

  constructor(engine: QueryEngine, language: Language, opener: SourceOpener) {
    this.#engine = engine;
    this.#language = language;
    this.#opener = opener;
  }

  async execute(task: QueryTask, control: TaskControl): Promise<TaskAnswer> {
    const guard = new TaskGuard(control);
    const reads = new QueryReads({ bytesMax: fetchedBytesMax(task), check: () => guard.check() });
    const done = () => ({ reads: reads.isUntouched ? null : reads.counts });
    try {
      if (task.kind === 'query') return { ...(await this.#query(task, control, reads)), ...done() };
      return { status: 200, body: await this.#run(task, control, reads), figures: null, ...done() };
    } catch (error) {
      // A bug, not a bad query: the pool reports it with the thread's stack.
      if (!(error instanceof VarveError)) throw error;
      return { ...encodeError(error), figures: null, ...done() };
    }
  }

  async #run(
    task: Exclude<QueryTask, { kind: 'query' }>,
    control: TaskControl,
    reads: QueryReads,
  ): Promise<Uint8Array<ArrayBuffer>> {
    switch (task.kind) {
      case 'series': {
        const refuse = (text: string) => badParameter('match[]', text);
        const { query, limit, source, guard } = await this.#lookup(task, refuse, control, reads);
        const found = await source.series(query);
        return encodeLabelSets(cut(found, limit), notes(found, limit), guard);
      }
      case 'labelNames': {
        const { query, limit, source, guard } = await this.#lookup(task, badData, control, reads);
        const found = await source.labelNames(query);
        return encodeStrings(cut(found, limit), notes(found, limit), guard);
      }
      case 'labelValues': {
        const { query, limit, source, guard } = await this.#lookup(task, badData, control, reads);
        const found = await source.labelValues(task.name, query);
        return encodeStrings(cut(found, limit), notes(found, limit), guard);
      }
      case 'cardinality':
        return this.#cardinality(task, control, reads);
      case 'format':
        return encodeSuccess(quoteJsonHtml(inQuery(() => this.#language.format(task.query))));
      case 'parse':
        return encodeSuccess(stringifyHtml(inQuery(() => this.#language.toTree(task.query))));
      case 'remoteRead': {
        const { queries, budget } = task;
        const guard = new TaskGuard(control, budget.answerBytesMax);
        const source = new FetchLimited(await this.#opener.open(task.sources, reads), budget, guard);
        return task.isStreamed
          ? readChunks(source, queries, budget, guard)
          : readSamples(source, queries, budget, guard);
      }
      case 'federate': {
        const { budget, minTimeMs, maxTimeMs, format } = task;
        const matcherSets = task.selectors.map((text) => this.#parseSelector(text, badData));
        const guard = new TaskGuard(control, budget.answerBytesMax);
        const source = new FetchLimited(await this.#opener.open(task.sources, reads), budget, guard);
        return federate(source, matcherSets, minTimeMs, maxTimeMs, format, budget, guard);
      }
      case 'search': {
        const refuse = (text: string) => badParameter('match[]', text);
        const { startMs: minTimeMs, endMs: maxTimeMs } = task.search;
        const guard = new TaskGuard(control);
        const poll = () => guard.check();
        const matcherSets = task.selectors.map((text) => this.#matchersOf(text, refuse));
        const query: LabelQuery = { minTimeMs, maxTimeMs, matcherSets, limit: 0, poll };
        const source = await this.#opener.open(task.sources, reads);
        const names =
          task.label === null ? await source.labelNames(query) : await source.labelValues(task.label, query);
        return new TextEncoder().encode(JSON.stringify(searchNames(names, task.search, poll)));
      }
      case 'deletionCounts': {
        const { budget, selectors, sources } = task;
        const refuse = (text: string) => badParameter('match[]', text);
        const matcherSets = selectors.map((text) => this.#matchersOf(text, refuse));
        const guard = new TaskGuard(control, budget.answerBytesMax);
        const open = async (source: SourceDescriptor) =>
          new FetchLimited(await this.#opener.open([source], reads), budget, guard);
        const counts = await countDeleted(open, sources, matcherSets, task, budget.memoryBytesMax, guard);
        return encodeSuccess(stringifyHtml(counts));
      }
      case 'checkSelectors':
        if (task.parameter === 'match[]') for (const text of task.selectors) this.#matchersOf(text, badData);
        else {
          const refuse = (text: string) => badParameter(task.parameter, text);
          for (const text of task.selectors) this.#parseSelector(text, refuse);
        }
        return new Uint8Array(0);
      case 'selectors': {
        const selectors = this.#language
          .selectors(task.query)
          .map((matchers) => matchers.map(({ type, name, value }): SelectorText => [type, name, value]));
        return new TextEncoder().encode(JSON.stringify(selectors));
      }
    }
  }

  async #query(
    task: QueryTask & { kind: 'query' },
    control: TaskControl,
    reads: QueryReads,
  ): Promise<Omit<TaskAnswer, 'reads'>> {
    const guard = new TaskGuard(control, task.answerBytesMax);
    guard.check();
    try {
      const opened = await this.#opener.open(task.sources, reads, task.maxResolutionMs);
      const source = new FetchLimited(opened, task.fetchLimits, guard);
      const isCancelled = () => control.isCancelled();
      const result = await this.#engine.execute(task.request, source, isCancelled, control.deadlineMs);
      const queuedSeconds = control.queuedMs / 1000;
      const warnings = [...result.warnings, ...task.notes];
      const body = encodeQueryResult(
        { ...result, warnings },
        {
          withStats: task.withStats,
          execQueueTime: queuedSeconds,
          guard: (byteLength) => guard.checkAnswer(byteLength),
        },
      );
      const { totalQueryableSamples, execTotalTime } = result.stats;
      const figures = { samples: totalQueryableSamples, queuedSeconds, evalSeconds: execTotalTime };
      return { status: 200, body, figures };
    } catch (error) {
      if (error instanceof VarveError && error.code === 'promql-parse')
        throw badParameter('query', error.message);
      throw error;
    }
  }

  async #cardinality(
    task: CardinalityTask,
    control: TaskControl,
    reads: QueryReads,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const matchers =
      task.selector === ''
        ? []
        : this.#parseSelector(task.selector, (text) => badParameter('selector', text));
    const source = await this.#opener.open(
      task.sources.filter(({ kind }) => kind === 'head'),
      reads,
    );
    const hints: SelectHints = {
      ...{ minTimeMs: task.minTimeMs, maxTimeMs: TIME_MS_MAX, stepMs: 0, rangeMs: 0, limit: 0 },
      ...{ func: '', withoutChunks: true },
    };
    const guard = new TaskGuard(control);
    const check = () => guard.check();
    check();
    const arena = new GuardedArena(new ArrayArena(), guard);
    const found = await source.select(matchers, hints, arena);
    switch (task.what) {
      case 'labelNames':
        return labelNamesCardinality(found, task.limit, check);
      case 'labelValues': {
        const all = matchers.length === 0 ? found : await source.select([], hints, arena);
        return labelValuesCardinality(found, task.labelNames, all.seriesCount, task.limit, check);
      }
      case 'activeSeries':
        return activeSeries(found, task.bytesMax, check);
    }
  }

  async #lookup(
    task: LookupTask,
    refuse: (text: string) => VarveError,
    control: TaskControl,
    reads: QueryReads,
  ) {
    const matcherSets = task.selectors.map((text) => this.#matchersOf(text, refuse));
    // One more than asked for tells whether something was left out.
    const wanted = task.limit === 0 ? 0 : task.limit + 1;
    const { minTimeMs, maxTimeMs } = task;
    const limit = task.limit === 0 ? Number.POSITIVE_INFINITY : task.limit;
    const guard = new TaskGuard(control, task.answerBytesMax);
    guard.check();
    const poll = () => guard.check();
    const query: LabelQuery = { minTimeMs, maxTimeMs, matcherSets, limit: wanted, poll };
    const source = await this.#opener.open(task.sources, reads);
    return { query, limit, source, guard: (byteLength: number) => guard.checkAnswer(byteLength) };
  }

  #parseSelector(text: string, refuse: (text: string) => VarveError): readonly Matcher[] {
    try {
      return this.#language.parseSelector(text);
    } catch (error) {
      if (error instanceof VarveError && error.code === 'promql-parse') throw refuse(error.message);
      throw error;
    }
  }

  #matchersOf(text: string, refuse: (text: string) => VarveError): readonly Matcher[] {
    const matchers = this.#parseSelector(text, refuse);
    if (matchers.every((matcher) => matcher.matchesEmpty)) {
      throw refuse('match[] must contain at least one non-empty matcher');
    }
    return matchers;
  }
}

/** Bytes a task may fetch from the bucket; 0 for no limit. */
function fetchedBytesMax(task: QueryTask): number {
  if ('fetchedBytesMax' in task) return task.fetchedBytesMax;
  if ('budget' in task) return task.budget.bytesMax;
  return task.kind === 'query' ? task.fetchLimits.bytesMax : 0;
}

function inQuery<Value>(parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    if (error instanceof VarveError && error.code === 'promql-parse')
      throw badParameter('query', error.message);
    throw error;
  }
}

function notes(found: readonly unknown[], limit: number): readonly string[] {
  return found.length > limit ? [TRUNCATED] : [];
}

function cut<Item>(items: readonly Item[], limit: number): readonly Item[] {
  return items.length > limit ? items.slice(0, limit) : items;
}
