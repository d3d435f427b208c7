// Columns: the samples of one series as two parallel arrays (time in ms as f64, value bits as f64), and for every step
// of the query the window of sample indexes it sees. Range functions read nothing else, so they do not care whether the
// samples were decoded from chunks or are the points of a subquery.
//
// All addresses are handed in by the host; the variables below belong to this instance.

import { sameTimes, watchTimes, xorDecode } from '../codec/xor';

export const STALE_BITS: u64 = 0x7ff0000000000002;

const OK: i32 = 0;
const CORRUPT_CHUNK: i32 = -1;
const COLUMNS_TOO_SMALL: i32 = -2;

// Columns and a spare pair for merging; `capacity` samples each.
export let times: usize = 0;
export let values: usize = 0;
/** Free between two merges. */
export let spareTimes: usize = 0;
let spareValues: usize = 0;
export let capacity: u32 = 0;
/** Samples in the columns now. */
export let sampleCount: u32 = 0;
/** Work area of `capacity` u32: positions or prefix counts. */
export let positions: usize = 0;

// Per step: window of indexes [from, to).
export let windowFrom: usize = 0;
export let windowTo: usize = 0;
export let stepCount: u32 = 0;
/** Reference time of step 0 and the distance of steps. */
export let referenceMs: f64 = 0;
export let stepMs: f64 = 0;

// Series that are scraped together have the same times. As long as neither these nor the steps change, the windows of
// the series before are those of the next.
let areTimesKept: bool = false;
let areWindowsKept: bool = false;
let keptBefore: f64 = 0;
let keptAfter: f64 = 0;
let keptSamples: u64 = 0;

// Chunk table of the series set that is being read.
let chunkAddresses: usize = 0;
let chunkLengths: usize = 0;
let chunkMinTimes: usize = 0;
let chunkMaxTimes: usize = 0;

/** Gives the instance its column memory: 4 f64 columns and one u32 column of `samples` entries at `address`. */
export function queryColumns(address: usize, samples: u32): void {
  const bytes = (<usize>samples) << 3;
  times = address;
  values = address + bytes;
  spareTimes = address + 2 * bytes;
  spareValues = address + 3 * bytes;
  positions = address + 4 * bytes;
  capacity = samples;
  sampleCount = 0;
  forgetTimes();
}

/** To be called when the times in the columns are no longer those that the decoder wrote. */
function forgetTimes(): void {
  areTimesKept = false;
  areWindowsKept = false;
}

/** Sets the steps: reference time (evaluation time minus offset) of step k is `reference + k * step`. */
export function querySteps(windows: usize, reference: f64, step: f64, steps: u32): void {
  windowFrom = windows;
  windowTo = windows + ((<usize>steps) << 2);
  referenceMs = reference;
  stepMs = step;
  stepCount = steps;
  areWindowsKept = false;
}

export function queryChunkTable(addresses: usize, lengths: usize, minTimes: usize, maxTimes: usize): void {
  chunkAddresses = addresses;
  chunkLengths = lengths;
  chunkMinTimes = minTimes;
  chunkMaxTimes = maxTimes;
}

/** Most samples that the chunks of any one series hold inside [minTime, maxTime], to size the columns. */
export function querySamplesMax(chunkOffsets: usize, seriesCount: u32, minTime: f64, maxTime: f64): u32 {
  let most: u32 = 0;
  for (let i: u32 = 0; i < seriesCount; i++) {
    const slot = chunkOffsets + ((<usize>i) << 2);
    const end = load<u32>(slot, 4);
    let sum: u32 = 0;
    for (let c = load<u32>(slot); c < end; c++) {
      const c8 = (<usize>c) << 3;
      if (load<f64>(chunkMaxTimes + c8) < minTime || load<f64>(chunkMinTimes + c8) > maxTime) continue;
      sum += <u32>bswap<u16>(load<u16>(load<u32>(chunkAddresses + ((<usize>c) << 2))));
    }
    if (sum > most) most = sum;
  }
  return most;
}

/**
 * Decodes the chunks [from, to) of one series that touch [minTime, maxTime] into the columns, merging those that
 * overlap: of equal timestamps the sample of the earlier chunk stays.
 */
export function loadSeries(from: u32, to: u32, minTime: f64, maxTime: f64): i32 {
  const before = sampleCount;
  const wereWindowsKept = areWindowsKept;
  areWindowsKept = false;
  let n: u32 = 0;
  watchTimes();
  for (let c = from; c < to; c++) {
    const c4 = (<usize>c) << 2;
    const c8 = (<usize>c) << 3;
    if (load<f64>(chunkMaxTimes + c8) < minTime || load<f64>(chunkMinTimes + c8) > maxTime) continue;
    const chunk = <usize>load<u32>(chunkAddresses + c4);
    const length = load<u32>(chunkLengths + c4);
    if (length < 2) return CORRUPT_CHUNK;
    if (n + <u32>bswap<u16>(load<u16>(chunk)) > capacity) return COLUMNS_TOO_SMALL;
    const at = (<usize>n) << 3;
    const decoded = xorDecode(chunk, length, times + at, values + at);
    if (decoded < 0) return CORRUPT_CHUNK;
    if (decoded == 0) continue;
    if (n == 0 || load<f64>(times + at) > load<f64>(times + at - 8)) n += <u32>decoded;
    else {
      n = mergeRuns(n, n + <u32>decoded);
      areTimesKept = false;
    }
  }
  sampleCount = n;
  areWindowsKept = wereWindowsKept && areTimesKept && n == before && sameTimes();
  areTimesKept = true;
  return OK;
}

