import { type Bucket, isObjectNotFound } from '../bucket/index.js';
import { messageOf, VarveError } from '../errors/index.js';
import { parseBlockMeta } from '../tsdb/block/index.js';
import {
  type BucketIndex,
  decodeBucketIndex,
  describeBlock,
  encodeBucketIndex,
  isKnown,
  type KnownBlock,
  sortBlocks,
} from './bucket-index.js';
import { readMark } from './marks.js';
import {
  blockOfPrefix,
  blockPrefix,
  deletionsPrefix,
  indexName,
  MARK_KINDS,
  type MarkKind,
  markCopyName,
  markersPrefix,
  metaName,
  oldTenantMarkName,
  parseMarkCopyName,
} from './object-names.js';

/** meta.json files read at once. */
const READS_MAX = 16;

/** An index all of whose blocks are known. */
export interface KnownIndex extends BucketIndex {
  readonly blocks: readonly KnownBlock[];
}

/** What stands in a tenant's part of the bucket. */
export interface TenantListing {
  readonly index: KnownIndex;
  /** Blocks without a readable meta.json: `missing` ones are uploads in progress or given up. */
  readonly partials: ReadonlyMap<string, 'missing' | 'corrupt'>;
  /** Blocks with a mark of each kind, found by the copies; for deletion marks the index has the times. */
  readonly marked: Readonly<Record<MarkKind, ReadonlySet<string>>>;
  /** Marks whose block is not there any more. */
  readonly orphans: readonly { readonly ulid: string; readonly kind: MarkKind }[];
  /** Whether blocks or deletion marks differ from the old index. */
  readonly isChanged: boolean;
  /** Whether the tenant carries a mark for its deletion at the older place. */
  readonly hasOldTenantMark: boolean;
  /** Whether anything stands below `deletions/`. */
  readonly hasDeletions: boolean;
  /** Things that are wrong and were passed over, for the log. */
  readonly problems: readonly string[];
}

/** Reads the index of a tenant; null when it has none. @throws CorruptionError `bucket-index` */
export async function readBucketIndex(bucket: Bucket, tenant: string): Promise<BucketIndex | null> {
  const name = indexName(tenant);
  try {
    return await decodeBucketIndex(await bucket.get(name), name);
  } catch (error) {
    if (isObjectNotFound(error)) return null;
    throw error;
  }
}

export async function writeBucketIndex(bucket: Bucket, tenant: string, index: BucketIndex): Promise<void> {
  await bucket.put(indexName(tenant), await encodeBucketIndex(index));
}

/**
 * Looks what blocks a tenant has. Two listings, and for each block that the old index doesn't know one more and its
 * meta.json. The marks are listed first: who sees that a block was replaced must see its replacement too.
 * @param old null to read everything
 */
export async function listTenant(
  bucket: Bucket,
  tenant: string,
  old: BucketIndex | null,
  nowMs: number,
): Promise<TenantListing> {
  const problems: string[] = [];
  const copies = (await bucket.list(markersPrefix(tenant), '/')).objects;
  const marked = groupMarks(copies);
  const hasOldTenantMark = copies.includes(oldTenantMarkName(tenant));
  const names: string[] = [];
  const { prefixes } = await bucket.list(`${tenant}/`, '/');
  const hasDeletions = prefixes.includes(deletionsPrefix(tenant));
  for (const prefix of prefixes) {
    const ulid = blockOfPrefix(prefix);
    if (ulid !== null) names.push(ulid);
  }
  const present = new Set(names);
  const orphans = MARK_KINDS.flatMap((kind) =>
    [...marked[kind]].filter((ulid) => !present.has(ulid)).map((ulid) => ({ ulid, kind })),
  );
  const deletionMarks = await readDeletionMarks(bucket, tenant, old, marked.deletion, present, problems);

  const known = new Map((old?.blocks ?? []).filter(isKnown).map((block) => [block.ulid, block]));
  const partials = new Map<string, 'missing' | 'corrupt'>();
  const blocks: KnownBlock[] = [];
  let isNew = false;
  await eachOf(names, READS_MAX, async (ulid) => {
    // Its deletion went further than its mark, while listings may still show it.
    if (old?.deletionMarks.has(ulid) && !marked.deletion.has(ulid)) return;
    const before = known.get(ulid);
    if (before !== undefined) {
      blocks.push(before);
      return;
    }
    const found = await describe(bucket, tenant, ulid, marked, deletionMarks);
    if (typeof found === 'object') {
      isNew = true;
      blocks.push(found);
      return;
    }
    partials.set(ulid, found);
    if (found === 'corrupt') problems.push(`${metaName(tenant, ulid)} cannot be read`);
  });
  const isChanged =
    old === null ||
    isNew ||
    blocks.length !== old.blocks.length ||
    deletionMarks.size !== old.deletionMarks.size ||
    [...deletionMarks.keys()].some((ulid) => !old.deletionMarks.has(ulid));
  const index = { blocks: sortBlocks(blocks), deletionMarks, updatedAt: Math.floor(nowMs / 1000) };
  return { index, partials, marked, orphans, isChanged, hasOldTenantMark, hasDeletions, problems };
}

