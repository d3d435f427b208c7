import { formatG, xxhash64 } from '../func/index.js';
import type { AggregateNode } from '../plan/index.js';
import { groupSeries } from './aggregate.js';
import { executionError, type QueryContext } from './context.js';
import { ELEMENT } from './element.js';
import { floatsOnly } from './float-view.js';
import { LabelBuilder, type LabelColumns } from './label-columns.js';
import {
  copyHistograms,
  MaterialRows,
  materialise,
  noHistograms,
  type RowSource,
  reserveBlock,
  SelectedRows,
} from './source.js';
import type { SymbolSpace } from './symbol-space.js';

/** topk, bottomk, limitk and limit_ratio: aggregations that pass series through. */

/** The largest float below 2^63. */
const INT64_MAX_EXACT = 2 ** 63 - 1024;
const INT64_MIN = -(2 ** 63);

/** The k of each step; null when the whole result is empty. */
function stepLimits(parameter: Float64Array): Float64Array | null {
  let most = -Infinity;
  let least = Infinity;
  for (const value of parameter) {
    if (Number.isNaN(value)) throw executionError('Parameter value is NaN');
    if (value > most) most = value;
    if (value < least) least = value;
  }
  if (most < 1) return null;
  if (least <= INT64_MIN) throw executionError(`Scalar value ${formatG(least)} underflows int64`);
  if (most >= INT64_MAX_EXACT) throw executionError(`Scalar value ${formatG(most)} overflows int64`);
  return parameter.map(Math.trunc);
}

/**
 * One heap per group and step over parallel arrays, as Go's container/heap keeps it, so that ties fall as upstream.
 * The root is the worst element; NaN is worse than every number.
 */
class Heap {
  readonly values: number[] = [];
  readonly series: number[] = [];
  private readonly isTop: boolean;

  constructor(isTop: boolean) {
    this.isTop = isTop;
  }

  less(i: number, j: number): boolean {
    const a = this.values[i]!;
    const b = this.values[j]!;
    if (Number.isNaN(a)) return true;
    return this.isTop ? a < b : a > b;
  }

  swap(i: number, j: number): void {
    const value = this.values[i]!;
    this.values[i] = this.values[j]!;
    this.values[j] = value;
    const series = this.series[i]!;
    this.series[i] = this.series[j]!;
    this.series[j] = series;
  }

  push(value: number, series: number): void {
    this.values.push(value);
    this.series.push(series);
    let j = this.values.length - 1;
    while (true) {
      const parent = (j - 1) >> 1;
      if (j === 0 || parent === j || !this.less(j, parent)) break;
      this.swap(parent, j);
      j = parent;
    }
  }

  /** Whether a new value takes the root's place. */
  beats(value: number): boolean {
    const root = this.values[0]!;
    if (this.isTop ? root < value : root > value) return true;
    return Number.isNaN(root) && !Number.isNaN(value);
  }

  replaceRoot(value: number, series: number): void {
    this.values[0] = value;
    this.series[0] = series;
    const n = this.values.length;
    let i = 0;
    while (true) {
      const left = 2 * i + 1;
      if (left >= n) break;
      let j = left;
      if (left + 1 < n && this.less(left + 1, left)) j = left + 1;
      if (!this.less(j, i)) break;
      this.swap(i, j);
      i = j;
    }
  }

  /** Series in output order: best first, NaN last. Insertion sort up to 12 elements, as Go does for short slices. */
  sorted(): number[] {
    const order = this.values.map((_, i) => i);
    const before = (x: number, y: number): boolean => this.less(y, x);
    if (order.length <= 12) {
      for (let i = 1; i < order.length; i++) {
        for (let j = i; j > 0 && before(order[j]!, order[j - 1]!); j--) {
          const swapped = order[j]!;
          order[j] = order[j - 1]!;
          order[j - 1] = swapped;
        }
      }
    } else {
      order.sort((x, y) => {
        const a = this.values[x]!;
        const b = this.values[y]!;
        if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
        return this.isTop ? b - a : a - b;
      });
    }
    return order.map((i) => this.series[i]!);
  }
}

