import { join } from 'node:path';
import { messageOf, VarveError } from '../errors/index.js';
import { APPLIED_FIELD, type BlockMeta, toDeletionMasks, verifyBlock } from '../tsdb/block/index.js';
import { compactBlocks } from '../tsdb/compact/index.js';
import { downsampleBlocks } from '../tsdb/downsample/index.js';
import type { EngineTask } from './engine.js';

/** Larger results are not read again: the check keeps a map of all label pairs in memory. */
const VERIFY_SERIES_MAX = 250_000;

/**
 * Makes the block of a task, in the calling thread.
 * @param isCancelled asked many times a second
 */
export async function runTask(
  task: EngineTask,
  isCancelled: () => boolean,
  onProgress: (fraction: number) => void,
): Promise<BlockMeta | null> {
  const { sources, directory, ulid, applied } = task;
  const extensions = applied.length === 0 ? {} : { [APPLIED_FIELD]: applied };
  if (task.kind === 'downsample') {
    return downsampleBlocks(sources, {
      parentDirectory: directory,
      ulid,
      extensions,
      level: task.levelMin,
      onProgress: ({ seriesDone, seriesTotal }) => {
        if (isCancelled()) throw new VarveError('cancelled', 'compact-cancelled', 'it was cancelled');
        onProgress(seriesTotal === 0 ? 0 : Math.min(1, seriesDone / seriesTotal));
      },
    });
  }
  const controller = new AbortController();
  const { meta } = await compactBlocks(sources, {
    directory,
    ulid,
    externalLabels: task.labels,
    thanosExtensions: extensions,
    masks: toDeletionMasks(task.masks),
    signal: controller.signal,
    onProgress: ({ bytesRead, sourceBytesTotal }) => {
      if (isCancelled()) controller.abort();
      else onProgress(sourceBytesTotal === 0 ? 0 : Math.min(1, bytesRead / sourceBytesTotal));
    },
  });
  if (meta !== null && (meta.stats.numSeries ?? 0) <= VERIFY_SERIES_MAX) verifyResult(join(directory, ulid));
  return meta;
}

function verifyResult(directory: string): void {
  try {
    verifyBlock(directory);
  } catch (error) {
    // Not a corruption: that would blame a source.
    throw new VarveError('internal', 'compaction-result', `the result is wrong: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
