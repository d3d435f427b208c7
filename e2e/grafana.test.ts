import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { call, differences, type QueryData } from './answers.js';
import { havePeers, type Server, startPrometheus } from './peers.js';
import { stopAll } from './processes.js';
import { startVarve, type Varve } from './varve.js';
import { pushSeries, STALE_MARKER_BITS, type WireSeries } from './wire.js';

/**
 * What Grafana sends, user action by user action, with GET and with POST and under the three prefixes, against Varve
 * and against a Prometheus that was given the same samples: the JSON has to be the same.
 */

const PREFIXES = ['/prometheus/api/v1', '/api/prom/api/v1', '/api/v1'] as const;
const STEP_MS = 15_000;
const ROUNDS = 80;
const END_MS = Math.floor(Date.now() / STEP_MS) * STEP_MS;
const START_MS = END_MS - (ROUNDS - 1) * STEP_MS;

type Parameters = Readonly<Record<string, string | readonly string[]>>;

interface Row {
  readonly action: string;
  readonly path: string;
  readonly parameters?: Parameters;
  readonly methods?: readonly ('GET' | 'POST')[];
  /** Parameters stand in the URL although the method is POST. */
  readonly inUrl?: boolean;
  /** Prometheus has no such method: ask it with GET. */
  readonly referenceMethod?: 'GET';
  readonly exact?: boolean;
}

const seconds = (ms: number) => (ms / 1000).toFixed(3).replace(/\.?0+$/, '');
const RANGE = { start: seconds(START_MS), end: seconds(END_MS) };
const MINUTES = {
  start: String(Math.floor(START_MS / 60_000) * 60),
  end: String(Math.ceil(END_MS / 60_000) * 60),
};