/** topk and bottomk; also limitk, which takes the first k of each group. */
export function rankSeries(
  source: RowSource,
  node: AggregateNode,
  parameter: Float64Array,
): RowSource | null {
  const limits = stepLimits(parameter);
  if (limits === null) return null;
  const isLimit = node.op === 'limitk';
  const noteIgnored = (): void => {
    source.context.annotations.info(`ignored histogram in ${node.op} aggregation`, node.pos);
  };
  // Histograms that limitk lets through are fetched in the end, so then they have to be in memory.
  // They also count for the order of groups in an instant result.
  const isPartlySeen = !isLimit && source.steps === 1 && source.mayHaveHistograms;
  const members = source.mayHaveHistograms && (isLimit || isPartlySeen) ? materialise(source) : source;
  const child = isLimit ? members : floatsOnly(members, noteIgnored);
  const { context, steps, seriesCount } = child;
  const heldBefore = context.held;
  const { numbers, labels } = groupSeries(context, child, node);
  const heaps: (Heap | undefined)[] = new Array(labels.count * steps);
  const isMixed = child.mayHaveHistograms;
  // What a value must be better than to have a chance: the root of each full heap, and NaN where any value is to be
  // looked at. Most values stop here.
  const bars = new Float64Array(labels.count * steps).fill(Number.NaN);
  const isBottom = node.op === 'bottomk';
  const rowsPerBlock = context.blockRows(steps);
  const groupOrder: number[] = [];
  const seenGroups = new Uint8Array(labels.count);
  for (let from = 0; from < seriesCount; from += rowsPerBlock) {
    const to = Math.min(seriesCount, from + rowsPerBlock);
    const block = child.read(from, to);
    const { f64, u8 } = context.kernel;
    const seen = isPartlySeen ? members.read(from, to).present : block.present;
    for (let i = from; i < to; i++) {
      const number = numbers[i]!;
      if (steps === 1 && seenGroups[number] === 0 && u8[seen + i - from] !== 0) {
        seenGroups[number] = 1;
        groupOrder.push(number);
      }
      const heapBase = number * steps;
      const row = block.rows / 8 + (i - from) * steps;
      const present = block.present + (i - from) * steps;
      for (let k = 0; k < steps; k++) {
        if (u8[present + k] === 0) continue;
        const bar = bars[heapBase + k]!;
        if (isBottom ? f64[row + k]! >= bar : f64[row + k]! <= bar) continue;
        if (seenGroups[number] === 0) {
          seenGroups[number] = 1;
          groupOrder.push(number);
        }
        const limit = limits[k]!;
        if (limit < 1) continue;
        let heap = heaps[heapBase + k];
        if (heap === undefined) {
          heap = new Heap(node.op !== 'bottomk');
          heaps[heapBase + k] = heap;
        }
        // For the order of a heap, a histogram is 0.
        const value = isMixed && u8[present + k] === ELEMENT.histogram ? 0 : f64[row + k]!;
        if (heap.values.length < limit) heap.push(value, i);
        else if (!isLimit && heap.beats(value)) heap.replaceRoot(value, i);
        else continue;
        if (!isLimit && heap.values.length >= limit) bars[heapBase + k] = heap.values[0]!;
      }
    }
    context.poll();
  }
  const rows = collect(child, heaps, groupOrder, isLimit);
  context.settle(heldBefore);
  return rows;
}

/** Puts what the heaps kept into rows: for one step in output order, else in order of series. */
function collect(
  child: RowSource,
  heaps: readonly (Heap | undefined)[],
  groupOrder: readonly number[],
  isLimit: boolean,
): RowSource {
  const { context, steps } = child;
  const order: number[] = [];
  const rowOf = new Map<number, number>();
  const points: { series: number; step: number; value: number }[] = [];
  for (const group of groupOrder) {
    for (let k = 0; k < steps; k++) {
      const heap = heaps[group * steps + k];
      if (heap === undefined) continue;
      const valueOfSeries = new Map(heap.series.map((series, i) => [series, heap.values[i]!]));
      const kept = isLimit ? heap.series : heap.sorted();
      for (const series of kept) {
        if (!rowOf.has(series)) {
          rowOf.set(series, order.length);
          order.push(series);
        }
        points.push({ series, step: k, value: valueOfSeries.get(series)! });
      }
    }
  }
  const block = reserveBlock(context, order.length, steps);
  const { f64, u8 } = context.kernel;
  u8.fill(0, block.present, block.present + order.length * steps);
  const all = child.mayHaveHistograms ? child.read(0, child.seriesCount) : null;
  if (all !== null) block.histograms = noHistograms(order.length * steps);
  for (const { series, step, value } of points) {
    const at = rowOf.get(series)! * steps + step;
    f64[block.rows / 8 + at] = value;
    u8[block.present + at] = ELEMENT.float;
    if (all === null || u8[all.present + series * steps + step] !== ELEMENT.histogram) continue;
    u8[block.present + at] = ELEMENT.histogram;
    block.histograms![at] = all.histograms![series * steps + step]!;
  }
  const { labels, marks } = pickLabels(child.labels, child.dropMarks, order);
  return new MaterialRows(context, labels, steps, marks, block);
}

