import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlockFile } from '../blocktransfer/index.js';
import { CorruptionError, messageOf } from '../errors/index.js';
import type { Logger, Metrics } from '../telemetry/index.js';
import { isValidTenant } from '../tenant/index.js';
import {
  CHUNKS_DIRECTORY,
  DELETION_SUFFIX,
  isBlockName,
  listBlocks,
  parseBlockMeta,
  removeUnfinishedBlocks,
} from '../tsdb/block/index.js';
import type { CutBlock } from '../tsdb/head/index.js';

/** A complete block in a folder of this process. */
export interface LocalBlock {
  readonly tenant: string;
  readonly ulid: string;
  /** Inclusive. */
  readonly minTimeMs: number;
  /** Exclusive. */
  readonly maxTimeMs: number;
  /** `<directory>/<tenant>/<ULID>`; not to be written to. */
  readonly directory: string;
  /** The first-level blocks it consists of: itself, for one that was cut here. */
  readonly sources: readonly string[];
  /** Chunk segments in order, then the index: what is stored in the bucket beside meta.json. */
  readonly files: readonly BlockFile[];
  /** Bytes of these files. */
  readonly byteCount: number;
}

export interface LocalBlocksParts {
  /** Blocks stand at `<directory>/<tenant>/<ULID>`. */
  readonly directory: string;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

interface Entry {
  readonly block: LocalBlock;
  holds: number;
  isRemoved: boolean;
}

/**
 * The blocks that were cut here and are still on this disk. They are read from here until every reader finds them in
 * the bucket; `Shipper` decides when that is. What a reader holds is not deleted under it.
 */
export class LocalBlocks {
  readonly directory: string;
  readonly #logger: Logger;
  /** By tenant, then by name, oldest name first. */
  readonly #blocks = new Map<string, Map<string, Entry>>();
  /** Blocks that cannot be read, by tenant. */
  readonly #unreadable = new Map<string, number>();
  readonly #deleting = new Set<Promise<void>>();

  constructor({ directory, logger, metrics }: LocalBlocksParts) {
    this.directory = directory;
    this.#logger = logger;
    const gauge = (name: string, help: string, values: () => Iterable<readonly [string, number]>) =>
      metrics.gauge(name, help, ['user'], (set) => {
        set.reset();
        for (const [tenant, value] of values()) set.labels(tenant).set(value);
      });
    gauge('varve_ingester_local_blocks', 'Blocks on this disk, in the bucket or not.', () =>
      this.tenants().map((tenant) => [tenant, this.blocksOf(tenant).length]),
    );
    gauge('varve_ingester_local_blocks_bytes', 'Bytes of the blocks on this disk.', () =>
      this.tenants().map((tenant) => [tenant, this.byteCount(tenant)]),
    );
    gauge(
      'varve_ingester_local_blocks_unreadable',
      'Blocks on this disk that are neither queried nor stored in the bucket, as they cannot be read.',
      () => this.#unreadable,
    );
  }

  /** Finds the blocks of earlier runs and deletes what a crash left half done. To be called before anything is cut. */
  async load(): Promise<void> {
    await mkdir(this.directory, { recursive: true });
    for (const entry of await readdir(this.directory, { withFileTypes: true })) {
      if (!entry.isDirectory() || !isValidTenant(entry.name)) continue;
      const folder = join(this.directory, entry.name);
      for (const name of removeUnfinishedBlocks(folder)) {
        this.#logger.info({ tenant: entry.name, folder: name }, 'leftover of an unfinished block deleted');
      }
      for (const ulid of listBlocks(folder)) await this.#loadBlock(entry.name, ulid);
    }
  }

