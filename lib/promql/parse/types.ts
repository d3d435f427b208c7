import type { Expr, ValueType } from './ast.js';
import { FUNCTIONS } from './functions.js';

/** Type of the value an expression evaluates to. */
export function valueTypeOf(expr: Expr): ValueType {
  switch (expr.kind) {
    case 'number':
      return 'scalar';
    case 'string':
      return 'string';
    case 'vectorSelector':
    case 'aggregate':
      return 'vector';
    case 'matrixSelector':
    case 'subquery':
      return 'matrix';
    case 'paren':
    case 'unary':
      return valueTypeOf(expr.expr);
    case 'call':
      return FUNCTIONS.get(expr.func)?.returnType ?? 'none';
    case 'binary':
      return isScalar(expr.lhs) && isScalar(expr.rhs) ? 'scalar' : 'vector';
  }
}

function isScalar(expr: Expr): boolean {
  return valueTypeOf(expr) === 'scalar';
}

/** The word error texts use for a type: `instant vector`, `range vector`, `scalar`, `string`, `none`. */
export function typeWords(type: ValueType): string {
  if (type === 'vector') return 'instant vector';
  return type === 'matrix' ? 'range vector' : type;
}
