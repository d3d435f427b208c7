import { type Forced, formatG, formatG2 } from '../func/index.js';
import type { HistogramQuantileNode } from '../plan/index.js';
import type { NoteDetails } from './annotations.js';
import { type ClassicGroups, metricNote } from './classic-groups.js';
import type { MaterialRows } from './source.js';

/** Monotonicity fixes of one metric over all its points. */
export class BucketFix implements NoteDetails {
  private readonly forced: Forced;
  private readonly count: number;
  private readonly fromMs: number;
  private readonly toMs: number;

  constructor(forced: Forced, count: number, fromMs: number, toMs: number) {
    this.forced = forced;
    this.count = count;
    this.fromMs = fromMs;
    this.toMs = toMs;
  }

  merge(other: this): this {
    const forced = {
      minBound: Math.min(this.forced.minBound, other.forced.minBound),
      maxBound: Math.max(this.forced.maxBound, other.forced.maxBound),
      maxDifference: Math.max(this.forced.maxDifference, other.forced.maxDifference),
    };
    const [fromMs, toMs] = [Math.min(this.fromMs, other.fromMs), Math.max(this.toMs, other.toMs)];
    return new BucketFix(forced, this.count + other.count, fromMs, toMs) as this;
  }

  toString(): string {
    const { minBound, maxBound, maxDifference } = this.forced;
    return (
      `, from buckets ${formatG(minBound)} to ${formatG(maxBound)}, with a max diff of ${formatG2(maxDifference)}` +
      `, over ${this.count} samples from ${rfc3339(this.fromMs)} to ${rfc3339(this.toMs)}`
    );
  }
}

/** Tells that buckets of a group were not monotonic. Notes of one metric become one, from all over the query. */
export function reportFix(
  child: MaterialRows,
  groups: ClassicGroups,
  group: number,
  node: HistogramQuantileNode,
  fix: BucketFix,
): void {
  const text =
    'input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)' +
    metricNote(child.context, groups.index.columns, group);
  child.context.annotations.infoWithDetails(text, fix, node.childPos);
}

function rfc3339(ms: number): string {
  return `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}
