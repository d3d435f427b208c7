import { VarveError } from '../../errors/index.js';
import type { Matcher } from '../../matcher/index.js';
import type { QueryEngine, QueryRequest, QueryResult, QueryValue } from '../../promql/exec/index.js';
import { type LabelQuery, mergeQueryables, type Queryable } from '../../storage/index.js';
import { serveTasks } from '../../workers/index.js';
import { type Language, TaskExecutor } from '../executor.js';
import type { QueryTask } from '../task.js';

/**
 * A query thread for tests of everything around the engine: the query text says what to answer. Selectors are
 * `{name="value"}` with one matcher; label names and values come from a fixed list.
 */

function parseFailure(query: string): VarveError {
  return new VarveError('client', 'promql-parse', `1:1: parse error: unexpected ${JSON.stringify(query)}`);
}

const engine: QueryEngine = {
  async execute(request: QueryRequest, _source, isCancelled, deadlineMs): Promise<QueryResult> {
    const answer = (value: QueryValue, warnings: readonly string[] = []): QueryResult => ({
      value,
      warnings,
      infos: [],
      stats: {
        totalQueryableSamples: 7,
        perStep: request.perStepStats === true ? { startMs: 0, stepMs: 0, counts: Float64Array.of(7) } : null,
        peakSamples: 3,
        evalTotalTime: 0.5,
        queryPreparationTime: 0.25,
        innerEvalTime: 0.125,
        resultSortTime: 0,
        execTotalTime: 1,
      },
    });
    const timestampMs = request.startMs;
    switch (request.query) {
      case '1+1':
        return answer({ type: 'scalar', timestampMs, value: 2 });
      case 'text':
        return answer({ type: 'string', timestampMs, value: '<a>' });
      case 'request':
        return answer({ type: 'string', timestampMs, value: JSON.stringify(request) });
      case 'warn':
        return answer({ type: 'vector', timestampMs, series: [] }, ['something <odd>']);
      case 'up': {
        const labels = [{ name: '__name__', value: 'up' }];
        if (request.stepMs === 0) {
          const series = [{ labels, values: Float64Array.of(1e-7), present: Uint8Array.of(1) }];
          return answer({ type: 'vector', timestampMs, series });
        }
        const stepCount = Math.floor((request.endMs - request.startMs) / request.stepMs) + 1;
        const values = Float64Array.from({ length: stepCount }, (_, k) => k / 2);
        const present = new Uint8Array(stepCount).fill(1);
        const { startMs, stepMs } = request;
        return answer({ type: 'matrix', startMs, stepMs, stepCount, series: [{ labels, values, present }] });
      }
      case 'spin':
        while (!isCancelled()) {
          if (performance.now() > deadlineMs) {
            throw new VarveError('timeout', 'query-timeout', 'query timed out in expression evaluation');
          }
        }
        throw new VarveError('cancelled', 'query-cancelled', 'query was canceled in expression evaluation');
      case 'too-much':
        throw new VarveError(
          'limit',
          'query-samples',
          'query processing would load too many samples into memory',
        );
      case 'mismatch':
        throw new VarveError('client', 'promql-execution', 'multiple matches for labels');
      case 'bug':
        throw new Error('index is out of range');
      case 'crash':
        process.exit(1);
        break;
      default:
        throw parseFailure(request.query);
    }
  },
};

const language: Language = {
  parseSelector(text): readonly Matcher[] {
    const found = /^\{(\w+)="(\w*)"\}$/.exec(text);
    if (found === null) throw parseFailure(text);
    const [, name = '', value = ''] = found;
    const matches = (candidate: string) => candidate === value;
    const matchesEmpty = value === '';
    return [
      { type: '=', name, value, isNegative: false, matchesEmpty, oneOf: [value], prefix: value, matches },
    ];
  },
  selectors(query) {
    if (query === '(') throw parseFailure(query);
    return query === '1' ? [] : [language.parseSelector(query)];
  },
  format(query) {
    if (query === '(') throw parseFailure(query);
    return `formatted ${query}`;
  },
  toTree(query) {
    if (query === '(') throw parseFailure(query);
    return { type: 'stub', query };
  },
};

/** Says what it was asked, so that tests see the parameters arrive. */
const source: Queryable = {
  select: (matchers, hints, arena) => mergeQueryables([]).select(matchers, hints, arena),
  async labelNames(query) {
    return describe(query, ['__name__', 'a<b', 'job']);
  },
  async labelValues(name, query) {
    return describe(query, [`${name}-1`, `${name}-2`]);
  },
  async series(query) {
    return describe(query, ['x', 'y']).map((value) => [{ name: 'n', value }]);
  },
};

function describe(
  { limit, matcherSets, minTimeMs, maxTimeMs }: LabelQuery,
  values: readonly string[],
): string[] {
  if (matcherSets.length === 0) return limit === 0 ? [...values] : values.slice(0, limit);
  const selectors = matcherSets.map((set) => set.map(({ name, value }) => `${name}=${value}`).join(','));
  return [`${selectors.join('|')} ${minTimeMs}..${maxTimeMs}`];
}

const executor = new TaskExecutor(engine, language, { open: async () => source });
serveTasks(async (payload, context) => {
  const answer = await executor.execute(payload as QueryTask, context);
  return { value: answer, transfer: [answer.body.buffer] };
});
