import { publishBlock, uploadBlock } from '../blocktransfer/index.js';
import type { Bucket } from '../bucket/index.js';
import { blockPrefix, markCopyName, markName, metaName } from '../bucketindex/index.js';
import { type BlockMeta, readBlockMeta, type ThanosMeta } from '../tsdb/block/index.js';
import type { LocalBlock } from './local-blocks.js';

/**
 * How a block stands in the bucket:
 * - `absent`: there is no meta.json, so it was never stored or is gone without a trace
 * - `complete`: meta.json and all files in their sizes
 * - `damaged`: meta.json, but a file is missing or has another size
 * - `deleted`: marked for deletion, or its deletion is under way
 */
export type StoredState = 'absent' | 'complete' | 'damaged' | 'deleted';

/** Asks the bucket how a block stands there: three requests, and one more per file of a complete one. */
export async function storedState(bucket: Bucket, block: LocalBlock): Promise<StoredState> {
  const { tenant, ulid } = block;
  // The copy of the mark is written first and deleted last.
  for (const name of [markCopyName(tenant, ulid, 'deletion'), markName(tenant, ulid, 'deletion')]) {
    if ((await bucket.stat(name)) !== null) return 'deleted';
  }
  if ((await bucket.stat(metaName(tenant, ulid))) === null) return 'absent';
  for (const { path, byteCount } of block.files) {
    const found = await bucket.stat(blockPrefix(tenant, ulid) + path);
    if (found === null || found.byteCount !== byteCount) return 'damaged';
  }
  return 'complete';
}

/**
 * Stores a block: chunks, index, and last meta.json with what Thanos and Cortex expect in it. A block that was stored
 * in part is stored anew under the same names with the same content.
 * @param onBytes called with the size of each file that was stored
 */
export async function storeBlock(
  bucket: Bucket,
  block: LocalBlock,
  nowMs: number,
  signal: AbortSignal,
  onBytes: (byteCount: number) => void,
): Promise<void> {
  const { tenant, ulid, directory } = block;
  const meta = readBlockMeta(directory);
  const files = await uploadBlock(bucket, tenant, directory, ulid, signal, onBytes);
  signal.throwIfAborted();
  await publishBlock(bucket, tenant, withThanos(meta), files, nowMs);
}

/** What blocks of an ingester say of themselves in Cortex, Mimir and Thanos alike. */
const RECEIVED: ThanosMeta = { version: 1, labels: {}, downsample: { resolution: 0 }, source: 'receive' };

function withThanos(meta: BlockMeta): BlockMeta {
  return meta.thanos === undefined ? { ...meta, thanos: RECEIVED } : meta;
}
