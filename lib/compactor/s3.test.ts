import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Bucket, S3Bucket } from '../bucket/index.js';
import { FaultyProxy } from '../bucket/testing/faulty-proxy.js';
import { type S3Server, startRealS3, startS3rver, testOptions } from '../bucket/testing/s3-server.js';
import { SeededPrng } from '../prng/index.js';
import { HOUR, sampleCount, TENANT, TenantFixture } from './testing/tenant-fixture.js';

/** Whole rounds on an S3 server, with a proxy between that breaks a part of the requests. */

const [standIn, real] = await Promise.all([startS3rver(), startRealS3()]);
const servers = real === null ? [standIn] : [standIn, real];

let proxy: FaultyProxy;
let direct: Bucket;
let faulty: Bucket;
let fixture: TenantFixture;

afterAll(() => Promise.all(servers.map((server) => server.stop())));

async function prepare(server: S3Server): Promise<void> {
  fixture = new TenantFixture();
  proxy = await FaultyProxy.start(server.endpoint);
  const options = testOptions(server, { prefix: `compactor/${randomUUID()}` });
  direct = await S3Bucket.open(options);
  faulty = await S3Bucket.open({ ...options, endpoint: proxy.url });
  for (let range = 0; range < 4; range++) for (const replica of [0, 1]) fixture.write(range, replica);
  for (const name of (await fixture.bucket.list('')).objects) {
    await direct.put(name, await fixture.bucket.get(name));
  }
  // The stand-in finds no prefix that has nothing right below it.
  await direct.put(`${TENANT}/note`, Buffer.from('x'));
}

afterEach(async () => {
  direct.close();
  faulty.close();
  await proxy.stop();
  fixture.remove();
});

/** Brings what stands in S3 into the folder, where the fixture can look at it. */
async function fetchAll(): Promise<void> {
  rmSync(join(fixture.bucketFolder, TENANT), { recursive: true });
  for (const name of (await direct.list('')).objects) {
    const path = join(fixture.bucketFolder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, await direct.get(name));
  }
}

describe.each(servers)('the compactor on $name', (server) => {
  beforeEach(() => prepare(server));

  test('does its work through errors, resets, lost answers and cut bodies', async () => {
    const expected = await fixture.rawContent();
    const random = new SeededPrng(7);
    let faults = 0;
    proxy.plan = () => {
      const draw = random.nextInt(40);
      if (draw > 4) return null;
      faults++;
      return (
        [
          { kind: 'status', status: 503, code: 'SlowDown' },
          { kind: 'status', status: 500, code: 'InternalError' },
          { kind: 'reset' },
          { kind: 'lostAnswer' },
          { kind: 'truncate', bytes: 50 },
        ] as const
      )[draw]!;
    };
    const compactor = fixture.compactor({}, { bucket: faulty });
    for (let round = 0; round < 5; round++) {
      await compactor.cleanOnce();
      await compactor.compactOnce();
      fixture.clock.advance(5 * 60_000);
    }
    await compactor.cleanOnce();
    expect(faults).toBeGreaterThan(20);
    await fetchAll();
    const visible = await fixture.visible();
    expect([...visible].map(([resolution, names]) => [resolution, names.length])).toEqual([
      [0, 2],
      [300_000, 2],
      [HOUR, 1],
      [24 * HOUR, 1],
    ]);
    expect(await fixture.rawContent()).toEqual(expected);
    expect(await fixture.storedSamples()).toBe(sampleCount(expected));
  }, 60_000);

  test('changes nothing while it is refused, says so, and goes on afterwards', async () => {
    const expected = await fixture.rawContent();
    const before = (await direct.list('')).objects;
    proxy.plan = (method) =>
      method === 'PUT' ? { kind: 'status', status: 403, code: 'AccessDenied' } : null;
    const compactor = fixture.compactor({}, { bucket: faulty });
    expect(await compactor.cleanOnce()).toBe(1);
    expect(await compactor.compactOnce()).toBe(0);
    expect((await direct.list('')).objects).toEqual(before);
    proxy.plan = () => null;
    fixture.clock.advance(HOUR);
    expect(await compactor.compactOnce()).toBe(6);
    await fetchAll();
    expect(await fixture.rawContent()).toEqual(expected);
  }, 60_000);
});
