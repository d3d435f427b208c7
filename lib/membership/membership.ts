import type { Service } from '../service/index.js';

/** A live process of a group. */
export interface Member {
  /** Its instance id. */
  readonly id: string;
  /** When it was last heard of, ms since the epoch by the clock of the store that carries the heartbeats. */
  readonly lastSeenMs: number;
}

/**
 * Which processes of one kind are alive now. Members may see different sets for a while: who joins, leaves or dies is
 * known everywhere after a heartbeat and a time-out. Nothing that must not happen twice may rest on it alone.
 */
export interface Membership extends Service {
  /** Sorted by id, with this process from its first heartbeat on; empty before. */
  members(): readonly Member[];
}
