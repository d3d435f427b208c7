import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';

const BUFFER_BYTES = 1 << 20;

/** A new file written front to back through one buffer, with a patch and a read-back for headers known late. */
export class FileSink {
  readonly path: string;
  readonly #fd: number;
  readonly #buffer: Uint8Array;
  #filled: number;
  #flushed: number;
  #isOpen: boolean;

  /** @throws when the file exists. */
  constructor(path: string, bufferBytes: number = BUFFER_BYTES) {
    this.path = path;
    this.#fd = openSync(path, 'wx+');
    this.#buffer = new Uint8Array(bufferBytes);
    this.#filled = 0;
    this.#flushed = 0;
    this.#isOpen = true;
  }

  /** Bytes written so far: the offset of the next one. */
  get position(): number {
    return this.#flushed + this.#filled;
  }

  write(bytes: Uint8Array): void {
    if (bytes.length > this.#buffer.length - this.#filled) {
      this.flush();
      if (bytes.length >= this.#buffer.length) {
        this.#writeOut(bytes);
        return;
      }
    }
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  /** Zeros up to the next multiple of `alignment`. */
  align(alignment: number): void {
    const rest = this.position % alignment;
    if (rest !== 0) this.write(new Uint8Array(alignment - rest));
  }

  flush(): void {
    if (this.#filled === 0) return;
    const filled = this.#filled;
    this.#filled = 0;
    this.#writeOut(this.#buffer.subarray(0, filled));
  }

  /** Overwrites bytes that were written before. */
  patch(offset: number, bytes: Uint8Array): void {
    this.flush();
    let done = 0;
    while (done < bytes.length) done += writeSync(this.#fd, bytes, done, bytes.length - done, offset + done);
  }

  /** Reads back what was written; returns the bytes read, which end at the end of the file. */
  readBack(into: Uint8Array, offset: number): number {
    this.flush();
    let done = 0;
    while (done < into.length) {
      const count = readSync(this.#fd, into, done, into.length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  /** Flushes, fsyncs and closes. */
  finish(): void {
    this.flush();
    fsyncSync(this.#fd);
    this.close();
  }

  /** Closes without flushing, for a file that is thrown away. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#fd);
  }

  #writeOut(bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) {
      const count = writeSync(this.#fd, bytes, done, bytes.length - done, this.#flushed);
      done += count;
      this.#flushed += count;
    }
  }
}

/** Makes renames, creations and deletions inside a directory durable. */
export function fsyncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
