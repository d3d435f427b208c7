import { request as httpRequest } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ManualClock } from '../clock/index.js';
import { HttpServer } from '../http/index.js';
import { DEFAULT_LIMITS, TenantLimits } from '../limits/index.js';
import { Metrics, silentLogger } from '../telemetry/index.js';
import { WorkerPool } from '../workers/index.js';
import { API_PREFIXES, QueryApi, type QueryApiOptions } from './api.js';
import { EMPTY_HEAD_STATS, type SourceProvider } from './sources.js';

const NOW_MS = 1_700_000_000_123;
const clock = new ManualClock(NOW_MS);
const limits = new TenantLimits(DEFAULT_LIMITS);
const metrics = new Metrics({ withProcessMetrics: false, version: 'test' });
let held = 0;
let lastSnapshot: readonly [string, number, number] = ['', 0, 0];

const provider: SourceProvider = {
  async snapshot(tenant, minTimeMs, maxTimeMs) {
    held++;
    lastSnapshot = [tenant, minTimeMs, maxTimeMs];
    return { sources: [], attachments: [], release: () => held-- };
  },
  blockMeta: () => Promise.reject(new Error('there are no blocks')),
  metadata: async () =>
    new Map([
      ['up', [{ type: 'gauge', help: 'a <b>', unit: '' }]],
      [
        'hits',
        [
          { type: 'counter', help: 'x', unit: '' },
          { type: 'gauge', help: 'y', unit: '' },
        ],
      ],
    ]),
  async exemplars(tenant, [matchers = []], minTimeMs, maxTimeMs) {
    if (tenant !== 'team-a' || matchers.every((matcher) => !matcher.matches('a'))) return [];
    const exemplars = [
      { labels: [{ name: 'trace_id', value: 'x' }], value: 1e-7, timestampMs: minTimeMs + 500 },
      { labels: [], value: Number.NaN, timestampMs: maxTimeMs },
    ];
    return [{ labels: [{ name: 'job', value: 'a<b' }], exemplars }];
  },
  headStats: async () => ({
    ...EMPTY_HEAD_STATS,
    seriesCount: 2,
    seriesCountByMetricName: [{ name: 'up', value: 2 }],
  }),
};

const httpOptions = {
  listen: '127.0.0.1:0',
  maxConnections: 100,
  headersTimeoutMs: 5000,
  bodyTimeoutMs: 5000,
  idleTimeoutMs: 5000,
  shutdownTimeoutMs: 1000,
  corsOrigin: '',
};
const server = new HttpServer(httpOptions, metrics, silentLogger);
const pool = new WorkerPool(
  {
    script: new URL('./testing/stub-worker.js', import.meta.url),
    size: 2,
    data: null,
    queuedPerTenantMax: 2,
    queuedMax: 10,
    graceMs: 2000,
    heapMiB: 0,
  },
  silentLogger,
);
const multi = { multitenancy: true, defaultTenant: 'anonymous' };
let base = '';

const options: QueryApiOptions = {
  tenant: multi,
  timeoutMs: 120_000,
  lookbackDeltaMs: 300_000,
  formBodyBytesMax: 100_000,
  maxSourceResolution: 'auto',
  slowLogThresholdMs: 1000,
  flags: () => ({ 'log-level': 'info' }),
  configYaml: () => 'a: <1>\n',
  features: { promql: {} },
  buildInfo: {
    application: 'Varve',
    version: '1.2.3',
    revision: 'r',
    branch: 'b',
    buildDate: 'd',
    repository: 'p',
    features: { ruler_config_api: 'true' },
  },
};

beforeAll(async () => {
  new QueryApi(options, { pool, provider, limits, clock, logger: silentLogger }).mount(server);
  await server.start();
  server.open();
  base = `http://127.0.0.1:${server.address.port}`;
});

afterAll(async () => {
  await server.stop();
  await pool.stop();
});

const HEADERS = { 'X-Scope-OrgID': 'team-a' };
const FORM = { ...HEADERS, 'Content-Type': 'application/x-www-form-urlencoded' };

