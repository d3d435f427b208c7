import type { BlockStore, QueryReads } from '../blockstore/index.js';
import { mergeQueryables, type Queryable } from '../storage/index.js';
import { type MaskText, toDeletionMasks } from '../tsdb/block/index.js';
import type { SourceOpener } from './executor.js';
import { type LevelBlock, leveledQueryable, type RecentSource } from './levels.js';
import { withoutDeleted } from './masked-queryable.js';
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

  async open(
    sources: readonly SourceDescriptor[],
    reads: QueryReads,
    maxResolutionMs = 0,
  ): Promise<Queryable> {
    const stores = await this.#stores;
    const blocks: LevelBlock[] = [];
    const recent: RecentSource[] = [];
    for (const source of sources) {
      if (source.kind === 'head') recent.push({ ...source, queryable: this.#openMasked(source) });
      else blocks.push(describe(source, stores, reads));
    }
    const masks = toDeletionMasks(masksOf(sources));
    if (blocks.some(({ resolutionMs }) => resolutionMs > 0)) {
      return leveledQueryable({ blocks, recent, maxResolutionMs, masks });
    }
    const opened = await Promise.all(blocks.map((block) => block.open({ masks })));
    return mergeQueryables([...opened, ...recent.map(({ queryable }) => queryable)]);
  }

  #openMasked(head: HeadDescriptor): Queryable {
    const source = this.#openHead(head);
    return head.masks === undefined ? source : withoutDeleted(source, toDeletionMasks(head.masks));
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
}

/** All masks, each once: blocks pass over those that don't touch them. */
function masksOf(sources: readonly SourceDescriptor[]): readonly MaskText[] {
  return [...new Set(sources.flatMap(({ masks }) => masks ?? []))];
}

function describe(block: BlockDescriptor, stores: BlockStores, reads: QueryReads): LevelBlock {
  const { place, prefix, ulid, minTimeMs, maxTimeMs, resolutionMs, sources, group } = block;
  return {
    ...{ minTimeMs, maxTimeMs, resolutionMs, sources, group },
    open: (options) => stores[place].queryable({ prefix, ulid }, reads, options),
  };
}
