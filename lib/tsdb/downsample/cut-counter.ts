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
 * chunk the counter was corrected for resets, so it must not meet other samples in the middle. Behind the cut it goes on
 * from the value before it, which is repeated there; before a cut it ends with the value behind it, if that is lower, as
 * if nothing had happened in between.
 * @returns null when nothing is left
 */
export function cutCounter(data: Uint8Array, cut: CounterCut): Uint8Array | null {
  const samples = samplesOfXor(data);
  const from = firstFrom(samples, cut.fromMs);
  const to = firstFrom(samples, cut.toMs);
  if (from >= to) return null;
  const out = new SampleList(to - from + 2);
  let shift = 0;
  if (from > 0 && cut.before !== null) {
    shift = samples.values[from - 1]! - cut.before;
    if (samples.times[from]! > cut.fromMs) out.add(cut.fromMs, cut.before);
  }
  const last = samples.times.length - 1;
  // The last value of all is a true one, here as well.
  const isAnchored = to > last && last > from && samples.times[last] === samples.times[last - 1];
  const windowsEnd = isAnchored ? last : to;
  for (let i = from; i < windowsEnd; i++) out.add(samples.times[i]!, samples.values[i]! - shift);
  const end = samples.values[windowsEnd - 1]! - shift;
  if (isAnchored) out.add(samples.times[last]!, samples.values[last]!);
  else if (to <= last) out.add(samples.times[to - 1]!, Math.min(end, cut.after ?? end));
  return codecKernel().encodeXor(out.times, out.values, out.count);
}

class SampleList {
  readonly times: Float64Array;
  readonly values: Float64Array;
  count = 0;

  constructor(capacity: number) {
    this.times = new Float64Array(capacity);
    this.values = new Float64Array(capacity);
  }

  add(time: number, value: number): void {
    this.times[this.count] = time;
    this.values[this.count++] = value;
  }
}

function firstFrom({ times }: PlainSamples, timeMs: number): number {
  let i = 0;
  while (i < times.length && times[i]! < timeMs) i++;
  return i;
}