type Marked = Readonly<Record<MarkKind, Set<string>>>;

function groupMarks(copies: readonly string[]): Marked {
  const marked: Marked = { deletion: new Set(), 'no-compact': new Set(), 'no-downsample': new Set() };
  for (const name of copies) {
    const found = parseMarkCopyName(name);
    if (found !== null) marked[found.kind].add(found.ulid);
  }
  return marked;
}

/** Times of the marks that are listed; those without an own mark in the block's folder don't count yet. */
async function readDeletionMarks(
  bucket: Bucket,
  tenant: string,
  old: BucketIndex | null,
  listed: ReadonlySet<string>,
  present: ReadonlySet<string>,
  problems: string[],
): Promise<Map<string, number>> {
  const marks = new Map<string, number>();
  await eachOf([...listed], READS_MAX, async (ulid) => {
    if (!present.has(ulid)) return;
    const before = old?.deletionMarks.get(ulid);
    if (before !== undefined) {
      marks.set(ulid, before);
      return;
    }
    try {
      const mark = await readMark(bucket, tenant, ulid, 'deletion');
      if (mark !== null) marks.set(ulid, mark.timeSeconds);
    } catch (error) {
      if (!isCorruption(error)) throw error;
      problems.push(messageOf(error));
    }
  });
  return new Map([...marks].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Reads what the index says of a block. Marks that only stand in the block's folder get their copies. */
async function describe(
  bucket: Bucket,
  tenant: string,
  ulid: string,
  marked: Marked,
  deletionMarks: Map<string, number>,
): Promise<KnownBlock | 'missing' | 'corrupt'> {
  const name = metaName(tenant, ulid);
  const stat = await bucket.stat(name);
  if (stat === null) return 'missing';
  const prefix = blockPrefix(tenant, ulid);
  const { objects } = await bucket.list(prefix);
  try {
    const meta = parseBlockMeta(Buffer.from(await bucket.get(name)).toString('utf8'), name);
    for (const kind of MARK_KINDS) {
      if (marked[kind].has(ulid) || !objects.includes(`${prefix}${kind}-mark.json`)) continue;
      await bucket.put(markCopyName(tenant, ulid, kind), await bucket.get(`${prefix}${kind}-mark.json`));
      marked[kind].add(ulid);
      const mark = kind === 'deletion' ? await readMark(bucket, tenant, ulid, kind) : null;
      if (mark !== null) deletionMarks.set(ulid, mark.timeSeconds);
    }
    const segmentCount = countSegments(objects.map((object) => object.slice(prefix.length)));
    return describeBlock(meta, { modifiedMs: stat.modifiedMs, segmentCount });
  } catch (error) {
    if (isObjectNotFound(error)) return 'missing';
    if (isCorruption(error)) return 'corrupt';
    throw error;
  }
}

/** How many chunk segments there are, when they are named one after the other; else 0. */
function countSegments(files: readonly string[]): number {
  const segments = files.filter((file) => file.startsWith('chunks/')).sort();
  const isPlain = segments.every((file, i) => file === `chunks/${String(i + 1).padStart(6, '0')}`);
  return isPlain ? segments.length : 0;
}

function isCorruption(error: unknown): boolean {
  return error instanceof VarveError && error.kind === 'corruption';
}

/** Runs a function over all items, at most so many at once; the first failure ends it. */
export async function eachOf<Item>(
  items: readonly Item[],
  atOnce: number,
  run: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0;
  let isFailed = false;
  const lane = async (): Promise<void> => {
    while (next < items.length && !isFailed) {
      try {
        await run(items[next++]!);
      } catch (error) {
        isFailed = true;
        throw error;
      }
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(atOnce, items.length) }, lane));
  for (const result of lanes) if (result.status === 'rejected') throw result.reason;
}
