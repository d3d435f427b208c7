export { encodePoints } from './encode-points.js';
export { type Chunk as TestChunk, encodeChunks, MemoryQueryable } from './memory-queryable.js';
export { type EvalOutcome, type RunnerOptions, ScriptRunner } from './runner.js';
export type { Point } from './script.js';
