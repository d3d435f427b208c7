import { assert } from '../../assert/index.js';
import { VarveError } from '../../errors/index.js';
import { createMatcher, type Matcher } from '../../matcher/index.js';
import type { SelectPlan, SelectWindows } from '../../storage/index.js';
import { compareScalars, scalarArithmetic } from '../func/index.js';
import {
  type Aggregate,
  type BinaryExpr,
  type Call,
  type DurationExpr,
  type Expr,
  isComparison,
  type MatrixSelector,
  type PositionRange,
  type Subquery,
  type TimeShift,
  type VectorSelector,
  valueTypeOf,
} from '../parse/index.js';
import { planCall, planScalarCall } from './calls.js';
import { type DurationSettings, evaluateDurationMs } from './duration.js';
import { Interner } from './interner.js';
import { Invariance, isLiteral, unwrap } from './invariance.js';
import type {
  Grid,
  LeafTimes,
  MatrixRoot,
  PlanRoot,
  QueryPlan,
  ScalarNode,
  SelectSpec,
  VectorNode,
  WindowForm,
} from './node.js';

/** The parts of request and options that a plan depends on. */
export interface PlanSettings {
  readonly startMs: number;
  readonly endMs: number;
  /** 0 for an instant query. */
  readonly stepMs: number;
  readonly lookbackMs: number;
  readonly evaluationIntervalMs: number;
  /** Feature `use-start-timestamps`. */
  readonly startTimestamps: boolean;
  /** `planSelect` of the source; null when it has none. */
  readonly planSelect: ((windows: SelectWindows) => SelectPlan | null) | null;
}

/** The part of a range function or matrix that reads a selector. */
export interface RangeLeaf {
  readonly select: SelectSpec;
  readonly times: LeafTimes;
  readonly rangeMs: number;
  readonly lookbackMs: number;
  readonly form: WindowForm;
}

/** Where an expression stands. */
export interface Scope {
  readonly grid: Grid;
  /** Inside the parameter of an aggregation, where `@ start()` is not resolved and `@ t` moves with the steps. */
  readonly inParam: boolean;
  /** How often samples read here count in the statistics. */
  readonly weight: number;
  /** Name of the enclosing function or aggregation, a hint for storage. */
  readonly func: string;
  /** Whether a function around needs only count and sum of histograms, with none nearer that needs more. */
  readonly isStatistics: boolean;
}

/**
 * Turns a checked expression into a plan for one request.
 * @throws VarveError client `promql-parse` for duration expressions without a valid value
 */
export function planQuery(expr: Expr, settings: PlanSettings): QueryPlan {
  const planner = new Planner(settings);
  return { root: planner.root(expr), selects: planner.interner.selects, grid: planner.grid };
}

/** Builds plan nodes; `calls.ts` holds the part about functions. */
export class Planner {
  readonly interner = new Interner();
  readonly settings: PlanSettings;
  readonly grid: Grid;
  private readonly invariance = new Invariance();
  private readonly durations: DurationSettings;

  constructor(settings: PlanSettings) {
    this.settings = settings;
    const { startMs, endMs, stepMs } = settings;
    const count = stepMs === 0 ? 1 : Math.floor((endMs - startMs) / stepMs) + 1;
    this.grid = { startMs, stepMs: count === 1 ? 0 : stepMs, count };
    this.durations = { stepSeconds: stepMs / 1000, rangeSeconds: (endMs - startMs) / 1000 };
  }

  root(expr: Expr): PlanRoot {
    const scope: Scope = { grid: this.grid, inParam: false, weight: 1, func: '', isStatistics: false };
    const inner = unwrap(expr);
    switch (valueTypeOf(inner)) {
      case 'string':
        assert(inner.kind === 'string', 'a string expression is a literal');
        return { type: 'string', value: inner.value.toWellFormed() };
      case 'scalar':
        return { type: 'scalar', node: this.used(this.scalar(inner, scope)) };
      case 'matrix':
        return { type: 'matrix', matrix: this.matrixRoot(inner, scope) };
      default:
        return { type: 'vector', node: this.used(this.vector(inner, scope)) };
    }
  }

