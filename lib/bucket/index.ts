export type { Bucket, ObjectList, ObjectSource, ObjectStat } from './bucket.js';
export {
  checkObjectName,
  checkObjectPrefix,
  isObjectNotFound,
  objectNotFound,
  objectRange,
} from './bucket.js';
export { FlatBucket } from './flat-bucket.js';
export { FolderBucket } from './folder-bucket.js';
export { bucketMetrics } from './metrics.js';
export {
  type BucketSettings,
  type BucketUrl,
  bucketFolder,
  openBucket,
  parseBucketUrl,
} from './open-bucket.js';
export type { RetryPolicy } from './retry.js';
export {
  type BucketRequest,
  PART_BYTES_MIN,
  S3Bucket,
  type S3Credentials,
  type S3Options,
} from './s3-bucket.js';
