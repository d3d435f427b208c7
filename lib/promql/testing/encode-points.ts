import { EMPTY_LAYOUT, FloatHistogram, VALUE, valueCountOf } from '../../histogram/index.js';
import { CHUNK_ENCODING } from '../../storage/index.js';
import { addStartTimes, encodeXor2, HistogramAppender } from '../../tsdb/chunk/index.js';
import { type Chunk, encodeChunks } from './memory-queryable.js';
import type { Point } from './script.js';

/** Chunk range of the head that upstream's test storage has. */
const CHUNK_RANGE_MS = 86_400_000;
const TARGET_BYTES = 1024;
const SAMPLES_MIN = 10;

/** Neighbouring points that are all floats or all histograms. */
interface Run {
  readonly isFloat: boolean;
  readonly times: number[];
  readonly points: Point[];
  /** Start times, 0 for unknown. */
  readonly starts: number[];
}

const STALE_BITS = 0x7ff0_0000_0000_0002n;

/** A stale marker: only its sum says so. */
function staleHistogram(): FloatHistogram {
  const values = new Float64Array(valueCountOf(EMPTY_LAYOUT));
  new BigUint64Array(values.buffer)[VALUE.sum] = STALE_BITS;
  return new FloatHistogram(EMPTY_LAYOUT, values);
}

/**
 * Encodes the points of a series line as Prometheus' head does: runs of floats and of histograms in chunks of each
 * kind, stale markers of the kind before them.
 * @param startOffsets ms from each point to the start of what it counts; without any, chunks hold no start times
 */
export function encodePoints(
  points: readonly Point[],
  stepMs: number,
  startOffsets: readonly (number | null)[] | null = null,
): Chunk[] {
  const runs: Run[] = [];
  points.forEach((point, i) => {
    if (point.kind === 'none') return;
    let run = runs.at(-1);
    const isFloat = point.kind === 'float' || (point.kind === 'stale' && run?.isFloat !== false);
    if (run === undefined || run.isFloat !== isFloat) {
      run = { isFloat, times: [], points: [], starts: [] };
      runs.push(run);
    }
    const offset = startOffsets?.[i] ?? null;
    run.times.push(i * stepMs);
    run.starts.push(offset === null ? 0 : i * stepMs + offset);
    run.points.push(point);
  });
  const hasStarts = startOffsets !== null;
  return runs.flatMap((run) =>
    run.isFloat ? encodeFloats(run, hasStarts) : encodeHistograms(run, hasStarts),
  );
}

function encodeFloats({ times, points, starts }: Run, hasStarts: boolean): Chunk[] {
  const values = new Float64Array(times.length);
  const bits = new BigUint64Array(values.buffer);
  points.forEach((point, i) => {
    if (point.kind === 'float') values[i] = point.value;
    else bits[i] = STALE_BITS;
  });
  const timestamps = Float64Array.from(times);
  if (!hasStarts) return encodeChunks(timestamps, values);
  return [
    {
      bytes: encodeXor2(timestamps, values, Float64Array.from(starts)),
      minTimeMs: times[0]!,
      maxTimeMs: times.at(-1)!,
      encoding: CHUNK_ENCODING.xor2,
    },
  ];
}

/** Chunks cut by the appender, by their size, and at multiples of the chunk range (spec: chunks.md §9). */
function encodeHistograms({ times, points, starts }: Run, hasStarts: boolean): Chunk[] {
  const appender = HistogramAppender.floats();
  const chunks: Chunk[] = [];
  let first = 0;
  let rangeEnd = 0;
  let nextAt = 0;
  let isForetold = false;
  const finish = (bytes: Uint8Array | null, end: number): void => {
    if (bytes === null) return;
    const { floatHistogram } = CHUNK_ENCODING;
    const { encoding, data } = hasStarts
      ? addStartTimes(floatHistogram, bytes, Float64Array.from(starts.slice(first, end)))
      : { encoding: floatHistogram, data: bytes };
    chunks.push({ bytes: data, minTimeMs: times[first]!, maxTimeMs: times[end - 1]!, encoding });
  };
  points.forEach((point, i) => {
    const time = times[i]!;
    const { sampleCount, byteLength } = appender;
    if (sampleCount > 0) {
      if (!isForetold && byteLength >= TARGET_BYTES / 4) {
        isForetold = true;
        const start = times[first]!;
        const parts = (nextAt - start) / ((times[i - 1]! - start + 1) * (TARGET_BYTES / byteLength));
        if (parts > 1) nextAt = start + (nextAt - start) / Math.floor(parts);
      }
      const isFull = time >= nextAt || byteLength >= 2 * TARGET_BYTES;
      if (isFull && (sampleCount >= SAMPLES_MIN || time >= rangeEnd)) finish(appender.cut(), i);
    }
    finish(appender.append(time, point.kind === 'histogram' ? point.histogram : staleHistogram()), i);
    if (appender.sampleCount > 1) return;
    first = i;
    isForetold = false;
    rangeEnd = Math.floor(time / CHUNK_RANGE_MS) * CHUNK_RANGE_MS + CHUNK_RANGE_MS;
    nextAt = rangeEnd;
  });
  finish(appender.cut(), times.length);
  return chunks;
}
