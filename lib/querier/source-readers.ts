import type { BlockStore, QueryReads } from '../blockstore/index.js';
import { mergeQueryables, type Queryable } from '../storage/index.js';
import type { SourceOpener } from './executor.js';
import type { BlockDescriptor, HeadDescriptor, SourceDescriptor } from './sources.js';

/** How often the blocks kept open are checked for existence. */
const SWEEP_MS = 30_000;

/** The blocks that a query thread reads. */
export type BlockStores = {
  /** Those on local disk that are not in the bucket yet. */
  readonly local: BlockStore;
  readonly bucket: BlockStore;
};

/** Opens what a task's sources describe, in a query thread. */
export class SourceReaders implements SourceOpener {
  readonly #stores: Promise<BlockStores>;
  readonly #openHead: (head: HeadDescriptor) => Queryable;
  #sweptMs = 0;

  /** @param stores may still be opening; a failure shows in the queries that need blocks */
  constructor(stores: Promise<BlockStores>, openHead: (head: HeadDescriptor) => Queryable) {
    this.#stores = stores;
    this.#openHead = openHead;
  }

  async open(sources: readonly SourceDescriptor[], reads: QueryReads): Promise<Queryable> {
    const raw = sources.filter((source) => source.kind === 'head' || source.resolutionMs === 0);
    return mergeQueryables(
      await Promise.all(
        raw.map(async (source) =>
          source.kind === 'head' ? this.#openHead(source) : this.#openBlock(source, reads),
        ),
      ),
    );
  }

  /** To be called between tasks: closes blocks that are too many or gone. */
  async tidy(nowMs: number): Promise<void> {
    const isSweeping = nowMs - this.#sweptMs >= SWEEP_MS;
    if (isSweeping) this.#sweptMs = nowMs;
    for (const store of Object.values(await this.#stores)) {
      await store.trim();
      if (isSweeping) await store.sweep();
    }
  }

  async #openBlock({ place, prefix, ulid }: BlockDescriptor, reads: QueryReads): Promise<Queryable> {
    return (await this.#stores)[place].queryable({ prefix, ulid }, reads);
  }
}
