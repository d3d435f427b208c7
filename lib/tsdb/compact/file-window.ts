import type { ByteSource } from '../index/index.js';

/**
 * A part of a file in a buffer that moves forward: for readers that go through a file front to back in small steps. A
 * step behind the window costs one read, a step back as well.
 */
export class FileWindow {
  readonly source: ByteSource;
  /** The buffer; what lies between `base` and the end of the window is valid until the next `locate`. */
  bytes: Uint8Array;
  /** Offset in the file of `bytes[0]`. */
  base: number;
  /** Bytes read from the file so far. */
  bytesRead: number;
  #filled: number;

  constructor(source: ByteSource, windowBytes: number) {
    this.source = source;
    this.bytes = new Uint8Array(windowBytes);
    this.base = 0;
    this.bytesRead = 0;
    this.#filled = 0;
  }

  /**
   * Makes a range readable and returns its place in `bytes`.
   * @throws CorruptionError `file-truncated` when it leaves the file
   */
  locate(offset: number, length: number): number {
    const at = offset - this.base;
    if (at >= 0 && at + length <= this.#filled) return at;
    return this.#move(offset, length);
  }

  /** How many bytes from an offset on lie in the window, once something at or before it was located. */
  available(offset: number): number {
    return this.base + this.#filled - offset;
  }

  /** Gives the buffer up. Reading on needs another one in `bytes`. */
  release(): void {
    this.bytes = new Uint8Array(0);
    this.#filled = 0;
  }

  #move(offset: number, length: number): number {
    if (length > this.bytes.length) this.bytes = new Uint8Array(length);
    const wanted = Math.max(length, Math.min(this.bytes.length, this.source.size - offset));
    // Nothing is valid if the read fails.
    this.#filled = 0;
    this.source.readInto(this.bytes.subarray(0, wanted), offset);
    this.base = offset;
    this.#filled = wanted;
    this.bytesRead += wanted;
    return 0;
  }
}
