import { resolve } from 'node:path';
import { assert } from '../../lib/assert/index.js';
import { type BucketSettings, bucketMetrics, openBucket, parseBucketUrl } from '../../lib/bucket/index.js';
import type { Config } from '../../lib/config/index.js';
import type { Storage, StorageParts } from './storage.js';

/** The bucket of a configuration, as data for whoever opens it. */
export function bucketSettings(config: Config): BucketSettings {
  const url = parseBucketUrl(config.bucket);
  assert(url !== null, 'the configuration was checked');
  return {
    url: url.kind === 'folder' ? { kind: 'folder', folder: resolve(url.folder) } : url,
    s3: config.s3,
    flatTenant: config.bucketFlatTenant,
  };
}

/** The storage of a process that has no data of its own, only the bucket. */
export async function buildBucketStorage({ config, metrics }: StorageParts): Promise<Storage> {
  const bucket = await openBucket(bucketSettings(config), bucketMetrics(metrics));
  return {
    sources: null,
    catalog: null,
    deletions: null,
    bucket,
    push: null,
    flush: null,
    start: async () => {},
    stop: async () => bucket.close(),
  };
}
