import { assertNever } from '../../assert/index.js';
import { multiplyHistogram } from '../../histogram/index.js';
import { compareScalars, formatF6, scalarArithmetic } from '../func/index.js';
import { isComparison } from '../parse/index.js';
import type { ScalarNode, VectorNode } from '../plan/index.js';
import { accumulate, isAccumulating } from './aggregate.js';
import { binaryRows } from './binary.js';
import { executionError, type QueryContext, type SampleCount, timeOf } from './context.js';
import { ElementRows, elementFunction } from './elements.js';
import { floatsOnly, presenceOnly } from './float-view.js';
import { CounterHintRows, QuantileHintRows } from './hints.js';
import { histogramFractionRows, histogramQuantileRows } from './histogram-functions.js';
import { histogramNumberRows, isHistogramNumber } from './histogram-values.js';
import { infoRows } from './info.js';
import { EMPTY_SET, LabelBuilder, NO_LABELS } from './label-columns.js';
import { labelJoinRows, labelReplaceRows } from './label-functions.js';
import { dropNames } from './names.js';
import { countValues, quantileOfSeries } from './quantile.js';
import { QuotientRows } from './quotient.js';
import { limitRatio, rankSeries } from './rank.js';
import { scalarOpRows } from './scalar-op.js';
import { InstantSelectorRows, RangeCallRows } from './selectors.js';
import { setOperationRows } from './set-operations.js';
import { sortRows } from './sorting.js';
import {
  type Block,
  EmptyRows,
  MaterialRows,
  materialise,
  noHistograms,
  RowSource,
  reserveBlock,
} from './source.js';
import { SubqueryCallRows } from './subquery.js';

/** A result that was needed more than once, and the samples that its first evaluation read. */
interface Kept<T> {
  readonly value: T;
  readonly samples: SampleCount;
}

/** Turns plan nodes into rows. Nodes with several parents are computed once and kept. */
export class Evaluator {
  private readonly context: QueryContext;
  private readonly sources = new Map<VectorNode, Kept<RowSource>>();
  private readonly scalars = new Map<ScalarNode, Kept<Float64Array>>();

  constructor(context: QueryContext) {
    this.context = context;
  }

  /** The values of a scalar expression, one per step. */
  scalar(node: ScalarNode): Float64Array {
    const known = this.scalars.get(node);
    if (known !== undefined) return this.recall(known);
    const before = this.context.sampleCount();
    const value = this.computeScalar(node);
    this.scalars.set(node, { value, samples: this.context.samplesSince(before) });
    return value;
  }

  private computeScalar(node: ScalarNode): Float64Array {
    const { count } = node.grid;
    switch (node.kind) {
      case 'number':
        return new Float64Array(count).fill(node.value);
      case 'time':
        return Float64Array.from({ length: count }, (_, k) => timeOf(node.grid, k) / 1000);
      case 'scalarNegate':
        return this.scalar(node.child).map((x) => -x);
      case 'scalarPinned':
        return new Float64Array(count).fill(this.scalar(node.child)[0]!);
      case 'scalarOf':
        return this.scalarOf(this.rows(node.child));
      case 'scalarBinary': {
        const rhs = this.scalar(node.rhs);
        const { op } = node;
        const compares = op !== 'min_of' && op !== 'max_of' && isComparison(op);
        return this.scalar(node.lhs).map((x, k) =>
          compares ? Number(compareScalars(op, x, rhs[k]!)) : scalarArithmetic(op, x, rhs[k]!),
        );
      }
      default:
        return assertNever(node);
    }
  }

  /** scalar(): the value of the only element of each step, else NaN. */
  private scalarOf(source: RowSource): Float64Array {
    const { steps } = source;
    const values = new Float64Array(steps).fill(NaN);
    const counts = new Uint8Array(steps);
    this.forEachBlock(source, (block, from, to) => {
      const { f64, u8 } = this.context.kernel;
      for (let i = 0; i < to - from; i++) {
        for (let k = 0; k < steps; k++) {
          const at = i * steps + k;
          if (u8[block.present + at] !== 1) continue;
          values[k] = counts[k] === 0 ? f64[block.rows / 8 + at]! : NaN;
          counts[k] = 1;
        }
      }
    });
    return values;
  }

  private forEachBlock(source: RowSource, visit: (block: Block, from: number, to: number) => void): void {
    const rowsPerBlock = this.context.blockRows(source.steps);
    for (let from = 0; from < source.seriesCount; from += rowsPerBlock) {
      const to = Math.min(source.seriesCount, from + rowsPerBlock);
      visit(source.read(from, to), from, to);
      this.context.poll();
    }
  }

  /** The rows of an instant vector expression. */
  rows(node: VectorNode): RowSource {
    const known = this.sources.get(node);
    if (known !== undefined) return this.recall(known);
    if (node.uses < 2) return this.open(node);
    const before = this.context.sampleCount();
    const value = materialise(this.open(node));
    this.sources.set(node, { value, samples: this.context.samplesSince(before) });
    return value;
  }

