export { type HeldHead, Ingester, type IngesterOptions, type IngesterParts } from './ingester.js';
export { type LocalBlock, LocalBlocks, type LocalBlocksParts } from './local-blocks.js';
export type { MetricMetadata } from './metadata-store.js';
export { type ReplayProgress, type ReplayResult, replayLog } from './replay.js';
export { DEFAULT_SHIPPER_OPTIONS, Shipper, type ShipperOptions, type ShipperParts } from './shipper.js';
