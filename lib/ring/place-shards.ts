import { assert } from '../assert/index.js';
import { DEFAULT_PLACEMENT, type PlacedMember, Placement, type PlacementOptions } from './placement.js';
import { Points } from './points.js';
import { numberZones, type Zones, zoneQuotas } from './zones.js';

const MEMBERS_MAX = 60_000;

/**
 * Places all shards on the members.
 *
 * Each member has some points on a circle, each shard one. Shard after shard, the circle is walked from the shard's
 * point on, and the first members met are taken that are not full, with as few as possible in one zone (one, with as
 * many zones as replicas). A member is full with `loadFactor` times the mean of its zone. So the load is bounded, and
 * a member that comes or goes moves its own shards and the few that the bound then pushes on. (Consistent hashing with
 * bounded loads, Mirrokni, Thorup and Zadimoghaddam, 2016.) Figures: docs/benchmarks.md, `npm run bench:placement`.
 *
 * @param members in any order; ids are distinct
 */
export function placeShards<M extends PlacedMember>(
  members: readonly M[],
  options: Partial<PlacementOptions> = {},
): Placement<M> {
  const all: PlacementOptions = { ...DEFAULT_PLACEMENT, ...options };
  const sorted = [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
  assert(sorted.length <= MEMBERS_MAX, 'too many members for one placement');
  for (let i = 1; i < sorted.length; i++)
    assert(sorted[i - 1]!.id !== sorted[i]!.id, 'two members with one id');
  const replicas = Math.min(all.replicationFactor, sorted.length);
  const ids = sorted.map(({ id }) => id);
  const points = new Points(ids, all.pointsPerMember);
  const names = sorted.map(({ zone }) => zone);
  const zones = numberZones(names, replicas);
  const table = replicas === 0 ? new Uint16Array(0) : walk(points, zones, replicas, all);
  return new Placement({ members: sorted, points, zones }, all, table);
}

function walk(points: Points, zones: Zones, replicas: number, options: PlacementOptions): Uint16Array {
  const { owners } = points;
  const { of, limit } = zones;
  const { shardCount } = options;
  const room = roomOf(zones, replicas, options);
  /** Members of each zone that are not full. */
  const open = Uint32Array.from(zones.sizes);
  const inZone = new Uint32Array(zones.sizes.length);
  const table = new Uint16Array(shardCount * replicas);
  /** Last shard that each member was taken for, plus one. */
  const takenFor = new Uint32Array(of.length);
  for (let shard = 0; shard < shardCount; shard++) {
    const start = points.startOf(shard);
    inZone.fill(0);
    let count = 0;
    let isOpen = true;
    for (let i = 0; i < owners.length && count < replicas && isOpen; i++) {
      const at = start + i;
      const member = owners[at < owners.length ? at : at - owners.length]!;
      const zone = of[member]!;
      if (room[member]! <= 0 || inZone[zone]! >= limit || takenFor[member] === shard + 1) continue;
      table[shard * replicas + count++] = member;
      takenFor[member] = shard + 1;
      inZone[zone]!++;
      if (--room[member]! === 0) open[zone]!--;
      // A full zone is rare but for the last shards, and then a whole turn would find nothing.
      if (open[zone] === 0 || inZone[zone] === limit) isOpen = hasOpenZone(open, inZone, limit);
    }
    // Bounds and zones together left too few: the least loaded takes it, above its bound.
    for (; count < replicas; count++) {
      const member = roomiest(
        room,
        of,
        (index) => takenFor[index] !== shard + 1 && inZone[of[index]!]! < limit,
      );
      table[shard * replicas + count] = member;
      takenFor[member] = shard + 1;
      inZone[of[member]!]!++;
      room[member]!--;
    }
  }
  return table;
}

function hasOpenZone(open: Uint32Array, inZone: Uint32Array, limit: number): boolean {
  for (let zone = 0; zone < open.length; zone++) if (open[zone]! > 0 && inZone[zone]! < limit) return true;
  return false;
}

function roomiest(room: Int32Array, of: Uint32Array, isWanted: (index: number) => boolean): number {
  let best = -1;
  for (let i = 0; i < of.length; i++) if (isWanted(i) && (best < 0 || room[i]! > room[best]!)) best = i;
  assert(best >= 0, 'the zones have room for all replicas');
  return best;
}

/** How many replicas each member may hold. */
function roomOf(zones: Zones, replicas: number, options: PlacementOptions): Int32Array {
  const quotas = zoneQuotas(zones.sizes, zones.limit, replicas, options.shardCount);
  const perMember = quotas.map((quota, zone) => {
    const mean = quota / zones.sizes[zone]!;
    return Math.max(Math.ceil(mean - 1e-9), Math.floor(mean * options.loadFactor));
  });
  return Int32Array.from(zones.of, (zone) => perMember[zone]!);
}