const ROWS: readonly Row[] = [
  { action: 'save and test', path: 'query', parameters: { query: '1+1', time: '4' } },
  {
    action: 'save and test with a time-out',
    path: 'query',
    parameters: { query: '1+1', time: '4', timeout: '10s' },
  },
  ...[
    'sum by (job) (rate(requests_total[1m]))',
    'temperature_celsius{job="api"}',
    'requests_total{code=~"5.."} / ignoring (code) group_left sum without (code) (requests_total)',
    'histogram_quantile(0.9, sum by (le) (rate(latency_seconds_bucket[5m])))',
    'nothing_here',
    'special_value',
    '"utf8"',
    'time()',
  ].map((query) => ({
    action: 'panel',
    path: 'query_range',
    parameters: { query, ...RANGE, step: '15' },
  })),
  {
    action: 'panel with a fractional step',
    path: 'query_range',
    parameters: { query: 'up', start: seconds(END_MS - 7000), end: seconds(END_MS), step: '0.5' },
  },
  {
    action: 'explore, instant half',
    path: 'query',
    parameters: { query: 'requests_total', time: seconds(END_MS - 1234) },
  },
  { action: 'explore, scalar', path: 'query', parameters: { query: 'scalar(up)', time: RANGE.end } },
  { action: 'explore, string', path: 'query', parameters: { query: '"text"', time: RANGE.end } },
  { action: 'explore, matrix', path: 'query', parameters: { query: 'up[1m]', time: RANGE.end } },
  { action: 'explore, syntax error', path: 'query', parameters: { query: 'sum(', time: RANGE.end } },
  { action: 'explore, type error', path: 'query', parameters: { query: 'rate(up)', time: RANGE.end } },
  {
    action: 'explore, matching error',
    path: 'query',
    parameters: { query: 'requests_total + on (job) requests_total', time: RANGE.end },
  },
  { action: 'range without a step', path: 'query_range', parameters: { query: 'up', ...RANGE } },
  {
    action: 'range with a bad time',
    path: 'query_range',
    parameters: { query: 'up', start: 'x', end: RANGE.end, step: '15' },
  },
  {
    action: 'range with the end before the start',
    path: 'query_range',
    parameters: { query: 'up', start: RANGE.end, end: RANGE.start, step: '15' },
  },
  {
    action: 'range with too many points',
    path: 'query_range',
    parameters: { query: 'up', start: '0', end: RANGE.end, step: '1' },
  },
  { action: 'query statistics', path: 'query', parameters: { query: 'up', time: RANGE.end, unknown: 'x' } },
  {
    action: 'limit of an instant query',
    path: 'query',
    parameters: { query: 'count(requests_total)', time: RANGE.end, limit: '1' },
  },
  { action: 'exemplars', path: 'query_exemplars', parameters: { query: 'nothing_here', ...RANGE } },
  {
    action: 'exemplar probe in milliseconds',
    path: 'query_exemplars',
    parameters: { query: 'test', start: String(START_MS), end: String(END_MS) },
  },
  { action: 'recording rules', path: 'rules', methods: ['GET'] },
  { action: 'alerts', path: 'alerts', methods: ['GET'] },
  {
    action: 'metric names',
    path: 'label/__name__/values',
    methods: ['GET'],
    parameters: { ...MINUTES, limit: '1000' },
  },
  {
    action: 'metric name completion',
    path: 'label/__name__/values',
    methods: ['GET'],
    parameters: { ...MINUTES, limit: '1000', 'match[]': '{__name__=~".*quest.*"}' },
  },
  {
    action: 'metrics modal',
    path: 'label/__name__/values',
    methods: ['GET'],
    parameters: { ...MINUTES, 'match[]': '{__name__=~"(?i).*LATENCY",job="api"}' },
  },
  {
    action: 'metrics modal',
    path: 'label/__name__/values',
    methods: ['GET'],
    parameters: { ...MINUTES, 'match[]': '{__name__=~"(?i).*LATENCY.*"}' },
  },
  {
    action: 'label values',
    path: 'label/job/values',
    methods: ['GET'],
    parameters: { ...MINUTES, limit: '40000' },
  },
  {
    action: 'label values of a selector',
    path: 'label/code/values',
    methods: ['GET'],
    parameters: { ...MINUTES, 'match[]': 'requests_total{job="web"}' },
  },
  {
    action: 'values of a label that is not there',
    path: 'label/nobody/values',
    methods: ['GET'],
    parameters: MINUTES,
  },
  {
    action: 'values of an escaped label name',
    path: 'label/U__service_2e_name/values',
    methods: ['GET'],
    parameters: MINUTES,
  },
  { action: 'label names', path: 'labels', parameters: { ...MINUTES, limit: '40000' } },
  { action: 'label names of a selector', path: 'labels', parameters: { ...MINUTES, 'match[]': 'up' } },
  {
    action: 'label names, two selectors',
    path: 'labels',
    parameters: { ...MINUTES, 'match[]': ['up', 'latency_seconds_bucket'] },
  },
  { action: 'label names, no limit', path: 'labels', parameters: { ...MINUTES, limit: '0' } },
  { action: 'label names, bad selector', path: 'labels', parameters: { 'match[]': '{' } },
  {
    action: 'suggestions',
    path: 'labels',
    methods: ['POST'],
    inUrl: true,
    parameters: { ...MINUTES, 'match[]': 'up' },
  },
  {
    action: 'suggestions',
    path: 'label/job/values',
    methods: ['POST'],
    inUrl: true,
    referenceMethod: 'GET',
    parameters: { ...MINUTES, 'match[]': 'up' },
  },
  {
    action: 'series',
    path: 'series',
    parameters: { ...MINUTES, 'match[]': '{__name__!=""}', limit: '40000' },
  },
  {
    action: 'series of two selectors',
    path: 'series',
    parameters: { ...MINUTES, 'match[]': ['up{job="api"}', 'temperature_celsius'] },
  },
  { action: 'series without a selector', path: 'series', parameters: MINUTES },
  {
    action: 'series that are not there',
    path: 'series',
    parameters: { ...MINUTES, 'match[]': 'nothing_here' },
  },
  { action: 'series with an empty selector', path: 'series', parameters: { ...MINUTES, 'match[]': '{}' } },
  { action: 'metadata', path: 'metadata', methods: ['GET'], parameters: { limit: '40000' } },
  {
    action: 'metadata of one metric',
    path: 'metadata',
    methods: ['GET'],
    parameters: { metric: 'nothing_here' },
  },
  {
    action: 'annotations',
    path: 'query_range',
    parameters: { query: 'changes(up[1m]) > 0', ...RANGE, step: '60' },
  },
  {
    action: 'alert rule',
    path: 'query',
    parameters: { query: 'avg_over_time(temperature_celsius[5m]) > bool 20', time: RANGE.end },
  },
  {
    action: 'drilldown, new metrics',
    path: 'query',
    methods: ['GET'],
    parameters: {
      query: 'group by (__name__) ({__name__!=""}) unless (group by (__name__) ({__name__!=""} offset 7d))',
      time: RANGE.end,
    },
  },
  {
    action: 'prettify',
    path: 'format_query',
    parameters: { query: 'sum(rate(requests_total{job="api"}[5m]))by(job)/ignoring(x)   up' },
  },
];

