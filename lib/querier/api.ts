import { availableParallelism } from 'node:os';
import type { Clock } from '../clock/index.js';
import { VarveError } from '../errors/index.js';
import { type Exchange, type HttpServer, JSON_TYPE, type Method, readBody, statusOf } from '../http/index.js';
import type { Limits, LimitsProvider } from '../limits/index.js';
import { createMatcher } from '../matcher/index.js';
import { formatDuration } from '../settings/index.js';
import type { Logger } from '../telemetry/index.js';
import { type TenantOptions, tenantOfHeader } from '../tenant/index.js';
import { MemoryTidy } from '../workers/index.js';
import { badData, encodeError } from './api-error.js';
import { blocksData } from './blocks-data.js';
import { parseCardinality, parseCardinalityLabels } from './cardinality-params.js';
import { rulesData, targetsData, targetsMetadataData } from './empty-api.js';
import { encodeSuccess } from './encode.js';
import { encodeExemplars } from './exemplar-json.js';
import { goQuote } from './go-text.js';
import { stringifyHtml } from './json-bytes.js';
import type { LocalQueries } from './local-queries.js';
import {
  checkTimeLeft,
  optionalDuration,
  optionalTime,
  Params,
  parseLimit,
  parseLookback,
  parseRange,
  parseSourceResolution,
  parseStats,
  TIME_MS_MAX,
  TIME_MS_MIN,
  unescapeLabelName,
} from './params.js';
import { originOf, QueryLog } from './query-log.js';
import { queryWindow, type TimeWindow } from './query-window.js';
import { runTask, type TaskParts } from './run-task.js';
import { answerSearch, SEARCH_ENDPOINTS, type SearchParts } from './search-api.js';
import type { SourceProvider, SourceSnapshot } from './sources.js';
import {
  type BuildInfo,
  buildInfoData,
  metadataData,
  NO_HOST,
  parseTopQueries,
  parseTsdbLimit,
  runtimeInfoData,
  thisHost,
  tsdbData,
  WAL_REPLAY_DATA,
} from './status-api.js';
import type {
  BlockReads,
  CardinalityTask,
  LookupTask,
  QueryFigures,
  QueryTask,
  SelectorText,
  TaskAnswer,
} from './task.js';

/** Where the API stands: as in Mimir and Cortex, as in old Cortex, and as in Prometheus itself. */
export const API_PREFIXES = ['/prometheus/api/v1', '/api/prom/api/v1', '/api/v1'] as const;

export interface QueryApiOptions {
  readonly tenant: TenantOptions;
  readonly timeoutMs: number;
  readonly lookbackDeltaMs: number;
  readonly formBodyBytesMax: number;
  /** Queries that take longer are logged; 0 for none. */
  readonly slowLogThresholdMs: number;
  /** `max_source_resolution` of queries that don't say. */
  readonly maxSourceResolution: string;
  readonly buildInfo: BuildInfo;
  /** The effective configuration as YAML, secrets masked. */
  readonly configYaml: () => string;
  /** Settings by the names of their flags, secrets masked. */
  readonly flags: () => Readonly<Record<string, string>>;
  /** Categories of features with their names, for the features endpoint. */
  readonly features: Readonly<Record<string, Readonly<Record<string, boolean>>>>;
}

export interface QueryApiParts extends TaskParts {
  /** Answers the queries that need no thread; without it, all go to the pool. */
  readonly local?: LocalQueries;
  readonly provider: SourceProvider;
  readonly limits: LimitsProvider;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A series without samples for this long is not active any more, as in Mimir. */
const ACTIVE_MS = 20 * 60_000;

/** How long no large answer has to end before the memory of the last ones is collected. */
const TIDY_MS = 2000;

/** One request with what every handler needs. */
interface Call {
  readonly exchange: Exchange;
  readonly tenant: string;
  readonly params: Params;
}

type Handle = (call: Call) => Promise<void>;

/** The Prometheus HTTP API for reading. Parameters are checked here; parsing and evaluation happen in query threads. */
export class QueryApi {
  readonly #options: QueryApiOptions;
  readonly #parts: QueryApiParts;
  readonly #startedMs: number;
  readonly #log: QueryLog;
  readonly #tidy = new MemoryTidy(TIDY_MS);

