import { assert } from '../../assert/index.js';
import { CorruptionError } from '../../errors/index.js';
import { INSTANT_MODE, QUERY_CODE, RANGE_FUNCTION, WINDOW_FORM } from '../../kernel/index.js';
import { CHUNK_ENCODING, type SeriesSet } from '../../storage/index.js';
import type { InstantSelectorNode, RangeCallNode, SelectSpec, SubqueryCallNode } from '../plan/index.js';
import { type LoadedSet, nativeHistogramError, type QueryContext } from './context.js';
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

/** Makes room in the columns for the longest series of a set. */
export function sizeColumns(context: QueryContext, loaded: LoadedSet): void {
  useSet(context, loaded);
  const { minTimeMs, maxTimeMs } = loaded.spec.hints;
  const { functions } = context.kernel;
  context.ensureColumns(
    functions.querySamplesMax(loaded.chunkOffsets, loaded.set.seriesCount, minTimeMs, maxTimeMs),
  );
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

  constructor(context: QueryContext, node: InstantSelectorNode) {
    const loaded = context.sets[node.select.index]!;
    super(context, loaded.labels, node.grid.count, null);
    this.node = node;
    this.loaded = loaded;
    sizeColumns(context, loaded);
    this.block = reserveBlock(context, Math.min(context.blockRows(this.steps), this.seriesCount), this.steps);
  }

  read(from: number, to: number): Block {
    const { context, node, loaded, block } = this;
    const { referenceMs, referenceStepMs, sampleWeight } = node.times;
    context.setSteps(referenceMs, referenceStepMs, this.steps);
    useSet(context, loaded);
    const found = checkCode(
      context.kernel.functions.queryInstantBlock(
        loaded.chunkOffsets,
        from,
        to,
        loaded.spec.hints.minTimeMs,
        loaded.spec.hints.maxTimeMs,
        node.lookbackMs,
        INSTANT_MODE[node.mode],
        block.rows,
        block.present,
      ),
    );
    context.totalSamples += found * sampleWeight;
    context.hold(found);
    return block;
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

  constructor(context: QueryContext, node: RangeCallNode, args: readonly Float64Array[]) {
    const loaded = context.sets[node.select.index]!;
    super(context, loaded.labels, node.grid.count, null);
    this.node = node;
    this.loaded = loaded;
    this.args = reserveArguments(context, args);
    sizeColumns(context, loaded);
    this.block = reserveBlock(context, Math.min(context.blockRows(this.steps), this.seriesCount), this.steps);
  }

  read(from: number, to: number): Block {
    const { context, node, loaded, block, args } = this;
    const { functions } = context.kernel;
    const { referenceMs, referenceStepMs, sampleWeight } = node.times;
    context.setSteps(referenceMs, referenceStepMs, this.steps);
    useSet(context, loaded);
    functions.queryArguments(
      args[0] ?? 0,
      args[1] ?? 0,
      context.workAddress,
      node.grid.startMs,
      node.grid.stepMs,
      node.lookbackMs,
    );
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
        block.rows,
        block.present,
      ),
    );
    context.totalSamples += functions.queryWindowSamples() * sampleWeight;
    context.hold(found);
    return block;
  }
}

/** Rows of a range function over the points of a subquery. */
export class SubqueryCallRows extends RowSource {
  readonly isScratch = true;
  private readonly node: SubqueryCallNode;
  private readonly child: RowSource;
  private readonly block: Block;
  private readonly args: readonly number[];

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
    this.block = reserveBlock(context, Math.min(context.blockRows(this.steps), this.seriesCount), this.steps);
  }

  read(from: number, to: number): Block {
    const { context, node, child, block, args } = this;
    const { functions } = context.kernel;
    const childRows = context.blockRows(child.steps);
    const { referenceMs, referenceStepMs, sampleWeight } = node.times;
    for (let i = from; i < to; i += childRows) {
      const series = Math.min(childRows, to - i);
      const source = child.read(i, i + series);
      // The child used the same work areas: set them again for this level.
      context.setSteps(referenceMs, referenceStepMs, this.steps);
      functions.queryArguments(
        args[0] ?? 0,
        args[1] ?? 0,
        context.workAddress,
        node.grid.startMs,
        node.grid.stepMs,
        0,
      );
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
          block.rows + (i - from) * this.steps * 8,
          block.present + (i - from) * this.steps,
        ),
      );
      context.totalSamples += functions.queryWindowSamples() * sampleWeight;
      context.hold(found);
      context.poll();
    }
    return block;
  }
}