async function get(path: string, init: RequestInit = {}) {
  const response = await fetch(base + path, { headers: HEADERS, ...init });
  return { status: response.status, type: response.headers.get('content-type'), body: await response.text() };
}

function ok(dataJson: string, rest = ''): string {
  return `{"status":"success","data":${dataJson}${rest}}`;
}

function error(type: string, message: string): string {
  return `{"status":"error","errorType":"${type}","error":${JSON.stringify(message)}}`;
}

describe('answers', () => {
  const nowText = '1700000000.123';
  test.each([
    ['/query?query=1%2B1&time=4', ok('{"resultType":"scalar","result":[4,"2"]}')],
    ['/query?query=1%2B1', ok(`{"resultType":"scalar","result":[${nowText},"2"]}`)],
    ['/query?query=text&time=0.5', ok('{"resultType":"string","result":[0.5,"\\u003ca\\u003e"]}')],
    [
      '/query?query=up&time=1.5',
      ok('{"resultType":"vector","result":[{"metric":{"__name__":"up"},"value":[1.500,"1e-07"]}]}'),
    ],
    [
      '/query?query=1%2B1&time=0&stats=1',
      ok(
        '{"resultType":"scalar","result":[0,"2"],"stats":{"timings":{"evalTotalTime":0.5,"resultSortTime":0,"queryPreparationTime":0.25,"innerEvalTime":0.125,"execQueueTime":QUEUE,"execTotalTime":1},"samples":{"totalQueryableSamples":7,"peakSamples":3}}}',
        ',"warnings":["value \\"1\\" for parameter \\"stats\\" is deprecated and will be rejected in the next major release, use \\"true\\" or \\"all\\""]',
      ),
    ],
    ['/series/count', ok('[2]')],
    ['/status/tsdb/blocks', ok('{"blocks":[]}')],
    [
      '/query?query=warn',
      ok('{"resultType":"vector","result":[]}', ',"warnings":["something \\u003codd\\u003e"]'),
    ],
    [
      '/query_range?query=up&start=0&end=1&step=0.5&nonsense=1',
      ok(
        '{"resultType":"matrix","result":[{"metric":{"__name__":"up"},"values":[[0,"0"],[0.500,"0.5"],[1,"1"]]}]}',
      ),
    ],
    ['/labels', ok('["__name__","a\\u003cb","job"]')],
    ['/labels?limit=0', ok('["__name__","a\\u003cb","job"]')],
    ['/labels?limit=2', ok('["__name__","a\\u003cb"]', ',"warnings":["results truncated due to limit"]')],
    ['/labels?limit=3', ok('["__name__","a\\u003cb","job"]')],
    ['/labels?match[]={a="1"}&match[]={b="2"}&start=1&end=2', ok('["a=1|b=2 1000..2000"]')],
    ['/label/job/values', ok('["job-1","job-2"]')],
    ['/label/U__a_2e_b/values', ok('["a.b-1","a.b-2"]')],
    ['/label/a%2Fb/values', ok('["a/b-1","a/b-2"]')],
    ['/series?match[]={a="1"}&start=1&end=2', ok('[{"n":"a=1 1000..2000"}]')],
    ['/format_query?query=a', ok('"formatted a"')],
    ['/parse_query?query=a', ok('{"type":"stub","query":"a"}')],
    ['/query_exemplars?query={job="none"}&start=1700000000000&end=1700000100000', ok('[]')],
    [
      '/query_exemplars?query={job="a"}&start=0&end=3',
      ok(
        '[{"seriesLabels":{"job":"a<b"},"exemplars":[{"labels":{"trace_id":"x"},"value":"1e-07","timestamp":0.500},{"labels":{},"value":"NaN","timestamp":3}]}]',
      ),
    ],
    [
      '/metadata',
      ok(
        '{"hits":[{"type":"counter","help":"x","unit":""},{"type":"gauge","help":"y","unit":""}],"up":[{"type":"gauge","help":"a \\u003cb\\u003e","unit":""}]}',
      ),
    ],
    ['/metadata?limit=1&limit_per_metric=1', ok('{"hits":[{"type":"counter","help":"x","unit":""}]}')],
    ['/metadata?metric=none', ok('{}')],
    ['/rules', ok('{"groups":[]}')],
    ['/alerts', ok('{"alerts":[]}')],
    ['/targets', ok('{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}')],
    ['/alertmanagers', ok('{"activeAlertmanagers":[],"droppedAlertmanagers":[]}')],
    ['/scrape_pools', ok('{"scrapePools":[]}')],
    ['/status/walreplay', ok('{"min":0,"max":0,"current":0}')],
    [
      '/status/tsdb',
      ok(
        '{"headStats":{"numSeries":2,"numLabelPairs":0,"chunkCount":0,"minTime":9223372036854775807,"maxTime":-9223372036854775808},"seriesCountByMetricName":[{"name":"up","value":2}],"labelValueCountByLabelName":[],"memoryInBytesByLabelName":[],"seriesCountByLabelValuePair":[]}',
      ),
    ],
    [
      '/status/buildinfo',
      ok(
        '{"application":"Varve","version":"1.2.3","revision":"r","branch":"b","buildUser":"","buildDate":"d","goVersion":"","repository":"p","features":{"ruler_config_api":"true"}}',
      ),
    ],
  ])('%s under every prefix', async (path, body) => {
    for (const prefix of API_PREFIXES) {
      const found = await get(prefix + path);
      const timeless = found.body.replace(/(?<="execQueueTime":)[^,]+/, 'QUEUE');
      expect({ ...found, body: timeless }).toEqual({ status: 200, type: 'application/json', body });
    }
  });

  test.each([
    ['label_names', '{"label_values_count_total":0,"label_names_count":0,"cardinality":[]}'],
    [
      'label_values?label_names[]=job&label_names[]=job',
      '{"series_count_total":0,"labels":[{"label_name":"job","label_values_count":0,"series_count":0,"cardinality":[]}]}',
    ],
    ['active_series?selector={a="1"}', '{"data":[]}'],
  ])('cardinality/%s has no envelope', async (path, body) => {
    expect(await get(`/prometheus/api/v1/cardinality/${path}`)).toMatchObject({ status: 200, body });
  });

  test('a query without selectors has no exemplars and no content', async () => {
    expect(await get('/api/v1/query_exemplars?query=1')).toEqual({ status: 204, type: null, body: '' });
  });

  test('statistics are added when asked for', async () => {
    const { body } = await get('/api/v1/query?query=1%2B1&time=0&stats=all');
    expect(body.replace(/("execQueueTime":)[^,]+/, '$1Q')).toBe(
      ok(
        '{"resultType":"scalar","result":[0,"2"],"stats":{"timings":{"evalTotalTime":0.5,"resultSortTime":0,"queryPreparationTime":0.25,"innerEvalTime":0.125,"execQueueTime":Q,"execTotalTime":1},"samples":{"totalQueryableSamplesPerStep":[[0,7]],"totalQueryableSamples":7,"peakSamples":3}}}',
      ),
    );
  });
});

