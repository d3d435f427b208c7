import type { Exchange } from '../http/index.js';
import type { WorkerPool } from '../workers/index.js';
import type { SourceSnapshot } from './sources.js';
import type { BlockReads, QueryTask, TaskAnswer } from './task.js';

/** What running tasks takes. */
export interface TaskParts {
  readonly pool: WorkerPool;
  /** Told what each task read of blocks in the bucket. */
  readonly onReads?: (reads: BlockReads) => void;
}

/** Runs a task in a thread; a client that leaves cancels it. @param snapshot released when no thread reads it any more */
export async function runTask(
  { pool, onReads }: TaskParts,
  exchange: Exchange,
  tenant: string,
  task: QueryTask,
  timeoutMs: number,
  snapshot: SourceSnapshot | null,
): Promise<TaskAnswer> {
  const controller = new AbortController();
  exchange.onDisconnect(() => controller.abort());
  const answer = (await pool.run(tenant, task, {
    timeoutMs,
    signal: controller.signal,
    attachments: snapshot?.attachments ?? [],
    onReleased: () => snapshot?.release(),
  })) as TaskAnswer;
  if (answer.reads != null) onReads?.(answer.reads);
  return answer;
}
