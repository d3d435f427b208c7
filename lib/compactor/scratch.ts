import { mkdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { VarveError } from '../errors/index.js';

/** Space that is left free on the disk, bytes. */
const RESERVE_BYTES = 256 * 1024 * 1024;

/** Local disk for blocks in work. All of it belongs to this process and is worth nothing after it ends. */
export class Scratch {
  readonly #folder: string;
  readonly #bytesMax: number;
  #takenBytes = 0;

  /** @param bytesMax 0 for what the disk has */
  constructor(folder: string, bytesMax: number) {
    this.#folder = folder;
    this.#bytesMax = bytesMax;
  }

  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** Removes what an earlier life left. */
  async clear(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
    await mkdir(this.#folder, { recursive: true });
  }

  /**
   * A new empty folder for which so many bytes are set aside.
   * @throws VarveError limit `scratch-full` when they are not there: nothing was done then
   */
  async take(name: string, bytes: number): Promise<ScratchFolder> {
    await mkdir(this.#folder, { recursive: true });
    const disk = await statfs(this.#folder);
    const free = disk.bavail * disk.bsize - RESERVE_BYTES;
    const allowed = this.#bytesMax === 0 ? free : Math.min(free, this.#bytesMax - this.#takenBytes);
    if (bytes > allowed) {
      throw new VarveError(
        'limit',
        'scratch-full',
        `the job needs ${mebibytes(bytes)} in ${this.#folder}, ${mebibytes(allowed)} are free: give the compactor more disk (compactor.data_dir, compactor.max_scratch_bytes)`,
        { details: { neededBytes: bytes, freeBytes: allowed } },
      );
    }
    this.#takenBytes += bytes;
    const path = join(this.#folder, name);
    try {
      await rm(path, { recursive: true, force: true });
      await mkdir(path);
    } catch (error) {
      this.#takenBytes -= bytes;
      throw error;
    }
    return {
      path,
      remove: async () => {
        this.#takenBytes -= bytes;
        await rm(path, { recursive: true, force: true });
      },
    };
  }
}

export interface ScratchFolder {
  readonly path: string;
  /** Once. */
  remove(): Promise<void>;
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(Math.max(0, bytes) / 1024 / 1024)} MiB`;
}
