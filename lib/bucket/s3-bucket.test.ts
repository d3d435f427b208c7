import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Bucket } from './bucket.js';
import { type BucketRequest, S3Bucket } from './s3-bucket.js';
import { describeBucketContract } from './testing/contract.js';
import { type Fault, FaultyProxy } from './testing/faulty-proxy.js';
import { type S3Server, startRealS3, startS3rver, testOptions } from './testing/s3-server.js';

const standIn = await startS3rver();
const real = await startRealS3();
const servers = real === null ? [standIn] : [standIn, real];
process.stderr.write(`S3 servers under test: ${servers.map((server) => server.name).join(', ')}\n`);
if (real === null) {
  process.stderr.write('no real S3 server: give S3_ENDPOINT, or put minio or versitygw on the PATH\n');
}

afterAll(async () => {
  for (const server of servers) await server.stop();
});

for (const server of servers) {
  describeBucketContract(
    `S3Bucket on ${server.name}`,
    async () => {
      // Every test has a prefix of its own, so that servers that live longer than a run stay usable.
      const bucket = await S3Bucket.open(testOptions(server, { prefix: `contract/${randomUUID()}` }));
      return { bucket, remove: () => removeAll(bucket) };
    },
    server.knowsConditions,
  );
  describe(`S3Bucket on ${server.name}`, () => faultTests(server));
}

async function removeAll(bucket: Bucket): Promise<void> {
  for (const name of (await bucket.list('')).objects) await bucket.delete(name);
  bucket.close();
}

