import { INSTANT_MODE, RANGE_FUNCTION, WINDOW_FORM } from '../../kernel/index.js';
import type { InstantSelectorNode, RangeCallNode, SubqueryCallNode } from '../plan/index.js';
import type { QueryContext } from './context.js';
import { instantSampleRow } from './instant-samples.js';
import { BESIDE_FLOATS, checkCode, type LoadedSet, sizeColumns, splitSeries, useSet } from './loaded-set.js';
import type { ParallelLeaf } from './parallel-leaf.js';
import { shareInstantSelector, shareRangeCall } from './parallel-open.js';
import { SampleNotes } from './sample-notes.js';
import { HISTOGRAM_RESULTS, START_TIME_FUNCTIONS, sampleRangeRow } from './sample-range.js';
import { SampleRow } from './sample-row.js';
import { SampleWindows } from './sample-windows.js';
import { SampleReader } from './series-samples.js';
import { type Block, noHistograms, RowSource, reserveBlock } from './source.js';

/** The leaves: rows made from encoded chunks. */

/** Samples decoded or visited per kernel call: a few milliseconds of work between two looks at the clock. */
const CALL_SAMPLES = 500_000;

/** Functions that visit every sample of every window; the others share work between windows. */
export const SCANNING = new Set([
  'sum_over_time',
  'avg_over_time',
  'stddev_over_time',
  'stdvar_over_time',
  'quantile_over_time',
  'mad_over_time',
  'deriv',
  'predict_linear',
  'double_exponential_smoothing',
]);

/** How much of a block one kernel call does. */
export interface WorkSize {
  /** Rows per call; 1 when steps are split. */
  readonly rows: number;
  /** Steps per call. */
  readonly steps: number;
}

/** @param windowSamples samples one window visits, at most */
export function sizeWork(samples: number, windowSamples: number, steps: number): WorkSize {
  const perRow = samples + steps * windowSamples;
  if (perRow <= CALL_SAMPLES) return { rows: Math.max(1, Math.floor(CALL_SAMPLES / (perRow + 1))), steps };
  // Each part decodes the row again, so it should at least do as much work as that.
  const stepsPerCall = Math.ceil(Math.max(CALL_SAMPLES, samples) / Math.max(1, windowSamples));
  return { rows: 1, steps: Math.max(1, Math.min(steps, stepsPerCall)) };
}

/** The work of a range function. Windows are told apart by step only when each call has the windows of one row. */
export function sizeLeafWork(
  context: QueryContext,
  node: RangeCallNode | SubqueryCallNode,
  samples: number,
  windowSamples: number,
): WorkSize {
  const work = sizeWork(samples, windowSamples, node.grid.count);
  return context.stepCounts(node.times) === null ? work : { ...work, rows: 1 };
}

/** Adds the rows of a block that have a value to the counts of their steps. */
function countPresent(context: QueryContext, present: number, rows: number, stepCounts: Float64Array): void {
  const { u8 } = context.kernel;
  const steps = stepCounts.length;
  for (let i = 0; i < rows; i++) {
    const at = present + i * steps;
    for (let k = 0; k < steps; k++) if (u8[at + k] !== 0) stepCounts[k]!++;
  }
}

/** Counts the samples in the windows of the last kernel call, which did `count` steps from `step` on. */
export function countWindows(
  context: QueryContext,
  { times }: RangeCallNode | SubqueryCallNode,
  step: number,
  count: number,
): void {
  const { functions, u32 } = context.kernel;
  context.countSamples(functions.queryWindowSamples(), times);
  const stepCounts = context.stepCounts(times);
  if (stepCounts === null) return;
  // The begins of all windows, then their ends.
  const from = context.windowsFor(count) / 4;
  for (let k = 0; k < count; k++) stepCounts[step + k]! += u32[from + count + k]! - u32[from + k]!;
}

const ANY_BESIDE = BESIDE_FLOATS.histograms | BESIDE_FLOATS.startTimes;

/** Rows of an instant selector. */
export class InstantSelectorRows extends RowSource {
  readonly isScratch = true;
  private readonly node: InstantSelectorNode;
  private readonly loaded: LoadedSet;
  private readonly block: Block;
  private readonly row: SampleRow;
  private readonly reader: SampleReader;
  private readonly rowsPerCall: number;
  private readonly shared: ParallelLeaf | null;