  async #loadBlock(tenant: string, ulid: string): Promise<void> {
    const directory = join(this.directory, tenant, ulid);
    try {
      this.#enter(await readLocalBlock(tenant, ulid, directory));
    } catch (thrown) {
      this.#unreadable.set(tenant, (this.#unreadable.get(tenant) ?? 0) + 1);
      this.#logger.error(
        { tenant, block: ulid, directory, error: messageOf(thrown) },
        'local block cannot be read: it is not queried and not stored in the bucket; restore the file and restart, or move the folder away',
      );
    }
  }

  /** Lists new blocks; whoever holds blocks after it has resolved gets them. */
  async add(tenant: string, blocks: readonly Pick<CutBlock, 'ulid'>[]): Promise<void> {
    const folder = join(this.directory, tenant);
    const found = await Promise.all(
      blocks.map(({ ulid }) => readLocalBlock(tenant, ulid, join(folder, ulid))),
    );
    for (const block of found) this.#enter(block);
  }

  #enter(block: LocalBlock): void {
    const blocks = this.#blocks.get(block.tenant) ?? new Map<string, Entry>();
    if (blocks.has(block.ulid)) return;
    blocks.set(block.ulid, { block, holds: 0, isRemoved: false });
    this.#blocks.set(block.tenant, blocks);
  }

  /**
   * The blocks of a tenant that overlap a time span, inclusive on both sides. Their files stay until the release, which
   * may be called more than once.
   */
  hold(
    tenant: string,
    minTimeMs: number,
    maxTimeMs: number,
  ): { readonly blocks: readonly LocalBlock[]; release(): void } {
    const held: Entry[] = [];
    for (const entry of this.#blocks.get(tenant)?.values() ?? []) {
      const { block } = entry;
      if (block.minTimeMs > maxTimeMs || block.maxTimeMs <= minTimeMs) continue;
      entry.holds++;
      held.push(entry);
    }
    const blocks = held.map(({ block }) => block);
    return {
      blocks,
      release: () => {
        for (const entry of held.splice(0)) {
          entry.holds--;
          if (entry.isRemoved && entry.holds === 0) this.#delete(entry.block);
        }
      },
    };
  }

  /** Does not list a block any more, and deletes its files when nobody holds it. */
  remove(tenant: string, ulid: string): void {
    const blocks = this.#blocks.get(tenant);
    const entry = blocks?.get(ulid);
    if (blocks === undefined || entry === undefined) return;
    blocks.delete(ulid);
    if (blocks.size === 0) this.#blocks.delete(tenant);
    entry.isRemoved = true;
    if (entry.holds === 0) this.#delete(entry.block);
  }

  /** Tenants that have blocks here, sorted. */
  tenants(): string[] {
    return [...this.#blocks.keys()].sort();
  }

  /** The blocks of a tenant, oldest name first. */
  blocksOf(tenant: string): readonly LocalBlock[] {
    const entries = [...(this.#blocks.get(tenant)?.values() ?? [])];
    return entries.map(({ block }) => block).sort((a, b) => (a.ulid < b.ulid ? -1 : 1));
  }

  has(tenant: string, ulid: string): boolean {
    return this.#blocks.get(tenant)?.has(ulid) ?? false;
  }

  /** Bytes of all blocks of a tenant. */
  byteCount(tenant: string): number {
    return this.blocksOf(tenant).reduce((sum, block) => sum + block.byteCount, 0);
  }

  /** Resolves when the files of all removed blocks that nobody holds are gone. */
  async settled(): Promise<void> {
    await Promise.all(this.#deleting);
  }

  #delete({ tenant, ulid, directory }: LocalBlock): void {
    const deleting = (async () => {
      try {
        // The name goes first: what a crash leaves is no block any more.
        const doomed = directory + DELETION_SUFFIX;
        await rename(directory, doomed);
        await rm(doomed, { recursive: true, force: true });
      } catch (thrown) {
        this.#logger.error(
          { tenant, block: ulid, directory, error: messageOf(thrown) },
          'local block could not be deleted: it takes up disk until the next start; check rights on the folder',
        );
      }
    })().finally(() => this.#deleting.delete(deleting));
    this.#deleting.add(deleting);
  }
}

/** @throws CorruptionError `block-meta`, `block-files`, or what the file system says */
async function readLocalBlock(tenant: string, ulid: string, directory: string): Promise<LocalBlock> {
  const metaFile = join(directory, 'meta.json');
  const meta = parseBlockMeta(await readFile(metaFile, 'utf8'), metaFile);
  if (meta.ulid !== ulid || !isBlockName(ulid)) {
    throw new CorruptionError('block-meta', `${metaFile} is that of block ${meta.ulid}`, {
      details: { file: metaFile },
    });
  }
  const segments = (await readdir(join(directory, CHUNKS_DIRECTORY))).sort();
  if (segments.length === 0) {
    throw new CorruptionError('block-files', `${directory}/${CHUNKS_DIRECTORY} is empty`, {
      details: { file: directory },
    });
  }
  const files: BlockFile[] = [];
  for (const path of [...segments.map((name) => `${CHUNKS_DIRECTORY}/${name}`), 'index']) {
    files.push({ path, byteCount: (await stat(join(directory, path))).size });
  }
  const { sources } = meta.compaction;
  return {
    tenant,
    ulid,
    minTimeMs: meta.minTime,
    maxTimeMs: meta.maxTime,
    directory,
    sources: sources.length === 0 ? [ulid] : [...sources].sort(),
    files,
    byteCount: files.reduce((sum, file) => sum + file.byteCount, 0),
  };
}
