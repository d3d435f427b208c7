import { VarveError } from '../errors/index.js';
import {
  type Bucket,
  checkObjectName,
  checkObjectPrefix,
  type ObjectList,
  type ObjectSource,
  type ObjectStat,
} from './bucket.js';

/** A block's folder: a ULID, then a slash. */
const BLOCK = /^[0-7][0-9A-HJKMNP-TV-Z]{25}\//;
/** What a prefix without a slash may be, if blocks are to begin with it. */
const BLOCK_BEGIN = /^(?:[0-7][0-9A-HJKMNP-TV-Z]{0,25})?$/;

/**
 * Shows a bucket of Thanos' layout, whose blocks stand at its root, as one where they belong to a tenant:
 *
 *     inside                     shown as
 *     <ULID>/meta.json           <tenant>/<ULID>/meta.json
 *     everything else            the same
 *
 * So bucket index, marks' copies and leases of the tenant stand below `<tenant>/`, where Thanos passes them over, and
 * blocks and the marks in their folders where Thanos looks for them. Blocks that stand below `<tenant>/` inside are not
 * seen, and names of blocks at the root are refused (`object-name`): every object has one name.
 */
export class FlatBucket implements Bucket {
  readonly #inside: Bucket;
  /** `<tenant>/`. */
  readonly #own: string;

  /** @param tenant a valid tenant name: without slashes */
  constructor(inside: Bucket, tenant: string) {
    this.#inside = inside;
    this.#own = `${tenant}/`;
  }

  async get(name: string): Promise<Uint8Array> {
    return this.#inside.get(this.#insideName(name));
  }

  async getRange(name: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#inside.getRange(this.#insideName(name), offset, length);
  }

  async put(name: string, source: ObjectSource): Promise<void> {
    return this.#inside.put(this.#insideName(name), source);
  }

  async putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean> {
    return this.#inside.putIfAbsent(this.#insideName(name), bytes);
  }

  async delete(name: string): Promise<void> {
    return this.#inside.delete(this.#insideName(name));
  }

  async stat(name: string): Promise<ObjectStat | null> {
    return this.#inside.stat(this.#insideName(name));
  }

  async list(prefix: string, delimiter?: '/'): Promise<ObjectList> {
    checkObjectPrefix(prefix);
    const own = this.#own;
    if (prefix.startsWith(own)) {
      const rest = prefix.slice(own.length);
      if (BLOCK.test(rest)) return this.#shown(await this.#inside.list(rest, delimiter));
      const others = this.#without(await this.#inside.list(prefix, delimiter));
      if (!BLOCK_BEGIN.test(rest)) return others;
      return merged(others, this.#shown(await this.#inside.list(rest, delimiter)));
    }
    const found = await this.#inside.list(prefix, delimiter);
    const others = this.#without(found);
    if (!own.startsWith(prefix)) return others;
    if (delimiter === undefined) {
      return merged(others, this.#shown(prefix === '' ? found : await this.#inside.list('')));
    }
    const atRoot = prefix === '' ? found : await this.#inside.list('', delimiter);
    const hasBlocks = atRoot.prefixes.some((name) => BLOCK.test(name));
    return { objects: others.objects, prefixes: await this.#withTenant(others.prefixes, hasBlocks) };
  }

  removeAbandonedUploads(beforeMs: number): Promise<number> {
    return this.#inside.removeAbandonedUploads(beforeMs);
  }

  close(): void {
    this.#inside.close();
  }

  #insideName(name: string): string {
    checkObjectName(name);
    if (name.startsWith(this.#own)) {
      const rest = name.slice(this.#own.length);
      return BLOCK.test(rest) ? rest : name;
    }
    if (!BLOCK.test(name)) return name;
    throw new VarveError(
      'client',
      'object-name',
      `${JSON.stringify(name.slice(0, 200))} is not an object name here: blocks at the root are those below ${this.#own}`,
    );
  }

  /** The blocks among what was listed inside, by the names they are shown with. */
  #shown({ objects, prefixes }: ObjectList): ObjectList {
    const show = (names: readonly string[]): string[] =>
      names.filter((name) => BLOCK.test(name)).map((name) => this.#own + name);
    return { objects: show(objects), prefixes: show(prefixes) };
  }

  /** What was listed inside without everything that has, or would have, another name here. */
  #without({ objects, prefixes }: ObjectList): ObjectList {
    const own = this.#own;
    const isSame = (name: string): boolean =>
      !BLOCK.test(name.startsWith(own) ? name.slice(own.length) : name);
    return { objects: objects.filter(isSame), prefixes: prefixes.filter(isSame) };
  }

  /** The tenant's folder is there when it has anything that is shown. */
  async #withTenant(prefixes: readonly string[], hasBlocks: boolean): Promise<readonly string[]> {
    const others = prefixes.filter((prefix) => prefix !== this.#own);
    const isThere = hasBlocks || (others.length < prefixes.length && (await this.#hasOthers()));
    return isThere ? [...others, this.#own].sort() : others;
  }

  async #hasOthers(): Promise<boolean> {
    const { objects, prefixes } = this.#without(await this.#inside.list(this.#own, '/'));
    return objects.length + prefixes.length > 0;
  }
}

function merged(a: ObjectList, b: ObjectList): ObjectList {
  return { objects: [...a.objects, ...b.objects].sort(), prefixes: [...a.prefixes, ...b.prefixes].sort() };
}
