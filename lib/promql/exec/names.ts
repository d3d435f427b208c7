import { type QueryContext, sameLabelsetError } from './context.js';
import { findDuplicate, LabelBuilder, type LabelColumns, LabelIndex } from './label-columns.js';
import { namesKey, remembered } from './label-memo.js';
import {
  MaterialRows,
  materialise,
  noHistograms,
  RelabelledRows,
  type RowSource,
  reserveBlock,
} from './source.js';

/** Dropping metric names, now or at the end of the query, and what follows from it: series that became equal. */

/** Ids of the labels that go when a name is dropped: `__name__`, and the type and unit that qualify it. */
export function nameIds(context: QueryContext): number[] {
  const { space } = context;
  return [space.find('__name__'), space.find('__type__'), space.find('__unit__')].filter((id) => id >= 0);
}

/** Label columns without some labels. */
interface RemainingLabels {
  readonly labels: LabelColumns;
  /** Whether every set lost the same pairs, so distinct sets stay distinct. */
  readonly isUniform: boolean;
}

/** Removes labels by name from all sets, or from those that are marked. */
export function removeLabels(
  labels: LabelColumns,
  ids: readonly number[],
  marks: Uint8Array | null = null,
): RemainingLabels {
  const key = marks === null ? namesKey('remove', ids) : null;
  if (key === null || labels.memo === undefined) return remaining(labels, ids, marks);
  return remembered(labels.memo, key, () => {
    const left = remaining(labels, ids, null);
    return { ...left, labels: { ...left.labels, memo: new Map() } };
  });
}

function remaining(labels: LabelColumns, ids: readonly number[], marks: Uint8Array | null): RemainingLabels {
  const { count, offsets, pairs } = labels;
  const builder = new LabelBuilder(count, pairs.length);
  let firstLost: number[] | null = null;
  let isUniform = marks === null;
  for (let i = 0; i < count; i++) {
    const isMarked = marks === null || marks[i] === 1;
    const end = offsets[i + 1]!;
    let lost = 0;
    const isFirst = firstLost === null;
    firstLost ??= [];
    for (let p = offsets[i]!; p < end; p += 2) {
      const name = pairs[p]!;
      if (!isMarked || !ids.includes(name)) {
        builder.push(name, pairs[p + 1]!);
        continue;
      }
      if (isFirst) firstLost.push(name, pairs[p + 1]!);
      else if (firstLost[lost] !== name || firstLost[lost + 1] !== pairs[p + 1]) isUniform = false;
      lost += 2;
    }
    if (lost !== firstLost.length) isUniform = false;
    builder.end();
  }
  return { labels: builder.columns, isUniform };
}

/**
 * Drops the names of all series. Series that become equal are merged when they never have a value at the same step.
 * @param isStrict equal label sets are an error even without a common step (outputs of range functions)
 */
export function dropNames(
  source: RowSource,
  isStrict = false,
  ids: readonly number[] = nameIds(source.context),
): RowSource {
  const { context, seriesCount } = source;
  if (seriesCount === 0) return source;
  if (context.features.delayedNameRemoval) {
    return new RelabelledRows(source, source.labels, new Uint8Array(seriesCount).fill(1));
  }
  if (ids.length === 0) return source;
  const { labels, isUniform } = removeLabels(source.labels, ids);
  if (isUniform || findDuplicate(labels) === null) return new RelabelledRows(source, labels, null);
  return mergeEqual(source, labels, null, isStrict);
}

/** Gives a source new labels, merging series that became equal. */
export function relabel(source: RowSource, labels: LabelColumns, marks: Uint8Array | null): RowSource {
  if (findDuplicate(labels) === null) return new RelabelledRows(source, labels, marks);
  return mergeEqual(source, labels, marks, false);
}

/**
 * Merges the rows of equal label sets.
 * @throws VarveError client `promql-execution` when two of them have a value at the same step
 */
export function mergeEqual(
  source: RowSource,
  labels: LabelColumns,
  marks: Uint8Array | null,
  isStrict: boolean,
): RowSource {
  const { context, steps, seriesCount } = source;
  const index = new LabelIndex(seriesCount);
  const numbers = new Int32Array(seriesCount).fill(-1);
  const rows = materialise(source);
  // The order of one step is that of its elements: a row that is absent does not keep a place for an equal one.
  const seen = steps === 1 ? rows.read(0, seriesCount).present : -1;
  for (let i = 0; i < seriesCount; i++) {
    if (seen >= 0 && context.kernel.u8[seen + i] === 0) continue;
    numbers[i] = index.intern(labels.pairs, labels.offsets[i]!, labels.offsets[i + 1]!);
  }
  const block = reserveBlock(context, index.count, steps);
  if (rows.mayHaveHistograms) block.histograms = noHistograms(index.count * steps);
  const { u8, f64 } = context.kernel;
  u8.fill(0, block.present, block.present + index.count * steps);
  const filled = new Uint8Array(index.count);
  const mergedMarks = marks === null ? null : new Uint8Array(index.count);
  for (let i = 0; i < seriesCount; i++) {
    const number = numbers[i]!;
    if (number < 0) continue;
    const read = rows.read(i, i + 1);
    const from = read.rows / 8;
    const to = block.rows / 8 + number * steps;
    const present = block.present + number * steps;
    let points = 0;
    for (let k = 0; k < steps; k++) {
      if (u8[read.present + k] === 0) continue;
      if (u8[present + k] !== 0) throw sameLabelsetError();
      u8[present + k] = u8[read.present + k]!;
      f64[to + k] = f64[from + k]!;
      if (block.histograms !== null) block.histograms[number * steps + k] = read.histograms![k]!;
      points++;
    }
    if (points > 0) {
      if (isStrict && filled[number] === 1) throw sameLabelsetError();
      filled[number] = 1;
    }
    if (mergedMarks !== null && marks![i] === 1) mergedMarks[number] = 1;
  }
  return new MaterialRows(context, index.columns, steps, mergedMarks, block);
}

/** The end of delayed name removal: marked series lose their names now. */
export function removeMarkedNames(source: RowSource): RowSource {
  const { dropMarks, context } = source;
  if (dropMarks === null || !dropMarks.includes(1)) return source;
  const { labels } = removeLabels(source.labels, nameIds(context), dropMarks);
  return relabel(source, labels, null);
}
