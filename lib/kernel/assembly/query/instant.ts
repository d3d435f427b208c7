// Instant selectors: for each step the newest sample inside the lookback window, unless it is a stale marker.

import {
  STALE_BITS, emit, referenceMs, sampleCount, stepCount, stepMs, timeAt, times, valueAt, values,
} from './columns';

/**
 * Writes the row of an instant selector. A sample counts when its time is in (reference - lookback, reference].
 * With `wantTimes` the sample's own time in seconds is written instead of its value.
 * @returns number of steps that have a value
 */
export function instantRow(lookback: f64, wantTimes: bool, row: usize, present: usize): u32 {
  const n = sampleCount;
  let next: u32 = 0;
  let found: u32 = 0;
  for (let k: u32 = 0; k < stepCount; k++) {
    const reference = referenceMs + <f64>k * stepMs;
    while (next < n && timeAt(next) <= reference) next++;
    store<u8>(present + k, 0);
    if (next == 0) continue;
    const at = (<usize>(next - 1)) << 3;
    const time = load<f64>(times + at);
    if (time <= reference - lookback) continue;
    const bits = load<u64>(values + at);
    if (bits == STALE_BITS) continue;
    // Bits are moved as they are: other NaN payloads survive.
    if (wantTimes) store<f64>(row + ((<usize>k) << 3), time / 1000);
    else store<u64>(row + ((<usize>k) << 3), bits);
    store<u8>(present + k, 1);
    found++;
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
