import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { call } from './answers.js';
import { makeApiSeries } from './api-data.js';
import { havePeers, type Server, startPrometheus } from './peers.js';
import { stopAll } from './processes.js';
import { startVarve, type Varve } from './varve.js';
import { bytesField, doubleField, pushSeries, varint, varintField, type WireSeries, zigzag } from './wire.js';

/** The samples that a query reads, in all and for each of its steps, as a Prometheus with the same samples counts them. */

const STEP_MS = 15_000;
const ROUNDS = 80;
const END_MS = Math.floor(Date.now() / STEP_MS) * STEP_MS;
const START_MS = END_MS - (ROUNDS - 1) * STEP_MS;

/** `MIDDLE` stands for the middle of the data, in unix seconds. */
const QUERIES = [
  // constants
  '1',
  'time()',
  'vector(1)',
  // selectors, modifiers
  'up',
  'nothing',
  'gapped',
  'special_value',
  'up offset 7m',
  'up offset -3m',
  'up @ MIDDLE',
  'up @ start() + up @ end()',
  'sum(up @ MIDDLE) + up',
  '{__name__=~".+"}',
  'timestamp(gapped)',
  'timestamp(up @ MIDDLE)',
  'timestamp(latency)',
  // range functions
  'rate(requests_total[1m])',
  'increase(requests_total[100s] offset 1m)',
  'irate(gapped[2m])',
  'count_over_time(gapped[1m])',
  'quantile_over_time(0.5, temperature_celsius[3m])',
  'predict_linear(temperature_celsius[5m], 60)',
  'last_over_time(special_value[40s])',
  'rate(requests_total[5m] @ MIDDLE)',
  'rate(requests_total[5m] @ end()) / rate(requests_total[1m])',
  'absent(nothing)',
  'absent_over_time(gapped[30s])',
  // aggregations and operators
  'sum by (job) (rate(requests_total[2m]))',
  'topk(2, requests_total)',
  'topk(0, requests_total)',
  'topk(scalar(count(up) or vector(1)), requests_total)',
  'quantile(scalar(up{job="api"}), requests_total)',
  'limitk(1, up)',
  'count_values("v", up)',
  'requests_total > 5 and on (job) up == 1',
  'up or gapped',
  'up unless nothing',
  'up + up',
  'rate(requests_total[1m]) + rate(requests_total[1m])',
  'scalar(up{job="db"}) * scalar(up{job="db"})',
  'nothing + up',
  'up and nothing',
  'histogram_quantile(0.9, sum by (le) (rate(latency_seconds_bucket[1m])))',
  'label_replace(up, "a", "b", "job", "(.*)")',
  'clamp_max(up, scalar(sum(up)))',
  // subqueries
  'max_over_time(up[2m:30s])',
  'sum_over_time(rate(requests_total[1m])[3m:15s])',
  'count_over_time(gapped[2m:10s] offset 1m)',
  'max_over_time(sum(up)[2m:20s] @ MIDDLE)',
  'max_over_time((up @ MIDDLE)[2m:20s])',
  'max_over_time(rate(requests_total[1m])[2m:15s]) + rate(requests_total[1m])',
  'max_over_time(max_over_time(up[1m:15s])[2m:30s])',
  'avg_over_time(sum(rate(latency[1m]))[2m:20s])',
  'count_over_time(latency[2m:20s])',
  'absent_over_time(up[1m:15s])',
  // native histograms
  'latency',
  'latency @ MIDDLE',
  'mixed',
  'rate(latency[2m])',
  'rate(latency[2m] @ MIDDLE)',
  'sum(rate(latency[1m] offset 1m))',
  'histogram_count(latency)',
  'histogram_sum(rate(latency[1m]))',
  'histogram_quantile(0.9, sum(latency))',
  'count_over_time(mixed[1m])',
  'sum_over_time(mixed[30s])',
  'max_over_time(mixed[2m])',
  'latency + latency',
  'timestamp(mixed)',
  'mixed * 2 + on (job) up',
  'histogram_count(up)',
  'info(up)',
  'max_over_time(info(up)[1m:15s])',
  'info(nothing)',
  'sum(up) / requests_total',
  'up{job="api"} + on (job) up{job="web"}',
  'group_left_is_no_name or up * on (job) group_right () requests_total',
  'label_join(up, "a", "-", "job") and on (job) rate(gapped[1m])',
  'sort_by_label(up, "job")',
  'min_over_time(up[1m]) > bool 0',
  'changes(up[3m]) unless on (job) up{job="web"}',
  'hour()',
  'hour(up)',
  '-up',
  'round(up, 0.5)',
  'clamp(up, 2, 1)',
  'quantile_over_time(scalar(up{job="db"}), up[1m])',
  'stddev_over_time(requests_total[2m:7s] offset 30s)',
  'double_exponential_smoothing(up[2m], 0.5, 0.5)',
  'limit_ratio(0.5, requests_total)',
  'limit_ratio(0, requests_total)',
  'histogram_fraction(0, 1, rate(latency[1m]))',
  'histogram_avg(mixed)',
  'absent(sum(up))',
  'up offset 1m @ MIDDLE',
  'rate(gapped[1m] offset -1m)',
  'sum(up) + sum(up) * scalar(sum(up))',
];

const INSTANT_ONLY = ['up[2m]', 'latency[2m]', 'mixed[2m]', 'up[2m:15s]', '(up @ MIDDLE)[2m:15s]', '"text"'];

