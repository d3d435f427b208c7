import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FolderBucket } from '../bucket/index.js';
import { beginDeletion, DeletionCatalog, endDeletion, listDeletions } from '../bucketindex/index.js';
import { ManualClock } from '../clock/index.js';
import { HttpServer } from '../http/index.js';
import { DEFAULT_LIMITS } from '../limits/index.js';
import { Metrics, silentLogger } from '../telemetry/index.js';
import { WorkerPool } from '../workers/index.js';
import { AdminApi, type AdminApiOptions } from './admin-api.js';
import { EMPTY_HEAD_STATS, type SourceProvider } from './sources.js';

const NOW_MS = 1_700_000_000_000;
const folder = mkdtempSync(join(tmpdir(), 'varve-admin-'));
const bucket = new FolderBucket(folder);
const clock = new ManualClock(NOW_MS);
const deletions = new DeletionCatalog(bucket, clock, () => []);
const pool = new WorkerPool(
  {
    script: new URL('./testing/stub-worker.js', import.meta.url),
    ...{ size: 1, data: null, queuedPerTenantMax: 2, queuedMax: 2, graceMs: 2000, heapMiB: 0 },
  },
  silentLogger,
);
const provider: SourceProvider = {
  snapshot: async () => ({ sources: [], attachments: [], release: () => {} }),
  blockMeta: async () => new Uint8Array(0),
  metadata: async () => new Map(),
  exemplars: async () => [],
  headStats: async () => EMPTY_HEAD_STATS,
};
const woken: string[] = [];
const servers: HttpServer[] = [];
const OPTIONS: AdminApiOptions = {
  tenant: { multitenancy: true, defaultTenant: 'anonymous' },
  isEnabled: true,
  timeoutMs: 60_000,
  formBodyBytesMax: 100_000,
  memoryBytesMax: 0,
};

async function serve(options: AdminApiOptions): Promise<string> {
  const server = new HttpServer(
    {
      listen: '127.0.0.1:0',
      ...{ maxConnections: 100, headersTimeoutMs: 5000, bodyTimeoutMs: 5000, idleTimeoutMs: 5000 },
      ...{ shutdownTimeoutMs: 1000, corsOrigin: '' },
    },
    new Metrics({ withProcessMetrics: false, version: 'test' }),
    silentLogger,
  );
  servers.push(server);
  const limits = { of: () => DEFAULT_LIMITS };
  const rewriteNow = (tenant: string) => void woken.push(tenant);
  const parts = { pool, provider, limits, clock, logger: silentLogger, bucket, deletions, rewriteNow };
  new AdminApi(options, parts).mount(server);
  await server.start();
  server.open();
  return `http://127.0.0.1:${server.address.port}`;
}

