import { fdatasync, ftruncate, write } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

const writeAsync = promisify(write);
const fdatasyncAsync = promisify(fdatasync);
const ftruncateAsync = promisify(ftruncate);

/** A log segment that is being written. */
export interface LogFile {
  /** Writes the bytes from `from` on at a place in the file. Resolves with the number of bytes written. */
  write(bytes: Uint8Array, from: number, position: number): Promise<number>;
  /** Makes the contents durable. */
  sync(): Promise<void>;
  truncate(byteLength: number): Promise<void>;
  close(): Promise<void>;
}

/** What a log needs of a file system. */
export interface LogFiles {
  /** Creates an empty file, or empties the one that is there; its directory entry is durable. */
  create(path: string): Promise<LogFile>;
}

class NodeLogFile implements LogFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async write(bytes: Uint8Array, from: number, position: number): Promise<number> {
    const { bytesWritten } = await writeAsync(this.#handle.fd, bytes, from, bytes.length - from, position);
    return bytesWritten;
  }

  sync(): Promise<void> {
    return fdatasyncAsync(this.#handle.fd);
  }

  truncate(byteLength: number): Promise<void> {
    return ftruncateAsync(this.#handle.fd, byteLength);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** The file system of this machine. */
export const nodeLogFiles: LogFiles = {
  async create(path) {
    const handle = await open(path, 'w');
    try {
      const folder = await open(dirname(path), 'r');
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
      return new NodeLogFile(handle);
    } catch (thrown) {
      await handle.close();
      throw thrown;
    }
  },
};
