import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bucket, objectNotFound } from '../../lib/bucket/index.js';
import { type BlockCatalog, groupLabels, type IndexedBlock, metaName } from '../../lib/bucketindex/index.js';
import type { Ingester, LocalBlock, LocalBlocks } from '../../lib/ingester/index.js';
import {
  type BlockDescriptor,
  EMPTY_HEAD_STATS,
  type SourceDescriptor,
  type SourceProvider,
} from '../../lib/querier/index.js';

export interface ProcessSourcesParts {
  readonly ingester: Ingester;
  readonly localBlocks: LocalBlocks;
  readonly catalog: BlockCatalog;
  readonly bucket: Bucket;
}

/** Heads may hold late samples of any age. */
const EARLIEST_MS = -8.64e15;

/** What queries of this process read: its heads, the blocks it has not given away yet, and those in the bucket. */
export function processSources({
  ingester,
  localBlocks,
  catalog,
  bucket,
}: ProcessSourcesParts): SourceProvider {
  return {
    async snapshot(tenant, minTimeMs, maxTimeMs) {
      // First the head is held, then the local blocks, then the bucket is asked: what moves on is seen twice, not never.
      const held = ingester.hold(tenant);
      const isOutside =
        held !== null &&
        held.minTimeMs !== null &&
        (held.minTimeMs > maxTimeMs || held.maxTimeMs < minTimeMs);
      if (isOutside) held.release();
      const head = isOutside ? null : held;
      const local = localBlocks.hold(tenant, minTimeMs, maxTimeMs);
      const release = () => {
        head?.release();
        local.release();
      };
      let inBucket: readonly IndexedBlock[];
      try {
        inBucket = await catalog.blocks(tenant, minTimeMs, maxTimeMs);
      } catch (error) {
        release();
        throw error;
      }
      const sources: SourceDescriptor[] = inBucket.map((block) => describeInBucket(tenant, block));
      for (const block of notIn(inBucket, local.blocks)) sources.push(describeLocal(block));
      const memoryKey = `head-${head?.view.id}`;
      if (head !== null) {
        sources.push({ kind: 'head', minTimeMs: EARLIEST_MS, maxTimeMs: head.maxTimeMs, memoryKey });
      }
      return {
        sources,
        attachments: head === null ? [] : [{ key: memoryKey, value: head.view.memory }],
        release,
      };
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
