import { assert } from '../../assert/index.js';
import { divideHistogram, type FloatHistogram } from '../../histogram/index.js';
import { ELEMENT } from './element.js';
import { type Block, noHistograms, RowSource, reserveBlock } from './source.js';

/**
 * One source by another whose series are the same in the same order: sums of a selector by their counts. There is a
 * result where both have one; the divisor's are floats.
 */
export class QuotientRows extends RowSource {
  readonly isScratch = true;
  private readonly dividend: RowSource;
  private readonly divisor: RowSource;
  private readonly block: Block;

  constructor(dividend: RowSource, divisor: RowSource) {
    assert(dividend.seriesCount === divisor.seriesCount, 'sums and counts are of the same series');
    super(dividend.context, dividend.labels, dividend.steps, dividend.dropMarks);
    this.dividend = dividend;
    this.divisor = divisor;
    const rows = Math.min(this.context.blockRows(this.steps), this.seriesCount);
    this.block = reserveBlock(this.context, rows, this.steps);
  }

  override get mayHaveHistograms(): boolean {
    return this.dividend.mayHaveHistograms;
  }

  read(from: number, to: number): Block {
    const { block, context } = this;
    const a = this.dividend.read(from, to);
    const b = this.divisor.read(from, to);
    const elements = (to - from) * this.steps;
    const { f64, u8 } = context.kernel;
    let histograms: (FloatHistogram | null)[] | null = null;
    for (let e = 0; e < elements; e++) {
      const kind = u8[b.present + e] === ELEMENT.float ? u8[a.present + e]! : ELEMENT.none;
      u8[block.present + e] = kind;
      const divisor = f64[b.rows / 8 + e]!;
      if (kind === ELEMENT.float) f64[block.rows / 8 + e] = f64[a.rows / 8 + e]! / divisor;
      else if (kind === ELEMENT.histogram) {
        histograms ??= noHistograms(elements);
        histograms[e] = divideHistogram(a.histograms![e]!, divisor);
      }
    }
    block.histograms = histograms;
    return block;
  }
}
