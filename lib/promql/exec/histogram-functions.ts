import {
  type Estimate,
  type FloatHistogram,
  histogramFraction,
  histogramQuantile,
  NAN_NOTE,
} from '../../histogram/index.js';
import { type Buckets, bucketFraction, bucketQuantile, formatG, prepareBuckets } from '../func/index.js';
import type { HistogramFractionNode, HistogramQuantileNode } from '../plan/index.js';
import { BucketFix, reportFix } from './bucket-fixes.js';
import { bucketsAt, type ClassicGroups, groupBuckets, metricNote } from './classic-groups.js';
import { timeOf } from './context.js';
import { ELEMENT } from './element.js';
import { LabelBuilder, type LabelColumns } from './label-columns.js';
import { dropNames, relabel } from './names.js';
import { type Block, MaterialRows, materialise, type RowSource, reserveBlock } from './source.js';

/** histogram_quantile, histogram_quantiles and histogram_fraction, over native and classic histograms together. */

type EstimateNode = HistogramQuantileNode | HistogramFractionNode;

/** All histograms of a vector: native ones by series, numbered first, then the classic groups. */
interface Histograms {
  readonly child: MaterialRows;
  /** Series that are native histograms at some step. */
  readonly natives: readonly number[];
  readonly groups: ClassicGroups;
  readonly labels: LabelColumns;
  readonly count: number;
}

function histogramsOf(source: RowSource, node: EstimateNode): Histograms {
  const child = materialise(source);
  const groups = groupBuckets(child, node);
  const natives: number[] = [];
  if (child.mayHaveHistograms) {
    const { present } = child.read(0, child.seriesCount);
    const { u8 } = child.context.kernel;
    for (let i = 0; i < child.seriesCount; i++) {
      const row = u8.subarray(present + i * child.steps, present + (i + 1) * child.steps);
      if (row.includes(ELEMENT.histogram)) natives.push(i);
    }
  }
  const { count } = groups.index;
  if (natives.length === 0) return { child, natives, groups, labels: groups.index.columns, count };
  const builder = new LabelBuilder(natives.length + count);
  for (const i of natives) builder.copy(child.labels, i);
  for (let g = 0; g < count; g++) builder.copy(groups.index.columns, g);
  return { child, natives, groups, labels: builder.columns, count: natives.length + count };
}

/** Visits every histogram at every step. A native one and a classic one of the same labels put each other out. */
function visitHistograms(
  { child, natives, groups }: Histograms,
  node: EstimateNode,
  onNative: (n: number, k: number, histogram: FloatHistogram) => void,
  onClassic: (n: number, k: number, buckets: Buckets) => void,
): void {
  const { context, steps, labels } = child;
  const buckets: Buckets = { bounds: [], counts: [] };
  const all = child.read(0, child.seriesCount);
  const clashes = new Set<number>();
  natives.forEach((i, n) => {
    const rival = groups.index.find(labels.pairs, labels.offsets[i]!, labels.offsets[i + 1]!);
    for (let k = 0; k < steps; k++) {
      const at = i * steps + k;
      if (context.kernel.u8[all.present + at] !== ELEMENT.histogram) continue;
      if (rival < 0 || !bucketsAt(child, groups, rival, k, buckets)) {
        onNative(n, k, all.histograms![at]!);
        continue;
      }
      clashes.add(rival * steps + k);
      const text = `vector contains a mix of classic and native histograms${metricNote(context, labels, i)}`;
      context.annotations.warn(text, node.childPos);
    }
    context.poll();
  });
  for (let g = 0; g < groups.index.count; g++) {
    for (let k = 0; k < steps; k++) {
      if (clashes.has(g * steps + k) || !bucketsAt(child, groups, g, k, buckets)) continue;
      onClassic(natives.length + g, k, buckets);
    }
    context.poll();
  }
}

function emptyBlock(child: MaterialRows, rows: number): Block {
  const block = reserveBlock(child.context, rows, child.steps);
  child.context.kernel.u8.fill(ELEMENT.none, block.present, block.present + rows * child.steps);
  return block;
}

const NOTES: Readonly<Record<Estimate['note'], string>> = {
  [NAN_NOTE.none]: '',
  [NAN_NOTE.resultIsNaN]: 'input to histogram_quantile has NaN observations, result is NaN',
  [NAN_NOTE.skewedHigher]: 'input to histogram_quantile has NaN observations, result is skewed higher',
  [NAN_NOTE.excluded]:
    'input to histogram_fraction has NaN observations, which are excluded from all fractions',
};

