// Quantiles of f64 runs with NaN lowest: quickselect, with a heap sort behind it for inputs that defeat the pivots.

const INSERTION_MAX: i32 = 24;

@inline
function at(base: usize, i: i32): f64 {
  return load<f64>(base + ((<usize>i) << 3));
}

@inline
function put(base: usize, i: i32, value: f64): void {
  store<f64>(base + ((<usize>i) << 3), value);
}

function insertionSort(base: usize, lo: i32, hi: i32): void {
  for (let i = lo + 1; i <= hi; i++) {
    const value = at(base, i);
    let j = i - 1;
    while (j >= lo && at(base, j) > value) {
      put(base, j + 1, at(base, j));
      j--;
    }
    put(base, j + 1, value);
  }
}

/** Restores the heap order below `root` in [lo, lo + n). */
function sift(base: usize, lo: i32, root: i32, n: i32): void {
  const value = at(base, lo + root);
  while (true) {
    let child = 2 * root + 1;
    if (child >= n) break;
    if (child + 1 < n && at(base, lo + child + 1) > at(base, lo + child)) child++;
    if (at(base, lo + child) <= value) break;
    put(base, lo + root, at(base, lo + child));
    root = child;
  }
  put(base, lo + root, value);
}

function heapSort(base: usize, lo: i32, hi: i32): void {
  const n = hi - lo + 1;
  for (let root = (n >> 1) - 1; root >= 0; root--) sift(base, lo, root, n);
  for (let end = n - 1; end > 0; end--) {
    const top = at(base, lo);
    put(base, lo, at(base, lo + end));
    put(base, lo + end, top);
    sift(base, lo, 0, end);
  }
}

/** The q-quantile of n values of which the two neighbouring ranks stand in place; NaN for none. */
function quantileOfSorted(base: usize, n: u32, q: f64): f64 {
  if (n == 0 || isNaN(q)) return NaN;
  if (q < 0) return -Infinity;
  if (q > 1) return Infinity;
  const rank = q * <f64>(n - 1);
  const floor = Math.floor(rank);
  const lower = <u32>Math.max(0, floor);
  const upper = min<u32>(n - 1, lower + 1);
  const weight = rank - floor;
  return at(base, lower) * (1 - weight) + at(base, upper) * weight;
}

/** Moves the value of rank `k` (0 = lowest) of [lo, hi] to position k, no larger ones before it, no smaller ones after. */
function select(base: usize, lo: i32, hi: i32, k: i32): void {
  let depth = 64;
  while (hi - lo > INSERTION_MAX) {
    if (depth-- == 0) {
      heapSort(base, lo, hi);
      return;
    }
    const a = at(base, lo);
    const b = at(base, (lo + hi) >> 1);
    const c = at(base, hi);
    const pivot = a < b ? (b < c ? b : a < c ? c : a) : a < c ? a : b < c ? c : b;
    let i = lo;
    let j = hi;
    while (i <= j) {
      while (at(base, i) < pivot) i++;
      while (at(base, j) > pivot) j--;
      if (i <= j) {
        const x = at(base, i);
        put(base, i, at(base, j));
        put(base, j, x);
        i++;
        j--;
      }
    }
    if (k <= j) hi = j;
    else if (k >= i) lo = i;
    else return;
  }
  insertionSort(base, lo, hi);
}

/** The q-quantile of n values in any order (NaN lowest); reorders them, without sorting all. */
export function queryQuantile(base: usize, n: u32, q: f64): f64 {
  if (n == 0 || isNaN(q) || q < 0 || q > 1) return quantileOfSorted(base, n, q);
  let nans: i32 = 0;
  for (let i: i32 = 0; i < <i32>n; i++) {
    const value = at(base, i);
    if (isNaN(value)) {
      put(base, i, at(base, nans));
      put(base, nans++, value);
    }
  }
  const lower = <i32>Math.floor(q * <f64>(n - 1));
  const last = <i32>n - 1;
  if (lower >= nans) select(base, nans, last, lower);
  // The next rank is the least of those behind.
  const upper = min<i32>(lower + 1, last);
  if (upper > lower && upper >= nans) {
    let least = upper;
    for (let i = upper + 1; i <= last; i++) if (at(base, i) < at(base, least)) least = i;
    const x = at(base, upper);
    put(base, upper, at(base, least));
    put(base, least, x);
  }
  return quantileOfSorted(base, n, q);
}

/** Steps gathered at once: the values of one series then fill a cache line. */
const TILE_STEPS: u32 = 8;
const ALL_ONE: u64 = 0x0101010101010101;

/**
 * The quantiles of a group of series at up to 8 steps from `step` on. Steps without a value stay as they are.
 * @param members u32 numbers of the series in the rows
 * @param quantiles f64 per step
 * @param work 64 bytes, and 8 f64 per member
 */
export function queryQuantileSteps(
  members: usize, count: u32, steps: u32, step: u32, rows: usize, present: usize, quantiles: usize,
  row: usize, presentRow: usize, work: usize,
): void {
  const width = <usize>min<u32>(TILE_STEPS, steps - step);
  const ends = work;
  const columns = work + 64;
  const bytes = (<usize>count) << 3;
  let m: usize = 0;
  if (width == TILE_STEPS) {
    // As long as every series has a value at every step, all columns are equally long.
    for (; m < <usize>count; m++) {
      const element = <usize>load<u32>(members + (m << 2)) * <usize>steps + <usize>step;
      if (load<u64>(present + element) != ALL_ONE) break;
      const from = rows + (element << 3);
      let to = columns + (m << 3);
      for (let k: usize = 0; k < 64; k += 8) {
        store<u64>(to, load<u64>(from + k));
        to += bytes;
      }
    }
  }
  for (let k: usize = 0; k < width; k++) store<u32>(ends + (k << 2), <u32>m);
  for (; m < <usize>count; m++) {
    const element = <usize>load<u32>(members + (m << 2)) * <usize>steps + <usize>step;
    for (let k: usize = 0; k < width; k++) {
      if (load<u8>(present + element + k) == 0) continue;
      const n = load<u32>(ends + (k << 2));
      store<u64>(columns + k * bytes + ((<usize>n) << 3), load<u64>(rows + ((element + k) << 3)));
      store<u32>(ends + (k << 2), n + 1);
    }
  }
  for (let k: usize = 0; k < width; k++) {
    const n = load<u32>(ends + (k << 2));
    if (n == 0) continue;
    const at = <usize>step + k;
    store<f64>(row + (at << 3), queryQuantile(columns + k * bytes, n, load<f64>(quantiles + (at << 3))));
    store<u8>(presentRow + at, 1);
  }
}
