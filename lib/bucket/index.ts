export type { Bucket, ObjectList, ObjectSource, ObjectStat } from './bucket.js';
export {
  checkObjectName,
  checkObjectPrefix,
  isObjectNotFound,
  objectNotFound,
  objectRange,
} from './bucket.js';
export { FolderBucket } from './folder-bucket.js';
