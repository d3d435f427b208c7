import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { VarveError } from '../errors/index.js';
import { Metrics, silentLogger } from '../telemetry/index.js';
import { mountPush, PUSH_PATHS } from './push-route.js';
import type { PushOutcome } from './push-service.js';
import { HttpServer } from './server.js';

const OPTIONS = {
  listen: '127.0.0.1:0',
  maxConnections: 50,
  headersTimeoutMs: 150,
  bodyTimeoutMs: 150,
  idleTimeoutMs: 5000,
  shutdownTimeoutMs: 300,
  corsOrigin: 'https://.*[.]example[.]org',
};
const TENANT = { multitenancy: true, defaultTenant: 'anonymous' };

let metrics: Metrics;
let server: HttpServer;
let base = '';
let pushed: { tenant: string; byteLength: number; text: string }[] = [];
let outcome: PushOutcome | Error = { status: 200, message: '', retryAfterSeconds: 0 };
let release: () => void = () => {};

beforeEach(async () => {
  pushed = [];
  outcome = { status: 200, message: '', retryAfterSeconds: 0 };
  metrics = new Metrics({ withProcessMetrics: false, version: 'test' });
  server = new HttpServer(OPTIONS, metrics, silentLogger);
  const service = {
    push: async (tenant: string, body: readonly Uint8Array[], byteLength: number) => {
      pushed.push({ tenant, byteLength, text: Buffer.concat(body).toString() });
      if (outcome instanceof Error) throw outcome;
      return outcome;
    },
  };
  mountPush(server, service, { bodyBytesMax: 1000, inflightBytesMax: 1500, tenant: TENANT }, metrics);
  server.hot(['GET'], '/slow', async (exchange) => {
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    exchange.sendText(200, 'done');
  });
  server.route(['GET'], '/fails/:how', ({ params }) => {
    throw params['how'] === 'bug' ? new Error('oops') : new VarveError('unavailable', 'x', 'later');
  });
  server.route(['GET'], '/alive', (exchange) => exchange.sendText(200, 'yes'), 'always');
  await server.start();
  base = `http://127.0.0.1:${server.address.port}`;
});

afterEach(() => server.stop());

const HEADERS = {
  'X-Scope-OrgID': 'a',
  'Content-Type': 'application/x-protobuf',
  'Content-Encoding': 'snappy',
};

async function push(headers: Record<string, string> = {}, body = 'body', path = '/api/v1/push') {
  const all: Record<string, string> = { ...HEADERS, ...headers };
  for (const name of Object.keys(all)) if (all[name] === '') delete all[name];
  const response = await fetch(base + path, { method: 'POST', headers: all, body: Buffer.from(body) });
  return [response.status, await response.text(), response.headers.get('retry-after')];
}

/** Sends raw text and resolves with all that came back when the server closes. */
function talk(text: string): { socket: Socket; answer: Promise<string> } {
  const socket = connect(server.address.port, '127.0.0.1', () => socket.write(text));
  const answer = new Promise<string>((resolve) => {
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk.toString();
    });
    socket.on('close', () => resolve(received));
    socket.on('error', () => {});
  });
  return { socket, answer };
}

/** Waits until the metrics hold a line, letting the event loop turn in between. */
async function until(line: string): Promise<void> {
  while (!(await metrics.render()).includes(`${line}\n`))
    await new Promise((resolve) => setImmediate(resolve));
}