  /** Statistics count a shared expression each time it stands in the query, as if it had been evaluated again. */
  private recall<T>(kept: Kept<T>): T {
    this.context.recount(kept.samples);
    return kept.value;
  }

  private open(node: VectorNode): RowSource {
    const { context } = this;
    const { count } = node.grid;
    switch (node.kind) {
      case 'empty':
        return this.empty(count);
      case 'instantSelector':
        return new InstantSelectorRows(context, node);
      case 'rangeCall':
      case 'subqueryCall':
        return this.rangeRows(node);
      case 'pinned':
        return new PinnedRows(this.rows(node.child), count);
      case 'fromScalar':
        return this.single(this.scalar(node.scalar));
      case 'date': {
        const seconds = Float64Array.from({ length: count }, (_, k) => timeOf(node.grid, k) / 1000);
        elementFunction(node.func, [])!(seconds, 0, count, count);
        return this.single(seconds);
      }
      case 'element':
        return this.elementRows(node);
      case 'negate': {
        const negate = (values: Float64Array, from: number, to: number): void => {
          for (let i = from; i < to; i++) values[i] = -values[i]!;
        };
        return dropNames(new ElementRows(this.rows(node.child), negate, (h) => multiplyHistogram(h, -1)));
      }
      case 'quotient':
        return new QuotientRows(this.rows(node.lhs), this.rows(node.rhs));
      case 'scalarOp':
        return this.scalarOpRows(node);
      case 'binary':
        return binaryRows(node, this.rows(node.lhs), this.rows(node.rhs));
      case 'setOperation':
        return setOperationRows(node.op, node.matching, this.rows(node.lhs), this.rows(node.rhs));
      case 'aggregate':
        return this.aggregateRows(node);
      case 'histogramQuantile': {
        const quantiles = node.quantiles.map((quantile) => this.scalar(quantile));
        return histogramQuantileRows(node, this.rows(node.child), quantiles);
      }
      case 'histogramFraction':
        return histogramFractionRows(
          node,
          this.rows(node.child),
          this.scalar(node.lower),
          this.scalar(node.upper),
        );
      case 'labelReplace':
        return labelReplaceRows(node, this.rows(node.child));
      case 'labelJoin':
        return labelJoinRows(node, this.rows(node.child));
      case 'absent':
        return this.absentRows(node);
      case 'sort': {
        const child = this.rows(node.child);
        const sortable = node.labels === null ? floatsOnly(child) : child;
        return count === 1 ? sortRows(sortable, node.descending, node.labels) : sortable;
      }
      case 'info':
        return infoRows(context, node, this.rows(node.child));
      default:
        return assertNever(node);
    }
  }

  private empty(steps: number): RowSource {
    return new EmptyRows(this.context, NO_LABELS, steps, null);
  }

  /** One series without labels that has a value at every step. */
  private single(values: Float64Array): RowSource {
    const { context } = this;
    const block = reserveBlock(context, 1, values.length);
    context.kernel.f64.set(values, block.rows / 8);
    context.kernel.u8.fill(1, block.present, block.present + values.length);
    return new MaterialRows(context, EMPTY_SET, values.length, null, block);
  }

  private rangeRows(node: Extract<VectorNode, { kind: 'rangeCall' | 'subqueryCall' }>): RowSource {
    const { context } = this;
    const args = node.args.map((arg) => this.scalar(arg));
    if (node.func === 'double_exponential_smoothing') checkFactors(args);
    let rows: RowSource;
    let childMarks: Uint8Array | null = null;
    if (node.kind === 'rangeCall') rows = new RangeCallRows(context, node, args);
    else {
      const child = this.rows(node.child);
      childMarks = child.dropMarks;
      rows = new SubqueryCallRows(context, node, child, args, childMarks);
    }
    if (node.func === 'rate' || node.func === 'increase') rows = new CounterHintRows(rows, node.pos);
    if (node.func === 'quantile_over_time') rows = new QuantileHintRows(rows, args[0]!, node.pos);
    if (node.func === 'last_over_time' || node.func === 'first_over_time') return rows;
    return dropNames(rows, true);
  }

  private elementRows(node: Extract<VectorNode, { kind: 'element' }>): RowSource {
    if (isHistogramNumber(node.func)) return histogramNumberRows(node.func, this.rows(node.child));
    const args = node.args.map((arg) => this.scalar(arg));
    const apply = elementFunction(node.func, args);
    const source = this.rows(node.child);
    if (apply === null) return this.empty(node.grid.count);
    // A histogram has a timestamp as well.
    const child = node.func === 'timestamp' ? presenceOnly(source) : source;
    const rows = new ElementRows(child, apply);
    if (node.func !== 'clamp') return dropNames(rows);
    // Steps without a result go first, as series that become equal may only meet there.
    const mask = args[0]!.map((lower, k) => (args[1]![k]! < lower ? 0 : 1));
    return dropNames(mask.includes(0) ? new StepMaskRows(rows, mask) : rows);
  }

