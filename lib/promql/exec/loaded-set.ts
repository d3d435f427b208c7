import { assert } from '../../assert/index.js';
import { CorruptionError } from '../../errors/index.js';
import { QUERY_CODE, type QueryKernel } from '../../kernel/index.js';
import { CHUNK_ENCODING, type SeriesSet } from '../../storage/index.js';
import { PlainChunkWriter } from '../../tsdb/chunk/index.js';
import type { SelectSpec } from '../plan/index.js';
import type { QueryContext } from './context.js';
import type { LabelColumns } from './label-columns.js';

/** What the chunks of a series hold beside floats; a bit each. */
export const BESIDE_FLOATS = { histograms: 1, startTimes: 2 } as const;

/**
 * A series set whose labels are in the query's symbol space and whose chunk table lies in kernel memory. The kernel
 * decodes chunks of encoding 1 only: it gets floats of encoding 4 in that form, and sees no chunks of histograms.
 */
export interface LoadedSet {
  readonly spec: SelectSpec;
  readonly set: SeriesSet;
  readonly labels: LabelColumns;
  readonly chunkOffsets: number;
  readonly chunkAddresses: number;
  readonly chunkLengths: number;
  readonly chunkMinTimes: number;
  readonly chunkMaxTimes: number;
  /** BESIDE_FLOATS of each series inside the hinted times; null when all are plain floats, as they mostly are. */
  readonly beside: Uint8Array | null;
  readonly hasHistograms: boolean;
}

/** Takes a select's answer into the query: chunk table to kernel memory, labels to the symbol space. */
export function loadSet(context: QueryContext, spec: SelectSpec, set: SeriesSet): LoadedSet {
  const { kernel } = context;
  const chunkCount = set.chunkAddresses.length;
  const loaded = {
    spec,
    set,
    labels: context.space.adoptLabels(set),
    chunkOffsets: kernel.reserve((set.seriesCount + 1) * 4),
    chunkAddresses: kernel.reserve(chunkCount * 4),
    chunkLengths: kernel.reserve(chunkCount * 4),
    chunkMinTimes: kernel.reserve(chunkCount * 8),
    chunkMaxTimes: kernel.reserve(chunkCount * 8),
  };
  const { u32, f64 } = kernel;
  u32.set(set.chunkOffsets.subarray(0, set.seriesCount + 1), loaded.chunkOffsets / 4);
  u32.set(set.chunkAddresses, loaded.chunkAddresses / 4);
  u32.set(set.chunkByteLengths, loaded.chunkLengths / 4);
  f64.set(set.chunkMinTimes, loaded.chunkMinTimes / 8);
  f64.set(set.chunkMaxTimes, loaded.chunkMaxTimes / 8);
  for (const warning of set.warnings) context.annotations.note(warning);
  const beside = hasOnlyFloats(spec, set) ? null : setApart(context, loaded);
  const found = beside?.reduce((sum, bits) => sum | bits, 0) ?? 0;
  const hasHistograms = (found & BESIDE_FLOATS.histograms) !== 0;
  return { ...loaded, beside: found === 0 ? null : beside, hasHistograms };
}

function hasOnlyFloats({ hints }: SelectSpec, set: SeriesSet): boolean {
  for (let c = 0; c < set.chunkAddresses.length; c++) {
    if (set.chunkEncodings[c] !== CHUNK_ENCODING.xor && touches(set, c, hints)) return false;
  }
  return true;
}

/** Whether a chunk may have samples inside the hinted times. */
export function touches(
  set: SeriesSet,
  c: number,
  hints: { readonly minTimeMs: number; readonly maxTimeMs: number },
): boolean {
  return set.chunkMaxTimes[c]! >= hints.minTimeMs && set.chunkMinTimes[c]! <= hints.maxTimeMs;
}

