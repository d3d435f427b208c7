import { mergeQueryables, type Queryable } from '../storage/index.js';
import { BlockQueryable, type BlockReader } from '../tsdb/block/index.js';
import type { BlockCache } from './block-cache.js';
import type { SourceOpener } from './executor.js';
import type { HeadDescriptor, SourceDescriptor } from './sources.js';

/** How often the blocks kept open are checked for existence. */
const SWEEP_MS = 30_000;

/** Opens what a task's sources describe, in a query thread. */
export class SourceReaders implements SourceOpener {
  readonly #blocks: BlockCache<BlockReader>;
  readonly #openHead: (head: HeadDescriptor) => Queryable;
  #sweptMs = 0;

  constructor(blocks: BlockCache<BlockReader>, openHead: (head: HeadDescriptor) => Queryable) {
    this.#blocks = blocks;
    this.#openHead = openHead;
  }

  async open(sources: readonly SourceDescriptor[]): Promise<Queryable> {
    return mergeQueryables(sources.map((source) => this.#openSource(source)));
  }

  /** To be called between tasks: closes blocks that are too many or gone. */
  tidy(nowMs: number): void {
    this.#blocks.trim();
    if (nowMs - this.#sweptMs < SWEEP_MS) return;
    this.#sweptMs = nowMs;
    this.#blocks.sweep();
  }

  #openSource(source: SourceDescriptor): Queryable {
    return source.kind === 'head' ? this.#openHead(source) : new BlockQueryable(this.#blocks.get(source));
  }
}
