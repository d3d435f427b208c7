import { ulid as newUlid } from 'ulid';
import type { Bucket } from '../bucket/index.js';
import {
  cancelDeletion,
  createDeletion,
  DELETIONS_MAX,
  type DeletionCatalog,
  type DeletionRequest,
  deletionRules,
  listChecked,
  listDeletions,
  listEndedDeletions,
  makeDeletion,
  readBucketIndex,
  ruleProgress,
  SELECTOR_BYTES_MAX,
} from '../bucketindex/index.js';
import { VarveError } from '../errors/index.js';
import { type Exchange, type HttpServer, JSON_TYPE, type Method, readBody } from '../http/index.js';
import { type TenantOptions, tenantOfHeader } from '../tenant/index.js';
import { API_PREFIXES, type QueryApiParts } from './api.js';
import { badData, badParameter, encodeError } from './api-error.js';
import { encodeSuccess } from './encode.js';
import { stringifyHtml } from './json-bytes.js';
import { optionalTime, Params, TIME_MS_MAX, TIME_MS_MIN } from './params.js';
import { runTask } from './run-task.js';

export interface AdminApiOptions {
  readonly tenant: TenantOptions;
  /** Whether anything but refusals is answered. */
  readonly isEnabled: boolean;
  readonly timeoutMs: number;
  readonly formBodyBytesMax: number;
  readonly memoryBytesMax: number;
}

export interface AdminApiParts extends QueryApiParts {
  readonly bucket: Bucket;
  /** Told of changes, so that they count at once in this process. */
  readonly deletions: DeletionCatalog;
  /** Asks for what is deleted to be taken from blocks now; null when somebody else does that in its own time. */
  readonly rewriteNow: ((tenant: string) => void) | null;
}

/** The id of a new deletion, for whoever wants to follow or cancel it. */
const ID_HEADER = 'X-Varve-Deletion';
const DISABLED = stringifyHtml({
  status: 'error',
  errorType: 'unavailable',
  error: 'admin APIs disabled',
});

interface Call {
  readonly exchange: Exchange;
  readonly tenant: string;
  readonly params: Params;
}

/** Prometheus' API for administrators, as far as it is about deletion, and a list of what is being deleted. */
export class AdminApi {
  readonly #options: AdminApiOptions;
  readonly #parts: AdminApiParts;

  constructor(options: AdminApiOptions, parts: AdminApiParts) {
    this.#options = options;
    this.#parts = parts;
  }

