import type { BlockDescriptor } from './sources.js';

/**
 * Open blocks of one query thread, kept between queries because opening one costs more than most queries. Nothing is
 * closed while a task may use it: `trim` runs between tasks.
 */
export class BlockCache<Reader extends { close(): void }> {
  readonly #open: (directory: string) => Reader;
  readonly #exists: (directory: string) => boolean;
  readonly #blocksMax: number;
  /** In order of use, the latest at the end. */
  readonly #readers = new Map<string, Reader>();

  /** @param exists tells whether a block's folder is still there */
  constructor(
    open: (directory: string) => Reader,
    exists: (directory: string) => boolean,
    blocksMax: number,
  ) {
    this.#open = open;
    this.#exists = exists;
    this.#blocksMax = blocksMax;
  }

  get size(): number {
    return this.#readers.size;
  }

  /** The reader of a block, opened if need be. The cache owns it. @throws what opening throws */
  get({ directory }: BlockDescriptor): Reader {
    const reader = this.#readers.get(directory) ?? this.#open(directory);
    this.#readers.delete(directory);
    this.#readers.set(directory, reader);
    return reader;
  }

  /** Closes the blocks used longest ago, down to the allowed number. */
  trim(): void {
    for (const directory of this.#readers.keys()) {
      if (this.#readers.size <= this.#blocksMax) return;
      this.#close(directory);
    }
  }

  /** Closes blocks whose folders are gone: an open file would keep their disk space. */
  sweep(): void {
    for (const directory of [...this.#readers.keys()]) if (!this.#exists(directory)) this.#close(directory);
  }

  #close(directory: string): void {
    this.#readers.get(directory)?.close();
    this.#readers.delete(directory);
  }
}
