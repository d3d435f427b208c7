export { Head, type HeadView, type ReaderHold } from './head.js';
export { type CutBlock, cutBlocks } from './head-cut.js';
export { HeadMemory } from './head-memory.js';
export { HeadReader } from './head-reader.js';
export type { HeadStatistics, NamedNumber } from './head-stats.js';
export { SelectionCache } from './selection-cache.js';
