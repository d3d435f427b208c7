import { codecKernel } from '../../kernel/index.js';
import { ENCODING, HistogramAppender } from '../chunk/index.js';
import type { PlainAggregate } from './plain-aggregate.js';

/** Columns of one chunk. They belong to whoever decoded it. */
export interface PlainSamples {
  readonly times: Float64Array;
  readonly values: Float64Array;
}

/** The samples of an XOR chunk. @throws CorruptionError */
export function samplesOfXor(data: Uint8Array): PlainSamples {
  const declared = data.length < 2 ? 0 : (data[0]! << 8) | data[1]!;
  const times = new Float64Array(declared);
  const values = new Float64Array(declared);
  const count = codecKernel().decodeXorInto(data, times, values);
  return { times: times.subarray(0, count), values: values.subarray(0, count) };
}

/**
 * The samples of a chunk of encoding 1, 2 or 3 at times from `fromMs` (inclusive) to `toMs` (exclusive); null when there
 * are none. Chunks that lie inside are returned as they are.
 * @throws CorruptionError
 */
export function cutPlain(chunk: PlainAggregate, fromMs: number, toMs: number): PlainAggregate | null {
  const { encoding, data, minTime, maxTime } = chunk;
  if (minTime >= fromMs && maxTime < toMs) return chunk;
  if (maxTime < fromMs || minTime >= toMs) return null;
  if (encoding !== ENCODING.xor) {
    const cut = HistogramAppender.filtered(encoding, data, (time) => time >= fromMs && time < toMs);
    return { encoding, data: cut, minTime: Math.max(minTime, fromMs), maxTime: Math.min(maxTime, toMs - 1) };
  }
  const { times, values } = samplesOfXor(data);
  let from = 0;
  let to = times.length;
  while (from < to && times[from]! < fromMs) from++;
  while (to > from && times[to - 1]! >= toMs) to--;
  if (from === to) return null;
  const cut = codecKernel().encodeXor(times.subarray(from, to), values.subarray(from, to), to - from);
  return { encoding, data: cut, minTime: times[from]!, maxTime: times[to - 1]! };
}
