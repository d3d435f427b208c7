import { compareUtf8 } from '../../labels/index.js';
import type { LabelColumns } from './label-columns.js';
import { remembered } from './label-memo.js';
import type { SymbolSpace } from './symbol-space.js';

/** The indexes of label sets in the order of `compareLabelSets`, equal ones by index. Not to be changed. */
export function labelOrder(labels: LabelColumns, space: SymbolSpace): Uint32Array {
  return remembered(labels.memo, 'order', () => {
    const order = Uint32Array.from({ length: labels.count }, (_, i) => i);
    return labels.count < 2 ? order : order.sort(byRanks(rankedLabels(labels, space), labels));
  });
}

/** The pairs of all sets with the rank of each string among all of them in the place of its id. */
function rankedLabels({ pairs, offsets, count }: LabelColumns, space: SymbolSpace): Uint32Array {
  const end = offsets[count]!;
  const texts = new Map<number, string>();
  for (let p = offsets[0]!; p < end; p++) {
    const id = pairs[p]!;
    if (!texts.has(id)) texts.set(id, space.text(id));
  }
  const ranks = new Map<number, number>();
  const sorted = [...texts].sort((a, b) => compareUtf8(a[1], b[1]));
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
