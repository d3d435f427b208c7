export {
  type AggregateChoice,
  type AnswerGrade,
  aggregateFor,
  type SeriesAggregate,
} from './aggregate-for.js';
export { type CounterCut, cutCounter } from './cut-counter.js';
export { cutPlain, type PlainSamples, samplesOfXor } from './cut-plain.js';
export { type DownsampleOptions, type DownsampleProgress, downsampleBlocks } from './downsample-blocks.js';
export { type AggregateParts, encodeAggregateChunk } from './encode-aggregates.js';
export { type LevelShare, NO_SHARE, type SharedBlock, sharesInLevels } from './level-shares.js';
export { coarserResolution, RESOLUTION, RESOLUTIONS, type Resolution } from './levels.js';
export { type PlainAggregate, PlainAggregateWriter } from './plain-aggregate.js';
