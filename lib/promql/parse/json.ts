import type { DurationExpr, Expr, TimeShift, VectorMatching, VectorSelector } from './ast.js';
import { FUNCTIONS } from './functions.js';
import { formatPlain } from './numbers.js';

/** What JSON can hold. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** The tree as the `parse_query` endpoint returns it; keys in alphabetical order. */
export function exprToJson(expr: Expr): JsonValue {
  switch (expr.kind) {
    case 'number':
      return { type: 'numberLiteral', val: formatPlain(expr.value) };
    case 'string':
      return { type: 'stringLiteral', val: expr.value.toWellFormed() };
    case 'paren':
      return { expr: exprToJson(expr.expr), type: 'parenExpr' };
    case 'unary':
      return { expr: exprToJson(expr.expr), op: expr.op, type: 'unaryExpr' };
    case 'vectorSelector':
      return sorted({ ...selectorToJson(expr), type: 'vectorSelector' });
    case 'matrixSelector':
      return sorted({
        ...selectorToJson(expr.selector),
        range: expr.rangeMs,
        rangeExpr: durationToJson(expr.rangeExpr),
        type: 'matrixSelector',
      });
    case 'subquery':
      return sorted({
        ...shiftToJson(expr),
        expr: exprToJson(expr.expr),
        range: expr.rangeMs,
        rangeExpr: durationToJson(expr.rangeExpr),
        step: expr.stepMs,
        stepExpr: durationToJson(expr.stepExpr),
        type: 'subquery',
      });
    case 'call': {
      const { name, argTypes, variadic, returnType } = FUNCTIONS.get(expr.func)!;
      return {
        args: expr.args.map(exprToJson),
        func: { argTypes, name, returnType, variadic },
        type: 'call',
      };
    }
    case 'aggregate':
      return {
        expr: exprToJson(expr.expr),
        grouping: expr.grouping,
        op: expr.op,
        param: expr.param === null ? null : exprToJson(expr.param),
        type: 'aggregation',
        without: expr.without,
      };
    case 'binary':
      return {
        bool: expr.returnBool,
        lhs: exprToJson(expr.lhs),
        matching: expr.matching === null ? null : matchingToJson(expr.matching),
        op: expr.op,
        rhs: exprToJson(expr.rhs),
        type: 'binaryExpr',
      };
  }
}

function matchingToJson(matching: VectorMatching): JsonValue {
  return {
    card: matching.cardinality,
    fillValues: { lhs: matching.fillLeft, rhs: matching.fillRight },
    include: matching.include,
    labels: matching.labels,
    on: matching.on,
  };
}

function selectorToJson(expr: VectorSelector): Record<string, JsonValue> {
  return {
    ...shiftToJson(expr),
    anchored: expr.anchored,
    matchers: expr.matchers.map(({ name, type, value }) => ({
      name: name.toWellFormed(),
      type,
      value: value.toWellFormed(),
    })),
    name: expr.name,
    smoothed: expr.smoothed,
  };
}

function shiftToJson(shift: TimeShift): Record<string, JsonValue> {
  return {
    offset: shift.offsetMs,
    offsetExpr: durationToJson(shift.offsetExpr),
    startOrEnd: shift.atBound,
    timestamp: shift.atMs,
  };
}

function durationToJson(expr: DurationExpr | null): JsonValue {
  if (expr === null) return null;
  switch (expr.kind) {
    case 'number':
      return { duration: expr.isDuration, type: 'numberLiteral', val: formatPlain(expr.value) };
    case 'step':
    case 'range':
      return durationNode(expr.kind, null, null, false);
    case 'unary':
      // Parentheses around step() and range() are carried by a plus sign that the reference does not have.
      if (expr.op === '+' && (expr.expr.kind === 'step' || expr.expr.kind === 'range'))
        return durationNode(expr.expr.kind, null, null, expr.wrapped);
      return durationNode(expr.op, null, expr.expr, expr.wrapped);
    case 'binary':
      return durationNode(expr.op, expr.lhs, expr.rhs, expr.wrapped);
  }
}

function durationNode(
  op: string,
  lhs: DurationExpr | null,
  rhs: DurationExpr | null,
  wrapped: boolean,
): JsonValue {
  return { lhs: durationToJson(lhs), op, rhs: durationToJson(rhs), type: 'durationExpr', wrapped };
}

function sorted(object: Record<string, JsonValue>): JsonValue {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
}
