import { placeShards } from './place-shards.js';
import type { PlacedMember, Placement, PlacementOptions } from './placement.js';

/** A member as writers and readers have to see it. */
export interface RingMember extends PlacedMember {
  readonly state: 'JOINING' | 'ACTIVE' | 'LEAVING' | 'READ_ONLY';
  /** When it first joined, ms since the epoch; a restart keeps it. */
  readonly registeredMs: number;
  /** When it took its present state, ms since the epoch. */
  readonly stateMs: number;
}

/** More changes than these within the time that is looked back make readers ask everybody. */
const GENERATIONS_MAX = 16;

/** Members that new samples are placed on: those that are ACTIVE. */
export function writersOf<M extends RingMember>(members: readonly M[]): M[] {
  return members.filter(({ state }) => state === 'ACTIVE');
}

/**
 * The placements by which samples of the last `lookbackMs` may have been written, the present one first, as far as the
 * members that are still there tell: each has come when it registered and, when it is not written to now, was until it
 * changed its state. Any process knows them from the members alone, also one that has just started.
 *
 * @returns null after too many changes: then all members have to be asked
 */
export function placementsSince<M extends RingMember>(
  members: readonly M[],
  lookbackMs: number,
  nowMs: number,
  options: Partial<PlacementOptions> = {},
): Placement<M>[] | null {
  const fromMs = nowMs - lookbackMs;
  const changes = new Set<number>();
  for (const member of members) {
    for (const time of changesOf(member)) if (time > fromMs && time <= nowMs) changes.add(time);
  }
  if (changes.size >= GENERATIONS_MAX) return null;
  const times = [...changes].sort((a, b) => b - a);
  times.push(fromMs);
  const seen = new Set<string>();
  const placements: Placement<M>[] = [];
  for (const time of times) {
    const writers = members.filter((member) => wroteAt(member, time));
    const key = writers.map(({ id }) => id).join();
    if (seen.has(key) || (writers.length === 0 && time !== times[0])) continue;
    seen.add(key);
    placements.push(placeShards(writers, options));
  }
  return placements;
}

function changesOf({ state, registeredMs, stateMs }: RingMember): readonly number[] {
  if (state === 'JOINING') return [];
  return state === 'ACTIVE' ? [registeredMs] : [registeredMs, stateMs];
}

function wroteAt({ state, registeredMs, stateMs }: RingMember, timeMs: number): boolean {
  if (state === 'JOINING' || registeredMs > timeMs) return false;
  return state === 'ACTIVE' || stateMs > timeMs;
}

/**
 * Counts the shards of which too few replicas have answered: an acknowledged sample is on `writeQuorum` of them, so an
 * answer is complete with any `replicas - writeQuorum + 1`.
 * @param hasAnswered by index in the placement's members
 */
export function countUncovered(placement: Placement, hasAnswered: Uint8Array): number {
  const { replicas } = placement;
  const writeQuorum = Math.floor(replicas / 2) + 1;
  const needed = replicas - writeQuorum + 1;
  let uncovered = 0;
  for (let shard = 0; shard < placement.options.shardCount; shard++) {
    let answers = 0;
    for (let replica = 0; replica < replicas; replica++) {
      const index = placement.memberIndex(shard, replica);
      if (index >= 0 && hasAnswered[index] === 1) answers++;
    }
    if (answers < needed) uncovered++;
  }
  return uncovered;
}
