import { VarveError } from '../../errors/index.js';
import type { ChunkArena } from '../../storage/index.js';
import type { CopiedChunks } from './chunk-reader.js';
import type { Interval } from './tombstones.js';

export class TombstoneCutter {
  cut(_copied: CopiedChunks, _chunk: number, _intervals: readonly Interval[], _arena: ChunkArena): void {
    throw new VarveError('unavailable', 'tombstone-cut', 'not yet');
  }
}
