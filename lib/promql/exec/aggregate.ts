import { AGGREGATION } from '../../kernel/index.js';
import type { AggregateNode } from '../plan/index.js';
import type { QueryContext } from './context.js';
import { floatsOnly, presenceOnly } from './float-view.js';
import { HistogramCells } from './histogram-cells.js';
import {
  type KeyRule,
  keyRule,
  keysOf,
  LabelBuilder,
  type LabelColumns,
  LabelIndex,
} from './label-columns.js';
import { namesKey, remembered } from './label-memo.js';
import {
  copyHistograms,
  MaterialRows,
  materialise,
  noHistograms,
  type RowSource,
  reserveBlock,
} from './source.js';

/** Groups of an aggregation: a number per input series and the labels of each group. */
export interface Grouping {
  readonly numbers: Uint32Array;
  readonly labels: LabelColumns;
  readonly dropMarks: Uint8Array | null;
}

export function groupSeries(context: QueryContext, child: RowSource, node: AggregateNode): Grouping {
  const rule = keyRule(context.space, node.grouping, !node.without);
  const { numbers, labels } = groupLabels(child.labels, rule);
  let dropMarks: Uint8Array | null = null;
  if (child.dropMarks !== null) {
    dropMarks = new Uint8Array(labels.count);
    for (let i = 0; i < numbers.length; i++) if (child.dropMarks[i] === 1) dropMarks[numbers[i]!] = 1;
  }
  return { numbers, labels, dropMarks };
}

function groupLabels(labels: LabelColumns, rule: KeyRule): Omit<Grouping, 'dropMarks'> {
  const key = namesKey(rule.keep ? 'by' : 'without', rule.names);
  const group = (): Omit<Grouping, 'dropMarks'> => {
    const index = new LabelIndex();
    const numbers = keysOf(labels, rule, index);
    return { numbers, labels: index.columns };
  };
  if (key === null || labels.memo === undefined) return group();
  return remembered(labels.memo, key, () => {
    const { numbers, labels: groups } = group();
    return { numbers, labels: { ...groups, memo: new Map() } };
  });
}

/** True for operators that accumulate in place. */
export function isAccumulating(op: string): op is keyof typeof AGGREGATION {
  return Object.hasOwn(AGGREGATION, op);
}

/**
 * sum, avg, count, min, max, group, stddev, stdvar: each block of the input is added to the state rows of its groups and
 * then forgotten.
 */
export function accumulate(source: RowSource, node: AggregateNode): RowSource {
  const op = AGGREGATION[node.op as keyof typeof AGGREGATION];
  // The order of an instant result goes by all members, those included that the operator does not see.
  const isPartlySeen = source.steps === 1 && source.mayHaveHistograms;
  const members = isPartlySeen ? materialise(source) : source;
  const child = inputOf(members, node);
  const { context, steps, seriesCount } = child;
  const { kernel } = context;
  const heldBefore = context.held;
  const { numbers, labels, dropMarks } = groupSeries(context, child, node);
  const total = labels.count * steps;
  const part1 = kernel.reserve(total * 8);
  const needsTwo = op === AGGREGATION.sum || op === AGGREGATION.avg || op >= AGGREGATION.stddev;
  const needsThree = op === AGGREGATION.avg || op >= AGGREGATION.stddev;
  const part2 = needsTwo ? kernel.reserve(total * 8) : 0;
  const part3 = needsThree ? kernel.reserve(total * 8) : 0;
  const flags = kernel.reserveZeroed(total);
  const rowsPerBlock = context.blockRows(steps);
  const groups = kernel.reserve(rowsPerBlock * 4);
  const cells = child.mayHaveHistograms ? new HistogramCells(child, node, total) : null;
  /** First series that had a value in a group; order of an instant result. */
  const firsts = steps === 1 ? new Int32Array(labels.count).fill(-1) : null;
  for (let from = 0; from < seriesCount; from += rowsPerBlock) {
    const to = Math.min(seriesCount, from + rowsPerBlock);
    const block = child.read(from, to);
    kernel.u32.set(numbers.subarray(from, to), groups / 4);
    // The kernel's rows are as long as its steps, and whoever made the block may have set others, or none at all.
    context.setSteps(0, 0, steps);
    const present = cells === null ? block.present : cells.take(block, numbers.subarray(from, to));
    kernel.functions.queryAggregateBlock(
      op,
      to - from,
      steps,
      block.rows,
      present,
      groups,
      part1,
      part2,
      part3,
      flags,
    );
    if (firsts !== null) {
      const seen = isPartlySeen ? members.read(from, to).present : block.present;
      noteFirsts(firsts, numbers, kernel.u8, seen, from, to);
    }
    context.poll();
  }
  kernel.functions.queryAggregateFinish(op, total, part1, part2, part3, flags);
  const histograms = cells === null ? null : cells.finish(flags);
  context.settle(heldBefore);
  context.hold(kernel.functions.queryCountPresent(flags, total) + (cells?.weight ?? 0));
  const rows = new MaterialRows(context, labels, steps, dropMarks, {
    rows: part1,
    present: flags,
    histograms,
  });
  return firsts === null ? rows : inFirstOrder(rows, firsts);
}

/** What an operator sees of its input: sum and avg all of it, others presence or floats only. */
function inputOf(source: RowSource, node: AggregateNode): RowSource {
  if (node.op === 'sum' || node.op === 'avg') return source;
  if (node.op === 'count' || node.op === 'group') return presenceOnly(source);
  return floatsOnly(source, () => noteIgnored(source, node));
}

/** Tells of a histogram in an aggregation of floats. */
export function noteIgnored(source: RowSource, node: AggregateNode): void {
  source.context.annotations.info(`ignored histogram in ${node.op} aggregation`, node.childPos);
}

/** Notes the first series of each group that has a value at the only step; `firsts` is -1 where there was none yet. */
export function noteFirsts(
  firsts: Int32Array,
  numbers: Uint32Array,
  u8: Uint8Array,
  present: number,
  from: number,
  to: number,
): void {
  for (let i = from; i < to; i++) {
    const number = numbers[i]!;
    if (firsts[number]! < 0 && u8[present + i - from] !== 0) firsts[number] = i;
  }
}

/** Reorders the single-step rows of groups by their first member; groups without a member go. */
export function inFirstOrder(rows: MaterialRows, firsts: Int32Array): RowSource {
  let isOrdered = true;
  for (let g = 0; g < firsts.length; g++) {
    if (firsts[g]! < 0 || (g > 0 && firsts[g]! < firsts[g - 1]!)) isOrdered = false;
  }
  if (isOrdered) return rows;
  const order = Array.from(firsts.keys())
    .filter((g) => firsts[g]! >= 0)
    .sort((a, b) => firsts[a]! - firsts[b]!);
  const { context, labels } = rows;
  const builder = new LabelBuilder(order.length);
  const block = reserveBlock(context, order.length, 1);
  if (rows.mayHaveHistograms) block.histograms = noHistograms(order.length);
  const { f64, u8 } = context.kernel;
  const marks = rows.dropMarks === null ? null : new Uint8Array(order.length);
  order.forEach((g, i) => {
    builder.copy(labels, g);
    const read = rows.read(g, g + 1);
    f64[block.rows / 8 + i] = f64[read.rows / 8]!;
    u8[block.present + i] = u8[read.present]!;
    copyHistograms(read.histograms, block.histograms, i, 1);
    if (marks !== null) marks[i] = rows.dropMarks![g]!;
  });
  return new MaterialRows(context, builder.columns, 1, marks, block);
}
