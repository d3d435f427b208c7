export { encodeChunks, MemoryQueryable } from './memory-queryable.js';
export { type EvalOutcome, type RunnerOptions, ScriptRunner, type ScriptStorage } from './runner.js';