/**
 * For a single reference time: decodes only the chunk that must hold the newest sample at or before it. Falls back to
 * `loadSeries` when chunks overlap there or the chunk begins after the reference after all.
 */
export function loadNewest(from: u32, to: u32, minTime: f64, maxTime: f64, reference: f64): i32 {
  let c = to;
  while (c > from && load<f64>(chunkMinTimes + ((<usize>(c - 1)) << 3)) > reference) c--;
  // Only a chunk that ends before this one begins can be left out; more than the neighbour may overlap it.
  let isAlone = c > from;
  if (isAlone) {
    const begin = load<f64>(chunkMinTimes + ((<usize>(c - 1)) << 3));
    for (let other = from; other < c - 1; other++) {
      if (load<f64>(chunkMaxTimes + ((<usize>other) << 3)) >= begin) isAlone = false;
    }
  }
  if (isAlone) {
    const code = loadSeries(c - 1, c, minTime, maxTime);
    if (code < 0 || (sampleCount > 0 && timeAt(0) <= reference)) return code;
  }
  return loadSeries(from, to, minTime, maxTime);
}

/** Merges the sorted runs [0, mid) and [mid, end) through the spare columns; returns the merged count. */
function mergeRuns(mid: u32, end: u32): u32 {
  let i: u32 = 0;
  let j = mid;
  let n: usize = 0;
  while (i < mid || j < end) {
    let source: u32;
    if (j >= end) source = i++;
    else if (i >= mid) source = j++;
    else {
      const a = load<f64>(times + ((<usize>i) << 3));
      const b = load<f64>(times + ((<usize>j) << 3));
      if (a <= b) {
        source = i++;
        if (a == b) j++;
      } else source = j++;
    }
    const at = (<usize>source) << 3;
    store<f64>(spareTimes + (n << 3), load<f64>(times + at));
    store<u64>(spareValues + (n << 3), load<u64>(values + at));
    n++;
  }
  const t = times;
  times = spareTimes;
  spareTimes = t;
  const v = values;
  values = spareValues;
  spareValues = v;
  return <u32>n;
}

/** Removes stale markers in place: range functions never see them. */
export function dropStale(): void {
  const n = (<usize>sampleCount) << 3;
  let i: usize = 0;
  while (i < n && load<u64>(values + i) != STALE_BITS) i += 8;
  if (i == n) return;
  forgetTimes();
  let kept = i;
  for (; i < n; i += 8) {
    const bits = load<u64>(values + i);
    if (bits == STALE_BITS) continue;
    store<u64>(values + kept, bits);
    store<f64>(times + kept, load<f64>(times + i));
    kept += 8;
  }
  sampleCount = <u32>(kept >> 3);
}

/** Fills the columns from a row of another evaluation (subquery): point k is at `start + k * step` where present. */
export function loadRow(row: usize, present: usize, points: u32, start: f64, step: f64): i32 {
  if (points > capacity) return COLUMNS_TOO_SMALL;
  let n: usize = 0;
  for (let k: u32 = 0; k < points; k++) {
    if (load<u8>(present + k) == 0) continue;
    store<f64>(times + (n << 3), start + <f64>k * step);
    store<u64>(values + (n << 3), load<u64>(row + ((<usize>k) << 3)));
    n++;
  }
  sampleCount = <u32>n;
  forgetTimes();
  return OK;
}

/**
 * For each step the samples with time in the left-open window (reference - before, reference + after].
 * @returns the samples of all windows together
 */
export function computeWindows(before: f64, after: f64): u64 {
  if (areWindowsKept && before == keptBefore && after == keptAfter) return keptSamples;
  const n = sampleCount;
  let total: u64 = 0;
  let from: u32 = 0;
  let to: u32 = 0;
  for (let k: u32 = 0; k < stepCount; k++) {
    const reference = referenceMs + <f64>k * stepMs;
    const hi = reference + after;
    const lo = reference - before;
    while (to < n && load<f64>(times + ((<usize>to) << 3)) <= hi) to++;
    while (from < to && load<f64>(times + ((<usize>from) << 3)) <= lo) from++;
    store<u32>(windowFrom + ((<usize>k) << 2), from);
    store<u32>(windowTo + ((<usize>k) << 2), to);
    total += <u64>(to - from);
  }
  keptBefore = before;
  keptAfter = after;
  keptSamples = total;
  areWindowsKept = areTimesKept;
  return total;
}

@inline
export function timeAt(i: u32): f64 {
  return load<f64>(times + ((<usize>i) << 3));
}

@inline
export function valueAt(i: u32): f64 {
  return load<f64>(values + ((<usize>i) << 3));
}

@inline
export function fromOf(k: u32): u32 {
  return load<u32>(windowFrom + ((<usize>k) << 2));
}

@inline
export function toOf(k: u32): u32 {
  return load<u32>(windowTo + ((<usize>k) << 2));
}

@inline
export function emit(row: usize, present: usize, k: u32, value: f64): void {
  store<f64>(row + ((<usize>k) << 3), value);
  store<u8>(present + k, 1);
}

@inline
export function isInfinite(x: f64): bool {
  return Math.abs(x) == Infinity;
}

/** Where the columns are now: merging swaps them with the spare ones. */
export function timesAddress(): usize {
  return times;
}

export function valuesAddress(): usize {
  return values;
}

/** Index of the first sample of step 0's window. */
export function queryFirst(): u32 {
  return fromOf(0);
}
