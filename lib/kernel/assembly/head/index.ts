export { allocHeadroom, allocTop, allocUsedBytes, alloc as headAlloc, free as headFree } from './alloc';
export { appendBatch, appendConfigure, chunksMade, firstStale, histogramJudge, raiseMinTime } from './append';
export { histogramAppend, histogramAppendLate } from './histograms';
export { replaySamples, replaySeries, replayUnknown } from './replay';
export { retiredCount, setReaders } from './retire';
export { findByLabels, lookupBatch, seriesCreate, seriesResolve } from './series';
export {
  markedChunks, markedMaxTimeMs, markSlice, removedSeries, sweepNames, sweepPairsSlice, truncateBegin, truncateSlice,
} from './truncate';
export {
  batchClear, batchLength, batchPadPage, batchPointer, batchReserve, batchSwap, frameRecord, pagePosition, recordPointer,
  recordReserve, seriesFrame, seriesRecord, seriesReserve, setPagePosition,
} from './wal';
import { allocInit } from './alloc';
import { appendReset } from './append';
import { seriesInit } from './series';
import { symbolsInit } from './symbols';
import { walInit } from './wal';

/** Prepares an empty head in this memory. False when not even that fits. */
export function headInit(maxBytes: f64): bool {
  allocInit(maxBytes);
  appendReset();
  return symbolsInit() && seriesInit() && walInit();
}
