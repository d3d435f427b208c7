import type { Service } from '../service/index.js';
import type { Member, MemberState } from './member.js';

/**
 * Which processes make up the cluster, and how they are. Members may see different things for a while: who joins,
 * changes, leaves or dies is known everywhere after a heartbeat and a time-out. Nothing that must not happen twice may
 * rest on it alone.
 */
export interface Membership extends Service {
  /** Sorted by id, with this process from its first heartbeat on; empty before. The array never changes. */
  members(): readonly Member[];
  /** Own instance id. */
  selfId(): string;
  /** Whether the store does not answer, so that the members are those of its last answer. */
  readonly isFrozen: boolean;
  /** Called after every change but of heartbeat times. Returns the way to end it. */
  subscribe(listener: (members: readonly Member[]) => void): () => void;
  /** Changes the own state, here at once and in the store as soon as it answers; resolves after the first attempt. */
  setState(state: MemberState): Promise<void>;
  /**
   * Takes a dead member out of the store.
   * @throws VarveError client `member-unknown`, `member-alive`; what the store throws
   */
  forget(id: string): Promise<void>;
}

/** Ids of the live members with a role that are ACTIVE: those that share its work. */
export function workersOf(membership: Membership, role: string): string[] {
  return membership
    .members()
    .filter(({ isAlive, state, roles }) => isAlive && state === 'ACTIVE' && roles.includes(role))
    .map(({ id }) => id);
}
