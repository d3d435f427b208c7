import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type Bucket, isObjectNotFound } from '../bucket/index.js';
import { messageOf, VarveError } from '../errors/index.js';
import type { Logger, Metrics } from '../telemetry/index.js';
import type { Member, Membership } from './membership.js';

export interface BucketMembershipOptions {
  /** What its members are, such as `compactors`; a part of an object name. Groups do not see one another. */
  readonly group: string;
  /** Own instance id, a part of an object name; asked for after the start. */
  readonly id: () => string;
  /** Between heartbeats, ms. */
  readonly periodMs: number;
  /** A member that is silent for longer is left out, ms; a few periods. */
  readonly timeoutMs: number;
}

export interface BucketMembershipParts {
  readonly bucket: Bucket;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly options: BucketMembershipOptions;
}

/** No tenant can have this name (lib/tenant reserves it). */
const FOLDER = '__varve_cluster/';
/** A start waits this long for the first heartbeat, a stop for the farewell; a store that is down holds up neither. */
const PATIENCE_MS = 5000;
/** Heartbeats this many time-outs old are deleted. */
const TIMEOUTS_KEPT = 60;

/**
 * Membership by heartbeats in a bucket: each member rewrites `__varve_cluster/<group>/<id>.json` every period. No other
 * service is needed, and it reaches exactly those that share the data.
 *
 * Only the store's clock counts: the age of another's heartbeat is how much older its object is than the own one, just
 * written. So clocks of machines may differ by any amount. While the store does not answer, the last view stays.
 */
export class BucketMembership implements Membership {
  readonly #parts: BucketMembershipParts;
  readonly #prefix: string;
  readonly #failures;
  /** Tells this process from another with the same id, and from its life before. */
  readonly #token = randomUUID();
  readonly #startedAt = new Date().toISOString();
  #members: readonly Member[] = [];
  #hasWritten = false;
  #isStopped = false;
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> = Promise.resolve();

  constructor(parts: BucketMembershipParts) {
    const { metrics, options } = parts;
    this.#parts = parts;
    this.#prefix = `${FOLDER}${options.group}/`;
    const { group } = options;
    metrics.gauge(
      'varve_membership_members',
      'Live processes of the group, as this one sees it.',
      ['group'],
      (gauge) => gauge.labels(group).set(this.#members.length),
    );
    this.#failures = metrics
      .counter('varve_membership_heartbeat_failures_total', 'Heartbeats that could not be written or read.', [
        'group',
      ])
      .labels(group);
  }

  members(): readonly Member[] {
    return this.#members;
  }

  /** Joins. Resolves with the first view, or without one when the store does not answer soon. */
  async start(): Promise<void> {
    this.#round = this.#run();
    await atMost(PATIENCE_MS, this.#round);
  }

  /** Leaves, so that the others need not wait for the time-out. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await atMost(PATIENCE_MS, this.#leave());
  }

  /** One heartbeat and one look at those of the others. */
  async beat(): Promise<void> {
    const { bucket, options } = this.#parts;
    const own = this.#nameOf(options.id());
    await this.#checkOwn(own);
    const body = { id: options.id(), token: this.#token, host: hostname(), startedAt: this.#startedAt };
    await bucket.put(own, Buffer.from(JSON.stringify(body)));
    this.#hasWritten = true;
    const names = (await bucket.list(this.#prefix)).objects.filter((name) => name.endsWith('.json'));
    const stats = await Promise.all(names.map((name) => bucket.stat(name)));
    const nowMs = stats[names.indexOf(own)]?.modifiedMs;
    if (nowMs === undefined) {
      throw new VarveError('unavailable', 'heartbeat-lost', `${own} was stored and is not there`);
    }
    const members: Member[] = [];
    for (const [i, name] of names.entries()) {
      const lastSeenMs = stats[i]?.modifiedMs;
      // One that has just left.
      if (lastSeenMs === undefined) continue;
      const ageMs = nowMs - lastSeenMs;
      if (ageMs <= options.timeoutMs) members.push({ id: this.#idOf(name), lastSeenMs });
      else if (ageMs > TIMEOUTS_KEPT * options.timeoutMs) await bucket.delete(name);
    }
    this.#show(members.sort((a, b) => (a.id < b.id ? -1 : 1)));
  }

  async #run(): Promise<void> {
    try {
      await this.beat();
    } catch (error) {
      this.#failures.inc();
      const { group } = this.#parts.options;
      this.#parts.logger.warn({ group, error: messageOf(error) }, 'no heartbeat, it is tried again');
    }
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#round = this.#run();
    }, this.#parts.options.periodMs);
    this.#timer.unref();
  }

  async #leave(): Promise<void> {
    const { bucket, logger, options } = this.#parts;
    await this.#round;
    if (!this.#hasWritten) return;
    try {
      await bucket.delete(this.#nameOf(options.id()));
    } catch (error) {
      const { group } = options;
      logger.warn({ group, error: messageOf(error) }, 'the others will notice the stop after the time-out');
    }
  }

  /** Two processes with one id would take each other's leases for leftovers of their own. */
  async #checkOwn(own: string): Promise<void> {
    const { bucket, logger, options } = this.#parts;
    if (!this.#hasWritten) return;
    const found = await readBody(bucket, own);
    if (found === null || found.token === this.#token) return;
    logger.error(
      { instanceId: options.id(), group: options.group, host: found.host ?? '' },
      'another process has the same instance id: give each its own with --instance-id',
    );
  }

  #show(members: readonly Member[]): void {
    const before = this.#members.map(({ id }) => id);
    const now = members.map(({ id }) => id);
    this.#members = members;
    if (before.join() === now.join()) return;
    this.#parts.logger.info({ group: this.#parts.options.group, members: now }, 'members changed');
  }

  #nameOf(id: string): string {
    return `${this.#prefix}${id}.json`;
  }

  #idOf(name: string): string {
    return name.slice(this.#prefix.length, -'.json'.length);
  }
}

/** Null when it is gone or not a heartbeat. */
async function readBody(
  bucket: Bucket,
  name: string,
): Promise<{ readonly token: string; readonly host?: string } | null> {
  try {
    const json: unknown = JSON.parse(Buffer.from(await bucket.get(name)).toString('utf8'));
    const { token, host } = (json ?? {}) as { readonly token?: unknown; readonly host?: unknown };
    if (typeof token !== 'string') return null;
    return typeof host === 'string' ? { token, host } : { token };
  } catch (error) {
    if (isObjectNotFound(error) || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Waits for work that handles its own failures, but not for ever. */
async function atMost(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, patience]);
  clearTimeout(timer);
}
