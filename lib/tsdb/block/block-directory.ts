import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CREATION_SUFFIX, DELETION_SUFFIX } from './block-writer.js';
import { isBlockName } from './meta.js';

/** Names of the blocks in a directory, oldest creation first. Everything else in it is passed over. */
export function listBlocks(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && isBlockName(entry.name))
    .map((entry) => entry.name)
    .sort();
}

/** Deletes what a crash left of blocks being written or deleted. Call on start, before anything writes. */
export function removeUnfinishedBlocks(directory: string): string[] {
  const removed: string[] = [];
  for (const name of readdirSync(directory)) {
    const suffix = [CREATION_SUFFIX, DELETION_SUFFIX, '.tmp'].find((ending) => name.endsWith(ending));
    if (suffix === undefined || !isBlockName(name.slice(0, -suffix.length))) continue;
    rmSync(join(directory, name), { recursive: true, force: true });
    removed.push(name);
  }
  return removed;
}
