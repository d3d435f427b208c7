import type { FloatHistogram } from '../../histogram/index.js';
import type { QueryContext } from './context.js';
import type { LabelColumns } from './label-columns.js';

/**
 * Rows of consecutive series in kernel memory: `rows` is the address of series x steps f64 values, row after row,
 * `present` of as many bytes (0: the step has no value, 1: a float, 2: a native histogram). Values at other steps than
 * those of floats are undefined.
 */
export interface Block {
  rows: number;
  present: number;
  /**
   * Histogram of element i x steps + k, defined only where `present` is 2; null when the block holds none at all. The
   * array belongs to the source and is valid as long as the block; histograms are values that nobody changes.
   */
  histograms: (FloatHistogram | null)[] | null;
}

/**
 * An instant vector over all steps: label sets known at once, rows computed when they are read, block by block. So a
 * chain of operators holds one block at a time, however many series pass through it.
 */
export abstract class RowSource {
  readonly context: QueryContext;
  readonly labels: LabelColumns;
  readonly steps: number;
  /** Series whose name is still to be dropped (delayed name removal), or null for none. */
  readonly dropMarks: Uint8Array | null;
  /** Whether a reader may overwrite the blocks it reads. */
  abstract readonly isScratch: boolean;

  constructor(context: QueryContext, labels: LabelColumns, steps: number, dropMarks: Uint8Array | null) {
    this.context = context;
    this.labels = labels;
    this.steps = steps;
    this.dropMarks = dropMarks;
  }

  get seriesCount(): number {
    return this.labels.count;
  }

  /** False when no block can hold a histogram, so that readers may treat `present` as a flag and use the kernel. */
  get mayHaveHistograms(): boolean {
    return false;
  }

  /** Rows [from, to), at most `context.blockRows(steps)` of them; valid until the next read of this source. */
  abstract read(from: number, to: number): Block;
}

/** Reserves a block for `rows` rows. */
export function reserveBlock(context: QueryContext, rows: number, steps: number): Block {
  const elements = Math.max(1, rows) * steps;
  return {
    rows: context.kernel.reserve(elements * 8),
    present: context.kernel.reserve(elements),
    histograms: null,
  };
}

/** An array for the histograms of a block, without any. */
export function noHistograms(elements: number): (FloatHistogram | null)[] {
  return new Array<FloatHistogram | null>(elements).fill(null);
}

/** Copies the first `count` histograms of a block that was read to their places in an array that had none. */
export function copyHistograms(
  read: readonly (FloatHistogram | null)[] | null,
  target: (FloatHistogram | null)[] | null,
  at: number,
  count: number,
): void {
  if (read === null || target === null) return;
  for (let k = 0; k < count; k++) target[at + k] = read[k]!;
}

/** Rows that are all in memory. */
export class MaterialRows extends RowSource {
  readonly isScratch = false;
  private readonly block: Block;
  private readonly view: Block = { rows: 0, present: 0, histograms: null };

  override get mayHaveHistograms(): boolean {
    return this.block.histograms !== null;
  }

  constructor(
    context: QueryContext,
    labels: LabelColumns,
    steps: number,
    dropMarks: Uint8Array | null,
    block: Block,
  ) {
    super(context, labels, steps, dropMarks);
    this.block = block;
  }

  read(from: number, to: number): Block {
    const { block, view, steps } = this;
    view.rows = block.rows + from * steps * 8;
    view.present = block.present + from * steps;
    // The whole is mostly read at once; only then is the array the view itself.
    const isWhole = from === 0 && to === this.seriesCount;
    view.histograms = isWhole
      ? block.histograms
      : (block.histograms?.slice(from * steps, to * steps) ?? null);
    return view;
  }
}

/** Reads all rows of a source into memory; sources that are there already are returned as they are. */
export function materialise(source: RowSource): MaterialRows {
  if (source instanceof MaterialRows) return source;
  const { context, steps, seriesCount } = source;
  const block = reserveBlock(context, seriesCount, steps);
  if (source.mayHaveHistograms) block.histograms = noHistograms(seriesCount * steps);
  const rowsPerBlock = context.blockRows(steps);
  for (let from = 0; from < seriesCount; from += rowsPerBlock) {
    const to = Math.min(seriesCount, from + rowsPerBlock);
    const read = source.read(from, to);
    const { u8 } = context.kernel;
    copyHistograms(read.histograms, block.histograms, from * steps, (to - from) * steps);
    u8.copyWithin(block.rows + from * steps * 8, read.rows, read.rows + (to - from) * steps * 8);
    u8.copyWithin(block.present + from * steps, read.present, read.present + (to - from) * steps);
    context.poll();
  }
  return new MaterialRows(context, source.labels, steps, source.dropMarks, block);
}

/** Rows of another source under other labels. */
export class RelabelledRows extends RowSource {
  readonly isScratch: boolean;
  private readonly child: RowSource;

  constructor(child: RowSource, labels: LabelColumns, dropMarks: Uint8Array | null) {
    super(child.context, labels, child.steps, dropMarks);
    this.child = child;
    this.isScratch = child.isScratch;
  }

  override get mayHaveHistograms(): boolean {
    return this.child.mayHaveHistograms;
  }

  read(from: number, to: number): Block {
    return this.child.read(from, to);
  }
}

/** A choice of another source's series, in a given order. */
export class SelectedRows extends RowSource {
  readonly isScratch = true;
  private readonly child: RowSource;
  private readonly picks: Uint32Array;
  private readonly block: Block;

  constructor(child: RowSource, labels: LabelColumns, dropMarks: Uint8Array | null, picks: Uint32Array) {
    super(child.context, labels, child.steps, dropMarks);
    this.child = child;
    this.picks = picks;
    this.block = reserveBlock(child.context, child.context.blockRows(child.steps), child.steps);
  }

  override get mayHaveHistograms(): boolean {
    return this.child.mayHaveHistograms;
  }

  read(from: number, to: number): Block {
    const { block, steps, picks, context } = this;
    block.histograms = this.mayHaveHistograms ? noHistograms((to - from) * steps) : null;
    let i = from;
    while (i < to) {
      let run = 1;
      while (i + run < to && picks[i + run] === picks[i]! + run) run++;
      const read = this.child.read(picks[i]!, picks[i]! + run);
      const { u8 } = context.kernel;
      copyHistograms(read.histograms, block.histograms, (i - from) * steps, run * steps);
      u8.copyWithin(block.rows + (i - from) * steps * 8, read.rows, read.rows + run * steps * 8);
      u8.copyWithin(block.present + (i - from) * steps, read.present, read.present + run * steps);
      i += run;
    }
    return block;
  }
}

/** No series at all. */
export class EmptyRows extends RowSource {
  readonly isScratch = false;

  read(): Block {
    return { rows: 0, present: 0, histograms: null };
  }
}
