// Blocks of rows: the entry points that the host calls, once per block of series rather than once per series.
// A block is `series x stepCount` f64 values, row after row, and as many presence bytes.

import {
  computeWindows, dropStale, fromOf, loadNewest, loadRow, loadSeries, referenceMs, stepCount, toOf,
} from './columns';
import {
  anchoredTransitionsRow, extendedRow, extrapolatedRow, lastTwoRow, transitionsRow,
} from './counters';
import { instantRow, smoothedInstantRow } from './instant';
import {
  avgRow, countRow, deviationRow, edgeRow, extremeRow, extremeValueRow, medianDeviationRow, presentRow, quantileRow, sumRow,
} from './over-time';
import { derivRow, predictRow, smoothingRow } from './regression';

// Range functions, as numbered in lib/kernel/query.ts.
const RATE: u32 = 0;
const INCREASE: u32 = 1;
const DELTA: u32 = 2;
const IRATE: u32 = 3;
const IDELTA: u32 = 4;
const CHANGES: u32 = 5;
const RESETS: u32 = 6;
const DERIV: u32 = 7;
const PREDICT_LINEAR: u32 = 8;
const SUM: u32 = 9;
const AVG: u32 = 10;
const MIN: u32 = 11;
const MAX: u32 = 12;
const COUNT: u32 = 13;
const LAST: u32 = 14;
const FIRST: u32 = 15;
const PRESENT: u32 = 16;
const STDDEV: u32 = 17;
const STDVAR: u32 = 18;
const QUANTILE: u32 = 19;
const MAD: u32 = 20;
const TS_OF_MIN: u32 = 21;
const TS_OF_MAX: u32 = 22;
const TS_OF_FIRST: u32 = 23;
const TS_OF_LAST: u32 = 24;
const SMOOTHING: u32 = 25;

// Form of the window: plain, or the extended selectors that look beyond the range.
const ANCHORED: u32 = 1;
const SMOOTHED: u32 = 2;

// Samples inside all windows of the last call, for the statistics.
let windowSamples: f64 = 0;

export function queryWindowSamples(): f64 {
  return windowSamples;
}

let argument1: usize = 0;
let argument2: usize = 0;
let workArea: usize = 0;
let originMs: f64 = 0;
let originStepMs: f64 = 0;
let lookbackMs: f64 = 0;

/**
 * Arguments of the next range calls: two scalar rows (one f64 per step), a work area of as many f64 as the columns hold
 * samples, the evaluation time of step 0 and its step (predict_linear), and the lookback (extended selectors).
 */
export function queryArguments(
  first: usize, second: usize, work: usize, origin: f64, originStep: f64, lookback: f64,
): void {
  argument1 = first;
  argument2 = second;
  workArea = work;
  originMs = origin;
  originStepMs = originStep;
  lookbackMs = lookback;
}

/** Instant selector rows of series [from, to). mode: 0 values, 1 sample times, 2 smoothed. Negative: an error code. */
export function queryInstantBlock(
  chunkOffsets: usize, from: u32, to: u32, minTime: f64, maxTime: f64, lookback: f64, mode: u32,
  rows: usize, present: usize,
): i32 {
  const steps = <usize>stepCount;
  let found: u32 = 0;
  for (let i = from; i < to; i++) {
    const slot = chunkOffsets + ((<usize>i) << 2);
    const code = steps == 1 && mode != 2
      ? loadNewest(load<u32>(slot), load<u32>(slot, 4), minTime, maxTime, referenceMs)
      : loadSeries(load<u32>(slot), load<u32>(slot, 4), minTime, maxTime);
    if (code < 0) return code;
    if (mode == 2) {
      dropStale();
      found += smoothedInstantRow(lookback, rows, present);
    } else found += instantRow(lookback, mode == 1, rows, present);
    rows += steps << 3;
    present += steps;
  }
  return <i32>found;
}

/** Range function rows of series [from, to) of the chunk table. Returns the number of points or an error code. */
export function queryRangeBlock(
  fn: u32, form: u32, chunkOffsets: usize, from: u32, to: u32, minTime: f64, maxTime: f64, range: f64,
  rows: usize, present: usize,
): i32 {
  const steps = <usize>stepCount;
  let found: u32 = 0;
  windowSamples = 0;
  memory.fill(present, 0, steps * <usize>(to - from));
  for (let i = from; i < to; i++) {
    const slot = chunkOffsets + ((<usize>i) << 2);
    const code = loadSeries(load<u32>(slot), load<u32>(slot, 4), minTime, maxTime);
    if (code < 0) return code;
    dropStale();
    found += rangeRow(fn, form, range, rows, present);
    rows += steps << 3;
    present += steps;
  }
  return <i32>found;
}

