export { type CheckpointOptions, type CheckpointStats, writeCheckpoint } from './checkpoint.js';
export {
  checkpointName,
  removeLeftovers,
  removeReplaced,
  replayOrder,
  scanWalDirectory,
  segmentName,
  type WalCheckpoint,
  type WalDirectory,
  type WalSegment,
  walByteCount,
} from './directory.js';
export {
  CUSTOM_BUCKETS_SCHEMA,
  FRAGMENT,
  FRAGMENT_HEADER_BYTES,
  PAGE_BYTES,
  RECORD,
  SEGMENT_BYTES_MAX,
  SNAPPY_FLAG,
} from './format.js';
export { GroupCommit, type GroupCommitOptions, type SyncMode } from './group-commit.js';
export {
  decodeFloatHistogramBody,
  decodeHistogramBody,
  encodeFloatHistogramBody,
  encodeHistogramBody,
} from './histogram-body.js';
export {
  eachHistogram,
  HistogramRecords,
  histogramRecordRoom,
  isHistogramRecord,
} from './histogram-records.js';
export {
  encodeLabels,
  encodeMetadataEntry,
  encodeSeriesEntry,
  encodeTombstoneEntry,
  MetadataRecordReader,
  SampleRecordReader,
  SampleRecordWriter,
  SeriesRecordReader,
  TombstoneRecordReader,
} from './records.js';
export { SampleV2RecordReader } from './records-v2.js';
export { splitPages } from './split-pages.js';
export { repairTear, WalReader, type WalReaderOptions, type WalTear } from './wal-reader.js';
export { encodeRecordPages, segmentRoom, WalWriter } from './wal-writer.js';
