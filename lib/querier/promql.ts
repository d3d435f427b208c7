import { createQueryEngine, type EngineOptions, type QueryEngine } from '../promql/exec/index.js';
import {
  exprToJson,
  type ParserOptions,
  parseExpr,
  parseMetricSelector,
  prettyExpr,
} from '../promql/parse/index.js';
import type { Language } from './executor.js';

/** The one place where the querier takes hold of the query language. */

/** The engine of a query thread. */
export function makeEngine(options: EngineOptions): QueryEngine {
  return createQueryEngine(options);
}

/** Selectors, checks, layout and syntax trees of the query language. */
export function makeLanguage(options: ParserOptions): Language {
  return {
    parseSelector: parseMetricSelector,
    check: (query) => void parseExpr(query, options),
    format: (query) => prettyExpr(parseExpr(query, options)),
    toTree: (query) => exprToJson(parseExpr(query, options)),
  };
}
