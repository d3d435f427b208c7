import type { Points } from './points.js';
import type { Zones } from './zones.js';

/** What placement has to know of a member. */
export interface PlacedMember {
  readonly id: string;
  /** Failure domain; members without one share the zone ''. */
  readonly zone: string;
}

export interface PlacementOptions {
  /** Replicas of each shard; fewer when there are fewer members. */
  readonly replicationFactor: number;
  /** A power of two. The same in the whole cluster, for ever. */
  readonly shardCount: number;
  /** No member holds more than this times the mean of its zone, as far as whole shards allow. */
  readonly loadFactor: number;
  /** Points of each member on the circle: more of them, less to correct. */
  readonly pointsPerMember: number;
}

export const DEFAULT_PLACEMENT: PlacementOptions = {
  replicationFactor: 3,
  shardCount: 4096,
  loadFactor: 1.05,
  pointsPerMember: 256,
};

/** Stands in a table where a replica has no member. */
export const NOBODY = 0xffff;

/** Which members hold which shards. Does not change; equal members give equal placements, in any process and order. */
export class Placement<M extends PlacedMember = PlacedMember> {
  /** Sorted by id. */
  readonly members: readonly M[];
  readonly options: PlacementOptions;
  /** Replicas that each shard has: the replication factor, or the number of members when that is less. */
  readonly replicas: number;
  /** Most replicas of one shard in one zone. */
  readonly zoneLimit: number;
  /** Per shard and replica the index of a member, in ring order. */
  readonly #table: Uint16Array;
  readonly #points: Points;
  readonly #zones: Zones;

  /** For `placeShards` and `withSubstitutes`. */
  constructor(
    parts: { readonly members: readonly M[]; readonly points: Points; readonly zones: Zones },
    options: PlacementOptions,
    table: Uint16Array,
  ) {
    this.members = parts.members;
    this.options = options;
    this.replicas = table.length / options.shardCount;
    this.zoneLimit = parts.zones.limit;
    this.#table = table;
    this.#points = parts.points;
    this.#zones = parts.zones;
  }

  /** The members of a shard in ring order; fewer than `replicas` where a substitute was not to be had. */
  replicasOf(shard: number): M[] {
    const found: M[] = [];
    for (let i = shard * this.replicas; i < (shard + 1) * this.replicas; i++) {
      const index = this.#table[i]!;
      if (index !== NOBODY) found.push(this.members[index]!);
    }
    return found;
  }

  /** Index in `members` of one replica of a shard, -1 for none: the lookup of the write path. */
  memberIndex(shard: number, replica: number): number {
    const index = this.#table[shard * this.replicas + replica]!;
    return index === NOBODY ? -1 : index;
  }

  /** Replicas of shards that each member holds, in the order of `members`. */
  loads(): Uint32Array {
    const loads = new Uint32Array(this.members.length);
    for (const index of this.#table) if (index !== NOBODY) loads[index]!++;
    return loads;
  }

  /**
   * The same placement, but replicas of members that cannot be used now are taken by the next usable one in ring order,
   * as far as the zones allow: when a whole zone is down, its replicas stay without a member. Nothing else moves.
   */
  withSubstitutes(isUsable: (member: M) => boolean): Placement<M> {
    const usable = Uint8Array.from(this.members, (member) => (isUsable(member) ? 1 : 0));
    const table = this.#table.slice();
    const { of, sizes, limit } = this.#zones;
    const usableInZone = sizes.map(() => 0);
    for (let i = 0; i < usable.length; i++) usableInZone[of[i]!]! += usable[i]!;
    const inZone = new Uint32Array(sizes.length);
    for (let shard = 0; shard < this.options.shardCount; shard++) {
      const row = table.subarray(shard * this.replicas, (shard + 1) * this.replicas);
      inZone.fill(0);
      for (let i = 0; i < row.length; i++) {
        if (row[i]! === NOBODY || usable[row[i]!] === 0) row[i] = NOBODY;
        else inZone[of[row[i]!]!]!++;
      }
      for (let i = row.indexOf(NOBODY); i >= 0; i = row.indexOf(NOBODY)) {
        if (!usableInZone.some((count, zone) => inZone[zone]! < limit && count > inZone[zone]!)) break;
        const index = this.#nextOf(
          shard,
          (at) => usable[at] === 1 && inZone[of[at]!]! < limit && !row.includes(at),
        );
        row[i] = index;
        inZone[of[index]!]!++;
      }
    }
    return new Placement(
      { members: this.members, points: this.#points, zones: this.#zones },
      this.options,
      table,
    );
  }

  /** Bytes of the tables, without the members themselves. */
  get byteCount(): number {
    return this.#table.byteLength + this.#points.byteCount;
  }

  #nextOf(shard: number, isWanted: (index: number) => boolean): number {
    const { owners } = this.#points;
    const start = this.#points.startOf(shard);
    for (let i = 0; i < owners.length; i++) {
      const index = owners[(start + i) % owners.length]!;
      if (isWanted(index)) return index;
    }
    throw new Error('assertion failed: the zones said that there is a member');
  }
}