function makeSeries(): WireSeries[] {
  const times = Array.from({ length: ROUNDS }, (_, i) => START_MS + i * STEP_MS);
  const series = (labels: Record<string, string>, value: (i: number) => number | bigint): WireSeries => ({
    labels: Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)),
    samples: times.map((timestampMs, i) => ({ value: value(i), timestampMs })),
  });
  const out: WireSeries[] = [];
  for (const job of ['api', 'web', 'db']) {
    out.push(series({ __name__: 'up', job }, (i) => (i % 20 === 7 ? 0 : 1)));
    out.push(series({ __name__: 'temperature_celsius', job }, (i) => 20 + Math.sin(i / 7) * job.length));
    for (const code of ['200', '404', '500', '503']) {
      const slope = Number(code) / 100;
      out.push(series({ __name__: 'requests_total', job, code }, (i) => (i % 40) * slope));
    }
    for (const [b, le] of ['0.1', '0.5', '1', '5', '+Inf'].entries()) {
      out.push(series({ __name__: 'latency_seconds_bucket', job, le }, (i) => i * (b + 1)));
    }
  }
  out.push(series({ __name__: 'special_value', kind: 'infinite' }, (i) => (i % 2 ? 1 / 0 : -1 / 0)));
  out.push(series({ __name__: 'special_value', kind: 'nan' }, (i) => (i % 3 ? 0x7ff8000000000001n : 1)));
  out.push(series({ __name__: 'special_value', kind: 'tiny' }, (i) => 1e-9 * i));
  out.push(series({ __name__: 'special_value', kind: 'huge' }, (i) => 1e21 * (i + 1)));
  out.push(series({ __name__: 'special_value', kind: 'stale' }, (i) => (i === 40 ? STALE_MARKER_BITS : i)));
  out.push(series({ __name__: 'special_value', 'service.name': 'dotted', unicode: 'grün 🌲' }, (i) => i));
  return out;
}

async function ask(api: string, row: Row, method: 'GET' | 'POST') {
  if (row.inUrl !== true || method === 'GET') return call(api, row.path, row.parameters, method);
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(row.parameters ?? {})) {
    for (const one of typeof value === 'string' ? [value] : value) form.append(name, one);
  }
  const response = await fetch(`${api}/${row.path}?${form}`, { method });
  return {
    status: response.status,
    body: (await response.json()) as Awaited<ReturnType<typeof call>>['body'],
  };
}

const isQuery = (row: Row) => row.path === 'query' || row.path === 'query_range';

const suite = havePeers('prometheus') ? describe : describe.skip;

