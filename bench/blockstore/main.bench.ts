import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlockStore, DEFAULT_FETCH_OPTIONS, QueryReads } from '../../lib/blockstore/index.js';
import { type Bucket, FolderBucket, S3Bucket } from '../../lib/bucket/index.js';
import { startRealS3, testOptions } from '../../lib/bucket/testing/s3-server.js';
import { codecKernel } from '../../lib/kernel/index.js';
import { createMatcher, type Matcher, type MatchType } from '../../lib/matcher/index.js';
import { ArrayArena, type Queryable, type SelectHints } from '../../lib/storage/index.js';
import { BlockQueryable, BlockReader, BlockWriter } from '../../lib/tsdb/block/index.js';

/**
 * What queries of a block in a bucket cost: `node dist/bench/blockstore/main.bench.js [series] [delay ms]`. Writes a block of
 * 24 hours (a sample a minute), puts it on a real S3 server on this machine (see lib/bucket/testing) and selects from it:
 * requests and bytes, time with cold and warm caches, and time of the same select on local files. A delay is added
 * to each request in place of a network's.
 */

const MINUTE_MS = 60_000;
const START_MS = 1_700_006_400_000;
const CHUNK_SAMPLES = 120;
const CHUNKS = 12;
const END_MS = START_MS + CHUNKS * CHUNK_SAMPLES * MINUTE_MS;
const METRICS = 200;
/** Distinct value patterns; series share encoded chunks to keep the set-up short. */
const PATTERNS = 64;
const MB = 1024 * 1024;

/** Large enough that it never grows, which would cost more than the selects. */
const arena = new ArrayArena(640 * MB);

const seriesCount = Number(process.argv[2] ?? 100_000);
const delayMs = Number(process.argv[3] ?? 0);

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0');
}

function writeBlock(folder: string): string {
  let seed = 12345;
  const random = (): number => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 4294967296;
  const times = new Float64Array(CHUNK_SAMPLES);
  const values = new Float64Array(CHUNK_SAMPLES);
  const patterns = Array.from({ length: PATTERNS }, () =>
    Array.from({ length: CHUNKS }, (_, chunk) => {
      const minTime = START_MS + chunk * CHUNK_SAMPLES * MINUTE_MS;
      for (let i = 0; i < CHUNK_SAMPLES; i++) {
        times[i] = minTime + i * MINUTE_MS;
        values[i] = (i === 0 ? 0 : values[i - 1]!) + Math.floor(random() * 50);
      }
      const data = codecKernel().encodeXor(times, values, CHUNK_SAMPLES).slice();
      return { minTime, maxTime: times[CHUNK_SAMPLES - 1]!, encoding: 1, data };
    }),
  );
  const writer = BlockWriter.create(folder, { minTime: START_MS, maxTime: END_MS });
  const instances = seriesCount / METRICS;
  const labelsOf = (metric: number, instance: number): Record<string, string> => ({
    __name__: `bench_metric_${pad(metric, 3)}_total`,
    cluster: 'prod',
    instance: `10.0.${pad(instance, 5)}:9100`,
    job: `job-${pad(instance % 20, 2)}`,
    namespace: `namespace-${pad(instance % 50, 2)}`,
    pod: `pod-${pad(instance, 5)}-${pad((instance * 7919) % 65536, 5)}`,
  });
  const symbols = new Set<string>();
  for (let m = 0; m < METRICS; m++) symbols.add(labelsOf(m, 0)['__name__']!);
  for (let i = 0; i < instances; i++) {
    for (const [name, value] of Object.entries(labelsOf(0, i))) symbols.add(name).add(value);
  }
  writer.addSymbols([...symbols].sort());
  for (let m = 0; m < METRICS; m++) {
    for (let i = 0; i < instances; i++) {
      const labels = Object.entries(labelsOf(m, i)).map(([name, value]) => ({ name, value }));
      writer.addLabelSet(labels, patterns[(m * 31 + i) % PATTERNS]!);
    }
  }
  return writer.finish()!.ulid;
}

interface Question {
  readonly name: string;
  readonly matchers: readonly Matcher[];
  readonly hours: number;
}

function question(
  name: string,
  hours: number,
  ...matchers: readonly (readonly [string, MatchType, string])[]
): Question {
  return {
    name,
    hours,
    matchers: matchers.map(([label, type, value]) => createMatcher(type, label, value)),
  };
}

const METRIC = ['__name__', '=', 'bench_metric_007_total'] as const;
const QUESTIONS = [
  question('1 series, 1 h', 1, METRIC, ['instance', '=', '10.0.00042:9100']),
  question('1 metric, one job, 1 h', 1, METRIC, ['job', '=', 'job-03']),
  question('1 metric, 1 h', 1, METRIC, ['cluster', '=', 'prod']),
  question('1 metric, 24 h', 24, METRIC),
  question('1 metric, regex, 1 h', 1, METRIC, ['instance', '=~', '10[.]0[.]000.*']),
  question('1 instance, all metrics, 1 h', 1, ['instance', '=', '10.0.00042:9100']),
  question(
    '10 metrics, not one job, 24 h',
    24,
    ['__name__', '=~', 'bench_metric_00._total'],
    ['job', '!=', 'job-03'],
  ),
  question('everything, 24 h', 24, ['__name__', '=~', '.+']),
];

function hintsOf({ hours }: Question): SelectHints {
  const maxTimeMs = END_MS - 1;
  const minTimeMs = END_MS - hours * 60 * MINUTE_MS;
  return { minTimeMs, maxTimeMs, stepMs: 0, func: '', rangeMs: 0, withoutChunks: false, limit: 0 };
}

