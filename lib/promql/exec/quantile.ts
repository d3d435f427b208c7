import { formatHistogram } from '../../histogram/index.js';
import { QUANTILE_STEPS, QUANTILE_WORK_BYTES } from '../../kernel/index.js';
import { formatF, formatG } from '../func/index.js';
import { goQuote } from '../parse/index.js';
import type { AggregateNode } from '../plan/index.js';
import { groupSeries, inFirstOrder, noteFirsts, noteIgnored } from './aggregate.js';
import { executionError } from './context.js';
import { ELEMENT } from './element.js';
import { floatsOnly } from './float-view.js';
import { type LabelColumns, LabelIndex } from './label-columns.js';
import { MaterialRows, materialise, type RowSource, reserveBlock } from './source.js';

/** The aggregation `quantile`: gathers each group's values per step and lets the kernel sort them. */
export function quantileOfSeries(source: RowSource, node: AggregateNode, parameter: Float64Array): RowSource {
  const child = floatsOnly(source, () => noteIgnored(source, node));
  const { context, steps, seriesCount } = child;
  const { kernel } = context;
  warnQuantile(child, node, parameter);
  const heldBefore = context.held;
  const grouping = groupSeries(context, child, node);
  const groupCount = grouping.labels.count;
  const rows = materialise(child);
  // Members of each group, in series order.
  const begins = new Uint32Array(groupCount + 1);
  for (const number of grouping.numbers) begins[number + 1]!++;
  for (let g = 0; g < groupCount; g++) begins[g + 1]! += begins[g]!;
  const members = new Uint32Array(seriesCount);
  const next = begins.slice();
  let most = 0;
  for (let i = 0; i < seriesCount; i++) members[next[grouping.numbers[i]!]!++] = i;
  for (let g = 0; g < groupCount; g++) most = Math.max(most, begins[g + 1]! - begins[g]!);

  const block = reserveBlock(context, groupCount, steps);
  const membersAt = kernel.reserve(seriesCount * 4);
  const quantiles = kernel.reserve(steps * 8);
  const work = kernel.reserve(QUANTILE_WORK_BYTES + most * 8 * QUANTILE_STEPS);
  kernel.u32.set(members, membersAt / 4);
  kernel.f64.set(parameter.subarray(0, steps), quantiles / 8);
  kernel.u8.fill(0, block.present, block.present + groupCount * steps);
  const all = rows.read(0, seriesCount);
  for (let g = 0; g < groupCount; g++) {
    const count = begins[g + 1]! - begins[g]!;
    for (let k = 0; k < steps; k += QUANTILE_STEPS) {
      kernel.functions.queryQuantileSteps(
        membersAt + begins[g]! * 4,
        count,
        steps,
        k,
        all.rows,
        all.present,
        quantiles,
        block.rows + g * steps * 8,
        block.present + g * steps,
        work,
      );
      context.poll();
    }
  }
  const firsts = steps === 1 ? new Int32Array(groupCount).fill(-1) : null;
  if (firsts !== null) noteFirsts(firsts, grouping.numbers, kernel.u8, all.present, 0, seriesCount);
  context.settle(heldBefore);
  const result = new MaterialRows(context, grouping.labels, steps, grouping.dropMarks, block);
  return firsts === null ? result : inFirstOrder(result, firsts);
}

function warnQuantile(child: RowSource, node: AggregateNode, parameter: Float64Array): void {
  let most = -Infinity;
  let least = Infinity;
  let hasNaN = false;
  for (const q of parameter) {
    if (Number.isNaN(q)) hasNaN = true;
    if (q > most) most = q;
    if (q < least) least = q;
  }
  const warn = (q: number): void => {
    const text = `quantile value should be between 0 and 1, got ${formatG(q)}`;
    child.context.annotations.warn(text, node.paramPos);
  };
  // The greatest and the least of numbers with a NaN among them are NaN.
  if (hasNaN) {
    warn(NaN);
    return;
  }
  if (most > 1) warn(most);
  if (least < 0) warn(least);
}

/** count_values: a series per group and distinct value, written out as a label. */
export function countValues(child: RowSource, node: AggregateNode): RowSource {
  const { context, steps, seriesCount } = child;
  const { space } = context;
  if (node.label === '' || !node.label.isWellFormed()) {
    throw executionError(`invalid label name ${goQuote(node.label)}`);
  }
  const heldBefore = context.held;
  // The new label replaces one of that name first, so `without` does not group by the old one.
  const labelId = space.intern(node.label);
  const inner: AggregateNode = node.without
    ? { ...node, grouping: [...node.grouping, node.label] }
    : { ...node, grouping: node.grouping.filter((name) => name !== node.label) };
  const isListed = node.without && node.grouping.includes(node.label);
  const { numbers, labels, dropMarks } = groupSeries(context, child, inner);
  const index = new LabelIndex();
  const counts: Float64Array[] = [];
  const marks: number[] = [];
  const rowsPerBlock = context.blockRows(steps);
  const outputs = new Map<string, number>();
  for (let from = 0; from < seriesCount; from += rowsPerBlock) {
    const to = Math.min(seriesCount, from + rowsPerBlock);
    const block = child.read(from, to);
    const { f64, u8 } = context.kernel;
    for (let i = from; i < to; i++) {
      const number = numbers[i]!;
      for (let k = 0; k < steps; k++) {
        const at = (i - from) * steps + k;
        if (u8[block.present + at] === 0) continue;
        const text =
          u8[block.present + at] === ELEMENT.histogram
            ? formatHistogram(block.histograms![at]!)
            : formatF(f64[block.rows / 8 + at]!);
        const key = isListed ? String(number) : `${number} ${text}`;
        let output = outputs.get(key);
        if (output === undefined) {
          output = withLabel(index, labels, number, isListed ? -1 : labelId, space.intern(text), child);
          outputs.set(key, output);
        }
        const row = (counts[output] ??= new Float64Array(steps));
        row[k]!++;
        if (dropMarks !== null) marks[output] = dropMarks[number]!;
      }
    }
    context.poll();
  }
  context.settle(heldBefore);
  const block = reserveBlock(context, counts.length, steps);
  const { f64, u8 } = context.kernel;
  counts.forEach((row, output) => {
    for (let k = 0; k < steps; k++) {
      f64[block.rows / 8 + output * steps + k] = row[k]!;
      u8[block.present + output * steps + k] = row[k]! > 0 ? 1 : 0;
    }
  });
  const outputMarks = dropMarks === null ? null : Uint8Array.from(marks);
  return new MaterialRows(context, index.columns, steps, outputMarks, block);
}

/** Numbers a group's labels with one more label (none when `name` is -1), in name order. */
function withLabel(
  index: LabelIndex,
  labels: LabelColumns,
  group: number,
  name: number,
  value: number,
  child: RowSource,
): number {
  const { space } = child.context;
  const pairs: number[] = [];
  let isPlaced = name < 0;
  for (let p = labels.offsets[group]!; p < labels.offsets[group + 1]!; p += 2) {
    const current = labels.pairs[p]!;
    if (!isPlaced && space.compare(name, current) < 0) {
      pairs.push(name, value);
      isPlaced = true;
    }
    pairs.push(current, labels.pairs[p + 1]!);
  }
  if (!isPlaced) pairs.push(name, value);
  return index.intern(Uint32Array.from(pairs), 0, pairs.length);
}
