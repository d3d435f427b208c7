import {
  type Bucket,
  FolderBucket,
  type ObjectList,
  type ObjectSource,
  type ObjectStat,
} from '../../bucket/index.js';

/** What a bucket throws after its user's death. */
export class Death extends Error {}

/**
 * A folder as a bucket whose user dies at a chosen call that changes something: that call does nothing, and after it
 * nothing works any more. All states that a kill can leave in the bucket come about that way.
 */
export class CrashingBucket implements Bucket {
  readonly #inner: FolderBucket;
  readonly #deadline: number;
  /** Calls that change something, the fatal one included. */
  changes = 0;
  /** What they were, for the reader of a failure. */
  readonly log: string[] = [];

  /** @param deadline the call to die at, from 1; 0 to live */
  constructor(folder: string, deadline: number) {
    this.#inner = new FolderBucket(folder);
    this.#deadline = deadline;
  }

  get isDead(): boolean {
    return this.#deadline > 0 && this.changes >= this.#deadline;
  }

  get(name: string): Promise<Uint8Array> {
    return this.#read(() => this.#inner.get(name));
  }

  getRange(name: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#read(() => this.#inner.getRange(name, offset, length));
  }

  put(name: string, source: ObjectSource): Promise<void> {
    return this.#change(`put ${name}`, () => this.#inner.put(name, source));
  }

  putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean> {
    return this.#change(`putIfAbsent ${name}`, () => this.#inner.putIfAbsent(name, bytes));
  }

  list(prefix: string, delimiter?: '/'): Promise<ObjectList> {
    return this.#read(() => this.#inner.list(prefix, delimiter));
  }

  delete(name: string): Promise<void> {
    return this.#change(`delete ${name}`, () => this.#inner.delete(name));
  }

  stat(name: string): Promise<ObjectStat | null> {
    return this.#read(() => this.#inner.stat(name));
  }

  removeAbandonedUploads(beforeMs: number): Promise<number> {
    return this.#change('removeAbandonedUploads', () => this.#inner.removeAbandonedUploads(beforeMs));
  }

  close(): void {}

  async #read<Result>(run: () => Promise<Result>): Promise<Result> {
    if (this.isDead) throw new Death('the process is dead');
    return run();
  }

  async #change<Result>(what: string, run: () => Promise<Result>): Promise<Result> {
    if (this.isDead) throw new Death('the process is dead');
    this.changes++;
    this.log.push(what);
    if (this.isDead) throw new Death(`the process died at ${what}`);
    return run();
  }
}
