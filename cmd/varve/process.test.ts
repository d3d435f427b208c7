import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Config, loadConfig } from '../../lib/config/index.js';
import { silentLogger } from '../../lib/telemetry/index.js';
import { buildProcess, type VarveProcess } from './process.js';
import { buildStorage, type Storage, type StorageParts } from './storage.js';

let folder = '';
let running: VarveProcess;
let base = '';
let flushed: string[] = [];
let configs = 0;

function configOf(...flags: string[]): Config {
  const own = [`--data-dir=${join(folder, `data-${configs++}`)}`, `--bucket=file:${join(folder, 'bucket')}`];
  const commandLine = loadConfig([...own, '--http-listen=127.0.0.1:0', ...flags], {});
  if (commandLine.command !== 'run') throw new Error('not a configuration');
  return commandLine.config;
}

/** Storage that takes pushes and flushes, beside the bucket. */
async function testStorage(parts: StorageParts): Promise<Storage> {
  const storage = await buildStorage(parts);
  return {
    ...storage,
    push: { push: async (tenant) => ({ status: 200, message: tenant, retryAfterSeconds: 0 }) },
    flush: async (tenant) => flushed.push(tenant),
  };
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varve-process-'));
  const runtimeFile = join(folder, 'runtime.yaml');
  writeFileSync(runtimeFile, 'overrides: {a: {max_label_names_per_series: 7}}');
  running = await buildProcess(configOf(`--runtime-config=${runtimeFile}`), silentLogger, {
    buildStorage: testStorage,
    queryWorkerScript: new URL('../../lib/querier/testing/stub-worker.js', import.meta.url),
    withProcessMetrics: false,
  });
  await running.group.start();
  base = `http://127.0.0.1:${running.server.address.port}`;
});

afterAll(async () => {
  expect(await running.group.stop()).toBe(true);
  rmSync(folder, { recursive: true });
});

describe('a process', () => {
  test.each([
    ['/ready', 'ready\n'],
    ['/-/ready', 'ready\n'],
    ['/prometheus/-/ready', 'ready\n'],
    ['/api/prom/-/ready', 'ready\n'],
    ['/-/healthy', 'Varve is healthy.\n'],
    ['/prometheus/-/healthy', 'Varve is healthy.\n'],
    ['/metrics', 'varve_build_info{version="'],
    ['/metrics', 'varve_query_threads '],
    ['/config', 'listen: 127.0.0.1:0'],
    ['/runtime_config', 'max_label_names_per_series: 7'],
    ['/version', '"version":"'],
    ['/', '<a href="/ready">'],
    ['/prometheus/api/v1/query?query=1%2B1&time=4', '"result":[4,"2"]'],
    ['/prometheus/api/v1/status/buildinfo', '"application":"Varve"'],
  ])('answers %s', async (path, part) => {
    const response = await fetch(base + path);
    expect(await response.text()).toContain(part);
    expect(response.status).toBe(200);
  });

  test('takes pushes for the default tenant', async () => {
    const response = await fetch(`${base}/api/v1/push`, {
      method: 'POST',
      body: 'x',
      headers: { 'Content-Type': '' },
    });
    expect([response.status, await response.text()]).toEqual([200, 'anonymous\n']);
  });

  test.each([
    ['', 204, ['']],
    ['?tenant=a', 204, ['a']],
    ['?tenant=a/b', 400, []],
  ])('flushes on POST /ingester/flush%s', async (search, status, expected) => {
    flushed = [];
    const response = await fetch(`${base}/ingester/flush${search}`, { method: 'POST' });
    expect(response.status).toBe(status);
    expect(flushed).toEqual(expected);
  });

  test('is not ready while it starts and when it stops', async () => {
    const states: string[] = [];
    const observe = async () => {
      const { status } = await fetch(`http://127.0.0.1:${other.server.address.port}/ready`);
      states.push(`${other.group.state} ${status}`);
    };
    const other = await buildProcess(configOf(), silentLogger, {
      withProcessMetrics: false,
      buildStorage: async (parts) => ({ ...(await buildStorage(parts)), start: observe }),
    });
    await other.group.start();
    await observe();
    await other.group.stop();
    expect(states).toEqual(['starting 503', 'running 200']);
    await expect(observe()).rejects.toThrow();
  });

  test('fails to start when its port is taken', async () => {
    const config = configOf(`--http-listen=127.0.0.1:${running.server.address.port}`);
    const other = await buildProcess(config, silentLogger, { withProcessMetrics: false });
    await expect(other.group.start()).rejects.toThrow('EADDRINUSE');
  });
});

describe('a process that is only a compactor', () => {
  let compactor: VarveProcess;
  let url = '';

  beforeAll(async () => {
    const config = configOf('--target=compactor', '--instance-id=c-1');
    compactor = await buildProcess(config, silentLogger, { withProcessMetrics: false });
    await compactor.group.start();
    url = `http://127.0.0.1:${compactor.server.address.port}`;
  });

  afterAll(async () => {
    expect(await compactor.group.stop()).toBe(true);
    expect(existsSync(join(folder, 'bucket/__varve_cluster/members/c-1.json'))).toBe(false);
  });

  test.each([
    ['/ready', 200, 'ready\n'],
    ['/-/healthy', 200, 'Varve is healthy.\n'],
    ['/config', 200, 'instance_id: c-1'],
    ['/metrics', 200, 'varve_compactor_runs_started_total 1'],
    ['/metrics', 200, 'varve_membership_members{role="compactor",state="ACTIVE",alive="true"} '],
    ['/compactor/jobs', 200, '"jobs":[]'],
    ['/compactor/tenants', 200, '"tenants":[]'],
    ['/ring', 200, '{"id":"c-1",'],
    ['/ring?format=html', 200, 'c-1 (this process)'],
    ['/ingester/flush', 501, 'this process has no ingester'],
    ['/api/v1/push', 501, 'takes no samples'],
    ['/prometheus/api/v1/query?query=1', 501, 'answers no queries'],
    ['/prometheus/-/ready', 200, 'ready\n'],
    ['/nothing', 404, '404'],
  ])('answers %s with %d', async (path, status, part) => {
    const response = await fetch(url + path);
    expect([response.status, await response.text()]).toEqual([status, expect.stringContaining(part)]);
  });

  test('starts no ingester and no query threads', async () => {
    expect(await (await fetch(`${url}/metrics`)).text()).not.toMatch(/varve_(ingester|query)/);
    expect(compactor.group.order).not.toContain('query-threads');
  });

  test('keeps a second one off its folder', async () => {
    const config = { ...configOf('--target=compactor'), dataDir: join(folder, `data-${configs - 1}`) };
    const first = await buildProcess(config, silentLogger, { withProcessMetrics: false });
    await first.group.start();
    const second = await buildProcess(config, silentLogger, { withProcessMetrics: false });
    await expect(second.group.start()).rejects.toMatchObject({ code: 'data-dir-locked' });
    await first.group.stop();
  });
});