async function timed(
  source: Queryable,
  asked: Question,
): Promise<{ ms: number; series: number; mb: number }> {
  arena.reset();
  const startedMs = performance.now();
  const set = await source.select(asked.matchers, hintsOf(asked), arena);
  const ms = performance.now() - startedMs;
  let bytes = 0;
  for (const length of set.chunkByteLengths) bytes += length;
  return { ms, series: set.seriesCount, mb: bytes / MB };
}

/** A bucket at a distance. */
function delayed(bucket: Bucket): Bucket {
  if (delayMs === 0) return bucket;
  return new Proxy(bucket, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return async (...args: unknown[]): Promise<unknown> => {
        await new Promise((resolve) => setTimeout(resolve, delayMs));
        return Reflect.apply(member, target, args);
      };
    },
  });
}

async function download(bucket: Bucket, base: string): Promise<string> {
  const fetches: Promise<Uint8Array>[] = [];
  const startedMs = performance.now();
  let bytes = 0;
  for (const name of (await bucket.list(base)).objects) {
    const { byteCount } = (await bucket.stat(name))!;
    bytes += byteCount;
    for (let at = 0; at < byteCount; at += 8 * MB) fetches.push(bucket.getRange(name, at, 8 * MB));
  }
  await Promise.all(fetches);
  const ms = performance.now() - startedMs;
  return `whole block: ${(bytes / MB).toFixed(1)} MiB, ${fetches.length} requests, ${ms.toFixed(0)} ms`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'varve-bench-blockstore-'));
  const server = await startRealS3();
  if (server === null) throw new Error('no S3 server: see lib/bucket/testing/s3-server.ts');
  try {
    const ulid = writeBlock(folder);
    const directory = join(folder, ulid);
    const sizes = readdirSync(directory, { recursive: true })
      .map((name) => [String(name), statSync(join(directory, String(name)))] as const)
      .filter(([, stat]) => stat.isFile())
      .map(([name, { size }]) => `${name} ${(size / MB).toFixed(1)} MiB`);
    print(`${seriesCount} series, ${server.name}, +${delayMs} ms per request: ${sizes.join(', ')}`);
    let failures = 0;
    const options = testOptions(server, {
      prefix: 'bench',
      observe: ({ ok }) => {
        if (!ok) failures++;
      },
      retry: {
        deadlineMs: 60_000,
        attemptMs: 30_000,
        firstPauseMs: 10,
        longestPauseMs: 100,
        random: Math.random,
      },
    });
    const bucket = delayed(await S3Bucket.open(options));
    for (const name of (await new FolderBucket(folder).list(ulid)).objects) {
      await bucket.put(`t/${name}`, { path: join(folder, name) });
    }
    print(await download(bucket, `t/${ulid}/`));
    const place = { prefix: 't/', ulid };
    const cacheBytes = { postings: 64 * MB, series: 128 * MB, chunks: 1024 * MB };
    const makeStore = (): BlockStore =>
      new BlockStore({
        ...{ bucket, folder: null, cacheDirectory: join(folder, 'cache'), cacheBytes },
        fetch: DEFAULT_FETCH_OPTIONS,
        openBlocksMax: 10,
      });
    const opening = new QueryReads();
    let startedMs = performance.now();
    const memoryBefore = process.memoryUsage();
    const first = makeStore();
    await first.queryable(place, opening);
    const memory = process.memoryUsage();
    print(
      `index-header made: ${opening.requests} requests, ${(opening.bytes / 1024).toFixed(0)} KiB, ${(performance.now() - startedMs).toFixed(0)} ms, heap +${((memory.heapUsed - memoryBefore.heapUsed) / MB).toFixed(1)} MiB, buffers +${((memory.arrayBuffers - memoryBefore.arrayBuffers) / MB).toFixed(1)} MiB`,
    );
    startedMs = performance.now();
    const again = makeStore();
    await again.queryable(place, new QueryReads());
    print(`opened from its local index-header: ${(performance.now() - startedMs).toFixed(0)} ms`);
    const reader = BlockReader.open(directory);
    print(
      '| select | series | chunks MiB | requests (postings, series, chunks) | KiB fetched (postings, series, chunks) | cold ms | warm ms | files ms |',
    );
    print('| --- | --- | --- | --- | --- | --- | --- | --- |');
    for (const asked of QUESTIONS) {
      const store = makeStore();
      const reads = new QueryReads();
      const source = await store.queryable(place, reads);
      const counts = [reads.counts.postings, reads.counts.series, reads.counts.chunks];
      const cold = await timed(source, asked);
      const requests = counts.map((each) => each.requests).join(' ');
      const bytes = counts.map((each) => (each.bytes / 1024).toFixed(0)).join(' ');
      const before = reads.requests;
      const warm = Math.min((await timed(source, asked)).ms, (await timed(source, asked)).ms);
      const refetched = reads.requests - before;
      const local = Math.min(
        (await timed(new BlockQueryable(reader), asked)).ms,
        (await timed(new BlockQueryable(reader), asked)).ms,
      );
      print(
        `| ${asked.name} | ${cold.series} | ${cold.mb.toFixed(2)} | ${requests} | ${bytes} | ${cold.ms.toFixed(1)} | ${warm.toFixed(1)}${refetched > 0 ? ` (${refetched} requests)` : ''} | ${local.toFixed(1)} |`,
      );
      await store.close();
    }
    print(`failed attempts: ${failures}`);
    reader.close();
    await first.close();
    await again.close();
    bucket.close();
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
