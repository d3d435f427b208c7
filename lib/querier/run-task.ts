import type { Exchange } from '../http/index.js';
import type { WorkerPool } from '../workers/index.js';
import type { SourceSnapshot } from './sources.js';
import type { QueryTask, TaskAnswer } from './task.js';

/** Runs a task in a thread; a client that leaves cancels it. @param snapshot released when no thread reads it any more */
export async function runTask(
  pool: WorkerPool,
  exchange: Exchange,
  tenant: string,
  task: QueryTask,
  timeoutMs: number,
  snapshot: SourceSnapshot | null,
): Promise<TaskAnswer> {
  const controller = new AbortController();
  exchange.onDisconnect(() => controller.abort());
  return (await pool.run(tenant, task, {
    timeoutMs,
    signal: controller.signal,
    attachments: snapshot?.attachments ?? [],
    onReleased: () => snapshot?.release(),
  })) as TaskAnswer;
}
