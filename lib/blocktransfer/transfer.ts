import { mkdir, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bucket } from '../bucket/index.js';
import { blockPrefix, eachOf, MARK_KINDS, markCopyName, metaName } from '../bucketindex/index.js';
import { VarveError } from '../errors/index.js';
import { type BlockMeta, encodeBlockMeta, isBlockName } from '../tsdb/block/index.js';

/** Bytes fetched by one request, and requests under way: 32 MiB in memory. */
const RANGE_BYTES = 8 * 1024 * 1024;
const FETCHES_MAX = 4;
const FILE = /^(?:meta\.json|index|tombstones|chunks\/\d{6})$/;

/** A file of a block. */
export interface BlockFile {
  /** Below the block's folder, such as `chunks/000001`. */
  readonly path: string;
  readonly byteCount: number;
}

/** The files of a block in the bucket, without its marks. */
export async function listBlockFiles(bucket: Bucket, tenant: string, ulid: string): Promise<BlockFile[]> {
  const prefix = blockPrefix(tenant, ulid);
  const paths = (await bucket.list(prefix)).objects.map((name) => name.slice(prefix.length));
  const files: BlockFile[] = [];
  await eachOf(
    paths.filter((path) => FILE.test(path)),
    FETCHES_MAX,
    async (path) => {
      const found = await bucket.stat(prefix + path);
      if (found === null) throw vanished(tenant, ulid);
      files.push({ path, byteCount: found.byteCount });
    },
  );
  if (!files.some(({ path }) => path === 'meta.json')) throw vanished(tenant, ulid);
  return files;
}

/** Copies a block into `<folder>/<ULID>`; returns that. @param onBytes called with each piece that arrived */
export async function downloadBlock(
  bucket: Bucket,
  source: { readonly tenant: string; readonly ulid: string; readonly files: readonly BlockFile[] },
  folder: string,
  signal: AbortSignal,
  onBytes: (byteCount: number) => void,
): Promise<string> {
  const target = join(folder, source.ulid);
  await mkdir(join(target, 'chunks'), { recursive: true });
  for (const file of source.files) {
    const name = blockPrefix(source.tenant, source.ulid) + file.path;
    await fetchFile(bucket, name, file.byteCount, join(target, file.path), signal, onBytes);
  }
  return target;
}

async function fetchFile(
  bucket: Bucket,
  name: string,
  byteCount: number,
  path: string,
  signal: AbortSignal,
  onBytes: (byteCount: number) => void,
): Promise<void> {
  const file = await open(path, 'w');
  try {
    const offsets = Array.from({ length: Math.ceil(byteCount / RANGE_BYTES) }, (_, i) => i * RANGE_BYTES);
    await eachOf(offsets, FETCHES_MAX, async (offset) => {
      signal.throwIfAborted();
      const length = Math.min(RANGE_BYTES, byteCount - offset);
      const bytes = await bucket.getRange(name, offset, length);
      if (bytes.length !== length) {
        throw new VarveError('unavailable', 'object-changed', `${name} became shorter while it was read`);
      }
      let done = 0;
      while (done < length) {
        done += (await file.write(bytes, done, length - done, offset + done)).bytesWritten;
      }
      onBytes(length);
    });
  } finally {
    await file.close();
  }
}

/** Stores the files of a local block except meta.json, which `publishBlock` stores at the very end. */
export async function uploadBlock(
  bucket: Bucket,
  tenant: string,
  directory: string,
  ulid: string,
  signal: AbortSignal,
  onBytes: (byteCount: number) => void,
): Promise<BlockFile[]> {
  const chunks = (await readdir(join(directory, 'chunks'))).sort().map((name) => `chunks/${name}`);
  const files: BlockFile[] = [];
  for (const path of [...chunks, 'index']) {
    signal.throwIfAborted();
    const local = join(directory, path);
    const { size } = await stat(local);
    await bucket.put(blockPrefix(tenant, ulid) + path, { path: local });
    files.push({ path, byteCount: size });
    onBytes(size);
  }
  return files;
}

/** Stores meta.json: from then on the block is there, and complete. */
export async function publishBlock(
  bucket: Bucket,
  tenant: string,
  meta: BlockMeta,
  files: readonly BlockFile[],
  nowMs: number,
): Promise<void> {
  const { thanos } = meta;
  const published: BlockMeta =
    thanos === undefined
      ? meta
      : {
          ...meta,
          thanos: {
            ...thanos,
            files: [
              ...files.map(({ path, byteCount }) => ({ rel_path: path, size_bytes: byteCount })),
              { rel_path: 'meta.json' },
            ],
            upload_time: new Date(nowMs).toISOString(),
          },
        };
  await bucket.put(metaName(tenant, meta.ulid), Buffer.from(encodeBlockMeta(published)));
}

/**
 * Deletes a block in the order that leaves something recognizable at each point: meta.json, the rest, its marks, and
 * last the copies of the marks.
 */
export async function deleteBlock(bucket: Bucket, tenant: string, ulid: string): Promise<void> {
  const prefix = blockPrefix(tenant, ulid);
  await bucket.delete(metaName(tenant, ulid));
  const { objects } = await bucket.list(prefix);
  const own = `${prefix}deletion-mark.json`;
  for (const name of objects) if (name !== own) await bucket.delete(name);
  await bucket.delete(own);
  // The deletion mark's copy last: while it is there, what is left is known to be garbage.
  for (const kind of [...MARK_KINDS].reverse()) await bucket.delete(markCopyName(tenant, ulid, kind));
}

/** The block whose file a path names; null when it names none. */
export function blockOfFile(path: string): string | null {
  return path.split('/').findLast(isBlockName) ?? null;
}

function vanished(tenant: string, ulid: string): VarveError {
  return new VarveError('unavailable', 'block-vanished', `block ${ulid} of ${tenant} is not there any more`, {
    details: { tenant, block: ulid },
  });
}
