import type { Expr } from '../parse/index.js';

/** Functions whose result depends on the evaluation time itself. */
const TIME_DEPENDENT = new Set([
  'days_in_month',
  'day_of_month',
  'day_of_week',
  'day_of_year',
  'end',
  'hour',
  'minute',
  'month',
  'year',
  'predict_linear',
  'range',
  'start',
  'step',
  'time',
  'timestamp',
]);

/** Removes parentheses around an expression. */
export function unwrap(expr: Expr): Expr {
  let inner = expr;
  while (inner.kind === 'paren') inner = inner.expr;
  return inner;
}

/**
 * Decides which sub-expressions have the same value at every step: every selector in them is pinned by `@`, and no
 * function looks at the time. The parameter of an aggregation does not count.
 */
export class Invariance {
  private readonly known = new Map<Expr, boolean>();

  isInvariant(expr: Expr): boolean {
    const cached = this.known.get(expr);
    if (cached !== undefined) return cached;
    const result = this.decide(expr);
    this.known.set(expr, result);
    return result;
  }

  private decide(expr: Expr): boolean {
    switch (expr.kind) {
      case 'number':
      case 'string':
        return true;
      case 'vectorSelector':
        return expr.atMs !== null || expr.atBound !== null;
      case 'matrixSelector':
        return this.isInvariant(expr.selector);
      case 'subquery':
        // The points of a pinned subquery do not move, whatever its expression does inside.
        return expr.atMs !== null || expr.atBound !== null;
      case 'paren':
      case 'unary':
        return this.isInvariant(expr.expr);
      case 'aggregate':
        return this.isInvariant(expr.expr);
      case 'binary':
        return this.isInvariant(expr.lhs) && this.isInvariant(expr.rhs);
      case 'call':
        return this.decideCall(expr);
    }
  }

  private decideCall(expr: Extract<Expr, { kind: 'call' }>): boolean {
    if (TIME_DEPENDENT.has(expr.func)) {
      const first = expr.args[0];
      return (
        expr.func === 'timestamp' &&
        first !== undefined &&
        unwrap(first).kind === 'vectorSelector' &&
        this.isInvariant(first)
      );
    }
    return expr.args.every((arg) => this.isInvariant(arg));
  }
}

/** True for expressions that need no evaluation: they are never worth pinning. */
export function isLiteral(expr: Expr): boolean {
  const inner = unwrap(expr);
  return inner.kind === 'number' || inner.kind === 'string';
}
