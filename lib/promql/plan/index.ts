export type * from './node.js';
export { isComparison, type PlanSettings, planQuery, valueType } from './planner.js';
