/** Quantiles and fractions of classic histograms: cumulative counts by upper bound (promql-histograms.md §6.2, §7). */

export interface Buckets {
  /** Ascending upper bounds; the counts are cumulative. */
  readonly bounds: number[];
  readonly counts: number[];
}

/** What the monotonicity fix changed. */
export interface Forced {
  readonly minBound: number;
  readonly maxBound: number;
  readonly maxDifference: number;
}

const SMALLEST_NORMAL = 2.2250738585072014e-308;
const TOLERANCE = 1e-12;

function almostEqual(a: number, b: number): boolean {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return true;
  const sum = Math.abs(a) + Math.abs(b);
  const difference = Math.abs(a - b);
  if (a === 0 || b === 0 || sum < SMALLEST_NORMAL) return difference < TOLERANCE * SMALLEST_NORMAL;
  return difference / Math.min(sum, Number.MAX_VALUE) < TOLERANCE;
}

/** Sorts by bound and adds up counts of equal bounds, in place of the given columns. */
export function sortAndMerge(buckets: Buckets): void {
  const { bounds, counts } = buckets;
  const order = bounds.map((_, i) => i).sort((i, j) => compareBounds(bounds[i]!, bounds[j]!));
  const oldBounds = bounds.slice();
  const oldCounts = counts.slice();
  let n = 0;
  for (const i of order) {
    if (n > 0 && bounds[n - 1] === oldBounds[i]) counts[n - 1]! += oldCounts[i]!;
    else {
      bounds[n] = oldBounds[i]!;
      counts[n++] = oldCounts[i]!;
    }
  }
  bounds.length = n;
  counts.length = n;
}

function compareBounds(a: number, b: number): number {
  // NaN bounds sort first, as with Go's cmp.
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(b)) - Number(Number.isNaN(a));
  return a === b ? 0 : a < b ? -1 : 1;
}

function ensureMonotonic({ bounds, counts }: Buckets): Forced | null {
  let forced: Forced | null = null;
  let previous = counts[0]!;
  for (let i = 1; i < counts.length; i++) {
    const current = counts[i]!;
    if (current === previous) continue;
    if (almostEqual(previous, current)) {
      counts[i] = previous;
      continue;
    }
    if (current < previous) {
      counts[i] = previous;
      const bound = bounds[i]!;
      const difference = previous - current;
      forced = {
        minBound: forced === null ? bound : Math.min(forced.minBound, bound),
        maxBound: forced === null ? bound : Math.max(forced.maxBound, bound),
        maxDifference: forced === null ? difference : Math.max(forced.maxDifference, difference),
      };
      continue;
    }
    previous = current;
  }
  return forced;
}

/** Prepares buckets for any number of quantiles: sorted, merged, monotonic. Null when there is no +Inf bucket. */
export function prepareBuckets(buckets: Buckets): { isComplete: boolean; forced: Forced | null } {
  sortAndMerge(buckets);
  const isComplete = buckets.bounds.at(-1) === Infinity;
  return { isComplete, forced: isComplete ? ensureMonotonic(buckets) : null };
}

/** The q-quantile of prepared buckets. */
export function bucketQuantile(q: number, { bounds, counts }: Buckets, isComplete: boolean): number {
  if (Number.isNaN(q)) return NaN;
  if (q < 0) return -Infinity;
  if (q > 1) return Infinity;
  if (!isComplete || bounds.length < 2) return NaN;
  const last = counts.length - 1;
  const total = counts[last]!;
  if (total === 0) return NaN;
  let rank = q * total;
  let b = 0;
  while (b < last && !(counts[b]! >= rank)) b++;
  if (b === last) return bounds[last - 1]!;
  if (b === 0 && bounds[0]! <= 0) return bounds[0]!;
  let start = 0;
  const end = bounds[b]!;
  let count = counts[b]!;
  if (b > 0) {
    start = bounds[b - 1]!;
    count -= counts[b - 1]!;
    rank -= counts[b - 1]!;
  }
  return start + (end - start) * (rank / count);
}

/** The share of observations between two values. */
export function bucketFraction(lower: number, upper: number, buckets: Buckets): number {
  if (buckets.bounds.length === 0) return NaN;
  sortAndMerge(buckets);
  const { bounds, counts } = buckets;
  const last = counts.length - 1;
  if (bounds[last] !== Infinity) return NaN;
  const total = counts[last]!;
  if (total === 0 || Number.isNaN(lower) || Number.isNaN(upper)) return NaN;
  if (lower >= upper) return 0;
  let rank = 0;
  let lowerRank = -1;
  let upperRank = -1;
  for (let i = 0; i <= last; i++) {
    const from = i > 0 ? bounds[i - 1]! : bounds[0]! > 0 ? 0 : -Infinity;
    const to = bounds[i]!;
    const cumulative = counts[i]!;
    const interpolate = (value: number): number =>
      from === -Infinity ? cumulative : rank + ((cumulative - rank) * (value - from)) / (to - from);
    if (lowerRank < 0 && from >= lower) lowerRank = rank;
    if (upperRank < 0 && from >= upper) upperRank = rank;
    if (lowerRank >= 0 && upperRank >= 0) break;
    if (lowerRank < 0 && from < lower && to > lower) lowerRank = interpolate(lower);
    if (upperRank < 0 && from < upper && to > upper) upperRank = interpolate(upper);
    if (lowerRank >= 0 && upperRank >= 0) break;
    rank = cumulative;
  }
  if (lowerRank < 0 || lowerRank > total) lowerRank = total;
  if (upperRank < 0 || upperRank > total) upperRank = total;
  return (upperRank - lowerRank) / total;
}
