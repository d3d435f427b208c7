import { mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { FolderBucket } from '../bucket/index.js';
import { ManualClock } from '../clock/index.js';
import { type Logger, Metrics, silentLogger } from '../telemetry/index.js';
import {
  BucketStore,
  ClusterMembership,
  type Member,
  type MemberRecord,
  type MemberStore,
  type MembershipOptions,
  MemoryStore,
  type StoredMember,
  workersOf,
} from './index.js';

// Every store must carry a membership in the same way. A harness makes one that all members of a test share, and lets a
// heartbeat grow old; heartbeats are given by hand.

const PERIOD_MS = 15_000;
const TIMEOUT_MS = 60_000;
const HOUR_MS = 3_600_000;
const START_MS = 1_700_000_000_000;

interface Harness {
  readonly store: MemberStore;
  readonly clock: ManualClock;
  /** Makes the last heartbeat of a member older; that of others may become so, too. */
  age(id: string, ms: number): void;
  close(): void;
}

const HARNESSES: Readonly<Record<string, () => Harness>> = {
  memory: () => {
    const clock = new ManualClock(START_MS);
    return { store: new MemoryStore(clock), clock, age: (_id, ms) => clock.advance(ms), close: () => {} };
  },
  bucket: () => {
    const folder = mkdtempSync(join(tmpdir(), 'varve-membership-'));
    const age = (id: string, ms: number) => {
      const time = (Date.now() - ms) / 1000;
      utimesSync(join(folder, '__varve_cluster/members', `${id}.json`), time, time);
    };
    const close = () => rmSync(folder, { recursive: true, force: true });
    return { store: new BucketStore(new FolderBucket(folder)), clock: new ManualClock(START_MS), age, close };
  },
};

/** A store that can be cut off. */
class Severable implements MemberStore {
  readonly kind = 'test';
  readonly #inner: MemberStore;
  isDown = false;

  constructor(inner: MemberStore) {
    this.#inner = inner;
  }

  list(): Promise<MemberRecord[]> {
    return this.#through(() => this.#inner.list());
  }

  read(id: string): Promise<MemberRecord | null> {
    return this.#through(() => this.#inner.read(id));
  }

  exchange(own: MemberRecord): Promise<StoredMember[]> {
    return this.#through(() => this.#inner.exchange(own));
  }

  remove(id: string): Promise<void> {
    return this.#through(() => this.#inner.remove(id));
  }

  async #through<T>(call: () => Promise<T>): Promise<T> {
    if (this.isDown) throw new Error('no store');
    return await call();
  }
}