describe('push', () => {
  beforeEach(() => server.open());

  test.each(PUSH_PATHS)('%s hands the body to the service', async (path) => {
    expect(await push({}, 'payload', path)).toEqual([200, '', null]);
    expect(pushed).toEqual([{ tenant: 'a', byteLength: 7, text: 'payload' }]);
  });

  test.each<[Record<string, string>, number]>([
    [{ 'Content-Type': 'application/x-protobuf;proto=prometheus.WriteRequest' }, 200],
    [{ 'Content-Type': ' application/x-protobuf ; proto = prometheus.WriteRequest ' }, 200],
    [{ 'Content-Type': '' }, 200],
    [{ 'Content-Type': ' ' }, 200],
    [{ 'Content-Encoding': '' }, 200],
    [{ 'Content-Type': 'application/json' }, 415],
    [{ 'Content-Type': 'image/png' }, 415],
    [{ 'Content-Type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request' }, 415],
    [{ 'Content-Type': 'application/x-protobuf;proto=' }, 415],
    [{ 'Content-Encoding': 'gzip' }, 415],
    [{ 'Content-Encoding': 'deflate' }, 415],
    [{ 'X-Scope-OrgID': '' }, 401],
    [{ 'X-Scope-OrgID': 'a|b' }, 400],
  ])('headers %j give %d', async (headers, status) => {
    expect((await push(headers))[0]).toBe(status);
    expect(pushed).toHaveLength(status === 200 ? 1 : 0);
  });

  test('a declared body over the limit is refused before it is read', async () => {
    expect(await push({}, 'x'.repeat(1001))).toEqual([
      413,
      'request body exceeds the 1000 bytes limit\n',
      null,
    ]);
  });

  test('a chunked body over the limit is refused when it is reached, and the connection lives on', async () => {
    const head =
      'POST /api/v1/push HTTP/1.1\r\nHost: x\r\nX-Scope-OrgID: a\r\nTransfer-Encoding: chunked\r\n\r\n';
    const chunk = `3e8\r\n${'x'.repeat(1000)}\r\n`;
    const last = 'GET /alive HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    const answer = await talk(`${head}${chunk}${chunk}0\r\n\r\n${last}`).answer;
    expect(answer).toContain('HTTP/1.1 413');
    expect(answer).toContain('yes');
  });

  test.each<[PushOutcome | Error, unknown[]]>([
    [{ status: 204, message: '', retryAfterSeconds: 0 }, [204, '', null]],
    [{ status: 400, message: 'bad sample', retryAfterSeconds: 0 }, [400, 'bad sample\n', null]],
    [{ status: 429, message: 'slow down', retryAfterSeconds: 3 }, [429, 'slow down\n', '3']],
    [{ status: 503, message: '', retryAfterSeconds: 1 }, [503, '\n', '1']],
    [new VarveError('unavailable', 'wal', 'disk full'), [503, 'disk full\n', null]],
    [new Error('bug'), [500, 'bug\n', null]],
  ])('the outcome %j is passed on', async (value, expected) => {
    outcome = value;
    expect(await push()).toEqual(expected);
  });

  test('a long message is cut at a character below 1 KiB', async () => {
    outcome = { status: 400, message: 'ä'.repeat(2000), retryAfterSeconds: 0 };
    const [, text] = await push();
    expect(text).toBe(`${'ä'.repeat(500)}\n`);
  });

  test('requests that would hold too many bytes together get 503', async () => {
    const first = talk(
      'POST /api/v1/push HTTP/1.1\r\nHost: x\r\nX-Scope-OrgID: a\r\nContent-Length: 1000\r\n\r\nstart',
    );
    await until('varve_push_inflight_bytes 1000');
    expect(await push({}, 'x'.repeat(600))).toEqual([
      503,
      'too many push requests in flight (push.max_inflight_bytes), try again\n',
      '1',
    ]);
    expect((await push({}, 'x'.repeat(500)))[0]).toBe(200);
    first.socket.destroy();
    await first.answer;
    await until('varve_push_inflight_bytes 0');
  });

  test('GET is not allowed', async () => {
    const response = await fetch(`${base}/api/v1/push`);
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'OPTIONS, POST']);
  });
});

