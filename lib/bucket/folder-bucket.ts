import { randomUUID } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { messageOf, VarveError } from '../errors/index.js';
import {
  type Bucket,
  checkObjectName,
  checkObjectPrefix,
  type ObjectList,
  type ObjectSource,
  type ObjectStat,
  objectNotFound,
  objectRange,
} from './bucket.js';

/** Uploads in progress; no object name can reach it, since listing and naming pass it over. */
const UPLOADS = '.uploads';
const COPY_BYTES = 1024 * 1024;

/**
 * A bucket in a folder of a local or network file system. An object is written aside, synced, renamed into place,
 * and its directory synced; so it is there whole or not at all, even after a crash. Empty directories vanish with
 * their last object.
 */
export class FolderBucket implements Bucket {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async get(name: string): Promise<Uint8Array> {
    return this.#withFile(name, async (file) => new Uint8Array(await file.readFile()));
  }

  async getRange(name: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#withFile(name, async (file) => {
      const { size } = await file.stat();
      if (offset > size || (offset === size && length > 0)) throw objectRange(name, offset, size);
      const bytes = new Uint8Array(Math.min(length, size - offset));
      let filled = 0;
      while (filled < bytes.length) {
        const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return filled === bytes.length ? bytes : bytes.subarray(0, filled);
    });
  }

  async put(name: string, source: ObjectSource): Promise<void> {
    const target = this.#path(name);
    const uploads = join(this.#root, UPLOADS);
    const temporary = join(uploads, randomUUID());
    try {
      await mkdir(uploads, { recursive: true });
      await this.#writeSynced(temporary, source);
      await this.#place(temporary, target, rename);
    } catch (error) {
      await rm(temporary, { force: true });
      throw failure('store', name, error);
    }
  }

  async putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean> {
    const target = this.#path(name);
    const uploads = join(this.#root, UPLOADS);
    const temporary = join(uploads, randomUUID());
    try {
      await mkdir(uploads, { recursive: true });
      await this.#writeSynced(temporary, bytes);
      // Unlike a rename, a link does not replace what is there.
      return await this.#place(temporary, target, link).then(
        () => true,
        (error: unknown) => {
          if (errorCode(error) === 'EEXIST') return false;
          throw error;
        },
      );
    } catch (error) {
      throw failure('store', name, error);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async list(prefix: string, delimiter?: '/'): Promise<ObjectList> {
    checkObjectPrefix(prefix);
    const objects: string[] = [];
    const prefixes = new Set<string>();
    // Only the directory that the prefix names fully is read; the rest of the prefix filters its entries.
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    const pending = [folder];
    for (let current = pending.pop(); current !== undefined; current = pending.pop()) {
      for (const entry of await this.#entries(current)) {
        const name = current + entry.name;
        if (name === UPLOADS) continue;
        if (entry.isDirectory()) {
          const inner = `${name}/`;
          if (!inner.startsWith(prefix) && !prefix.startsWith(inner)) continue;
          if (delimiter !== undefined && inner.length > prefix.length) prefixes.add(inner);
          else pending.push(inner);
        } else if (entry.isFile() && name.startsWith(prefix)) objects.push(name);
      }
    }
    return { objects: objects.sort(), prefixes: [...prefixes].sort() };
  }

  async delete(name: string): Promise<void> {
    const path = this.#path(name);
    try {
      await rm(path, { force: true });
      await syncDirectory(dirname(path)).catch(ignoreMissing);
      await this.#removeEmpty(dirname(path));
    } catch (error) {
      if (errorCode(error) !== 'ENOTDIR') throw failure('delete', name, error);
    }
  }

  async stat(name: string): Promise<ObjectStat | null> {
    const path = this.#path(name);
    try {
      const found = await stat(path);
      return found.isFile() ? { byteCount: found.size, modifiedMs: Math.floor(found.mtimeMs) } : null;
    } catch (error) {
      if (isMissing(error)) return null;
      throw failure('look at', name, error);
    }
  }

  async removeAbandonedUploads(beforeMs: number): Promise<number> {
    const uploads = join(this.#root, UPLOADS);
    let count = 0;
    for (const entry of await this.#entries(UPLOADS)) {
      const path = join(uploads, entry.name);
      try {
        if ((await stat(path)).mtimeMs >= beforeMs) continue;
        await rm(path, { force: true });
        count++;
      } catch (error) {
        if (!isMissing(error)) throw failure('delete', `${UPLOADS}/${entry.name}`, error);
      }
    }
    return count;
  }

  close(): void {}

  #path(name: string): string {
    checkObjectName(name);
    if (name === UPLOADS || name.startsWith(`${UPLOADS}/`)) {
      throw new VarveError('client', 'object-name', `${JSON.stringify(name)} is not an object name`);
    }
    return join(this.#root, name);
  }

  async #withFile<Result>(name: string, use: (file: FileHandle) => Promise<Result>): Promise<Result> {
    const path = this.#path(name);
    let file: FileHandle | null = null;
    try {
      file = await open(path, 'r');
      return await use(file);
    } catch (error) {
      if (isMissing(error) || errorCode(error) === 'EISDIR') throw objectNotFound(name, error);
      throw failure('read', name, error);
    } finally {
      await file?.close();
    }
  }

  async #writeSynced(path: string, source: ObjectSource): Promise<void> {
    const file = await open(path, 'wx');
    try {
      if (source instanceof Uint8Array) await file.writeFile(source);
      else if (source instanceof Readable) {
        for await (const piece of source) await file.writeFile(piece as Uint8Array);
      } else await copyInto(file, source.path);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /** Gives a finished file its name, durably. */
  async #place(
    temporary: string,
    target: string,
    give: (from: string, to: string) => Promise<void>,
  ): Promise<void> {
    const folder = dirname(target);
    // A concurrent delete may remove the directory between its making and the naming.
    for (let attempt = 0; ; attempt++) {
      const made = await mkdir(folder, { recursive: true });
      try {
        await give(temporary, target);
      } catch (error) {
        if (errorCode(error) !== 'ENOENT' || attempt === 3) throw error;
        continue;
      }
      await syncDirectory(folder);
      if (made !== undefined) {
        for (let parent = folder; parent.length >= made.length; ) {
          parent = dirname(parent);
          await syncDirectory(parent);
        }
      }
      return;
    }
  }

  async #entries(folder: string): Promise<Dirent[]> {
    try {
      return await readdir(join(this.#root, folder), { withFileTypes: true });
    } catch (error) {
      if (isMissing(error)) return [];
      throw failure('list', folder, error);
    }
  }

  /** Removes directories from the bottom up until one is not empty. */
  async #removeEmpty(from: string): Promise<void> {
    for (let folder = from; folder.length > this.#root.length; folder = dirname(folder)) {
      try {
        await rmdir(folder);
      } catch (error) {
        const code = errorCode(error);
        if (code === 'ENOTEMPTY' || code === 'EEXIST') return;
        ignoreMissing(error);
      }
    }
  }
}

async function copyInto(file: FileHandle, path: string): Promise<void> {
  const source = await open(path, 'r');
  try {
    const buffer = Buffer.allocUnsafeSlow(COPY_BYTES);
    for (;;) {
      const { bytesRead } = await source.read(buffer, 0, COPY_BYTES, null);
      if (bytesRead === 0) return;
      let done = 0;
      while (done < bytesRead) done += (await file.write(buffer, done, bytesRead - done)).bytesWritten;
    }
  } finally {
    await source.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function failure(action: string, name: string, error: unknown): VarveError {
  if (error instanceof VarveError) return error;
  return new VarveError(
    'unavailable',
    'bucket-unavailable',
    `cannot ${action} ${name}: ${messageOf(error)}`,
    {
      cause: error,
      details: { object: name },
    },
  );
}

function isMissing(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}

function errorCode(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}
