import { BlockStore, DEFAULT_FETCH_OPTIONS, QueryReads } from '../blockstore/index.js';
import type { Bucket } from '../bucket/index.js';
import type { DeletionRule, KnownBlock } from '../bucketindex/index.js';
import { VarveError } from '../errors/index.js';
import { masksOfBlock, toDeletionMasks } from '../tsdb/block/index.js';

/** Memory for pages of the index. */
const INDEX_CACHE_BYTES = 16 * 1024 * 1024;

/**
 * Whether a block in the bucket has series with chunks that rules touch. Reads what it needs of the index, no chunks.
 * @param folder for the index-header; may be removed afterwards
 * @throws CorruptionError with `block` in its details
 */
export async function holdsDeleted(
  bucket: Bucket,
  tenant: string,
  block: KnownBlock,
  rules: readonly DeletionRule[],
  folder: string,
): Promise<boolean> {
  const { ulid, minTime, maxTime, facts } = block;
  const thanos = { labels: {}, downsample: { resolution: facts.resolution }, source: '' };
  const masks = masksOfBlock(toDeletionMasks(rules.flatMap((rule) => rule.masks)), {
    minTime,
    maxTime,
    thanos,
  });
  const store = new BlockStore({
    bucket,
    folder: null,
    cacheDirectory: folder,
    cacheBytes: { postings: INDEX_CACHE_BYTES, series: INDEX_CACHE_BYTES, chunks: 0 },
    fetch: DEFAULT_FETCH_OPTIONS,
    openBlocksMax: 1,
  });
  try {
    const source = await store.queryable({ prefix: `${tenant}/`, ulid }, new QueryReads());
    for (const mask of masks) {
      const found = await source.series({
        minTimeMs: mask.minTime,
        maxTimeMs: mask.maxTime,
        matcherSets: [mask.matchers],
        limit: 1,
      });
      if (found.length > 0) return true;
    }
    return false;
  } catch (error) {
    if (error instanceof VarveError && error.code === 'block-gone') {
      throw new VarveError('unavailable', 'block-vanished', error.message, { cause: error });
    }
    throw error;
  } finally {
    await store.close();
  }
}
