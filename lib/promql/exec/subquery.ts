import { RANGE_FUNCTION } from '../../kernel/index.js';
import type { SubqueryCallNode } from '../plan/index.js';
import type { QueryContext } from './context.js';
import { checkCode } from './loaded-set.js';
import { reserveArguments, SCANNING, setWindows, sizeWork, type WorkSize } from './selectors.js';
import { type Block, RowSource, reserveBlock } from './source.js';

/** Rows of a range function over the points of a subquery. */
export class SubqueryCallRows extends RowSource {
  readonly isScratch = true;
  private readonly node: SubqueryCallNode;
  private readonly child: RowSource;
  private readonly block: Block;
  private readonly args: readonly number[];
  private readonly work: WorkSize;

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
    this.work = sizeWork(child.steps, windowSamples, this.steps);
    this.block = reserveBlock(context, Math.min(context.blockRows(this.steps), this.seriesCount), this.steps);
  }

  read(from: number, to: number): Block {
    const { context, child, block, steps, work } = this;
    const childRows = Math.min(context.blockRows(child.steps), work.rows);
    for (let i = from; i < to; i += childRows) {
      const series = Math.min(childRows, to - i);
      const source = child.read(i, i + series);
      for (let k = 0; k < steps; k += work.steps) {
        const at = (i - from) * steps + k;
        this.fill(
          source,
          series,
          k,
          Math.min(work.steps, steps - k),
          block.rows + at * 8,
          block.present + at,
        );
        context.poll();
      }
    }
    return block;
  }

  private fill(
    source: Block,
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
        source.rows,
        source.present,
        child.steps,
        node.child.grid.startMs,
        node.child.grid.stepMs,
        rows,
        present,
      ),
    );
    context.totalSamples += functions.queryWindowSamples() * node.times.sampleWeight;
    context.hold(found);
  }
}
