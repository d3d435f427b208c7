import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isObjectNotFound } from '../bucket/index.js';
import { CorruptionError, VarveError } from '../errors/index.js';
import type { LabelSet } from '../labels/index.js';
import type { Matcher } from '../matcher/index.js';
import type { ChunkArena, LabelQuery, Queryable, SelectHints, SeriesSet } from '../storage/index.js';
import {
  type BlockMeta,
  BlockQueryable,
  type BlockQueryOptions,
  type BlockView,
  CHUNKS_DIRECTORY,
  parseBlockMeta,
  type QueriedBlock,
} from '../tsdb/block/index.js';
import { type BlockParts, BucketView, type Segment } from './bucket-view.js';
import { openIndexHeader } from './index-header.js';
import type { BlockCaches } from './page-cache.js';
import { QueryReads } from './query-reads.js';
import type { RangeFetcher } from './range-fetcher.js';

const META_FILE = 'meta.json';
const INDEX_FILE = 'index';
const HEADER_FILE = 'index-header';
/** Guesses at the length of a chunk where meta.json doesn't give the longest. */
const RAW_CHUNK_BYTES = 1024;
const AGGREGATE_CHUNK_BYTES = 8192;
/** One long chunk must not make all of them costly. */
const CHUNK_GUESS_MAX = 16_000;

/** Where a block stands. */
export interface BlockPlace {
  /** What its name begins with, the slash at the end included: `<tenant>/`, or '' at the root of the bucket. */
  readonly prefix: string;
  readonly ulid: string;
}

/**
 * A block in a bucket that is queried without being downloaded. Locally it keeps its meta.json and its index-header,
 * which may be deleted at any time; the memory it needs is about 4 bytes per 32 symbols and per 32 label pairs.
 *
 * Answers resolve their strings through the index-header: close it only when no query can hold any of them.
 */
export class BucketBlock {
  readonly meta: BlockMeta;
  /** What the names of its objects begin with. */
  readonly prefix: string;
  readonly #parts: BlockParts;

  private constructor(prefix: string, parts: BlockParts) {
    this.meta = parts.meta;
    this.prefix = prefix;
    this.#parts = parts;
  }

  /**
   * Opens a block, making its index-header if there is none.
   * @param directory where the block's local files are, its own; made if need be
   * @throws CorruptionError that names object and offset, VarveError unavailable `block-gone`, or what the bucket throws
   */
  static async open(
    fetcher: RangeFetcher,
    { prefix, ulid }: BlockPlace,
    directory: string,
    caches: BlockCaches,
    reads: QueryReads = new QueryReads(),
  ): Promise<BucketBlock> {
    const base = `${prefix}${ulid}/`;
    const indexObject = base + INDEX_FILE;
    const meta = await readMeta(fetcher, base + META_FILE, join(directory, META_FILE), reads);
    try {
      const [header, segments] = await Promise.all([
        openIndexHeader(fetcher, indexObject, join(directory, HEADER_FILE), reads),
        findSegments(fetcher, base, meta, reads),
      ]);
      const chunkGuessBytes = guessChunkBytes(meta);
      return new BucketBlock(base, {
        ...{ meta, indexObject, header, segments, chunkGuessBytes, fetcher, caches },
      });
    } catch (error) {
      throw await judge(fetcher, base, error);
    }
  }

  /** The block as a source of one query. */
  queryable(reads: QueryReads, options: BlockQueryOptions = {}): Queryable {
    return new BucketBlockQueryable(this, reads, options);
  }