  private used<T extends ScalarNode | VectorNode>(node: T): T {
    node.uses++;
    return node;
  }

  private matrixRoot(expr: Expr, scope: Scope): MatrixRoot {
    if (expr.kind === 'matrixSelector') {
      const { plan, leaf } = this.plannedRange(expr, scope);
      return { kind: 'samples', ...leaf(plan) };
    }
    assert(expr.kind === 'subquery', 'a matrix is a selector or a subquery');
    const times = this.times(expr, scope);
    const rangeMs = this.duration(expr.rangeMs, expr.rangeExpr);
    return {
      kind: 'points',
      child: this.used(this.subqueryChild(expr, times, rangeMs, scope, scope.weight)),
    };
  }

  /** Plans an expression of type instant vector. */
  vector(expr: Expr, scope: Scope): VectorNode {
    const inner = unwrap(expr);
    if (this.canPin(inner, scope)) {
      const child = this.vector(inner, this.pinnedScope(scope));
      if (child.kind === 'empty') return this.empty(scope, inner.pos);
      return this.interner.node({ kind: 'pinned', child, grid: scope.grid, pos: inner.pos, uses: 0 });
    }
    switch (inner.kind) {
      case 'vectorSelector':
        return this.instantSelector(inner, scope, 'values');
      case 'unary': {
        const child = this.vector(inner.expr, { ...scope, func: '' });
        if (inner.op === '+') return child;
        return this.interner.node({ kind: 'negate', child, grid: scope.grid, pos: inner.pos, uses: 0 });
      }
      case 'aggregate':
        return this.aggregate(inner, scope);
      case 'binary':
        return this.binary(inner, scope);
      case 'call':
        return planCall(this, inner, scope);
      default:
        throw new VarveError('internal', 'plan-type', `cannot plan ${inner.kind} as an instant vector`);
    }
  }

  /** Plans an expression of type scalar. */
  scalar(expr: Expr, scope: Scope): ScalarNode {
    const inner = unwrap(expr);
    if (this.canPin(inner, scope)) {
      const child = this.scalar(inner, this.pinnedScope(scope));
      if (child.kind === 'number') return this.number(child.value, scope, inner.pos);
      return this.interner.node({ kind: 'scalarPinned', child, grid: scope.grid, pos: inner.pos, uses: 0 });
    }
    switch (inner.kind) {
      case 'number':
        return this.number(inner.value, scope, inner.pos);
      case 'unary': {
        const child = this.scalar(inner.expr, scope);
        if (inner.op === '+') return child;
        if (child.kind === 'number') return this.number(-child.value, scope, inner.pos);
        return this.interner.node({ kind: 'scalarNegate', child, grid: scope.grid, pos: inner.pos, uses: 0 });
      }
      case 'binary':
        return this.scalarBinary(inner, scope);
      case 'call':
        return planScalarCall(this, inner, scope);
      default:
        throw new VarveError('internal', 'plan-type', `cannot plan ${inner.kind} as a scalar`);
    }
  }

  number(value: number, scope: Scope, pos: PositionRange): ScalarNode {
    return this.interner.node({ kind: 'number', value, grid: scope.grid, pos, uses: 0 });
  }

  empty(scope: Scope, pos: PositionRange): VectorNode {
    return this.interner.node({ kind: 'empty', grid: scope.grid, pos, uses: 0 });
  }

  /** Whether the expression is worth computing once instead of at every step. */
  private canPin(expr: Expr, scope: Scope): boolean {
    return scope.grid.count > 1 && !scope.inParam && !isLiteral(expr) && this.invariance.isInvariant(expr);
  }

  private pinnedScope(scope: Scope): Scope {
    const grid = { startMs: scope.grid.startMs, stepMs: 0, count: 1 };
    return { ...scope, grid, weight: scope.weight * scope.grid.count };
  }

