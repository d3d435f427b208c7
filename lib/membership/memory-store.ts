import type { Clock } from '../clock/index.js';
import type { MemberRecord } from './member.js';
import type { MemberStore, StoredMember } from './member-store.js';

/** Records within one process: for one that has no others, for tests and the simulation. */
export class MemoryStore implements MemberStore {
  readonly kind = 'memory';
  readonly #clock: Clock;
  readonly #records = new Map<string, { readonly record: MemberRecord; readonly writtenMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async list(): Promise<MemberRecord[]> {
    return [...this.#records.values()].map(({ record }) => record);
  }

  async read(id: string): Promise<MemberRecord | null> {
    return this.#records.get(id)?.record ?? null;
  }

  async exchange(own: MemberRecord): Promise<StoredMember[]> {
    const nowMs = this.#clock.monotonicMs();
    this.#records.set(own.id, { record: own, writtenMs: nowMs });
    return [...this.#records.values()].map(({ record, writtenMs }) => ({ record, ageMs: nowMs - writtenMs }));
  }

  async remove(id: string): Promise<void> {
    this.#records.delete(id);
  }
}
