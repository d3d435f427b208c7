import { ELEMENT } from './element.js';
import { type Block, RowSource } from './source.js';

/** Sources seen without their histograms, for operators that know floats only. */

/** A source whose histograms are left out. `onIgnored` is told of each block that had some. */
export function floatsOnly(child: RowSource, onIgnored: (() => void) | null = null): RowSource {
  return child.mayHaveHistograms ? new FloatView(child, ELEMENT.none, onIgnored) : child;
}

/** A source whose histograms stand as floats of any value, for operators that ask for presence only. */
export function presenceOnly(child: RowSource): RowSource {
  return child.mayHaveHistograms ? new FloatView(child, ELEMENT.float, null) : child;
}

class FloatView extends RowSource {
  readonly isScratch: boolean;
  private readonly child: RowSource;
  private readonly replacement: number;
  private readonly onIgnored: (() => void) | null;
  private readonly ownPresent: number;
  private readonly view: Block = { rows: 0, present: 0, histograms: null };

  constructor(child: RowSource, replacement: number, onIgnored: (() => void) | null) {
    super(child.context, child.labels, child.steps, child.dropMarks);
    this.child = child;
    this.isScratch = child.isScratch;
    this.replacement = replacement;
    this.onIgnored = onIgnored;
    const rows = Math.min(child.context.blockRows(child.steps), child.seriesCount);
    this.ownPresent = child.context.kernel.reserve(rows * child.steps);
  }

  read(from: number, to: number): Block {
    const block = this.child.read(from, to);
    if (block.histograms === null) return block;
    const { view, ownPresent, replacement } = this;
    const { u8 } = this.context.kernel;
    const elements = (to - from) * this.steps;
    let isSeen = false;
    for (let e = 0; e < elements; e++) {
      const present = u8[block.present + e]!;
      const isHistogram = present === ELEMENT.histogram;
      if (isHistogram) isSeen = true;
      u8[ownPresent + e] = isHistogram ? replacement : present;
    }
    if (isSeen) this.onIgnored?.();
    view.rows = block.rows;
    view.present = ownPresent;
    return view;
  }
}
