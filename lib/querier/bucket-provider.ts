import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeBlock, type KnownBlock, visibleBlocks } from '../bucketindex/index.js';
import { type Clock, systemClock } from '../clock/index.js';
import { messageOf } from '../errors/index.js';
import type { Service } from '../service/index.js';
import type { Logger } from '../telemetry/index.js';
import { isValidTenant } from '../tenant/index.js';
import { isBlockName, parseBlockMeta } from '../tsdb/block/index.js';
import {
  type BlockDescriptor,
  EMPTY_HEAD_STATS,
  type HeadStats,
  type MetricMetadata,
  type SourceProvider,
  type SourceSnapshot,
} from './sources.js';

export interface BucketProviderOptions {
  readonly clock: Clock;
  /** How long after its deletion mark a block is still read, ms. */
  readonly ignoreDeletionMarksDelayMs: number;
}

const DEFAULT_OPTIONS: BucketProviderOptions = {
  clock: systemClock,
  ignoreDeletionMarksDelayMs: 6 * 3_600_000,
};

/** A block of the folder; `facts` when its meta.json says what it is made of. */
interface FoundBlock {
  readonly block: BlockDescriptor;
  readonly known: KnownBlock | null;
}

/**
 * Serves the raw blocks of a bucket folder (`<folder>/<tenant>/<ulid>/meta.json`), looked at again every so often. Blocks
 * that were compacted into another one are left out, and those that will be deleted.
 */
export class BucketProvider implements SourceProvider, Service {
  readonly #folder: string;
  readonly #refreshMs: number;
  readonly #logger: Logger;
  readonly #options: BucketProviderOptions;
  #blocks: ReadonlyMap<string, readonly BlockDescriptor[]> = new Map();
  /** What was read before, by directory. */
  #known: ReadonlyMap<string, FoundBlock> = new Map();
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> = Promise.resolve();

  constructor(folder: string, refreshMs: number, logger: Logger, options = DEFAULT_OPTIONS) {
    this.#options = options;
    this.#folder = folder;
    this.#refreshMs = refreshMs;
    this.#logger = logger;
  }

  async start(): Promise<void> {
    await this.refresh();
    this.#timer = setInterval(() => {
      this.refresh().catch((error: unknown) => {
        this.#logger.error({ folder: this.#folder, error: messageOf(error) }, 'bucket folder not read');
      });
    }, this.#refreshMs);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /**
   * Looks for blocks now; whatever stood in the folder before the call is known when it resolves. A block whose
   * meta.json can't be read is left out and logged. Looks follow one another: an earlier one that is still reading must
   * not overwrite what a later one has found.
   */
  refresh(): Promise<void> {
    const next = this.#looking.then(() => this.#look());
    this.#looking = next.catch(() => {});
    return next;
  }

  async #look(): Promise<void> {
    // Blocks never change once they are there.
    const known = new Map<string, FoundBlock>();
    const found = new Map<string, readonly BlockDescriptor[]>();
    for (const tenant of await listFolder(this.#folder)) {
      if (!isValidTenant(tenant)) continue;
      const directory = join(this.#folder, tenant);
      // Before the blocks: who sees that one was replaced must see its replacement.
      const marks = await readDeletionMarks(directory);
      const present: FoundBlock[] = [];
      for (const ulid of await listFolder(directory)) {
        if (!isBlockName(ulid)) continue;
        const path = join(directory, ulid);
        const block = this.#known.get(path) ?? (await this.#describe(path, ulid));
        if (block === null) continue;
        known.set(path, block);
        present.push(block);
      }
      found.set(tenant, this.#choose(present, marks));
    }
    this.#known = known;
    this.#blocks = found;
  }

  #choose(present: readonly FoundBlock[], marks: ReadonlyMap<string, number>): BlockDescriptor[] {
    const { clock, ignoreDeletionMarksDelayMs } = this.#options;
    const known = present.flatMap((one) => (one.known === null ? [] : [one.known]));
    const visible = new Set(
      visibleBlocks(known, marks, clock.nowMs(), ignoreDeletionMarksDelayMs).map(({ ulid }) => ulid),
    );
    return present
      .filter((one) => one.known === null || visible.has(one.known.ulid))
      .map(({ block }) => block)
      .sort((a, b) => a.minTimeMs - b.minTimeMs);
  }

  async #describe(directory: string, ulid: string): Promise<FoundBlock | null> {
    try {
      const text = await readFile(join(directory, 'meta.json'), 'utf8');
      const { minTime, maxTime, thanos } = JSON.parse(text) as {
        minTime?: unknown;
        maxTime?: unknown;
        thanos?: { downsample?: { resolution?: number } };
      };
      // Downsampled blocks repeat what the raw ones hold; their chunks can't be evaluated as raw samples.
      if ((thanos?.downsample?.resolution ?? 0) > 0) return null;
      if (typeof minTime !== 'number' || typeof maxTime !== 'number')
        throw new Error('no minTime and maxTime');
      const block: BlockDescriptor = {
        kind: 'block',
        directory,
        ulid,
        minTimeMs: minTime,
        maxTimeMs: maxTime,
      };
      return { block, known: describeKnown(text, directory, ulid) };
    } catch (error) {
      // A block that is being stored or deleted has none.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      this.#logger.warn(
        { directory, error: messageOf(error) },
        'block left out, its meta.json is unreadable',
      );
      return null;
    }
  }

  snapshot(tenant: string, minTimeMs: number, maxTimeMs: number): SourceSnapshot {
    const blocks = this.#blocks.get(tenant) ?? [];
    const sources = blocks.filter((block) => block.minTimeMs <= maxTimeMs && block.maxTimeMs > minTimeMs);
    return { sources, attachments: [], release: () => {} };
  }

  async metadata(): Promise<ReadonlyMap<string, readonly MetricMetadata[]>> {
    return new Map();
  }

  /** Blocks have no exemplars. */
  async exemplars(): Promise<[]> {
    return [];
  }

  async headStats(): Promise<HeadStats> {
    return EMPTY_HEAD_STATS;
  }
}

/** Null when meta.json lacks what compaction goes by; such a block is always read. */
function describeKnown(text: string, directory: string, ulid: string): KnownBlock | null {
  try {
    const known = describeBlock(parseBlockMeta(text, directory), { modifiedMs: 0, segmentCount: 0 });
    return known.ulid === ulid ? known : null;
  } catch {
    return null;
  }
}

/** Times of deletion marks in seconds, by block. */
async function readDeletionMarks(directory: string): Promise<ReadonlyMap<string, number>> {
  const marks = new Map<string, number>();
  for (const name of await listFiles(join(directory, 'markers'))) {
    const ulid = /^(.{26})-deletion-mark\.json$/.exec(name)?.[1];
    if (ulid === undefined) continue;
    try {
      const mark: unknown = JSON.parse(await readFile(join(directory, 'markers', name), 'utf8'));
      const time = (mark as { deletion_time?: unknown }).deletion_time;
      if (typeof time === 'number') marks.set(ulid, time);
    } catch {
      // It goes with its block at this moment.
    }
  }
  return marks;
}

async function listFiles(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}

/** Names of subfolders (links to folders included); none when the folder doesn't exist. */
async function listFolder(path: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
      .map((entry) => entry.name);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}
