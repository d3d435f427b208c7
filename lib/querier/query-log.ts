import type { IncomingMessage } from 'node:http';
import type { Clock } from '../clock/index.js';
import { formatDuration } from '../settings/index.js';
import type { Logger } from '../telemetry/index.js';
import { stringifyHtml } from './json-bytes.js';

/** What is known of a query before it runs. */
export interface QueryFacts {
  readonly tenant: string;
  readonly query: string;
  readonly startMs: number;
  readonly endMs: number;
  /** 0 for instant queries. */
  readonly stepMs: number;
  readonly origin: QueryOrigin;
}

/** Who asks, as far as the request says; '' where it doesn't. */
export interface QueryOrigin {
  readonly remoteAddress: string;
  readonly dashboardUid: string;
  readonly panelId: string;
  readonly grafanaUser: string;
}

/** How a query ended. */
export interface QueryOutcome {
  /** Status of the HTTP answer. */
  readonly status: number;
  /** Samples read, over all steps; 0 when the query did not get to its end. */
  readonly samples: number;
}

/** Queries kept for the statistics, as in VictoriaMetrics. */
const KEPT_QUERIES_MAX = 20_000;
/** Characters of their texts together: long texts leave room for fewer queries. */
const KEPT_TEXT_MAX = 16_000_000;
/** Shorter queries do not count. */
const KEPT_DURATION_MS_MIN = 1;
/** Longest query text in a log line. */
const LOGGED_TEXT_MAX = 4096;
const HEADER_TEXT_MAX = 200;

interface Running {
  readonly id: number;
  readonly facts: QueryFacts;
  readonly begunMs: number;
}

interface Finished {
  readonly facts: QueryFacts;
  readonly endedMs: number;
  readonly durationMs: number;
  readonly samples: number;
}

/** Sums over the finished queries with one text and one length of time range. */
interface Group {
  readonly query: string;
  readonly timeRangeSeconds: number;
  readonly last: Finished;
  count: number;
  durationMs: number;
  samples: number;
}

/** Queries that run now and those that ran lately; logs the slow ones. A tenant is told of its own only. */
export class QueryLog {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #slowMs: number;
  readonly #running = new Map<number, Running>();
  /** In order of their end; those before `#first` are forgotten. */
  #finished: Finished[] = [];
  #first = 0;
  #textLength = 0;
  #nextId = 1;

  /** @param slowMs queries that take longer are logged; 0 for none */
  constructor(clock: Clock, logger: Logger, slowMs: number) {
    this.#clock = clock;
    this.#logger = logger;
    this.#slowMs = slowMs;
  }

  /** Notes that a query begins; the answer is to be called once when it has ended. */
  begin(facts: QueryFacts): (outcome: QueryOutcome) => void {
    const running: Running = { id: this.#nextId++, facts, begunMs: this.#clock.monotonicMs() };
    this.#running.set(running.id, running);
    return (outcome) => this.#end(running, outcome);
  }

  /** Answer of status/active_queries: the tenant's running queries, the longest running first. */
  activeJson(tenant: string): string {
    const nowMs = this.#clock.monotonicMs();
    const shown: object[] = [];
    for (const { id, facts, begunMs } of this.#running.values()) {
      if (facts.tenant !== tenant) continue;
      shown.push({
        duration: `${((nowMs - begunMs) / 1000).toFixed(3)}s`,
        id: id.toString(16).toUpperCase().padStart(16, '0'),
        remote_addr: facts.origin.remoteAddress,
        query: facts.query,
        start: facts.startMs,
        end: facts.endMs,
        step: facts.stepMs,
        tenant,
        ...grafanaFields(facts.origin),
      });
    }
    return `{"status":"ok","data":${stringifyHtml(shown)}}`;
  }

  /** Answer of status/top_queries: the tenant's queries that ended in the last `maxLifetimeMs`, by four measures. */
  topJson(tenant: string, topN: number, maxLifetimeMs: number): string {
    const groups = this.#groups(tenant, this.#clock.monotonicMs() - maxLifetimeMs);
    const list = (measure: (group: Group) => number, fields: (group: Group) => object) =>
      groups
        .toSorted((a, b) => measure(b) - measure(a))
        .slice(0, topN)
        .map((group) => ({
          query: group.query,
          timeRangeSeconds: group.timeRangeSeconds,
          ...fields(group),
          count: group.count,
          tenant,
          ...grafanaFields(group.last.facts.origin),
        }));
    return stringifyHtml({
      topN: String(topN),
      maxLifetime: formatDuration(maxLifetimeMs),
      'search.queryStats.lastQueriesCount': KEPT_QUERIES_MAX,
      'search.queryStats.minQueryDuration': `${KEPT_DURATION_MS_MIN}ms`,
      topByCount: list(
        ({ count }) => count,
        () => ({}),
      ),
      topByAvgDuration: list(
        ({ durationMs, count }) => durationMs / count,
        ({ durationMs, count }) => ({ avgDurationSeconds: seconds(durationMs / count) }),
      ),
      topBySumDuration: list(
        ({ durationMs }) => durationMs,
        ({ durationMs }) => ({ sumDurationSeconds: seconds(durationMs) }),
      ),
      topBySumSamples: list(
        ({ samples }) => samples,
        ({ samples }) => ({ sumSamples: samples }),
      ),
    });
  }

  #groups(tenant: string, sinceMs: number): Group[] {
    const groups = new Map<string, Group>();
    for (let i = this.#finished.length - 1; i >= this.#first; i--) {
      const last = this.#finished[i]!;
      if (last.endedMs < sinceMs) break;
      const { facts, durationMs, samples } = last;
      if (facts.tenant !== tenant) continue;
      const timeRangeSeconds = Math.trunc((facts.endMs - facts.startMs) / 1000);
      const key = `${timeRangeSeconds} ${facts.query}`;
      const group = groups.get(key);
      if (group === undefined) {
        groups.set(key, { query: facts.query, timeRangeSeconds, last, count: 1, durationMs, samples });
      } else {
        group.count++;
        group.durationMs += durationMs;
        group.samples += samples;
      }
    }
    return [...groups.values()];
  }

