import { join } from 'node:path';
import type { ChunkArena } from '../../storage/index.js';
import { FileByteSource, IndexReader } from '../index/index.js';
import type { BlockLoader, BlockView, QueriedBlock } from './block-view.js';
import { CHUNKS_DIRECTORY } from './chunk-format.js';
import { ChunkReader, type CopiedChunks } from './chunk-reader.js';
import { type BlockMeta, readBlockMeta } from './meta.js';
import { readTombstones, type Tombstones } from './tombstones.js';

/**
 * An open block directory. Opening checks meta.json, the headers, and the checksums of TOC, symbols, postings offset
 * table and tombstones; the rest is checked when it is read.
 *
 * SeriesSets and postings of a block resolve their strings through its files: close it only when no query can hold
 * any of them. The directory may be deleted before that.
 */
export class BlockReader implements BlockView, QueriedBlock {
  readonly directory: string;
  readonly meta: BlockMeta;
  readonly index: IndexReader;
  readonly chunks: ChunkReader;
  readonly tombstones: Tombstones;
  /** Files are read when they are looked at. */
  readonly loader: BlockLoader | null = null;

  private constructor(
    directory: string,
    meta: BlockMeta,
    index: IndexReader,
    chunks: ChunkReader,
    tombstones: Tombstones,
  ) {
    this.directory = directory;
    this.meta = meta;
    this.index = index;
    this.chunks = chunks;
    this.tombstones = tombstones;
  }

  /** @throws CorruptionError that names file, offset, expected and found. */
  static open(directory: string): BlockReader {
    const meta = readBlockMeta(directory);
    const tombstones = readTombstones(directory);
    const source = new FileByteSource(join(directory, 'index'));
    try {
      const index = IndexReader.open(source);
      const chunks = ChunkReader.open(join(directory, CHUNKS_DIRECTORY));
      return new BlockReader(directory, meta, index, chunks, tombstones);
    } catch (error) {
      source.close();
      throw error;
    }
  }

  view(): BlockView {
    return this;
  }

  copyChunks(refs: Float64Array, count: number, arena: ChunkArena): CopiedChunks {
    return this.chunks.copy(refs, count, arena);
  }

  close(): void {
    this.index.close();
    this.chunks.close();
  }
}