  constructor(options: QueryApiOptions, parts: QueryApiParts) {
    this.#options = options;
    this.#parts = parts;
    this.#startedMs = parts.clock.nowMs();
    this.#log = new QueryLog(parts.clock, parts.logger, options.slowLogThresholdMs);
  }

  /** Adds every route under every prefix. */
  mount(server: HttpServer): void {
    const both: readonly Method[] = ['GET', 'POST'];
    const get: readonly Method[] = ['GET'];
    const fixed = (data: () => string): Handle => this.#small(async () => data());
    const hidden = this.#options.tenant.multitenancy;
    const routes: (readonly [methods: readonly Method[], path: string, handle: Handle])[] = [
      [both, '/series', (call) => this.#series(call)],
      [both, '/labels', (call) => this.#labelNames(call)],
      // Prometheus itself has no POST here, but Grafana's scopes use it.
      [both, '/label/:name/values', (call) => this.#labelValues(call)],
      [both, '/format_query', (call) => this.#textTask(call, 'format')],
      [both, '/parse_query', (call) => this.#textTask(call, 'parse')],
      [both, '/query_exemplars', (call) => this.#exemplars(call)],
      [both, '/cardinality/label_names', (call) => this.#cardinality(call, 'labelNames')],
      [both, '/cardinality/label_values', (call) => this.#cardinality(call, 'labelValues')],
      [both, '/cardinality/active_series', (call) => this.#cardinality(call, 'activeSeries')],
      [get, '/series/count', this.#small(({ tenant }) => this.#seriesCount(tenant))],
      [get, '/metadata', this.#small(({ tenant, params }) => this.#metadata(tenant, params))],
      [both, '/status/buildinfo', fixed(() => buildInfoData(this.#options.buildInfo))],
      [get, '/status/runtimeinfo', fixed(() => this.#runtimeInfo(hidden))],
      [get, '/status/tsdb/blocks', this.#small(({ tenant }) => blocksData(this.#parts.provider, tenant))],
      [get, '/status/tsdb', this.#small(({ tenant, params }) => this.#tsdb(tenant, params))],
      [get, '/status/walreplay', fixed(() => WAL_REPLAY_DATA)],
      [get, '/status/active_queries', (call) => this.#activeQueries(call)],
      [get, '/status/top_queries', (call) => this.#topQueries(call)],
      [get, '/rules', (call) => this.#rules(call)],
      [get, '/alerts', fixed(() => '{"alerts":[]}')],
      [get, '/targets', this.#small(async ({ params }) => targetsData(params))],
      [get, '/targets/metadata', (call) => this.#targetsMetadata(call)],
      [get, '/scrape_pools', fixed(() => '{"scrapePools":[]}')],
      [get, '/alertmanagers', fixed(() => '{"activeAlertmanagers":[],"droppedAlertmanagers":[]}')],
      [get, '/notifications', fixed(() => '[]')],
      [get, '/features', fixed(() => stringifyHtml(this.#options.features))],
    ];
    const search: SearchParts = {
      provider: this.#parts.provider,
      limits: this.#parts.limits,
      nowMs: () => this.#parts.clock.nowMs(),
      run: (call, task, snapshot) => this.#runTask(call, task, this.#options.timeoutMs, snapshot),
    };
    for (const endpoint of SEARCH_ENDPOINTS) {
      routes.push([both, `/search/${endpoint}`, (call) => answerSearch(call, endpoint, search)]);
    }
    // Settings concern whoever runs the process: tenants of a shared one are not told (the operator has /config).
    const settings: typeof routes = [
      [get, '/status/config', fixed(() => stringifyHtml({ yaml: this.#options.configYaml() }))],
      [get, '/status/flags', (call) => this.#flags(call)],
    ];
    for (const prefix of API_PREFIXES) {
      server.hot(both, `${prefix}/query`, (exchange) => this.#serve(exchange, (call) => this.#query(call)));
      server.hot(both, `${prefix}/query_range`, (exchange) =>
        this.#serve(exchange, (call) => this.#queryRange(call)),
      );
      for (const [methods, path, handle] of hidden ? routes : [...routes, ...settings]) {
        server.route(methods, prefix + path, (exchange) => this.#serve(exchange, handle));
      }
    }
  }

  async #serve(exchange: Exchange, handle: Handle): Promise<void> {
    const tenant = tenantOfHeader(exchange.request.headers['x-scope-orgid'], this.#options.tenant);
    try {
      const form = await readForm(exchange, this.#options.formBodyBytesMax);
      await handle({ exchange, tenant, params: new Params(exchange.search, form) });
    } catch (error) {
      // Overload and oversized bodies are answered in plain text: Grafana shows other statuses' bodies as they are.
      if (error instanceof VarveError && (error.code === 'queue-full' || error.code === 'body-too-large'))
        throw error;
      if (error instanceof VarveError && error.kind === 'internal') {
        this.#parts.logger.error(
          { tenant, path: exchange.path, code: error.code, error: error.message },
          'query failed',
        );
      }
      const { status, body } = encodeError(error);
      exchange.send(status, JSON_TYPE, body);
    }
  }

  /** A handler whose answer is made here from a bit of JSON. */
  #small(data: (call: Call) => Promise<string>): Handle {
    return async (call) => {
      await call.exchange.sendCompressed(200, JSON_TYPE, encodeSuccess(await data(call)));
    };
  }

  async #query(call: Call): Promise<void> {
    const { params, tenant } = call;
    const limit = parseLimit(params);
    const timeMs = optionalTime(params, 'time', this.#parts.clock.nowMs());
    const timeoutMs = this.#timeout(params);
    const lookbackMs = parseLookback(params, this.#options.lookbackDeltaMs);
    checkTimeLeft(timeoutMs);
    const query = this.#checkedQuery(params, this.#parts.limits.of(tenant));
    await this.#evaluate(
      call,
      { query, startMs: timeMs, endMs: timeMs, stepMs: 0, lookbackMs, limit },
      timeoutMs,
    );
  }

  async #queryRange(call: Call): Promise<void> {
    const { params, tenant } = call;
    const { startMs, endMs, stepMs, limit } = parseRange(params);
    const timeoutMs = this.#timeout(params);
    const lookbackMs = parseLookback(params, this.#options.lookbackDeltaMs);
    checkTimeLeft(timeoutMs);
    const limits = this.#parts.limits.of(tenant);
    const query = this.#checkedQuery(params, limits);
    const lengthMs = endMs - startMs;
    if (limits.maxQueryLengthMs > 0 && lengthMs > limits.maxQueryLengthMs) {
      const asked = formatDuration(lengthMs);
      const allowed = formatDuration(limits.maxQueryLengthMs);
      const message = `the query time range exceeds the limit (query length: ${asked}, max_query_length: ${allowed})`;
      throw new VarveError('limit', 'query-too-long', message);
    }
    // A range query of one step must still come back as a matrix, which the engine knows by the step.
    await this.#evaluate(call, { query, startMs, endMs, stepMs, lookbackMs, limit }, timeoutMs);
  }

  async #evaluate(
    call: Call,
    request: (QueryTask & { kind: 'query' })['request'],
    timeoutMs: number,
  ): Promise<void> {
    const { local } = this.#parts;
    const maxResolutionMs = parseSourceResolution(call.params, this.#options.maxSourceResolution);
    const isConstant = local?.takesConstant(request) === true;
    const window = queryWindow(request.query, request.startMs, request.endMs, request.lookbackMs);
    const snapshot = isConstant
      ? null
      : await this.#parts.provider.snapshot(call.tenant, window.minTimeMs, window.maxTimeMs);
    const isLocal = isConstant || (snapshot !== null && isSmall(local, request, window, snapshot));
    const { withStats, perStep, notes } = parseStats(call.params);
    const limits = this.#parts.limits.of(call.tenant);
    const fetchLimits = {
      seriesMax: limits.maxFetchedSeriesPerQuery,
      chunksMax: limits.maxFetchedChunksPerQuery,
      bytesMax: limits.maxFetchedBytesPerQuery,
    };
    const answerBytesMax = limits.maxQueryResponseSize;
    const sources = snapshot?.sources ?? [];
    const what = { request: perStep ? { ...request, perStepStats: true } : request, withStats, notes };
    const reading = { maxResolutionMs, fetchLimits, answerBytesMax, sources };
    const task: QueryTask = { kind: 'query', ...what, ...reading };
    const { exchange, tenant } = call;
    const { query, startMs, endMs, stepMs } = request;
    const begunMs = this.#parts.clock.monotonicMs();
    const origin = originOf(exchange.request);
    const ended = this.#log.begin({ tenant, query, startMs, endMs, stepMs, origin });
    let answer: TaskAnswer;
    try {
      answer =
        isLocal && local !== undefined
          ? await runHere(local, task, timeoutMs, snapshot)
          : await this.#runTask(call, task, timeoutMs, snapshot);
    } catch (error) {
      ended({ status: statusOf(error), samples: 0 });
      throw error;
    }
    const { status, body, figures, reads } = answer;
    ended({ status, samples: figures?.samples ?? 0 });
    const wantsTiming = exchange.request.headers['x-mimir-response-query-stats'] === 'true';
    const headers =
      wantsTiming && figures !== null
        ? { 'Server-Timing': serverTiming(figures, reads, this.#parts.clock.monotonicMs() - begunMs) }
        : {};
    await this.#sendLarge(exchange, status, body, headers);
  }

  async #series(call: Call): Promise<void> {
    call.params.check();
    const selectors = call.params.getAll('match[]');
    if (selectors.length === 0) throw badData('no match[] parameter provided');
    const { maxSeriesQueryLimit } = this.#parts.limits.of(call.tenant);
    await this.#lookup(call, maxSeriesQueryLimit, (lookup) => ({ kind: 'series', ...lookup }));
  }

  async #labelNames(call: Call): Promise<void> {
    const { maxLabelNamesLimit } = this.#parts.limits.of(call.tenant);
    await this.#lookup(call, maxLabelNamesLimit, (lookup) => ({ kind: 'labelNames', ...lookup }));
  }

  async #labelValues(call: Call): Promise<void> {
    const name = unescapeLabelName(call.exchange.params['name'] ?? '');
    if (name === '' || !name.isWellFormed()) throw badData(`invalid label name: ${goQuote(name)}`);
    const { maxLabelValuesLimit } = this.#parts.limits.of(call.tenant);
    await this.#lookup(call, maxLabelValuesLimit, (lookup) => ({ kind: 'labelValues', name, ...lookup }));
  }

  async #lookup(call: Call, tenantLimit: number, toTask: (lookup: LookupTask) => QueryTask): Promise<void> {
    const { params, tenant } = call;
    const asked = parseLimit(params);
    const minTimeMs = optionalTime(params, 'start', TIME_MS_MIN);
    const maxTimeMs = optionalTime(params, 'end', TIME_MS_MAX);
    const limit = asked === 0 || (tenantLimit > 0 && asked > tenantLimit) ? tenantLimit : asked;
    const snapshot = await this.#parts.provider.snapshot(tenant, minTimeMs, maxTimeMs);
    const { sources } = snapshot;
    const { maxQueryResponseSize, maxFetchedBytesPerQuery } = this.#parts.limits.of(tenant);
    const budget = { answerBytesMax: maxQueryResponseSize, fetchedBytesMax: maxFetchedBytesPerQuery };
    const selectors = params.getAll('match[]');
    const task = toTask({ selectors, minTimeMs, maxTimeMs, limit, ...budget, sources });
    await this.#answerTask(call, task, this.#options.timeoutMs, snapshot);
  }

  async #cardinality(call: Call, what: CardinalityTask['what']): Promise<void> {
    const { params, tenant } = call;
    const { selector, onlyActive, limit } = parseCardinality(params);
    const labelNames = what === 'labelValues' ? parseCardinalityLabels(params) : [];
    if (what === 'activeSeries' && selector === '') throw badData("'selector' param is required");
    const isActiveOnly = onlyActive || what === 'activeSeries';
    const minTimeMs = isActiveOnly ? this.#parts.clock.nowMs() - ACTIVE_MS : TIME_MS_MIN;
    const bytesMax = this.#parts.limits.of(tenant).activeSeriesResultsMaxSizeBytes;
    const snapshot = await this.#parts.provider.snapshot(tenant, TIME_MS_MIN, TIME_MS_MAX);
    const { sources } = snapshot;
    const scope = { selector, labelNames, minTimeMs, limit, bytesMax, sources };
    const task: QueryTask = { kind: 'cardinality', what, ...scope };
    await this.#answerTask(call, task, this.#options.timeoutMs, snapshot);
  }

  async #textTask(call: Call, kind: 'format' | 'parse'): Promise<void> {
    const query = this.#checkedQuery(call.params, this.#parts.limits.of(call.tenant));
    await this.#answerTask(call, { kind, query }, this.#options.timeoutMs, null);
  }

  async #exemplars(call: Call): Promise<void> {
    const { params } = call;
    const startMs = optionalTime(params, 'start', TIME_MS_MIN);
    const endMs = optionalTime(params, 'end', TIME_MS_MAX);
    if (endMs < startMs) throw badData('end timestamp must not be before start timestamp');
    const query = this.#checkedQuery(params, this.#parts.limits.of(call.tenant));
    const answer = await this.#runTask(call, { kind: 'selectors', query }, this.#options.timeoutMs, null);
    if (answer.status !== 200) {
      call.exchange.send(answer.status, JSON_TYPE, answer.body);
      return;
    }
    const selectors = JSON.parse(Buffer.from(answer.body).toString()) as SelectorText[][];
    if (selectors.length === 0) {
      call.exchange.sendEmpty(204);
      return;
    }
    const matcherSets = selectors.map((set) =>
      set.map(([type, name, value]) => createMatcher(type, name, value)),
    );
    const found = await this.#parts.provider.exemplars(call.tenant, matcherSets, startMs, endMs);
    await call.exchange.sendCompressed(200, JSON_TYPE, await encodeExemplars(found));
  }

  /** Runs a task in a thread and sends its bytes. */
  async #answerTask(
    call: Call,
    task: QueryTask,
    timeoutMs: number,
    snapshot: SourceSnapshot | null,
  ): Promise<void> {
    const { status, body } = await this.#runTask(call, task, timeoutMs, snapshot);
    await this.#sendLarge(call.exchange, status, body);
  }

  /** Sends what may be hundreds of megabytes, whose memory is then soon given back. */
  async #sendLarge(
    exchange: Exchange,
    status: number,
    body: Uint8Array,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    exchange.response.once('close', () => this.#tidy.note(body.byteLength));
    await exchange.sendCompressed(status, JSON_TYPE, body, headers);
  }

  #runTask(
    { exchange, tenant }: Call,
    task: QueryTask,
    timeoutMs: number,
    snapshot: SourceSnapshot | null,
  ): Promise<TaskAnswer> {
    return runTask(this.#parts, exchange, tenant, task, timeoutMs, snapshot);
  }

  async #activeQueries({ exchange, tenant }: Call): Promise<void> {
    await exchange.sendCompressed(200, JSON_TYPE, this.#log.activeJson(tenant));
  }

  async #topQueries({ exchange, tenant, params }: Call): Promise<void> {
    const { topN, maxLifetimeMs } = parseTopQueries(params);
    await exchange.sendCompressed(200, JSON_TYPE, this.#log.topJson(tenant, topN, maxLifetimeMs));
  }

  /** A client may ask for less time than configured, not for more. */
  #timeout(params: Params): number {
    return Math.max(
      0,
      Math.min(this.#options.timeoutMs, optionalDuration(params, 'timeout', this.#options.timeoutMs)),
    );
  }

  #checkedQuery(params: Params, limits: Limits): string {
    const query = params.get('query');
    const bytesMax = limits.maxQueryExpressionSizeBytes;
    if (bytesMax > 0 && query.length > bytesMax / 3 && Buffer.byteLength(query) > bytesMax) {
      const message = `the query text has ${Buffer.byteLength(query)} bytes, max_query_expression_size_bytes: ${bytesMax}`;
      throw new VarveError('limit', 'query-text-too-large', message);
    }
    return query;
  }

  async #metadata(tenant: string, params: Params): Promise<string> {
    return metadataData(await this.#parts.provider.metadata(tenant), params);
  }

  /** The series in memory, as VictoriaMetrics tells them. */
  async #seriesCount(tenant: string): Promise<string> {
    return `[${(await this.#parts.provider.headStats(tenant, 0)).seriesCount}]`;
  }

  async #tsdb(tenant: string, params: Params): Promise<string> {
    const limit = parseTsdbLimit(params);
    return tsdbData(await this.#parts.provider.headStats(tenant, limit), limit);
  }

  #runtimeInfo(isHidden: boolean): string {
    const host = isHidden ? NO_HOST : thisHost();
    return runtimeInfoData(this.#startedMs, this.#parts.clock.nowMs(), availableParallelism(), '', host);
  }

  /** Grafana takes whoever answers this beside buildinfo for Thanos, so it gets what a server without it says. */
  async #flags({ exchange }: Call): Promise<void> {
    if (/^grafana/i.test(exchange.request.headers['user-agent'] ?? '')) {
      exchange.sendText(404, '404 page not found');
      return;
    }
    await exchange.sendCompressed(200, JSON_TYPE, encodeSuccess(stringifyHtml(this.#options.flags())));
  }

  async #rules(call: Call): Promise<void> {
    call.params.check();
    const selectors = call.params.getAll('match[]');
    if (selectors.length > 0 && !(await this.#areSelectors(call, selectors, 'match[]'))) return;
    await call.exchange.sendCompressed(200, JSON_TYPE, encodeSuccess(rulesData(call.params)));
  }

  async #targetsMetadata(call: Call): Promise<void> {
    const data = targetsMetadataData(call.params);
    const selector = call.params.get('match_target');
    if (selector !== '' && !(await this.#areSelectors(call, [selector], 'match_target'))) return;
    await call.exchange.sendCompressed(200, JSON_TYPE, encodeSuccess(data));
  }

  /** Whether the texts are selectors; sends what is wrong with them if not. */
  async #areSelectors(call: Call, selectors: readonly string[], parameter: string): Promise<boolean> {
    const task: QueryTask = { kind: 'checkSelectors', selectors, parameter };
    const { status, body } = await this.#runTask(call, task, this.#options.timeoutMs, null);
    if (status !== 200) call.exchange.send(status, JSON_TYPE, body);
    return status === 200;
  }
}

function isSmall(
  local: LocalQueries | undefined,
  request: (QueryTask & { kind: 'query' })['request'],
  window: TimeWindow,
  snapshot: SourceSnapshot,
): boolean {
  try {
    return local?.takes(request, window, snapshot) === true;
  } catch (error) {
    snapshot.release();
    throw error;
  }
}

async function runHere(
  local: LocalQueries,
  task: QueryTask,
  timeoutMs: number,
  snapshot: SourceSnapshot | null,
): Promise<TaskAnswer> {
  try {
    return await local.run(task, timeoutMs);
  } finally {
    snapshot?.release();
  }
}

/** What a query cost, as Mimir says it in this header; times in ms. */
function serverTiming(
  { samples, queuedSeconds, evalSeconds }: QueryFigures,
  reads: BlockReads | null,
  responseMs: number,
): string {
  const kinds = Object.values(reads ?? {});
  const fetched = (of: 'requests' | 'bytes') => kinds.reduce((sum, counts) => sum + counts[of], 0);
  return [
    `querier_wall_time;dur=${evalSeconds * 1000}`,
    `response_time;dur=${responseMs}`,
    `queue_time;dur=${queuedSeconds * 1000}`,
    `samples_processed;val=${samples}`,
    `bucket_requests;val=${fetched('requests')}`,
    `bucket_bytes;val=${fetched('bytes')}`,
  ].join(', ');
}

const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(;|$)/i;

/** The form body of a POST, or ''. */
async function readForm({ request }: Exchange, bytesMax: number): Promise<string> {
  if (request.method !== 'POST' || !FORM_TYPE.test(request.headers['content-type'] ?? '')) return '';
  const { chunks } = await readBody(request, bytesMax);
  return chunks.length === 1 ? Buffer.from(chunks[0]!).toString() : Buffer.concat(chunks).toString();
}
