import { EMPTY_LAYOUT, type FloatHistogram, IntegerHistogram, VALUE } from '../histogram/index.js';
import { codecKernel } from '../kernel/index.js';
import { CHUNK_ENCODING, type ChunkArena, type SeriesSet } from '../storage/index.js';
import { HistogramDecoder, hintOf, histogramAt, Xor2Decoder } from '../tsdb/chunk/index.js';

/** A run of samples of one series by time: floats as columns, or histograms one by one. */
export type SampleRun =
  | {
      readonly kind: 'floats';
      readonly timestamps: Float64Array;
      /** Raw bits, stale markers included. */
      readonly values: Float64Array;
    }
  | {
      readonly kind: 'histograms';
      readonly timestamps: Float64Array;
      readonly histograms: readonly (IntegerHistogram | FloatHistogram)[];
    };

const STALE_HIGH = 0x7ff0_0000;
const STALE_LOW = 2;

/** Decodes the chunks of one series after the other, outside the engine. One per thread. */
export class SeriesSampleReader {
  readonly #histograms = new HistogramDecoder();
  readonly #xor2 = new Xor2Decoder();

  /** The samples of series i inside the times (ms, inclusive) by time; of equal times that of the earlier chunk. */
  read(set: SeriesSet, i: number, arena: ChunkArena, minTimeMs: number, maxTimeMs: number): SampleRun[] {
    const runs: SampleRun[] = [];
    let lastMs = Number.NEGATIVE_INFINITY;
    let isSorted = true;
    for (let c = set.chunkOffsets[i]!; c < set.chunkOffsets[i + 1]!; c++) {
      if (set.chunkMinTimes[c]! > maxTimeMs || set.chunkMaxTimes[c]! < minTimeMs) continue;
      const at = set.chunkAddresses[c]!;
      const bytes = arena.bytes().subarray(at, at + set.chunkByteLengths[c]!);
      const run = cut(this.#decode(set.chunkEncodings[c]!, bytes), minTimeMs, maxTimeMs);
      if (run.timestamps.length === 0) continue;
      if (run.timestamps[0]! <= lastMs) isSorted = false;
      lastMs = run.timestamps.at(-1)!;
      runs.push(run);
    }
    return isSorted ? runs : merge(runs);
  }

  #decode(encoding: number, bytes: Uint8Array): SampleRun {
    switch (encoding) {
      case CHUNK_ENCODING.histogram:
      case CHUNK_ENCODING.histogramStartTimes: {
        const columns = this.#histograms.decodeIntegers(encoding, bytes);
        const { integers, words, stride, timestamps, layout, header } = columns;
        const histograms = Array.from(timestamps, (_, k) => {
          const row = k * stride;
          const sum = (row + VALUE.sum) * 2;
          const isStale = words[sum] === STALE_LOW && words[sum + 1] === STALE_HIGH;
          return isStale
            ? new IntegerHistogram(EMPTY_LAYOUT, integers.slice(row, row + VALUE.buckets))
            : new IntegerHistogram(layout, integers.slice(row, row + stride), hintOf(header, k));
        });
        return { kind: 'histograms', timestamps, histograms };
      }
      case CHUNK_ENCODING.floatHistogram:
      case CHUNK_ENCODING.floatHistogramStartTimes: {
        const columns = this.#histograms.decode(encoding, bytes);
        const histograms = Array.from(columns.timestamps, (_, k) => histogramAt(columns, k));
        return { kind: 'histograms', timestamps: columns.timestamps, histograms };
      }
      case CHUNK_ENCODING.xor2: {
        const { timestamps, values } = this.#xor2.decode(bytes);
        return { kind: 'floats', timestamps, values };
      }
      default: {
        const declared = bytes.length < 2 ? 0 : (bytes[0]! << 8) | bytes[1]!;
        const timestamps = new Float64Array(declared);
        const values = new Float64Array(declared);
        codecKernel().decodeXorInto(bytes, timestamps, values);
        return { kind: 'floats', timestamps, values };
      }
    }
  }
}

function cut(run: SampleRun, minTimeMs: number, maxTimeMs: number): SampleRun {
  const { timestamps } = run;
  let from = 0;
  let to = timestamps.length;
  while (from < to && timestamps[from]! < minTimeMs) from++;
  while (to > from && timestamps[to - 1]! > maxTimeMs) to--;
  return from === 0 && to === timestamps.length ? run : part(run, from, to);
}

function part(run: SampleRun, from: number, to: number): SampleRun {
  const timestamps = run.timestamps.subarray(from, to);
  return run.kind === 'floats'
    ? { kind: 'floats', timestamps, values: run.values.subarray(from, to) }
    : { kind: 'histograms', timestamps, histograms: run.histograms.slice(from, to) };
}

/** Puts runs that overlap in order; long runs stay together. */
function merge(runs: readonly SampleRun[]): SampleRun[] {
  const places: { run: number; at: number; timeMs: number }[] = [];
  runs.forEach(({ timestamps }, run) => {
    for (let at = 0; at < timestamps.length; at++) places.push({ run, at, timeMs: timestamps[at]! });
  });
  places.sort((a, b) => a.timeMs - b.timeMs || a.run - b.run);
  const merged: SampleRun[] = [];
  let last: { run: number; from: number; to: number } | null = null;
  let lastMs = Number.NEGATIVE_INFINITY;
  const flush = () => {
    if (last !== null) merged.push(part(runs[last.run]!, last.from, last.to));
  };
  for (const { run, at, timeMs } of places) {
    if (timeMs === lastMs) continue;
    lastMs = timeMs;
    if (last !== null && last.run === run && last.to === at) last.to++;
    else {
      flush();
      last = { run, from: at, to: at + 1 };
    }
  }
  flush();
  return merged;
}
