import { RANGE_FUNCTION } from '../../kernel/index.js';
import type { SubqueryCallNode } from '../plan/index.js';
import type { QueryContext } from './context.js';
import { checkCode } from './loaded-set.js';
import { SampleNotes } from './sample-notes.js';
import { HISTOGRAM_RESULTS, sampleRangeRow } from './sample-range.js';
import { SampleRow } from './sample-row.js';
import { SampleWindows } from './sample-windows.js';
import {
  countWindows,
  reserveArguments,
  SCANNING,
  setWindows,
  sizeLeafWork,
  type WorkSize,
} from './selectors.js';
import { rowSamples } from './series-samples.js';
import { type Block, noHistograms, RowSource, reserveBlock } from './source.js';

/** Rows of a range function over the points of a subquery. */
export class SubqueryCallRows extends RowSource {
  readonly isScratch = true;
  private readonly node: SubqueryCallNode;
  private readonly child: RowSource;
  private readonly block: Block;
  private readonly row: SampleRow;
  private readonly args: readonly number[];
  private readonly work: WorkSize;
  /** Presence of the floats in one row of the child. */
  private floatsAddress = 0;

  constructor(
    context: QueryContext,
    node: SubqueryCallNode,
    child: RowSource,
    args: readonly Float64Array[],
    dropMarks: Uint8Array | null,
  ) {
    super(context, child.labels, node.grid.count, dropMarks);
    this.node = node;
    this.child = child;
    this.args = reserveArguments(context, args);
    context.ensureColumns(child.steps);
    const windowSamples = SCANNING.has(node.func) ? node.rangeMs / node.child.grid.stepMs : 1;
    this.work = sizeLeafWork(context, node, child.steps, windowSamples);
    this.block = reserveBlock(context, Math.min(context.blockRows(this.steps), this.seriesCount), this.steps);
    this.row = new SampleRow(context, this.block);
  }

  override get mayHaveHistograms(): boolean {
    return this.child.mayHaveHistograms && HISTOGRAM_RESULTS.has(this.node.func);
  }

  read(from: number, to: number): Block {
    const { context, child, block, steps, work } = this;
    block.histograms = this.mayHaveHistograms ? noHistograms((to - from) * steps) : null;
    const childRows = Math.min(context.blockRows(child.steps), work.rows);
    for (let i = from; i < to; i += childRows) {
      const series = Math.min(childRows, to - i);
      const source = child.read(i, i + series);
      if (source.histograms === null) this.fillRows(source.rows, source.present, series, i - from);
      else for (let n = 0; n < series; n++) this.fillMixed(source, n, i + n, i + n - from);
    }
    return block;
  }

  /** Rows of floats, by the kernel. */
  private fillRows(rows: number, present: number, series: number, blockRow: number): void {
    const { context, block, steps, work } = this;
    for (let k = 0; k < steps; k += work.steps) {
      const at = blockRow * steps + k;
      const count = Math.min(work.steps, steps - k);
      this.fill(rows, present, series, k, count, block.rows + at * 8, block.present + at);
      context.poll();
    }
  }

  /** Row n of a block with histograms: the kernel does its floats, the rest is put on top. */
  private fillMixed(source: Block, n: number, i: number, blockRow: number): void {
    const { context, node, child, row, steps } = this;
    const points = child.steps;
    if (this.floatsAddress === 0) this.floatsAddress = context.kernel.reserve(points);
    const { u8, f64 } = context.kernel;
    const present = u8.subarray(source.present + n * points, source.present + (n + 1) * points);
    const hasHistograms = present.includes(2);
    for (let k = 0; k < points; k++) u8[this.floatsAddress + k] = present[k] === 1 ? 1 : 0;
    const rows = source.rows + n * points * 8;
    const samples = hasHistograms
      ? rowSamples(
          node.child.grid,
          present,
          f64.subarray(rows / 8, rows / 8 + points),
          source.histograms!.slice(n * points, (n + 1) * points),
        )
      : null;
    this.fillRows(rows, this.floatsAddress, 1, blockRow);
    if (samples === null) return;
    const query = { ...node, steps, form: 'plain', lookbackMs: 0 } as const;
    const windows = new SampleWindows(query, samples);
    const notes = new SampleNotes(context.annotations, node.pos, context.metricName(child.labels, i));
    row.at(blockRow, steps);
    sampleRangeRow(context, query, windows, false, notes, row);
    context.countSamples(windows.histogramWeight(context.stepCounts(node.times)), node.times);
    context.hold(row.weight);
  }

  private fill(
    sourceRows: number,
    sourcePresent: number,
    series: number,
    step: number,
    count: number,
    rows: number,
    present: number,
  ): void {
    const { context, node, child } = this;
    const { functions } = context.kernel;
    // The child used the same work areas: set them again for this level.
    setWindows(context, node, this.args, step, count);
    const found = checkCode(
      functions.queryRangeOverRows(
        RANGE_FUNCTION[node.func as keyof typeof RANGE_FUNCTION],
        series,
        node.rangeMs,
        sourceRows,
        sourcePresent,
        child.steps,
        node.child.grid.startMs,
        node.child.grid.stepMs,
        rows,
        present,
      ),
    );
    countWindows(context, node, step, count);
    context.hold(found);
  }
}
