export type * from './ast.js';
export { isComparison, isSetOperator } from './check.js';
export { formatExpr } from './format.js';
export { FUNCTIONS } from './functions.js';
export { exprToJson, type JsonValue } from './json.js';
export { positionOf } from './parse-error.js';
export { parseExpr, parseMetricSelector } from './parser.js';
export { prettyExpr } from './pretty.js';
export { typeWords, valueTypeOf } from './types.js';