  private scalarOpRows(node: Extract<VectorNode, { kind: 'scalarOp' }>): RowSource {
    const rows = scalarOpRows(node, this.rows(node.child), this.scalar(node.scalar));
    const keepsNames = isComparison(node.op) ? !node.returnBool : node.op === '</' || node.op === '>/';
    return keepsNames ? rows : dropNames(rows);
  }

  private aggregateRows(node: Extract<VectorNode, { kind: 'aggregate' }>): RowSource {
    const child = this.rows(node.child);
    if (isAccumulating(node.op)) return accumulate(child, node);
    if (node.op === 'count_values') return countValues(child, node);
    const parameter = node.param === null ? new Float64Array(child.steps) : this.scalar(node.param);
    if (node.op === 'quantile') return quantileOfSeries(child, node, parameter);
    const ranked =
      node.op === 'limit_ratio' ? limitRatio(child, node, parameter) : rankSeries(child, node, parameter);
    if (ranked !== null) return ranked;
    if (this.context.readsAllRows) materialise(child);
    return this.empty(node.grid.count);
  }

  /** absent and absent_over_time: 1 at the steps where no series has a value. */
  private absentRows(node: Extract<VectorNode, { kind: 'absent' }>): RowSource {
    const { context } = this;
    const child = this.rows(node.child);
    const steps = node.grid.count;
    const seen = new Uint8Array(steps);
    this.forEachBlock(child, (block, from, to) => {
      const { u8 } = context.kernel;
      for (let i = 0; i < to - from; i++) {
        const present = block.present + i * steps;
        for (let k = 0; k < steps; k++) if (u8[present + k] !== 0) seen[k] = 1;
      }
    });
    const builder = new LabelBuilder(1);
    for (const [name, value] of node.labels) {
      builder.push(context.space.intern(name), context.space.intern(value));
    }
    builder.endUnsorted(context.space);
    const block = reserveBlock(context, 1, steps);
    const { f64, u8 } = context.kernel;
    for (let k = 0; k < steps; k++) {
      f64[block.rows / 8 + k] = 1;
      u8[block.present + k] = seen[k] === 1 ? 0 : 1;
    }
    return new MaterialRows(context, builder.columns, steps, null, block);
  }
}

function checkFactors(args: readonly Float64Array[]): void {
  const names = ['smoothing', 'trend'];
  const symbols = ['sf', 'tf'];
  args.forEach((row, i) => {
    for (const factor of row) {
      if (factor > 0 && factor < 1) continue;
      throw executionError(
        `invalid ${names[i]} factor. Expected: 0 < ${symbols[i]} < 1, got: ${formatF6(factor)}`,
      );
    }
  });
}

/** A one-step evaluation repeated over all steps. */
class PinnedRows extends RowSource {
  readonly isScratch = true;
  private readonly child: RowSource;
  private readonly block: Block;

  constructor(child: RowSource, steps: number) {
    super(child.context, child.labels, steps, child.dropMarks);
    // Its blocks are larger than ours: read them from memory, at any position.
    this.child = materialise(child);
    const rows = Math.min(child.context.blockRows(steps), child.seriesCount);
    this.block = reserveBlock(child.context, rows, steps);
  }

  override get mayHaveHistograms(): boolean {
    return this.child.mayHaveHistograms;
  }

  read(from: number, to: number): Block {
    const { block, steps } = this;
    const read = this.child.read(from, to);
    const { f64, u8 } = this.context.kernel;
    block.histograms = read.histograms === null ? null : noHistograms((to - from) * steps);
    for (let i = 0; i < to - from; i++) {
      const at = block.rows / 8 + i * steps;
      f64.fill(f64[read.rows / 8 + i]!, at, at + steps);
      const present = block.present + i * steps;
      u8.fill(u8[read.present + i]!, present, present + steps);
      block.histograms?.fill(read.histograms![i]!, i * steps, (i + 1) * steps);
    }
    return block;
  }
}

/** Rows without the steps where the mask is 0. */
class StepMaskRows extends RowSource {
  readonly isScratch = true;
  private readonly child: RowSource;
  private readonly mask: Float64Array;

  constructor(child: RowSource, mask: Float64Array) {
    super(child.context, child.labels, child.steps, child.dropMarks);
    this.child = child;
    this.mask = mask;
  }

  read(from: number, to: number): Block {
    const block = this.child.read(from, to);
    const { u8 } = this.context.kernel;
    const { steps, mask } = this;
    for (let i = 0; i < (to - from) * steps; i++) if (mask[i % steps] === 0) u8[block.present + i] = 0;
    return block;
  }
}
