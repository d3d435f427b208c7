import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Server } from './peers.js';
import { freePort, makeFolder, startProgram } from './processes.js';

export interface VarveOptions {
  /** Reuse a folder (after a kill, to see what survived); default a new one. */
  readonly folder?: string;
  readonly args?: readonly string[];
  /** Where blocks are kept; default the folder `bucket/`. */
  readonly bucket?: string;
  readonly readyTimeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Varve extends Server {
  /** Address remote write goes to. */
  readonly pushUrl: string;
  /** Folder of the process: `data/` and `bucket/` are below it. */
  readonly folder: string;
  readonly bucketDir: string;
  /** Milliseconds from the start of the process to its first ready answer. */
  readonly startMs: number;
}

/** The tenant of requests that name none. */
export const DEFAULT_TENANT = 'anonymous';

/** The repository's root: the nearest folder upwards with a package.json. */
export function repositoryRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

/** Starts `bin/varve` (VARVE_BIN names another script) on free ports with its data in `folder`, and waits until it is ready. */
export async function startVarve(options: VarveOptions = {}): Promise<Varve> {
  const folder = options.folder ?? makeFolder('varve');
  const [httpPort, grpcPort] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${httpPort}`;
  const dataDir = join(folder, 'data');
  const bucketDir = join(folder, 'bucket');
  const startedAt = performance.now();
  const program = await startProgram({
    name: 'varve',
    binary: process.execPath,
    args: [
      process.env['VARVE_BIN'] ?? join(repositoryRoot(), 'bin/varve'),
      `--http-listen=127.0.0.1:${httpPort}`,
      `--grpc-listen=127.0.0.1:${grpcPort}`,
      `--data-dir=${dataDir}`,
      `--bucket=${options.bucket ?? `file:${bucketDir}`}`,
      ...(options.args ?? []),
    ],
    folder,
    readyUrl: `${url}/ready`,
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.readyTimeoutMs === undefined ? {} : { readyTimeoutMs: options.readyTimeoutMs }),
  });
  return {
    ...program,
    url,
    api: `${url}/prometheus/api/v1`,
    dataDir,
    folder,
    bucketDir,
    pushUrl: `${url}/api/v1/push`,
    startMs: performance.now() - startedAt,
  };
}
