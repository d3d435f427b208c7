export { type HeldHead, Ingester, type IngesterOptions, type IngesterParts } from './ingester.js';
export type { MetricMetadata } from './metadata-store.js';
export { type ReplayProgress, type ReplayResult, replayLog } from './replay.js';
