import { assert } from '../../assert/index.js';
import { VarveError } from '../../errors/index.js';
import { RANGE_FUNCTION } from '../../kernel/index.js';
import type { Matcher } from '../../matcher/index.js';
import type { SelectPlan } from '../../storage/index.js';
import { goMax, goMin } from '../func/index.js';
import type { Call, Expr, PositionRange } from '../parse/index.js';
import { unwrap } from './invariance.js';
import type { ScalarNode, VectorNode } from './node.js';
import { argument, type Planner, type Scope } from './planner.js';

/** Plans function calls: which node a function becomes and what its arguments mean. */

const ANCHORED_FUNCTIONS = new Set(['changes', 'delta', 'increase', 'rate', 'resets']);
const SMOOTHED_FUNCTIONS = new Set(['delta', 'increase', 'rate']);

const NO_POSITION: PositionRange = { start: 0, end: 0 };

const DATE_FUNCTIONS = new Set([
  'days_in_month',
  'day_of_month',
  'day_of_week',
  'day_of_year',
  'hour',
  'minute',
  'month',
  'year',
]);

/** Functions that need only count and sum of histograms, and those that need the buckets. */
const STATISTICS = new Set(['histogram_avg', 'histogram_count', 'histogram_sum']);
const BUCKET_FUNCTIONS = new Set(['histogram_fraction', 'histogram_quantile', 'histogram_quantiles']);

/** Functions of native histograms, which see no floats. */
const HISTOGRAM_ONLY = new Set([
  'histogram_avg',
  'histogram_count',
  'histogram_sum',
  'histogram_stddev',
  'histogram_stdvar',
]);

export function planCall(planner: Planner, call: Call, outer: Scope): VectorNode {
  const { func, pos } = call;
  const isStatistics = STATISTICS.has(func) || (outer.isStatistics && !BUCKET_FUNCTIONS.has(func));
  const scope: Scope = { ...outer, func, isStatistics };
  const base = { grid: scope.grid, pos, uses: 0 };
  if (Object.hasOwn(RANGE_FUNCTION, func)) return planRangeCall(planner, call, scope, func);
  if (DATE_FUNCTIONS.has(func) && call.args.length === 0) {
    return planner.interner.node({ kind: 'date', func, ...base });
  }
  switch (func) {
    case 'absent':
      return planner.interner.node({
        kind: 'absent',
        child: planner.vector(argument(call, 0), scope),
        labels: absentLabels(argument(call, 0)),
        ...base,
      });
    case 'absent_over_time':
      return planner.interner.node({
        kind: 'absent',
        // Any function that keeps the names will do: series that differ by name only must not meet.
        child: planRangeCall(planner, call, scope, 'last_over_time'),
        labels: absentLabels(argument(call, 0)),
        ...base,
      });
    case 'vector':
      return planner.interner.node({
        kind: 'fromScalar',
        scalar: planner.scalar(argument(call, 0), scope),
        ...base,
      });
    case 'timestamp': {
      const inner = unwrap(argument(call, 0));
      if (inner.kind === 'vectorSelector') {
        const child = planner.instantSelector(inner, scope, 'times');
        return planner.interner.node({ kind: 'element', func, child, args: [], ...base });
      }
      const args = [planner.interner.node<ScalarNode>({ kind: 'time', ...base })];
      return planner.interner.node({
        kind: 'element',
        func,
        child: planner.vector(inner, scope),
        args,
        ...base,
      });
    }
    case 'start_timestamp': {
      const inner = unwrap(argument(call, 0));
      if (inner.kind !== 'vectorSelector' || !planner.settings.startTimestamps)
        return planner.empty(scope, pos);
      const child = planner.instantSelector(inner, scope, 'starts');
      return planner.interner.node({ kind: 'element', func: 'timestamp', child, args: [], ...base });
    }
    case 'histogram_quantile':
    case 'histogram_quantiles':
      return planQuantile(planner, call, scope);
    case 'histogram_fraction': {
      return planner.interner.node({
        kind: 'histogramFraction',
        child: planner.vector(argument(call, 2), scope),
        lower: planner.scalar(argument(call, 0), scope),
        upper: planner.scalar(argument(call, 1), scope),
        childPos: unwrap(argument(call, 2)).pos,
        ...base,
      });
    }
    case 'label_replace':
      return planner.interner.node({
        kind: 'labelReplace',
        child: planner.vector(argument(call, 0), scope),
        target: text(call, 1),
        replacement: text(call, 2),
        source: text(call, 3),
        regex: text(call, 4),
        ...base,
      });
    case 'label_join':
      return planner.interner.node({
        kind: 'labelJoin',
        child: planner.vector(argument(call, 0), scope),
        target: text(call, 1),
        separator: text(call, 2),
        sources: call.args.slice(3).map((_, i) => text(call, i + 3)),
        ...base,
      });
    case 'sort':
    case 'sort_desc':
    case 'sort_by_label':
    case 'sort_by_label_desc':
      return planner.interner.node({
        kind: 'sort',
        child: planner.vector(argument(call, 0), scope),
        descending: func.endsWith('_desc'),
        labels: func.startsWith('sort_by_label') ? call.args.slice(1).map((_, i) => text(call, i + 1)) : null,
        ...base,
      });
    case 'info':
      return planInfo(planner, call, scope);
  }
  if (HISTOGRAM_ONLY.has(func)) {
    const child = planner.vector(argument(call, 0), scope);
    return planner.interner.node({ kind: 'element', func, child, args: [], ...base });
  }
  const child = planner.vector(argument(call, 0), scope);
  const args = call.args.slice(1).map((arg) => planner.scalar(arg, scope));
  return planner.interner.node({ kind: 'element', func, child, args, ...base });
}

