import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock } from '../clock/index.js';
import { loadConfig } from '../config/index.js';
import { HttpServer } from '../http/index.js';
import { ClusterMembership, MemoryStore } from '../membership/index.js';
import { Metrics, silentLogger } from '../telemetry/index.js';
import { mountRing } from './index.js';

const clock = new ManualClock(1_700_000_000_000);
let store: MemoryStore;
let server: HttpServer;
let url = '';

function member(id: string, zone: string, roles: readonly string[]): ClusterMembership {
  return new ClusterMembership({
    ...{ store, clock, logger: silentLogger },
    metrics: new Metrics({ withProcessMetrics: false, version: 'test' }),
    options: {
      ...{ cluster: 'one', id: () => id, address: `${id}:9095`, zone, roles },
      ...{ initialState: 'ACTIVE', unregisterOnStop: true, periodMs: 1000, timeoutMs: 5000, autoForgetMs: 0 },
    },
  });
}

async function json(): Promise<{ members: Record<string, unknown>[] }> {
  return (await (await fetch(url)).json()) as { members: Record<string, unknown>[] };
}

beforeEach(async () => {
  store = new MemoryStore(clock);
  const command = loadConfig(['--http-listen=127.0.0.1:0'], {});
  if (command.command !== 'run') throw new Error('not a run');
  const metrics = new Metrics({ withProcessMetrics: false, version: 'test' });
  server = new HttpServer(command.config.http, metrics, silentLogger);
  const own = member('i-<1>', 'zone-a', ['ingester', 'querier']);
  mountRing(server, own, clock, { cluster: 'one', store: 'memory', replicationFactor: 2, role: 'ingester' });
  await server.start();
  server.open();
  url = `http://127.0.0.1:${server.address.port}/ring`;
  await member('i-2', 'zone-b', ['ingester']).beat();
  await member('i-3', 'zone-b', ['ingester']).beat();
  await member('q-1', '', ['querier']).beat();
  clock.advance(7000);
  await own.beat();
});
afterEach(() => server.stop());

describe('/ring', () => {
  test('shows members and their share of the shards', async () => {
    const { members, ...rest } = await json();
    expect(rest).toEqual({ cluster: 'one', store: 'memory', isFrozen: false, replicationFactor: 2 });
    const shown = members.map(({ id, isSelf, isAlive, heartbeatAgeMs }) => [
      id,
      isSelf,
      isAlive,
      heartbeatAgeMs,
    ]);
    expect(shown).toEqual([
      ['i-2', false, false, 7000],
      ['i-3', false, false, 7000],
      ['i-<1>', true, true, 0],
      ['q-1', false, false, 7000],
    ]);
    // One zone has one ingester: a replica of each shard. The dead keep theirs until they are forgotten.
    expect([members[2]!['shardShare'], members[3]!['shardShare']]).toEqual([0.5, 0]);
    expect((members[0]!['shards'] as number) + (members[1]!['shards'] as number)).toBe(4096);
  });

  test('is a page for browsers, and names are only text there', async () => {
    for (const page of [
      await fetch(url, { headers: { accept: 'text/html' } }),
      await fetch(`${url}?format=html`),
    ]) {
      expect(page.headers.get('content-type')).toContain('text/html');
      const text = await page.text();
      expect(text).toContain('i-&lt;1> (this process)');
      expect(text).toContain('<button name="forget" value="i-2">');
      expect(text).not.toContain('value="i-&lt;1>"');
    }
    expect(
      (await fetch(`${url}?format=json`, { headers: { accept: 'text/html' } })).headers.get('content-type'),
    ).toBe('application/json');
  });

  test.each([
    ['in the query string', '?forget=i-2', null],
    ['as a form', '', 'forget=i-2'],
  ])('a POST forgets a dead member, named %s', async (_name, search, body) => {
    expect((await fetch(url + search, { method: 'POST', body })).status).toBe(200);
    const { members } = await json();
    expect(members.map(({ id }) => id)).toEqual(['i-3', 'i-<1>', 'q-1']);
    expect(members[0]!['shards']).toBe(4096);
    expect(await store.read('i-2')).toBeNull();
  });

  test.each([
    ['?forget=i-%3C1%3E', 400, 'is alive'],
    ['?forget=nobody', 400, 'there is no member "nobody"'],
    ['', 400, 'forget=ID'],
  ])('refuses POST %s', async (search, status, message) => {
    const response = await fetch(url + search, { method: 'POST' });
    expect([response.status, await response.text()]).toEqual([status, expect.stringContaining(message)]);
  });
});
