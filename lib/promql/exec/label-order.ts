import { compareUtf8 } from '../../labels/index.js';
import { polled } from '../../storage/index.js';
import type { QueryContext } from './context.js';
import type { LabelColumns } from './label-columns.js';
import { remembered } from './label-memo.js';

/** The indexes of label sets in the order of `compareLabelSets`, equal ones by index. Not to be changed. */
export function labelOrder(labels: LabelColumns, context: QueryContext): Uint32Array {
  return remembered(labels.memo, 'order', () => {
    const order = Uint32Array.from({ length: labels.count }, (_, i) => i);
    if (labels.count < 2) return order;
    return order.sort(polled(byRanks(rankedLabels(labels, context), labels), () => context.poll()));
  });
}

/** The pairs of all sets with the rank of each string among all of them in the place of its id. */
function rankedLabels({ pairs, offsets, count }: LabelColumns, context: QueryContext): Uint32Array {
  const end = offsets[count]!;
  const texts = new Map<number, string>();
  for (let p = offsets[0]!; p < end; p++) {
    const id = pairs[p]!;
    if (!texts.has(id)) texts.set(id, context.space.text(id));
  }
  const ranks = new Map<number, number>();
  const byText = (a: [number, string], b: [number, string]) => compareUtf8(a[1], b[1]);
  const sorted = [...texts].sort(polled(byText, () => context.poll()));
  sorted.forEach(([id], rank) => {
    ranks.set(id, rank);
  });
  const ranked = new Uint32Array(end);
  for (let p = offsets[0]!; p < end; p++) ranked[p] = ranks.get(pairs[p]!)!;
  return ranked;
}

function byRanks(ranked: Uint32Array, { offsets }: LabelColumns): (i: number, j: number) => number {
  return (i, j) => {
    let p = offsets[i]!;
    let q = offsets[j]!;
    const pEnd = offsets[i + 1]!;
    const qEnd = offsets[j + 1]!;
    for (; p < pEnd && q < qEnd; p++, q++) {
      const difference = ranked[p]! - ranked[q]!;
      if (difference !== 0) return difference;
    }
    return pEnd - p - (qEnd - q) || i - j;
  };
}