/** The literal behind a string argument. */
function text(call: Call, index: number): string {
  const inner = unwrap(argument(call, index));
  assert(inner.kind === 'string', 'string arguments are literals');
  return inner.value;
}

function planRangeCall(planner: Planner, call: Call, scope: Scope, func: string): VectorNode {
  const index = call.args.findIndex((arg) => isMatrix(unwrap(arg)));
  const matrix = unwrap(argument(call, index));
  const args = call.args.filter((_, i) => i !== index).map((arg) => planner.scalar(arg, scope));
  // Annotations point at the first argument, whichever it is.
  const base = { grid: scope.grid, pos: unwrap(argument(call, 0)).pos, uses: 0 };
  if (matrix.kind === 'subquery') {
    const times = planner.times(matrix, scope);
    const rangeMs = planner.duration(matrix.rangeMs, matrix.rangeExpr);
    const child = planner.subqueryChild(matrix, times, rangeMs, scope, 0);
    if (child.kind === 'empty') return planner.empty(scope, call.pos);
    // Upstream puts the subquery's samples in the argument's place, and those have no position in the text.
    const pos = index === 0 ? NO_POSITION : base.pos;
    return planner.interner.node({ kind: 'subqueryCall', func, child, times, rangeMs, args, ...base, pos });
  }
  assert(matrix.kind === 'matrixSelector', 'a range function has a matrix argument');
  const { plan, leaf } = planner.plannedRange(matrix, scope);
  const { isStatistics } = scope;
  const read = (name: string, by: SelectPlan | null): VectorNode => {
    const range = leaf(by);
    checkForm(range.form, call.func);
    return planner.interner.node({ kind: 'rangeCall', func: name, args, isStatistics, ...range, ...base });
  };
  if (plan === null) return read(func, null);
  const child = read(plan.func === scope.func ? func : plan.func, plan);
  return planFactor(planner, planDivisor(planner, child, plan, read), plan, scope);
}

/** A mean over windows of several samples: their sum by their number. */
function planDivisor(
  planner: Planner,
  lhs: VectorNode,
  { divisor }: SelectPlan,
  read: (func: string, plan: SelectPlan) => VectorNode,
): VectorNode {
  if (divisor === null) return lhs;
  const rhs = read(divisor.func, divisor);
  const { grid, pos } = lhs;
  return planner.interner.node({ kind: 'quotient', lhs, rhs, grid, pos, uses: 0 });
}

/** What was read over a wider range, as of the range asked for. */
function planFactor(planner: Planner, child: VectorNode, { factor }: SelectPlan, scope: Scope): VectorNode {
  if (factor === 1) return child;
  const { grid, pos } = child;
  return planner.interner.node({
    kind: 'scalarOp',
    op: '*',
    child,
    scalar: planner.number(factor, scope, pos),
    scalarOnLeft: false,
    returnBool: false,
    grid,
    pos,
    uses: 0,
  });
}

