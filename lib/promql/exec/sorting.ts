import { compareLabelSets } from '../../labels/index.js';
import { polled } from '../../storage/index.js';
import { naturalLess } from '../func/index.js';
import { labelIdOf } from './label-columns.js';
import { labelSetOf } from './matching.js';
import { pickLabels } from './rank.js';
import { materialise, type RowSource, SelectedRows } from './source.js';

/** The sort functions on a single step. Range queries order their result by labels whatever the query says. */
export function sortRows(
  source: RowSource,
  isDescending: boolean,
  labelNames: readonly string[] | null,
): RowSource {
  const child = materialise(source);
  const { context, seriesCount } = child;
  const { f64, u8 } = context.kernel;
  const block = child.read(0, seriesCount);
  const values = f64.subarray(block.rows / 8, block.rows / 8 + seriesCount);
  const order: number[] = [];
  for (let i = 0; i < seriesCount; i++) if (u8[block.present + i] !== 0) order.push(i);
  const compare =
    labelNames === null ? byValue(values, isDescending) : byLabels(child, labelNames, isDescending);
  order.sort(polled(compare, () => context.poll()));
  const { labels, marks } = pickLabels(child.labels, child.dropMarks, order);
  return new SelectedRows(child, labels, marks, Uint32Array.from(order));
}

/** NaN goes last in both directions. */
function byValue(values: Float64Array, isDescending: boolean): (i: number, j: number) => number {
  return (i, j) => {
    const a = values[i]!;
    const b = values[j]!;
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
    if (a === b) return 0;
    return a < b !== isDescending ? -1 : 1;
  };
}

function byLabels(
  child: RowSource,
  names: readonly string[],
  isDescending: boolean,
): (i: number, j: number) => number {
  const { context, labels } = child;
  const ids = names.map((name) => context.space.find(name));
  const sign = isDescending ? -1 : 1;
  return (i, j) => {
    for (const id of ids) {
      const x = labelIdOf(labels, i, id);
      const y = labelIdOf(labels, j, id);
      if (x === y) continue;
      const isLess = naturalLess(x < 0 ? '' : context.space.text(x), y < 0 ? '' : context.space.text(y));
      return isLess ? -sign : sign;
    }
    return sign * compareLabelSets(labelSetOf(context, labels, i), labelSetOf(context, labels, j));
  };
}
