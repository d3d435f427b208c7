export { AGGREGATE, type Aggregate, decodeAggregateChunk, type InnerChunk } from './aggregate-chunk.js';
export { ENCODING, RESET_HEADER, type ResetHeader } from './format.js';
export { HistogramAppender } from './histogram-appender.js';
export { type HistogramColumns, hintOf, histogramAt } from './histogram-columns.js';
export { HistogramDecoder, type IntegerColumns } from './histogram-decoder.js';
export {
  decodeHistogramSamples,
  HistogramRun,
  type HistogramSamples,
  type TimedChunk,
} from './histogram-samples.js';
export { addStartTimes, type PlainChunk, PlainChunkWriter } from './plain-chunk.js';
export { type FloatColumns, Xor2Decoder } from './xor2-decoder.js';
export { encodeXor2 } from './xor2-encoder.js';