describe('parameters', () => {
  const range = { query: 'request', startMs: 1000, endMs: 5000, stepMs: 2000, lookbackMs: 60_000, limit: 3 };

  test.each([
    ['GET', '/query_range?query=request&start=1&end=5&step=2&lookback_delta=1m&limit=3', undefined],
    ['POST', '/query_range', 'query=request&start=1&end=5&step=2&lookback_delta=1m&limit=3'],
    ['POST', '/query_range?query=request&start=1&end=5', 'step=2&lookback_delta=60&limit=3'],
    ['POST', '/query_range?query=request&start=1&end=5&step=2&lookback_delta=1m&limit=3', ''],
    [
      'POST',
      '/query_range?step=99&query=other',
      'query=request&start=1&end=5&step=2&lookback_delta=1m&limit=3',
    ],
  ])('%s %s with body %j', async (method, path, form) => {
    const init = method === 'GET' ? {} : { method, headers: FORM, body: form ?? '' };
    const { body } = await get(`/prometheus/api/v1${path}`, init);
    const { data } = JSON.parse(body) as { data: { result: [number, string] } };
    expect(JSON.parse(data.result[1])).toEqual(range);
    expect(lastSnapshot).toEqual(['team-a', 1000 - 60_000, 5000]);
  });

  test('label values and labels take POST with everything in the URL', async () => {
    const init = { method: 'POST', headers: HEADERS };
    const path = '/api/v1/label/job/values?match[]=%7Ba%3D%221%22%7D&start=1&end=2';
    expect((await get(path, init)).body).toBe(ok('["a=1 1000..2000"]'));
    expect((await get('/api/v1/labels?limit=1', init)).status).toBe(200);
  });

  test('buildinfo takes POST', async () => {
    expect(
      (await get('/prometheus/api/v1/status/buildinfo', { method: 'POST', headers: HEADERS })).status,
    ).toBe(200);
  });
});

