export { FairQueue } from './fair-queue.js';
export { type RunOptions, WorkerPool, type WorkerPoolOptions } from './pool.js';
export type { Attachment } from './protocol.js';
export {
  attachment,
  callForHelp,
  serveTasks,
  type TaskContext,
  type TaskResult,
  workerPlace,
  workerSetupData,
} from './serve.js';
