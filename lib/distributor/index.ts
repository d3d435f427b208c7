export { Distributor, type DistributorParts, type IngestTarget } from './distributor.js';
export { REASON, type Reason } from './reasons.js';
