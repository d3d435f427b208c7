export { AdminApi, type AdminApiOptions, type AdminApiParts } from './admin-api.js';
export { API_PREFIXES, QueryApi, type QueryApiOptions, type QueryApiParts } from './api.js';
export { type EncodeOptions, encodeQueryResult } from './encode.js';
export { LocalQueries } from './local-queries.js';
export { withoutDeleted } from './masked-queryable.js';
export { ReadApi, type ReadApiOptions } from './read-api.js';
export { blockReadMetrics } from './read-metrics.js';
export type {
  BlockDescriptor,
  HeadDescriptor,
  HeadStats,
  MetricMetadata,
  NamedCount,
  SourceDescriptor,
  SourceProvider,
  SourceSnapshot,
} from './sources.js';
export { EMPTY_HEAD_STATS } from './sources.js';
export type { BuildInfo } from './status-api.js';
export type { BlockAccess, BlockReads, QueryWorkerData } from './task.js';
