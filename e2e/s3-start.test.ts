import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Fault } from '../lib/bucket/testing/faulty-proxy.js';
import { call } from './answers.js';
import { freePort, stopAll, waitFor } from './processes.js';
import { type S3Peer, startS3 } from './s3.js';
import { startVarve } from './varve.js';
import { pushSeries } from './wire.js';

/**
 * A Varve whose bucket cannot be used when it starts: wrong keys, a wrong name, a store that is away. It starts, takes
 * samples and keeps them; log and queries say what is wrong and what to do about it; as soon as the bucket can be used,
 * queries are answered.
 */

const ARGS = ['--s3-request-timeout=1s', '--s3-deadline=2s', '--compactor-cleanup-interval=1s'];
const refused = (code: string): Fault => ({ kind: 'status', status: 403, code });

interface Trouble {
  readonly name: string;
  readonly args?: (port: number) => readonly string[];
  readonly bucket?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Passes by itself during the test. */
  readonly fault?: Fault;
  readonly says: RegExp;
  /** The stand-in does not look at signatures. */
  readonly needsRealS3?: boolean;
}

const TROUBLES: readonly Trouble[] = [
  {
    name: 'an unknown access key',
    env: { AWS_ACCESS_KEY_ID: 'unknown' },
    says: /InvalidAccessKeyId.*; correct the access key/,
  },
  {
    name: 'a wrong secret key',
    env: { AWS_SECRET_ACCESS_KEY: 'wrong' },
    says: /SignatureDoesNotMatch.*; correct the secret key/,
    needsRealS3: true,
  },
  {
    name: 'no credentials',
    env: {
      AWS_ACCESS_KEY_ID: '',
      AWS_SECRET_ACCESS_KEY: '',
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/nonexistent',
      AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
    },
    says: /; give credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/,
  },
  {
    name: 'a bucket that is not there',
    bucket: 's3://varve-nowhere/prefix',
    says: /NoSuchBucket.*; create the bucket, or correct --bucket/,
  },
  {
    name: 'no server at the endpoint',
    args: (port) => [`--s3-endpoint=http://127.0.0.1:${port}`],
    says: /ECONNREFUSED.*; check that the store runs and can be reached \(--s3-endpoint\)/,
  },
  {
    name: 'a store that does not answer',
    fault: { kind: 'silence' },
    says: /no answer in time; check that the store runs and can be reached/,
  },
  {
    name: 'missing rights',
    fault: refused('AccessDenied'),
    says: /403 AccessDenied.*; give the credentials read, write, list and delete rights/,
  },
  {
    name: 'a clock that is wrong',
    fault: refused('RequestTimeTooSkewed'),
    says: /RequestTimeTooSkewed.*; set the clock of this machine/,
  },
];

describe('a bucket that cannot be used at the start', () => {
  let s3: S3Peer;

  beforeAll(async () => {
    s3 = await startS3('start');
  });

  afterAll(async () => {
    await stopAll();
    await s3?.stop();
  });

  test.each(TROUBLES.map((trouble) => [trouble.name, trouble] as const))('%s', async (_, trouble) => {
    if (trouble.needsRealS3 === true && s3.name === 's3rver') {
      process.stderr.write(`SKIPPED: ${trouble.name}, which only a real S3 server refuses\n`);
      return;
    }
    s3.proxy.plan = () => trouble.fault ?? null;
    const varve = await startVarve({
      bucket: trouble.bucket ?? s3.bucketUrl,
      env: { ...s3.env, ...trouble.env },
      args: [...s3.args, ...ARGS, ...(trouble.args?.(await freePort()) ?? [])],
    });
    const nowMs = Date.now();
    const pushed = await pushSeries(varve.pushUrl, [
      { labels: [['__name__', 'kept']], samples: [{ value: 7, timestampMs: nowMs }] },
    ]);
    expect([Math.floor(pushed.status / 100), pushed.text]).toEqual([2, '']);
    await waitFor(
      'a line of the log',
      async () => trouble.says.test(readFileSync(varve.logFile, 'utf8')),
      10_000,
    );
    const ask = () => call(varve.api, 'query', { query: 'kept', time: String(nowMs / 1000) });
    const { status, body } = await ask();
    expect([status, body.errorType]).toEqual([503, 'unavailable']);
    expect(body.error).toMatch(trouble.says);
    if (trouble.fault !== undefined) {
      s3.proxy.plan = () => null;
      await waitFor('an answer', async () => (await ask()).status === 200, 15_000);
      expect(JSON.stringify((await ask()).body.data)).toContain('"7"');
    }
    expect(await varve.stop()).toBe(0);
  });
});