  view(reads: QueryReads): BlockView {
    return new BucketView(this.#parts, reads);
  }

  /** The error that a query is to end with. What was read of a damaged block is forgotten, lest it stays so. */
  async judge(error: unknown): Promise<unknown> {
    if (error instanceof CorruptionError) {
      const { caches } = this.#parts;
      for (const cache of [caches.postings, caches.series, caches.chunks]) cache.drop(this.prefix);
    }
    return judge(this.#parts.fetcher, this.prefix, error);
  }

  close(): void {
    this.#parts.header.reader.close();
  }
}

/** Answers one query from a block in a bucket. */
class BucketBlockQueryable implements Queryable, QueriedBlock {
  readonly meta: BlockMeta;
  readonly #block: BucketBlock;
  readonly #reads: QueryReads;
  readonly #inner: BlockQueryable;

  constructor(block: BucketBlock, reads: QueryReads, options: BlockQueryOptions) {
    this.meta = block.meta;
    this.#block = block;
    this.#reads = reads;
    this.#inner = new BlockQueryable(this, options);
  }

  view(): BlockView {
    return this.#block.view(this.#reads);
  }

  select(matchers: readonly Matcher[], hints: SelectHints, arena: ChunkArena): Promise<SeriesSet> {
    return this.#judged(this.#inner.select(matchers, hints, arena));
  }

  labelNames(query: LabelQuery): Promise<string[]> {
    return this.#judged(this.#inner.labelNames(query));
  }

  labelValues(name: string, query: LabelQuery): Promise<string[]> {
    return this.#judged(this.#inner.labelValues(name, query));
  }

  series(query: LabelQuery): Promise<LabelSet[]> {
    return this.#judged(this.#inner.series(query));
  }

  #judged<Answer>(answer: Promise<Answer>): Promise<Answer> {
    return answer.catch(async (error: unknown) => {
      throw await this.#block.judge(error);
    });
  }
}

/** An object that is missing means that the block was deleted, unless its meta.json is still there. */
async function judge(fetcher: RangeFetcher, base: string, error: unknown): Promise<unknown> {
  if (!isObjectNotFound(error)) return error;
  const meta = await fetcher.bucket.stat(base + META_FILE);
  const object = String((error as VarveError).details['object'] ?? base);
  if (meta === null) return gone(base, error);
  return new CorruptionError('object-missing', `${object}: missing from a block that has its meta.json`, {
    cause: error,
    details: { object },
  });
}

function gone(base: string, cause: unknown): VarveError {
  return new VarveError('unavailable', 'block-gone', `block ${base.slice(0, -1)} is not in the bucket`, {
    cause,
    details: { object: base },
  });
}

/** The meta.json of a block, kept locally. */
async function readMeta(
  fetcher: RangeFetcher,
  object: string,
  path: string,
  reads: QueryReads,
): Promise<BlockMeta> {
  try {
    return parseBlockMeta(await readFile(path, 'utf8'), path);
  } catch {
    // Missing or damaged: the bucket's is the one that counts.
  }
  let bytes: Uint8Array;
  try {
    bytes = await fetcher.run(reads, 'header', () => fetcher.bucket.get(object));
  } catch (error) {
    throw isObjectNotFound(error) ? gone(object.slice(0, -META_FILE.length), error) : error;
  }
  reads.counts.header.bytes += bytes.length;
  const text = Buffer.from(bytes).toString('utf8');
  const meta = parseBlockMeta(text, object);
  await mkdir(join(path, '..'), { recursive: true });
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await writeFile(temporary, text);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
  return meta;
}

/** The segments in the order in which chunk refs count them: from meta.json, else from a listing. */
async function findSegments(
  fetcher: RangeFetcher,
  base: string,
  meta: BlockMeta,
  reads: QueryReads,
): Promise<readonly Segment[]> {
  const folder = `${CHUNKS_DIRECTORY}/`;
  const byName = new Map<string, number | null>();
  const { files, segment_files: segmentFiles } = (meta.thanos ?? {}) as Record<string, unknown>;
  for (const file of Array.isArray(files) ? files : []) {
    const { rel_path: path, size_bytes: size } = (file ?? {}) as Record<string, unknown>;
    if (typeof path !== 'string' || !path.startsWith(folder)) continue;
    byName.set(path.slice(folder.length), typeof size === 'number' ? size : null);
  }
  if (byName.size === 0) {
    for (const name of Array.isArray(segmentFiles) ? segmentFiles : []) {
      if (typeof name === 'string') byName.set(name, null);
    }
  }
  if (byName.size === 0) {
    const { objects } = await fetcher.run(reads, 'header', () => fetcher.bucket.list(base + folder));
    for (const object of objects) byName.set(object.slice(base.length + folder.length), null);
  }
  return [...byName]
    .filter(([name]) => /^\d+$/.test(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, byteCount]) => ({ object: base + folder + name, byteCount }));
}

function guessChunkBytes(meta: BlockMeta): number {
  const stats = meta.thanos?.['index_stats'] as { chunk_max_size?: unknown } | undefined;
  const longest = stats?.chunk_max_size;
  if (typeof longest === 'number' && longest > 0) return Math.min(longest, CHUNK_GUESS_MAX);
  return (meta.thanos?.downsample.resolution ?? 0) > 0 ? AGGREGATE_CHUNK_BYTES : RAW_CHUNK_BYTES;
}
