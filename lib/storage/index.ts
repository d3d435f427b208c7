export type {
  ChunkArena,
  LabelQuery,
  Queryable,
  SelectHints,
  SeriesSet,
  Symbols,
} from './queryable.js';
export { CHUNK_ENCODING } from './queryable.js';
