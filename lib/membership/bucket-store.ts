import { type Bucket, isObjectNotFound } from '../bucket/index.js';
import { VarveError } from '../errors/index.js';
import { encodeRecord, type MemberRecord, parseRecord } from './member.js';
import type { MemberStore, StoredMember } from './member-store.js';

/** No tenant can have this name (lib/tenant reserves it). */
const FOLDER = '__varve_cluster/members/';

/**
 * Records in the bucket that the cluster needs anyway: each member rewrites `__varve_cluster/members/<id>.json` with
 * every heartbeat. It reaches exactly those that share the data. The age of a record is how much older its object is
 * than the own one, just written.
 */
export class BucketStore implements MemberStore {
  readonly kind = 'bucket';
  readonly #bucket: Bucket;

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  async list(): Promise<MemberRecord[]> {
    const records = await Promise.all((await this.#names()).map((name) => this.#get(name)));
    return records.filter((record) => record !== null);
  }

  read(id: string): Promise<MemberRecord | null> {
    return this.#get(nameOf(id));
  }

  async exchange(own: MemberRecord): Promise<StoredMember[]> {
    const ownName = nameOf(own.id);
    await this.#bucket.put(ownName, encodeRecord(own));
    const nowMs = (await this.#bucket.stat(ownName))?.modifiedMs;
    if (nowMs === undefined) {
      throw new VarveError('unavailable', 'heartbeat-lost', `${ownName} was stored and is not there`);
    }
    const others = (await this.#names()).filter((name) => name !== ownName);
    const found = await Promise.all(
      others.map(async (name) => {
        const [record, stat] = await Promise.all([this.#get(name), this.#bucket.stat(name)]);
        // One that has just left.
        if (record === null || stat === null) return null;
        return { record, ageMs: Math.max(0, nowMs - stat.modifiedMs) };
      }),
    );
    return [{ record: own, ageMs: 0 }, ...found.filter((member) => member !== null)];
  }

  remove(id: string): Promise<void> {
    return this.#bucket.delete(nameOf(id));
  }

  async #names(): Promise<string[]> {
    return (await this.#bucket.list(FOLDER)).objects.filter((name) => name.endsWith('.json'));
  }

  async #get(name: string): Promise<MemberRecord | null> {
    try {
      const record = parseRecord(await this.#bucket.get(name));
      // A copy under another name would be heard of for ever.
      return record !== null && nameOf(record.id) === name ? record : null;
    } catch (error) {
      if (isObjectNotFound(error)) return null;
      throw error;
    }
  }
}

function nameOf(id: string): string {
  return `${FOLDER}${id}.json`;
}
