export { BlockStore, type BlockStoreOptions, removeHeaders } from './block-store.js';
export { type BlockPlace, BucketBlock } from './bucket-block.js';
export { buildIndexHeader, type IndexHeader, openIndexHeader, readIndexHeader } from './index-header.js';
export {
  type BlockCacheBytes,
  type BlockCaches,
  makeBlockCaches,
  PageCache,
  type PageCacheCounts,
} from './page-cache.js';
export { QueryReads, type QueryReadsOptions, type ReadCounts, type ReadKind } from './query-reads.js';
export { DEFAULT_FETCH_OPTIONS, type FetchOptions, RangeFetcher } from './range-fetcher.js';
