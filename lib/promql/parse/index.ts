export type * from './ast.js';
export { isComparison, isSetOperator } from './check.js';
export { FUNCTIONS } from './functions.js';
export { parseExpr, parseMetricSelector } from './parser.js';
export { typeWords, valueTypeOf } from './types.js';
