import type { Clock } from '../clock/index.js';
import { messageOf, type VarveError } from '../errors/index.js';
import type { Logger } from '../telemetry/index.js';
import type { LocalBlock } from './local-blocks.js';
import type { TenantShipping } from './ship-state.js';

const MINUTE_MS = 60_000;
/** Tenants a line names. */
const TENANTS_MAX = 10;
/** Blocks are in the index within minutes after they were stored. */
const UNLISTED_MS = 60 * MINUTE_MS;

/** What the shipper says to operators, no line of a kind more often than they can use. */
export class ShipperLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #tenants: () => readonly TenantShipping[];
  readonly #saidMs = new Map<string, number>();
  #isFailing = false;

  constructor(logger: Logger, clock: Clock, tenants: () => readonly TenantShipping[]) {
    this.#logger = logger;
    this.#clock = clock;
    this.#tenants = tenants;
  }

  /** An attempt failed: one line for the first, then at most one a minute for all tenants. */
  failed(shipping: TenantShipping, error: VarveError): void {
    if (shipping.failingSinceMs === 0) shipping.failingSinceMs = this.#clock.nowMs();
    if (!this.#mayBeSaid('failed', MINUTE_MS)) return;
    this.#isFailing = true;
    const failing = this.#tenants().filter(({ failingSinceMs }) => failingSinceMs > 0);
    const waiting = this.#tenants().flatMap((tenant) => tenant.pending(false));
    const since = Math.min(...failing.map(({ failingSinceMs }) => failingSinceMs));
    this.#logger.error(
      {
        tenants: failing.slice(0, TENANTS_MAX).map(({ tenant }) => tenant),
        tenantCount: failing.length,
        blocks: waiting.length,
        bytes: waiting.reduce((sum, block) => sum + block.byteCount, 0),
        since: new Date(since).toISOString(),
        code: error.code,
        error: error.message,
      },
      `${adviceOn(error)}; the blocks stay on this disk and are tried again`,
    );
  }

  /** All of a tenant works again. */
  recovered(shipping: TenantShipping): void {
    if (shipping.failingSinceMs === 0) return;
    const seconds = Math.round((this.#clock.nowMs() - shipping.failingSinceMs) / 1000);
    shipping.failingSinceMs = 0;
    if (!this.#isFailing || this.#tenants().some(({ failingSinceMs }) => failingSinceMs > 0)) return;
    this.#isFailing = false;
    this.#logger.info({ tenant: shipping.tenant, seconds }, 'local blocks are stored in the bucket again');
  }

  stored({ tenant, ulid, byteCount }: LocalBlock): void {
    this.#logger.info({ tenant, block: ulid, bytes: byteCount }, 'block stored in the bucket');
  }

  /** A block is in the bucket for so long, and readers don't find it. */
  unlisted({ tenant, ulid }: LocalBlock, waitedMs: number): void {
    if (!(waitedMs >= UNLISTED_MS) || !this.#mayBeSaid('unlisted', 10 * MINUTE_MS)) return;
    this.#logger.warn(
      { tenant, block: ulid, minutes: Math.round(waitedMs / MINUTE_MS) },
      'a stored block is not in the bucket index: is a compactor running? Until it is listed it stays on this disk too',
    );
  }

  indexUnreadable(tenant: string, thrown: unknown): void {
    if (!this.#mayBeSaid('index', 10 * MINUTE_MS)) return;
    this.#logger.warn(
      { tenant, error: messageOf(thrown) },
      'the bucket index cannot be used: stored blocks stay on this disk too until it can',
    );
  }

  listTrouble(tenant: string, thrown: unknown): void {
    if (!this.#mayBeSaid('list', MINUTE_MS)) return;
    this.#logger.warn(
      { tenant, error: messageOf(thrown) },
      'the list of stored blocks cannot be read or written: the next start asks the bucket for each block',
    );
  }

  #mayBeSaid(kind: string, everyMs: number): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - (this.#saidMs.get(kind) ?? Number.NEGATIVE_INFINITY) < everyMs) return false;
    this.#saidMs.set(kind, nowMs);
    return true;
  }
}

function adviceOn(error: VarveError): string {
  if (error.code === 'bucket-refused') {
    return 'the bucket refuses local blocks, which will not pass by itself: correct the credentials, their rights (get, put, list, delete) or the bucket settings';
  }
  if (error.kind === 'unavailable') {
    return 'local blocks cannot be stored in the bucket: check that it can be reached (bucket, s3.endpoint, network) and has room';
  }
  return 'a local block cannot be stored in the bucket: look at what the error names';
}
