import type { HistogramExports } from './head-histograms.js';

/** What the kernel exports for heads (assembly/head/index.ts), but for histograms. */
export interface HeadExports extends HistogramExports {
  headInit(maxBytes: number): number;
  crcInit(): void;
  fingerprintSeed(low1: number, high1: number, low2: number, high2: number): void;
  fingerprint(address: number, length: number): void;
  headAlloc(byteCount: number): number;
  headFree(address: number, byteCount: number): void;
  allocUsedBytes(): number;
  allocTop(): number;
  appendConfigure(chunkRangeMs: number, windowMs: number): void;
  raiseMinTime(timeMs: number): void;
  findByLabels(labels: number, length: number): number;
  lookupBatch(hashes1: number, hashes2: number, count: number, refs: number): number;
  seriesCreate(labels: number, length: number, wanted: number): number;
  seriesResolve(ref: number): number;
  appendBatch(
    refs: number,
    starts: number,
    count: number,
    times: number,
    values: number,
    futureLimitMs: number,
  ): number;
  replaySeries(address: number, length: number, scratch: number): number;
  replaySamples(address: number, length: number, minTimeMs: number): number;
  readonly replayUnknown: { readonly value: number };
  readonly chunksMade: { readonly value: number };
  setReaders(current: number, oldest: number): void;
  retiredCount(): number;
  truncateBegin(): void;
  markSlice(ref: number, budget: number, timeMs: number): number;
  truncateSlice(ref: number, budget: number): number;
  sweepPairsSlice(pair: number, budget: number): number;
  sweepNames(): number;
  readonly markedChunks: { readonly value: number };
  markedMaxTimeMs(): number;
  readonly removedSeries: { readonly value: number };
  recordReserve(byteCount: number): number;
  recordPointer(): number;
  seriesReserve(length: number): number;
  seriesRecord(ref: number, labels: number, length: number): void;
  seriesFrame(): void;
  frameRecord(length: number): void;
  batchReserve(byteCount: number): number;
  batchPointer(): number;
  batchLength(): number;
  batchSwap(): void;
  batchClear(): void;
  batchPadPage(): void;
  pagePosition(): number;
  setPagePosition(offset: number): void;
}
