import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { makeFolder, pause, tailOf } from '../../e2e/processes.js';
import { startVarve } from '../../e2e/varve.js';
import { type Bucket, S3Bucket } from '../../lib/bucket/index.js';
import { startRealS3, testOptions } from '../../lib/bucket/testing/s3-server.js';
import { usageOf } from '../load/index.js';

const TENANT = 'bench';
const LOOK_MS = 200;

/** What a whole compactor process took for one job. */
export interface ProcessResult {
  readonly server: string;
  readonly samples: number;
  readonly cpuSeconds: number;
  /** From the first download to the last mark. */
  readonly seconds: number;
  readonly peakRssBytes: number;
  /** Of the process before it had work. */
  readonly idleRssBytes: number;
  readonly bytesStored: number;
  readonly requests: number;
}

/** Lets a `--target=compactor` process merge blocks on a real S3 server; null when there is no server. */
export async function compactOnS3(sources: readonly string[], waitMs: number): Promise<ProcessResult | null> {
  const server = await startRealS3();
  if (server === null) return null;
  const retry = {
    deadlineMs: 120_000,
    attemptMs: 60_000,
    firstPauseMs: 100,
    longestPauseMs: 5000,
    random: Math.random,
  };
  const bucket = await S3Bucket.open(
    testOptions(server, { prefix: 'compact', partBytes: 16 * 2 ** 20, retry }),
  );
  try {
    const varve = await startVarve({
      folder: makeFolder('compactor'),
      args: [
        '--target=compactor',
        `--bucket=s3://${server.bucket}/compact`,
        `--s3-endpoint=${server.endpoint}`,
        '--compactor-block-ranges=2h,6h',
        '--compactor-first-level-compaction-wait-period=3s',
        '--compactor-compaction-interval=1s',
        '--compactor-cleanup-interval=1s',
        '--no-compactor-downsampling-enabled',
      ],
      env: {
        AWS_ACCESS_KEY_ID: server.credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
      },
    });
    const before = usageOf(varve.pid);
    // Together, within the time that new blocks are left alone.
    for (const source of sources) await store(bucket, source, false);
    await Promise.all(sources.map((source) => store(bucket, source, true)));
    const endMs = performance.now() + waitMs;
    for (;;) {
      const done = readFileSync(varve.logFile, 'utf8')
        .split('\n')
        .filter((line) => line.includes('"job done"'))
        .map(
          (line) => JSON.parse(line) as { blocks: number; samples: number; seconds: number; result: string },
        )
        .find(({ blocks }) => blocks === sources.length);
      if (done !== undefined) {
        const after = usageOf(varve.pid);
        const metrics = await (await fetch(`${varve.url}/metrics`)).text();
        await varve.stop();
        return {
          server: server.name,
          samples: done.samples,
          cpuSeconds: (after.cpuMs - before.cpuMs) / 1000,
          seconds: done.seconds,
          peakRssBytes: after.peakRssBytes,
          idleRssBytes: before.rssBytes,
          bytesStored: await storedBytes(bucket, done.result),
          requests: sumOf(metrics, 'varve_bucket_requests_total'),
        };
      }
      if (performance.now() > endMs) throw new Error(`nothing compacted:\n${tailOf(varve.logFile)}`);
      await pause(LOOK_MS);
    }
  } finally {
    bucket.close();
    await server.stop();
  }
}

/** Stores the files of a block, or its meta.json, which comes last. */
async function store(bucket: Bucket, directory: string, isMeta: boolean): Promise<void> {
  const prefix = `${TENANT}/${basename(directory)}/`;
  for (const entry of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const path = join(directory, entry);
    if (!statSync(path).isFile() || (entry === 'meta.json') !== isMeta || entry === 'tombstones') continue;
    await bucket.put(prefix + entry, { path });
  }
}

async function storedBytes(bucket: Bucket, ulid: string): Promise<number> {
  let bytes = 0;
  for (const name of (await bucket.list(`${TENANT}/${ulid}/`)).objects) {
    bytes += (await bucket.stat(name))?.byteCount ?? 0;
  }
  return bytes;
}

function sumOf(metrics: string, name: string): number {
  return metrics
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
