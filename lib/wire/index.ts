export { encodeWriteRequest } from './encode-remote-write1.js';
export { HISTOGRAM_BYTES_MAX, type HistogramDefect, HistogramReader } from './histogram.js';
export { parseWriteRequest } from './parse-remote-write1.js';
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
