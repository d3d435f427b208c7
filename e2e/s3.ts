import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { FaultyProxy } from '../lib/bucket/testing/faulty-proxy.js';
import { type S3Server, startRealS3, startS3rver } from '../lib/bucket/testing/s3-server.js';

/** An S3 server with a proxy before it that can break requests, and a client that goes round the proxy. */
export interface S3Peer {
  /** What it is, for the reader of a test run. */
  readonly name: string;
  /** What `--bucket` takes. */
  readonly bucketUrl: string;
  /** Environment of a process that uses it. */
  readonly env: Readonly<Record<string, string>>;
  /** Requests of Varve go through it. */
  readonly proxy: FaultyProxy;
  /** Arguments of a Varve that uses it. */
  readonly args: readonly string[];
  /** Object names with a prefix and their sizes, sorted by name. */
  list(prefix?: string): Promise<Map<string, number>>;
  get(name: string): Promise<Buffer>;
  put(name: string, bytes: Uint8Array): Promise<void>;
  has(name: string): Promise<boolean>;
  /** Uploads in parts that were neither completed nor given up; 0 where the server cannot tell. */
  unfinishedUploads(): Promise<number>;
  stop(): Promise<void>;
}

/**
 * Starts an S3 server: the one at `S3_ENDPOINT`, else MinIO or VersityGW where it is installed, else a stand-in that
 * runs in this process, which is said aloud: it answers like S3 but forgives more.
 * @param prefix of all names in the bucket, so that suites that share a given server don't meet
 */
export async function startS3(prefix: string): Promise<S3Peer> {
  const real = await startRealS3();
  const server = real ?? (await startS3rver());
  process.stderr.write(
    real === null
      ? 'NOT A REAL S3: no S3_ENDPOINT, minio or versitygw here, so this suite uses the stand-in s3rver\n'
      : `S3 server of this suite: ${server.name}\n`,
  );
  const run = `${prefix}-${Date.now().toString(36)}/`;
  const proxy = await FaultyProxy.start(server.endpoint);
  return peerOf(server, proxy, run);
}

/** @param prefix ends in a slash */
function peerOf(server: S3Server, proxy: FaultyProxy, prefix: string): S3Peer {
  const Bucket = server.bucket;
  const client = new S3Client({
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: server.credentials,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const keyOf = (name: string) => prefix + name;
  return {
    name: server.name,
    bucketUrl: `s3://${Bucket}/${prefix}`,
    env: {
      AWS_ACCESS_KEY_ID: server.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
    },
    proxy,
    args: [`--s3-endpoint=${proxy.url}`],
    async list(names = '') {
      const found = new Map<string, number>();
      let token: string | undefined;
      do {
        const page = await client.send(
          new ListObjectsV2Command({
            Bucket,
            Prefix: keyOf(names),
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
        );
        for (const { Key, Size } of page.Contents ?? []) {
          if (Key !== undefined) found.set(Key.slice(prefix.length), Size ?? 0);
        }
        token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
      return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
    },
    async get(name) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: keyOf(name) }));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    },
    async put(name, bytes) {
      const input = { Bucket, Key: keyOf(name), Body: bytes, ContentLength: bytes.length };
      await client.send(new PutObjectCommand(input));
    },
    async has(name) {
      return client.send(new HeadObjectCommand({ Bucket, Key: keyOf(name) })).then(
        () => true,
        () => false,
      );
    },
    async unfinishedUploads() {
      const list = new ListMultipartUploadsCommand({ Bucket, Prefix: keyOf('') });
      return client.send(list).then(
        ({ Uploads }) => Uploads?.length ?? 0,
        () => 0,
      );
    },
    async stop() {
      client.destroy();
      await proxy.stop();
      await server.stop();
    },
  };
}

const ULID = /^[0-9A-HJKMNP-TV-Z]{26}$/;

/** What a block's meta.json says, as far as suites look at it. */
export interface BlockMeta {
  readonly ulid: string;
  readonly minTime: number;
  readonly maxTime: number;
  readonly stats: { readonly numSamples?: number; readonly numSeries?: number };
  readonly compaction: { readonly level: number; readonly sources?: readonly string[] };
  readonly thanos?: {
    readonly downsample?: { readonly resolution: number };
    readonly files?: readonly { readonly rel_path: string; readonly size_bytes?: number }[];
  };
}

/** A block as it stands in a bucket. */
export interface StoredBlock {
  readonly ulid: string;
  /** Null when there is none: the block is partial. */
  readonly meta: BlockMeta | null;
  /** Whether it is marked for deletion. */
  readonly isMarked: boolean;
  /** Path below the block's folder to size. */
  readonly files: ReadonlyMap<string, number>;
}

/** All blocks of a tenant. */
export async function blocksOf(s3: S3Peer, tenant: string): Promise<StoredBlock[]> {
  const byBlock = new Map<string, Map<string, number>>();
  for (const [name, size] of await s3.list(`${tenant}/`)) {
    const [ulid = '', ...path] = name.slice(tenant.length + 1).split('/');
    if (!ULID.test(ulid)) continue;
    const files = byBlock.get(ulid) ?? new Map<string, number>();
    byBlock.set(ulid, files.set(path.join('/'), size));
  }
  const blocks: StoredBlock[] = [];
  for (const [ulid, files] of byBlock) {
    const meta = files.has('meta.json')
      ? // The compactor may have deleted it since the listing.
        await s3.get(`${tenant}/${ulid}/meta.json`).then(
          (bytes) => JSON.parse(bytes.toString()) as BlockMeta,
          () => null,
        )
      : null;
    blocks.push({ ulid, meta, isMarked: files.has('deletion-mark.json'), files });
  }
  return blocks;
}

/** Whether a block holds raw samples. */
export function isRaw({ meta }: StoredBlock): boolean {
  return meta !== null && (meta.thanos?.downsample?.resolution ?? 0) === 0;
}

/** Says which files of a block don't have the size that its meta.json names, and which don't belong to it. */
export function fileProblems({ ulid, meta, files }: StoredBlock): string[] {
  if (meta === null) return [`${ulid}: no meta.json, only ${[...files.keys()].join(', ')}`];
  const listed = meta.thanos?.files ?? [];
  const problems: string[] = [];
  if (!listed.some(({ rel_path: path }) => path === 'index'))
    problems.push(`${ulid}: meta.json lists no index`);
  for (const { rel_path: path, size_bytes: size } of listed) {
    const found = files.get(path);
    if (found === undefined) problems.push(`${ulid}/${path} is missing`);
    else if (size !== undefined && found !== size) {
      problems.push(`${ulid}/${path} has ${found} bytes instead of ${size}`);
    }
  }
  const names = new Set(listed.map(({ rel_path: path }) => path));
  for (const path of files.keys()) {
    if (!names.has(path) && !path.endsWith('-mark.json')) problems.push(`${ulid}/${path} is in no list`);
  }
  return problems;
}

/** Copies the files of a block into `<folder>/<ULID>`, as a Prometheus keeps them. */
export async function downloadBlock(
  s3: S3Peer,
  tenant: string,
  block: StoredBlock,
  folder: string,
): Promise<void> {
  for (const path of block.files.keys()) {
    if (path.endsWith('-mark.json')) continue;
    const target = join(folder, block.ulid, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, await s3.get(`${tenant}/${block.ulid}/${path}`));
  }
}