let base = '';
beforeAll(async () => {
  base = await serve(OPTIONS);
});
afterAll(async () => {
  for (const server of servers) await server.stop();
  await pool.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function ask(method: string, path: string, tenant = 'team-a', body?: string) {
  const headers = { 'X-Scope-OrgID': tenant };
  const form = { 'Content-Type': 'application/x-www-form-urlencoded' };
  const init = body === undefined ? { method, headers } : { method, headers: { ...headers, ...form }, body };
  const answer = await fetch(base + path, init);
  return { status: answer.status, text: await answer.text(), id: answer.headers.get('x-varve-deletion') };
}

const DELETE = '/api/v1/admin/tsdb/delete_series';

describe('delete_series', () => {
  test.each([
    ['POST', '', 'no match[] parameter provided'],
    [
      'POST',
      'match[]=up{',
      'invalid parameter \\"match[]\\": 1:4: parse error: unexpected end of input inside braces',
    ],
    [
      'PUT',
      'match[]=up&start=abc',
      'invalid parameter \\"start\\": invalid time value for \'start\': cannot parse \\"abc\\" to a valid timestamp',
    ],
    [
      'POST',
      'match[]=up{&end=zz',
      'invalid parameter \\"end\\": invalid time value for \'end\': cannot parse \\"zz\\" to a valid timestamp',
    ],
    ['POST', 'match[]=up&end=%zz', 'error parsing form values: invalid URL escape \\"%zz\\"'],
    [
      'POST',
      'match[]=%7Bx%3D~%22.*%22%7D',
      'invalid parameter \\"match[]\\": match[] must contain at least one non-empty matcher',
    ],
    ['POST', 'match[]=up&dry_run=maybe', 'invalid parameter \\"dry_run\\": it must be true or false'],
    [
      'POST',
      `match[]=${'x'.repeat(66_000)}`,
      'the match[] parameters have 66000 bytes, at most 65536 are allowed',
    ],
  ])('refuses %s ?%s', async (method, search, error) => {
    // A long text goes into the body, as it would not fit into a URL.
    const { status, text } =
      search.length > 10_000
        ? await ask(method, DELETE, 'team-x', search)
        : await ask(method, `${DELETE}?${search}`, 'team-x');
    expect([status, text]).toEqual([400, `{"status":"error","errorType":"bad_data","error":"${error}"}`]);
    expect((await listDeletions(bucket, 'team-x')).requests).toEqual([]);
  });

  test.each([
    ['GET', DELETE, 405],
    ['POST', '/api/v1/admin/tsdb/snapshot', 422],
    ['DELETE', '/api/v1/admin/tsdb/deletions/nothing', 404],
  ])('%s %s is answered with %d', async (method, path, wanted) => {
    expect((await ask(method, path)).status).toBe(wanted);
  });

  test('wants a tenant', async () => {
    expect((await ask('POST', `${DELETE}?match[]=up`, '')).status).toBe(401);
  });

  test('is refused while the API is off, as by Prometheus', async () => {
    const off = await serve({ ...OPTIONS, isEnabled: false });
    for (const path of ['/delete_series?match[]=up', '/clean_tombstones', '/snapshot']) {
      const answer = await fetch(`${off}/prometheus/api/v1/admin/tsdb${path}`, {
        method: 'POST',
        headers: { 'X-Scope-OrgID': 'a' },
      });
      expect(answer.status).toBe(500);
      expect(await answer.text()).toBe(
        '{"status":"error","errorType":"unavailable","error":"admin APIs disabled"}',
      );
    }
  });

  test('counts at once, ends now at the latest, and is listed', async () => {
    expect(await deletions.masks('team-a')).toEqual([]);
    const body = 'match[]=up%7Bjob%3D%22a%22%7D&match[]=down&start=1600000000';
    const { status, text, id } = await ask('POST', `/prometheus${DELETE}`, 'team-a', body);
    expect([status, text]).toEqual([204, '']);
    const minTimeMs = 1_600_000_000_000;
    expect(await deletions.masks('team-a')).toEqual([
      {
        key: id,
        matchers: [
          ['=', 'job', 'a'],
          ['=', '__name__', 'up'],
        ],
        minTimeMs,
        maxTimeMs: NOW_MS,
      },
      { key: id, matchers: [['=', '__name__', 'down']], minTimeMs, maxTimeMs: NOW_MS },
    ]);
    expect(await deletions.masks('team-b')).toEqual([]);
    const list = await ask('GET', '/api/v1/admin/tsdb/deletions');
    expect(JSON.parse(list.text)).toEqual({
      status: 'success',
      data: [
        {
          ...{ id, matchers: ['up{job="a"}', 'down'], minTime: minTimeMs, maxTime: NOW_MS },
          ...{ createdAt: '2023-11-14T22:13:20.000Z', state: 'settling', cancellable: true },
          ...{ blocksDone: 0, blocksLeft: 0 },
        },
      ],
    });
  });

  test('of an empty span does nothing', async () => {
    expect(await ask('PUT', `${DELETE}?match[]=up&start=5&end=1`, 'team-e')).toMatchObject({
      status: 204,
      id: null,
    });
    expect(await ask('POST', `${DELETE}?match[]=up&start=1900000000`, 'team-e')).toMatchObject({ id: null });
    const counts = await ask('POST', `${DELETE}?match[]=up&start=5&end=1&dry_run=true`, 'team-e');
    expect(counts.text).toBe('{"status":"success","data":{"series":0,"samples":0,"sources":[]}}');
    expect((await listDeletions(bucket, 'team-e')).requests).toEqual([]);
  });

  test('can be cancelled until it has begun', async () => {
    const first = await ask('POST', `${DELETE}?match[]=up`, 'team-c');
    const second = await ask('POST', `${DELETE}?match[]=up`, 'team-c');
    const path = (id: string | null) => `/api/v1/admin/tsdb/deletions/${id}`;
    expect((await ask('DELETE', path(first.id), 'team-b')).status).toBe(404);
    expect((await ask('DELETE', path(first.id), 'team-c')).status).toBe(204);
    expect((await ask('DELETE', path(first.id), 'team-c')).status).toBe(404);
    expect(await deletions.masks('team-c')).toHaveLength(1);
    expect(await beginDeletion(bucket, 'team-c', second.id!)).toBe(true);
    const refused = await ask('DELETE', path(second.id), 'team-c');
    expect([refused.status, JSON.parse(refused.text)]).toMatchObject([409, { status: 'error' }]);
    const [request] = await deletions.requests('team-c');
    await endDeletion(bucket, 'team-c', request!, 'done', NOW_MS);
    const { data } = JSON.parse((await ask('GET', '/api/v1/admin/tsdb/deletions', 'team-c')).text) as {
      data: { state: string; endedAt: string }[];
    };
    expect(data.map(({ state, endedAt }) => [state, endedAt]).sort()).toEqual([
      ['cancelled', '2023-11-14T22:13:20.000Z'],
      ['done', '2023-11-14T22:13:20.000Z'],
    ]);
  });

  test('is refused when too many are not over', async () => {
    for (let i = 0; i < 100; i++)
      expect((await ask('POST', `${DELETE}?match[]=up`, 'team-m')).status).toBe(204);
    expect(await ask('POST', `${DELETE}?match[]=up`, 'team-m')).toMatchObject({ status: 422, id: null });
  });
});

test('clean_tombstones wakes the compactor', async () => {
  expect((await ask('POST', '/api/prom/api/v1/admin/tsdb/clean_tombstones', 'team-w')).status).toBe(204);
  expect(woken).toEqual(['team-w']);
});
