export {
  type BlockFacts,
  type BucketIndex,
  decodeBucketIndex,
  describeBlock,
  encodeBucketIndex,
  type IndexedBlock,
  type KnownBlock,
  sortBlocks,
} from './bucket-index.js';
export { BlockCatalog, type CatalogOptions, DEFAULT_CATALOG_OPTIONS } from './catalog.js';
export { coveredBlocks, groupKey, groupLabels, visibleBlocks } from './cover.js';
export {
  type BlockMark,
  readMark,
  readTenantMark,
  removeMark,
  removeTenantMark,
  type TenantMark,
  writeMark,
  writeTenantMark,
} from './marks.js';
export {
  blockPrefix,
  indexName,
  MARK_KINDS,
  type MarkKind,
  markCopyName,
  markersPrefix,
  markName,
  metaName,
} from './object-names.js';
export { listTenants, type TenantNames } from './tenants.js';
export {
  eachOf,
  type KnownIndex,
  listTenant,
  readBucketIndex,
  type TenantListing,
  writeBucketIndex,
} from './update-index.js';