  constructor(context: QueryContext, node: InstantSelectorNode) {
    const loaded = context.sets[node.select.index]!;
    super(context, loaded.labels, node.grid.count, null);
    this.node = node;
    this.loaded = loaded;
    this.reader = new SampleReader(context, loaded, node.isStatistics);
    const samples = sizeColumns(context, loaded);
    this.rowsPerCall = sizeWork(samples, 0, this.steps).rows;
    this.shared = shareInstantSelector(context, node, loaded, samples, this.rowsPerCall);
    this.block = reserveBlock(context, Math.min(context.blockRows(this.steps), this.seriesCount), this.steps);
    this.row = new SampleRow(context, this.block);
  }

  override get mayHaveHistograms(): boolean {
    const { mode } = this.node;
    return this.loaded.hasHistograms && (mode === 'values' || mode === 'smoothed');
  }

  read(from: number, to: number): Block {
    const { context, node, loaded, block, steps, rowsPerCall } = this;
    const shared = this.shared?.read(from, to) ?? null;
    if (shared !== null) return shared;
    const { referenceMs, referenceStepMs } = node.times;
    context.setSteps(referenceMs, referenceStepMs, steps);
    useSet(context, loaded);
    block.histograms = this.mayHaveHistograms ? noHistograms((to - from) * steps) : null;
    splitSeries(
      loaded,
      node.mode === 'starts' ? ANY_BESIDE : BESIDE_FLOATS.histograms,
      from,
      to,
      (begin, end) => {
        for (let i = begin; i < end; i += rowsPerCall) {
          const at = (i - from) * steps;
          this.fill(i, Math.min(end, i + rowsPerCall), block.rows + at * 8, block.present + at);
          context.poll();
        }
      },
      (i) => {
        this.fillSamples(i, i - from);
        context.poll();
      },
    );
    return block;
  }

  private fillSamples(i: number, blockRow: number): void {
    const { context, node, loaded, row } = this;
    row.begin(blockRow, this.steps);
    const samples = this.reader.read(i);
    const notes = new SampleNotes(context.annotations, node.pos, context.metricName(loaded.labels, i));
    const weight = instantSampleRow(node, samples, notes, row, context.stepCounts(node.times));
    context.countSamples(weight, node.times);
    context.hold(weight);
  }

  private fill(from: number, to: number, rows: number, present: number): void {
    const { context, node, loaded } = this;
    const found = checkCode(
      context.kernel.functions.queryInstantBlock(
        loaded.chunkOffsets,
        from,
        to,
        loaded.spec.hints.minTimeMs,
        loaded.spec.hints.maxTimeMs,
        node.lookbackMs,
        INSTANT_MODE[node.mode === 'starts' ? 'times' : node.mode],
        rows,
        present,
      ),
    );
    context.countSamples(found, node.times);
    const stepCounts = context.stepCounts(node.times);
    if (stepCounts !== null) countPresent(context, present, to - from, stepCounts);
    context.hold(found);
    // Chunks of plain floats know no start times.
    if (node.mode === 'starts') context.kernel.f64.fill(0, rows / 8, rows / 8 + (to - from) * this.steps);
  }
}

/** Scalar arguments of a range function, copied to kernel memory once. */
export function reserveArguments(context: QueryContext, args: readonly Float64Array[]): number[] {
  return args.map((values) => {
    const address = context.kernel.reserve(values.length * 8);
    context.kernel.f64.set(values, address / 8);
    return address;
  });
}

/** Rows of a range function over a selector. */
export class RangeCallRows extends RowSource {
  readonly isScratch = true;
  private readonly node: RangeCallNode;
  private readonly loaded: LoadedSet;
  private readonly block: Block;
  private readonly row: SampleRow;
  private readonly reader: SampleReader;
  /** BESIDE_FLOATS that this function must see. */
  private readonly besideMask: number;
  private readonly args: readonly number[];
  private readonly work: WorkSize;
  private readonly shared: ParallelLeaf | null;

