import type { FloatHistogram } from '../../histogram/index.js';
import { codecKernel, type MadeChunk } from '../../kernel/index.js';
import { ENCODING, HistogramAppender, RESET_HEADER } from '../chunk/index.js';
import { encodeAggregateChunk } from './encode-aggregates.js';
import type { HistogramWindow } from './histogram-windows.js';

/** Most windows of a chunk. */
const WINDOWS_MAX = 65000;
/** Place of the flags in a histogram chunk. */
const HEADER_BYTE = 2;

/**
 * Aggregate chunks of windows: one as a rule, more where a layout changes so that no histogram chunk can hold both (a
 * wider zero bucket).
 */
export function encodeHistogramWindows(windows: readonly HistogramWindow[]): MadeChunk[] {
  const chunks: MadeChunk[] = [];
  let left = windows;
  while (left.length > 0) {
    let part = left.slice(0, WINDOWS_MAX);
    let sums = histogramChunk(part, (window) => window.sum);
    let counters = histogramChunk(part, (window) => window.counter);
    const fitting = Math.min(sums.count, counters.count);
    if (fitting < part.length) {
      part = part.slice(0, fitting);
      sums = histogramChunk(part, (window) => window.sum);
      counters = histogramChunk(part, (window) => window.counter);
    }
    chunks.push(encode(part, sums, counters));
    left = left.slice(fitting);
  }
  return chunks;
}

interface HistogramChunk {
  readonly encoding: number;
  readonly data: Uint8Array;
  /** Windows in it, from the first on. */
  readonly count: number;
}

function encode(
  windows: readonly HistogramWindow[],
  sums: HistogramChunk,
  counters: HistogramChunk,
): MadeChunk {
  const times = Float64Array.from(windows, (window) => window.timeMs);
  const counts = Float64Array.from(windows, (window) => window.count);
  const count = { encoding: ENCODING.xor, data: codecKernel().encodeXor(times, counts, windows.length) };
  // Thanos writes "not reset" into counters' chunks, and no reader believes it: with it the bytes are the same.
  if (counters.data[HEADER_BYTE] === RESET_HEADER.unknown) counters.data[HEADER_BYTE] = RESET_HEADER.notReset;
  const data = encodeAggregateChunk([count, sums, null, null, counters]);
  return { data, minTime: times[0]!, maxTime: times.at(-1)! };
}

/** The longest chunk that begins with the first window. */
function histogramChunk(
  windows: readonly HistogramWindow[],
  pick: (window: HistogramWindow) => FloatHistogram,
): HistogramChunk {
  const appender = HistogramAppender.floats();
  for (let i = 0; i < windows.length; i++) {
    const window = windows[i]!;
    const finished = appender.append(window.timeMs, pick(window));
    if (finished !== null) return { encoding: appender.encoding, data: finished, count: i };
  }
  return { encoding: appender.encoding, data: appender.chunk()!, count: windows.length };
}