  private scalarBinary(expr: BinaryExpr, scope: Scope): ScalarNode {
    if (expr.op === '</' || expr.op === '>/') {
      throw new VarveError(
        'client',
        'promql-execution',
        `operator "${expr.op}" not allowed for Scalar operations`,
      );
    }
    const lhs = this.scalar(expr.lhs, scope);
    const rhs = this.scalar(expr.rhs, scope);
    if (lhs.kind === 'number' && rhs.kind === 'number') {
      const value = isComparison(expr.op)
        ? Number(compareScalars(expr.op, lhs.value, rhs.value))
        : scalarArithmetic(expr.op, lhs.value, rhs.value);
      return this.number(value, scope, expr.pos);
    }
    return this.interner.node({
      kind: 'scalarBinary',
      op: expr.op,
      lhs,
      rhs,
      grid: scope.grid,
      pos: expr.pos,
      uses: 0,
    });
  }

  private binary(expr: BinaryExpr, outer: Scope): VectorNode {
    const { op, returnBool } = expr;
    // Trimming needs buckets. What is around an operator says nothing of its sides: `count(x > 5)` compares values.
    const isTrimming = op === '</' || op === '>/';
    const scope = { ...outer, func: '', isStatistics: outer.isStatistics && !isTrimming };
    const base = { grid: scope.grid, pos: expr.pos, uses: 0 };
    const leftIsScalar = valueTypeOf(expr.lhs) === 'scalar';
    if (leftIsScalar || valueTypeOf(expr.rhs) === 'scalar') {
      const scalar = this.scalar(leftIsScalar ? expr.lhs : expr.rhs, scope);
      const child = this.vector(leftIsScalar ? expr.rhs : expr.lhs, scope);
      return this.interner.node({
        kind: 'scalarOp',
        op,
        child,
        scalar,
        scalarOnLeft: leftIsScalar,
        returnBool,
        ...base,
      });
    }
    const lhs = this.vector(expr.lhs, scope);
    const rhs = this.vector(expr.rhs, scope);
    const matching = expr.matching;
    assert(matching !== null, 'two vectors have a matching');
    if (op === 'and' || op === 'or' || op === 'unless') {
      return this.interner.node({ kind: 'setOperation', op, lhs, rhs, matching, ...base });
    }
    return this.interner.node({ kind: 'binary', op, lhs, rhs, matching, returnBool, ...base });
  }

  private aggregate(expr: Aggregate, scope: Scope): VectorNode {
    const inner: Scope = { ...scope, func: expr.op };
    const param = expr.param === null ? null : unwrap(expr.param);
    const child = this.vector(expr.expr, inner);
    return this.interner.node({
      kind: 'aggregate',
      op: expr.op,
      child,
      param:
        param === null || param.kind === 'string' ? null : this.scalar(param, { ...inner, inParam: true }),
      label: param?.kind === 'string' ? param.value : '',
      grouping: expr.grouping,
      without: expr.without,
      childPos: expr.expr.pos,
      paramPos: expr.param?.pos ?? expr.pos,
      grid: scope.grid,
      pos: expr.pos,
      uses: 0,
    });
  }

  duration(ms: number, expr: DurationExpr | null, allowNegative = false): number {
    return expr === null ? ms : evaluateDurationMs(expr, this.durations, allowNegative);
  }

  /** When a selector or subquery reads, given the steps around it. */
  times(shift: TimeShift, scope: Scope): LeafTimes {
    const { startMs, stepMs } = scope.grid;
    const offsetMs = this.duration(shift.offsetMs, shift.offsetExpr, true);
    const atMs =
      shift.atMs ??
      (shift.atBound === 'start'
        ? this.settings.startMs
        : shift.atBound === 'end'
          ? this.settings.endMs
          : null);
    const sampleWeight = scope.weight;
    if (scope.inParam) {
      // Upstream does not prepare parameters: `@ start()` is as if absent, `@ t` is an offset from the first step.
      const base = shift.atMs ?? startMs;
      return { referenceMs: base - offsetMs, referenceStepMs: stepMs, offsetMs, sampleWeight };
    }
    if (atMs !== null) return { referenceMs: atMs - offsetMs, referenceStepMs: 0, offsetMs, sampleWeight };
    return { referenceMs: startMs - offsetMs, referenceStepMs: stepMs, offsetMs, sampleWeight };
  }

