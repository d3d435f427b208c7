import { readdir } from 'node:fs/promises';
import { removeHeaders } from '../../lib/blockstore/index.js';
import type { BlockCatalog } from '../../lib/bucketindex/index.js';
import { messageOf } from '../../lib/errors/index.js';
import type { Logger } from '../../lib/telemetry/index.js';

const INTERVAL_MS = 600_000;

/** Deletes index-headers of blocks that are not in the bucket any more. */
export class HeaderCleaner {
  readonly #folder: string;
  readonly #catalog: BlockCatalog;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | null = null;

  constructor(folder: string, catalog: BlockCatalog, logger: Logger) {
    this.#folder = folder;
    this.#catalog = catalog;
    this.#logger = logger;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#clean(), INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  async #clean(): Promise<void> {
    try {
      const tenants = await readdir(this.#folder).catch(() => []);
      for (const tenant of tenants) {
        // Of tenants that nobody asks for, nothing is known.
        const known = this.#catalog.knownBlocks(tenant);
        if (known !== null) await removeHeaders(this.#folder, `${tenant}/`, known);
      }
    } catch (error) {
      this.#logger.warn(
        { folder: this.#folder, error: messageOf(error) },
        'index-headers were not cleaned up',
      );
    }
  }
}
