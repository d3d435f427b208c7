import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { S3Bucket } from '../bucket/index.js';
import { type Fault, FaultyProxy } from '../bucket/testing/faulty-proxy.js';
import { startRealS3, startS3rver, testOptions } from '../bucket/testing/s3-server.js';
import { listTenant } from '../bucketindex/index.js';
import { SeededPrng } from '../prng/index.js';
import { NOW_MS, ShipFixture } from './testing/ship-fixture.js';

const standIn = await startS3rver();
const real = await startRealS3();
const servers = real === null ? [standIn] : [standIn, real];
process.stderr.write(`S3 servers under test: ${servers.map((server) => server.name).join(', ')}\n`);

afterAll(async () => {
  for (const server of servers) await server.stop();
});

const SEED = Number(process.env['VARVE_SEED'] ?? '3');
/** More than a part, so that uploads in several parts are interrupted too. */
const LARGE = 5 * 1024 * 1024 + 100;
const FAULTS: readonly Fault[] = [
  { kind: 'status', status: 500, code: 'InternalError' },
  { kind: 'status', status: 503, code: 'SlowDown' },
  { kind: 'status', status: 403, code: 'AccessDenied' },
  { kind: 'reset' },
  { kind: 'lostAnswer' },
  { kind: 'slow', ms: 50 },
];

describe.each(servers.map((server) => [server.name, server] as const))('shipping to %s', (_, server) => {
  let fixture: ShipFixture;
  let proxy: FaultyProxy;
  let bucket: S3Bucket;
  beforeEach(async () => {
    fixture = new ShipFixture();
    proxy = await FaultyProxy.start(server.endpoint);
    const retry = { deadlineMs: 300, attemptMs: 200, firstPauseMs: 1, longestPauseMs: 10, random: () => 1 };
    const changes = { endpoint: proxy.url, prefix: `ship/${randomUUID()}`, retry };
    bucket = await S3Bucket.open(testOptions(server, changes));
  });
  afterEach(async () => {
    proxy.plan = () => null;
    for (const name of (await bucket.list('')).objects) await bucket.delete(name);
    bucket.close();
    await proxy.stop();
    fixture.remove();
  });

  async function expectComplete(names: readonly string[]): Promise<void> {
    const { index, partials } = await listTenant(bucket, 't', null, NOW_MS);
    expect(index.blocks.map(({ ulid }) => ulid)).toEqual(names);
    expect(partials.size).toBe(0);
    for (const ulid of names) {
      for (const path of ['chunks/000001', 'index']) {
        const stored = Buffer.from(await bucket.get(`t/${ulid}/${path}`));
        expect(stored.equals(readFileSync(join(fixture.blocksFolder, 't', ulid, path)))).toBe(true);
      }
    }
  }

  test('ends complete however much fails', async () => {
    const names = [fixture.write('t'), fixture.write('t', LARGE, 1), fixture.write('t'), fixture.write('t')];
    const random = new SeededPrng(SEED);
    const { shipper } = await fixture.live(bucket);
    await shipper.start();
    proxy.plan = () => (random.nextInt(100) < 60 ? FAULTS[random.nextInt(FAULTS.length)]! : null);
    for (let i = 0; i < 8; i++) {
      await shipper.round();
      fixture.clock.advance(60_000);
    }
    proxy.plan = () => null;
    await shipper.shipNow('t').catch(() => undefined);
    await shipper.shipNow('t');
    await shipper.stop();
    expect(proxy.requests.length).toBeGreaterThan(20);
    await expectComplete(names);
  });

  test('goes on after an outage of a day', async () => {
    const names = [fixture.write('t'), fixture.write('t')];
    const { shipper } = await fixture.live(bucket);
    proxy.plan = () => ({ kind: 'status', status: 403, code: 'AccessDenied' });
    await shipper.start();
    for (let i = 0; i < 24; i++) {
      await shipper.round();
      fixture.clock.advance(3_600_000);
    }
    expect(fixture.messages('error').length).toBe(24);
    expect(fixture.messages('error')[0]).toContain('correct the credentials');
    expect(fixture.lines.at(-1)).toMatchObject({ blocks: 2, code: 'bucket-refused' });
    proxy.plan = () => null;
    await shipper.round();
    await shipper.stop();
    await expectComplete(names);
  });
});
