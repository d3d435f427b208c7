import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bucket } from '../bucket/index.js';
import { blockPrefix, metaName } from '../bucketindex/index.js';
import { type BlockMeta, parseBlockMeta } from '../tsdb/block/index.js';
import { getIfThere } from './copy.js';
import type { BlockFile } from './transfer.js';

const COMPARE_BYTES = 4 * 1024 * 1024;

/** Chunk segments and index of a local block with their sizes, in the order in which they are stored. */
export async function listLocalFiles(directory: string): Promise<BlockFile[]> {
  const segments = (await readdir(join(directory, 'chunks'))).filter((name) => /^\d{6}$/.test(name)).sort();
  const paths = [...segments.map((name) => `chunks/${name}`), 'index'];
  const sizes = await Promise.all(paths.map(async (path) => (await stat(join(directory, path))).size));
  return paths.map((path, i) => ({ path, byteCount: sizes[i]! }));
}

/**
 * Looks whether a local block stands in the bucket: with the same times and counts, files of the same sizes, and an
 * index of the same bytes, which holds all labels, times and places. Chunks are not read: the index would have to be
 * another one if they held other times.
 * @returns `absent` also for a partial block; else `same`, or what differs
 * @throws CorruptionError when the meta.json in the bucket cannot be read
 */
export async function compareWithBucket(
  bucket: Bucket,
  tenant: string,
  directory: string,
  meta: BlockMeta,
): Promise<'absent' | 'same' | { readonly difference: string }> {
  const name = metaName(tenant, meta.ulid);
  const bytes = await getIfThere(bucket, name);
  if (bytes === null) return 'absent';
  const stored = parseBlockMeta(Buffer.from(bytes).toString('utf8'), name);
  for (const field of ['minTime', 'maxTime'] as const) {
    if (stored[field] !== meta[field])
      return { difference: `${field} is ${stored[field]}, not ${meta[field]}` };
  }
  for (const field of ['numSeries', 'numChunks', 'numSamples'] as const) {
    const [there, here] = [stored.stats[field] ?? 0, meta.stats[field] ?? 0];
    if (there !== here) return { difference: `${field} is ${there}, not ${here}` };
  }
  const files = await listLocalFiles(directory);
  for (const { path, byteCount } of files) {
    const found = await bucket.stat(blockPrefix(tenant, meta.ulid) + path);
    if (found === null) return { difference: `${path} is missing` };
    if (found.byteCount !== byteCount)
      return { difference: `${path} has ${found.byteCount} bytes, not ${byteCount}` };
  }
  const index = `${blockPrefix(tenant, meta.ulid)}index`;
  const offset = await firstDifference(bucket, index, join(directory, 'index'), files.at(-1)!.byteCount);
  return offset === null ? 'same' : { difference: `index differs from offset ${offset} on` };
}

/** Where an object and a file of the same size begin to differ, to the piece that is compared at once; null: nowhere. */
async function firstDifference(
  bucket: Bucket,
  name: string,
  path: string,
  byteCount: number,
): Promise<number | null> {
  const file = await open(path, 'r');
  try {
    for (let offset = 0; offset < byteCount; offset += COMPARE_BYTES) {
      const length = Math.min(COMPARE_BYTES, byteCount - offset);
      const there = await bucket.getRange(name, offset, length);
      const here = Buffer.allocUnsafe(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await file.read(here, filled, length - filled, offset + filled);
        if (bytesRead === 0) return offset;
        filled += bytesRead;
      }
      if (!here.equals(there)) return offset;
    }
    return null;
  } finally {
    await file.close();
  }
}
