import { mergeQueryables } from '../storage/index.js';
import { TaskExecutor } from './executor.js';
import { makeEngine, makeLanguage } from './promql.js';
import type { QueryTask, QueryWorkerData, TaskAnswer } from './task.js';

/** Longer texts and more steps are left to the query threads: the main thread has other things to do. */
const TEXT_MAX = 100;
const STEPS_MAX = 500;
/**
 * Texts that select no series: numbers, operators, and calls of functions without a selector. Names count as functions
 * only before a parenthesis, as `time` alone is a metric. What slips through the net goes to a thread and is answered
 * there.
 */
const WITHOUT_SELECTORS =
  /^(?:[\s+\-*/%^(),<>=!]|\d[\w.]*|\.\d+|(?:[iI][nN][fF]|[nN][aA][nN]|bool)\b|(?:time|pi|vector|scalar)\s*\()*$/;

const NO_SOURCE = mergeQueryables([]);

/**
 * Queries that are answered where they arrive, on the main thread: constants, as health checks and Grafana's data source
 * test ask them. They take some 20 microseconds; the way to a query thread and back costs five times as much.
 */
export class LocalQueries {
  readonly #worker: QueryWorkerData;
  #executor: TaskExecutor | null = null;
  #isBusy = false;

  constructor(worker: QueryWorkerData) {
    this.#worker = worker;
  }

  /** Whether `run` may be called with a query now. */
  takes({ query, startMs, endMs, stepMs }: (QueryTask & { kind: 'query' })['request']): boolean {
    if (this.#isBusy || query.length > TEXT_MAX || !WITHOUT_SELECTORS.test(query)) return false;
    return stepMs === 0 || (endMs - startMs) / stepMs < STEPS_MAX;
  }

  async run(task: QueryTask, timeoutMs: number): Promise<TaskAnswer> {
    this.#isBusy = true;
    try {
      // Made when it is first needed: a process that only takes writes does not need it.
      this.#executor ??= makeExecutor(this.#worker);
      const deadlineMs = performance.now() + timeoutMs;
      return await this.#executor.execute(task, { isCancelled: () => false, deadlineMs, queuedMs: 0 });
    } finally {
      this.#isBusy = false;
    }
  }
}

function makeExecutor({ engine }: QueryWorkerData): TaskExecutor {
  return new TaskExecutor(makeEngine(engine), makeLanguage(engine.parser), { open: async () => NO_SOURCE });
}
