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
export { DeletionCatalog, type DeletionCatalogOptions } from './deletion-catalog.js';
export {
  type CheckedBlocks,
  type CheckedNotes,
  type DeletionRule,
  deletionMasks,
  deletionRules,
  listChecked,
  noteChecked,
  openRules,
  ruleProgress,
  rulesOfSpan,
} from './deletion-rules.js';
export {
  beginDeletion,
  cancelDeletion,
  createDeletion,
  DELETIONS_MAX,
  type DeletionEnd,
  type DeletionRequest,
  decodeDeletion,
  type EndedDeletion,
  encodeDeletion,
  endDeletion,
  type LiveDeletions,
  listDeletions,
  listEndedDeletions,
  makeDeletion,
  SELECTOR_BYTES_MAX,
} from './deletions.js';
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
  deletionClaimName,
  deletionName,
  deletionsPrefix,
  endedDeletionName,
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
