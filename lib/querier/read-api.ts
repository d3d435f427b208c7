import { VarveError } from '../errors/index.js';
import { type Exchange, type HttpServer, readBody } from '../http/index.js';
import { codecKernel } from '../kernel/index.js';
import { type TenantOptions, tenantOfHeader } from '../tenant/index.js';
import { parseReadRequest, READ_RESPONSE_TYPE } from '../wire/index.js';
import { contentTypeOf, negotiate } from './accept.js';
import type { QueryApiParts } from './api.js';
import { badData } from './api-error.js';
import { Params } from './params.js';
import { runTask } from './run-task.js';
import type { QueryTask, ReadBudget } from './task.js';

export interface ReadApiOptions {
  readonly tenant: TenantOptions;
  readonly timeoutMs: number;
  readonly lookbackDeltaMs: number;
  /** Budgets of one request. */
  readonly samplesMax: number;
  readonly memoryBytesMax: number;
}

/** Prometheus' limit, before and after decompression. */
const BODY_BYTES_MAX = 32 * 1024 * 1024;
const STREAM_TYPE = 'application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse';
const SUPPORTED: readonly number[] = Object.values(READ_RESPONSE_TYPE);

/** What other servers read: remote read and `/federate`. Errors are short texts, as from Prometheus. */
export class ReadApi {
  readonly #options: ReadApiOptions;
  readonly #parts: QueryApiParts;

  constructor(options: ReadApiOptions, parts: QueryApiParts) {
    this.#options = options;
    this.#parts = parts;
  }

  mount(server: HttpServer): void {
    for (const prefix of ['/prometheus', '/api/prom', '']) {
      server.route(['POST'], `${prefix}/api/v1/read`, (exchange) => this.#read(exchange));
      server.route(['GET'], `${prefix}/federate`, (exchange) => this.#federate(exchange));
    }
  }

  async #read(exchange: Exchange): Promise<void> {
    const tenant = this.#tenantOf(exchange);
    const { chunks } = await readBody(exchange.request, BODY_BYTES_MAX);
    const bytes = codecKernel().snappyDecode(Buffer.concat(chunks), BODY_BYTES_MAX);
    const { queries, acceptedTypes } = parseReadRequest(bytes);
    const type =
      acceptedTypes.length === 0
        ? READ_RESPONSE_TYPE.samples
        : acceptedTypes.find((candidate) => SUPPORTED.includes(candidate));
    if (type === undefined) {
      throw badData(
        `server does not support any of the requested response types: [${acceptedTypes.join(' ')}]; ` +
          'supported: map[SAMPLES:{} STREAMED_XOR_CHUNKS:{}]',
      );
    }
    const startMs = Math.min(...queries.map((query) => query.startMs));
    const endMs = Math.max(...queries.map((query) => query.endMs));
    const snapshot = await this.#parts.provider.snapshot(tenant, startMs, endMs);
    const isStreamed = type === READ_RESPONSE_TYPE.streamedXorChunks;
    const { sources } = snapshot;
    const budget = this.#budgetOf(tenant);
    const body = await this.#answerOf(
      exchange,
      tenant,
      { kind: 'remoteRead', queries, isStreamed, budget, sources },
      snapshot,
    );
    if (body === null) return;
    if (isStreamed) exchange.send(200, STREAM_TYPE, body);
    else exchange.send(200, 'application/x-protobuf', body, { 'Content-Encoding': 'snappy' });
  }

  async #federate(exchange: Exchange): Promise<void> {
    const tenant = this.#tenantOf(exchange);
    const params = new Params(exchange.search, '');
    const maxTimeMs = this.#parts.clock.nowMs();
    const minTimeMs = maxTimeMs - this.#options.lookbackDeltaMs;
    const format = negotiate(exchange.request.headers.accept ?? '');
    const snapshot = await this.#parts.provider.snapshot(tenant, minTimeMs, maxTimeMs);
    const { sources } = snapshot;
    const selectors = params.getAll('match[]');
    const budget = this.#budgetOf(tenant);
    const body = await this.#answerOf(
      exchange,
      tenant,
      { kind: 'federate', selectors, minTimeMs, maxTimeMs, format, budget, sources },
      snapshot,
    );
    if (body !== null) await exchange.sendCompressed(200, contentTypeOf(format), body);
  }

  #tenantOf(exchange: Exchange): string {
    return tenantOfHeader(exchange.request.headers['x-scope-orgid'], this.#options.tenant);
  }

  #budgetOf(tenant: string): ReadBudget {
    const limits = this.#parts.limits.of(tenant);
    return {
      seriesMax: limits.maxFetchedSeriesPerQuery,
      chunksMax: limits.maxFetchedChunksPerQuery,
      bytesMax: limits.maxFetchedBytesPerQuery,
      samplesMax: this.#options.samplesMax,
      memoryBytesMax: this.#options.memoryBytesMax,
      answerBytesMax: limits.maxQueryResponseSize,
    };
  }

  /** The bytes of a good answer; null after sending the text of an error. */
  async #answerOf(
    exchange: Exchange,
    tenant: string,
    task: QueryTask,
    snapshot: Parameters<typeof runTask>[5],
  ): Promise<Uint8Array | null> {
    const { timeoutMs } = this.#options;
    const { status, body } = await runTask(this.#parts, exchange, tenant, task, timeoutMs, snapshot);
    if (status === 200) return body;
    const { error } = JSON.parse(Buffer.from(body).toString()) as { error?: string };
    if (error === undefined)
      throw new VarveError('internal', 'task-failed', 'the answer of a thread has no text');
    exchange.sendText(status, error);
    return null;
  }
}
