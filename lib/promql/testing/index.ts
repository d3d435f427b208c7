export { EMPTY_LAYOUT, FloatHistogram, type HistogramJson, histogramJson } from '../../histogram/index.js';
export type { LabelSet } from '../../labels/index.js';
export type { QueryEngine, QueryRequest, QueryResult } from '../exec/index.js';
export { encodePoints } from './encode-points.js';
export { type Chunk as TestChunk, encodeChunks, MemoryQueryable } from './memory-queryable.js';
export {
  type Almost,
  type EvalOutcome,
  type RunnerOptions,
  ScriptRunner,
  ScriptSkip,
  type ScriptStorage,
  type ScriptSystem,
} from './runner.js';
export type { Point } from './script.js';
