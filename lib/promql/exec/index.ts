export type * from './engine.js';
export { type HelpRequest, QueryHelper } from './parallel-helper.js';
export type { HelpDesk } from './parallel-session.js';
export { createQueryEngine } from './query-engine.js';
