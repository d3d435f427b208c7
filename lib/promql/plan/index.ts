export type * from './node.js';
export { type PlanSettings, planQuery } from './planner.js';
