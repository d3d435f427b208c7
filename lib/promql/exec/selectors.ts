import { assert } from '../../assert/index.js';
import { CorruptionError } from '../../errors/index.js';
import { INSTANT_MODE, QUERY_CODE, RANGE_FUNCTION, WINDOW_FORM } from '../../kernel/index.js';
import { CHUNK_ENCODING, type SeriesSet } from '../../storage/index.js';
import type { InstantSelectorNode, RangeCallNode, SelectSpec, SubqueryCallNode } from '../plan/index.js';
import { type LoadedSet, nativeHistogramError, type QueryContext } from './context.js';
import { ParallelLeaf } from './parallel-leaf.js';
import { type Block, RowSource, reserveBlock } from './source.js';

/** The leaves: rows made from encoded chunks, or, for subqueries, from rows of another grid. */

/** Takes a select's answer into the query: chunk table to kernel memory, labels to the symbol space. */
export function loadSet(context: QueryContext, spec: SelectSpec, set: SeriesSet): LoadedSet {
  const { kernel } = context;
  const chunkCount = set.chunkAddresses.length;
  const { minTimeMs, maxTimeMs } = spec.hints;
  for (let c = 0; c < chunkCount; c++) {
    if (set.chunkEncodings[c] === CHUNK_ENCODING.xor) continue;
    if (set.chunkMaxTimes[c]! < minTimeMs || set.chunkMinTimes[c]! > maxTimeMs) continue;
    throw nativeHistogramError();
  }
  const loaded = {
    spec,
    set,
    labels: { count: set.seriesCount, offsets: set.labelOffsets, pairs: context.space.adopt(set) },
    chunkOffsets: kernel.reserve((set.seriesCount + 1) * 4),
    chunkAddresses: kernel.reserve(chunkCount * 4),
    chunkLengths: kernel.reserve(chunkCount * 4),
    chunkMinTimes: kernel.reserve(chunkCount * 8),
    chunkMaxTimes: kernel.reserve(chunkCount * 8),
  };
  const { u32, f64 } = kernel;
  u32.set(set.chunkOffsets.subarray(0, set.seriesCount + 1), loaded.chunkOffsets / 4);
  u32.set(set.chunkAddresses, loaded.chunkAddresses / 4);
  u32.set(set.chunkByteLengths, loaded.chunkLengths / 4);
  f64.set(set.chunkMinTimes, loaded.chunkMinTimes / 8);
  f64.set(set.chunkMaxTimes, loaded.chunkMaxTimes / 8);
  for (const warning of set.warnings) context.annotations.note(warning);
  return loaded;
}

/** Points the kernel at a set's chunks and makes room for its longest series. */
export function useSet(context: QueryContext, loaded: LoadedSet): void {
  context.kernel.functions.queryChunkTable(
    loaded.chunkAddresses,
    loaded.chunkLengths,
    loaded.chunkMinTimes,
    loaded.chunkMaxTimes,
  );
}

/** Makes room in the columns for the longest series of a set; returns its number of samples. */
export function sizeColumns(context: QueryContext, loaded: LoadedSet): number {
  useSet(context, loaded);
  const { minTimeMs, maxTimeMs } = loaded.spec.hints;
  const { functions } = context.kernel;
  const samples = functions.querySamplesMax(
    loaded.chunkOffsets,
    loaded.set.seriesCount,
    minTimeMs,
    maxTimeMs,
  );
  context.ensureColumns(samples);
  return samples;
}

/** Samples decoded or visited per kernel call: a few milliseconds of work between two looks at the clock. */
const CALL_SAMPLES = 500_000;

