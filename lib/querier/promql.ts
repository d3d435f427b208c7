import { VarveError } from '../errors/index.js';
import { createQueryEngine, type EngineOptions, type QueryEngine } from '../promql/exec/index.js';
import { type ParserOptions, parseExpr, parseMetricSelector } from '../promql/parse/index.js';
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
    format: (query) => {
      parseExpr(query, options);
      throw missing('format_query');
    },
    toTree: (query) => {
      parseExpr(query, options);
      throw missing('parse_query');
    },
  };
}

function missing(endpoint: string): VarveError {
  return new VarveError('unavailable', 'endpoint-missing', `this build has no ${endpoint}`);
}
