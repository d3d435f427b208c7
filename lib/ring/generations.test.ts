import { describe, expect, test } from '@jest/globals';
import { countUncovered, placementsSince, placeShards, type RingMember, writersOf } from './index.js';

const NOW = 1_000_000_000;
const HOUR = 3_600_000;
const OLD = NOW - 100 * HOUR;

function member(id: string, changes: Partial<RingMember> = {}): RingMember {
  return { id, zone: `zone-${id[0]}`, state: 'ACTIVE', registeredMs: OLD, stateMs: OLD, ...changes };
}

const SIX = ['a1', 'a2', 'b1', 'b2', 'c1', 'c2'].map((id) => member(id));
const idsOf = (placement: { readonly members: readonly RingMember[] }) =>
  placement.members.map(({ id }) => id).join(' ');

function since(members: readonly RingMember[]): string[] | null {
  return placementsSince(members, 2 * HOUR, NOW)?.map(idsOf) ?? null;
}

describe('placementsSince', () => {
  test.each<[string, readonly RingMember[], readonly string[]]>([
    ['nothing changed', SIX, ['a1 a2 b1 b2 c1 c2']],
    [
      'one came an hour ago',
      [...SIX, member('a3', { registeredMs: NOW - HOUR, stateMs: NOW - HOUR })],
      ['a1 a2 a3 b1 b2 c1 c2', 'a1 a2 b1 b2 c1 c2'],
    ],
    [
      'one came before that',
      [...SIX, member('a3', { registeredMs: NOW - 3 * HOUR })],
      ['a1 a2 a3 b1 b2 c1 c2'],
    ],
    [
      'one has been read-only for an hour',
      [...SIX.slice(1), member('a1', { state: 'READ_ONLY', stateMs: NOW - HOUR })],
      ['a2 b1 b2 c1 c2', 'a1 a2 b1 b2 c1 c2'],
    ],
    [
      'one has been leaving for longer',
      [...SIX.slice(1), member('a1', { state: 'LEAVING', stateMs: NOW - 3 * HOUR })],
      ['a2 b1 b2 c1 c2'],
    ],
    [
      'one is joining',
      [...SIX, member('a3', { state: 'JOINING', registeredMs: NOW })],
      ['a1 a2 b1 b2 c1 c2'],
    ],
    [
      'two changes, in the order of time',
      [
        ...SIX.slice(1),
        member('a1', { state: 'READ_ONLY', stateMs: NOW - 10 }),
        member('a3', { registeredMs: NOW - HOUR, stateMs: NOW - HOUR }),
      ],
      ['a2 a3 b1 b2 c1 c2', 'a1 a2 a3 b1 b2 c1 c2', 'a1 a2 b1 b2 c1 c2'],
    ],
    ['a new cluster', SIX.map((one) => ({ ...one, registeredMs: NOW - HOUR })), ['a1 a2 b1 b2 c1 c2']],
    ['nobody', [], ['']],
  ])('%s', (_name, members, expected) => {
    expect(since(members)).toEqual(expected);
  });

  test('the present placement is that of the writers', () => {
    const members = [...SIX.slice(1), member('a1', { state: 'LEAVING', stateMs: NOW - HOUR })];
    const [present] = placementsSince(members, 2 * HOUR, NOW)!;
    const writers = placeShards(writersOf(members));
    for (let shard = 0; shard < 4096; shard += 64)
      expect(present!.replicasOf(shard)).toEqual(writers.replicasOf(shard));
  });

  test('after many changes everybody is asked', () => {
    const many = Array.from({ length: 20 }, (_, i) => member(`a${i + 10}`, { registeredMs: NOW - i * 1000 }));
    expect(since([...SIX, ...many])).toBeNull();
  });
});

describe('countUncovered', () => {
  const placement = placeShards(SIX);
  const without = (...ids: readonly string[]) =>
    countUncovered(
      placement,
      Uint8Array.from(placement.members, ({ id }) => (ids.includes(id) ? 0 : 1)),
    );

  test.each([[[]], [['a1']], [['a1', 'a2']], [['c1', 'c2']]])('answers are complete without %j', (ids) => {
    expect(without(...ids)).toBe(0);
  });

  test('two of different zones leave the shards they share without a quorum', () => {
    const shared = Array.from({ length: 4096 }, (_, shard) =>
      placement.replicasOf(shard).map(({ id }) => id),
    );
    const expected = shared.filter((ids) => ids.includes('a1') && ids.includes('b2')).length;
    expect(expected).toBeGreaterThan(0);
    expect(without('a1', 'b2')).toBe(expected);
    expect(without('a1', 'a2', 'b1', 'b2')).toBe(4096);
  });

  test.each([
    [1, 1, 0],
    [1, 0, 4096],
    [2, 1, 0],
  ])('%d members of which %d answered', (count, answered, expected) => {
    const small = placeShards(SIX.slice(0, count), { shardCount: 4096 });
    const flags = Uint8Array.from(small.members, (_, i) => (i < answered ? 1 : 0));
    expect(countUncovered(small, flags)).toBe(expected);
  });
});
