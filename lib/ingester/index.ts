export { type HeldHead, Ingester, type IngesterOptions, type IngesterParts } from './ingester.js';
export type { MetricMetadata } from './metadata-store.js';
