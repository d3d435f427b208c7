import { statSync } from 'node:fs';
import { join } from 'node:path';
import { CorruptionError, messageOf, VarveError } from '../../errors/index.js';
import {
  type BlockMeta,
  BlockReader,
  DeletedSpans,
  type DeletionMask,
  type Interval,
  masksOfBlock,
} from '../block/index.js';
import { ChunkStream } from './chunk-stream.js';
import { SeriesCursor } from './series-cursor.js';

const NO_SPANS: readonly Interval[] = [];

/**
 * One block that is being compacted: its series and chunks in order, and what of them is deleted. Every error about its
 * bytes names the block, so that it can be put aside.
 */
export class SourceBlock {
  readonly meta: BlockMeta;
  readonly directory: string;
  /** Of samples with equal times that of the block with the lowest rank stays. */
  readonly rank: number;
  readonly block: BlockReader;
  readonly chunks: ChunkStream;
  readonly #deleted: DeletedSpans;
  readonly byteCount: number;
  /** Set by `start`. */
  cursor!: SeriesCursor;
  /** Series of the block, as meta.json says, and how many of them were read. */
  readonly seriesTotal: number;
  seriesDone: number;

  private constructor(block: BlockReader, chunks: ChunkStream, rank: number, masks: readonly DeletionMask[]) {
    this.block = block;
    this.#deleted = new DeletedSpans(block.index, block.tombstones, masksOfBlock(masks, block.meta));
    this.meta = block.meta;
    this.directory = block.directory;
    this.chunks = chunks;
    this.rank = rank;
    this.seriesTotal = block.meta.stats.numSeries ?? 0;
    this.seriesDone = 0;
    this.byteCount = block.index.source.size + chunks.byteCount;
  }

  /**
   * @param masks what is to be left out besides what the block's tombstones say
   * @throws CorruptionError with the block's name in `details.block`
   */
  static open(
    directory: string,
    meta: BlockMeta,
    rank: number,
    masks: readonly DeletionMask[] = [],
  ): SourceBlock {
    try {
      statSync(join(directory, 'index'));
      const block = BlockReader.open(directory);
      try {
        return new SourceBlock(block, ChunkStream.open(directory), rank, masks);
      } catch (error) {
        block.close();
        throw error;
      }
    } catch (error) {
      throw blame(error, meta.ulid, directory);
    }
  }

  /** Goes to the first series. @param symbolIds the result's symbol for each of the index */
  start(symbolIds: Uint32Array, emptySymbol: number): boolean {
    try {
      this.cursor = new SeriesCursor(this.block.index, symbolIds, emptySymbol);
    } catch (error) {
      throw blame(error, this.meta.ulid, this.directory);
    }
    return this.next();
  }

  /** Goes to the next series; false at the end. */
  next(): boolean {
    try {
      this.seriesDone = this.cursor.seriesRead;
      return this.cursor.next();
    } catch (error) {
      throw blame(error, this.meta.ulid, this.directory);
    }
  }

  /** Reads a chunk into the fields of `chunks`. */
  readChunk(ref: number): void {
    try {
      this.chunks.read(ref);
    } catch (error) {
      throw this.blameChunk(error, ref);
    }
  }

  /** Names block, file and offset in an error about a chunk. */
  blameChunk(error: unknown, ref: number): unknown {
    const { file, offset } = this.chunks.place(ref);
    return blame(error, this.meta.ulid, this.directory, { file, offset });
  }

  /** Spans deleted from the series at the cursor, sorted and apart. */
  deletedSpans(): readonly Interval[] {
    return this.#deleted.isEmpty ? NO_SPANS : (this.#deleted.of(this.cursor.ref) ?? NO_SPANS);
  }

  get bytesRead(): number {
    return (this.cursor?.bytesRead ?? 0) + this.chunks.bytesRead;
  }

  close(): void {
    this.block.close();
    this.chunks.close();
  }
}

/** An error about a block's bytes, with the block's name; others as they are. */
export function blame(
  error: unknown,
  block: string,
  directory: string,
  place?: { readonly file: string; readonly offset: number },
): unknown {
  if (error instanceof VarveError) {
    if (error.details['block'] !== undefined) return error;
    const details = { ...place, ...error.details, block };
    const isPlaced = error.details['file'] !== undefined || place === undefined;
    const where = isPlaced ? '' : `${place.file}: chunk at offset ${place.offset}: `;
    const message = `block ${block}: ${where}${error.message}`;
    return error instanceof CorruptionError
      ? new CorruptionError(error.code, message, { cause: error, details })
      : new VarveError(error.kind, error.code, message, { cause: error, details });
  }
  if (isMissingFile(error)) {
    const file = error.path ?? directory;
    return new CorruptionError('block-incomplete', `block ${block}: ${messageOf(error)}`, {
      cause: error,
      details: { block, file, offset: 0 },
    });
  }
  return error;
}

/** Told by its code alone: errors of Node may come from another realm. */
function isMissingFile(error: unknown): error is { readonly code: string; readonly path?: string } {
  if (typeof error !== 'object' || error === null || !('code' in error)) return false;
  return error.code === 'ENOENT' || error.code === 'ENOTDIR';
}