/** Label columns of chosen series. */
export function pickLabels(
  labels: LabelColumns,
  dropMarks: Uint8Array | null,
  picks: ArrayLike<number>,
): { labels: LabelColumns; marks: Uint8Array | null } {
  const builder = new LabelBuilder(picks.length);
  const marks = dropMarks === null ? null : new Uint8Array(picks.length);
  for (let i = 0; i < picks.length; i++) {
    builder.copy(labels, picks[i]!);
    if (marks !== null) marks[i] = dropMarks![picks[i]!]!;
  }
  return { labels: builder.columns, marks };
}

/** limit_ratio: keeps series by their hash, so that ratios r and -(1 - r) complement each other. */
export function limitRatio(child: RowSource, node: AggregateNode, parameter: Float64Array): RowSource | null {
  const { context, steps, seriesCount } = child;
  const ratios = new Float64Array(steps);
  let most = -Infinity;
  let least = Infinity;
  let isZero = true;
  for (let k = 0; k < steps; k++) {
    const ratio = parameter[k]!;
    if (Number.isNaN(ratio)) throw executionError('Ratio value is NaN');
    ratios[k] = Math.max(-1, Math.min(1, ratio));
    if (ratio !== 0) isZero = false;
    if (ratio > most) most = ratio;
    if (ratio < least) least = ratio;
  }
  if (isZero) return null;
  warnRatio(context, node, most, 1);
  warnRatio(context, node, least, -1);
  // An instant result has an order: groups as first seen, in each what a heap leaves, as limitk.
  const { numbers } = groupSeries(context, child, node);
  const heaps = new Map<number, Heap>();
  const block = reserveBlock(context, seriesCount, steps);
  if (child.mayHaveHistograms) block.histograms = noHistograms(seriesCount * steps);
  const rowsPerBlock = context.blockRows(steps);
  for (let from = 0; from < seriesCount; from += rowsPerBlock) {
    const to = Math.min(seriesCount, from + rowsPerBlock);
    const read = child.read(from, to);
    const { f64, u8 } = context.kernel;
    copyHistograms(read.histograms, block.histograms, from * steps, (to - from) * steps);
    for (let i = from; i < to; i++) {
      if (steps === 1 && u8[read.present + i - from] !== 0 && !heaps.has(numbers[i]!)) {
        heaps.set(numbers[i]!, new Heap(true));
      }
      const offset = hashOf(child.labels, i, context.space) / 2 ** 64;
      for (let k = 0; k < steps; k++) {
        const source = (i - from) * steps + k;
        const target = i * steps + k;
        const ratio = ratios[k]!;
        const isIn = ratio >= 0 ? offset < ratio : offset >= 1 + ratio;
        u8[block.present + target] = isIn ? u8[read.present + source]! : 0;
        f64[block.rows / 8 + target] = f64[read.rows / 8 + source]!;
        if (steps === 1 && u8[block.present + i] !== 0) {
          // Histograms count as 0.
          const isFloat = u8[block.present + i] === ELEMENT.float;
          heaps.get(numbers[i]!)!.push(isFloat ? f64[block.rows / 8 + i]! : 0, i);
        }
      }
    }
    context.poll();
  }
  const rows = new MaterialRows(context, child.labels, steps, child.dropMarks, block);
  if (steps > 1) return rows;
  const picks = [...heaps.values()].flatMap((heap) => heap.series);
  const { labels, marks } = pickLabels(rows.labels, rows.dropMarks, picks);
  return new SelectedRows(rows, labels, marks, Uint32Array.from(picks));
}

function warnRatio(context: QueryContext, node: AggregateNode, ratio: number, cap: number): void {
  if (cap > 0 ? ratio <= cap : ratio >= cap) return;
  const text = `ratio value should be between -1 and 1, got ${formatG(ratio)}, capping to ${cap}`;
  context.annotations.warn(text, node.paramPos);
}

/** A string with its length in front: one byte, or 0xff and three bytes from 255 on. */
function prefixed(text: string): Buffer {
  const bytes = Buffer.from(text);
  const n = bytes.length;
  const prefix = n < 255 ? [n] : [255, n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff];
  return Buffer.concat([Buffer.from(prefix), bytes]);
}

/** Prometheus' hash of a label set: xxHash64 over its length-prefixed names and values; as a float. */
function hashOf(labels: LabelColumns, i: number, space: SymbolSpace): number {
  const parts: Buffer[] = [];
  for (let p = labels.offsets[i]!; p < labels.offsets[i + 1]!; p++)
    parts.push(prefixed(space.text(labels.pairs[p]!)));
  return Number(xxhash64(Buffer.concat(parts)));
}