suite('Grafana', () => {
  let prometheus: Server;
  let varve: Varve;

  beforeAll(async () => {
    [prometheus, varve] = await Promise.all([startPrometheus(), startVarve()]);
    const series = makeSeries();
    for (const url of [`${prometheus.url}/api/v1/write`, varve.pushUrl]) {
      const answer = await pushSeries(url, series);
      expect(answer).toEqual({ status: expect.any(Number), text: '' });
    }
  });
  afterAll(stopAll);

  const cases = ROWS.flatMap((row) =>
    (row.methods ?? (['GET', 'POST'] as const)).map((method) => ({
      ...row,
      row,
      method,
      what: JSON.stringify(row.parameters ?? {}).slice(0, 120),
    })),
  );

  test.each(cases)('$action: $method $path $what', async ({ row, method }) => {
    const expected = await ask(prometheus.api, row, row.referenceMethod ?? method);
    for (const prefix of PREFIXES) {
      const found = await ask(`${varve.url}${prefix}`, row, method);
      expect({ prefix, status: found.status }).toEqual({ prefix, status: expected.status });
      const { data, ...rest } = found.body;
      const { data: expectedData, ...expectedRest } = expected.body;
      if (expected.status !== 200) {
        expect(orderless(rest)).toEqual(orderless(expectedRest));
      } else if (isQuery(row)) {
        const options = { ordered: row.path === 'query_range', tolerance: 1e-12 };
        expect(differences(expectedData as QueryData, data as QueryData, options)).toEqual([]);
      } else if (row.path === 'series') {
        const sorted = (list: unknown) =>
          (list as object[]).map((one) => JSON.stringify(sortKeys(one))).sort();
        expect(sorted(data)).toEqual(sorted(expectedData));
      } else {
        expect(data).toEqual(expectedData);
      }
    }
  });

  test('build information names the application and features as strings', async () => {
    for (const prefix of PREFIXES) {
      const { status, body } = await call(`${varve.url}${prefix}`, 'status/buildinfo');
      expect({ prefix, status }).toEqual({ prefix, status: 200 });
      const data = body.data as Record<string, unknown>;
      expect(data['application']).toBe('Varve');
      expect(data['version']).toMatch(/^\d+\.\d+\.\d+/);
      const features = (data['features'] ?? {}) as Record<string, unknown>;
      for (const value of Object.values(features)) expect(typeof value).toBe('string');
    }
  });

  test('a label listing stops at the limit', async () => {
    for (const method of ['GET', 'POST'] as const) {
      const { body } = await call(varve.api, 'labels', { limit: '2' }, method);
      expect((body.data as string[]).length).toBe(2);
    }
    const { body } = await call(varve.api, 'label/__name__/values', { limit: '1' });
    expect((body.data as string[]).length).toBe(1);
    const series = await call(varve.api, 'series', { 'match[]': '{__name__!=""}', limit: '3' }, 'POST');
    expect((series.body.data as object[]).length).toBe(3);
  });

  test('parameters of the URL and of the body are merged', async () => {
    const url = `${varve.api}/query?time=${RANGE.end}`;
    const response = await fetch(url, { method: 'POST', body: new URLSearchParams({ query: 'up' }) });
    const expected = await call(prometheus.api, 'query', { query: 'up', time: RANGE.end });
    const body = (await response.json()) as { data: QueryData };
    expect(differences(expected.body.data as QueryData, body.data)).toEqual([]);
  });

  test('answers are compressed for those who ask', async () => {
    const url = `${varve.api}/query_range?${new URLSearchParams({ query: 'requests_total', ...RANGE, step: '15' })}`;
    const response = await fetch(url, { headers: { 'accept-encoding': 'gzip' } });
    expect(response.headers.get('content-encoding')).toBe('gzip');
    expect(((await response.json()) as { status: string }).status).toBe('success');
  });
});

/** Prometheus names the two colliding series of a matching error in a random order. */
function orderless(envelope: object): object {
  return Object.fromEntries(
    Object.entries(envelope).map(([name, value]) => [
      name,
      String(value).replace(/\[(\{.*?\}), (\{.*?\})\]/, (_, a: string, b: string) => [a, b].sort().join()),
    ]),
  );
}

function sortKeys(object: object): object {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
}
