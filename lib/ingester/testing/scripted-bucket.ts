import {
  type Bucket,
  FolderBucket,
  type ObjectList,
  type ObjectSource,
  type ObjectStat,
} from '../../bucket/index.js';

/** Called before each call of a bucket, which goes on when it resolves. @param call such as `put t/01…/index` */
export type BucketScript = (call: string, n: number) => Promise<void> | void;

/** A folder as a bucket whose calls can be made to fail, to wait, or to be the last of a life. */
export class ScriptedBucket implements Bucket {
  readonly #inner: FolderBucket;
  readonly calls: string[] = [];
  script: BucketScript;

  constructor(folder: string, script: BucketScript = () => {}) {
    this.#inner = new FolderBucket(folder);
    this.script = script;
  }

  async #run<Result>(call: string, run: () => Promise<Result>): Promise<Result> {
    this.calls.push(call);
    await this.script(call, this.calls.length);
    return run();
  }

  get(name: string): Promise<Uint8Array> {
    return this.#run(`get ${name}`, () => this.#inner.get(name));
  }

  getRange(name: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#run(`getRange ${name}`, () => this.#inner.getRange(name, offset, length));
  }

  put(name: string, source: ObjectSource): Promise<void> {
    return this.#run(`put ${name}`, () => this.#inner.put(name, source));
  }

  putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean> {
    return this.#run(`putIfAbsent ${name}`, () => this.#inner.putIfAbsent(name, bytes));
  }

  list(prefix: string, delimiter?: '/'): Promise<ObjectList> {
    return this.#run(`list ${prefix}`, () => this.#inner.list(prefix, delimiter));
  }

  delete(name: string): Promise<void> {
    return this.#run(`delete ${name}`, () => this.#inner.delete(name));
  }

  stat(name: string): Promise<ObjectStat | null> {
    return this.#run(`stat ${name}`, () => this.#inner.stat(name));
  }

  removeAbandonedUploads(beforeMs: number): Promise<number> {
    return this.#run('removeAbandonedUploads', () => this.#inner.removeAbandonedUploads(beforeMs));
  }

  close(): void {}
}
