export type { LabelSet } from '../../labels/index.js';
export type { QueryEngine, QueryRequest, QueryResult } from '../exec/index.js';
export { encodeChunks, MemoryQueryable } from './memory-queryable.js';
export { type EvalOutcome, type RunnerOptions, ScriptRunner, type ScriptStorage } from './runner.js';
