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
  for (let k: usize = 0; k < steps; k++) {
    if (load<u8>(present + k) == 0) continue;
    const at = k << 3;
    const x = load<f64>(row + at);
    if (load<u8>(flags + k) == 0) {
      store<u8>(flags + k, 1);
      store<f64>(sums + at, x);
      store<f64>(compensations + at, 0);
      continue;
    }
    const s = load<f64>(sums + at);
    const t = s + x;
    const c = load<f64>(compensations + at);
    const rest = Math.abs(s) >= Math.abs(x) ? (s - t) + x : (x - t) + s;
    store<f64>(compensations + at, isInfinite(t) ? 0 : c + rest);
    store<f64>(sums + at, t);
  }
}

function addAvg(
  steps: u32, row: usize, present: usize, sums: usize, compensations: usize, counts: usize, flags: usize,
): void {
  for (let k: usize = 0; k < steps; k++) {
    if (load<u8>(present + k) == 0) continue;
    const at = k << 3;
    let x = load<f64>(row + at);
    const flag = load<u8>(flags + k);
    if (flag == 0) {
      store<u8>(flags + k, 1);
      store<f64>(sums + at, x);
      store<f64>(compensations + at, 0);
      store<f64>(counts + at, 1);
      continue;
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
}

function addCount(steps: u32, present: usize, counts: usize, flags: usize): void {
  for (let k: usize = 0; k < steps; k++) {
    if (load<u8>(present + k) == 0) continue;
    const at = k << 3;
    store<f64>(counts + at, load<u8>(flags + k) == 0 ? 1 : load<f64>(counts + at) + 1);
    store<u8>(flags + k, 1);
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
  for (let k: usize = 0; k < steps; k++) {
    if (load<u8>(present + k) == 0) continue;
    const at = k << 3;
    const x = load<f64>(row + at);
    if (load<u8>(flags + k) != 0) {
      const current = load<f64>(best + at);
      if (!(isNaN(current) || (wantMax ? current < x : current > x))) continue;
    }
    store<u8>(flags + k, 1);
    store<f64>(best + at, x);
  }
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
