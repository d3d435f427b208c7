import {
  compactHistogram,
  type FloatHistogram,
  HistogramMean,
  HistogramSum,
  RESET_HINT,
} from '../../histogram/index.js';
import { goQuote } from '../parse/index.js';
import type { AggregateNode } from '../plan/index.js';
import { ELEMENT } from './element.js';
import { labelIdOf } from './label-columns.js';
import { sampleWeight } from './series-samples.js';
import { type Block, noHistograms, type RowSource } from './source.js';

/** What a cell, a group at a step, has met. */
const MET = { float: 1, histogram: 2, incompatible: 4, reset: 8, notReset: 16 } as const;

/**
 * The histograms of `sum` and `avg`: one running sum or mean per group and step. Floats of the same blocks are left to
 * the kernel; a cell that has met both has no result (spec: promql.md §8).
 */
export class HistogramCells {
  private readonly source: RowSource;
  private readonly node: AggregateNode;
  private readonly sums: (HistogramSum | HistogramMean | null)[];
  private readonly met: Uint8Array;
  private readonly ownPresent: number;
  private taken = 0;
  /** What the results weigh in samples. */
  weight = 0;

  /** @param total number of cells: groups x steps */
  constructor(source: RowSource, node: AggregateNode, total: number) {
    this.source = source;
    this.node = node;
    this.sums = new Array<HistogramSum | HistogramMean | null>(total).fill(null);
    this.met = new Uint8Array(total);
    const { context, steps } = source;
    this.ownPresent = context.kernel.reserve(context.blockRows(steps) * steps);
  }

  /**
   * Takes the histograms of the next block. Returns the address of its presence without them, valid until the next.
   * @param numbers the group of each row
   */
  take(block: Block, numbers: Uint32Array): number {
    const { source, met, ownPresent } = this;
    const { steps } = source;
    const { u8 } = source.context.kernel;
    for (let i = 0; i < numbers.length; i++) {
      for (let k = 0; k < steps; k++) {
        const at = i * steps + k;
        const cell = numbers[i]! * steps + k;
        const present = u8[block.present + at]!;
        u8[ownPresent + at] = present === ELEMENT.float ? ELEMENT.float : ELEMENT.none;
        // A cell is given up at the first incompatible histogram and sees no floats afterwards.
        if (present === ELEMENT.none || (met[cell]! & MET.incompatible) !== 0) continue;
        if (present === ELEMENT.float) met[cell]! |= MET.float;
        else this.add(cell, block.histograms![at]!, this.taken + i);
      }
    }
    this.taken += numbers.length;
    return ownPresent;
  }

  private add(cell: number, histogram: FloatHistogram, series: number): void {
    const { met, sums, node } = this;
    const before = met[cell]!;
    met[cell]! |= MET.histogram;
    if (histogram.hint === RESET_HINT.reset) met[cell]! |= MET.reset;
    if (histogram.hint === RESET_HINT.notReset) met[cell]! |= MET.notReset;
    const sum = sums[cell]!;
    if (sum === null) {
      // With a float before it there will be no result.
      if (before !== 0) return;
      sums[cell] = node.op === 'sum' ? new HistogramSum(histogram) : new HistogramMean(histogram);
    } else if (!sum.add(histogram)) {
      met[cell]! |= MET.incompatible;
      const { context, labels } = this.source;
      const id = labelIdOf(labels, series, context.space.find('__name__'));
      const name = id < 0 ? '' : context.space.text(id);
      context.annotations.warn(
        `vector contains a mix of histograms with exponential and custom buckets schemas for metric name ${goQuote(name)}`,
        node.childPos,
      );
    }
  }

  /** Adds the results to the presence of the groups and returns their histograms, null when there are none. */
  finish(present: number): (FloatHistogram | null)[] | null {
    const { source, met, sums, node } = this;
    const { annotations, kernel } = source.context;
    const { u8 } = kernel;
    let results: (FloatHistogram | null)[] | null = null;
    for (let cell = 0; cell < met.length; cell++) {
      const bits = met[cell]!;
      if ((bits & MET.histogram) === 0) continue;
      u8[present + cell] = ELEMENT.none;
      if ((bits & MET.reset) !== 0 && (bits & MET.notReset) !== 0) {
        annotations.warn('conflicting counter resets during histogram aggregation', node.childPos);
      }
      const sum = sums[cell]!;
      if (sum?.isReconciled) {
        annotations.info('mismatched custom buckets were reconciled during aggregation', node.childPos);
      }
      if ((bits & MET.float) !== 0) {
        annotations.warn('encountered a mix of histograms and floats for aggregation', node.childPos);
        continue;
      }
      if ((bits & MET.incompatible) !== 0) continue;
      results ??= noHistograms(met.length);
      const result = compactHistogram(sum!.result());
      results[cell] = result;
      this.weight += sampleWeight(result);
      u8[present + cell] = ELEMENT.histogram;
    }
    return results;
  }
}
