import { hostname } from 'node:os';
import { badData } from './api-error.js';
import { parseGoInt } from './go-text.js';
import { stringifyHtml } from './json-bytes.js';
import { optionalDuration, type Params } from './params.js';
import type { HeadStats, MetricMetadata, NamedCount } from './sources.js';

/** Answers of the status endpoints: small, made on the main thread. */

export interface BuildInfo {
  /** `Varve`, or what an operator wants Grafana to see. */
  readonly application: string;
  readonly version: string;
  readonly revision: string;
  readonly branch: string;
  readonly buildDate: string;
  readonly repository: string;
  /** Grafana reads these as strings: `"true"`. */
  readonly features: Readonly<Record<string, string>>;
}

/** Data of status/buildinfo; Grafana decides by it what it may ask (docs/http-api.md). */
export function buildInfoData(info: BuildInfo): string {
  const { application, version, revision, branch, buildDate, repository, features } = info;
  return stringifyHtml({
    application,
    version,
    revision,
    branch,
    buildUser: '',
    buildDate,
    goVersion: '',
    repository,
    features,
  });
}

/** Where a process runs. */
export interface HostFacts {
  readonly folder: string;
  readonly name: string;
}

/** What tenants of a shared process are told. */
export const NO_HOST: HostFacts = { folder: '', name: '' };

export function thisHost(): HostFacts {
  return { folder: process.cwd(), name: hostname() };
}

/** Data of status/runtimeinfo. */
export function runtimeInfoData(
  startedMs: number,
  nowMs: number,
  cores: number,
  retention: string,
  host: HostFacts,
): string {
  return stringifyHtml({
    startTime: new Date(startedMs).toISOString(),
    CWD: host.folder,
    hostname: host.name,
    serverTime: new Date(nowMs).toISOString(),
    reloadConfigSuccess: true,
    lastConfigTime: new Date(startedMs).toISOString(),
    corruptionCount: 0,
    goroutineCount: 0,
    GOMAXPROCS: cores,
    GOMEMLIMIT: 0,
    GOGC: '',
    GODEBUG: '',
    storageRetention: retention,
  });
}

/** Data of status/walreplay: a process that answers has replayed. */
export const WAL_REPLAY_DATA = '{"min":0,"max":0,"current":0}';

const TSDB_LIMIT_DEFAULT = 10;
const TSDB_LIMIT_MAX = 10_000;

/** `limit` of status/tsdb. */
export function parseTsdbLimit(params: Params): number {
  const text = params.get('limit');
  if (text === '') return TSDB_LIMIT_DEFAULT;
  const limit = parseGoInt(text);
  if (typeof limit === 'string' || limit < 1) throw badData('limit must be a positive number');
  if (limit > TSDB_LIMIT_MAX) throw badData(`limit must not exceed ${TSDB_LIMIT_MAX}`);
  return limit;
}

/** Parameters of status/top_queries, with VictoriaMetrics' names and defaults. */
export function parseTopQueries(params: Params): {
  readonly topN: number;
  readonly maxLifetimeMs: number;
} {
  const topN = countParameter(params, 'topN');
  const maxLifetimeMs = Math.trunc(optionalDuration(params, 'maxLifetime', TOP_LIFETIME_MS));
  if (maxLifetimeMs < 0) throw badData('maxLifetime must not be negative');
  return { topN: topN < 0 ? TOP_QUERIES : topN, maxLifetimeMs };
}

const TOP_QUERIES = 20;
const TOP_LIFETIME_MS = 600_000;

/** Data of status/tsdb. An empty head has Prometheus' sentinels as bounds, which JSON numbers of ours can't hold. */
export function tsdbData(stats: HeadStats, limit: number): string {
  const minTime = stats.minTimeMs === null ? '9223372036854775807' : String(stats.minTimeMs);
  const maxTime = stats.maxTimeMs === null ? '-9223372036854775808' : String(stats.maxTimeMs);
  const list = (counts: readonly NamedCount[]) =>
    stringifyHtml(counts.slice(0, limit).map(({ name, value }) => ({ name, value })));
  return (
    `{"headStats":{"numSeries":${stats.seriesCount},"numLabelPairs":${stats.labelPairCount},` +
    `"chunkCount":${stats.chunkCount},"minTime":${minTime},"maxTime":${maxTime}},` +
    `"seriesCountByMetricName":${list(stats.seriesCountByMetricName)},` +
    `"labelValueCountByLabelName":${list(stats.labelValueCountByLabelName)},` +
    `"memoryInBytesByLabelName":${list(stats.memoryInBytesByLabelName)},` +
    `"seriesCountByLabelValuePair":${list(stats.seriesCountByLabelValuePair)}}`
  );
}

/** Data of the metadata endpoint: metric name to its entries, cut by `limit`, `limit_per_metric` and `metric`. */
export function metadataData(all: ReadonlyMap<string, readonly MetricMetadata[]>, params: Params): string {
  const limit = countParameter(params, 'limit');
  const limitPerMetric = countParameter(params, 'limit_per_metric');
  const wanted = params.get('metric');
  const found: string[] = [];
  const names = wanted === '' ? [...all.keys()].sort() : [wanted].filter((name) => all.has(name));
  for (const name of names) {
    if (limit >= 0 && found.length >= limit) break;
    const entries = all.get(name)!;
    const shown = limitPerMetric > 0 ? entries.slice(0, limitPerMetric) : entries;
    const list = shown.map(({ type, help, unit }) => ({ type, help, unit }));
    found.push(`${stringifyHtml(name)}:${stringifyHtml(list)}`);
  }
  return `{${found.join(',')}}`;
}

function countParameter(params: Params, name: string): number {
  const text = params.get(name);
  if (text === '') return -1;
  const count = parseGoInt(text);
  if (typeof count === 'string') throw badData(`${name} must be a number`);
  return count;
}