function faultTests(server: S3Server): void {
  let proxy: FaultyProxy;
  let bucket: S3Bucket;
  let requests: BucketRequest[];

  beforeAll(async () => {
    proxy = await FaultyProxy.start(server.endpoint);
  });
  beforeEach(async () => {
    requests = [];
    bucket = await S3Bucket.open(
      testOptions(server, {
        endpoint: proxy.url,
        prefix: `faults/${randomUUID()}`,
        observe: (request) => requests.push(request),
      }),
    );
  });
  afterEach(async () => {
    proxy.plan = () => null;
    await removeAll(bucket);
  });
  afterAll(() => proxy.stop());

  /** Breaks the first `count` requests of a method. */
  function breakFirst(count: number, method: string, fault: Fault): void {
    let left = count;
    proxy.plan = (each) => (each === method && left-- > 0 ? fault : null);
  }

  const PASSING: readonly (readonly [string, Fault])[] = [
    ['500', { kind: 'status', status: 500, code: 'InternalError' }],
    ['503', { kind: 'status', status: 503, code: 'SlowDown' }],
    ['429', { kind: 'status', status: 429, code: 'TooManyRequests' }],
    ['a reset connection', { kind: 'reset' }],
    ['a lost answer', { kind: 'lostAnswer' }],
  ];

  test.each(PASSING)('survives %s', async (_, fault) => {
    breakFirst(3, 'PUT', fault);
    await bucket.put('x', Buffer.from('content'));
    breakFirst(3, 'GET', fault);
    expect(Buffer.from(await bucket.get('x')).toString()).toBe('content');
    breakFirst(3, 'GET', fault);
    expect((await bucket.list('')).objects).toEqual(['x']);
    breakFirst(3, 'DELETE', fault);
    await bucket.delete('x');
    expect(await bucket.stat('x')).toBeNull();
    expect(requests.filter(({ ok }) => !ok).length).toBeGreaterThanOrEqual(12);
  });

  test('reads a truncated body again', async () => {
    await bucket.put('x', Buffer.alloc(100_000, 'varve'));
    breakFirst(2, 'GET', { kind: 'truncate', bytes: 50_000 });
    expect((await bucket.get('x')).length).toBe(100_000);
    breakFirst(2, 'GET', { kind: 'truncate', bytes: 10 });
    expect((await bucket.getRange('x', 50, 1000)).length).toBe(1000);
  });

  test('gives an answer that takes too long up, and tries again', async () => {
    await bucket.put('x', Buffer.alloc(100_000, 'varve'));
    breakFirst(1, 'GET', { kind: 'slow', ms: 10_000 });
    expect((await bucket.get('x')).length).toBe(100_000);
    expect(requests.filter(({ operation }) => operation === 'get').map(({ ok }) => ok)).toEqual([
      false,
      true,
    ]);
  });

  test('ends when the deadline is over, with the last reason', async () => {
    const quick = await S3Bucket.open(
      testOptions(server, {
        endpoint: proxy.url,
        retry: { deadlineMs: 1000, attemptMs: 500, firstPauseMs: 5, longestPauseMs: 20, random: () => 1 },
      }),
    );
    proxy.plan = () => ({ kind: 'status', status: 503, code: 'SlowDown' });
    await expect(quick.get('x')).rejects.toMatchObject({
      kind: 'unavailable',
      code: 'bucket-unavailable',
      message: expect.stringMatching(
        /^cannot read x: 503 SlowDown: injected; check state and load of the store \(\d+ attempts in 1 s\)$/,
      ),
    });
    quick.close();
  });

  test.each([
    [{ kind: 'reset' }, 'the connection broke (ECONNRESET)'],
    [{ kind: 'resetBody', bytes: 2 }, 'the connection broke (ECONNRESET)'],
    [{ kind: 'silence' }, 'no answer in time'],
  ] as const)('says in plain words what happened: %j', async (fault, what) => {
    await bucket.put('x', Buffer.from('content'));
    const quick = await S3Bucket.open(
      testOptions(server, {
        endpoint: proxy.url,
        retry: { deadlineMs: 300, attemptMs: 200, firstPauseMs: 5, longestPauseMs: 20, random: () => 1 },
      }),
    );
    proxy.plan = () => fault;
    const message = `cannot read x: ${what}; check that the store runs and can be reached (--s3-endpoint)`;
    await expect(quick.get('x')).rejects.toMatchObject({ message: expect.stringContaining(message) });
    quick.close();
  });

  test('does not repeat what was refused, and tells what to do', async () => {
    proxy.plan = () => ({ kind: 'status', status: 403, code: 'AccessDenied' });
    const before = proxy.requests.length;
    await expect(bucket.get('x')).rejects.toMatchObject({
      kind: 'unavailable',
      code: 'bucket-refused',
      message: expect.stringContaining('give the credentials read, write, list and delete rights'),
    });
    expect(proxy.requests.length - before).toBe(1);
  });

  test('names a missing bucket', async () => {
    const other = await S3Bucket.open(testOptions(server, { bucket: 'no-such-bucket' }));
    await expect(other.get('x')).rejects.toMatchObject({
      code: 'bucket-refused',
      message: expect.stringContaining('create the bucket, or correct --bucket'),
    });
    other.close();
  });

  test('sends large objects in parts that may break', async () => {
    const content = Buffer.alloc(12 * 1024 * 1024);
    for (let i = 0; i < content.length; i += 4) content.writeUInt32LE((i * 2654435761) >>> 0, i);
    breakFirst(2, 'PUT', { kind: 'lostAnswer' });
    await bucket.put('large', content);
    expect(digest(await bucket.get('large'))).toBe(digest(content));
    expect(requests.filter(({ operation, ok }) => operation === 'putPart' && ok).length).toBe(3);
  });

  test('leaves neither object nor upload behind when the source of a large object breaks', async () => {
    const failing = Readable.from(
      (function* () {
        for (let i = 0; i < 12; i++) yield Buffer.alloc(1024 * 1024);
        throw new Error('source broke');
      })(),
    );
    await expect(bucket.put('large', failing)).rejects.toThrow('source broke');
    expect(await bucket.stat('large')).toBeNull();
    expect(await bucket.removeAbandonedUploads(Date.now() + 60_000)).toBe(0);
  });

  if (server.name === 's3rver') return; // It forgets completed uploads, and answers 500 from then on.

  test('takes a completed upload as done when the answer was lost', async () => {
    let left = 1;
    proxy.plan = (method, url) =>
      method === 'POST' && url.includes('uploadId=') && left-- > 0 ? { kind: 'lostAnswer' } : null;
    await bucket.put('large', Buffer.alloc(6 * 1024 * 1024, 1));
    expect((await bucket.stat('large'))?.byteCount).toBe(6 * 1024 * 1024);
  });
}

function digest(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
