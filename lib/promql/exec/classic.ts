import {
  type Buckets,
  bucketFraction,
  bucketQuantile,
  type Forced,
  formatG,
  formatG2,
  parseGoFloat,
  prepareBuckets,
} from '../func/index.js';
import type { HistogramFractionNode, HistogramQuantileNode } from '../plan/index.js';
import type { NoteDetails } from './annotations.js';
import { timeOf } from './context.js';
import { LabelBuilder, type LabelColumns, LabelIndex, labelIdOf } from './label-columns.js';
import { dropNames, relabel } from './names.js';
import { MaterialRows, materialise, type RowSource, reserveBlock } from './source.js';

/** histogram_quantile, histogram_quantiles and histogram_fraction over classic `le` buckets. */

/** The buckets of all histograms: members of group g are `members[begins[g] .. begins[g + 1])`. */
interface Groups {
  readonly labels: LabelColumns;
  readonly begins: Uint32Array;
  readonly members: Uint32Array;
  /** Upper bound per input series. */
  readonly bounds: Float64Array;
}

function groupBuckets(child: MaterialRows, node: HistogramQuantileNode | HistogramFractionNode): Groups {
  const { context, labels, seriesCount, steps } = child;
  const { space } = context;
  const le = space.find('le');
  const nameId = space.find('__name__');
  const parsed = new Map<number, number | null>();
  const bounds = new Float64Array(seriesCount);
  const index = new LabelIndex();
  const groupOf = new Int32Array(seriesCount).fill(-1);
  const present = child.read(0, seriesCount).present;
  let scratch = new Uint32Array(64);
  for (let i = 0; i < seriesCount; i++) {
    const { u8 } = context.kernel;
    const row = u8.subarray(present + i * steps, present + (i + 1) * steps);
    if (row.indexOf(1) < 0) continue;
    const text = labelIdOf(labels, i, le);
    let bound = parsed.get(text);
    if (bound === undefined) {
      bound = text < 0 ? null : parseGoFloat(space.text(text));
      parsed.set(text, bound);
    }
    if (bound === null) {
      const name = context.features.delayedNameRemoval ? labelIdOf(labels, i, nameId) : -1;
      const named = name < 0 ? '' : ` for metric name ${JSON.stringify(space.text(name))}`;
      const shown = JSON.stringify(text < 0 ? '' : space.text(text));
      context.annotations.warn(
        `bucket label "le" is missing or has a malformed value of ${shown}${named}`,
        node.childPos,
      );
      continue;
    }
    bounds[i] = bound;
    const begin = labels.offsets[i]!;
    const end = labels.offsets[i + 1]!;
    if (end - begin > scratch.length) scratch = new Uint32Array(end - begin);
    let n = 0;
    for (let p = begin; p < end; p += 2) {
      if (labels.pairs[p] === le) continue;
      scratch[n++] = labels.pairs[p]!;
      scratch[n++] = labels.pairs[p + 1]!;
    }
    groupOf[i] = index.intern(scratch, 0, n);
  }
  const begins = new Uint32Array(index.count + 1);
  for (const group of groupOf) if (group >= 0) begins[group + 1]!++;
  for (let g = 0; g < index.count; g++) begins[g + 1]! += begins[g]!;
  const members = new Uint32Array(begins[index.count]!);
  const next = begins.slice();
  for (let i = 0; i < seriesCount; i++) if (groupOf[i]! >= 0) members[next[groupOf[i]!]!++] = i;
  return { labels: index.columns, begins, members, bounds };
}

/** Collects the buckets of a group at a step into the given columns; false when there are none. */
function bucketsAt(child: MaterialRows, groups: Groups, group: number, step: number, into: Buckets): boolean {
  const { f64, u8 } = child.context.kernel;
  const block = child.read(0, child.seriesCount);
  into.bounds.length = 0;
  into.counts.length = 0;
  for (let m = groups.begins[group]!; m < groups.begins[group + 1]!; m++) {
    const i = groups.members[m]!;
    const at = i * child.steps + step;
    if (u8[block.present + at] === 0) continue;
    into.bounds.push(groups.bounds[i]!);
    into.counts.push(f64[block.rows / 8 + at]!);
  }
  return into.bounds.length > 0;
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
  const child = materialise(source);
  const groups = groupBuckets(child, node);
  const groupCount = groups.labels.count;
  const block = reserveBlock(context, groupCount * quantiles.length, steps);
  const { f64, u8 } = context.kernel;
  u8.fill(0, block.present, block.present + groupCount * quantiles.length * steps);
  const buckets: Buckets = { bounds: [], counts: [] };
  for (let g = 0; g < groupCount; g++) {
    for (let k = 0; k < steps; k++) {
      if (!bucketsAt(child, groups, g, k, buckets)) continue;
      const { isComplete, forced } = prepareBuckets(buckets);
      // A quantile outside of its range is answered without a look at the buckets.
      const asked = quantiles.filter((row) => row[k]! >= 0 && row[k]! <= 1).length;
      if (forced !== null && asked > 0) {
        const timeMs = timeOf(node.grid, k);
        reportFix(child, groups, g, node, new Fix(forced, asked, timeMs, timeMs));
      }
      for (let n = 0; n < quantiles.length; n++) {
        const at = (n * groupCount + g) * steps + k;
        f64[block.rows / 8 + at] = bucketQuantile(quantiles[n]![k]!, buckets, isComplete);
        u8[block.present + at] = 1;
      }
    }
    context.poll();
  }
  const labels = quantileLabels(child, groups.labels, node, quantiles);
  const rows = new MaterialRows(context, labels, steps, null, block);
  return dropNames(relabel(rows, labels, null));
}

