import { type Forced, formatG, formatG2 } from '../func/index.js';
import type { HistogramQuantileNode } from '../plan/index.js';
import { type ClassicGroups, metricNote } from './classic-groups.js';
import type { MaterialRows } from './source.js';

/** Monotonicity fixes of one metric over all its points. */
export interface Fix {
  minBound: number;
  maxBound: number;
  maxDifference: number;
  count: number;
  fromMs: number;
  toMs: number;
}

/** Adds a fix at a time; it counts `times` points. */
export function noteFix<K>(
  fixes: Map<K, Fix>,
  group: K,
  forced: Forced,
  timeMs: number,
  times: number,
): void {
  const fix = fixes.get(group);
  if (fix === undefined) {
    fixes.set(group, { ...forced, count: times, fromMs: timeMs, toMs: timeMs });
    return;
  }
  fix.minBound = Math.min(fix.minBound, forced.minBound);
  fix.maxBound = Math.max(fix.maxBound, forced.maxBound);
  fix.maxDifference = Math.max(fix.maxDifference, forced.maxDifference);
  fix.count += times;
  fix.fromMs = Math.min(fix.fromMs, timeMs);
  fix.toMs = Math.max(fix.toMs, timeMs);
}

/** Tells of the fixes of all groups, those of one metric together. */
export function reportFixes(
  child: MaterialRows,
  groups: ClassicGroups,
  node: HistogramQuantileNode,
  fixes: Map<number, Fix>,
): void {
  const { context } = child;
  const merged = new Map<string, Fix>();
  for (const [group, fix] of fixes) {
    const name = metricNote(context, groups.index.columns, group);
    const known = merged.get(name);
    if (known === undefined) {
      merged.set(name, { ...fix });
      continue;
    }
    noteFix(merged, name, fix, fix.fromMs, fix.count);
    known.toMs = Math.max(known.toMs, fix.toMs);
  }
  for (const [named, fix] of merged) {
    const text =
      'input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)' +
      `${named}, from buckets ${formatG(fix.minBound)} to ${formatG(fix.maxBound)}, with a max diff of ${formatG2(fix.maxDifference)}, over ${fix.count} samples from ${rfc3339(fix.fromMs)} to ${rfc3339(fix.toMs)}`;
    context.annotations.info(text, node.childPos);
  }
}

function rfc3339(ms: number): string {
  return `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}
