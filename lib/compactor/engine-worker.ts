import { parentPort, workerData } from 'node:worker_threads';
import { messageOf, VarveError } from '../errors/index.js';
import { lowerThreadPriority } from '../workers/index.js';
import type { EngineReply, EngineSetup } from './engine.js';
import { runTask } from './run-task.js';

/** Thread that makes one block and ends. */

/** Time between reports, ms. */
const REPORT_MS = 250;
/** Steps that it gives way to the threads that take and answer requests. */
const NICE_STEPS = 10;

const { task, cancelFlag } = workerData as EngineSetup;
const flag = new Int32Array(cancelFlag);
const post = (reply: EngineReply): void => parentPort?.postMessage(reply);
let reportedMs = 0;

lowerThreadPriority(NICE_STEPS);
try {
  const meta = await runTask(
    task,
    () => Atomics.load(flag, 0) !== 0,
    (fraction) => {
      const nowMs = performance.now();
      if (nowMs - reportedMs < REPORT_MS) return;
      reportedMs = nowMs;
      post({ kind: 'progress', fraction });
    },
  );
  post({ kind: 'done', meta });
} catch (thrown) {
  const { kind, code, details } =
    thrown instanceof VarveError
      ? thrown
      : { kind: 'internal' as const, code: 'compaction-failed', details: {} };
  post({ kind: 'failed', error: { kind, code, details, message: messageOf(thrown) } });
}
