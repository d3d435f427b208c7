import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { CorruptionError, messageOf } from '../errors/index.js';

/**
 * Remembers the last cut across a crash: samples before `timeMs` in log segments before `segment` are in blocks and are not
 * replayed. Written after the blocks are safe and before the head lets go of them.
 */
export interface CutMark {
  readonly segment: number;
  readonly timeMs: number;
}

const FILE = 'cut.json';

/** The mark in a tenant's folder, or null when nothing was ever cut. */
export async function readCutMark(directory: string): Promise<CutMark | null> {
  const path = join(directory, FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw thrown;
  }
  try {
    const { segment, timeMs } = JSON.parse(text) as { segment?: unknown; timeMs?: unknown };
    if (typeof segment !== 'number' || typeof timeMs !== 'number') throw new Error('no segment and timeMs');
    return { segment, timeMs };
  } catch (thrown) {
    throw new CorruptionError(
      'cut-mark-corrupt',
      `${path}: ${messageOf(thrown)}; delete the file to replay the whole log (samples already in blocks are then kept twice until compacted)`,
      { cause: thrown, details: { file: path } },
    );
  }
}

/** Replaces the mark, durably. */
export async function writeCutMark(directory: string, mark: CutMark): Promise<void> {
  const path = join(directory, FILE);
  const file = await open(`${path}.tmp`, 'w');
  try {
    await file.writeFile(JSON.stringify(mark));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.tmp`, path);
  const folder = await open(directory, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
