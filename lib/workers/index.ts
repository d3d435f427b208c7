export { FairQueue } from './fair-queue.js';
export { type RunOptions, WorkerPool, type WorkerPoolOptions } from './pool.js';
export { serveTasks, type TaskContext, type TaskResult, workerSetupData } from './serve.js';