/** The same over rows of a subquery: `points` per row, point k at `start + k * step`. */
export function queryRangeOverRows(
  fn: u32, series: u32, range: f64, sourceRows: usize, sourcePresent: usize, points: u32, start: f64, step: f64,
  rows: usize, present: usize,
): i32 {
  const steps = <usize>stepCount;
  let found: u32 = 0;
  windowSamples = 0;
  memory.fill(present, 0, steps * <usize>series);
  for (let i: u32 = 0; i < series; i++) {
    const code = loadRow(sourceRows, sourcePresent, points, start, step);
    if (code < 0) return code;
    found += rangeRow(fn, 0, range, rows, present);
    sourceRows += (<usize>points) << 3;
    sourcePresent += points;
    rows += steps << 3;
    present += steps;
  }
  return <i32>found;
}

/** Samples of one series inside (reference - range, reference] of step 0 stay in the columns; for raw matrix results. */
export function queryLoadSamples(
  chunkOffsets: usize, series: u32, minTime: f64, maxTime: f64, before: f64, after: f64,
): i32 {
  const slot = chunkOffsets + ((<usize>series) << 2);
  const code = loadSeries(load<u32>(slot), load<u32>(slot, 4), minTime, maxTime);
  if (code < 0) return code;
  dropStale();
  computeWindows(before, after);
  windowSamples = <f64>(toOf(0) - fromOf(0));
  return <i32>(toOf(0) - fromOf(0));
}

function rangeRow(fn: u32, form: u32, range: f64, row: usize, present: usize): u32 {
  const total = form == 0
    ? computeWindows(range, 0)
    : computeWindows(range + lookbackMs, form == SMOOTHED ? lookbackMs : 0);
  windowSamples += <f64>total;
  if (total == 0) return 0;
  if (form != 0) {
    switch (fn) {
      case RATE: extendedRow(true, true, form == SMOOTHED, range, row, present); break;
      case INCREASE: extendedRow(true, false, form == SMOOTHED, range, row, present); break;
      case DELTA: extendedRow(false, false, form == SMOOTHED, range, row, present); break;
      case CHANGES: anchoredTransitionsRow(false, range, row, present); break;
      case RESETS: anchoredTransitionsRow(true, range, row, present); break;
    }
  } else {
    switch (fn) {
      case RATE: extrapolatedRow(true, true, range, row, present); break;
      case INCREASE: extrapolatedRow(true, false, range, row, present); break;
      case DELTA: extrapolatedRow(false, false, range, row, present); break;
      case IRATE: lastTwoRow(true, row, present); break;
      case IDELTA: lastTwoRow(false, row, present); break;
      case CHANGES: transitionsRow(false, row, present); break;
      case RESETS: transitionsRow(true, row, present); break;
      case DERIV: derivRow(row, present); break;
      case PREDICT_LINEAR: predictRow(argument1, originMs, originStepMs, row, present); break;
      case SUM: sumRow(row, present); break;
      case AVG: avgRow(row, present); break;
      case MIN: extremeValueRow(false, row, present); break;
      case MAX: extremeValueRow(true, row, present); break;
      case COUNT: countRow(row, present); break;
      case LAST: edgeRow(true, false, row, present); break;
      case FIRST: edgeRow(false, false, row, present); break;
      case PRESENT: presentRow(row, present); break;
      case STDDEV: deviationRow(true, row, present); break;
      case STDVAR: deviationRow(false, row, present); break;
      case QUANTILE: quantileRow(argument1, workArea, row, present); break;
      case MAD: medianDeviationRow(workArea, row, present); break;
      case TS_OF_MIN: extremeRow(false, true, row, present); break;
      case TS_OF_MAX: extremeRow(true, true, row, present); break;
      case TS_OF_FIRST: edgeRow(false, true, row, present); break;
      case TS_OF_LAST: edgeRow(true, true, row, present); break;
      case SMOOTHING: smoothingRow(argument1, argument2, row, present); break;
    }
  }
  return queryCountPresent(present, stepCount);
}

/** Number of non-zero presence bytes. */
export function queryCountPresent(present: usize, length: u32): u32 {
  let count: u32 = 0;
  const end = present + length;
  while (present + 8 <= end) {
    count += <u32>popcnt<u64>(load<u64>(present) & 0x0101010101010101);
    present += 8;
  }
  while (present < end) count += <u32>(load<u8>(present++) & 1);
  return count;
}
