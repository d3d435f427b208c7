import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../errors/index.js';
import type { Service } from '../service/index.js';
import type { Logger } from '../telemetry/index.js';
import { isValidTenant } from '../tenant/index.js';
import type { SourceProvider, SourceSnapshot } from './sources.js';
import { type BlockDescriptor, EMPTY_HEAD_STATS, type HeadStats, type MetricMetadata } from './sources.js';

const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** Serves the raw blocks of a bucket folder (`<folder>/<tenant>/<ulid>/meta.json`), looked at again every so often. */
export class BucketProvider implements SourceProvider, Service {
  readonly #folder: string;
  readonly #refreshMs: number;
  readonly #logger: Logger;
  #blocks: ReadonlyMap<string, readonly BlockDescriptor[]> = new Map();
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> = Promise.resolve();

  constructor(folder: string, refreshMs: number, logger: Logger) {
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
    const known = new Map<string, BlockDescriptor>();
    for (const blocks of this.#blocks.values()) for (const block of blocks) known.set(block.directory, block);
    const found = new Map<string, readonly BlockDescriptor[]>();
    for (const tenant of await listFolder(this.#folder)) {
      if (!isValidTenant(tenant)) continue;
      const directory = join(this.#folder, tenant);
      const blocks: BlockDescriptor[] = [];
      for (const ulid of await listFolder(directory)) {
        if (!ULID.test(ulid)) continue;
        const path = join(directory, ulid);
        const block = known.get(path) ?? (await this.#describe(path, ulid));
        if (block !== null) blocks.push(block);
      }
      blocks.sort((a, b) => a.minTimeMs - b.minTimeMs);
      found.set(tenant, blocks);
    }
    this.#blocks = found;
  }

  async #describe(directory: string, ulid: string): Promise<BlockDescriptor | null> {
    try {
      const meta: unknown = JSON.parse(await readFile(join(directory, 'meta.json'), 'utf8'));
      const { minTime, maxTime, thanos } = meta as {
        minTime?: unknown;
        maxTime?: unknown;
        thanos?: { downsample?: { resolution?: number } };
      };
      // Downsampled blocks repeat what the raw ones hold; their chunks can't be evaluated as raw samples.
      if ((thanos?.downsample?.resolution ?? 0) > 0) return null;
      if (typeof minTime !== 'number' || typeof maxTime !== 'number')
        throw new Error('no minTime and maxTime');
      return { kind: 'block', directory, ulid, minTimeMs: minTime, maxTimeMs: maxTime };
    } catch (error) {
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
