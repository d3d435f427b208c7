import { VarveError } from '../../errors/index.js';
import { QueryKernel } from '../../kernel/index.js';
import type { Matcher } from '../../matcher/index.js';
import type { Queryable, SeriesSet } from '../../storage/index.js';
import { type Expr, parseExpr, typeWords, valueTypeOf } from '../parse/index.js';
import { type Grid, planQuery, type QueryPlan, type VectorNode } from '../plan/index.js';
import { Annotations } from './annotations.js';
import { QueryContext } from './context.js';
import type { EngineOptions, QueryEngine, QueryRequest, QueryResult, StepSamples } from './engine.js';
import { Evaluator } from './evaluator.js';
import { loadSet } from './loaded-set.js';
import { type HelpDesk, ParallelSession } from './parallel-session.js';
import { resultValue } from './result.js';
import { SymbolSpace } from './symbol-space.js';

/**
 * An engine with its own query kernel; one per thread.
 * @param desk where it asks for help with large queries; without, each query runs on this thread alone
 */
export function createQueryEngine(options: EngineOptions, desk: HelpDesk | null = null): QueryEngine {
  return new KernelQueryEngine(options, desk);
}

class KernelQueryEngine implements QueryEngine {
  private readonly options: EngineOptions;
  private readonly kernel: QueryKernel;
  private readonly desk: HelpDesk | null;
  private parallel: ParallelSession | null;
  private isBusy = false;

  constructor(options: EngineOptions, desk: HelpDesk | null) {
    this.options = options;
    this.kernel = new QueryKernel(options.memoryBytesMax);
    this.desk = desk;
    this.parallel = desk === null ? null : new ParallelSession(desk, this.kernel);
  }

  async execute(
    request: QueryRequest,
    queryable: Queryable,
    isCancelled: () => boolean,
    deadlineMs: number,
  ): Promise<QueryResult> {
    if (this.isBusy)
      throw new VarveError('internal', 'query-engine-busy', 'this engine already runs a query');
    this.isBusy = true;
    if (this.parallel?.isLeft() === false) {
      // A helper that lost its core in the last query may still write there.
      this.kernel.abandon();
      this.parallel = new ParallelSession(this.desk!, this.kernel);
    }
    this.kernel.reset();
    try {
      return await this.run(request, queryable, isCancelled, deadlineMs);
    } finally {
      this.parallel?.close();
      // While a helper is still in it, the memory must stay as it is.
      if (this.parallel?.isLeft(0) !== false) this.kernel.reset();
      this.isBusy = false;
    }
  }

  private async run(
    request: QueryRequest,
    queryable: Queryable,
    isCancelled: () => boolean,
    deadlineMs: number,
  ): Promise<QueryResult> {
    const started = performance.now();
    const { options, kernel } = this;
    const isInstant = request.startMs === request.endMs && request.stepMs === 0;
    const expr = parseExpr(request.query, options.parser);
    if (!isInstant) checkRangeType(expr);
    const plan = planQuery(expr, {
      startMs: request.startMs,
      endMs: request.endMs,
      stepMs: request.stepMs,
      lookbackMs: request.lookbackMs > 0 ? request.lookbackMs : options.lookbackMs,
      evaluationIntervalMs: options.evaluationIntervalMs,
      startTimestamps: options.startTimestamps ?? false,
      planSelect: queryable.planSelect === undefined ? null : (windows) => queryable.planSelect!(windows),
    });
    const features = {
      delayedNameRemoval: options.delayedNameRemoval ?? false,
      typeAndUnitLabels: options.typeAndUnitLabels ?? false,
      startTimestamps: options.startTimestamps ?? false,
    };
    const annotations = new Annotations(request.query);
    notePlans(plan, annotations);
    const limits = { samplesMax: options.samplesMax, isCancelled, deadlineMs };
    const context = new QueryContext(kernel, new SymbolSpace(), annotations, features, limits);
    const { grid } = plan;
    const tellsSteps = request.perStepStats === true;
    if (tellsSteps && grid.count > 1) context.stepSamples = new Float64Array(grid.count);
    context.readsAllRows = tellsSteps;
    // Helpers tell no steps apart.
    context.parallel = tellsSteps ? null : this.parallel;
    context.poll();
    const sets = await selectAll(plan, queryable, kernel);
    context.poll();
    plan.selects.forEach((spec, i) => {
      context.sets.push(loadSet(context, spec, sets[i]!));
    });
    const prepared = performance.now();

    if (!isInstant) noteSorts(plan, context);
    const evaluator = new Evaluator(context);
    const { value, sortMs } = resultValue(context, evaluator, plan, { ...request, isInstant });
    const finished = performance.now();
    return {
      value,
      warnings: annotations.listWarnings(),
      infos: annotations.listInfos(),
      stats: {
        totalQueryableSamples: context.totalSamples,
        perStep: tellsSteps ? stepSamplesOf(context, grid) : null,
        peakSamples: context.peakSamples,
        evalTotalTime: (finished - started) / 1000,
        queryPreparationTime: (prepared - started) / 1000,
        innerEvalTime: (finished - prepared - sortMs) / 1000,
        resultSortTime: sortMs / 1000,
        execTotalTime: (finished - started) / 1000,
      },
    };
  }
}

function stepSamplesOf(context: QueryContext, { startMs, stepMs }: Grid): StepSamples {
  return { startMs, stepMs, counts: context.stepSamples ?? Float64Array.of(context.totalSamples) };
}

function checkRangeType(expr: Expr): void {
  const type = valueTypeOf(expr);
  if (type === 'scalar' || type === 'vector') return;
  throw new VarveError(
    'client',
    'promql-parse',
    `invalid expression type "${typeWords(type)}" for range query, must be Scalar or instant Vector`,
  );
}

/** Runs all selects at once; waits for all of them even when one fails, because they write to the arena. */
async function selectAll(plan: QueryPlan, queryable: Queryable, kernel: QueryKernel): Promise<SeriesSet[]> {
  const settled = await Promise.allSettled(
    plan.selects.map((spec) => queryable.select(spec.matchers, spec.hints, kernel)),
  );
  return settled.map((outcome) => {
    if (outcome.status === 'fulfilled') return outcome.value;
    throw outcome.reason;
  });
}

/** Says which selectors were not read as they stand. */
function notePlans({ selects }: QueryPlan, annotations: Annotations): void {
  for (const { matchers, hints, pos } of selects) {
    for (const note of hints.plan?.notes ?? [])
      annotations.info(`${note}: ${JSON.stringify(nameOf(matchers))}`, pos);
  }
}

/** The metric name that a selector asks for, or all of it. */
function nameOf(matchers: readonly Matcher[]): string {
  const name = matchers.find((matcher) => matcher.name === '__name__' && matcher.type === '=');
  if (name !== undefined) return name.value;
  return `{${matchers.map(({ type, name, value }) => `${name}${type}${JSON.stringify(value)}`).join(', ')}}`;
}

/** Sorting has no effect on range queries; says so once per sort call. */
function noteSorts(plan: QueryPlan, context: QueryContext): void {
  if (plan.root.type !== 'vector') return;
  const visit = (node: VectorNode): void => {
    if (node.kind === 'sort') {
      context.annotations.warn(
        'sort is ineffective for range queries since results are always ordered by labels',
        node.pos,
      );
    }
    for (const field of ['child', 'lhs', 'rhs'] as const) {
      const child = (node as Partial<Record<typeof field, VectorNode>>)[field];
      if (child !== undefined) visit(child);
    }
  };
  visit(plan.root.node);
}
