import { parentPort, workerData } from 'node:worker_threads';
import { messageOf, VarveError } from '../errors/index.js';
import { cutBlocks, HeadMemory } from '../tsdb/head/index.js';
import { removeReplaced, writeCheckpoint } from '../tsdb/wal/index.js';
import type { CutReply, CutTask } from './cut-protocol.js';

/** Thread that writes blocks and checkpoints, so that ingestion and queries go on. One task per thread. */
function run(task: CutTask): CutReply {
  if (task.kind === 'cut')
    return { kind: 'cut', blocks: cutBlocks(task.memory, task.directory, task.rangeMs, task.upToMs) };
  const head = new HeadMemory(task.memory);
  head.begin();
  const stats = writeCheckpoint({
    directory: task.walDirectory,
    upTo: task.upTo,
    minTime: task.minTimeMs,
    keepsSeries: (ref) => head.isKnown(ref),
  });
  removeReplaced(task.walDirectory, task.upTo);
  return { kind: 'checkpoint', samplesKept: stats.samplesKept, samplesDropped: stats.samplesDropped };
}

/** What a disk says that is full or out of order. */
const DISK_ERRORS: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO']);

function isDiskError(thrown: unknown): boolean {
  return DISK_ERRORS.has((thrown as NodeJS.ErrnoException | null)?.code ?? '');
}

let reply: CutReply;
try {
  reply = run(workerData as CutTask);
} catch (thrown) {
  reply = {
    kind: 'error',
    message: messageOf(thrown),
    code: thrown instanceof VarveError ? thrown.code : 'internal',
    isDisk: isDiskError(thrown),
  };
}
parentPort?.postMessage(reply);