function isMatrix(expr: Expr): boolean {
  return expr.kind === 'matrixSelector' || expr.kind === 'subquery';
}

function checkForm(form: 'plain' | 'anchored' | 'smoothed', func: string): void {
  if (form === 'plain') return;
  const allowed = form === 'anchored' ? ANCHORED_FUNCTIONS : SMOOTHED_FUNCTIONS;
  if (allowed.has(func)) return;
  throw new VarveError(
    'client',
    'promql-execution',
    `${form} modifier can only be used with: ${[...allowed].join(', ')} - not with ${func}`,
  );
}

function planQuantile(planner: Planner, call: Call, scope: Scope): VectorNode {
  const isMany = call.func === 'histogram_quantiles';
  const childArg = argument(call, isMany ? 0 : 1);
  const quantileArgs = isMany ? call.args.slice(2) : [argument(call, 0)];
  return planner.interner.node({
    kind: 'histogramQuantile',
    child: planner.vector(childArg, scope),
    quantiles: quantileArgs.map((arg) => planner.scalar(arg, scope)),
    label: isMany ? text(call, 1) : '',
    childPos: unwrap(childArg).pos,
    quantilePos: quantileArgs.map((arg) => unwrap(arg).pos),
    grid: scope.grid,
    pos: call.pos,
    uses: 0,
  });
}

function planInfo(planner: Planner, call: Call, scope: Scope): VectorNode {
  const child = planner.vector(argument(call, 0), scope);
  const second = call.args[1];
  const selector = second === undefined ? null : unwrap(second);
  assert(selector === null || selector.kind === 'vectorSelector', 'info takes label selectors');
  const matchers: readonly Matcher[] = selector?.matchers ?? [];
  return planner.info(child, matchers, argument(call, 0), scope, call.pos);
}

/**
 * Labels of the element that `absent` makes up: from equality matchers of a selector. A second matcher on a label takes
 * it away again, except that an equality sets it when only non-equalities came before.
 */
function absentLabels(arg: Expr): [string, string][] {
  const inner = unwrap(arg);
  const selector =
    inner.kind === 'vectorSelector' ? inner : inner.kind === 'matrixSelector' ? inner.selector : null;
  if (selector === null) return [];
  const values = new Map<string, string>();
  const seenEqual = new Set<string>();
  for (const matcher of selector.matchers) {
    if (matcher.name === '__name__') continue;
    if (matcher.type === '=' && !seenEqual.has(matcher.name)) {
      values.set(matcher.name, matcher.value.toWellFormed());
      seenEqual.add(matcher.name);
    } else values.delete(matcher.name);
  }
  return [...values].filter(([, value]) => value !== '');
}

export function planScalarCall(planner: Planner, call: Call, scope: Scope): ScalarNode {
  const { settings } = planner;
  const base = { grid: scope.grid, pos: call.pos, uses: 0 };
  switch (call.func) {
    case 'scalar':
      return planner.interner.node({
        kind: 'scalarOf',
        child: planner.vector(argument(call, 0), { ...scope, func: call.func }),
        ...base,
      });
    case 'time':
      return planner.interner.node({ kind: 'time', ...base });
    case 'pi':
      return planner.number(Math.PI, scope, call.pos);
    case 'start':
      return planner.number(settings.startMs / 1000, scope, call.pos);
    case 'end':
      return planner.number(settings.endMs / 1000, scope, call.pos);
    case 'range':
      return planner.number((settings.endMs - settings.startMs) / 1000, scope, call.pos);
    case 'step':
      return planner.number(
        settings.startMs === settings.endMs ? 0 : settings.stepMs / 1000,
        scope,
        call.pos,
      );
    case 'min_of':
    case 'max_of': {
      const lhs = planner.scalar(argument(call, 0), scope);
      const rhs = planner.scalar(argument(call, 1), scope);
      if (lhs.kind === 'number' && rhs.kind === 'number') {
        const pick = call.func === 'min_of' ? goMin : goMax;
        return planner.number(pick(lhs.value, rhs.value), scope, call.pos);
      }
      return planner.interner.node({ kind: 'scalarBinary', op: call.func, lhs, rhs, ...base });
    }
    default:
      throw new VarveError('internal', 'plan-type', `cannot plan ${call.func} as a scalar`);
  }
}
