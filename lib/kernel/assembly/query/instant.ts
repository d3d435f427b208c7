// Instant selectors: for each step the newest sample inside the lookback window, unless it is a stale marker.

import {
  STALE_BITS, computeWindows, emit, fromOf, referenceMs, sampleCount, stepCount, stepMs, timeAt, toOf, valueAt, values,
} from './columns';

/**
 * Writes the row of an instant selector. A sample counts when its time is in (reference - lookback, reference].
 * With `wantTimes` the sample's own time in seconds is written instead of its value.
 * @returns number of steps that have a value
 */
export function instantRow(lookback: f64, wantTimes: bool, row: usize, present: usize): u32 {
  computeWindows(lookback, 0);
  let found: u32 = 0;
  for (let k: u32 = 0; k < stepCount; k++) {
    const to = toOf(k);
    // Bits are moved as they are: other NaN payloads survive.
    const bits = to > 0 ? load<u64>(values + ((<usize>to) << 3) - 8) : STALE_BITS;
    const isPresent = to > fromOf(k) && bits != STALE_BITS;
    if (wantTimes) store<f64>(row + ((<usize>k) << 3), isPresent ? timeAt(to - 1) / 1000 : 0);
    else store<u64>(row + ((<usize>k) << 3), bits);
    store<u8>(present + k, <u8>isPresent);
    found += <u32>isPresent;
  }
  return found;
}

/**
 * `smoothed` on an instant selector: the exact sample at the reference time, else linear interpolation between its
 * neighbours inside (reference - lookback, reference + lookback], else the last earlier value. Needs stale markers dropped.
 */
export function smoothedInstantRow(lookback: f64, row: usize, present: usize): u32 {
  const n = sampleCount;
  let next: u32 = 0;
  let found: u32 = 0;
  for (let k: u32 = 0; k < stepCount; k++) {
    const reference = referenceMs + <f64>k * stepMs;
    while (next < n && timeAt(next) <= reference) next++;
    store<u8>(present + k, 0);
    if (next == 0) continue;
    const t1 = timeAt(next - 1);
    if (t1 <= reference - lookback) continue;
    const y1 = valueAt(next - 1);
    let value = y1;
    if (t1 < reference && next < n && timeAt(next) <= reference + lookback) {
      const t2 = timeAt(next);
      value = y1 + (valueAt(next) - y1) * (reference - t1) / (t2 - t1);
    }
    emit(row, present, k, value);
    found++;
  }
  return found;
}
