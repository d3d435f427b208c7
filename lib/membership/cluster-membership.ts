import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock } from '../clock/index.js';
import { messageOf, VarveError } from '../errors/index.js';
import type { Logger, Metrics } from '../telemetry/index.js';
import type { Member, MemberRecord, MemberState } from './member.js';
import type { MemberStore, StoredMember } from './member-store.js';
import type { Membership } from './membership.js';

export interface MembershipOptions {
  /** Keeps clusters apart: one does not start where members of another have their records. */
  readonly cluster: string;
  /** Own instance id, a part of an object name; asked for after the start. */
  readonly id: () => string;
  /** Host and port of the own gRPC server. */
  readonly address: string;
  readonly zone: string;
  readonly roles: readonly string[];
  /** The own state from the first heartbeat on. */
  readonly initialState: MemberState;
  /** Whether a stop takes the own record away; otherwise it stays, LEAVING, for the restart. */
  readonly unregisterOnStop: boolean;
  /** Between heartbeats, ms. */
  readonly periodMs: number;
  /** A member that is silent for longer is not alive, ms; a few periods. */
  readonly timeoutMs: number;
  /** A member that is silent for longer is forgotten, ms; 0 for never. */
  readonly autoForgetMs: number;
}

export interface MembershipParts {
  readonly store: MemberStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly options: MembershipOptions;
}

/** A start waits this long for the first heartbeat, a stop for the farewell; a store that is down holds up neither. */
const PATIENCE_MS = 5000;

/**
 * Membership by heartbeats in a store. While the store does not answer, the last view stays, and when it answers again,
 * those who were alive get a time-out to be heard of: nobody could tell of itself meanwhile.
 */
export class ClusterMembership implements Membership {
  readonly #parts: MembershipParts;
  readonly #failures;
  readonly #token = randomUUID();
  readonly #listeners = new Set<(members: readonly Member[]) => void>();
  #members: readonly Member[] = [];
  #state: MemberState;
  #stateMs: number;
  #registeredMs: number;
  #hasWritten = false;
  #isFrozen = false;
  /** Until then nobody that was alive is taken for dead, and nobody is forgotten. */
  #mercyUntilMs = 0;
  #forgetFromMs = 0;
  #isStopped = false;
  #foreignIds = '';
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> = Promise.resolve();

