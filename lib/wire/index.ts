export { encodeWriteRequest } from './encode-remote-write1.js';
export { HISTOGRAM_BYTES_MAX, type HistogramDefect, HistogramReader } from './histogram.js';
export { type ExposedMetric, encodeMetricFamily } from './metric-family.js';
export { parseWriteRequest } from './parse-remote-write1.js';
export {
  beginMessage,
  endFrame,
  endMessage,
  type MessageSink,
  parseReadRequest,
  READ_RESPONSE_TYPE,
  type ReadChunk,
  type ReadMatcher,
  type ReadQuery,
  type ReadRequest,
  writeChunk,
  writeInteger,
  writeLabels,
  writeReadHistogram,
  writeSamples,
} from './remote-read.js';
export type {
  WriteExemplar,
  WriteHistogram,
  WriteMetadata,
  WriteRequest,
  WriteSample,
  WriteSeries,
  WriteSpan,
} from './remote-write1.js';
export { writeHistogramOf } from './write-histogram.js';
