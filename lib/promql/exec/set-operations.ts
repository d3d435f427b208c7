import type { VectorMatching } from '../parse/index.js';
import { findDuplicate, keyRule, keysOf, LabelBuilder, LabelIndex } from './label-columns.js';
import { mergeEqual } from './names.js';
import {
  type Block,
  copyHistograms,
  MaterialRows,
  materialise,
  noHistograms,
  RowSource,
  reserveBlock,
} from './source.js';

/** `and`, `or`, `unless`: presence of signatures per step decides, values pass through. */
export function setOperationRows(
  op: 'and' | 'or' | 'unless',
  matching: VectorMatching,
  lhs: RowSource,
  rhs: RowSource,
): RowSource {
  const { context } = lhs;
  const index = new LabelIndex(Math.max(lhs.seriesCount, rhs.seriesCount));
  const rule = keyRule(context.space, matching.labels, matching.on);
  const leftKeys = keysOf(lhs.labels, rule, index);
  const rightKeys = keysOf(rhs.labels, rule, index);
  if (op === 'or') return unionRows(materialise(lhs), materialise(rhs), leftKeys, rightKeys, index.count);
  const presence = presenceOf(rhs, rightKeys, index.count);
  return new MaskedByKeyRows(lhs, leftKeys, presence, op === 'and');
}

/** Per signature and step: 1 when some series with that signature has a value. */
function presenceOf(source: RowSource, keys: Uint32Array, keyCount: number): Uint8Array {
  const { context, steps, seriesCount } = source;
  const presence = new Uint8Array(keyCount * steps);
  const rowsPerBlock = context.blockRows(steps);
  for (let from = 0; from < seriesCount; from += rowsPerBlock) {
    const to = Math.min(seriesCount, from + rowsPerBlock);
    const block = source.read(from, to);
    const { u8 } = context.kernel;
    for (let i = from; i < to; i++) {
      const at = keys[i]! * steps;
      const present = block.present + (i - from) * steps;
      for (let k = 0; k < steps; k++) if (u8[present + k] !== 0) presence[at + k] = 1;
    }
    context.poll();
  }
  return presence;
}

class MaskedByKeyRows extends RowSource {
  readonly isScratch: boolean;
  private readonly child: RowSource;
  private readonly keys: Uint32Array;
  private readonly presence: Uint8Array;
  private readonly wanted: number;
  private readonly ownPresent: number;
  private readonly view: Block = { rows: 0, present: 0, histograms: null };

  constructor(child: RowSource, keys: Uint32Array, presence: Uint8Array, isAnd: boolean) {
    super(child.context, child.labels, child.steps, child.dropMarks);
    this.child = child;
    this.isScratch = child.isScratch;
    this.keys = keys;
    this.presence = presence;
    this.wanted = isAnd ? 1 : 0;
    const rows = Math.min(child.context.blockRows(child.steps), child.seriesCount);
    this.ownPresent = child.context.kernel.reserve(rows * child.steps);
  }

  override get mayHaveHistograms(): boolean {
    return this.child.mayHaveHistograms;
  }

  read(from: number, to: number): Block {
    const { steps, keys, presence, wanted, view, ownPresent } = this;
    const block = this.child.read(from, to);
    const { u8 } = this.context.kernel;
    for (let i = from; i < to; i++) {
      const at = keys[i]! * steps;
      const offset = (i - from) * steps;
      for (let k = 0; k < steps; k++) {
        u8[ownPresent + offset + k] = presence[at + k] === wanted ? u8[block.present + offset + k]! : 0;
      }
    }
    view.rows = block.rows;
    view.present = ownPresent;
    view.histograms = block.histograms;
    return view;
  }
}

function unionRows(
  lhs: MaterialRows,
  rhs: MaterialRows,
  leftKeys: Uint32Array,
  rightKeys: Uint32Array,
  keyCount: number,
): RowSource {
  const { context, steps } = lhs;
  const presence = presenceOf(lhs, leftKeys, keyCount);
  const leftCount = lhs.seriesCount;
  const count = leftCount + rhs.seriesCount;
  const block = reserveBlock(context, count, steps);
  if (lhs.mayHaveHistograms || rhs.mayHaveHistograms) block.histograms = noHistograms(count * steps);
  const { u8 } = context.kernel;
  const builder = new LabelBuilder(count);
  const hasMarks = lhs.dropMarks !== null || rhs.dropMarks !== null;
  const marks = hasMarks ? new Uint8Array(count) : null;
  const copy = (source: MaterialRows, at: number): void => {
    const read = source.read(0, source.seriesCount);
    const elements = source.seriesCount * steps;
    u8.copyWithin(block.rows + at * steps * 8, read.rows, read.rows + elements * 8);
    u8.copyWithin(block.present + at * steps, read.present, read.present + elements);
    copyHistograms(read.histograms, block.histograms, at * steps, elements);
    for (let i = 0; i < source.seriesCount; i++) {
      builder.copy(source.labels, i);
      if (marks !== null) marks[at + i] = source.dropMarks?.[i] ?? 0;
    }
  };
  copy(lhs, 0);
  copy(rhs, leftCount);
  for (let i = 0; i < rhs.seriesCount; i++) {
    const at = rightKeys[i]! * steps;
    const present = block.present + (leftCount + i) * steps;
    for (let k = 0; k < steps; k++) if (presence[at + k] === 1) u8[present + k] = 0;
  }
  const rows = new MaterialRows(context, builder.columns, steps, marks, block);
  if (findDuplicate(rows.labels) === null) return rows;
  return mergeEqual(rows, rows.labels, marks, false);
}
