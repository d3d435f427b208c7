import { codecKernel } from '../../kernel/index.js';
import type { Interval } from '../block/index.js';
import {
  AGGREGATE,
  decodeAggregateChunk,
  ENCODING,
  HistogramAppender,
  type InnerChunk,
} from '../chunk/index.js';
import { encodeAggregateChunk } from '../downsample/index.js';

/** What is left of a downsampled chunk. Times of its first and last window, ms. */
export interface CutChunk {
  readonly data: Uint8Array;
  readonly windowCount: number;
  readonly minTime: number;
  readonly maxTime: number;
}

interface Columns {
  readonly times: Float64Array;
  readonly values: Float64Array;
  readonly count: number;
}

/**
 * A downsampled chunk (encoding 255) without the windows that end within deleted spans; null when none is left.
 *
 * The counter goes on over the hole: what it grew by there is still part of the increase from before to behind it. Where
 * the chunk's end goes, its true last value goes with it; the largest value of the last window that stays takes its
 * place, which is the true one unless the counter was reset in that very window.
 * @throws CorruptionError when the chunk does not decode
 */
export function cutAggregate(chunk: Uint8Array, spans: readonly Interval[]): CutChunk | null {
  const inner = decodeAggregateChunk(chunk);
  const isKept = (time: number) => !spans.some((span) => time >= span.minTime && time <= span.maxTime);
  const told = inner.find((part) => part !== null && part.encoding === ENCODING.xor) ?? null;
  if (told === null) return null;
  const windows = filtered(columnsOf(told), isKept);
  if (windows.count === 0) return null;
  const maximum = inner[AGGREGATE.max] ?? null;
  const parts = inner.map((part, aggregate) => {
    if (part === null) return null;
    if (part.encoding !== ENCODING.xor) {
      return { encoding: part.encoding, data: HistogramAppender.filtered(part.encoding, part.data, isKept) };
    }
    const columns = columnsOf(part);
    const left =
      aggregate === AGGREGATE.counter ? cutCounter(columns, maximum, isKept) : filtered(columns, isKept);
    if (left.count === 0) return null;
    return { encoding: ENCODING.xor, data: codecKernel().encodeXor(left.times, left.values, left.count) };
  });
  return {
    data: encodeAggregateChunk(parts),
    windowCount: windows.count,
    minTime: windows.times[0]!,
    maxTime: windows.times[windows.count - 1]!,
  };
}

function columnsOf({ data }: InnerChunk): Columns {
  const declared = data.length < 2 ? 0 : (data[0]! << 8) | data[1]!;
  const times = new Float64Array(declared);
  const values = new Float64Array(declared);
  return { times, values, count: codecKernel().decodeXorInto(data, times, values) };
}

function filtered({ times, values, count }: Columns, isKept: (time: number) => boolean): Columns {
  return picked(times, values, count, (i) => isKept(times[i]!));
}

/** Samples by their place; values move as words, as a number could lose the bits of a NaN. */
function picked(
  times: Float64Array,
  values: Float64Array,
  count: number,
  isKept: (i: number) => boolean,
): Columns {
  const left = { times: new Float64Array(count), values: new Float64Array(count), count: 0 };
  for (let i = 0; i < count; i++) {
    if (!isKept(i)) continue;
    left.times[left.count] = times[i]!;
    left.values.set(values.subarray(i, i + 1), left.count);
    left.count++;
  }
  return left;
}

/** The counter: a true value, then a sample per window, then a true value at the time of the last window. */
function cutCounter(
  { times, values, count }: Columns,
  maximum: InnerChunk | null,
  isKept: (time: number) => boolean,
): Columns {
  const hasEnd = count > 1 && times[count - 1] === times[count - 2];
  const left = picked(times, values, count, (i) => isKept(times[i === 0 && count > 1 ? 1 : i]!));
  if (!hasEnd || left.count === 0 || isKept(times[count - 1]!)) return left;
  const end = left.times[left.count - 1]!;
  const maxima = maximum === null ? null : columnsOf(maximum);
  const at = maxima === null ? -1 : maxima.times.lastIndexOf(end);
  const source = maxima !== null && at >= 0 ? maxima.values.subarray(at, at + 1) : null;
  return {
    times: withOneMore(left.times, left.count, Float64Array.of(end)),
    values: withOneMore(left.values, left.count, source ?? left.values.subarray(left.count - 1, left.count)),
    count: left.count + 1,
  };
}

function withOneMore(column: Float64Array, count: number, last: Float64Array): Float64Array {
  const next = new Float64Array(count + 1);
  next.set(column.subarray(0, count));
  next.set(last, count);
  return next;
}
