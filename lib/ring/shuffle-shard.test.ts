import { describe, expect, test } from '@jest/globals';
import { type PlacedMember, shuffleShard } from './index.js';

function cluster(perZone: number, zones = 3): PlacedMember[] {
  return Array.from({ length: perZone * zones }, (_, i) => ({ id: `i-${i}`, zone: `zone-${i % zones}` }));
}

const idsOf = (members: readonly PlacedMember[]) => members.map(({ id }) => id);
const without = (a: readonly string[], b: readonly string[]) => a.filter((id) => !b.includes(id));
const TENANTS = Array.from({ length: 50 }, (_, i) => `tenant-${i}`);

describe('shuffleShard', () => {
  test.each([
    [0, 30],
    [3, 3],
    [4, 6],
    [9, 9],
    [300, 30],
  ])('size %d of 30 members in 3 zones gives %d', (size, expected) => {
    const shard = shuffleShard(cluster(10), 'a', size);
    expect(shard).toHaveLength(expected);
    for (const zone of ['zone-0', 'zone-1', 'zone-2']) {
      expect(shard.filter((member) => member.zone === zone)).toHaveLength(expected / 3);
    }
  });

  test('the order of members does not matter', () => {
    const members = cluster(10);
    expect(shuffleShard(members.toReversed(), 'a', 6)).toEqual(shuffleShard(members, 'a', 6));
  });

  test('a larger shard keeps the members of the smaller one', () => {
    for (const tenant of TENANTS) {
      const [small, large] = [shuffleShard(cluster(10), tenant, 6), shuffleShard(cluster(10), tenant, 9)];
      expect(without(idsOf(small), idsOf(large))).toEqual([]);
    }
  });

  test('a member that comes or goes changes one of a shard at most', () => {
    const members = cluster(10);
    let changed = 0;
    for (const tenant of TENANTS) {
      const before = idsOf(shuffleShard(members, tenant, 6));
      const more = idsOf(shuffleShard([...members, { id: 'new', zone: 'zone-1' }], tenant, 6));
      const less = idsOf(shuffleShard(members.slice(1), tenant, 6));
      expect(without(before, more).length).toBeLessThanOrEqual(1);
      expect(without(before, less).length).toBeLessThanOrEqual(1);
      changed += without(before, more).length;
    }
    expect(changed).toBeGreaterThan(0);
    expect(changed).toBeLessThan(25);
  });

  test('tenants are spread evenly and share few members', () => {
    const counts = new Map<string, number>();
    let equal = 0;
    const seen = new Set<string>();
    for (const tenant of Array.from({ length: 2000 }, (_, i) => `t${i}`)) {
      const ids = idsOf(shuffleShard(cluster(10), tenant, 3));
      for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
      if (seen.has(ids.join())) equal++;
      seen.add(ids.join());
    }
    // 200 of each expected, with a deviation of 13.
    expect(Math.min(...counts.values())).toBeGreaterThan(140);
    expect(Math.max(...counts.values())).toBeLessThan(260);
    expect(seen.size).toBeGreaterThan(800);
    expect(equal).toBe(2000 - seen.size);
  });

  test('for reads, members that no longer or only now take part are asked beside the others', () => {
    const members = cluster(10);
    for (const tenant of TENANTS) {
      const before = idsOf(shuffleShard(members, tenant, 6));
      const gone = before[2]!;
      // Writes: one that is not written to is not among the members, and another takes its place.
      const writes = idsOf(
        shuffleShard(
          members.filter(({ id }) => id !== gone),
          tenant,
          6,
        ),
      );
      const reads = idsOf(shuffleShard(members, tenant, 6, ({ id }) => id !== gone));
      expect(reads).toHaveLength(7);
      expect(without([...before, ...writes], reads)).toEqual([]);
    }
  });
});
