import { type Buckets, parseGoFloat } from '../func/index.js';
import { goQuote } from '../parse/index.js';
import type { HistogramFractionNode, HistogramQuantileNode } from '../plan/index.js';
import type { QueryContext } from './context.js';
import { ELEMENT } from './element.js';
import { type LabelColumns, LabelIndex, labelIdOf } from './label-columns.js';
import type { MaterialRows } from './source.js';

/** Classic histograms: series that are equal but for `le`. */

/** The buckets of all histograms: members of group g are `members[begins[g] .. begins[g + 1])`. */
export interface ClassicGroups {
  /** Label sets without `le`, by group number. */
  readonly index: LabelIndex;
  readonly begins: Uint32Array;
  readonly members: Uint32Array;
  /** Upper bound per input series. */
  readonly bounds: Float64Array;
}

/** Groups the float series of a vector by their labels but `le`; series with a bad one are warned of and left out. */
export function groupBuckets(
  child: MaterialRows,
  node: HistogramQuantileNode | HistogramFractionNode,
): ClassicGroups {
  const { context, labels, seriesCount, steps } = child;
  const { space } = context;
  const le = space.find('le');
  const parsed = new Map<number, number | null>();
  const bounds = new Float64Array(seriesCount);
  const index = new LabelIndex();
  const groupOf = new Int32Array(seriesCount).fill(-1);
  const present = child.read(0, seriesCount).present;
  let scratch = new Uint32Array(64);
  for (let i = 0; i < seriesCount; i++) {
    const { u8 } = context.kernel;
    const row = u8.subarray(present + i * steps, present + (i + 1) * steps);
    if (row.indexOf(ELEMENT.float) < 0) continue;
    const text = labelIdOf(labels, i, le);
    let bound = parsed.get(text);
    if (bound === undefined) {
      bound = text < 0 ? null : parseGoFloat(space.text(text));
      parsed.set(text, bound);
    }
    if (bound === null) {
      const shown = goQuote(text < 0 ? '' : space.text(text));
      context.annotations.warn(
        `bucket label "le" is missing or has a malformed value of ${shown}${metricNote(context, labels, i)}`,
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
  return { index, begins, members, bounds };
}

/** Collects the buckets of a group at a step into the given columns; false when there are none. */
export function bucketsAt(
  child: MaterialRows,
  groups: ClassicGroups,
  group: number,
  step: number,
  into: Buckets,
): boolean {
  const { f64, u8 } = child.context.kernel;
  const block = child.read(0, child.seriesCount);
  into.bounds.length = 0;
  into.counts.length = 0;
  for (let m = groups.begins[group]!; m < groups.begins[group + 1]!; m++) {
    const i = groups.members[m]!;
    const at = i * child.steps + step;
    if (u8[block.present + at] !== ELEMENT.float) continue;
    into.bounds.push(groups.bounds[i]!);
    into.counts.push(f64[block.rows / 8 + at]!);
  }
  return into.bounds.length > 0;
}

/** The part of an annotation about a series' metric: names are still there when they are dropped at the end only. */
export function metricNote(context: QueryContext, labels: LabelColumns, i: number): string {
  if (!context.features.delayedNameRemoval) return '';
  const name = labelIdOf(labels, i, context.space.find('__name__'));
  return name < 0 ? '' : ` for metric name ${goQuote(context.space.text(name))}`;
}
