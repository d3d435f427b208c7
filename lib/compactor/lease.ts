import { randomUUID } from 'node:crypto';
import { type Bucket, isObjectNotFound } from '../bucket/index.js';
import type { Clock } from '../clock/index.js';

/**
 * Leases: objects that say who works on something, so that nobody else does. They work without compare-and-swap.
 *
 * A lease is a folder of generations, `<tenant>/leases/<key>/<generation>`. Who stores the next generation with
 * `putIfAbsent` has it; its heartbeat rewrites that object. Who finds the newest generation expired stores the next
 * one. The holder sees at its next heartbeat that it has lost. On stores that ignore the condition of `putIfAbsent`
 * several may believe to have won; the object names the last one, and the others see that at the heartbeat before they
 * store anything. What is done twice in spite of all is harmless: blocks of equal sources cover each other.
 */
export interface LeaseOptions {
  /** Who takes leases; stays the same over restarts, so that a restarted process goes on with its own at once. */
  readonly holder: () => string;
  /** After so long without a heartbeat others take over, ms. Clocks of machines must agree better than that. */
  readonly expiryMs: number;
}

interface LeaseRecord {
  readonly holder: string;
  /** Differs for each time a lease is taken. */
  readonly token: string;
  readonly heartbeatMs: number;
}

const GENERATION_DIGITS = 9;

/** Takes leases of one process. */
export class LeaseTaker {
  readonly #bucket: Bucket;
  readonly #clock: Clock;
  readonly #options: LeaseOptions;
  /** Tokens of the leases this process has now. */
  readonly #held = new Set<string>();

  constructor(bucket: Bucket, clock: Clock, options: LeaseOptions) {
    this.#bucket = bucket;
    this.#clock = clock;
    this.#options = options;
  }

  /** Null when somebody else has it. */
  async take(tenant: string, key: string): Promise<Lease | null> {
    const prefix = `${tenant}/leases/${key}/`;
    const newest = (await this.#bucket.list(prefix)).objects.at(-1);
    let generation = 1;
    if (newest !== undefined) {
      const record = await readRecord(this.#bucket, newest);
      if (record !== null && !this.#isFree(record)) return null;
      generation = Number(newest.slice(prefix.length)) + 1;
    }
    const name = prefix + String(generation).padStart(GENERATION_DIGITS, '0');
    const token = randomUUID();
    const record = { holder: this.#options.holder(), token, heartbeatMs: this.#clock.nowMs() };
    // Known before it stands, or a sweep at this moment would take it for a leftover.
    this.#held.add(token);
    const lease = new Lease(this.#bucket, this.#clock, prefix, name, record, () => this.#held.delete(token));
    let isTaken = false;
    try {
      const isStored = await this.#bucket.putIfAbsent(name, encode(record));
      // Looked at for stores that don't know conditions, and for a release between listing and storing.
      isTaken = isStored && (await lease.isHeld());
    } finally {
      if (!isTaken) this.#held.delete(token);
    }
    return isTaken ? lease : null;
  }

  /** Removes leases that nobody has and nobody came back for. */
  async sweep(tenant: string): Promise<void> {
    for (const name of (await this.#bucket.list(`${tenant}/leases/`)).objects) {
      const record = await readRecord(this.#bucket, name);
      if (record === null || this.#isFree(record)) await this.#bucket.delete(name);
    }
  }

  #isFree(record: LeaseRecord): boolean {
    if (this.#clock.nowMs() - record.heartbeatMs > this.#options.expiryMs) return true;
    // Left over from this process' life before.
    return record.holder === this.#options.holder() && !this.#held.has(record.token);
  }
}

/** A lease that was taken. Whoever has it calls `beat` a few times per expiry. */
export class Lease {
  readonly #bucket: Bucket;
  readonly #clock: Clock;
  readonly #prefix: string;
  readonly #name: string;
  readonly #record: LeaseRecord;
  readonly #onEnd: () => void;

  constructor(
    bucket: Bucket,
    clock: Clock,
    prefix: string,
    name: string,
    record: LeaseRecord,
    onEnd: () => void,
  ) {
    this.#bucket = bucket;
    this.#clock = clock;
    this.#prefix = prefix;
    this.#name = name;
    this.#record = record;
    this.#onEnd = onEnd;
  }

  /** Whether it still names this holder and nobody has taken over. */
  async isHeld(): Promise<boolean> {
    const newest = (await this.#bucket.list(this.#prefix)).objects.at(-1);
    if (newest !== this.#name) return false;
    return (await readRecord(this.#bucket, this.#name))?.token === this.#record.token;
  }

  /** Says that the work goes on; false when somebody has taken over: then it must stop. */
  async beat(): Promise<boolean> {
    if (!(await this.isHeld())) return false;
    await this.#bucket.put(this.#name, encode({ ...this.#record, heartbeatMs: this.#clock.nowMs() }));
    return true;
  }

  /** Gives it back. The own generation goes last, so that the others never look like the newest. */
  async release(): Promise<void> {
    this.#onEnd();
    if (!(await this.isHeld())) return;
    for (const name of (await this.#bucket.list(this.#prefix)).objects) {
      if (name <= this.#name) await this.#bucket.delete(name);
    }
  }

  /** Forgets it without giving it back, after a failure of the store. */
  abandon(): void {
    this.#onEnd();
  }
}

/** Null when it is gone or not a lease. */
async function readRecord(bucket: Bucket, name: string): Promise<LeaseRecord | null> {
  try {
    const json: unknown = JSON.parse(Buffer.from(await bucket.get(name)).toString('utf8'));
    const { holder, token, heartbeatMs } = json as Partial<LeaseRecord>;
    if (typeof holder !== 'string' || typeof token !== 'string' || typeof heartbeatMs !== 'number')
      return null;
    return { holder, token, heartbeatMs };
  } catch (error) {
    if (isObjectNotFound(error) || error instanceof SyntaxError) return null;
    throw error;
  }
}

function encode(record: LeaseRecord): Uint8Array {
  return Buffer.from(JSON.stringify(record));
}
