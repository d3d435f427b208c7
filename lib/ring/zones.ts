/** The zones of members: a number for each member, how many each has, and how many replicas of a shard it may hold. */
export interface Zones {
  readonly of: Uint32Array;
  readonly sizes: readonly number[];
  readonly limit: number;
}

/** @param names zone of each member */
export function numberZones(names: readonly string[], replicas: number): Zones {
  const numbers = new Map([...new Set(names)].sort().map((name, i) => [name, i]));
  const of = Uint32Array.from(names, (name) => numbers.get(name)!);
  const sizes = new Array<number>(numbers.size).fill(0);
  for (const zone of of) sizes[zone]!++;
  return { of, sizes, limit: zoneLimitOf(sizes, replicas) };
}

/**
 * How many replicas of a shard one zone may hold: as few as possible while all of them find a member.
 * @param sizes members of each zone
 */
function zoneLimitOf(sizes: readonly number[], replicas: number): number {
  for (let limit = 1; ; limit++) {
    let room = 0;
    for (const size of sizes) room += Math.min(size, limit);
    if (room >= replicas || limit >= replicas) return limit;
  }
}

/**
 * Shares replicas out over zones in proportion to their members; a zone that would get more than it may hold gets what
 * it may, and the others share the rest.
 * @returns replicas of each zone, not rounded
 */
export function zoneQuotas(
  sizes: readonly number[],
  limit: number,
  replicas: number,
  shards: number,
): number[] {
  const quotas = sizes.map(() => 0);
  const open = new Set(sizes.keys());
  let left = replicas * shards;
  while (open.size > 0) {
    let members = 0;
    for (const zone of open) members += sizes[zone]!;
    const perMember = left / members;
    const full = [...open].filter(
      (zone) => sizes[zone]! * perMember > Math.min(sizes[zone]!, limit) * shards,
    );
    if (full.length === 0) {
      for (const zone of open) quotas[zone] = sizes[zone]! * perMember;
      break;
    }
    for (const zone of full) {
      const most = Math.min(sizes[zone]!, limit) * shards;
      quotas[zone] = most;
      left -= most;
      open.delete(zone);
    }
  }
  return quotas;
}
