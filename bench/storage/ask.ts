import type { Varve } from '../../e2e/varve.js';
import { DAY_MS, HOUR_MS, type Setup } from './setup.js';

/** `auto` lets the server choose the level, `0s` keeps it to raw samples. */
export type Mode = 'auto' | '0s';

/** The answer to a range query, and what it cost. */
export interface Answer {
  /** Values by series, as JSON of its labels, and by step in seconds. */
  readonly series: ReadonlyMap<string, ReadonlyMap<number, number>>;
  /** Until the last byte. */
  readonly ms: number;
  readonly requests: number;
  readonly bytes: number;
  readonly infos: readonly string[];
}

interface MatrixReply {
  readonly data: { readonly result: readonly { metric: unknown; values: [number, string][] }[] };
  readonly infos?: readonly string[];
}

/** The whole time of the samples at a step of an hour, with start and end on multiples of it as Grafana sends them. */
export async function ask(varve: Varve, setup: Setup, query: string, mode: Mode): Promise<Answer> {
  const params = new URLSearchParams({
    query,
    start: String((setup.endMs - setup.days * DAY_MS + HOUR_MS) / 1000),
    end: String(setup.endMs / 1000),
    step: String(HOUR_MS / 1000),
    max_source_resolution: mode,
  });
  const startedMs = performance.now();
  const response = await fetch(`${varve.api}/query_range?${params}`, {
    headers: { 'x-mimir-response-query-stats': 'true' },
  });
  const text = await response.text();
  const ms = performance.now() - startedMs;
  if (!response.ok) throw new Error(`${query}: ${response.status} ${text.slice(0, 300)}`);
  const timing = response.headers.get('server-timing') ?? '';
  const figure = (name: string) => Number(new RegExp(`${name};val=(\\d+)`).exec(timing)?.[1] ?? Number.NaN);
  const { data, infos } = JSON.parse(text) as MatrixReply;
  const series = new Map(
    data.result.map(({ metric, values }) => [
      JSON.stringify(metric),
      new Map(values.map(([time, value]) => [time, Number(value)])),
    ]),
  );
  return {
    series,
    ms,
    requests: figure('bucket_requests'),
    bytes: figure('bucket_bytes'),
    infos: infos ?? [],
  };
}
