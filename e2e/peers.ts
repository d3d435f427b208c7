import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePort, makeFolder, type Program, startProgram } from './processes.js';

/**
 * The real programs that Varve is compared with. Each is looked for in its own environment variable, then in
 * `$PEERS_DIR/bin` (default `$HOME/peers/bin`), then on the PATH.
 */

const PROGRAMS = {
  prometheus: { variable: 'PROMETHEUS_BIN', names: ['prometheus'] },
  promtool: { variable: 'PROMTOOL_BIN', names: ['promtool'] },
  victoria: { variable: 'VICTORIA_BIN', names: ['victoria-metrics', 'victoria-metrics-prod'] },
  minio: { variable: 'MINIO_BIN', names: ['minio'] },
  nodeExporter: { variable: 'NODE_EXPORTER_BIN', names: ['prometheus-node-exporter', 'node_exporter'] },
} as const;

export type PeerName = keyof typeof PROGRAMS;

export interface Server extends Program {
  /** Address without a trailing slash, such as http://127.0.0.1:23456. */
  readonly url: string;
  /** Prefix of the query API, such as `${url}/api/v1`. */
  readonly api: string;
  readonly dataDir: string;
}

/** The path of a program, or null when this machine has none. */
export function findPeer(name: PeerName): string | null {
  const { variable, names } = PROGRAMS[name];
  const named = process.env[variable];
  if (named !== undefined && named !== '') {
    if (existsSync(named)) return named;
    throw new Error(`${variable} names a file that is not there: ${named}`);
  }
  const peers = process.env['PEERS_DIR'] ?? join(homedir(), 'peers');
  const folders = [join(peers, 'bin'), ...(process.env['PATH'] ?? '').split(delimiter)];
  for (const folder of folders) {
    for (const file of names) {
      if (existsSync(join(folder, file))) return join(folder, file);
    }
  }
  return null;
}

/**
 * True when all programs are here. A suite that lacks one is skipped with a line on stderr, or fails when CI=true:
 * a continuous build that silently tests nothing is worse than a red one.
 */
export function havePeers(...names: PeerName[]): boolean {
  const missing = names.filter((name) => findPeer(name) === null);
  if (missing.length === 0) return true;
  const wanted = missing.map((name) => `${name} (${PROGRAMS[name].variable})`);
  skip(`needs ${wanted.join(', ')}`, missing);
  return false;
}

/**
 * Says that a suite is skipped. @throws when CI=true, unless `E2E_MAY_LACK` (names with commas between them) allows the
 * lack of each of these programs
 */
export function skip(message: string, lacks: readonly PeerName[]): void {
  const allowed = new Set((process.env['E2E_MAY_LACK'] ?? '').split(','));
  if (process.env['CI'] === 'true' && !lacks.every((name) => allowed.has(name))) throw new Error(message);
  process.stderr.write(`SKIPPED: this suite ${message}\n`);
}

function mustFind(name: PeerName): string {
  const path = findPeer(name);
  if (path === null) throw new Error(`${name} is not installed (${PROGRAMS[name].variable})`);
  return path;
}

/** The path of promtool. @throws when it is not installed. */
export function promtool(): string {
  return mustFind('promtool');
}

export interface PrometheusOptions {
  /** The configuration file's text; default: nothing is scraped. */
  readonly config?: string;
  /** An existing data folder, for instance one with a write-ahead log of ours. */
  readonly dataDir?: string;
  /** A port to listen on, when the configuration has to name it. */
  readonly port?: number;
  readonly args?: readonly string[];
}

/** Starts Prometheus with its remote-write receiver on. */
export async function startPrometheus(options: PrometheusOptions = {}): Promise<Server> {
  const port = options.port ?? (await freePort());
  const folder = makeFolder('prometheus');
  const dataDir = options.dataDir ?? join(folder, 'data');
  mkdirSync(dataDir, { recursive: true });
  const configFile = join(folder, 'prometheus.yml');
  writeFileSync(configFile, options.config ?? 'global: {}\n');
  const url = `http://127.0.0.1:${port}`;
  const program = await startProgram({
    name: 'prometheus',
    binary: mustFind('prometheus'),
    args: [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${dataDir}`,
      '--storage.tsdb.retention.time=30d',
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-remote-write-receiver',
      '--web.enable-admin-api',
      ...(options.args ?? []),
    ],
    folder,
    readyUrl: `${url}/-/ready`,
  });
  return { ...program, url, api: `${url}/api/v1`, dataDir };
}

/** Starts VictoriaMetrics; queries see samples at once (its default hides the last 30 s). */
export async function startVictoria(args: readonly string[] = []): Promise<Server> {
  const port = await freePort();
  const folder = makeFolder('victoria');
  const dataDir = join(folder, 'data');
  const url = `http://127.0.0.1:${port}`;
  const program = await startProgram({
    name: 'victoria-metrics',
    binary: mustFind('victoria'),
    args: [
      `-storageDataPath=${dataDir}`,
      `-httpListenAddr=127.0.0.1:${port}`,
      '-retentionPeriod=1y',
      '-search.latencyOffset=0s',
      ...args,
    ],
    folder,
    readyUrl: `${url}/health`,
  });
  return { ...program, url, api: `${url}/api/v1`, dataDir };
}

/** Starts a node exporter. */
export async function startNodeExporter(): Promise<Server> {
  const port = await freePort();
  const folder = makeFolder('node-exporter');
  const url = `http://127.0.0.1:${port}`;
  const program = await startProgram({
    name: 'node-exporter',
    binary: mustFind('nodeExporter'),
    args: [`--web.listen-address=127.0.0.1:${port}`],
    folder,
    readyUrl: `${url}/metrics`,
  });
  return { ...program, url, api: '', dataDir: folder };
}

/** An S3 server with a bucket. */
export interface Minio extends Server {
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

/** Starts MinIO with an empty bucket. */
export async function startMinio(): Promise<Minio> {
  const port = await freePort();
  const folder = makeFolder('minio');
  const dataDir = join(folder, 'data');
  const bucket = 'metrics';
  // A folder is a bucket to it.
  mkdirSync(join(dataDir, bucket), { recursive: true });
  const [accessKey, secretKey] = ['varvetest', 'varvetestsecret'];
  const url = `http://127.0.0.1:${port}`;
  const program = await startProgram({
    name: 'minio',
    binary: mustFind('minio'),
    args: ['server', '--quiet', `--address=127.0.0.1:${port}`, dataDir],
    folder,
    readyUrl: `${url}/minio/health/ready`,
    env: { MINIO_ROOT_USER: accessKey, MINIO_ROOT_PASSWORD: secretKey, MINIO_BROWSER: 'off' },
  });
  return { ...program, url, api: url, dataDir, bucket, accessKey, secretKey };
}
