import { VarveError } from '../errors/index.js';
import { compareUtf8, type LabelSet } from '../labels/index.js';
import type { SeriesSet } from '../storage/index.js';
import { metricText } from './encode.js';
import { ByteWriter, stringifyHtml } from './json-bytes.js';

/** Counting series and labels of a head, in a query thread. The answers have Mimir's shapes, which have no envelope. */

/** Called now and then; throws when nobody waits for the answer any more. */
export type Checkpoint = () => void;

const CHECK_SERIES = 4096;

/** Answer of cardinality/label_names: how many values each label name has, most first. */
export function labelNamesCardinality(
  set: SeriesSet,
  limit: number,
  check: Checkpoint,
): Uint8Array<ArrayBuffer> {
  const valuesOf = new Map<number, Set<number>>();
  for (let i = 0; i < set.seriesCount; i++) {
    if (i % CHECK_SERIES === 0) check();
    for (let at = set.labelOffsets[i]!; at < set.labelOffsets[i + 1]!; at += 2) {
      const name = set.labels[at]!;
      const values = valuesOf.get(name);
      if (values === undefined) valuesOf.set(name, new Set([set.labels[at + 1]!]));
      else values.add(set.labels[at + 1]!);
    }
  }
  let total = 0;
  const counts: Count[] = [];
  for (const [name, values] of valuesOf) {
    total += values.size;
    counts.push({ text: set.symbols.text(name), count: values.size });
  }
  return encodeJson({
    label_values_count_total: total,
    label_names_count: counts.length,
    cardinality: largest(counts, limit).map(({ text, count }) => ({
      label_name: text,
      label_values_count: count,
    })),
  });
}

/**
 * Answer of cardinality/label_values: how many series each value of the given labels has, most first.
 * @param seriesTotal series of the tenant, selected or not
 */
export function labelValuesCardinality(
  set: SeriesSet,
  names: readonly string[],
  seriesTotal: number,
  limit: number,
  check: Checkpoint,
): Uint8Array<ArrayBuffer> {
  const countsOf = new Map<number, Map<number, number>>();
  for (const name of names) countsOf.set(set.symbols.find(name), new Map());
  for (let i = 0; i < set.seriesCount; i++) {
    if (i % CHECK_SERIES === 0) check();
    for (let at = set.labelOffsets[i]!; at < set.labelOffsets[i + 1]!; at += 2) {
      const counts = countsOf.get(set.labels[at]!);
      if (counts === undefined) continue;
      const value = set.labels[at + 1]!;
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
  }
  const labels = names.map((name) => {
    const counts: Count[] = [];
    let seriesCount = 0;
    for (const [value, count] of countsOf.get(set.symbols.find(name)) ?? []) {
      seriesCount += count;
      counts.push({ text: set.symbols.text(value), count });
    }
    return { text: name, count: seriesCount, counts };
  });
  return encodeJson({
    series_count_total: seriesTotal,
    labels: largest(labels, labels.length).map(({ text, count, counts }) => ({
      label_name: text,
      label_values_count: counts.length,
      series_count: count,
      cardinality: largest(counts, limit).map((entry) => ({
        label_value: entry.text,
        series_count: entry.count,
      })),
    })),
  });
}

/**
 * Answer of cardinality/active_series: all label sets.
 * @throws VarveError limit `active-series-size`
 */
export function activeSeries(set: SeriesSet, bytesMax: number, check: Checkpoint): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter(64 + set.seriesCount * 128);
  out.text('{"data":[');
  for (let i = 0; i < set.seriesCount; i++) {
    if (i % CHECK_SERIES === 0) check();
    out.text(`${i === 0 ? '' : ','}${metricText(labelsOf(set, i))}`);
    if (bytesMax > 0 && out.length > bytesMax) {
      const message = `the answer is larger than ${bytesMax} bytes (limits.active_series_results_max_size_bytes): narrow the selector`;
      throw new VarveError('limit', 'active-series-size', message);
    }
  }
  out.text(']}');
  return out.finish();
}

interface Count {
  readonly text: string;
  readonly count: number;
}

function largest<Item extends Count>(items: readonly Item[], limit: number): readonly Item[] {
  return items.toSorted((a, b) => b.count - a.count || compareUtf8(a.text, b.text)).slice(0, limit);
}

function labelsOf(set: SeriesSet, i: number): LabelSet {
  const labels: { name: string; value: string }[] = [];
  for (let at = set.labelOffsets[i]!; at < set.labelOffsets[i + 1]!; at += 2) {
    labels.push({ name: set.symbols.text(set.labels[at]!), value: set.symbols.text(set.labels[at + 1]!) });
  }
  return labels;
}

function encodeJson(value: unknown): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(stringifyHtml(value)));
}
