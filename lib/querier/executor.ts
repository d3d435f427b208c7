import { VarveError } from '../errors/index.js';
import type { Matcher } from '../matcher/index.js';
import type { QueryEngine } from '../promql/exec/index.js';
import type { LabelQuery, Queryable } from '../storage/index.js';
import { badData, badParameter, encodeError } from './api-error.js';
import { encodeLabelSets, encodeQueryResult, encodeStrings, encodeSuccess } from './encode.js';
import { FetchLimited } from './fetch-limits.js';
import { quoteJsonHtml, stringifyHtml } from './json-bytes.js';
import type { SourceDescriptor } from './sources.js';
import type { LookupTask, QueryTask, TaskAnswer } from './task.js';

/** The parts of the query language that aren't evaluation. All throw VarveError client `promql-parse`. */
export interface Language {
  /** Matchers of a selector such as `{job="a"}`. */
  parseSelector(text: string): readonly Matcher[];
  /** Refuses a query that doesn't parse. */
  check(query: string): void;
  /** The query in Prometheus' layout. */
  format(query: string): string;
  /** The syntax tree as the parse_query endpoint shows it. */
  toTree(query: string): unknown;
}

/** Turns descriptions of sources into one that can be read. */
export interface SourceOpener {
  open(sources: readonly SourceDescriptor[]): Promise<Queryable>;
}

export interface TaskControl {
  isCancelled(): boolean;
  /** By the monotonic clock of this thread. */
  readonly deadlineMs: number;
  readonly queuedMs: number;
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
    try {
      return { status: 200, body: await this.#run(task, control) };
    } catch (error) {
      // A bug, not a bad query: the pool reports it with the thread's stack.
      if (!(error instanceof VarveError)) throw error;
      return encodeError(error);
    }
  }

  async #run(task: QueryTask, control: TaskControl): Promise<Uint8Array<ArrayBuffer>> {
    switch (task.kind) {
      case 'query':
        return this.#query(task, control);
      case 'series': {
        const { query, limit, source } = await this.#lookup(task, (text) => badParameter('match[]', text));
        const found = await source.series(query);
        return encodeLabelSets(cut(found, limit), found.length > limit ? [TRUNCATED] : []);
      }
      case 'labelNames': {
        const { query, limit, source } = await this.#lookup(task, badData);
        const found = await source.labelNames(query);
        return encodeStrings(cut(found, limit), found.length > limit ? [TRUNCATED] : []);
      }
      case 'labelValues': {
        const { query, limit, source } = await this.#lookup(task, badData);
        const found = await source.labelValues(task.name, query);
        return encodeStrings(cut(found, limit), found.length > limit ? [TRUNCATED] : []);
      }
      case 'format':
        return encodeSuccess(quoteJsonHtml(inQuery(() => this.#language.format(task.query))));
      case 'parse':
        return encodeSuccess(stringifyHtml(inQuery(() => this.#language.toTree(task.query))));
      case 'exemplars':
        // The query must be valid even though no exemplars are stored yet.
        this.#language.check(task.query);
        return encodeSuccess('[]');
    }
  }

  async #query(task: QueryTask & { kind: 'query' }, control: TaskControl): Promise<Uint8Array<ArrayBuffer>> {
    if (performance.now() >= control.deadlineMs) {
      throw new VarveError('timeout', 'query-timeout', 'query timed out in query execution');
    }
    try {
      const source = new FetchLimited(await this.#opener.open(task.sources), task.fetchLimits);
      const isCancelled = () => control.isCancelled();
      const result = await this.#engine.execute(task.request, source, isCancelled, control.deadlineMs);
      return encodeQueryResult(result, {
        withStats: task.withStats,
        execQueueTime: control.queuedMs / 1000,
      });
    } catch (error) {
      if (error instanceof VarveError && error.code === 'promql-parse')
        throw badParameter('query', error.message);
      throw error;
    }
  }

  async #lookup(task: LookupTask, refuse: (text: string) => VarveError) {
    const matcherSets = task.selectors.map((text) => this.#matchersOf(text, refuse));
    // One more than asked for tells whether something was left out.
    const wanted = task.limit === 0 ? 0 : task.limit + 1;
    const { minTimeMs, maxTimeMs } = task;
    const query: LabelQuery = { minTimeMs, maxTimeMs, matcherSets, limit: wanted };
    const limit = task.limit === 0 ? Number.POSITIVE_INFINITY : task.limit;
    return { query, limit, source: await this.#opener.open(task.sources) };
  }

  #matchersOf(text: string, refuse: (text: string) => VarveError): readonly Matcher[] {
    let matchers: readonly Matcher[];
    try {
      matchers = this.#language.parseSelector(text);
    } catch (error) {
      if (error instanceof VarveError && error.code === 'promql-parse') throw refuse(error.message);
      throw error;
    }
    if (matchers.every((matcher) => matcher.matchesEmpty)) {
      throw refuse('match[] must contain at least one non-empty matcher');
    }
    return matchers;
  }
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

function cut<Item>(items: readonly Item[], limit: number): readonly Item[] {
  return items.length > limit ? items.slice(0, limit) : items;
}