describe.each(Object.keys(HARNESSES))('membership in a store: %s', (name) => {
  let harness: Harness;
  beforeEach(() => {
    harness = HARNESSES[name]!();
  });
  afterEach(() => harness.close());

  function member(
    id: string,
    changes: Partial<MembershipOptions> = {},
    parts: { readonly store?: MemberStore; readonly logger?: Logger; readonly metrics?: Metrics } = {},
  ): ClusterMembership {
    return new ClusterMembership({
      store: harness.store,
      clock: harness.clock,
      logger: silentLogger,
      metrics: new Metrics({ withProcessMetrics: false, version: 'test' }),
      ...parts,
      options: {
        cluster: 'one',
        id: () => id,
        address: `${id}:9095`,
        zone: 'zone-a',
        roles: ['compactor'],
        initialState: 'ACTIVE',
        unregisterOnStop: true,
        periodMs: PERIOD_MS,
        timeoutMs: TIMEOUT_MS,
        autoForgetMs: HOUR_MS,
        ...changes,
      },
    });
  }

  const shown = ({ id, state, isAlive }: Member) => `${id} ${state}${isAlive ? '' : ' silent'}`;
  const view = (membership: ClusterMembership) => membership.members().map(shown);

  test('knows who is there', async () => {
    const [a, b] = [member('a'), member('b', { zone: 'zone-b', roles: ['ingester', 'querier'] })];
    expect(view(a)).toEqual([]);
    await b.beat();
    await a.beat();
    expect(view(b)).toEqual(['b ACTIVE']);
    await b.beat();
    expect(view(b)).toEqual(view(a));
    expect(b.members()[1]).toEqual({
      id: 'b',
      address: 'b:9095',
      zone: 'zone-b',
      roles: ['ingester', 'querier'],
      state: 'ACTIVE',
      registeredMs: START_MS,
      stateMs: START_MS,
      heartbeatMs: expect.any(Number),
      host: expect.any(String),
      isAlive: true,
    });
    expect(workersOf(a, 'compactor')).toEqual(['a']);
    expect(workersOf(a, 'ingester')).toEqual(['b']);
  });

  test.each([
    [TIMEOUT_MS - 5000, 'b ACTIVE'],
    [TIMEOUT_MS + 5000, 'b ACTIVE silent'],
  ])('a member silent for %d ms', async (silentMs, expected) => {
    const [a, b] = [member('a'), member('b')];
    await b.beat();
    harness.age('b', silentMs);
    await a.beat();
    expect(view(a)).toEqual(['a ACTIVE', expected]);
    expect(harness.clock.nowMs() - a.members()[1]!.heartbeatMs).toBeGreaterThan(silentMs - 3000);
    expect(workersOf(a, 'compactor')).toEqual(silentMs > TIMEOUT_MS ? ['a'] : ['a', 'b']);
    // It is well again as soon as it is heard of.
    await b.beat();
    await a.beat();
    expect(view(a)).toEqual(['a ACTIVE', 'b ACTIVE']);
  });

  test.each([
    [HOUR_MS, ['a ACTIVE']],
    [0, ['a ACTIVE', 'b ACTIVE silent']],
  ])('with %d ms until members are forgotten', async (autoForgetMs, expected) => {
    await member('b').beat();
    harness.age('b', HOUR_MS + 5000);
    const a = member('a', { autoForgetMs });
    await a.beat();
    // Perhaps the store was away, and b is about to be heard of.
    expect(view(a)).toEqual(['a ACTIVE', 'b ACTIVE silent']);
    harness.clock.advance(TIMEOUT_MS);
    await a.beat();
    expect(view(a)).toEqual(expected);
    expect((await harness.store.list()).length).toBe(expected.length);
  });

  test('forgets who is dead, not who lives', async () => {
    const [a, b] = [member('a'), member('b')];
    await b.beat();
    await a.beat();
    await expect(a.forget('b')).rejects.toMatchObject({ code: 'member-alive' });
    await expect(a.forget('c')).rejects.toMatchObject({ code: 'member-unknown' });
    harness.age('b', TIMEOUT_MS + 5000);
    await a.beat();
    await a.forget('b');
    expect(view(a)).toEqual(['a ACTIVE']);
    expect(await harness.store.read('b')).toBeNull();
  });

  test('tells of states, and when they were taken', async () => {
    const [a, b] = [member('a'), member('b', { initialState: 'JOINING' })];
    await b.beat();
    harness.clock.advance(5000);
    await b.setState('ACTIVE');
    expect(view(b)).toEqual(['b ACTIVE']);
    await b.setState('READ_ONLY');
    await a.beat();
    expect(view(a)).toEqual(['a ACTIVE', 'b READ_ONLY']);
    expect(a.members()[1]).toMatchObject({ registeredMs: START_MS, stateMs: START_MS + 5000 });
    expect(workersOf(a, 'compactor')).toEqual(['a']);
  });

  test('a restart keeps the time of registration', async () => {
    await member('a').beat();
    harness.clock.advance(10_000);
    const again = member('a');
    await again.beat();
    expect(again.members()).toMatchObject([{ registeredMs: START_MS, stateMs: START_MS + 10_000 }]);
  });

  test('listeners hear of changes, not of heartbeats', async () => {
    const a = member('a');
    const heard: string[] = [];
    const end = a.subscribe((members) => heard.push(members.map(shown).join(', ')));
    await a.beat();
    await a.beat();
    await member('b').beat();
    await a.beat();
    await a.setState('LEAVING');
    end();
    await a.setState('ACTIVE');
    expect(heard).toEqual(['a ACTIVE', 'a ACTIVE, b ACTIVE', 'a LEAVING, b ACTIVE']);
  });

  test.each([
    [true, []],
    [false, ['b LEAVING']],
  ])('a clean stop that unregisters: %s', async (unregisterOnStop, expected) => {
    const [a, b] = [member('a'), member('b', { unregisterOnStop })];
    await b.start();
    expect(view(b)).toEqual(['b ACTIVE']);
    await b.stop();
    await a.beat();
    expect(view(a)).toEqual(['a ACTIVE', ...expected]);
  });

  test('one that never could write has nothing to remove', async () => {
    await member('a').stop();
    expect(await harness.store.list()).toEqual([]);
  });

  test('does not join another cluster, and leaves no trace there', async () => {
    const a = member('a');
    await a.beat();
    const stranger = member('b', { cluster: 'two' });
    await expect(stranger.start()).rejects.toMatchObject({
      code: 'cluster-name-mismatch',
      message: expect.stringContaining('has members of cluster "one" (a), and this process is of "two"'),
    });
    await stranger.stop();
    expect(await harness.store.list()).toHaveLength(1);
  });

  test('leaves out strangers that came at the same moment', async () => {
    const lines: string[] = [];
    const logger: Logger = { ...silentLogger, error: (_fields, message) => lines.push(message) };
    const a = member('a', {}, { logger });
    await a.beat();
    const [own] = await harness.store.list();
    await harness.store.exchange({ ...own!, id: 'b', cluster: 'two' });
    await a.beat();
    await a.beat();
    expect(view(a)).toEqual(['a ACTIVE']);
    expect(lines).toEqual(['there are members of another cluster here']);
  });

  test('says that two processes have one id, but not after a restart', async () => {
    const lines: string[] = [];
    const logger: Logger = { ...silentLogger, error: (_fields, message) => lines.push(message) };
    const [before, after] = [member('a', {}, { logger }), member('a', {}, { logger })];
    await before.beat();
    await after.beat();
    await after.beat();
    expect(lines).toEqual([]);
    await before.beat();
    expect(lines).toEqual(['another process has the same instance id: give each its own with --instance-id']);
  });

  test('a store that is down freezes the view; when it is back, nobody is dead before the time-out', async () => {
    const store = new Severable(harness.store);
    const metrics = new Metrics({ withProcessMetrics: false, version: 'test' });
    const a = member('a', {}, { store, metrics });
    const b = member('b');
    await b.beat();
    await a.start();
    store.isDown = true;
    await a.setState('READ_ONLY');
    harness.clock.advance(2 * HOUR_MS);
    expect([a.isFrozen, view(a)]).toEqual([true, ['a READ_ONLY', 'b ACTIVE']]);
    const text = await metrics.render();
    expect(text).toContain('varve_membership_heartbeat_failures_total 1');
    expect(text).toContain('varve_membership_frozen 1');
    expect(text).toContain('varve_membership_members{role="compactor",state="ACTIVE",alive="true"} 1');
    // Nobody could write for two hours. The first to be back sees old heartbeats only.
    harness.age('b', 2 * HOUR_MS);
    store.isDown = false;
    await a.setState('ACTIVE');
    expect([a.isFrozen, view(a)]).toEqual([false, ['a ACTIVE', 'b ACTIVE']]);
    harness.clock.advance(TIMEOUT_MS - 1000);
    await a.setState('READ_ONLY');
    expect(view(a)).toEqual(['a READ_ONLY', 'b ACTIVE']);
    // One that is not heard of in all that time was forgotten long ago.
    harness.clock.advance(2000);
    await a.setState('ACTIVE');
    expect(view(a)).toEqual(['a ACTIVE']);
    await a.stop();
  });

  test('one that starts while the store is down knows nobody', async () => {
    const store = new Severable(harness.store);
    store.isDown = true;
    const a = member('a', {}, { store });
    await a.start();
    expect([a.isFrozen, view(a)]).toEqual([true, []]);
    store.isDown = false;
    await a.setState('READ_ONLY');
    expect([a.isFrozen, view(a)]).toEqual([false, ['a READ_ONLY']]);
    await a.stop();
  });
});
