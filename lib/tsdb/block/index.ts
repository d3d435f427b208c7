export { listBlocks, removeUnfinishedBlocks } from './block-directory.js';
export {
  BlockQueryable,
  type BlockQueryOptions,
  type ChunkConversion,
  type ConvertedChunk,
} from './block-queryable.js';
export { BlockReader } from './block-reader.js';
export type { BlockLoader, BlockView, QueriedBlock } from './block-view.js';
export {
  type BlockChunk,
  BlockWriter,
  type BlockWriterOptions,
  CREATION_SUFFIX,
  DELETION_SUFFIX,
} from './block-writer.js';
export {
  CHUNK_FRAME_BYTES,
  CHUNK_LENGTH_BYTES_MAX,
  CHUNKS_DIRECTORY,
  SEGMENT_HEADER_BYTES,
  SEGMENT_SCALE,
} from './chunk-format.js';
export { ChunkReader, type CopiedChunks, type ReadChunk } from './chunk-reader.js';
export { ChunkWriter } from './chunk-writer.js';
export {
  APPLIED_FIELD,
  appliedMasks,
  DeletedSpans,
  type DeletionMask,
  type MaskText,
  masksOfBlock,
  toDeletionMasks,
} from './masks.js';
export { matchPostings } from './match.js';
export {
  type BlockCompaction,
  type BlockMeta,
  type BlockParent,
  type BlockStats,
  blockCreationTime,
  encodeBlockMeta,
  isBlockName,
  parseBlockMeta,
  readBlockMeta,
  type ThanosMeta,
  writeBlockMeta,
} from './meta.js';
export { SeriesColumns } from './series-columns.js';
export { TombstoneCutter } from './tombstone-cutter.js';
export {
  addInterval,
  encodeTombstones,
  type Interval,
  parseTombstones,
  readTombstones,
  type Tombstones,
  writeTombstones,
} from './tombstones.js';
export { verifyBlock } from './verify.js';
