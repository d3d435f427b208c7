import { type FloatHistogram, histogramMean, histogramVariance } from '../../histogram/index.js';
import { ELEMENT } from './element.js';
import { NO_LABELS } from './label-columns.js';
import { dropNames } from './names.js';
import { type Block, EmptyRows, materialise, RowSource, reserveBlock } from './source.js';

/** histogram_count, _sum, _avg, _stddev and _stdvar: a number of each histogram. Floats are left out. */

const NUMBERS: Readonly<Record<string, (histogram: FloatHistogram) => number>> = {
  histogram_avg: histogramMean,
  histogram_count: (histogram) => histogram.count,
  histogram_stddev: (histogram) => Math.sqrt(histogramVariance(histogram)),
  histogram_stdvar: histogramVariance,
  histogram_sum: (histogram) => histogram.sum,
};

/** Whether a function makes a number of each histogram. */
export function isHistogramNumber(func: string): boolean {
  return Object.hasOwn(NUMBERS, func);
}

export function histogramNumberRows(func: string, child: RowSource): RowSource {
  const { context, steps } = child;
  if (!child.mayHaveHistograms) {
    if (context.readsAllRows) materialise(child);
    return new EmptyRows(context, NO_LABELS, steps, null);
  }
  // Type and unit stay: they belong to the number as well.
  const nameId = context.space.find('__name__');
  return dropNames(new HistogramNumberRows(child, NUMBERS[func]!), false, nameId < 0 ? [] : [nameId]);
}

class HistogramNumberRows extends RowSource {
  readonly isScratch = true;
  private readonly child: RowSource;
  private readonly numberOf: (histogram: FloatHistogram) => number;
  private readonly block: Block;

  constructor(child: RowSource, numberOf: (histogram: FloatHistogram) => number) {
    super(child.context, child.labels, child.steps, child.dropMarks);
    this.child = child;
    this.numberOf = numberOf;
    const rows = Math.min(child.context.blockRows(child.steps), child.seriesCount);
    this.block = reserveBlock(child.context, rows, child.steps);
  }

  read(from: number, to: number): Block {
    const { block, numberOf, steps } = this;
    const read = this.child.read(from, to);
    const { f64, u8 } = this.context.kernel;
    for (let e = 0; e < (to - from) * steps; e++) {
      const isHistogram = u8[read.present + e] === ELEMENT.histogram;
      u8[block.present + e] = isHistogram ? ELEMENT.float : ELEMENT.none;
      if (isHistogram) f64[block.rows / 8 + e] = numberOf(read.histograms![e]!);
    }
    return block;
  }
}
