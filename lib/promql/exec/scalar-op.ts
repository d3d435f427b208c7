import { COMPARISON } from '../../kernel/index.js';
import { compareScalars, goAtan2, goPow } from '../func/index.js';
import { isComparison } from '../parse/index.js';
import type { ScalarOpNode } from '../plan/index.js';
import { ELEMENT } from './element.js';
import { ElementOperator, ILLEGAL } from './element-operator.js';
import { ownBlock } from './elements.js';
import { type Block, MaterialRows, materialise, noHistograms, RowSource, reserveBlock } from './source.js';

/** A vector after an operation with a scalar. */
export function scalarOpRows(node: ScalarOpNode, child: RowSource, scalar: Float64Array): RowSource {
  // Trimming is for histograms, and floats are worth a note.
  const isMixed = child.mayHaveHistograms || node.op === '</' || node.op === '>/';
  return isMixed ? mixedRows(node, child, scalar) : new ScalarOpRows(node, child, scalar);
}

/** The operation where elements may be histograms: step by step, for notes are per step. */
function mixedRows(node: ScalarOpNode, source: RowSource, scalar: Float64Array): RowSource {
  const { context, steps, seriesCount } = source;
  const child = materialise(source);
  const read = child.read(0, seriesCount);
  const block = reserveBlock(context, seriesCount, steps);
  const histograms = noHistograms(seriesCount * steps);
  const operator = new ElementOperator(context, node);
  // A filter with the scalar on the left keeps the vector's value all the same.
  const isFilter = isComparison(node.op) && !node.returnBool;
  let hasHistograms = false;
  for (let k = 0; k < steps; k++) {
    const { f64, u8 } = context.kernel;
    for (let i = 0; i < seriesCount; i++) {
      const at = i * steps + k;
      const present = u8[read.present + at]!;
      u8[block.present + at] = ELEMENT.none;
      if (present === ELEMENT.none) continue;
      const value = f64[read.rows / 8 + at]!;
      const histogram = present === ELEMENT.histogram ? read.histograms![at]! : null;
      const kind = node.scalarOnLeft
        ? operator.apply(scalar[k]!, null, value, histogram)
        : operator.apply(value, histogram, scalar[k]!, null);
      if (kind === ILLEGAL || kind === ELEMENT.none) continue;
      u8[block.present + at] = kind;
      f64[block.rows / 8 + at] = isFilter ? value : operator.value;
      if (kind !== ELEMENT.histogram) continue;
      histograms[at] = operator.histogram;
      hasHistograms = true;
    }
    operator.endStep();
    context.poll();
  }
  if (hasHistograms) block.histograms = histograms;
  return new MaterialRows(context, child.labels, steps, child.dropMarks, block);
}

/** Rows of a vector after an operation with a scalar. */
class ScalarOpRows extends RowSource {
  readonly isScratch = true;
  private readonly node: ScalarOpNode;
  private readonly child: RowSource;
  private readonly scalar: Float64Array;
  private readonly own: Block | null;
  /** The scalar of each step in kernel memory. */
  private readonly scalars: number;

  constructor(node: ScalarOpNode, child: RowSource, scalar: Float64Array) {
    super(child.context, child.labels, child.steps, child.dropMarks);
    this.node = node;
    this.child = child;
    this.scalar = scalar;
    this.scalars = child.context.kernel.reserve(child.steps * 8);
    const rows = Math.min(child.context.blockRows(child.steps), child.seriesCount);
    this.own = child.isScratch ? null : reserveBlock(child.context, rows, child.steps);
  }

  read(from: number, to: number): Block {
    const { node, scalar, steps } = this;
    const { kernel } = this.context;
    const block = ownBlock(this.child.read(from, to), this.own, this, to - from);
    const elements = (to - from) * steps;
    if (!isComparison(node.op)) arithmetic(kernel.f64, block.rows / 8, elements, scalar, node);
    else if (node.returnBool) compareToBool(kernel.f64, block.rows / 8, elements, scalar, node);
    else this.filter(block, to - from);
    return block;
  }

  private filter(block: Block, series: number): void {
    const { node, scalar, steps, scalars } = this;
    const { kernel } = this.context;
    kernel.f64.set(scalar, scalars / 8);
    const operator = COMPARISON[vectorSide(node) as keyof typeof COMPARISON];
    kernel.functions.queryFilter(operator, series, steps, block.rows, block.present, scalars);
  }
}

function arithmetic(
  values: Float64Array,
  begin: number,
  elements: number,
  scalar: Float64Array,
  node: ScalarOpNode,
): void {
  const steps = scalar.length;
  const end = begin + elements;
  const left = node.scalarOnLeft;
  let k = 0;
  switch (node.op) {
    case '+':
      for (let i = begin; i < end; i++) {
        values[i] = values[i]! + scalar[k]!;
        if (++k === steps) k = 0;
      }
      return;
    case '*':
      for (let i = begin; i < end; i++) {
        values[i] = values[i]! * scalar[k]!;
        if (++k === steps) k = 0;
      }
      return;
    case '-':
      for (let i = begin; i < end; i++) {
        values[i] = left ? scalar[k]! - values[i]! : values[i]! - scalar[k]!;
        if (++k === steps) k = 0;
      }
      return;
    case '/':
      for (let i = begin; i < end; i++) {
        values[i] = left ? scalar[k]! / values[i]! : values[i]! / scalar[k]!;
        if (++k === steps) k = 0;
      }
      return;
    case '%':
      for (let i = begin; i < end; i++) {
        values[i] = left ? scalar[k]! % values[i]! : values[i]! % scalar[k]!;
        if (++k === steps) k = 0;
      }
      return;
    case '^':
      for (let i = begin; i < end; i++) {
        values[i] = left ? goPow(scalar[k]!, values[i]!) : goPow(values[i]!, scalar[k]!);
        if (++k === steps) k = 0;
      }
      return;
    default:
      for (let i = begin; i < end; i++) {
        values[i] = left ? goAtan2(scalar[k]!, values[i]!) : goAtan2(values[i]!, scalar[k]!);
        if (++k === steps) k = 0;
      }
  }
}

/** The comparison seen from the vector's side, so that the loops need not ask where the scalar stood. */
function vectorSide(node: ScalarOpNode): string {
  if (!node.scalarOnLeft) return node.op;
  switch (node.op) {
    case '<':
      return '>';
    case '<=':
      return '>=';
    case '>':
      return '<';
    case '>=':
      return '<=';
    default:
      return node.op;
  }
}

function compareToBool(
  values: Float64Array,
  begin: number,
  elements: number,
  scalar: Float64Array,
  node: ScalarOpNode,
): void {
  const steps = scalar.length;
  const op = vectorSide(node);
  for (let i = begin, k = 0; i < begin + elements; i++) {
    values[i] = compareScalars(op, values[i]!, scalar[k]!) ? 1 : 0;
    if (++k === steps) k = 0;
  }
}
