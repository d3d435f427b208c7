import { DEFAULT_TENANT } from '../../e2e/varve.js';
import type { Bucket } from '../../lib/bucket/index.js';
import {
  coveredBlocks,
  type KnownBlock,
  listTenant,
  readBucketIndex,
  type TenantListing,
} from '../../lib/bucketindex/index.js';
import { planTenant } from '../../lib/compactor/index.js';
import { HOUR_MS, type Setup } from './setup.js';
import { FIRST_LEVEL_WAIT_MS } from './store.js';

/** The blocks of one resolution that are in use. */
export interface Level {
  readonly name: string;
  readonly blocks: number;
  /** Raw samples, or windows. */
  readonly samples: number;
  readonly bytes: number;
  /** Raw samples of the same series and times. */
  readonly rawSamples: number;
}

export interface Inventory {
  readonly levels: readonly Level[];
  /** Bytes of the blocks in use. */
  readonly bytes: number;
  /** Blocks that wait for their deletion. */
  readonly replaced: number;
}

const LEVELS = [
  ['raw', 0],
  ['5m', 300_000],
  ['1h', HOUR_MS],
  ['1d', 24 * HOUR_MS],
] as const;

/** Looks at all blocks of the bench's tenant. */
export function listBlocks(bucket: Bucket, known: TenantListing | null): Promise<TenantListing> {
  return listTenant(bucket, DEFAULT_TENANT, known?.index ?? null, Date.now());
}

function inUse({ index }: TenantListing): KnownBlock[] {
  const unmarked = index.blocks.filter(({ ulid }) => !index.deletionMarks.has(ulid));
  const covered = coveredBlocks(unmarked);
  return unmarked.filter(({ ulid }) => !covered.has(ulid));
}

/** Blocks that are not there any more although they were not marked for deletion: there must be none. */
export function vanished(before: TenantListing, after: TenantListing): string[] {
  const present = new Set(after.index.blocks.map(({ ulid }) => ulid));
  const gone = before.index.blocks.filter(({ ulid }) => !present.has(ulid));
  return gone.map(({ ulid }) => ulid).filter((ulid) => !before.index.deletionMarks.has(ulid));
}

/** What stands in the bucket, level by level. */
export function takeInventory(listing: TenantListing): Inventory {
  const blocks = inUse(listing);
  const raw = blocks.filter(({ facts }) => facts.resolution === 0);
  const sum = (of: readonly KnownBlock[], field: 'samples' | 'bytes') =>
    of.reduce((total, { facts }) => total + facts[field], 0);
  const levels = LEVELS.map(([name, resolution]) => {
    const own = blocks.filter(({ facts }) => facts.resolution === resolution);
    const sources = new Set(own.flatMap(({ facts }) => facts.sources));
    const covered = raw.filter(({ facts }) => facts.sources.every((source) => sources.has(source)));
    return {
      name,
      blocks: own.length,
      samples: sum(own, 'samples'),
      bytes: sum(own, 'bytes'),
      rawSamples: sum(covered, 'samples'),
    };
  });
  return { levels, bytes: sum(blocks, 'bytes'), replaced: listing.index.deletionMarks.size };
}

/** Whether the index that queriers read says what the bucket holds. */
export async function isIndexed(bucket: Bucket, listing: TenantListing): Promise<boolean> {
  const index = await readBucketIndex(bucket, DEFAULT_TENANT);
  if (index === null) return false;
  const known = new Set(index.blocks.map(({ ulid }) => ulid));
  return (
    listing.index.blocks.every(({ ulid }) => known.has(ulid)) &&
    [...listing.index.deletionMarks.keys()].every((ulid) => index.deletionMarks.has(ulid))
  );
}

/** Jobs that the compactor has still to do, by its own plan; null while it waits for more blocks. */
export function jobsLeft(listing: TenantListing, setup: Setup): number | null {
  const nowMs = Date.now();
  const blocks = inUse(listing);
  const isYoung = ({ facts, uploadedAtMs }: KnownBlock) =>
    facts.level <= 1 && facts.resolution === 0 && nowMs - uploadedAtMs < FIRST_LEVEL_WAIT_MS + 1000;
  const marked = { ...listing.marked, deletion: new Set(listing.index.deletionMarks.keys()) };
  const { jobs } = planTenant(
    { blocks: listing.index.blocks, marked, nowMs },
    {
      rangesMs: [2 * HOUR_MS, 12 * HOUR_MS, 24 * HOUR_MS],
      firstLevelWaitMs: FIRST_LEVEL_WAIT_MS,
      lateMs: HOUR_MS / 2,
      downsampling: { hourMs: setup.hourSpanMs, dayMs: setup.daySpanMs },
    },
  );
  return jobs.length === 0 && blocks.some(isYoung) ? null : jobs.length;
}