  /** What the source says about a selector; null when it is to be read as it stands. */
  private planSelect(
    times: LeafTimes,
    scope: Scope,
    rangeMs: number,
    form: WindowForm,
    func: string,
  ): SelectPlan | null {
    const { planSelect, lookbackMs } = this.settings;
    if (planSelect === null) return null;
    const stepMs = times.referenceStepMs;
    const count = stepMs === 0 ? 1 : scope.grid.count;
    return planSelect({ func, firstMs: times.referenceMs, stepMs, count, rangeMs, lookbackMs, form });
  }

  /** The select of a leaf that looks `beforeMs` back (left-open) and `afterMs` ahead of its reference times. */
  private select(
    selector: VectorSelector,
    times: LeafTimes,
    scope: Scope,
    beforeMs: number,
    afterMs: number,
    rangeMs: number,
    plan: SelectPlan | null,
  ): SelectSpec {
    const last = times.referenceMs + (scope.grid.count - 1) * times.referenceStepMs;
    const hints = {
      minTimeMs: times.referenceMs - beforeMs + 1,
      maxTimeMs: last + afterMs,
      stepMs: scope.grid.stepMs,
      func: scope.func,
      rangeMs,
      withoutChunks: false,
      limit: 0,
      // Statistics of histograms tell resets from the samples before.
      newestOnly: rangeMs === 0 && afterMs === 0 && last === times.referenceMs && !scope.isStatistics,
    };
    return this.interner.select(selector.matchers, plan === null ? hints : { ...hints, plan }, selector.pos);
  }

  instantSelector(selector: VectorSelector, scope: Scope, mode: 'values' | 'times' | 'starts'): VectorNode {
    const times = this.times(selector, scope);
    const smoothed = selector.smoothed && mode === 'values';
    const plan = this.planSelect(times, scope, 0, smoothed ? 'smoothed' : 'plain', scope.func);
    const lookbackMs = plan?.lookbackMs ?? this.settings.lookbackMs;
    return this.interner.node({
      kind: 'instantSelector',
      select: this.select(selector, times, scope, lookbackMs, smoothed ? lookbackMs : 0, 0, plan),
      times,
      lookbackMs,
      mode: smoothed ? 'smoothed' : mode,
      isStatistics: scope.isStatistics,
      grid: scope.grid,
      pos: selector.pos,
      uses: 0,
    });
  }

  /** What the source says about a range selector, and how to read it by that plan or its divisor's. */
  plannedRange(
    expr: MatrixSelector,
    scope: Scope,
  ): { readonly plan: SelectPlan | null; leaf(plan: SelectPlan | null): RangeLeaf } {
    const { selector } = expr;
    const times = this.times(selector, scope);
    const rangeMs = this.duration(expr.rangeMs, expr.rangeExpr);
    const asked = selector.smoothed ? 'smoothed' : selector.anchored ? 'anchored' : 'plain';
    return {
      plan: this.planSelect(times, scope, rangeMs, asked, scope.func),
      leaf: (plan) => {
        const form = plan?.form ?? asked;
        const range = plan?.rangeMs ?? rangeMs;
        const lookbackMs = plan?.lookbackMs ?? this.settings.lookbackMs;
        const before = form === 'plain' ? range : range + lookbackMs;
        const after = form === 'smoothed' ? lookbackMs : 0;
        const select = this.select(selector, times, scope, before, after, range, plan);
        return { select, times, rangeMs: range, lookbackMs, form };
      },
    };
  }

