import { hashName, mixWords } from './hash.js';

const MEMBER_SEED = 1;
const SHARD_SEED = 2;
/** Position and member stand in one number, so that sorting needs no comparator: 32 and 20 bits of the 53. */
const INDEX_RANGE = 2 ** 20;

/** Consistent hashing: a circle of 2^32 positions on which each member has some points. */
export class Points {
  /** position * 2^20 + index of the member, ascending. */
  readonly #keys: Float64Array;
  /** Index of the member of each point, in the order of positions. */
  readonly owners: Uint32Array;

  /** @param ids of the members, in an order that all processes agree on: equal positions are told apart by it */
  constructor(ids: readonly string[], pointsPerMember: number) {
    const keys = new Float64Array(ids.length * pointsPerMember);
    let count = 0;
    for (let i = 0; i < ids.length; i++) {
      const name = hashName(ids[i]!, MEMBER_SEED);
      const second = hashName(ids[i]!, name);
      for (let n = 0; n < pointsPerMember; n++) {
        keys[count++] = mixWords(name, mixWords(second, n)) * INDEX_RANGE + i;
      }
    }
    keys.sort();
    const owners = new Uint32Array(count);
    for (let i = 0; i < count; i++) owners[i] = keys[i]! % INDEX_RANGE;
    this.#keys = keys;
    this.owners = owners;
  }

  /** Number of the first point behind a shard's place on the circle; 0 behind the last. */
  startOf(shard: number): number {
    const wanted = (mixWords(shard, SHARD_SEED) + 1) * INDEX_RANGE;
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#keys[middle]! >= wanted) high = middle;
      else low = middle + 1;
    }
    return low === this.#keys.length ? 0 : low;
  }

  /** Bytes held. */
  get byteCount(): number {
    return this.#keys.byteLength + this.owners.byteLength;
  }
}
