export { CodecKernel, codecKernel } from './codec.js';
export { type AggregateEntry, DownsampleKernel, type MadeChunk } from './downsample.js';
export {
  FORMAT_LABELS_MAX,
  FORMAT_POINTS_MAX,
  FORMAT_SERIES_MAX,
  type FormatKernel,
  formatKernel,
} from './format.js';
export { type AppendOutcome, HeadKernel, type HeadKernelOptions, SAMPLE_CODE } from './head.js';
export {
  CHUNK_CHANGE,
  type ChunkChange,
  HeadHistograms,
  HISTOGRAM_KIND,
  type HistogramKind,
} from './head-histograms.js';
export { type DeletedSpan, MergeKernel } from './merge.js';
export { adoptKernelModule, createMemory, instantiate, kernelModule, MEMORY_BYTES_MAX } from './module.js';
export {
  AGGREGATION,
  COMPARISON,
  INSTANT_MODE,
  QUANTILE_STEPS,
  QUANTILE_WORK_BYTES,
  QUERY_CODE,
  type QueryExports,
  QueryKernel,
  RANGE_FUNCTION,
  WINDOW_FORM,
} from './query.js';
export { fingerprintSecret, LABEL_FINDING, type LabelLimits, type ScanColumns, ScanKernel } from './scan.js';
