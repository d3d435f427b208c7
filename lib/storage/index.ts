export type {
  AppendReport,
  BatchAppender,
  HistogramSample,
  SampleExample,
  SeriesAdmission,
} from './appender.js';
export { ArrayArena } from './array-arena.js';
export { mergeQueryables, polled } from './merge.js';
export { mergeSeriesSets } from './merge-series.js';
export type {
  ChunkArena,
  LabelQuery,
  Queryable,
  SelectHints,
  SelectPlan,
  SelectWindows,
  SeriesSet,
  Symbols,
  WindowForm,
} from './queryable.js';
export { CHUNK_ENCODING } from './queryable.js';
