import type { Matcher } from '../matcher/index.js';
import { type Expr, type ParserOptions, parseExpr } from '../promql/parse/index.js';

/** Nodes of a small query: each may hold as many values as the selectors allow. */
const NODES_MAX = 16;
const SELECTORS_MAX = 2;
const AGGREGATIONS: ReadonlySet<string> = new Set([
  'sum',
  'avg',
  'min',
  'max',
  'count',
  'group',
  'topk',
  'bottomk',
]);
/** Functions whose work per sample and step is small and does not grow with the range. */
const FUNCTIONS: ReadonlySet<string> = new Set([
  ...['rate', 'increase', 'delta', 'irate', 'idelta', 'changes', 'resets'],
  ...['min_over_time', 'max_over_time', 'last_over_time', 'count_over_time', 'present_over_time'],
  ...['abs', 'ceil', 'floor', 'round', 'clamp', 'clamp_min', 'clamp_max', 'timestamp', 'sort', 'sort_desc'],
  ...['time', 'vector', 'scalar', 'absent'],
]);

/**
 * The matchers of every selector of a query whose cost can be told from the number of its series and steps; null for any
 * other query, also for one that can't be parsed.
 */
export function smallSelectors(query: string, options: ParserOptions): (readonly Matcher[])[] | null {
  let root: Expr;
  try {
    root = parseExpr(query, options);
  } catch {
    return null; // Told by whoever runs it.
  }
  const found: (readonly Matcher[])[] = [];
  let nodes = 0;
  const isSmall = (expr: Expr, isArgument: boolean): boolean => {
    if (++nodes > NODES_MAX) return false;
    switch (expr.kind) {
      case 'number':
        return true;
      case 'vectorSelector':
        return found.push(expr.matchers) <= SELECTORS_MAX;
      case 'matrixSelector':
        return isArgument && found.push(expr.selector.matchers) <= SELECTORS_MAX;
      case 'paren':
      case 'unary':
        return isSmall(expr.expr, false);
      case 'binary':
        return isSmall(expr.lhs, false) && isSmall(expr.rhs, false);
      case 'call':
        return FUNCTIONS.has(expr.func) && expr.args.every((argument) => isSmall(argument, true));
      case 'aggregate':
        return (
          AGGREGATIONS.has(expr.op) &&
          (expr.param === null || isSmall(expr.param, false)) &&
          isSmall(expr.expr, false)
        );
      default:
        return false;
    }
  };
  return isSmall(root, false) ? found : null;
}