describe('errors', () => {
  const parse = (text: string) => `1:1: parse error: unexpected "${text}"`;
  const resolution =
    'exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)';
  test.each([
    ['/query?query=nope', 400, 'bad_data', `invalid parameter "query": ${parse('nope')}`],
    ['/query?query=mismatch', 422, 'execution', 'multiple matches for labels'],
    ['/query?query=too-much', 422, 'execution', 'query processing would load too many samples into memory'],
    ['/query?query=spin&timeout=20ms', 503, 'timeout', 'query timed out in expression evaluation'],
    ['/query?query=1%2B1&timeout=0', 400, 'bad_data', 'invalid parameter "query": context deadline exceeded'],
    [
      '/rules?group_next_token=x',
      400,
      'bad_data',
      'invalid parameter "group_next_token": group_limit needs to be present in order to paginate over the groups',
    ],
    ['/rules?match[]={', 400, 'bad_data', '1:1: parse error: unexpected "{"'],
    [
      '/targets/metadata?match_target={',
      400,
      'bad_data',
      'invalid parameter "match_target": 1:1: parse error: unexpected "{"',
    ],
    ['/series?match[]={a="1"}&x=%zz', 400, 'bad_data', 'error parsing form values: invalid URL escape "%zz"'],
    ['/query?query=bug', 500, 'internal', 'index is out of range'],
    [
      '/query?time=x',
      400,
      'bad_data',
      `invalid parameter "time": invalid time value for 'time': cannot parse "x" to a valid timestamp`,
    ],
    [
      '/query?limit=a',
      400,
      'bad_data',
      'invalid parameter "limit": strconv.Atoi: parsing "a": invalid syntax',
    ],
    ['/query?limit=-1&time=x', 400, 'bad_data', 'invalid parameter "limit": limit must be non-negative'],
    [
      '/query?timeout=x',
      400,
      'bad_data',
      'invalid parameter "timeout": cannot parse "x" to a valid duration',
    ],
    [
      '/query?timeout=1e11',
      400,
      'bad_data',
      'invalid parameter "timeout": cannot parse "1e11" to a valid duration. It overflows int64',
    ],
    [
      '/query?lookback_delta=x',
      400,
      'bad_data',
      'error parsing lookback delta duration: cannot parse "x" to a valid duration',
    ],
    [
      '/query_range?query=up',
      400,
      'bad_data',
      'invalid parameter "start": cannot parse "" to a valid timestamp',
    ],
    [
      '/query_range?start=5&end=4',
      400,
      'bad_data',
      'invalid parameter "end": end timestamp must not be before start time',
    ],
    [
      '/query_range?start=0&end=4',
      400,
      'bad_data',
      'invalid parameter "step": cannot parse "" to a valid duration',
    ],
    [
      '/query_range?start=0&end=4&step=-5m',
      400,
      'bad_data',
      'invalid parameter "step": cannot parse "-5m" to a valid duration',
    ],
    [
      '/query_range?start=0&end=4&step=0',
      400,
      'bad_data',
      'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer',
    ],
    ['/query_range?start=0&end=11001&step=1', 400, 'bad_data', resolution],
    ['/series', 400, 'bad_data', 'no match[] parameter provided'],
    ['/series?match[]=x', 400, 'bad_data', `invalid parameter "match[]": ${parse('x')}`],
    [
      '/series?match[]={a=""}',
      400,
      'bad_data',
      'invalid parameter "match[]": match[] must contain at least one non-empty matcher',
    ],
    ['/labels?match[]={a=""}', 400, 'bad_data', 'match[] must contain at least one non-empty matcher'],
    ['/labels?match[]=x', 400, 'bad_data', parse('x')],
    [
      '/labels?start=x',
      400,
      'bad_data',
      `invalid parameter "start": invalid time value for 'start': cannot parse "x" to a valid timestamp`,
    ],
    ['/label/U__/values', 400, 'bad_data', 'invalid label name: ""'],
    ['/format_query?query=(', 400, 'bad_data', `invalid parameter "query": ${parse('(')}`],
    ['/query_exemplars?query=(', 400, 'bad_data', parse('(')],
    [
      '/query_exemplars?query=a&start=9&end=3',
      400,
      'bad_data',
      'end timestamp must not be before start timestamp',
    ],
    ['/metadata?limit=x', 400, 'bad_data', 'limit must be a number'],
    ['/status/tsdb?limit=0', 400, 'bad_data', 'limit must be a positive number'],
    ['/cardinality/label_names?limit=501', 400, 'bad_data', "'limit' param must be between 0 and 500"],
    [
      '/cardinality/label_names?count_method=x',
      400,
      'bad_data',
      `invalid 'count_method' param "x". valid options are: [inmemory,active]`,
    ],
    ['/cardinality/label_values', 400, 'bad_data', "'label_names[]' param is required"],
    ['/cardinality/label_values?label_names[]=', 400, 'bad_data', `invalid 'label_names' param ""`],
    ['/cardinality/active_series', 400, 'bad_data', "'selector' param is required"],
    ['/cardinality/active_series?selector=x', 400, 'bad_data', `invalid parameter "selector": ${parse('x')}`],
    ['/rules?type=x', 400, 'bad_data', 'invalid parameter "type": not supported value "x"'],
  ])('%s', async (path, status, type, message) => {
    const answer = await get(`/prometheus/api/v1${path}`);
    expect(answer).toEqual({ status, type: 'application/json', body: error(type, message) });
  });

  test('11,000 steps are allowed', async () => {
    expect((await get('/api/v1/query_range?query=up&start=0&end=11000&step=1')).status).toBe(200);
  });

  test('a thread that dies answers 500 and the next query works', async () => {
    expect((await get('/api/v1/query?query=crash')).status).toBe(500);
    expect((await get('/api/v1/query?query=1%2B1')).status).toBe(200);
  });

  test.each([['/prometheus/api/v1/status/flags'], ['/api/v1/nonsense'], ['/nonsense'], ['/api/v1/query/']])(
    '%s is not found',
    async (path) => {
      expect(await get(path)).toEqual({
        status: 404,
        type: 'text/plain; charset=utf-8',
        body: '404 page not found\n',
      });
    },
  );

  test.each([
    ['PUT', '/api/v1/query', 'GET, OPTIONS, POST'],
    ['DELETE', '/api/v1/labels', 'GET, OPTIONS, POST'],
    ['POST', '/api/v1/metadata', 'GET, OPTIONS'],
  ])('%s %s is not allowed', async (method, path, allow) => {
    const response = await fetch(base + path, { method, headers: HEADERS });
    expect([response.status, response.headers.get('allow'), await response.text()]).toEqual([
      405,
      allow,
      'Method Not Allowed\n',
    ]);
  });

  test.each([
    [{}, 401, 'no org id\n'],
    [{ 'X-Scope-OrgID': '../x' }, 400, `tenant id "../x" may only contain letters, digits and !-_.*'()\n`],
  ])('the tenant header %j gives %d', async (headers, status, body) => {
    const response = await fetch(`${base}/api/v1/query?query=1`, {
      headers: headers as Record<string, string>,
    });
    expect([response.status, await response.text()]).toEqual([status, body]);
  });

  test('a form that is too large gets 413', async () => {
    const init = { method: 'POST', headers: FORM, body: `query=${'x'.repeat(100_001)}` };
    expect((await get('/api/v1/query', init)).status).toBe(413);
  });

  test('a query text over the limit of the tenant gets 422', async () => {
    const init = { method: 'POST', headers: FORM, body: `query=${'x'.repeat(66_000)}` };
    const { status, body } = await get('/api/v1/query', init);
    expect(status).toBe(422);
    expect(body).toContain('max_query_expression_size_bytes: 65536');
  });

  test('a tenant with too many waiting queries gets 429 in plain text', async () => {
    const controller = new AbortController();
    const init = { headers: HEADERS, signal: controller.signal };
    const waiting = [1, 2, 3, 4].map(() => fetch(`${base}/api/v1/query?query=spin`, init).catch(() => null));
    let answer = await get('/api/v1/query?query=spin&timeout=1ms');
    // The four may not have arrived yet: each further query then only waits for its own short time.
    while (answer.status === 503) answer = await get('/api/v1/query?query=spin&timeout=1ms');
    expect(answer).toEqual({
      status: 429,
      type: 'text/plain; charset=utf-8',
      body: 'too many outstanding requests\n',
    });
    controller.abort();
    await Promise.all(waiting);
    // The threads are free again once the aborts have arrived; what was held is released then, not before.
    do {
      answer = await get('/api/v1/query?query=1%2B1');
    } while (answer.status !== 200 || held > 0);
    expect(held).toBe(0);
  });
});

