export { Compactor, type CompactorOptions, type CompactorParts, type TenantView } from './compactor.js';
export { mountCompactor } from './compactor-api.js';
export { type Engine, type EngineTask, ThreadEngine } from './engine.js';
export type { Blocked, Job, JobKind } from './job.js';
export type { JobView } from './job-board.js';
export { type Lease, LeaseTaker } from './lease.js';
export { type Owners, SharedOwners, soleOwner } from './owners.js';
export { type Plan, type PlanInput, type PlanOptions, planTenant } from './plan.js';
export type { DownsampleSpans } from './plan-downsampling.js';
