import { codecKernel } from '../../kernel/index.js';
import { type PlainSamples, samplesOfXor } from './cut-plain.js';

/** What to keep of a counter entry, and what stands beside it. */
export interface CounterCut {
  /** Inclusive and exclusive; -Infinity and Infinity where it is not cut. */
  readonly fromMs: number;
  readonly toMs: number;
  /** The last value before `fromMs`, and the first from `toMs` on; null when there is none or it is no true value. */
  readonly before: number | null;
  readonly after: number | null;
}

/**
 * Cuts the counter entry of an aggregate chunk (docs/formats/downsampled.md), as an entry of the same form. Inside a
 * chunk the counter was corrected for resets, so it must not meet other samples in the middle. Behind the cut it begins
 * with the value before it, risen by what it rose in between; before a cut it ends with the value behind it, if that is
 * lower, as if nothing had happened in between.
 * @returns null when nothing is left
 */
export function cutCounter(data: Uint8Array, cut: CounterCut): Uint8Array | null {
  const samples = samplesOfXor(data);
  const from = firstFrom(samples, cut.fromMs);
  const to = firstFrom(samples, cut.toMs);
  if (from >= to) return null;
  const isBegun = from > 0 && cut.before !== null;
  const shift = isBegun ? samples.values[from - 1]! - cut.before : 0;
  const isEnded = to < samples.times.length;
  const size = to - from + (isEnded ? 1 : 0);
  const times = new Float64Array(size);
  const values = new Float64Array(size);
  times.set(samples.times.subarray(from, to));
  for (let i = from; i < to; i++) values[i - from] = samples.values[i]! - shift;
  const last = samples.times.length - 1;
  if (isEnded) {
    const end = values[size - 2]!;
    times[size - 1] = times[size - 2]!;
    values[size - 1] = Math.min(end, cut.after ?? end);
  } else if (last > from && samples.times[last] === samples.times[last - 1]) {
    // The true value at the end is true here, too.
    values[size - 1] = samples.values[last]!;
  }
  return codecKernel().encodeXor(times, values, size);
}

function firstFrom({ times }: PlainSamples, timeMs: number): number {
  let i = 0;
  while (i < times.length && times[i]! < timeMs) i++;
  return i;
}
