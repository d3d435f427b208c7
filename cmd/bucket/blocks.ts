import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type BlockFile, downloadBlock, listBlockFiles } from '../../lib/blocktransfer/index.js';
import {
  coveredBlocks,
  eachOf,
  type KnownBlock,
  listTenant,
  listTenants,
  MARK_KINDS,
  readBucketIndex,
  type TenantListing,
} from '../../lib/bucketindex/index.js';
import { VarveError } from '../../lib/errors/index.js';
import { isValidTenant } from '../../lib/tenant/index.js';
import { isBlockName } from '../../lib/tsdb/block/index.js';
import { type Context, type Flag, type OpenBucket, usageError } from './command.js';

/** Objects looked at at once. */
const STATS_MAX = 16;

export const JSON_FLAG: Flag = { name: 'json', value: '', description: 'Print JSON.' };
export const TEMP_FLAG: Flag = {
  name: 'temp-dir',
  value: 'FOLDER',
  description: 'Where blocks of a distant bucket are kept while they are read, one at a time.',
};

/** What an argument names: all tenants, one, or one of its blocks. */
export interface Selection {
  /** '' for all. */
  readonly tenant: string;
  /** '' for all. */
  readonly ulid: string;
}

/** Reads `TENANT`, `TENANT/ULID`, or nothing. @throws VarveError client `usage` */
export function parseSelection(text: string | undefined): Selection {
  if (text === undefined) return { tenant: '', ulid: '' };
  const [tenant = '', ulid = '', ...more] = text.replace(/\/$/, '').split('/');
  if (!isValidTenant(tenant)) throw usageError(`${JSON.stringify(tenant)} is not the name of a tenant`);
  if ((ulid !== '' && !isBlockName(ulid)) || more.length > 0) {
    throw usageError(`${JSON.stringify(text)} is neither TENANT nor TENANT/ULID`);
  }
  return { tenant, ulid };
}

/** Like `parseSelection`, for commands that take a single block. */
export function parseBlock(text: string): Selection {
  const selection = parseSelection(text);
  if (selection.ulid === '') throw usageError(`${JSON.stringify(text)} is not TENANT/ULID`);
  return selection;
}

/**
 * Tenants that a selection means: the named one, or all that there are.
 * @throws VarveError client `tenant-unknown` when there is nothing of the named one
 */
export async function tenantsOf(
  { bucket, title }: OpenBucket,
  { tenant }: Selection,
): Promise<readonly string[]> {
  if (tenant === '') return (await listTenants(bucket)).tenants;
  const { objects, prefixes } = await bucket.list(`${tenant}/`, '/');
  if (objects.length + prefixes.length > 0) return [tenant];
  throw new VarveError('client', 'tenant-unknown', `there is nothing of tenant ${tenant} in ${title}`);
}

/** A block with what a list shows of it. */
export interface ListedBlock {
  readonly block: KnownBlock;
  readonly bytes: number;
  /** `deletion`, `no-compact`, `no-downsample`, and `covered` when others hold all of it. */
  readonly marks: readonly string[];
}

/** What a tenant has, read with the help of its bucket index. */
export interface ListedTenant {
  readonly tenant: string;
  readonly listing: TenantListing;
  readonly blocks: readonly ListedBlock[];
}

export async function listBlocksOf(context: Context, tenant: string): Promise<ListedTenant> {
  const { bucket } = context.source;
  const old = await readBucketIndex(bucket, tenant).catch((error: unknown) => {
    if (error instanceof VarveError && error.kind === 'corruption') return null;
    throw error;
  });
  const listing = await listTenant(bucket, tenant, old, context.clock.nowMs());
  const { blocks } = listing.index;
  const covered = coveredBlocks(blocks.filter(({ ulid }) => !listing.marked.deletion.has(ulid)));
  const sizes = new Map<string, number>();
  const unknown = blocks.filter(({ facts }) => facts.bytes === 0);
  await eachOf(unknown, STATS_MAX, async ({ ulid }) => {
    sizes.set(ulid, bytesOf(await filesIfThere(context.source, tenant, ulid)));
  });
  return {
    tenant,
    listing,
    blocks: blocks.map((block) => ({
      block,
      bytes: block.facts.bytes || (sizes.get(block.ulid) ?? 0),
      marks: [
        ...MARK_KINDS.filter((kind) => listing.marked[kind].has(block.ulid)),
        ...(covered.has(block.ulid) ? ['covered'] : []),
      ],
    })),
  };
}

export function bytesOf(files: readonly BlockFile[]): number {
  return files.reduce((sum, { byteCount }) => sum + byteCount, 0);
}

/** The files of a block; none when it is not there any more. */
export async function filesIfThere(
  { bucket }: OpenBucket,
  tenant: string,
  ulid: string,
): Promise<readonly BlockFile[]> {
  try {
    return await listBlockFiles(bucket, tenant, ulid);
  } catch (error) {
    if (error instanceof VarveError && error.code === 'block-vanished') return [];
    throw error;
  }
}

/**
 * Lets a function read a block as a local directory: where it stands, if the bucket is a folder, else a copy that is
 * deleted afterwards.
 */
export async function withLocalBlock<Result>(
  context: Context,
  { tenant, ulid }: Selection,
  files: readonly BlockFile[],
  onBytes: (byteCount: number) => void,
  use: (directory: string) => Result,
): Promise<Result> {
  const { bucket, settings } = context.source;
  const { url, flatTenant } = settings;
  if (url.kind === 'folder') {
    return use(resolve(url.folder, flatTenant === tenant ? ulid : join(tenant, ulid)));
  }
  const parent = context.flags.get('temp-dir')?.at(-1) ?? tmpdir();
  const folder = await mkdtemp(join(parent, 'varve-bucket-'));
  try {
    const from = { tenant, ulid, files };
    return use(await downloadBlock(bucket, from, folder, context.signal, onBytes));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
