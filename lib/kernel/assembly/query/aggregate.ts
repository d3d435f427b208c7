// Aggregations that accumulate in place: each row of a block is added to the state rows of its group, so the number of
// input series does not matter. State row g of a part is at `part + g * steps` elements.
//
//   operator        part 1   part 2        part 3   flags
//   sum             sum      compensation  -        1 = has a value
//   avg             sum|mean compensation  count    1 = sum, 2 = running mean (after an overflow)
//   min, max        extreme  -             -        1
//   count           count    -             -        1
//   group           1        -             -        1
//   stddev, stdvar  mean     M2            count    1

import { isInfinite } from './columns';
import { errorOf } from './lanes';

/** Eight presence bytes or flags that are all 1. */
const ALL_ONE: u64 = 0x0101010101010101;

const SUM: u32 = 0;
const AVG: u32 = 1;
const COUNT: u32 = 2;
const MIN: u32 = 3;
const MAX: u32 = 4;
const GROUP: u32 = 5;
const STDDEV: u32 = 6;
const STDVAR: u32 = 7;

/**
 * Adds `series` rows to their groups; `groups` holds a u32 group number per row. The steps of rows are named, as those
 * set last may be another expression's.
 */
export function queryAggregateBlock(
  operator: u32, series: u32, steps: u32, rows: usize, present: usize, groups: usize,
  part1: usize, part2: usize, part3: usize, flags: usize,
): void {
  for (let i: u32 = 0; i < series; i++) {
    const at = <usize>load<u32>(groups + ((<usize>i) << 2)) * <usize>steps;
    const p1 = part1 + (at << 3);
    const p2 = part2 + (at << 3);
    const p3 = part3 + (at << 3);
    const f = flags + at;
    switch (operator) {
      case SUM: addSum(steps, rows, present, p1, p2, f); break;
      case AVG: addAvg(steps, rows, present, p1, p2, p3, f); break;
      case COUNT: addCount(steps, present, p1, f); break;
      case MIN: addExtreme(false, steps, rows, present, p1, f); break;
      case MAX: addExtreme(true, steps, rows, present, p1, f); break;
      case GROUP: addGroup(steps, present, p1, f); break;
      default: addDeviation(steps, rows, present, p1, p2, p3, f); break;
    }
    rows += (<usize>steps) << 3;
    present += steps;
  }
}

function addSum(steps: u32, row: usize, present: usize, sums: usize, compensations: usize, flags: usize): void {
  let k: usize = 0;
  while (k < steps) {
    if (k + 8 <= steps && load<u64>(present + k) == ALL_ONE) {
      const at = k << 3;
      const known = load<u64>(flags + k);
      if (known == 0) {
        memory.copy(sums + at, row + at, 64);
        memory.fill(compensations + at, 0, 64);
        store<u64>(flags + k, ALL_ONE);
        k += 8;
        continue;
      }
      if (known == ALL_ONE && addEight(row + at, sums + at, compensations + at)) {
        k += 8;
        continue;
      }
    }
    const end = min<usize>(k + 8, steps);
    for (; k < end; k++) addSumAt(k, row, present, sums, compensations, flags);
  }
}

/** Adds eight values to as many sums; false, with nothing done, when one is huge, infinite or not a number. */
function addEight(row: usize, sums: usize, compensations: usize): bool {
  let isOrdinary = i64x2.splat(-1);
  for (let at: usize = 0; at < 64; at += 16) {
    const t = f64x2.add(v128.load(sums + at), v128.load(row + at));
    isOrdinary = v128.and(isOrdinary, f64x2.le(f64x2.abs(t), f64x2.splat(1e300)));
  }
  if (!i64x2.all_true(isOrdinary)) return false;
  for (let at: usize = 0; at < 64; at += 16) {
    const s = v128.load(sums + at);
    const x = v128.load(row + at);
    const t = f64x2.add(s, x);
    v128.store(compensations + at, f64x2.add(v128.load(compensations + at), errorOf(s, x, t)));
    v128.store(sums + at, t);
  }
  return true;
}

