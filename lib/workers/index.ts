export { FairQueue } from './fair-queue.js';
export { MemoryTidy } from './memory-tidy.js';
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
export { lowerThreadPriority } from './thread-priority.js';
