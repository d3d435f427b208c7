import type { LabelSet } from '../../labels/index.js';
import { type QueryContext, sameLabelsetError } from './context.js';
import type { ResultSeries, SeriesColumns } from './engine.js';
import { findDuplicate, type LabelColumns, LabelIndex } from './label-columns.js';
import { labelOrder } from './label-order.js';
import { labelSetOf } from './matching.js';
import type { RowSource } from './source.js';
import type { SymbolSpace } from './symbol-space.js';

/** Results whose values are all floats: two arrays for all series, and objects for those who ask for them. */

/** Rows of a source copied out of kernel memory, and which of them have a value somewhere. */
interface CopiedRows {
  readonly values: Float64Array;
  readonly present: Uint8Array;
  readonly isFilled: Uint8Array;
}

function copyRows(source: RowSource): CopiedRows {
  const { context, steps, seriesCount } = source;
  const values = new Float64Array(seriesCount * steps);
  const present = new Uint8Array(seriesCount * steps);
  const isFilled = new Uint8Array(seriesCount);
  const rowsPerBlock = context.blockRows(steps);
  for (let from = 0; from < seriesCount; from += rowsPerBlock) {
    const to = Math.min(seriesCount, from + rowsPerBlock);
    const block = source.read(from, to);
    const { f64, u8 } = context.kernel;
    const elements = (to - from) * steps;
    values.set(f64.subarray(block.rows / 8, block.rows / 8 + elements), from * steps);
    present.set(u8.subarray(block.present, block.present + elements), from * steps);
    for (let i = from; i < to; i++) {
      const end = (i + 1) * steps;
      let at = i * steps;
      while (at < end && present[at] === 0) at++;
      if (at < end) isFilled[i] = 1;
    }
    context.poll();
  }
  return { values, present, isFilled };
}

/**
 * The series of a source without histograms that have a value somewhere.
 * @param isSorted by labels; else in the order of the source
 * @throws VarveError `promql-execution` when two of them have the same labels
 */
export function resultColumns(
  source: RowSource,
  isSorted: boolean,
): { columns: FloatColumns; sortMs: number } {
  const { context, steps, seriesCount, labels } = source;
  const duplicate = findDuplicate(labels) !== null;
  const { values, present, isFilled } = copyRows(source);
  if (duplicate) refuseDuplicates(labels, isFilled);
  const started = performance.now();
  const order = isSorted ? labelOrder(labels, context) : null;
  const rows = new Uint32Array(seriesCount);
  let count = 0;
  for (let i = 0; i < seriesCount; i++) {
    const row = order === null ? i : order[i]!;
    if (isFilled[row] === 1) rows[count++] = row;
  }
  const columns = new FloatColumns(context, labels, rows.subarray(0, count), steps, values, present);
  return { columns, sortMs: performance.now() - started };
}

function refuseDuplicates(labels: LabelColumns, isFilled: Uint8Array): void {
  const index = new LabelIndex(labels.count);
  for (let i = 0; i < labels.count; i++) {
    if (isFilled[i] === 0) continue;
    const known = index.count;
    if (index.intern(labels.pairs, labels.offsets[i]!, labels.offsets[i + 1]!) < known)
      throw sameLabelsetError();
  }
}

/** The columns of a result, and its series as objects. */
export class FloatColumns implements SeriesColumns {
  readonly rows: Uint32Array;
  readonly steps: number;
  readonly values: Float64Array;
  readonly present: Uint8Array;
  readonly symbols: object | null;
  private readonly context: QueryContext;
  private readonly columns: LabelColumns;
  private readonly space: SymbolSpace;
  private objects: readonly ResultSeries[] | null = null;

  constructor(
    context: QueryContext,
    labels: LabelColumns,
    rows: Uint32Array,
    steps: number,
    values: Float64Array,
    present: Uint8Array,
  ) {
    this.context = context;
    this.columns = labels;
    this.space = context.space;
    this.symbols = context.space.symbols;
    this.rows = rows;
    this.steps = steps;
    this.values = values;
    this.present = present;
  }

  get labels(): Uint32Array {
    return this.columns.pairs;
  }

  get labelOffsets(): Uint32Array {
    return this.columns.offsets;
  }

  text(id: number): string {
    return this.space.text(id);
  }

  /** The first series only. */
  truncated(count: number): FloatColumns {
    const { context, columns, rows, steps, values, present } = this;
    return new FloatColumns(context, columns, rows.subarray(0, count), steps, values, present);
  }

  get series(): readonly ResultSeries[] {
    const { steps, values, present } = this;
    this.objects ??= Array.from(this.rows, (row) => ({
      labels: this.labelSet(row),
      values: values.subarray(row * steps, (row + 1) * steps),
      present: present.subarray(row * steps, (row + 1) * steps),
    }));
    return this.objects;
  }

  private labelSet(row: number): LabelSet {
    return labelSetOf(this.context, this.columns, row);
  }
}

/** An instant vector over columns. */
export class VectorValue {
  readonly type = 'vector';
  readonly timestampMs: number;
  readonly columns: FloatColumns;

  constructor(timestampMs: number, columns: FloatColumns) {
    this.timestampMs = timestampMs;
    this.columns = columns;
  }

  get series(): readonly ResultSeries[] {
    return this.columns.series;
  }
}

/** A matrix over columns. */
export class MatrixValue {
  readonly type = 'matrix';
  readonly startMs: number;
  readonly stepMs: number;
  readonly stepCount: number;
  readonly columns: FloatColumns;

  constructor(startMs: number, stepMs: number, columns: FloatColumns) {
    this.startMs = startMs;
    this.stepMs = stepMs;
    this.stepCount = columns.steps;
    this.columns = columns;
  }

  get series(): readonly ResultSeries[] {
    return this.columns.series;
  }
}