  /** `info(child, matchers)`: the info series are selected by name now and joined by identity when `child` is known. */
  info(
    child: VectorNode,
    matchers: readonly Matcher[],
    arg: Expr,
    scope: Scope,
    pos: PositionRange,
  ): VectorNode {
    const times = this.infoTimes(arg, scope);
    const plan = this.planSelect(times, scope, 0, 'plain', 'info');
    const lookbackMs = plan?.lookbackMs ?? this.settings.lookbackMs;
    const names = matchers.filter((matcher) => matcher.name === '__name__');
    const selected = [...matchers];
    if (names.length === 0) selected.push(createMatcher('=', '__name__', 'target_info'));
    else if (names.every((matcher) => matcher.isNegative))
      selected.push(createMatcher('=~', '__name__', '.+_info'));
    const last = times.referenceMs + (scope.grid.count - 1) * times.referenceStepMs;
    const hints = {
      minTimeMs: times.referenceMs - lookbackMs + 1,
      maxTimeMs: last,
      stepMs: scope.grid.stepMs,
      func: 'info',
      rangeMs: 0,
      withoutChunks: false,
      limit: 0,
    };
    return this.interner.node({
      kind: 'info',
      child,
      matchers: selected,
      infoSelect: this.interner.select(selected, plan === null ? hints : { ...hints, plan }, pos),
      times,
      lookbackMs,
      grid: scope.grid,
      pos,
      uses: 0,
    });
  }

  /** Info series are read at the times of the first selector in the argument: its `@` and all offsets around it. */
  private infoTimes(arg: Expr, scope: Scope): LeafTimes {
    const found = firstSelector(arg, []);
    let offsetMs = 0;
    for (const shift of found) {
      offsetMs += this.duration(shift.offsetMs, shift.offsetExpr, true);
      const pinned = shift.atMs !== null || shift.atBound !== null;
      if (pinned) {
        const times = this.times(shift, scope);
        return { ...times, referenceMs: times.referenceMs - (offsetMs - times.offsetMs), offsetMs };
      }
    }
    return {
      referenceMs: scope.grid.startMs - offsetMs,
      referenceStepMs: scope.grid.stepMs,
      offsetMs,
      sampleWeight: scope.weight,
    };
  }

  /** The expression of a subquery on its own grid: absolute multiples of its step that cover all windows. */
  subqueryChild(expr: Subquery, times: LeafTimes, rangeMs: number, scope: Scope, weight: number): VectorNode {
    const stepMs = this.duration(expr.stepMs, expr.stepExpr) || this.settings.evaluationIntervalMs;
    const lower = times.referenceMs - rangeMs;
    const end = times.referenceMs + (scope.grid.count - 1) * times.referenceStepMs;
    let startMs = stepMs * Math.trunc(lower / stepMs);
    if (startMs <= lower) startMs += stepMs;
    const count = Math.floor((end - startMs) / stepMs) + 1;
    const grid = { startMs, stepMs, count: Math.max(0, count) };
    const inner: Scope = { grid, inParam: false, weight, func: '', isStatistics: false };
    return count <= 0 ? this.empty(inner, expr.pos) : this.vector(expr.expr, inner);
  }
}

/** The first selector in an expression and the subqueries around it, innermost first; empty when there is none. */
function firstSelector(expr: Expr, around: readonly TimeShift[]): readonly TimeShift[] {
  switch (expr.kind) {
    case 'vectorSelector':
      return [expr, ...around];
    case 'matrixSelector':
      return [expr.selector, ...around];
    case 'subquery':
      return firstSelector(expr.expr, [expr, ...around]);
    case 'paren':
    case 'unary':
    case 'aggregate':
      return firstSelector(expr.expr, around);
    case 'binary': {
      const left = firstSelector(expr.lhs, around);
      return left.length > 0 ? left : firstSelector(expr.rhs, around);
    }
    case 'call':
      for (const arg of expr.args) {
        const found = firstSelector(arg, around);
        if (found.length > 0) return found;
      }
      return [];
    default:
      return [];
  }
}

/** The arguments of a call by index, for callers that rely on the type check. */
export function argument(call: Call, index: number): Expr {
  const arg = call.args[index];
  assert(arg !== undefined, 'the type check counted the arguments');
  return arg;
}
