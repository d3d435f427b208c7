import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bucket } from '../bucket/index.js';
import { VarveError } from '../errors/index.js';
import type { Queryable } from '../storage/index.js';
import { BlockQueryable, type BlockQueryOptions, BlockReader, isBlockName } from '../tsdb/block/index.js';
import { type BlockPlace, BucketBlock } from './bucket-block.js';
import { type BlockCacheBytes, type BlockCaches, makeBlockCaches } from './page-cache.js';
import { QueryReads } from './query-reads.js';
import { type FetchOptions, RangeFetcher } from './range-fetcher.js';

export interface BlockStoreOptions {
  readonly bucket: Bucket;
  /** The folder that the bucket is: its blocks are then read as files, without caches of our own. Null for all others. */
  readonly folder: string | null;
  /** Where index-headers are kept, `<prefix>/<ULID>/`; threads and processes may share it. */
  readonly cacheDirectory: string;
  readonly cacheBytes: BlockCacheBytes;
  readonly fetch: FetchOptions;
  /** Blocks kept open between queries. */
  readonly openBlocksMax: number;
}

/** An open block of either kind. */
interface OpenBlock {
  queryable(reads: QueryReads, options: BlockQueryOptions): Queryable;
  close(): void;
}

/**
 * The blocks of a bucket, opened when they are first asked for and kept open for later queries. For one thread; nothing
 * is closed while a query may use it: `trim` and `retain` run between queries.
 */
export class BlockStore {
  readonly caches: BlockCaches;
  readonly fetcher: RangeFetcher;
  readonly #options: BlockStoreOptions;
  /** By `<prefix><ULID>`, in order of use, the latest at the end. */
  readonly #blocks: Map<string, Promise<OpenBlock>>;

  constructor(options: BlockStoreOptions) {
    this.caches = makeBlockCaches(options.cacheBytes);
    this.fetcher = new RangeFetcher(options.bucket, options.fetch);
    this.#options = options;
    this.#blocks = new Map();
  }

  get openCount(): number {
    return this.#blocks.size;
  }

  /**
   * A block as a source of one query.
   * @throws CorruptionError, VarveError unavailable `block-gone`, or what the bucket throws
   */
  async queryable(place: BlockPlace, reads: QueryReads, options: BlockQueryOptions = {}): Promise<Queryable> {
    const name = place.prefix + place.ulid;
    let block = this.#blocks.get(name);
    this.#blocks.delete(name);
    block ??= this.#open(place, name, reads);
    this.#blocks.set(name, block);
    try {
      return (await block).queryable(reads, options);
    } catch (error) {
      // A failure is not kept: the next query tries again.
      if (this.#blocks.get(name) === block) this.#blocks.delete(name);
      throw error;
    }
  }

  /** Closes the blocks used longest ago, down to the allowed number. */
  async trim(): Promise<void> {
    for (const name of [...this.#blocks.keys()]) {
      if (this.#blocks.size <= this.#options.openBlocksMax) return;
      await this.#close(name);
    }
  }

  /** Closes blocks that are no longer wanted, by `<prefix><ULID>`: open files would keep their disk space. */
  async retain(isWanted: (name: string) => boolean): Promise<void> {
    for (const name of [...this.#blocks.keys()]) if (!isWanted(name)) await this.#close(name);
  }

  /** Closes blocks whose local files are gone, as their blocks are: open files would keep their disk space. */
  async sweep(): Promise<void> {
    const { folder, cacheDirectory } = this.#options;
    await this.retain((name) => existsSync(join(folder ?? cacheDirectory, name, 'meta.json')));
  }

  /** Closes all blocks, but not the bucket. */
  close(): Promise<void> {
    return this.retain(() => false);
  }

  async #open(place: BlockPlace, name: string, reads: QueryReads): Promise<OpenBlock> {
    const { folder, cacheDirectory } = this.#options;
    if (folder === null) {
      // On no query's account until it is done: others may wait for it too when this one is given up.
      const opening = new QueryReads();
      const directory = join(cacheDirectory, name);
      try {
        return await BucketBlock.open(this.fetcher, place, directory, this.caches, opening);
      } finally {
        reads.add(opening);
      }
    }
    const directory = join(folder, name);
    if (!existsSync(join(directory, 'meta.json'))) {
      throw new VarveError('unavailable', 'block-gone', `block ${name} is not in the bucket`, {
        details: { object: name },
      });
    }
    const reader = BlockReader.open(directory);
    return { queryable: (_, options) => new BlockQueryable(reader, options), close: () => reader.close() };
  }

  async #close(name: string): Promise<void> {
    const block = this.#blocks.get(name);
    this.#blocks.delete(name);
    await block?.then(
      (open) => open.close(),
      () => {},
    );
  }
}

/**
 * Deletes the local files of blocks of a prefix that are not to be kept. They may be in use: open files outlive it, and
 * what is missing is made again.
 */
export async function removeHeaders(
  cacheDirectory: string,
  prefix: string,
  keep: ReadonlySet<string>,
): Promise<void> {
  const folder = join(cacheDirectory, prefix);
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const name of names) {
    if (isBlockName(name) && !keep.has(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}