/** Labels of the results: the group's, and for histogram_quantiles the quantile. */
function quantileLabels(
  child: MaterialRows,
  groups: LabelColumns,
  node: HistogramQuantileNode,
  quantiles: readonly Float64Array[],
): LabelColumns {
  if (node.label === '') return groups;
  const { space } = child.context;
  const labelId = space.intern(node.label);
  const builder = new LabelBuilder(groups.count * quantiles.length);
  for (const row of quantiles) {
    const value = space.intern(openMetricsFloat(row[0]!));
    for (let g = 0; g < groups.count; g++) {
      for (let p = groups.offsets[g]!; p < groups.offsets[g + 1]!; p += 2) {
        if (groups.pairs[p] !== labelId) builder.push(groups.pairs[p]!, groups.pairs[p + 1]!);
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

/** Monotonicity fixes of one metric over all its points. */
class Fix implements NoteDetails {
  private readonly minBound: number;
  private readonly maxBound: number;
  private readonly maxDifference: number;
  private readonly count: number;
  private readonly fromMs: number;
  private readonly toMs: number;

  constructor(forced: Forced, count: number, fromMs: number, toMs: number) {
    this.minBound = forced.minBound;
    this.maxBound = forced.maxBound;
    this.maxDifference = forced.maxDifference;
    this.count = count;
    this.fromMs = fromMs;
    this.toMs = toMs;
  }

  merge(other: this): this {
    const forced = {
      minBound: Math.min(this.minBound, other.minBound),
      maxBound: Math.max(this.maxBound, other.maxBound),
      maxDifference: Math.max(this.maxDifference, other.maxDifference),
    };
    const count = this.count + other.count;
    return new Fix(
      forced,
      count,
      Math.min(this.fromMs, other.fromMs),
      Math.max(this.toMs, other.toMs),
    ) as this;
  }

  toString(): string {
    return (
      `, from buckets ${formatG(this.minBound)} to ${formatG(this.maxBound)}, with a max diff of ${formatG2(this.maxDifference)}` +
      `, over ${this.count} samples from ${rfc3339(this.fromMs)} to ${rfc3339(this.toMs)}`
    );
  }
}

/** Notes that the buckets of a group were not monotonic at a step. */
function reportFix(
  child: MaterialRows,
  groups: Groups,
  group: number,
  node: HistogramQuantileNode,
  fix: Fix,
): void {
  const { context } = child;
  const nameId = context.features.delayedNameRemoval ? context.space.find('__name__') : -1;
  const name = nameId < 0 ? -1 : labelIdOf(groups.labels, group, nameId);
  const named = name < 0 ? '' : ` for metric name ${JSON.stringify(context.space.text(name))}`;
  const text =
    'input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)' +
    named;
  context.annotations.infoWithDetails(text, fix, node.childPos);
}

function rfc3339(ms: number): string {
  return `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}

export function histogramFractionRows(
  node: HistogramFractionNode,
  source: RowSource,
  lower: Float64Array,
  upper: Float64Array,
): RowSource {
  const { context, steps } = source;
  const child = materialise(source);
  const groups = groupBuckets(child, node);
  const block = reserveBlock(context, groups.labels.count, steps);
  const { f64, u8 } = context.kernel;
  u8.fill(0, block.present, block.present + groups.labels.count * steps);
  const buckets: Buckets = { bounds: [], counts: [] };
  for (let g = 0; g < groups.labels.count; g++) {
    for (let k = 0; k < steps; k++) {
      if (!bucketsAt(child, groups, g, k, buckets)) continue;
      f64[block.rows / 8 + g * steps + k] = bucketFraction(lower[k]!, upper[k]!, buckets);
      u8[block.present + g * steps + k] = 1;
    }
    context.poll();
  }
  return dropNames(new MaterialRows(context, groups.labels, steps, null, block));
}
