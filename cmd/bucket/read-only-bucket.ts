import type { Bucket, ObjectList, ObjectSource, ObjectStat } from '../../lib/bucket/index.js';
import { VarveError } from '../../lib/errors/index.js';

/**
 * A bucket that is only looked at. Listing a tenant brings copies of marks up to date on the way; here that is noted
 * and not done, so that looking needs no right to write. Whatever else would change the bucket is refused.
 */
export class ReadOnlyBucket implements Bucket {
  /** Names of the copies of marks that are missing. */
  readonly missingCopies: Set<string>;
  readonly #inside: Bucket;

  constructor(inside: Bucket) {
    this.missingCopies = new Set();
    this.#inside = inside;
  }

  get(name: string): Promise<Uint8Array> {
    return this.#inside.get(name);
  }

  getRange(name: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#inside.getRange(name, offset, length);
  }

  async put(name: string, _source: ObjectSource): Promise<void> {
    if (!/\/markers\/[^/]+-mark\.json$/.test(name)) throw refused(name);
    this.missingCopies.add(name);
  }

  async putIfAbsent(name: string): Promise<boolean> {
    throw refused(name);
  }

  list(prefix: string, delimiter?: '/'): Promise<ObjectList> {
    return this.#inside.list(prefix, delimiter);
  }

  async delete(name: string): Promise<void> {
    throw refused(name);
  }

  stat(name: string): Promise<ObjectStat | null> {
    return this.#inside.stat(name);
  }

  async removeAbandonedUploads(): Promise<number> {
    throw refused('abandoned uploads');
  }

  close(): void {
    this.#inside.close();
  }
}

function refused(name: string): VarveError {
  return new VarveError('internal', 'bucket-read-only', `${name} is not to be changed by this command`);
}
