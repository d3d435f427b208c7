export { exponentialBound, powerOfTwo } from './bounds.js';
export { forEachBucket, forEachBucketReverse, lowerBound, upperBound } from './buckets.js';
export {
  EMPTY_LAYOUT,
  emptyHistogram,
  equalHistograms,
  FloatHistogram,
  isStaleAt,
  RESET_HINT,
  type ResetHint,
  VALUE,
  valueCountOf,
} from './float-histogram.js';
export {
  IntegerHistogram,
  type IntegerHistogramParts,
  integersToFloats,
  isStaleRow,
} from './integer-histogram.js';
export {
  CUSTOM_SCHEMA,
  equalBounds,
  equalLayouts,
  HistogramLayout,
  SCHEMA_MAX,
  SCHEMA_MIN,
} from './layout.js';
export {
  bucketCountOf,
  equalSpans,
  indexesOfSpans,
  NO_SPANS,
  type Spans,
  spansOf,
  spansOfIndexes,
} from './spans.js';
export { formatHistogram, type HistogramJson, histogramJson } from './text.js';
