export { countUncovered, placementsSince, type RingMember, writersOf } from './generations.js';
export { placeShards } from './place-shards.js';
export {
  DEFAULT_PLACEMENT,
  type PlacedMember,
  type Placement,
  type PlacementOptions,
} from './placement.js';
export { mountRing, type RingPageOptions, type RingRow, ringRows } from './ring-page.js';
export { shuffleShard } from './shuffle-shard.js';
