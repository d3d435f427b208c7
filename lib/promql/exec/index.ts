export type * from './engine.js';
export { createQueryEngine } from './query-engine.js';