/** Functions that visit every sample of every window; the others share work between windows. */
const SCANNING = new Set([
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
interface WorkSize {
  /** Rows per call; 1 when steps are split. */
  readonly rows: number;
  /** Steps per call. */
  readonly steps: number;
}

/** @param windowSamples samples one window visits, at most */
function sizeWork(samples: number, windowSamples: number, steps: number): WorkSize {
  const perRow = samples + steps * windowSamples;
  if (perRow <= CALL_SAMPLES) return { rows: Math.max(1, Math.floor(CALL_SAMPLES / (perRow + 1))), steps };
  // Each part decodes the row again, so it should at least do as much work as that.
  const stepsPerCall = Math.ceil(Math.max(CALL_SAMPLES, samples) / Math.max(1, windowSamples));
  return { rows: 1, steps: Math.max(1, Math.min(steps, stepsPerCall)) };
}

/** Turns a result code of a decoding kernel function into an error. */
export function checkCode(code: number): number {
  if (code >= 0) return code;
  assert(code !== QUERY_CODE.columnsTooSmall, 'columns were sized for the longest series');
  throw new CorruptionError(
    'chunk-corrupt',
    'cannot decode a float chunk: its bits end before its samples do',
  );
}

/** Rows of an instant selector. */
export class InstantSelectorRows extends RowSource {
  readonly isScratch = true;
  private readonly node: InstantSelectorNode;
  private readonly loaded: LoadedSet;
  private readonly block: Block;
  private readonly rowsPerCall: number;
  private readonly shared: ParallelLeaf | null;

  constructor(context: QueryContext, node: InstantSelectorNode) {
    const loaded = context.sets[node.select.index]!;
    super(context, loaded.labels, node.grid.count, null);
    this.node = node;
    this.loaded = loaded;
    const samples = sizeColumns(context, loaded);
    this.rowsPerCall = sizeWork(samples, 0, this.steps).rows;
    this.block = reserveBlock(context, Math.min(context.blockRows(this.steps), this.seriesCount), this.steps);
    const work = {
      ...{ isRange: false, fn: INSTANT_MODE[node.mode], form: 0, range: 0, lookback: node.lookbackMs },
      ...{ reference: node.times.referenceMs, referenceStep: node.times.referenceStepMs },
      ...{ start: 0, step: 0, args: [], steps: this.steps, samples },
      ...{ callRows: this.rowsPerCall, callSteps: this.steps },
    };
    this.shared = ParallelLeaf.open(context, loaded, work, (code, found) => {
      checkCode(code);
      this.count(found);
    });
  }

  read(from: number, to: number): Block {
    const { context, node, block, steps, rowsPerCall } = this;
    const shared = this.shared?.read(from, to) ?? null;
    if (shared !== null) return shared;
    const { referenceMs, referenceStepMs } = node.times;
    context.setSteps(referenceMs, referenceStepMs, steps);
    useSet(context, this.loaded);
    for (let i = from; i < to; i += rowsPerCall) {
      const at = (i - from) * steps;
      this.fill(i, Math.min(to, i + rowsPerCall), block.rows + at * 8, block.present + at);
      context.poll();
    }
    return block;
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
        INSTANT_MODE[node.mode],
        rows,
        present,
      ),
    );
    this.count(found);
  }

  private count(found: number): void {
    this.context.totalSamples += found * this.node.times.sampleWeight;
    this.context.hold(found);
  }
}

/** Scalar arguments of a range function, copied to kernel memory once. */
function reserveArguments(context: QueryContext, args: readonly Float64Array[]): number[] {
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
  private readonly args: readonly number[];
  private readonly work: WorkSize;
  private readonly shared: ParallelLeaf | null;

  constructor(context: QueryContext, node: RangeCallNode, args: readonly Float64Array[]) {
    const loaded = context.sets[node.select.index]!;
    super(context, loaded.labels, node.grid.count, null);
    this.node = node;
    this.loaded = loaded;
    this.args = reserveArguments(context, args);
    const samples = sizeColumns(context, loaded);
    const { minTimeMs, maxTimeMs } = loaded.spec.hints;
    const share = Math.min(1, node.rangeMs / (maxTimeMs - minTimeMs + 1));
    const isScanning = SCANNING.has(node.func) || node.form !== 'plain';
    this.work = sizeWork(samples, isScanning ? samples * share : 1, this.steps);
    this.block = reserveBlock(context, Math.min(context.blockRows(this.steps), this.seriesCount), this.steps);
    const leafWork = {
      ...{ isRange: true, fn: this.functionNumber, form: WINDOW_FORM[node.form], range: node.rangeMs },
      ...{ lookback: node.lookbackMs, start: node.grid.startMs, step: node.grid.stepMs },
      ...{ reference: node.times.referenceMs, referenceStep: node.times.referenceStepMs },
      ...{ args: this.args, steps: this.steps, samples },
      ...{ callRows: this.work.rows, callSteps: this.work.steps },
    };
    this.shared = ParallelLeaf.open(context, loaded, leafWork, (code, found, visited) => {
      checkCode(code);
      this.count(found, visited);
    });
  }

  private get functionNumber(): number {
    return RANGE_FUNCTION[this.node.func as keyof typeof RANGE_FUNCTION];
  }

  read(from: number, to: number): Block {
    const { context, block, steps, work } = this;
    const shared = this.shared?.read(from, to) ?? null;
    if (shared !== null) return shared;
    useSet(context, this.loaded);
    for (let i = from; i < to; i += work.rows) {
      for (let k = 0; k < steps; k += work.steps) {
        const at = (i - from) * steps + k;
        this.fill(
          i,
          Math.min(to, i + work.rows),
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

  /** Rows [from, to) for `count` steps from `step` on. */
  private fill(from: number, to: number, step: number, count: number, rows: number, present: number): void {
    const { context, node, loaded } = this;
    const { functions } = context.kernel;
    setWindows(context, node, this.args, step, count);
    const found = checkCode(
      functions.queryRangeBlock(
        this.functionNumber,
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
    this.count(found, functions.queryWindowSamples());
  }

  private count(found: number, visited: number): void {
    this.context.totalSamples += visited * this.node.times.sampleWeight;
    this.context.hold(found);
  }
}

/** Tells the kernel about `count` steps from `step` on, and the arguments there. */
function setWindows(
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