@inline
function addSumAt(
  k: usize, row: usize, present: usize, sums: usize, compensations: usize, flags: usize,
): void {
  if (load<u8>(present + k) == 0) return;
  const at = k << 3;
  const x = load<f64>(row + at);
  if (load<u8>(flags + k) == 0) {
    store<u8>(flags + k, 1);
    store<f64>(sums + at, x);
    store<f64>(compensations + at, 0);
    return;
  }
  const s = load<f64>(sums + at);
  const t = s + x;
  const c = load<f64>(compensations + at);
  const rest = Math.abs(s) >= Math.abs(x) ? (s - t) + x : (x - t) + s;
  store<f64>(compensations + at, isInfinite(t) ? 0 : c + rest);
  store<f64>(sums + at, t);
}

function addAvg(
  steps: u32, row: usize, present: usize, sums: usize, compensations: usize, counts: usize, flags: usize,
): void {
  let k: usize = 0;
  while (k < steps) {
    if (k + 8 <= steps && load<u64>(present + k) == ALL_ONE) {
      const at = k << 3;
      const known = load<u64>(flags + k);
      const one = f64x2.splat(1);
      if (known == 0) {
        memory.copy(sums + at, row + at, 64);
        memory.fill(compensations + at, 0, 64);
        for (let i: usize = 0; i < 64; i += 16) v128.store(counts + at + i, one);
        store<u64>(flags + k, ALL_ONE);
        k += 8;
        continue;
      }
      if (known == ALL_ONE && addEight(row + at, sums + at, compensations + at)) {
        for (let i: usize = 0; i < 64; i += 16) {
          v128.store(counts + at + i, f64x2.add(v128.load(counts + at + i), one));
        }
        k += 8;
        continue;
      }
    }
    const end = min<usize>(k + 8, steps);
    for (; k < end; k++) addAvgAt(k, row, present, sums, compensations, counts, flags);
  }
}

function addAvgAt(
  k: usize, row: usize, present: usize, sums: usize, compensations: usize, counts: usize, flags: usize,
): void {
  if (load<u8>(present + k) == 0) return;
  const at = k << 3;
  let x = load<f64>(row + at);
  const flag = load<u8>(flags + k);
  if (flag == 0) {
    store<u8>(flags + k, 1);
    store<f64>(sums + at, x);
    store<f64>(compensations + at, 0);
    store<f64>(counts + at, 1);
    return;
  }
  const n = load<f64>(counts + at) + 1;
  store<f64>(counts + at, n);
  let s = load<f64>(sums + at);
  let c = load<f64>(compensations + at);
  let isMean = flag == 2;
  if (!isMean && isInfinite(s + x)) {
    // The sum would overflow: this group and step go on with a running mean.
    isMean = true;
    store<u8>(flags + k, 2);
    s /= n - 1;
    c /= n - 1;
  }
  if (isMean) {
    const q = (n - 1) / n;
    x /= n;
    s *= q;
    c *= q;
  }
  const t = s + x;
  const rest = Math.abs(s) >= Math.abs(x) ? (s - t) + x : (x - t) + s;
  store<f64>(compensations + at, isInfinite(t) ? 0 : c + rest);
  store<f64>(sums + at, t);
}

function addCount(steps: u32, present: usize, counts: usize, flags: usize): void {
  let k: usize = 0;
  while (k < steps) {
    const end = min<usize>(k + 8, steps);
    if (k + 8 == end) {
      const bytes = load<u64>(present + k);
      if (bytes == 0) {
        k = end;
        continue;
      }
      if (bytes == ALL_ONE && load<u64>(flags + k) == ALL_ONE) {
        for (; k < end; k += 2) {
          const at = counts + (k << 3);
          v128.store(at, f64x2.add(v128.load(at), f64x2.splat(1)));
        }
        continue;
      }
    }
    for (; k < end; k++) {
      if (load<u8>(present + k) == 0) continue;
      const at = k << 3;
      store<f64>(counts + at, load<u8>(flags + k) == 0 ? 1 : load<f64>(counts + at) + 1);
      store<u8>(flags + k, 1);
    }
  }
}