describe('the cost of queries', () => {
  test('is told in a header when asked for', async () => {
    const timing = async (query: string, headers: Record<string, string>) =>
      (
        await fetch(`${base}/api/v1/query?query=${query}`, { headers: { ...HEADERS, ...headers } })
      ).headers.get('server-timing');
    const asking = { 'X-Mimir-Response-Query-Stats': 'true' };
    expect(await timing('text', asking)).toMatch(
      /^querier_wall_time;dur=1000, response_time;dur=[\d.]+, queue_time;dur=[\d.]+, samples_processed;val=7, bucket_requests;val=0, bucket_bytes;val=0$/,
    );
    expect(await timing('text', {})).toBeNull();
    expect(await timing('mismatch', asking)).toBeNull();
  });

  test('running queries are listed with the dashboard that asks', async () => {
    const controller = new AbortController();
    const headers = { ...HEADERS, 'X-Dashboard-Uid': 'dash', 'X-Panel-Id': '3', 'X-Grafana-User': 'ann' };
    const query = `${base}/api/v1/query_range?query=spin&start=1&end=3&step=1`;
    const running = fetch(query, { headers, signal: controller.signal }).catch(() => null);
    let body = '';
    do {
      ({ body } = await get('/api/v1/status/active_queries'));
    } while (!body.includes('spin'));
    const { data } = JSON.parse(body) as { data: object[] };
    expect(data).toMatchObject([
      {
        ...{ query: 'spin', start: 1000, end: 3000, step: 1000, tenant: 'team-a' },
        ...{ dashboardUid: 'dash', panelId: '3', grafanaUser: 'ann' },
      },
    ]);
    controller.abort();
    await running;
    do {
      ({ body } = await get('/prometheus/api/v1/status/active_queries'));
    } while (body !== '{"status":"ok","data":[]}');
  });

  test('top queries take their parameters', async () => {
    const answer = await get('/api/v1/status/top_queries?topN=3&maxLifetime=1h');
    expect(JSON.parse(answer.body)).toMatchObject({ topN: '3', maxLifetime: '1h', topByCount: [] });
    expect((await get('/api/v1/status/top_queries?topN=x')).status).toBe(400);
    expect((await get('/api/v1/status/top_queries?maxLifetime=x')).status).toBe(400);
  });
});

