import type { MemberRecord } from './member.js';

/** A record in a store, and how old it was when this process wrote its own. */
export interface StoredMember {
  readonly record: MemberRecord;
  /** By the clock of the store alone, so that clocks of machines may differ by any amount. */
  readonly ageMs: number;
}

/**
 * Where members leave their heartbeats. Every call may fail when the store does not answer; the caller then keeps what
 * it knew.
 */
export interface MemberStore {
  /** What the store is, for pages and messages. */
  readonly kind: string;
  /** All records, without their ages. */
  list(): Promise<MemberRecord[]>;
  /** Null when there is no such record. */
  read(id: string): Promise<MemberRecord | null>;
  /** Writes the own record, replacing the one before, and tells what is there now: that one as well. */
  exchange(own: MemberRecord): Promise<StoredMember[]>;
  /** One that is not there is fine. */
  remove(id: string): Promise<void>;
}