/** The value of an estimate, after telling what NaN observations did to it. */
function valueWithNote(
  estimate: Estimate,
  { child, natives }: Histograms,
  n: number,
  node: EstimateNode,
): number {
  if (estimate.note !== NAN_NOTE.none) {
    const text = NOTES[estimate.note] + metricNote(child.context, child.labels, natives[n]!);
    child.context.annotations.info(text, node.childPos);
  }
  return estimate.value;
}

export function histogramQuantileRows(
  node: HistogramQuantileNode,
  source: RowSource,
  quantiles: readonly Float64Array[],
): RowSource {
  const { context, steps } = source;
  quantiles.forEach((row, n) => {
    for (const q of row) {
      if (q >= 0 && q <= 1) continue;
      const text = `quantile value should be between 0 and 1, got ${formatG(q)}`;
      context.annotations.warn(text, node.quantilePos[n]!);
    }
  });
  const histograms = histogramsOf(source, node);
  const { child, groups, natives, count } = histograms;
  const block = emptyBlock(child, count * quantiles.length);
  const { f64, u8 } = context.kernel;
  /** Places results; those of one quantile stand together. */
  const put = (n: number, k: number, estimate: (q: number) => number): void => {
    quantiles.forEach((row, output) => {
      const at = (output * count + n) * steps + k;
      f64[block.rows / 8 + at] = estimate(row[k]!);
      u8[block.present + at] = ELEMENT.float;
    });
  };
  visitHistograms(
    histograms,
    node,
    (n, k, histogram) =>
      put(n, k, (q) => valueWithNote(histogramQuantile(q, histogram), histograms, n, node)),
    (n, k, buckets) => {
      const { isComplete, forced } = prepareBuckets(buckets);
      // A quantile outside of its range is answered without a look at the buckets.
      const asked = quantiles.filter((row) => row[k]! >= 0 && row[k]! <= 1).length;
      if (forced !== null && asked > 0) {
        const timeMs = timeOf(node.grid, k);
        reportFix(child, groups, n - natives.length, node, new BucketFix(forced, asked, timeMs, timeMs));
      }
      put(n, k, (q) => bucketQuantile(q, buckets, isComplete));
    },
  );
  const labels = quantileLabels(child, histograms.labels, node, quantiles);
  const rows = new MaterialRows(context, labels, steps, null, block);
  return dropNames(relabel(rows, labels, null));
}

/** Labels of the results: the histogram's, and for histogram_quantiles the quantile. */
function quantileLabels(
  child: MaterialRows,
  histograms: LabelColumns,
  node: HistogramQuantileNode,
  quantiles: readonly Float64Array[],
): LabelColumns {
  if (node.label === '') return histograms;
  const { space } = child.context;
  const labelId = space.intern(node.label);
  const builder = new LabelBuilder(histograms.count * quantiles.length);
  for (const row of quantiles) {
    const value = space.intern(openMetricsFloat(row[0]!));
    for (let g = 0; g < histograms.count; g++) {
      for (let p = histograms.offsets[g]!; p < histograms.offsets[g + 1]!; p += 2) {
        if (histograms.pairs[p] !== labelId) builder.push(histograms.pairs[p]!, histograms.pairs[p + 1]!);
      }
      builder.push(labelId, value);
      builder.endUnsorted(space);
    }
  }
  return builder.columns;
}

function openMetricsFloat(value: number): string {
  const text = formatG(value);
  return /[.eEIN]/.test(text) ? text : `${text}.0`;
}

export function histogramFractionRows(
  node: HistogramFractionNode,
  source: RowSource,
  lower: Float64Array,
  upper: Float64Array,
): RowSource {
  const { context, steps } = source;
  const histograms = histogramsOf(source, node);
  const block = emptyBlock(histograms.child, histograms.count);
  const { f64, u8 } = context.kernel;
  const put = (n: number, k: number, value: number): void => {
    f64[block.rows / 8 + n * steps + k] = value;
    u8[block.present + n * steps + k] = ELEMENT.float;
  };
  visitHistograms(
    histograms,
    node,
    (n, k, histogram) => {
      const estimate = histogramFraction(lower[k]!, upper[k]!, histogram);
      put(n, k, valueWithNote(estimate, histograms, n, node));
    },
    (n, k, buckets) => put(n, k, bucketFraction(lower[k]!, upper[k]!, buckets)),
  );
  const { labels } = histograms;
  const rows = new MaterialRows(context, labels, steps, null, block);
  return dropNames(relabel(rows, labels, null));
}
