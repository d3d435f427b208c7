import type { z } from 'zod';
import { parseBucketUrl } from '../bucket/index.js';
import { limitsSchema } from '../limits/index.js';
import { compileRegexp } from '../regex/index.js';
import {
  boolean,
  byteSize,
  choice,
  duration,
  group,
  integer,
  listenAddress,
  text,
  wordList,
} from '../settings/index.js';
import { DEFAULT_TENANT, isValidTenant } from '../tenant/index.js';
import { parseBlockRanges } from './block-ranges.js';

/** Sets of roles that a process can run. Roles in processes of their own come with the cluster. */
export const TARGETS = ['all', 'compactor'] as const;
export type Target = (typeof TARGETS)[number];

/** Optional parts, named as Prometheus names its own. */
export const FEATURES = [
  'promql-experimental-functions',
  'promql-extended-range-selectors',
  'promql-binop-fill-modifiers',
  'promql-duration-expr',
  'promql-delayed-name-removal',
  'type-and-unit-labels',
  'use-start-timestamps',
] as const;
export type Feature = (typeof FEATURES)[number];

function isRegex(value: string): boolean {
  try {
    compileRegexp(value);
    return true;
  } catch {
    return false;
  }
}

/** The whole configuration of a process. Every name, check, help text and reference row comes from here. */
export const configSchema = group('General', {
  target: wordList(TARGETS, 'all', 'Roles to run in this process.'),
  dataDir: text('./data', 'Folder of the write-ahead log and of blocks that are not in the bucket yet.'),
  bucket: text('file:./data/bucket', 'Where blocks are kept: a folder or an S3-compatible bucket.', {
    allowed: 'file:FOLDER or s3://NAME[/PREFIX]',
    check: (value) => parseBucketUrl(value) !== null,
  }),
  instanceId: text(
    '',
    'Name of this process among those that share the bucket; empty for a random one that is kept in the data folder.',
    {
      allowed: '1 to 100 letters, digits, dots, dashes or underscores, not a dot first',
      check: (value) => value === '' || /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/.test(value),
    },
  ),
  clusterName: text(
    'varve',
    'Keeps clusters apart: a process does not join members that have another cluster name.',
    {
      allowed: '1 to 100 letters, digits, dots, dashes or underscores',
      check: (value) => /^[A-Za-z0-9._-]{1,100}$/.test(value),
    },
  ),
  zone: text('', 'Failure domain of this process, such as an availability zone; empty for none.', {
    allowed: 'at most 100 letters, digits, dots, dashes or underscores',
    check: (value) => /^[A-Za-z0-9._-]{0,100}$/.test(value),
  }),
  replicationFactor: integer(3, 'Ingesters that hold each series, in different zones where there are some.', {
    min: 1,
    max: 9,
  }),
  bucketFlatTenant: text(
    '',
    'The tenant whose blocks stand at the root of the bucket, as Thanos lays them out; empty for none.',
    {
      allowed: "1 to 150 letters, digits or !-_.*'()",
      check: (value) => value === '' || isValidTenant(value),
    },
  ),
  multitenancy: boolean(
    false,
    'Take the tenant from the X-Scope-OrgID header and refuse requests without one.',
  ),
  defaultTenant: text(DEFAULT_TENANT, 'Tenant of every request while multitenancy is off.', {
    allowed: "1 to 150 letters, digits or !-_.*'()",
    check: isValidTenant,
  }),
  enableFeature: wordList(FEATURES, '', 'Optional features to switch on.'),
  runtimeConfig: text('', 'YAML file with limits per tenant (`overrides:`), read again while running.'),
  runtimeConfigReloadPeriodMs: duration('10s', 'How often the runtime file is looked at.'),
  log: group('Logs', {
    level: choice(
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
      'info',
      'Least severe message to log.',
    ),
  }),
  http: group('HTTP server', {
    listen: listenAddress('127.0.0.1:9009', 'Address of the HTTP server.'),
    maxConnections: integer(20_000, 'Connections kept at once; further ones are closed.', { min: 1 }),
    headersTimeoutMs: duration('10s', 'Time a client has to send its request headers.'),
    bodyTimeoutMs: duration('30s', 'Time a client has to send a request body.'),
    idleTimeoutMs: duration('2m', 'How long an idle keep-alive connection stays open.'),
    shutdownTimeoutMs: duration('20s', 'How long a stop waits for requests that run.'),
    maxFormBodyBytes: byteSize('10MiB', 'Largest form body of a query.'),
    corsOrigin: text(
      '',
      'Origins of web pages that may read answers, as a regular expression for the whole origin; empty for none.',
      { allowed: 'a regular expression', check: isRegex },
    ),
    enableAdminApi: boolean(
      false,
      'Serve the API that deletes series, as --web.enable-admin-api of Prometheus.',
    ),
    grafanaApplication: text('Varve', 'Name reported by status/buildinfo, which Grafana reads.'),
  }),
  grpc: group('gRPC server', {
    listen: listenAddress(
      '127.0.0.1:9095',
      'Address of the gRPC server; not used while all roles run in one process.',
    ),
  }),
  push: group('Receiving', {
    maxBodyBytes: byteSize('100MiB', 'Largest push request as sent, compressed.'),
    maxDecodedBytes: byteSize(
      '100MiB',
      'Largest push request after decompression; checked before it is decoded.',
    ),
    maxInflightBytes: byteSize('512MiB', 'Bodies of push requests held at once; above it requests get 503.'),
  }),
  wal: group('Write-ahead log', {
    sync: choice(
      ['always', 'interval', 'none'],
      'always',
      'When writes are synced: before the answer, timed, or never.',
    ),
    syncIntervalMs: duration('1s', 'Time between syncs with wal.sync: interval.'),
    segmentBytes: byteSize('128MiB', 'Size of one segment file.'),
  }),
  head: group('Head and blocks', {
    blockRangeMs: duration('2h', 'Time span of a block cut from the head.'),
    idleTimeoutMs: duration(
      '1h',
      'A head without new samples for this long is cut into a block and its memory released.',
    ),
    memoryBytesMax: byteSize(
      '4GiB',
      'Largest head of one tenant, at most 4GiB; further samples get 503 until it is cut.',
    ),
    flushOnShutdown: boolean(false, 'Cut a block from the head when the process stops.'),
  }),
  s3: group('S3', {
    endpoint: text('', 'URL of a store other than AWS, such as http://minio:9000; empty for AWS.', {
      allowed: 'a URL that begins with http:// or https://',
      check: (value) => value === '' || /^https?:\/\/[^/]+/.test(value),
    }),
    region: text('us-east-1', 'Region of the bucket.'),
    pathStyle: choice(
      ['auto', 'true', 'false'],
      'auto',
      'Whether the bucket stands in the path of URLs; auto: with an endpoint of your own.',
    ),
    checksums: choice(
      ['when-required', 'when-supported'],
      'when-required',
      'When requests carry the newer checksum headers, which not every store knows.',
    ),
    encryption: choice(['none', 'AES256', 'aws:kms'], 'none', 'Server-side encryption of new objects.'),
    kmsKeyId: text('', 'Key for encryption: aws:kms; empty for that of the account.'),
    partBytes: byteSize('16MiB', 'Larger objects are sent in parts of this size; at least 5MiB.'),
    maxConnections: integer(64, 'Connections of the process to the store.', { min: 1, max: 10_000 }),
    requestTimeoutMs: duration('30s', 'Longest time for one attempt of a request.'),
    deadlineMs: duration('2m', 'Longest time for a request with all its repetitions.'),
  }),
  blocks: group('Blocks in the bucket', {
    shipIntervalMs: duration(
      '10s',
      'How often local blocks are looked at for what is to be stored in the bucket.',
    ),
    localRetentionMs: duration(
      '10m',
      'How long a block stays here after the bucket index lists it, so that all queriers have seen that.',
    ),
    syncIntervalMs: duration('1m', 'How long a bucket index is used before it is read again.'),
    cacheDir: text('', 'Folder of index-headers; empty for `index-headers` in data_dir. May be deleted.'),
    cacheIndexBytes: byteSize('256MiB', 'Memory of the process for postings and series of blocks in S3.'),
    cacheChunksBytes: byteSize('256MiB', 'Memory of the process for chunks of blocks in S3.'),
  }),
  query: group('Queries', {
    concurrency: integer(0, 'Query worker threads; 0 for one per processor core.', { max: 256 }),
    maxOutstandingPerTenant: integer(100, 'Queries of one tenant waiting at once; further ones get 429.', {
      min: 1,
    }),
    timeoutMs: duration('2m', 'Longest time a query may take, waiting included.'),
    maxSamples: integer(50_000_000, 'Samples one query may hold in memory.', { min: 1 }),
    maxMemoryBytes: byteSize('1GiB', 'Memory one query may use.'),
    lookbackDeltaMs: duration('5m', 'How far back an instant selector looks for a sample.'),
    defaultEvaluationIntervalMs: duration('1m', 'Step of subqueries that name none.'),
    slowLogThresholdMs: duration('10s', 'Queries that take longer are logged; 0 for none.'),
    maxSourceResolution: choice(
      ['auto', '0s', '5m', '1h', '1d'],
      'auto',
      'Coarsest downsampled level that queries read; they may say otherwise with max_source_resolution.',
    ),
    maxOpenBlocks: integer(256, 'Blocks each query worker keeps open.', { min: 1 }),
    nice: integer(
      5,
      'How far query threads give way to the threads that take pushes, on Linux; 0 not at all, at most 19.',
      { max: 19 },
    ),
  }),
  membership: group('Processes that share work', {
    store: choice(
      ['bucket', 'memory'],
      'bucket',
      'Where processes find one another: in the bucket, or not at all.',
      { flag: 'membership' },
    ),
    heartbeatPeriodMs: duration('15s', 'How often a process tells the others that it is alive.'),
    heartbeatTimeoutMs: duration(
      '1m',
      'The others take over from a process that was silent for so long; a few periods.',
    ),
    autoForgetPeriodMs: duration(
      '1h',
      'A process that was silent for so long is no member any more, as if it had been forgotten by hand; 0 for never.',
    ),
  }),
  compactor: group('Compactor', {
    dataDir: text(
      '',
      'Folder for blocks in work; empty for `compactor` in data_dir. Its content is worth nothing.',
    ),
    maxScratchBytes: byteSize('0', 'Disk that blocks in work may take; 0 for what is free.'),
    blockRanges: text('2h,12h,24h', 'Aligned time ranges that blocks are merged to.', {
      allowed: 'durations such as 2h,12h,24h, each a multiple of the one before',
      check: (value) => parseBlockRanges(value) !== null,
    }),
    compactionIntervalMs: duration('1m', 'Pause between rounds of merging and downsampling.'),
    compactionConcurrency: integer(1, 'Jobs at once, each in a thread of its own.', { min: 1, max: 64 }),
    firstLevelCompactionWaitPeriodMs: duration(
      '25m',
      'How long a block that an ingester stored is left alone, so that those of the other replicas can come.',
    ),
    cleanupIntervalMs: duration(
      '1m',
      'Pause between updates of the bucket index, with retention and deletion.',
    ),
    deletionDelayMs: duration(
      '12h',
      'From the mark of a block to its deletion; readers must have its replacement by then.',
    ),
    partialBlockDeletionDelayMs: duration(
      '1d',
      'An upload that nobody went on with for so long is deleted; 0 for never.',
    ),
    tenantCleanupDelayMs: duration(
      '6h',
      'From the deletion of the last block of a tenant to that of its marks.',
    ),
    deletionSettleTimeMs: duration(
      '1d',
      'How long deleted series stay hidden and are looked for in new blocks, at least; longer than any head or local block keeps samples.',
    ),
    downsamplingEnabled: boolean(true, 'Make blocks of 5 minutes, an hour and a day.'),
    downsampling1hRangeMs: duration('7d', 'Aligned time range of one block of hours.'),
    downsampling1dRangeMs: duration('28d', 'Aligned time range of one block of days.'),
    leaseExpiryMs: duration(
      '10m',
      'Another compactor takes over the jobs of one that is silent for so long.',
    ),
  }),
  limits: limitsSchema,
});

/** The configuration of a process, checked, with every default filled in. */
export type Config = Readonly<z.output<typeof configSchema>>;
