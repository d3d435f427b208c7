import { Readable } from 'node:stream';
import { type Bucket, isObjectNotFound } from '../bucket/index.js';
import { blockPrefix, metaName } from '../bucketindex/index.js';
import { VarveError } from '../errors/index.js';
import type { BlockFile } from './transfer.js';

/** Bytes fetched by one request: two of them are in memory. */
const RANGE_BYTES = 8 * 1024 * 1024;

/** A block in a bucket. */
export interface BlockAddress {
  readonly bucket: Bucket;
  readonly tenant: string;
  readonly ulid: string;
}

/** What a copy found: the block was there already, or was brought over, wholly or what was missing. */
export type CopyResult = 'present' | 'copied';

/**
 * Copies a block from bucket to bucket, meta.json last and as it is. Files of the right size that are there already are
 * left: blocks do not change and objects appear whole, so an interrupted copy is gone on with.
 * @param files of the source, with meta.json
 * @param onBytes called with each piece that was read
 * @throws VarveError client `block-differs` when the target has another block of that name
 */
export async function copyBlock(
  source: BlockAddress,
  files: readonly BlockFile[],
  target: BlockAddress,
  signal: AbortSignal,
  onBytes: (byteCount: number) => void,
): Promise<CopyResult> {
  const meta = await source.bucket.get(metaName(source.tenant, source.ulid));
  const targetMeta = metaName(target.tenant, target.ulid);
  const present = await getIfThere(target.bucket, targetMeta);
  if (present !== null && !Buffer.from(present).equals(meta)) {
    throw new VarveError('client', 'block-differs', `${targetMeta} is there already, with other content`, {
      details: { object: targetMeta },
    });
  }
  let missing = 0;
  for (const { path, byteCount } of files) {
    if (path === 'meta.json') continue;
    signal.throwIfAborted();
    const to = blockPrefix(target.tenant, target.ulid) + path;
    if ((await target.bucket.stat(to))?.byteCount === byteCount) continue;
    missing++;
    const from = blockPrefix(source.tenant, source.ulid) + path;
    await copyObject(source.bucket, from, byteCount, target.bucket, to, signal, onBytes);
  }
  if (present !== null && missing === 0) return 'present';
  await target.bucket.put(targetMeta, meta);
  return 'copied';
}

async function copyObject(
  source: Bucket,
  from: string,
  byteCount: number,
  target: Bucket,
  to: string,
  signal: AbortSignal,
  onBytes: (byteCount: number) => void,
): Promise<void> {
  if (byteCount <= RANGE_BYTES) {
    const bytes = await source.get(from);
    checkLength(from, byteCount, bytes.length);
    onBytes(bytes.length);
    await target.put(to, bytes);
    return;
  }
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    for (let offset = 0; offset < byteCount; offset += RANGE_BYTES) {
      signal.throwIfAborted();
      const length = Math.min(RANGE_BYTES, byteCount - offset);
      const bytes = await source.getRange(from, offset, length);
      checkLength(from, length, bytes.length);
      onBytes(length);
      yield bytes;
    }
  };
  await target.put(to, Readable.from(pieces(), { objectMode: true, highWaterMark: 1 }));
}

function checkLength(name: string, expected: number, found: number): void {
  if (expected === found) return;
  throw new VarveError('unavailable', 'object-changed', `${name} changed while it was read`, {
    details: { object: name, expected, found },
  });
}

/** An object's bytes; null when there is none. */
export async function getIfThere(bucket: Bucket, name: string): Promise<Uint8Array | null> {
  try {
    return await bucket.get(name);
  } catch (error) {
    if (isObjectNotFound(error)) return null;
    throw error;
  }
}