  mount(server: HttpServer): void {
    const write: readonly Method[] = ['POST', 'PUT'];
    const routes: (readonly [readonly Method[], string, (call: Call) => Promise<void>])[] = [
      [write, '/delete_series', (call) => this.#deleteSeries(call)],
      [write, '/clean_tombstones', (call) => this.#cleanTombstones(call)],
      [write, '/snapshot', () => this.#snapshot()],
      [['GET'], '/deletions', (call) => this.#list(call)],
      [['DELETE'], '/deletions/:id', (call) => this.#cancel(call)],
    ];
    for (const prefix of API_PREFIXES) {
      for (const [methods, path, handle] of routes) {
        server.route(methods, `${prefix}/admin/tsdb${path}`, (exchange) => this.#serve(exchange, handle));
      }
    }
  }

  async #serve(exchange: Exchange, handle: (call: Call) => Promise<void>): Promise<void> {
    const tenant = tenantOfHeader(exchange.request.headers['x-scope-orgid'], this.#options.tenant);
    if (!this.#options.isEnabled) {
      exchange.send(500, JSON_TYPE, DISABLED);
      return;
    }
    try {
      const form = await readForm(exchange, this.#options.formBodyBytesMax);
      await handle({ exchange, tenant, params: new Params(exchange.search, form) });
    } catch (error) {
      if (error instanceof VarveError && error.code === 'body-too-large') throw error;
      if (error instanceof VarveError && error.kind === 'internal') {
        const { code, message } = error;
        this.#parts.logger.error({ tenant, path: exchange.path, code, error: message }, 'request failed');
      }
      const { status, body } = encodeError(error);
      exchange.send(status, JSON_TYPE, body);
    }
  }

  async #deleteSeries({ exchange, tenant, params }: Call): Promise<void> {
    const { bucket, clock, deletions, logger } = this.#parts;
    params.check();
    const selectors = params.getAll('match[]');
    if (selectors.length === 0) throw badData('no match[] parameter provided');
    const minTimeMs = optionalTime(params, 'start', TIME_MS_MIN);
    const nowMs = clock.nowMs();
    const maxTimeMs = Math.min(nowMs, optionalTime(params, 'end', TIME_MS_MAX));
    const request = parseRequest(newUlid(nowMs), selectors, { minTimeMs, maxTimeMs, createdMs: nowMs });
    if (parseBoolean(params, 'dry_run')) {
      await this.#count(exchange, tenant, request);
      return;
    }
    // Nothing lies between: Prometheus says the same of it.
    if (minTimeMs > maxTimeMs) {
      exchange.sendEmpty(204);
      return;
    }
    if ((await deletions.requests(tenant)).length >= DELETIONS_MAX) {
      throw new VarveError(
        'limit',
        'too-many-deletions',
        `${DELETIONS_MAX} deletions of this tenant are not over yet: put several match[] into one request, or wait`,
      );
    }
    await createDeletion(bucket, tenant, request);
    deletions.invalidate(tenant);
    logger.info(
      { tenant, deletion: request.id, matchers: selectors, minTimeMs, maxTimeMs },
      'series deleted',
    );
    exchange.sendEmpty(204, { [ID_HEADER]: request.id });
  }

  /** Answers with what would be deleted. */
  async #count(exchange: Exchange, tenant: string, request: DeletionRequest): Promise<void> {
    const { minTimeMs, maxTimeMs, selectors } = request;
    if (minTimeMs > maxTimeMs) {
      exchange.send(200, JSON_TYPE, encodeSuccess(stringifyHtml({ series: 0, samples: 0, sources: [] })));
      return;
    }
    const { provider, limits } = this.#parts;
    const snapshot = await provider.snapshot(tenant, minTimeMs, maxTimeMs);
    const limit = limits.of(tenant);
    const { status, body } = await runTask(
      this.#parts,
      exchange,
      tenant,
      {
        kind: 'deletionCounts',
        ...{ selectors, minTimeMs, maxTimeMs, sources: snapshot.sources },
        budget: {
          seriesMax: limit.maxFetchedSeriesPerQuery,
          chunksMax: limit.maxFetchedChunksPerQuery,
          bytesMax: limit.maxFetchedBytesPerQuery,
          samplesMax: 0,
          memoryBytesMax: this.#options.memoryBytesMax,
          answerBytesMax: limit.maxQueryResponseSize,
        },
      },
      this.#options.timeoutMs,
      snapshot,
    );
    exchange.send(status, JSON_TYPE, body);
  }

  async #cleanTombstones({ exchange, tenant }: Call): Promise<void> {
    this.#parts.rewriteNow?.(tenant);
    exchange.sendEmpty(204);
  }

  async #snapshot(): Promise<void> {
    throw new VarveError(
      'limit',
      'snapshot-unsupported',
      'there are no snapshots: blocks in the bucket never change, so a copy of it is one',
    );
  }

  async #list({ exchange, tenant }: Call): Promise<void> {
    const { bucket, clock } = this.#parts;
    const [{ requests, claimed }, ended, index, checked] = await Promise.all([
      listDeletions(bucket, tenant),
      listEndedDeletions(bucket, tenant),
      readBucketIndex(bucket, tenant),
      listChecked(bucket, tenant),
    ]);
    const blocks = (index?.blocks ?? []).filter(({ ulid }) => index?.deletionMarks.has(ulid) !== true);
    const live = deletionRules(requests, [], clock.nowMs()).map((rule) => {
      const { blocksTotal, blocksLeft } = ruleProgress(rule, blocks, checked.blocks);
      const isBegun = claimed.has(rule.key);
      const state = blocksLeft === 0 ? 'settling' : isBegun ? 'running' : 'pending';
      const progress = { blocksDone: blocksTotal - blocksLeft, blocksLeft };
      return { ...describe(rule.request!), state, cancellable: !isBegun, ...progress };
    });
    const over = ended.map(({ request, state, endedMs }) => ({
      ...describe(request),
      ...{ state, cancellable: false, endedAt: new Date(endedMs).toISOString() },
    }));
    await exchange.sendCompressed(200, JSON_TYPE, encodeSuccess(stringifyHtml([...live, ...over])));
  }

  async #cancel({ exchange, tenant }: Call): Promise<void> {
    const { bucket, clock, deletions, logger } = this.#parts;
    const id = exchange.params['id'] ?? '';
    const outcome = await cancelDeletion(bucket, tenant, id, clock.nowMs());
    if (outcome === 'unknown') {
      exchange.send(404, JSON_TYPE, errorBody('not_found', 'there is no such deletion, or it is over'));
      return;
    }
    if (outcome === 'begun') {
      const text = 'blocks are being written without what it deletes: it cannot be cancelled any more';
      exchange.send(409, JSON_TYPE, errorBody('execution', text));
      return;
    }
    deletions.invalidate(tenant);
    logger.info({ tenant, deletion: id }, 'deletion of series cancelled');
    exchange.sendEmpty(204);
  }
}

function describe({ id, selectors, minTimeMs, maxTimeMs, createdMs }: DeletionRequest) {
  const createdAt = new Date(createdMs).toISOString();
  return { id, matchers: selectors, minTime: minTimeMs, maxTime: maxTimeMs, createdAt };
}

function parseRequest(
  id: string,
  selectors: readonly string[],
  times: Parameters<typeof makeDeletion>[2],
): DeletionRequest {
  const byteLength = selectors.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (byteLength > SELECTOR_BYTES_MAX) {
    throw badData(
      `the match[] parameters have ${byteLength} bytes, at most ${SELECTOR_BYTES_MAX} are allowed`,
    );
  }
  try {
    return makeDeletion(id, selectors, times);
  } catch (error) {
    if (error instanceof VarveError && error.kind === 'client') throw badParameter('match[]', error.message);
    throw error;
  }
}

function parseBoolean(params: Params, name: string): boolean {
  const text = params.get(name);
  if (text === '' || text === 'false' || text === '0') return false;
  if (text === 'true' || text === '1') return true;
  throw badParameter(name, 'it must be true or false');
}

function errorBody(errorType: string, error: string): string {
  return stringifyHtml({ status: 'error', errorType, error });
}

const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(;|$)/i;

/** The form body, or ''. */
async function readForm({ request }: Exchange, bytesMax: number): Promise<string> {
  if (!FORM_TYPE.test(request.headers['content-type'] ?? '')) return '';
  const { chunks } = await readBody(request, bytesMax);
  return Buffer.concat(chunks).toString();
}
