import type { ChunkArena } from '../../storage/index.js';
import type { IndexReader, ListRange } from '../index/index.js';
import type { CopiedChunks } from './chunk-reader.js';
import type { BlockMeta } from './meta.js';
import type { Tombstones } from './tombstones.js';

/** A block that can be queried, wherever it lies. */
export interface QueriedBlock {
  readonly meta: BlockMeta;
  /** What one select reads the block through. */
  view(): BlockView;
}

/**
 * A block as one select sees it. The index is read synchronously; what is going to be read is announced to the loader,
 * where there is one, so that a block that lies elsewhere can fetch it first.
 */
export interface BlockView {
  readonly meta: BlockMeta;
  readonly index: IndexReader;
  readonly tombstones: Tombstones;
  readonly loader: BlockLoader | null;
  /**
   * Copies the first `count` chunks into an arena.
   * @throws CorruptionError
   */
  copyChunks(refs: Float64Array, count: number, arena: ChunkArena): CopiedChunks | Promise<CopiedChunks>;
}

/** Makes parts of an index readable. */
export interface BlockLoader {
  /** What fetching one more series costs, in bytes of postings that it may save. */
  readonly seriesBytes: number;
  postings(lists: readonly ListRange[]): Promise<void>;
  /** Replaces the series loaded before. Refs ascend. */
  series(refs: Uint32Array): Promise<void>;
}
