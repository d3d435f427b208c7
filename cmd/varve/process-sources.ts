import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bucket, objectNotFound } from '../../lib/bucket/index.js';
import {
  type BlockCatalog,
  type DeletionCatalog,
  groupLabels,
  type IndexedBlock,
  metaName,
} from '../../lib/bucketindex/index.js';
import type { Ingester, LocalBlock, LocalBlocks } from '../../lib/ingester/index.js';
import {
  type BlockDescriptor,
  EMPTY_HEAD_STATS,
  type SourceDescriptor,
  type SourceProvider,
} from '../../lib/querier/index.js';
import type { MaskText } from '../../lib/tsdb/block/index.js';
import type { Attachment } from '../../lib/workers/index.js';

export interface ProcessSourcesParts {
  readonly ingester: Ingester;
  readonly localBlocks: LocalBlocks;
  readonly catalog: BlockCatalog;
  readonly deletions: DeletionCatalog;
  readonly bucket: Bucket;
}

/** Heads may hold late samples of any age. */
const EARLIEST_MS = -8.64e15;

/**
 * How much further than asked for is looked where there are downsampled blocks: windows are widened to two of the
 * coarsest level's, and rates look one ahead.
 */
const LEVEL_BEFORE_MS = 2 * 86_400_000;
const LEVEL_BEHIND_MS = 86_400_000;

/** What queries of this process read: its heads, the blocks it has not given away yet, and those in the bucket. */
export function processSources({
  ingester,
  localBlocks,
  catalog,
  deletions,
  bucket,
}: ProcessSourcesParts): SourceProvider {
  return {
    async snapshot(tenant, minTimeMs, maxTimeMs) {
      // First the head is held, then the local blocks, then the bucket is asked: what moves on is seen twice, not never.
      const held = ingester.hold(tenant);
      const local = localBlocks.hold(tenant, minTimeMs - LEVEL_BEFORE_MS, maxTimeMs + LEVEL_BEHIND_MS);
      let isHeadHeld = held !== null;
      const releaseHead = () => {
        if (isHeadHeld) held?.release();
        isHeadHeld = false;
      };
      const release = () => {
        releaseHead();
        local.release();
      };
      try {
        const [found, masks] = await Promise.all([
          catalog.blocks(tenant, minTimeMs - LEVEL_BEFORE_MS, maxTimeMs + LEVEL_BEHIND_MS),
          deletions.masks(tenant),
        ]);
        const isLeveled = found.some(({ facts }) => facts !== null && facts.resolution > 0);
        const fromMs = isLeveled ? minTimeMs - LEVEL_BEFORE_MS : minTimeMs;
        const toMs = isLeveled ? maxTimeMs + LEVEL_BEHIND_MS : maxTimeMs;
        const blocks = found.filter((block) => block.minTime <= toMs && fromMs < block.maxTime);
        const sources: SourceDescriptor[] = blocks.map((block) => describeInBucket(tenant, block));
        for (const block of notIn(blocks, local.blocks)) {
          if (block.minTimeMs <= toMs && fromMs < block.maxTimeMs) sources.push(describeLocal(block));
        }
        const attachments: Attachment[] = [];
        const isHeadOutside =
          held === null || (held.minTimeMs !== null && (held.minTimeMs > toMs || held.maxTimeMs < fromMs));
        if (isHeadOutside) releaseHead();
        else {
          const memoryKey = `head-${held.view.id}`;
          sources.push({ kind: 'head', minTimeMs: EARLIEST_MS, maxTimeMs: held.maxTimeMs, memoryKey });
          attachments.push({ key: memoryKey, value: held.view.memory });
        }
        return {
          sources: masks.length === 0 ? sources : sources.map((source) => withMasks(source, masks)),
          attachments,
          release,
        };
      } catch (error) {
        release();
        throw error;
      }
    },
    blockMeta: ({ place, prefix, ulid }) => {
      if (place === 'bucket') return bucket.get(metaName(prefix.slice(0, -1), ulid));
      return readLocal(join(localBlocks.directory, prefix, ulid, 'meta.json'));
    },
    metadata: async (tenant) => ingester.metadata(tenant),
    exemplars: (tenant, matcherSets, minTimeMs, maxTimeMs) =>
      ingester.exemplars(tenant, matcherSets, minTimeMs, maxTimeMs),
    headStats: async (tenant, limit) => ingester.statistics(tenant, limit) ?? EMPTY_HEAD_STATS,
  };
}

/** A source with the masks that touch its time. */
function withMasks(source: SourceDescriptor, all: readonly MaskText[]): SourceDescriptor {
  const masks = all.filter(
    (mask) => mask.minTimeMs <= source.maxTimeMs && mask.maxTimeMs >= source.minTimeMs,
  );
  if (masks.length === 0) return source;
  // Most have all of them: one list, which is sent to a thread once.
  return { ...source, masks: masks.length === all.length ? all : masks };
}

/** The local blocks whose samples no raw block of the bucket holds as well. */
function notIn(inBucket: readonly IndexedBlock[], local: readonly LocalBlock[]): readonly LocalBlock[] {
  if (local.length === 0 || inBucket.length === 0) return local;
  const raw = inBucket.filter(({ facts }) => facts === null || facts.resolution === 0);
  const known = new Set(raw.flatMap(({ ulid, facts }) => [ulid, ...(facts?.sources ?? [])]));
  return local.filter(({ ulid }) => !known.has(ulid));
}

function describeInBucket(tenant: string, block: IndexedBlock): BlockDescriptor {
  return {
    kind: 'block',
    place: 'bucket',
    prefix: `${tenant}/`,
    ulid: block.ulid,
    minTimeMs: block.minTime,
    maxTimeMs: block.maxTime,
    resolutionMs: block.facts?.resolution ?? 0,
    sources: block.facts?.sources ?? [block.ulid],
    group: groupOf(block),
  };
}

/** Blocks that are cut here have no external labels. */
function groupOf({ facts }: IndexedBlock): string {
  const labels = groupLabels(facts?.labels ?? {});
  return Object.keys(labels).length === 0 ? '' : JSON.stringify(labels);
}

function describeLocal({ tenant, ulid, minTimeMs, maxTimeMs, sources }: LocalBlock): BlockDescriptor {
  const what = { kind: 'block', place: 'local', prefix: `${tenant}/` } as const;
  return { ...what, ulid, minTimeMs, maxTimeMs, resolutionMs: 0, sources, group: '' };
}

async function readLocal(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw objectNotFound(path, error);
    throw error;
  }
}
