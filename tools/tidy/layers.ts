/**
 * The layers of the code: an import points to a lower rank. Two folders of the same rank may only import one another
 * where a pair below says so; a cycle among them is a bug. The folders are described in docs/architecture.md.
 */

/** Folder below `lib/` (with one level more below `tsdb` and `promql`) to rank. */
export const RANKS: Readonly<Record<string, number>> = {
  // base
  errors: 0,
  assert: 0,
  bytes: 0,
  hash: 0,
  collections: 0,
  clock: 0,
  prng: 0,
  // model
  labels: 1,
  matcher: 1,
  regex: 1,
  sample: 1,
  histogram: 1,
  exemplar: 1,
  metadata: 1,
  symbols: 1,
  settings: 1,
  // pure and synchronous work on bytes
  kernel: 2,
  wire: 2,
  'promql/parse': 2,
  // contracts
  storage: 3,
  limits: 3,
  // engines: know no network
  'tsdb/wal': 4,
  'tsdb/chunk': 4,
  'tsdb/head': 4,
  'tsdb/index': 4,
  'tsdb/block': 4,
  'tsdb/compact': 4,
  'tsdb/downsample': 4,
  'tsdb/tombstone': 4,
  'promql/plan': 4,
  'promql/exec': 4,
  'promql/func': 4,
  'promql/testing': 4,
  rules: 4,
  // reads blocks where the platform keeps them
  blockstore: 4,
  blocktransfer: 4,
  // platform: knows no series
  bucket: 4,
  bucketindex: 4,
  config: 4,
  telemetry: 4,
  service: 4,
  workers: 4,
  tenant: 4,
  auth: 4,
  http: 4,
  rpc: 4,
  ring: 4,
  membership: 4,
  // components: never import one another
  distributor: 5,
  ingester: 5,
  querier: 5,
  compactor: 5,
  ruler: 5,
};

/** Rank of everything below `cmd/`. */
export const COMMAND_RANK = 6;
export const COMPONENT_RANK = 5;

/** `importer imported`, both of the same rank. */
export const SAME_RANK_PAIRS: ReadonlySet<string> = new Set([
  'assert errors',
  'blockstore bucket',
  'blocktransfer bucket',
  'blocktransfer bucketindex',
  'blocktransfer tsdb/block',
  'blockstore tsdb/block',
  'blockstore tsdb/index',
  'bytes errors',
  'hash bytes',
  'collections assert',
  'collections errors',
  'prng assert',
  'matcher labels',
  'matcher regex',
  'exemplar labels',
  'histogram sample',
  'wire kernel',
  'limits storage',
  'tsdb/block tsdb/chunk',
  'tsdb/block tsdb/index',
  'tsdb/compact tsdb/block',
  'tsdb/compact tsdb/chunk',
  'tsdb/compact tsdb/downsample',
  'tsdb/compact tsdb/index',
  'tsdb/downsample tsdb/block',
  'tsdb/downsample tsdb/chunk',
  'tsdb/downsample tsdb/index',
  'tsdb/head tsdb/block',
  'tsdb/head tsdb/chunk',
  'tsdb/head tsdb/index',
  'tsdb/head tsdb/wal',
  'tsdb/wal tsdb/index',
  'promql/exec promql/plan',
  'promql/exec tsdb/chunk',
  'promql/exec promql/func',
  'promql/plan promql/func',
  'promql/testing promql/exec',
  'promql/testing promql/plan',
  'rules promql/exec',
  'bucket telemetry',
  'bucketindex bucket',
  'bucketindex tenant',
  'bucketindex tsdb/block',
  'config bucket',
  'config telemetry',
  'config tenant',
  'http service',
  'http telemetry',
  'http tenant',
  'membership bucket',
  'membership service',
  'membership telemetry',
  'ring http',
  'ring membership',
  'service telemetry',
  'workers telemetry',
  'workers service',
]);

/** Folders beside `lib` and `cmd`: which others, or which folders of `lib`, they may import. */
export const OUTSIDE: Readonly<Record<string, readonly string[]>> = {
  // The suites know the program from outside only; the runner of PromQL scripts, S3 servers, the proxy that breaks requests
  // to them, and made buckets are tools for tests.
  e2e: ['e2e', 'proto', 'promql/testing', 'bucket/testing', 'compactor/testing'],
  bench: ['bench', 'e2e', 'lib'],
  sim: ['sim', 'lib', 'cmd'],
  tools: ['tools'],
};

/** Folders whose files may be imported one by one: the kernel's parts are used where their memory layout matters. */
export const OPEN_FOLDERS: ReadonlySet<string> = new Set(['kernel']);

/** Modules that would make an engine, or anything below it, know the network or the process's logs and metrics. */
export const PLATFORM_MODULES: ReadonlySet<string> = new Set([
  'express',
  'pino',
  'prom-client',
  'node:http',
  'node:http2',
  'node:https',
  'node:net',
  'node:tls',
  'node:dgram',
]);

/** Folders of rank 4 that may import them. */
export const PLATFORM_FOLDERS: ReadonlySet<string> = new Set([
  'bucket',
  'config',
  'telemetry',
  'service',
  'workers',
  'tenant',
  'auth',
  'http',
  'rpc',
  'ring',
  'membership',
]);
