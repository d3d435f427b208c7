import {
  CUSTOM_SCHEMA,
  compactHistogram,
  FloatHistogram,
  HistogramLayout,
  NO_SPANS,
  spansOf,
  VALUE,
  valueCountOf,
} from '../../histogram/index.js';
import { type LabelSet, labelsFromObject } from '../../labels/index.js';
import type { Point, SeriesLine } from './script.js';

/** What the classic series of one histogram say at one time. */
interface Classic {
  readonly buckets: Map<number, number>;
  count: number | null;
  sum: number;
}

/** Series lines, and for the classic histograms among them the equal native ones with custom buckets. */
export function withCustomBuckets(lines: readonly SeriesLine[]): SeriesLine[] {
  const derived = new Map<string, { labels: LabelSet; times: Map<number, Classic> }>();
  for (const line of lines) {
    const part = classicPart(line.labels);
    if (part === null) continue;
    const key = JSON.stringify(part.labels);
    let series = derived.get(key);
    if (series === undefined) {
      series = { labels: part.labels, times: new Map() };
      derived.set(key, series);
    }
    for (const [i, point] of line.points.entries()) {
      if (point.kind !== 'float') continue;
      let classic = series.times.get(i);
      if (classic === undefined) {
        classic = { buckets: new Map(), count: null, sum: 0 };
        series.times.set(i, classic);
      }
      if (part.kind === 'bucket') classic.buckets.set(part.le, point.value);
      else if (part.kind === 'count') classic.count = point.value;
      else classic.sum = point.value;
    }
  }
  const added: SeriesLine[] = [];
  for (const { labels, times } of derived.values()) {
    if (![...times.values()].some((classic) => classic.buckets.size > 0)) continue;
    const points: Point[] = Array.from({ length: Math.max(...times.keys()) + 1 }, () => ({ kind: 'none' }));
    for (const [i, classic] of times) {
      const histogram = convert(classic);
      if (histogram !== null) points[i] = { kind: 'histogram', histogram, hasHint: false };
    }
    added.push({ labels, points, startOffsets: null });
  }
  return [...lines, ...added];
}

type Part = { readonly labels: LabelSet } & (
  | { readonly kind: 'bucket'; readonly le: number }
  | { readonly kind: 'count' | 'sum' }
);

/** Which part of a classic histogram a series is; null for others. */
function classicPart(labels: LabelSet): Part | null {
  const object = Object.fromEntries(labels.map((label) => [label.name, label.value]));
  const match = /^(.*)_(bucket|count|sum)$/.exec(object['__name__'] ?? '');
  if (match === null) return null;
  const le = object['le'];
  delete object['le'];
  const base = labelsFromObject({ ...object, __name__: match[1]! });
  if (match[2] !== 'bucket') return { labels: base, kind: match[2] === 'count' ? 'count' : 'sum' };
  const bound = le === undefined ? NaN : /^\+?inf$/i.test(le) ? Number.POSITIVE_INFINITY : Number(le);
  return Number.isNaN(bound) ? null : { labels: base, kind: 'bucket', le: bound };
}

/** The native histogram; null when cumulative counts go down. */
function convert({ buckets, count, sum }: Classic): FloatHistogram | null {
  const sorted = [...buckets].sort(([a], [b]) => a - b);
  const total = count ?? sorted.at(-1)?.[1] ?? 0;
  if (sorted.at(-1)?.[0] !== Number.POSITIVE_INFINITY) sorted.push([Number.POSITIVE_INFINITY, total]);
  const bounds = Float64Array.from(sorted.slice(0, -1), ([le]) => le);
  const counts = sorted.map(([, cumulative], i) => cumulative - (i === 0 ? 0 : sorted[i - 1]![1]));
  if (counts.some((n) => !(n >= 0))) return null;
  const layout = new HistogramLayout(CUSTOM_SCHEMA, 0, spansOf([0, counts.length]), NO_SPANS, bounds);
  const values = new Float64Array(valueCountOf(layout));
  values[VALUE.count] = total;
  values[VALUE.sum] = sum;
  values.set(counts, VALUE.buckets);
  return compactHistogram(new FloatHistogram(layout, values));
}
