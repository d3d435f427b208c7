import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SeededPrng } from '../prng/index.js';
import { DEFAULT_PLACEMENT, type PlacedMember, type Placement, placeShards } from './index.js';
import { numberZones, zoneQuotas } from './zones.js';

const SHARDS = DEFAULT_PLACEMENT.shardCount;

function cluster(...sizes: readonly number[]): PlacedMember[] {
  return sizes.flatMap((size, zone) =>
    Array.from({ length: size }, (_, i) => ({ id: `ingester-${zone}-${i}`, zone: `zone-${zone}` })),
  );
}

function rows(placement: Placement): string[] {
  return Array.from({ length: placement.options.shardCount }, (_, shard) =>
    placement
      .replicasOf(shard)
      .map(({ id }) => id)
      .join(),
  );
}

/** Replicas on members that did not hold them before. */
function moved(before: Placement, after: Placement): number {
  let count = 0;
  for (let shard = 0; shard < SHARDS; shard++) {
    const old = new Set(before.replicasOf(shard).map(({ id }) => id));
    for (const { id } of after.replicasOf(shard)) if (!old.has(id)) count++;
  }
  return count;
}

/** Shards without all of their replicas, or with too many in a zone. */
function misplaced(placement: Placement): number[] {
  const expected = Math.min(placement.options.replicationFactor, placement.members.length);
  const found: number[] = [];
  for (let shard = 0; shard < placement.options.shardCount; shard++) {
    const zones = zonesOf(placement, shard);
    const most = Math.max(...zones.map((zone) => zones.filter((other) => other === zone).length));
    const distinct = new Set(placement.replicasOf(shard)).size;
    if (distinct !== expected || most > placement.zoneLimit) found.push(shard);
  }
  return found;
}

function zonesOf(placement: Placement, shard: number): string[] {
  return placement.replicasOf(shard).map(({ zone }) => zone);
}

describe('placeShards', () => {
  test('one member, no member', () => {
    expect(placeShards(cluster(1)).replicasOf(4095)).toEqual(cluster(1));
    expect(placeShards([]).replicasOf(0)).toEqual([]);
  });

  test('places as it always did', () => {
    // Another version of the program in the same cluster must compute the same: a change of these is a new placement.
    const placement = placeShards(cluster(2, 2, 2));
    const golden = [0, 1, 2047, 4095].map((shard) =>
      placement
        .replicasOf(shard)
        .map(({ id }) => id.slice(9))
        .join(' '),
    );
    expect(golden).toEqual(GOLDEN);
  });

  test.each([
    [[1, 1, 1], 3, 1],
    [[2, 2, 2], 3, 1],
    [[5, 5, 5], 3, 1],
    [[9, 4, 2], 3, 1],
    [[33, 33, 33], 3, 1],
    [[4, 4, 4, 4], 3, 1],
    [[10, 2, 2, 2], 3, 1],
    [[3, 3], 3, 2],
    [[1, 5], 3, 2],
    [[6], 3, 3],
    [[2], 3, 2],
    [[3, 3, 3], 1, 1],
    [[3, 3, 3], 5, 2],
  ])(
    'zones of %j members, %d replicas: at most %d in one zone, nobody above the bound',
    (sizes, replicas, limit) => {
      const members = cluster(...sizes);
      const placement = placeShards(members, { replicationFactor: replicas });
      expect(placement.zoneLimit).toBe(limit);
      expect(misplaced(placement)).toEqual([]);
      const zones = numberZones(
        placement.members.map(({ zone }) => zone),
        placement.replicas,
      );
      const quotas = zoneQuotas(zones.sizes, zones.limit, placement.replicas, SHARDS);
      for (const [i, load] of placement.loads().entries()) {
        const mean = quotas[zones.of[i]!]! / zones.sizes[zones.of[i]!]!;
        expect(load).toBeLessThanOrEqual(Math.max(mean * 1.05, Math.ceil(mean)));
      }
    },
  );

  test.each([6, 12, 30, 99])('one of %d members comes or goes: little more than its share moves', (count) => {
    const members = cluster(count / 3, count / 3, count / 3);
    const placement = placeShards(members);
    const slots = SHARDS * 3;
    const one = placeShards([...members, { id: 'another', zone: 'zone-1' }]);
    expect(moved(placement, one) / slots).toBeLessThan(1.5 / (count + 3));
    const less = placeShards(members.slice(1));
    expect(moved(placement, less) / slots).toBeLessThan(1.5 / count);
  });

  test('a change in one zone moves nothing in the others', () => {
    const before = placeShards(cluster(4, 4, 4));
    const after = placeShards(cluster(4, 5, 4));
    const others = (placement: Placement, shard: number) =>
      placement
        .replicasOf(shard)
        .filter(({ zone }) => zone !== 'zone-1')
        .map(({ id }) => id)
        .sort();
    const all = (placement: Placement) =>
      Array.from({ length: SHARDS }, (_, shard) => others(placement, shard).join());
    expect(all(after)).toEqual(all(before));
  });

  test('any members, in any order: all replicas are there, the same everywhere', () => {
    const member = fc.record({
      id: fc.string({ minLength: 1, maxLength: 8 }),
      zone: fc.constantFrom('a', 'b', 'c', 'd', ''),
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(member, { selector: ({ id }) => id, minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 2 ** 31 }),
        (members, replicationFactor, seed) => {
          const options = { replicationFactor, shardCount: 256, pointsPerMember: 16 };
          const placement = placeShards(members, options);
          expect(rows(placeShards(shuffled(members, seed), options))).toEqual(rows(placement));
          expect(misplaced(placement)).toEqual([]);
        },
      ),
      { numRuns: 60, seed: 5 },
    );
  });

  test('two members with one id are a bug', () => {
    expect(() => placeShards([...cluster(1), ...cluster(1)])).toThrow('one id');
  });
});