/** Rewrites the kernel's chunk table so that only chunks of encoding 1 are left, and marks the series concerned. */
function setApart(context: QueryContext, loaded: Omit<LoadedSet, 'beside' | 'hasHistograms'>): Uint8Array {
  const { kernel } = context;
  const { set, spec } = loaded;
  const beside = new Uint8Array(set.seriesCount);
  const writer = new PlainChunkWriter();
  for (let i = 0; i < set.seriesCount; i++) {
    for (let c = set.chunkOffsets[i]!; c < set.chunkOffsets[i + 1]!; c++) {
      const encoding = set.chunkEncodings[c]!;
      if (encoding === CHUNK_ENCODING.xor || !touches(set, c, spec.hints)) continue;
      if (encoding === CHUNK_ENCODING.xor2) {
        if (context.features.startTimestamps) beside[i]! |= BESIDE_FLOATS.startTimes;
        const { data } = writer.write(encoding, chunkBytes(kernel, set, c));
        const address = kernel.reserve(data.length);
        kernel.u8.set(data, address);
        kernel.u32[loaded.chunkAddresses / 4 + c] = address;
        kernel.u32[loaded.chunkLengths / 4 + c] = data.length;
        continue;
      }
      if (!isHistogramEncoding(encoding)) {
        throw new CorruptionError('chunk-encoding', `chunk encoding ${encoding} is not known`);
      }
      beside[i]! |= BESIDE_FLOATS.histograms;
      // A chunk that lies at no time is read by nobody.
      kernel.f64[loaded.chunkMinTimes / 8 + c] = Number.POSITIVE_INFINITY;
      kernel.f64[loaded.chunkMaxTimes / 8 + c] = Number.NEGATIVE_INFINITY;
    }
  }
  return beside;
}

export function isHistogramEncoding(encoding: number): boolean {
  return (
    encoding === CHUNK_ENCODING.histogram ||
    encoding === CHUNK_ENCODING.floatHistogram ||
    encoding === CHUNK_ENCODING.histogramStartTimes ||
    encoding === CHUNK_ENCODING.floatHistogramStartTimes
  );
}

/** The bytes of a chunk as they were selected. */
export function chunkBytes(kernel: QueryKernel, set: SeriesSet, c: number): Uint8Array {
  const address = set.chunkAddresses[c]!;
  return kernel.u8.subarray(address, address + set.chunkByteLengths[c]!);
}

/** Points the kernel at a set's chunks and makes room for its longest series. */
export function useSet(context: QueryContext, loaded: LoadedSet): void {
  context.kernel.functions.queryChunkTable(
    loaded.chunkAddresses,
    loaded.chunkLengths,
    loaded.chunkMinTimes,
    loaded.chunkMaxTimes,
  );
}

/** Makes room in the columns for the longest series of a set; returns its number of samples. */
export function sizeColumns(context: QueryContext, loaded: LoadedSet): number {
  useSet(context, loaded);
  const { minTimeMs, maxTimeMs } = loaded.spec.hints;
  const { functions } = context.kernel;
  const samples = functions.querySamplesMax(
    loaded.chunkOffsets,
    loaded.set.seriesCount,
    minTimeMs,
    maxTimeMs,
  );
  context.ensureColumns(samples);
  return samples;
}

/** Turns a result code of a decoding kernel function into an error. */
export function checkCode(code: number): number {
  if (code >= 0) return code;
  assert(code !== QUERY_CODE.columnsTooSmall, 'columns were sized for the longest series');
  throw new CorruptionError(
    'chunk-corrupt',
    'cannot decode a float chunk: its bits end before its samples do',
  );
}

/** Calls one visitor for runs of series of plain floats in [from, to), the other for each series with more. */
export function splitSeries(
  loaded: LoadedSet,
  mask: number,
  from: number,
  to: number,
  visitFloats: (from: number, to: number) => void,
  visitOther: (series: number) => void,
): void {
  const { beside } = loaded;
  let i = from;
  while (i < to) {
    let end = i;
    if (beside === null) end = to;
    else while (end < to && (beside[end]! & mask) === 0) end++;
    if (end > i) visitFloats(i, end);
    i = end;
    while (i < to && (beside![i]! & mask) !== 0) visitOther(i++);
  }
}
