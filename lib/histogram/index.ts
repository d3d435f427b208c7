export {
  addHistograms,
  type Combined,
  combineHints,
  isCompatible,
  isHintCollision,
  subtractHistograms,
} from './arithmetic.js';
export { exponentialBound, powerOfTwo } from './bounds.js';
export {
  type BucketVisitor,
  forEachBucket,
  forEachBucketReverse,
  lowerBound,
  upperBound,
} from './buckets.js';
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
export { exp2, log, log2 } from './log-scale.js';
export { parseHistogramNotation } from './notation.js';
export {
  type Estimate,
  histogramFraction,
  histogramQuantile,
  histogramVariance,
  NAN_NOTE,
  type NanNote,
} from './quantile.js';
export { isCounterReset } from './reset.js';
export {
  bucketCountOf,
  equalSpans,
  indexesOfSpans,
  NO_SPANS,
  type Spans,
  spansOf,
  spansOfIndexes,
} from './spans.js';
export { HistogramMean, HistogramSum, histogramMean, interpolateHistograms } from './sum.js';
export { formatG, formatHistogram, type HistogramJson, histogramJson } from './text.js';
export { compactHistogram, divideHistogram, multiplyHistogram, reduceResolution } from './transform.js';
export { trimHistogram } from './trim.js';
export { type HistogramProblem, histogramProblem, spansProblem } from './validate.js';
