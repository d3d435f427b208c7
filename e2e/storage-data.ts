import { closeTo, keyOf, type Labels, query } from './answers.js';
import { makeApiSeries } from './api-data.js';
import { compress, encodeRequest, pushBody, type WireSeries } from './wire.js';

/** Samples, queries and comparisons of the suites about blocks: days of data that a Prometheus and a Varve both get. */

/**
 * Time that one request carries. Its samples come series by series, so that each series but the first begins so much
 * behind the newest sample, which must not be too late.
 */
const REQUEST_MS = 3_000_000;

export interface Dataset {
  readonly startMs: number;
  readonly stepMs: number;
  readonly rounds: number;
  /** Time of the last round. */
  readonly endMs: number;
  /** Counters, gauges, odd values, a series that ends, and native histograms of each kind. */
  readonly series: readonly WireSeries[];
}

export function makeDataset(startMs: number, stepMs: number, rounds: number): Dataset {
  const series = makeApiSeries(startMs, stepMs, rounds);
  return { startMs, stepMs, rounds, endMs: startMs + (rounds - 1) * stepMs, series };
}

/** Pushes rounds in the order of time, some minutes or hours in each request. @throws unless each is accepted */
export async function pushRounds(
  urls: readonly string[],
  { series, stepMs }: Dataset,
  first: number,
  end: number,
): Promise<void> {
  const rounds = Math.floor(REQUEST_MS / stepMs);
  for (let from = first; from < end; from += rounds) {
    const to = Math.min(from + rounds, end);
    const part = series.map((one) => ({
      labels: one.labels,
      ...(one.samples === undefined ? {} : { samples: one.samples.slice(from, to) }),
      ...(one.histograms === undefined ? {} : { histograms: one.histograms.slice(from, to) }),
    }));
    const body = compress(encodeRequest(part));
    await Promise.all(
      urls.map(async (url) => {
        const { status, text } = await pushBody(url, body);
        if (Math.floor(status / 100) !== 2) throw new Error(`${url}: ${status} ${text}`);
      }),
    );
  }
}

/** Query text with the parameters of an instant or a range query. */
export type StorageQuery = readonly [text: string, parameters: Readonly<Record<string, string>>];

const RANGE_QUERIES = [
  '{__name__=~".+", job="api"}',
  'requests_total',
  'sum by (job) (rate(requests_total[10m]))',
  'increase(requests_total{code=~"5.."}[1h])',
  'max_over_time(temperature_celsius[30m]) - min_over_time(temperature_celsius[30m])',
  'histogram_quantile(0.9, sum by (le) (rate(latency_seconds_bucket[15m])))',
  'count_over_time(requests_total[47m]) + count_over_time(requests_total[9m] offset 2h)',
  'special_value{kind=~"huge|tiny|stale"}',
  'resets(requests_total[1h]) + changes(requests_total[1h])',
  'native_seconds',
  'histogram_quantile(0.5, rate(native_seconds[20m]))',
  'sum(histogram_count(native_seconds)) + sum(histogram_sum(native_seconds))',
  'avg_over_time(temperature_celsius[2h:7m])',
  'sum(up offset 3h) / count(up)',
];

/** Range queries over the whole time and its parts, and every raw sample. */
export function queriesOf({ startMs, endMs }: Dataset): StorageQuery[] {
  const seconds = (ms: number) => (ms / 1000).toFixed(3);
  const span = endMs - startMs;
  const range = (text: string, fromMs: number, toMs: number, steps: number): StorageQuery => {
    const step = Math.max(1, Math.floor((toMs - fromMs) / steps / 1000));
    return [text, { start: seconds(fromMs), end: seconds(toMs), step: String(step) }];
  };
  return [
    ...RANGE_QUERIES.map((text) => range(text, startMs, endMs, 220)),
    ...RANGE_QUERIES.slice(0, 4).map((text) => range(text, startMs + span * 0.3, startMs + span * 0.4, 90)),
    [`{__name__=~".+"}[${span + 1}ms]`, { time: seconds(endMs) }],
    ['{__name__=~".+"}', { time: seconds(startMs + span / 3 + 12_345) }],
    ['topk(3, requests_total)', { time: seconds(startMs + span / 2) }],
    ['count({__name__=~".+"}) by (__name__)', { time: seconds(startMs + span / 5) }],
  ];
}

/** An answer without its envelope, by label set. */
export type Answer = ReadonlyMap<string, unknown>;

export async function ask(
  api: string,
  [text, parameters]: StorageQuery,
  more: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const path = 'start' in parameters ? 'query_range' : 'query';
  const { result } = await query(api, path, { query: text, ...parameters, ...more });
  return answerOf(result);
}

/** The series of a vector or a matrix by label set. */
export function answerOf(result: unknown): Answer {
  return new Map((result as { metric: Labels }[]).map(({ metric, ...values }) => [keyOf(metric), values]));
}

/** The first place at which an answer differs from the expected one; null when it does not. */
export function difference(found: Answer, wanted: Answer): string | null {
  for (const [key, values] of wanted) {
    const other = found.get(key);
    if (other === undefined) return `${key} is missing`;
    const inside = innerDifference(other, values, '');
    if (inside !== null) return `${key}${inside}`;
  }
  for (const key of found.keys()) if (!wanted.has(key)) return `${key} should not be there`;
  return null;
}

function innerDifference(found: unknown, wanted: unknown, path: string): string | null {
  if (typeof found === 'object' && typeof wanted === 'object' && found !== null && wanted !== null) {
    const [a, b] = [found as Record<string, unknown>, wanted as Record<string, unknown>];
    if (Array.isArray(found) && Array.isArray(wanted) && found.length !== wanted.length) {
      return `${path}: ${found.length} instead of ${wanted.length}`;
    }
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const inside = innerDifference(a[key], b[key], `${path} ${key}`);
      if (inside !== null) return inside;
    }
    return null;
  }
  // Sums depend on the order of their terms in the last digits.
  if (typeof found === 'string' && typeof wanted === 'string' && closeTo(wanted, found, 1e-11)) return null;
  return found === wanted ? null : `${path}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`;
}

/** What Prometheus answers to each query. @throws when one of the answers is empty */
export async function askAll(api: string, queries: readonly StorageQuery[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const one of queries) {
    const answer = await ask(api, one);
    if (answer.size === 0) throw new Error(`no answer to ${one[0]}: the comparison would prove nothing`);
    answers.push(answer);
  }
  return answers;
}

/** Says of each query where its answer differs. */
export async function differencesOf(
  api: string,
  queries: readonly StorageQuery[],
  expected: readonly Answer[],
  more: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const found: string[] = [];
  for (const [i, one] of queries.entries()) {
    const where = difference(await ask(api, one, more), expected[i]!);
    if (where !== null) found.push(`${one[0]}: ${where}`);
  }
  return found;
}
