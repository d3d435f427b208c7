import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type S3rver from 's3rver';
import type { S3Options } from '../s3-bucket.js';

/** An S3 server to test against, with one empty bucket. */
export interface S3Server {
  /** What it is, for the reader of a test run. */
  readonly name: string;
  readonly endpoint: string;
  readonly bucket: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Whether it knows `If-None-Match` on writes. */
  readonly knowsConditions: boolean;
  stop(): Promise<void>;
}

const BUCKET = 'varve-test';

/** The stand-in that needs nothing: an S3 server in this process. It does not know conditional writes. */
export async function startS3rver(): Promise<S3Server> {
  const { default: Server } = await import('s3rver');
  const directory = await mkdtemp(join(tmpdir(), 'varve-s3rver-'));
  const server = new Server({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory,
    configureBuckets: [{ name: BUCKET }],
  });
  showAllPrefixes(server.store);
  const { port } = await server.run();
  return {
    name: 's3rver',
    endpoint: `http://127.0.0.1:${port}`,
    bucket: BUCKET,
    credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
    knowsConditions: false,
    async stop() {
      await server.close();
      await rm(directory, { recursive: true });
    },
  };
}

/** Of itself it hides prefixes that have nothing but further prefixes directly below them. */
function showAllPrefixes(store: S3rver['store']): void {
  const list = store.listObjects.bind(store);
  store.listObjects = async (bucket, options) => {
    const { delimiter = '', prefix = '' } = options;
    if (delimiter === '') return list(bucket, options);
    const { objects } = await list(bucket, { prefix });
    const found = await list(bucket, options);
    const below = objects
      .map(({ key }) => key.slice(prefix.length))
      .filter((rest) => rest.includes(delimiter));
    const commonPrefixes = new Set(below.map((rest) => prefix + rest.slice(0, rest.indexOf(delimiter) + 1)));
    return { ...found, commonPrefixes: [...commonPrefixes].sort() };
  };
}

interface Program {
  readonly name: string;
  args(folder: string, port: number): readonly string[];
}

const KEY = { accessKeyId: 'varvetest', secretAccessKey: 'varvetestsecret' };

/** Server programs that are looked for, in this order. */
const PROGRAMS: readonly Program[] = [
  { name: 'minio', args: (folder, port) => ['server', '--quiet', '--address', `127.0.0.1:${port}`, folder] },
  {
    name: 'versitygw',
    args: (folder, port) => [
      ...['--port', `127.0.0.1:${port}`, '--access', KEY.accessKeyId, '--secret', KEY.secretAccessKey],
      ...['posix', folder],
    ],
  },
];

/**
 * A real S3 server: the one at `S3_ENDPOINT` (with `S3_BUCKET` and the AWS credential variables), else a server program
 * on the PATH or among the installed peers. Null when there is none.
 */
export async function startRealS3(): Promise<S3Server | null> {
  const endpoint = process.env['S3_ENDPOINT'];
  if (endpoint !== undefined && endpoint !== '') return givenServer(endpoint);
  for (const program of PROGRAMS) {
    const path = findProgram(program.name);
    if (path !== null) return startProgram(program, path);
  }
  return null;
}

function givenServer(endpoint: string): S3Server {
  return {
    name: `S3_ENDPOINT ${endpoint}`,
    endpoint,
    bucket: process.env['S3_BUCKET'] ?? BUCKET,
    credentials: {
      accessKeyId: process.env['AWS_ACCESS_KEY_ID'] ?? '',
      secretAccessKey: process.env['AWS_SECRET_ACCESS_KEY'] ?? '',
    },
    knowsConditions: process.env['S3_CONDITIONS'] !== 'no',
    stop: async () => undefined,
  };
}

function findProgram(name: string): string | null {
  const given = process.env[`${name.toUpperCase()}_BIN`];
  if (given !== undefined && given !== '') return given;
  const folders = [
    process.env['PEERS_BIN'] ?? join(process.env['PEERS_DIR'] ?? join(homedir(), 'peers'), 'bin'),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}

async function startProgram(program: Program, path: string): Promise<S3Server> {
  const folder = await mkdtemp(join(tmpdir(), `varve-${program.name}-`));
  const port = await freePort();
  const child = spawn(path, program.args(folder, port), {
    stdio: 'ignore',
    env: {
      ...process.env,
      MINIO_ROOT_USER: KEY.accessKeyId,
      MINIO_ROOT_PASSWORD: KEY.secretAccessKey,
      MINIO_BROWSER: 'off',
    },
  });
  const endpoint = `http://127.0.0.1:${port}`;
  try {
    await makeBucket(endpoint, child);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  return {
    name: program.name,
    endpoint,
    bucket: BUCKET,
    credentials: KEY,
    knowsConditions: true,
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Waits for a server by making the bucket on it. */
async function makeBucket(endpoint: string, child: ChildProcess): Promise<void> {
  const { CreateBucketCommand, S3Client } = await import('@aws-sdk/client-s3');
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: KEY,
    maxAttempts: 1,
  });
  const endMs = performance.now() + 20_000;
  try {
    for (;;) {
      try {
        await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
        return;
      } catch (error) {
        if (child.exitCode !== null) throw new Error(`the S3 server ended with ${child.exitCode}`);
        if (performance.now() > endMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  } finally {
    client.destroy();
  }
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** Options for a bucket on a test server, with a quick retry policy. */
export function testOptions(server: S3Server, changes: Partial<S3Options> = {}): S3Options {
  return {
    bucket: server.bucket,
    prefix: '',
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    checksums: 'when-required',
    encryption: '',
    kmsKeyId: '',
    credentials: server.credentials,
    partBytes: 5 * 1024 * 1024,
    connectionsMax: 20,
    retry: { deadlineMs: 5000, attemptMs: 2000, firstPauseMs: 5, longestPauseMs: 50, random: Math.random },
    observe: () => undefined,
    ...changes,
  };
}