function addGroup(steps: u32, present: usize, ones: usize, flags: usize): void {
  for (let k: usize = 0; k < steps; k++) {
    if (load<u8>(present + k) == 0) continue;
    store<f64>(ones + (k << 3), 1);
    store<u8>(flags + k, 1);
  }
}

function addExtreme(wantMax: bool, steps: u32, row: usize, present: usize, best: usize, flags: usize): void {
  let k: usize = 0;
  while (k < steps) {
    if (k + 8 <= steps && load<u64>(present + k) == ALL_ONE && load<u64>(flags + k) == ALL_ONE) {
      for (const end = k + 8; k < end; k += 2) {
        const x = v128.load(row + (k << 3));
        const current = v128.load(best + (k << 3));
        const isBetter = wantMax ? f64x2.lt(current, x) : f64x2.gt(current, x);
        v128.store(best + (k << 3), v128.bitselect(x, current, v128.or(isBetter, f64x2.ne(current, current))));
      }
      continue;
    }
    const end = min<usize>(k + 8, steps);
    for (; k < end; k++) addExtremeAt(wantMax, k, row, present, best, flags);
  }
}

function addExtremeAt(wantMax: bool, k: usize, row: usize, present: usize, best: usize, flags: usize): void {
  if (load<u8>(present + k) == 0) return;
  const at = k << 3;
  const x = load<f64>(row + at);
  if (load<u8>(flags + k) != 0) {
    const current = load<f64>(best + at);
    if (!(isNaN(current) || (wantMax ? current < x : current > x))) return;
  }
  store<u8>(flags + k, 1);
  store<f64>(best + at, x);
}

function addDeviation(
  steps: u32, row: usize, present: usize, means: usize, squares: usize, counts: usize, flags: usize,
): void {
  for (let k: usize = 0; k < steps; k++) {
    if (load<u8>(present + k) == 0) continue;
    const at = k << 3;
    const x = load<f64>(row + at);
    if (load<u8>(flags + k) == 0) {
      store<u8>(flags + k, 1);
      store<f64>(means + at, x);
      store<f64>(squares + at, isNaN(x) || isInfinite(x) ? NaN : 0);
      store<f64>(counts + at, 1);
      continue;
    }
    const n = load<f64>(counts + at) + 1;
    let mean = load<f64>(means + at);
    const delta = x - mean;
    mean += delta / n;
    store<f64>(counts + at, n);
    store<f64>(means + at, mean);
    store<f64>(squares + at, load<f64>(squares + at) + delta * (x - mean));
  }
}

/** Turns `total` state elements into results in part 1 and presence bytes in flags. */
export function queryAggregateFinish(
  operator: u32, total: u32, part1: usize, part2: usize, part3: usize, flags: usize,
): void {
  for (let i: usize = 0; i < total; i++) {
    const flag = load<u8>(flags + i);
    if (flag == 0) continue;
    const at = i << 3;
    store<u8>(flags + i, 1);
    if (operator == SUM) store<f64>(part1 + at, load<f64>(part1 + at) + load<f64>(part2 + at));
    else if (operator == AVG) {
      const s = load<f64>(part1 + at);
      const c = load<f64>(part2 + at);
      const n = load<f64>(part3 + at);
      store<f64>(part1 + at, flag == 2 ? s + c : s / n + c / n);
    } else if (operator == STDDEV || operator == STDVAR) {
      const variance = load<f64>(part2 + at) / load<f64>(part3 + at);
      store<f64>(part1 + at, operator == STDDEV ? Math.sqrt(variance) : variance);
    }
  }
}