  constructor(parts: MembershipParts) {
    const { metrics, options, clock } = parts;
    this.#parts = parts;
    this.#state = options.initialState;
    this.#stateMs = clock.nowMs();
    this.#registeredMs = this.#stateMs;
    metrics.gauge(
      'varve_membership_members',
      'Members of the cluster by role, as this process sees them.',
      ['role', 'state', 'alive'],
      (gauge) => {
        gauge.reset();
        for (const { roles, state, isAlive } of this.#members) {
          for (const role of roles) gauge.labels(role, state, String(isAlive)).inc();
        }
      },
    );
    metrics.gauge(
      'varve_membership_frozen',
      'Whether the store of the membership does not answer, so that its last answer is kept.',
      [],
      (gauge) => gauge.set(this.#isFrozen ? 1 : 0),
    );
    this.#failures = metrics
      .counter('varve_membership_heartbeat_failures_total', 'Heartbeats that could not be written or read.')
      .labels();
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  members(): readonly Member[] {
    return this.#members;
  }

  selfId(): string {
    return this.#parts.options.id();
  }

  subscribe(listener: (members: readonly Member[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Joins. Resolves with the first view, or without one when the store does not answer soon.
   * @throws VarveError client `cluster-name-mismatch`
   */
  async start(): Promise<void> {
    await atMost(PATIENCE_MS, this.#next());
    this.#schedule();
  }

  /** Leaves, so that the others need not wait for the time-out. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await atMost(PATIENCE_MS, this.#leave());
  }

  async setState(state: MemberState): Promise<void> {
    if (state === this.#state) return;
    this.#parts.logger.info({ from: this.#state, to: state }, 'own state changes');
    this.#state = state;
    this.#stateMs = this.#parts.clock.nowMs();
    const { id, stateMs } = this.#record();
    this.#show(this.#members.map((member) => (member.id === id ? { ...member, state, stateMs } : member)));
    await this.#next();
  }

  async forget(id: string): Promise<void> {
    const member = this.#members.find((one) => one.id === id);
    if (member === undefined) {
      throw new VarveError('client', 'member-unknown', `there is no member ${JSON.stringify(id)}`);
    }
    if (member.isAlive) {
      const text = `member ${id} is alive and would come back with its next heartbeat: stop it first`;
      throw new VarveError('client', 'member-alive', text);
    }
    await this.#parts.store.remove(id);
    this.#parts.logger.warn({ member: id }, 'a member was forgotten on request');
    this.#show(this.#members.filter((one) => one.id !== id));
  }

  /** One heartbeat and one look at those of the others. */
  async beat(): Promise<void> {
    const { store, clock, options } = this.#parts;
    if (this.#hasWritten) await this.#checkOwn();
    else await this.#prepare();
    const stored = await store.exchange(this.#record());
    // A newcomer cannot know whether the store was away until now.
    if (!this.#hasWritten) this.#forgetFromMs = clock.monotonicMs() + options.timeoutMs;
    this.#hasWritten = true;
    const isMerciful = clock.monotonicMs() < this.#mercyUntilMs;
    const mayForget = options.autoForgetMs > 0 && !isMerciful && clock.monotonicMs() >= this.#forgetFromMs;
    const before = new Map(this.#members.map((member) => [member.id, member]));
    const members: Member[] = [];
    for (const { record, ageMs } of this.#own(stored)) {
      const isSilent = ageMs > options.timeoutMs;
      const isAlive = !isSilent || (isMerciful && before.get(record.id)?.isAlive === true);
      if (!isAlive && mayForget && ageMs > options.autoForgetMs) {
        await store.remove(record.id);
        this.#parts.logger.warn({ member: record.id }, 'a member was silent for too long and is forgotten');
        continue;
      }
      const { cluster: _cluster, token: _token, ...shown } = record;
      members.push({ ...shown, heartbeatMs: clock.nowMs() - ageMs, isAlive });
    }
    this.#show(members.sort((a, b) => (a.id < b.id ? -1 : 1)));
  }

  #record(): MemberRecord {
    const { cluster, address, zone, roles } = this.#parts.options;
    const [state, stateMs, registeredMs] = [this.#state, this.#stateMs, this.#registeredMs];
    const token = this.#token;
    return {
      id: this.selfId(),
      cluster,
      address,
      zone,
      roles,
      state,
      registeredMs,
      stateMs,
      token,
      host: hostname(),
    };
  }

  /** Before the first heartbeat: nothing is written where another cluster is, and a restart goes on as the same member. */
  async #prepare(): Promise<void> {
    const { store, options } = this.#parts;
    const records = await store.list();
    const other = records.find(({ cluster }) => cluster !== options.cluster);
    if (other !== undefined) {
      throw new VarveError(
        'client',
        'cluster-name-mismatch',
        `the ${store.kind} has members of cluster ${JSON.stringify(other.cluster)} (${other.id}), and this process is of ` +
          `${JSON.stringify(options.cluster)}: give it that name with --cluster-name, or storage of its own`,
      );
    }
    const kept = records.find(({ id }) => id === this.selfId());
    if (kept !== undefined) this.#registeredMs = kept.registeredMs;
  }

  /** Members of another cluster can only have come at the same moment; they are left out and told of once. */
  #own(stored: readonly StoredMember[]): StoredMember[] {
    const { cluster } = this.#parts.options;
    const foreign = stored.filter(({ record }) => record.cluster !== cluster).map(({ record }) => record.id);
    if (foreign.length > 0 && foreign.join() !== this.#foreignIds) {
      this.#parts.logger.error({ cluster, members: foreign }, 'there are members of another cluster here');
    }
    this.#foreignIds = foreign.join();
    return stored.filter(({ record }) => record.cluster === cluster);
  }

  /** Two processes with one id would take each other's leases and shards for their own. */
  async #checkOwn(): Promise<void> {
    const found = await this.#parts.store.read(this.selfId());
    if (found === null || found.token === this.#token) return;
    this.#parts.logger.error(
      { instanceId: found.id, host: found.host },
      'another process has the same instance id: give each its own with --instance-id',
    );
  }

  /** Heartbeats one after the other, whoever asks for them. */
  #next(): Promise<void> {
    const attempt = this.#round.then(() => this.#attempt());
    this.#round = attempt.catch(() => {});
    return attempt;
  }

  async #attempt(): Promise<void> {
    const { clock, logger, options, store } = this.#parts;
    try {
      await this.beat();
    } catch (error) {
      this.#failures.inc();
      if (error instanceof VarveError && error.code === 'cluster-name-mismatch') throw error;
      if (!this.#isFrozen) {
        const fields = { store: store.kind, members: this.#members.length, error: messageOf(error) };
        logger.warn(fields, 'the membership store does not answer: the members known last are kept');
      }
      this.#isFrozen = true;
      this.#mercyUntilMs = Number.POSITIVE_INFINITY;
      return;
    }
    if (!this.#isFrozen) return;
    this.#isFrozen = false;
    this.#mercyUntilMs = clock.monotonicMs() + options.timeoutMs;
    logger.info({ store: store.kind }, 'the membership store answers again');
  }

  #schedule(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(async () => {
      try {
        await this.#next();
      } catch (error) {
        this.#parts.logger.error({ error: messageOf(error) }, 'this process is not a member');
      }
      this.#schedule();
    }, this.#parts.options.periodMs);
    this.#timer.unref();
  }

  async #leave(): Promise<void> {
    const { logger, options, store } = this.#parts;
    await this.#round;
    if (!this.#hasWritten) return;
    if (!options.unregisterOnStop) {
      await this.setState('LEAVING');
      return;
    }
    try {
      await store.remove(this.selfId());
    } catch (error) {
      logger.warn({ error: messageOf(error) }, 'the others will notice the stop after the time-out');
    }
  }

  #show(members: readonly Member[]): void {
    const before = this.#members.map(faceOf);
    const now = members.map(faceOf);
    this.#members = members;
    if (before.join() === now.join()) return;
    this.#parts.logger.info({ members: now }, 'members changed');
    for (const listener of this.#listeners) listener(members);
  }
}

/** What of a member others act on. */
function faceOf({ id, state, isAlive, zone, address }: Member): string {
  return `${id} ${state}${isAlive ? '' : ' (silent)'} ${zone} ${address}`;
}

/** Waits for work that handles its own failures, but not for ever. */
async function atMost(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await Promise.race([work, patience]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {});
  }
}
