export { RequestBody } from './body.js';
export {
  type Corpus,
  checksumOf,
  INTERVAL_MS,
  type LoadShape,
  SAMPLES_PER_REQUEST,
  startOf,
  writeCorpus,
} from './corpus.js';
export { send } from './send.js';
export type { SendPlan, SendResult } from './sender.js';
export { kindOf, labelsOf } from './series.js';
export { startTarget, TARGETS, type Target, type TargetName } from './targets.js';
export { diskBytes, type ProcessUsage, usageOf } from './usage.js';
export { nextValue } from './values.js';
