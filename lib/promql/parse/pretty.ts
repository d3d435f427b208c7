import type { Expr } from './ast.js';
import { formatAggregateHead, formatExpr, formatOperator, formatSubquerySuffix } from './format.js';

/** A node whose one-line form has more bytes is split over lines. */
const LINE_BYTES_MAX = 100;

/** Prints an expression over several lines where it is long, as the `format_query` endpoint does. */
export function prettyExpr(expr: Expr): string {
  return pretty(expr, 0);
}

function pretty(expr: Expr, level: number): string {
  const indent = '  '.repeat(level);
  const line = formatExpr(expr);
  const isShort = Buffer.byteLength(line) <= LINE_BYTES_MAX;
  switch (expr.kind) {
    case 'aggregate': {
      if (isShort) return indent + line;
      const param = expr.param === null ? '' : `${pretty(expr.param, level + 1)},\n`;
      return `${indent}${formatAggregateHead(expr)}(\n${param}${pretty(expr.expr, level + 1)}\n${indent})`;
    }
    case 'binary': {
      if (isShort) return indent + line;
      const lhs = pretty(expr.lhs, level + 1);
      return `${lhs}\n${indent}${formatOperator(expr)}\n${pretty(expr.rhs, level + 1)}`;
    }
    case 'call': {
      if (isShort) return indent + line;
      const args = expr.args.map((arg) => pretty(arg, level + 1)).join(',\n');
      return `${indent}${expr.func}(\n${args}\n${indent})`;
    }
    case 'paren':
      return isShort ? indent + line : `${indent}(\n${pretty(expr.expr, level + 1)}\n${indent})`;
    case 'subquery':
      // Prometheus forgets the indent of a short one; its output is the reference here.
      return isShort ? line : pretty(expr.expr, level) + formatSubquerySuffix(expr);
    case 'unary':
      return indent + expr.op + pretty(expr.expr, level).trim();
    default:
      return indent + line;
  }
}