  #end({ id, facts, begunMs }: Running, { status, samples }: QueryOutcome): void {
    if (!this.#running.delete(id)) return;
    const endedMs = this.#clock.monotonicMs();
    const durationMs = endedMs - begunMs;
    if (durationMs >= KEPT_DURATION_MS_MIN) this.#keep({ facts, endedMs, durationMs, samples });
    if (this.#slowMs === 0 || durationMs < this.#slowMs) return;
    const { tenant, query, startMs, endMs, stepMs, origin } = facts;
    this.#logger.warn(
      {
        tenant,
        query: query.length > LOGGED_TEXT_MAX ? `${query.slice(0, LOGGED_TEXT_MAX)}…` : query,
        startMs,
        endMs,
        stepMs,
        seconds: seconds(durationMs),
        samples,
        status,
        remoteAddress: origin.remoteAddress,
        ...grafanaFields(origin),
      },
      'slow query',
    );
  }

  #keep(query: Finished): void {
    this.#finished.push(query);
    this.#textLength += query.facts.query.length;
    while (
      this.#finished.length - this.#first > KEPT_QUERIES_MAX ||
      (this.#textLength > KEPT_TEXT_MAX && this.#first < this.#finished.length - 1)
    ) {
      this.#textLength -= this.#finished[this.#first]!.facts.query.length;
      this.#first++;
    }
    if (this.#first * 2 > this.#finished.length) {
      this.#finished = this.#finished.slice(this.#first);
      this.#first = 0;
    }
  }
}

/** Who asks, from a request's connection and the headers that Grafana adds. */
export function originOf(request: IncomingMessage): QueryOrigin {
  const { remoteAddress = '', remotePort = 0 } = request.socket;
  const header = (name: string) => String(request.headers[name] ?? '').slice(0, HEADER_TEXT_MAX);
  return {
    remoteAddress: remoteAddress.includes(':')
      ? `[${remoteAddress}]:${remotePort}`
      : `${remoteAddress}:${remotePort}`,
    dashboardUid: header('x-dashboard-uid'),
    panelId: header('x-panel-id'),
    grafanaUser: header('x-grafana-user'),
  };
}

/** Only what the request said. */
function grafanaFields({ dashboardUid, panelId, grafanaUser }: QueryOrigin): Record<string, string> {
  return {
    ...(dashboardUid === '' ? {} : { dashboardUid }),
    ...(panelId === '' ? {} : { panelId }),
    ...(grafanaUser === '' ? {} : { grafanaUser }),
  };
}

function seconds(ms: number): number {
  return Number((ms / 1000).toFixed(3));
}