describe('compression', () => {
  test.each([
    ['gzip', true],
    ['deflate, gzip;q=0.5', true],
    ['gzip;q=0', false],
    ['identity', false],
  ])('Accept-Encoding: %s', async (accept, isPacked) => {
    const path = '/api/v1/query_range?query=up&start=0&end=1000&step=1';
    const { headers, body } = await raw(path, { ...HEADERS, 'Accept-Encoding': accept });
    expect(headers['content-encoding']).toBe(isPacked ? 'gzip' : undefined);
    expect(Number(headers['content-length'])).toBe(body.length);
    const text = (isPacked ? gunzipSync(body) : body).toString();
    expect(
      (JSON.parse(text) as { data: { result: { values: unknown[] }[] } }).data.result[0]!.values,
    ).toHaveLength(1001);
  });

  test('a small answer is sent as it is', async () => {
    const { headers } = await raw('/api/v1/query?query=1%2B1', { ...HEADERS, 'Accept-Encoding': 'gzip' });
    expect(headers['content-encoding']).toBeUndefined();
  });
});

function raw(path: string, headers: Record<string, string>) {
  return new Promise<{ headers: Record<string, unknown>; body: Buffer }>((resolve, reject) => {
    const outgoing = httpRequest(base + path, { headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

describe('settings of the process', () => {
  const single = new HttpServer(
    httpOptions,
    new Metrics({ withProcessMetrics: false, version: 'test' }),
    silentLogger,
  );
  let address = '';

  beforeAll(async () => {
    const parts = { pool, provider, limits, clock, logger: silentLogger };
    new QueryApi({ ...options, tenant: { ...multi, multitenancy: false } }, parts).mount(single);
    await single.start();
    single.open();
    address = `http://127.0.0.1:${single.address.port}`;
  });
  afterAll(() => single.stop());

  const ask = async (url: string, agent = 'test') => {
    const response = await fetch(url, { headers: { ...HEADERS, 'User-Agent': agent } });
    return { status: response.status, body: await response.text() };
  };

  test.each([
    ['/status/config', '{"yaml":"a: \\u003c1\\u003e\\n"}'],
    ['/status/flags', '{"log-level":"info"}'],
  ])('%s is told while there is one tenant only', async (path, data) => {
    for (const prefix of API_PREFIXES) {
      expect(await ask(address + prefix + path)).toEqual({ status: 200, body: ok(data) });
      expect((await ask(base + prefix + path)).status).toBe(404);
    }
  });

  test('search endpoints answer in lines', async () => {
    for (const [path, first] of [
      ['metric_names?search[]=name', '{"results":[{"name":"__name__-1"},{"name":"__name__-2"}]}'],
      ['label_names?sort_by=alpha&sort_dir=dsc&limit=1', '{"results":[{"name":"job"}]}'],
      ['label_values?label=job&search[]=2', '{"results":[{"name":"job-2"}]}'],
    ] as const) {
      const response = await fetch(`${base}/api/v1/search/${path}`, { headers: HEADERS });
      expect(response.headers.get('content-type')).toBe('application/x-ndjson; charset=utf-8');
      const [line, trailer] = (await response.text()).split('\n');
      expect(line).toBe(first);
      expect(JSON.parse(trailer!)).toEqual({ status: 'success', has_more: path.includes('limit=1') });
    }
    const refused = await get('/api/v1/search/label_values');
    expect(refused.body).toBe(error('bad_data', 'missing required parameter "label"'));
  });

  test('Grafana is not told the flags, by which it knows Thanos', async () => {
    expect((await ask(`${address}/api/v1/status/flags`, 'Grafana/11.1')).status).toBe(404);
  });

  test('tenants of a shared process are not told where it runs', async () => {
    const hostOf = async (url: string) => {
      const { data } = JSON.parse((await ask(`${url}/api/v1/status/runtimeinfo`)).body) as {
        data: { hostname: string; CWD: string };
      };
      return [data.hostname, data.CWD];
    };
    expect(await hostOf(base)).toEqual(['', '']);
    expect((await hostOf(address)).includes('')).toBe(false);
  });
});