describe('withSubstitutes', () => {
  test('the next of the zone takes the place of one that is not usable; nothing else changes', () => {
    const placement = placeShards(cluster(3, 3, 3));
    const isDown = (member: PlacedMember) => member.id === 'ingester-1-0';
    const now = placement.withSubstitutes((member) => !isDown(member));
    const takers = new Map<string, number>();
    let unchanged = true;
    expect(misplaced(now)).toEqual([]);
    for (let shard = 0; shard < SHARDS; shard++) {
      const [before, after] = [placement.replicasOf(shard), now.replicasOf(shard)];
      for (const [i, member] of before.entries()) {
        if (isDown(member)) takers.set(after[i]!.id, (takers.get(after[i]!.id) ?? 0) + 1);
        else if (after[i] !== member) unchanged = false;
      }
    }
    expect(unchanged).toBe(true);
    // Both others of its zone share what it held.
    expect([...takers.keys()].sort()).toEqual(['ingester-1-1', 'ingester-1-2']);
    expect(Math.min(...takers.values())).toBeGreaterThan(400);
  });

  test('a lost zone is not made up for by the others', () => {
    const now = placeShards(cluster(2, 2, 2)).withSubstitutes(({ zone }) => zone !== 'zone-2');
    const shards = [...Array(SHARDS).keys()];
    expect(new Set(shards.map((shard) => zonesOf(now, shard).sort().join()))).toEqual(
      new Set(['zone-0,zone-1']),
    );
    const holes = shards.map((shard) => [0, 1, 2].filter((i) => now.memberIndex(shard, i) < 0).length);
    expect(new Set(holes)).toEqual(new Set([1]));
  });

  test('without zones any other member helps', () => {
    const now = placeShards(cluster(5)).withSubstitutes(({ id }) => id !== 'ingester-0-2');
    expect(misplaced(now)).toEqual([]);
  });

  test('nobody is left', () => {
    expect(
      placeShards(cluster(3))
        .withSubstitutes(() => false)
        .replicasOf(7),
    ).toEqual([]);
  });
});

function shuffled<T>(items: readonly T[], seed: number): T[] {
  const prng = new SeededPrng(seed);
  return items
    .map((item) => ({ item, rank: prng.nextU32() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}

const GOLDEN = ['2-0 0-0 1-1', '2-1 1-1 0-1', '0-0 1-1 2-1', '2-0 0-0 1-1'];