  constructor(context: QueryContext, node: RangeCallNode, args: readonly Float64Array[]) {
    const loaded = context.sets[node.select.index]!;
    super(context, loaded.labels, node.grid.count, null);
    this.node = node;
    this.loaded = loaded;
    this.reader = new SampleReader(context, loaded, node.isStatistics);
    // Windows tell of mixed kinds and of resets.
    context.readsAllRows ||= loaded.hasHistograms;
    this.besideMask = START_TIME_FUNCTIONS.has(node.func) ? ANY_BESIDE : BESIDE_FLOATS.histograms;
    this.args = reserveArguments(context, args);
    const samples = sizeColumns(context, loaded);
    const { minTimeMs, maxTimeMs } = loaded.spec.hints;
    const share = Math.min(1, node.rangeMs / (maxTimeMs - minTimeMs + 1));
    const isScanning = SCANNING.has(node.func) || node.form !== 'plain';
    this.work = sizeLeafWork(context, node, samples, isScanning ? samples * share : 1);
    this.shared = shareRangeCall(context, node, loaded, samples, this.args, this.work);
    this.block = reserveBlock(context, Math.min(context.blockRows(this.steps), this.seriesCount), this.steps);
    this.row = new SampleRow(context, this.block);
  }

  override get mayHaveHistograms(): boolean {
    return this.loaded.hasHistograms && HISTOGRAM_RESULTS.has(this.node.func);
  }

  read(from: number, to: number): Block {
    const { context, block, steps, loaded } = this;
    const shared = this.shared?.read(from, to) ?? null;
    if (shared !== null) return shared;
    useSet(context, loaded);
    block.histograms = this.mayHaveHistograms ? noHistograms((to - from) * steps) : null;
    splitSeries(
      loaded,
      this.besideMask,
      from,
      to,
      (begin, end) => this.fillFloats(begin, end, begin - from),
      (i) => {
        this.fillFloats(i, i + 1, i - from);
        this.fillSamples(i, i - from);
        context.poll();
      },
    );
    return block;
  }

  /** Rows [from, to) out of their plain floats. */
  private fillFloats(from: number, to: number, blockRow: number): void {
    const { context, block, steps, work } = this;
    for (let i = from; i < to; i += work.rows) {
      for (let k = 0; k < steps; k += work.steps) {
        const at = (blockRow + i - from) * steps + k;
        const count = Math.min(work.steps, steps - k);
        this.fill(i, Math.min(to, i + work.rows), k, count, block.rows + at * 8, block.present + at);
        context.poll();
      }
    }
  }

  /** Puts what a series holds beside plain floats on top of the row that those gave. */
  private fillSamples(i: number, blockRow: number): void {
    const { context, node, loaded, row, steps } = this;
    const query = { ...node, steps };
    const windows = new SampleWindows(query, this.reader.readLive(i));
    const notes = new SampleNotes(context.annotations, node.pos, context.metricName(loaded.labels, i));
    row.at(blockRow, steps);
    sampleRangeRow(context, query, windows, context.features.startTimestamps, notes, row);
    context.countSamples(windows.histogramWeight(context.stepCounts(node.times)), node.times);
    context.hold(row.weight);
  }

  /** Rows [from, to) for `count` steps from `step` on. */
  private fill(from: number, to: number, step: number, count: number, rows: number, present: number): void {
    const { context, node, loaded } = this;
    const { functions } = context.kernel;
    setWindows(context, node, this.args, step, count);
    const found = checkCode(
      functions.queryRangeBlock(
        RANGE_FUNCTION[node.func as keyof typeof RANGE_FUNCTION],
        WINDOW_FORM[node.form],
        loaded.chunkOffsets,
        from,
        to,
        loaded.spec.hints.minTimeMs,
        loaded.spec.hints.maxTimeMs,
        node.rangeMs,
        rows,
        present,
      ),
    );
    countWindows(context, node, step, count);
    context.hold(found);
  }
}

/** Tells the kernel about `count` steps from `step` on, and the arguments there. */
export function setWindows(
  context: QueryContext,
  node: RangeCallNode | SubqueryCallNode,
  args: readonly number[],
  step: number,
  count: number,
): void {
  const { referenceMs, referenceStepMs } = node.times;
  const { startMs, stepMs } = node.grid;
  context.setSteps(referenceMs + step * referenceStepMs, referenceStepMs, count);
  context.kernel.functions.queryArguments(
    (args[0] ?? 0) + step * 8,
    (args[1] ?? 0) + step * 8,
    context.workAddress,
    startMs + step * stepMs,
    stepMs,
    node.kind === 'rangeCall' ? node.lookbackMs : 0,
  );
}
