import type { Bucket } from './bucket.js';
import { FlatBucket } from './flat-bucket.js';
import { FolderBucket } from './folder-bucket.js';
import {
  type BucketRequest,
  PART_BYTES_MIN,
  S3Bucket,
  type S3Credentials,
  type S3Options,
} from './s3-bucket.js';

/** What a bucket setting names. */
export type BucketUrl =
  | { readonly kind: 'folder'; readonly folder: string }
  | { readonly kind: 's3'; readonly bucket: string; readonly prefix: string };

/** All that opening a bucket takes, as plain data that can be sent to threads. */
export interface BucketSettings {
  readonly url: BucketUrl;
  readonly s3: S3Settings;
  /** The tenant whose blocks stand at the root of the bucket (`FlatBucket`); '' for none. */
  readonly flatTenant: string;
  /** Left out for the usual chain of environment, files and roles. */
  readonly credentials?: S3Credentials;
}

/** Settings of the S3 client; see the reference of the group `s3`. */
export interface S3Settings {
  readonly endpoint: string;
  readonly region: string;
  readonly pathStyle: 'auto' | 'true' | 'false';
  readonly checksums: 'when-required' | 'when-supported';
  readonly encryption: 'none' | 'AES256' | 'aws:kms';
  readonly kmsKeyId: string;
  readonly partBytes: number;
  readonly maxConnections: number;
  readonly requestTimeoutMs: number;
  readonly deadlineMs: number;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;

/** Reads `file:FOLDER` or `s3://NAME[/PREFIX]`; null for anything else. */
export function parseBucketUrl(text: string): BucketUrl | null {
  if (/^file:./.test(text)) return { kind: 'folder', folder: text.slice('file:'.length) };
  const [, bucket, path] = /^s3:\/\/([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])(\/.*)?$/.exec(text) ?? [];
  if (bucket === undefined) return null;
  const prefix = (path ?? '').replace(/^\/+|\/+$/g, '');
  const isBad =
    prefix !== '' && prefix.split('/').some((part) => part === '' || part === '.' || part === '..');
  return isBad ? null : { kind: 's3', bucket, prefix };
}

/** The folder that a bucket is, if its objects stand in files of their names; null for all others. */
export function bucketFolder({ url, flatTenant }: BucketSettings): string | null {
  return url.kind === 'folder' && flatTenant === '' ? url.folder : null;
}

/**
 * Opens a bucket. The store is not asked for anything yet.
 * @param observe told about each finished request to S3; folders tell nothing
 */
export async function openBucket(
  { url, s3, flatTenant, credentials }: BucketSettings,
  observe: (request: BucketRequest) => void = () => {},
): Promise<Bucket> {
  const bucket =
    url.kind === 'folder'
      ? new FolderBucket(url.folder)
      : await S3Bucket.open({
          ...s3OptionsOf(s3),
          bucket: url.bucket,
          prefix: url.prefix,
          credentials: credentials ?? null,
          observe,
        });
  return flatTenant === '' ? bucket : new FlatBucket(bucket, flatTenant);
}

function s3OptionsOf(s3: S3Settings): Omit<S3Options, 'bucket' | 'prefix' | 'observe' | 'credentials'> {
  return {
    endpoint: s3.endpoint,
    region: s3.region,
    forcePathStyle: s3.pathStyle === 'auto' ? s3.endpoint !== '' : s3.pathStyle === 'true',
    checksums: s3.checksums,
    encryption: s3.encryption === 'none' ? '' : s3.encryption,
    kmsKeyId: s3.kmsKeyId,
    partBytes: Math.max(PART_BYTES_MIN, s3.partBytes),
    connectionsMax: s3.maxConnections,
    retry: {
      deadlineMs: s3.deadlineMs,
      attemptMs: s3.requestTimeoutMs,
      firstPauseMs: FIRST_PAUSE_MS,
      longestPauseMs: LONGEST_PAUSE_MS,
      random: Math.random,
    },
  };
}