describe('slow clients', () => {
  beforeEach(() => server.open());

  test('that do not finish their headers are closed', async () => {
    expect(await talk('POST /api/v1/push HTTP/1.1\r\nHost: x\r\n').answer).toContain('408 Request Timeout');
  });

  test('that do not finish their body are closed', async () => {
    const text = 'POST /api/v1/push HTTP/1.1\r\nHost: x\r\nX-Scope-OrgID: a\r\nContent-Length: 100\r\n\r\nx';
    expect(await talk(text).answer).toContain('408 Request Timeout');
    expect(pushed).toEqual([]);
  });

  test('with huge headers are refused', async () => {
    const answer = await talk(`GET /alive HTTP/1.1\r\nHost: x\r\nX-Big: ${'x'.repeat(20_000)}\r\n\r\n`)
      .answer;
    expect(answer).toContain('431');
  });
});

describe('life', () => {
  test('routes wait for open(), except those that always answer', async () => {
    expect((await push())[0]).toBe(503);
    expect((await fetch(`${base}/fails/bug`)).status).toBe(503);
    expect(await (await fetch(`${base}/alive`)).text()).toBe('yes\n');
    server.open();
    expect((await push())[0]).toBe(200);
  });

  test('errors become short texts with the status of their kind', async () => {
    server.open();
    const bug = await fetch(`${base}/fails/bug`);
    expect([bug.status, await bug.text()]).toEqual([500, 'oops\n']);
    expect((await fetch(`${base}/fails/later`)).status).toBe(503);
    expect((await fetch(`${base}/fails/%ff`)).status).toBe(400);
  });

  test('a stop lets running requests finish and refuses new connections', async () => {
    server.open();
    const running = fetch(`${base}/slow`);
    await until('varve_http_connections 1');
    const stopped = server.stop();
    await expect(fetch(`${base}/alive`)).rejects.toThrow();
    release();
    const response = await running;
    expect([await response.text(), response.headers.get('connection')]).toEqual(['done\n', 'close']);
    await stopped;
  });

  test('a stop cuts off requests that take too long', async () => {
    server.open();
    const running = fetch(`${base}/slow`).catch(() => 'cut off');
    await until('varve_http_connections 1');
    await server.stop();
    expect(await running).toBe('cut off');
  });

  test('requests are counted by route and status', async () => {
    server.open();
    await push();
    await push({}, 'x'.repeat(1001));
    await fetch(`${base}/fails/bug`);
    await fetch(`${base}/nowhere`);
    const text = await metrics.render();
    expect(text).toContain('varve_http_requests_total{route="/api/v1/push",status="200"} 1');
    expect(text).toContain('varve_http_requests_total{route="/api/v1/push",status="413"} 1');
    expect(text).toContain('varve_http_requests_total{route="/fails/:how",status="500"} 1');
    expect(text).toContain('varve_http_requests_total{route="other",status="404"} 1');
    expect(text).toContain('varve_http_request_duration_seconds_count{route="/api/v1/push"} 2');
  });
});

describe('pages of other origins', () => {
  test.each([
    ['https://grafana.example.org', 'https://grafana.example.org'],
    ['https://example.com', null],
    ['', null],
  ])('from %s', async (origin, allowed) => {
    const headers: Record<string, string> = origin === '' ? {} : { Origin: origin };
    for (const [method, path] of [
      ['GET', '/alive'],
      ['OPTIONS', '/alive'],
      ['OPTIONS', '/slow'],
    ]) {
      const response = await fetch(`${base}${path}`, { method: method!, headers });
      expect(response.status).toBe(method === 'GET' ? 200 : 204);
      expect(response.headers.get('access-control-allow-origin')).toBe(allowed);
      expect(response.headers.get('vary')).toBe(origin === '' ? null : 'Origin');
    }
  });

  test.each([
    ['.*', 'null'],
    ['', null],
  ])('with the setting "%s" everyone gets %s', async (corsOrigin, allowed) => {
    const otherMetrics = new Metrics({ withProcessMetrics: false, version: 'test' });
    const other = new HttpServer({ ...OPTIONS, corsOrigin }, otherMetrics, silentLogger);
    await other.start();
    const response = await fetch(`http://127.0.0.1:${other.address.port}/`, { headers: { Origin: 'null' } });
    expect(response.headers.get('access-control-allow-origin')).toBe(allowed);
    await other.stop();
  });
});