const FORMS = [
  { what: 'instant', path: 'query', more: { time: String(END_MS / 1000) } },
  { what: 'instant between samples', path: 'query', more: { time: String((END_MS - 590_500) / 1000) } },
  { what: 'range', path: 'query_range', more: range(START_MS - 60_000, END_MS + 400_000, 45) },
  { what: 'range of odd steps', path: 'query_range', more: range(START_MS + 1234, END_MS, 7.3) },
  { what: 'range of one step', path: 'query_range', more: range(END_MS, END_MS, 15) },
] as const;

function range(startMs: number, endMs: number, step: number): Record<string, string> {
  return { start: String(startMs / 1000), end: String(endMs / 1000), step: String(step) };
}

const suite = havePeers('prometheus') ? describe : describe.skip;

suite('statistics of queries', () => {
  let prometheus: Server;
  let varve: Varve;

  beforeAll(async () => {
    const features = 'native-histograms,promql-per-step-stats,promql-experimental-functions';
    [prometheus, varve] = await Promise.all([
      startPrometheus({ args: [`--enable-feature=${features}`] }),
      startVarve({ args: ['--enable-feature=promql-experimental-functions'] }),
    ]);
    const series = [...makeApiSeries(START_MS, STEP_MS, ROUNDS), ...makeMoreSeries()];
    for (const url of [`${prometheus.url}/api/v1/write`, varve.pushUrl]) {
      expect(await pushSeries(url, series)).toEqual({ status: expect.any(Number), text: '' });
    }
  });
  afterAll(stopAll);

  const cases = FORMS.flatMap(({ what, path, more }) => {
    const queries = path === 'query' ? [...QUERIES, ...INSTANT_ONLY] : QUERIES;
    return queries.map((query) => ({ what: `${what}: ${query}`, path, query, more }));
  });

  test.each(cases)('$what', async ({ path, query, more }) => {
    const middle = String((START_MS + Math.floor(ROUNDS / 2) * STEP_MS) / 1000);
    const parameters = { ...more, query: query.replaceAll('MIDDLE', middle), stats: 'all' };
    const [wanted, found] = [
      await samplesOf(prometheus.api, path, parameters),
      await samplesOf(varve.api, path, parameters),
    ];
    expect(found).toEqual(wanted);
    const { totalQueryableSamples: total, totalQueryableSamplesPerStep: perStep } = found;
    expect(perStep.reduce((sum, [, count]) => sum + count, 0)).toBe(total);
  });

  test('the samples of each step are told only when asked for', async () => {
    for (const { api } of [prometheus, varve]) {
      const { data } = await answer(api, 'query', { query: 'up', stats: 'true' });
      const totals = ['totalQueryableSamples', 'peakSamples'];
      expect(Object.keys(data.stats.samples)).toEqual(totals);
      const all = await answer(api, 'query', { query: 'up', stats: 'all' });
      expect(Object.keys(all.data.stats.samples)).toEqual(['totalQueryableSamplesPerStep', ...totals]);
    }
  });
});

interface Samples {
  readonly totalQueryableSamples: number;
  readonly totalQueryableSamplesPerStep: [number, number][];
}

async function answer(
  api: string,
  path: string,
  parameters: Readonly<Record<string, string>>,
): Promise<{ data: { stats: { samples: Samples } } }> {
  const { body } = await call(api, path, parameters, 'POST');
  expect(body).toMatchObject({ status: 'success' });
  return body as never;
}

async function samplesOf(
  api: string,
  path: string,
  parameters: Readonly<Record<string, string>>,
): Promise<Samples> {
  const { samples } = (await answer(api, path, parameters)).data.stats;
  const { totalQueryableSamples, totalQueryableSamplesPerStep } = samples;
  return { totalQueryableSamples, totalQueryableSamplesPerStep };
}

/** Series with gaps, of native histograms, and of both kinds of samples; an info series. */
function makeMoreSeries(): WireSeries[] {
  const times = Array.from({ length: ROUNDS }, (_, i) => START_MS + i * STEP_MS);
  const gapped = times.filter((_, i) => i % 13 < 6 && (i < 20 || i > 50));
  const floats = (of: readonly number[]) => of.map((timestampMs, value) => ({ timestampMs, value }));
  return [
    ...['a', 'b'].map(
      (job, n): WireSeries => ({
        labels: Object.entries({ __name__: 'gapped', job }),
        samples: floats(gapped.slice(n)),
      }),
    ),
    ...['api', 'web'].map(
      (job, n): WireSeries => ({
        labels: Object.entries({ __name__: 'latency', job }),
        histograms: times.map((timeMs, i) => histogram(timeMs, 1 + Math.floor((i * (n + 1)) / 5))),
      }),
    ),
    {
      labels: Object.entries({ __name__: 'mixed', job: 'api' }),
      // Within one request Prometheus takes a series' floats first.
      samples: floats(times.slice(0, ROUNDS / 2)),
      histograms: times.slice(ROUNDS / 2).map((timeMs, i) => histogram(timeMs, 3 + (i % 4))),
    },
    ...['api', 'other'].map(
      (job): WireSeries => ({
        labels: Object.entries({ __name__: 'target_info', job, version: '1' }),
        samples: floats(times),
      }),
    ),
  ];
}

/** A histogram with one observation in each of its first buckets. */
function histogram(timestampMs: number, buckets: number): Uint8Array {
  const span = Buffer.concat([Buffer.concat([varint(8), zigzag(0)]), varintField(2, buckets)]);
  const deltas = Buffer.concat(Array.from({ length: buckets }, (_, i) => zigzag(i === 0 ? 1 : 0)));
  return Buffer.concat([
    varintField(1, buckets),
    doubleField(3, buckets),
    Buffer.concat([varint(4 * 8), zigzag(1)]),
    doubleField(5, 0.001),
    bytesField(11, span),
    bytesField(12, deltas),
    varintField(15, timestampMs),
  ]);
}
