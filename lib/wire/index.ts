export { encodeWriteRequest } from './encode-remote-write1.js';
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
