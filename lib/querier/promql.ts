import type { Matcher } from '../matcher/index.js';
import {
  createQueryEngine,
  type EngineOptions,
  type HelpDesk,
  type QueryEngine,
} from '../promql/exec/index.js';
import {
  type Expr,
  exprToJson,
  type ParserOptions,
  parseExpr,
  parseMetricSelector,
  prettyExpr,
} from '../promql/parse/index.js';
import type { Language } from './executor.js';

/** The one place where the querier takes hold of the query language. */

/** The engine of a query thread. */
export function makeEngine(options: EngineOptions, desk: HelpDesk | null = null): QueryEngine {
  return createQueryEngine(options, desk);
}

/** Selectors, checks, layout and syntax trees of the query language. */
export function makeLanguage(options: ParserOptions): Language {
  return {
    parseSelector: parseMetricSelector,
    selectors: (query) => selectorsOf(parseExpr(query, options)),
    format: (query) => prettyExpr(parseExpr(query, options)),
    toTree: (query) => exprToJson(parseExpr(query, options)),
  };
}

/** Matchers of every selector, from left to right. */
function selectorsOf(root: Expr): (readonly Matcher[])[] {
  const found: (readonly Matcher[])[] = [];
  const visit = (expr: Expr): void => {
    switch (expr.kind) {
      case 'vectorSelector':
        found.push(expr.matchers);
        break;
      case 'matrixSelector':
        found.push(expr.selector.matchers);
        break;
      case 'subquery':
      case 'paren':
      case 'unary':
        visit(expr.expr);
        break;
      case 'binary':
        visit(expr.lhs);
        visit(expr.rhs);
        break;
      case 'call':
        expr.args.forEach(visit);
        break;
      case 'aggregate':
        if (expr.param !== null) visit(expr.param);
        visit(expr.expr);
        break;
      case 'number':
      case 'string':
        break;
    }
  };
  visit(root);
  return found;
}
