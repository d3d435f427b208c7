import { VarveError } from '../errors/index.js';
import type { EngineOptions, QueryEngine } from '../promql/exec/index.js';
import type { ParserOptions } from '../promql/parse/index.js';
import type { Language } from './executor.js';

/** The one place where the querier takes hold of the query language. */

/** The engine of a query thread. */
export function makeEngine(_options: EngineOptions): QueryEngine {
  return { execute: () => Promise.reject(missing()) };
}

/** Selectors, layout and syntax trees of the query language. */
export function makeLanguage(_options: ParserOptions): Language {
  const refuse = (): never => {
    throw missing();
  };
  return { parseSelector: refuse, format: refuse, toTree: refuse };
}

function missing(): VarveError {
  return new VarveError('unavailable', 'promql-missing', 'this build cannot evaluate PromQL');
}
