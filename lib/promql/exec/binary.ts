import type { FloatHistogram } from '../../histogram/index.js';
import { isComparison } from '../parse/index.js';
import type { BinaryNode } from '../plan/index.js';
import { executionError, sameLabelsetError } from './context.js';
import { ELEMENT } from './element.js';
import { ElementOperator, ILLEGAL } from './element-operator.js';
import { findDuplicate, type LabelColumns, LabelIndex } from './label-columns.js';
import { remembered } from './label-memo.js';
import {
  duplicateMatchError,
  keepsOf,
  type Matching,
  matchSides,
  type Operation,
  operationOf,
  ResultLabels,
} from './matching.js';
import {
  type Block,
  EmptyRows,
  MaterialRows,
  materialise,
  noHistograms,
  RowSource,
  reserveBlock,
} from './source.js';

/** Arithmetic, comparison and trim operators between two vectors. */
export function binaryRows(node: BinaryNode, left: RowSource, right: RowSource): RowSource {
  const { context, steps } = left;
  const lhs = context.readsAllRows ? materialise(left) : left;
  const rhs = context.readsAllRows ? materialise(right) : right;
  const { matching: spec, op } = node;
  const isSwapped = spec.cardinality === 'one-to-many';
  const many = isSwapped ? rhs : lhs;
  const one = isSwapped ? lhs : rhs;
  const hasFill = spec.fillLeft !== null || spec.fillRight !== null;
  // Trimming is for histograms, and floats are worth a note.
  const isMixed = lhs.mayHaveHistograms || rhs.mayHaveHistograms || op === '</' || op === '>/';
  if (!hasFill && (many.seriesCount === 0 || one.seriesCount === 0)) {
    return new EmptyRows(
      context,
      { count: 0, offsets: new Uint32Array(1), pairs: new Uint32Array(0) },
      steps,
      null,
    );
  }
  const isGrouped = spec.cardinality !== 'one-to-one';
  const pairs = hasFill || isMixed ? null : pairsOf(node, many, one);
  if (pairs !== null) return pairedRows(node, pairs, many, one, isSwapped, isGrouped);
  const matching = matchSides(node, many, one);
  const mixed = isMixed ? new ElementOperator(context, node) : null;
  return stepwiseRows(node, matching, many, one, isSwapped, mixed);
}

function isUnique(keys: Uint32Array, count: number): boolean {
  const seen = new Uint8Array(count);
  for (const key of keys) {
    if (seen[key] === 1) return false;
    seen[key] = 1;
  }
  return true;
}

function marksFor(node: BinaryNode, many: RowSource, picks: readonly number[]): Uint8Array | null {
  const isMarked = node.returnBool && many.context.features.delayedNameRemoval;
  if (!isMarked && many.dropMarks === null) return null;
  return Uint8Array.from(picks, (i) => (isMarked || many.dropMarks?.[i] === 1 ? 1 : 0));
}

/** Series that combine, and the labels of what comes of it. */
interface Pairs {
  readonly labels: LabelColumns;
  readonly manyPicks: readonly number[];
  readonly onePicks: readonly number[];
}

/** The common case: every series has at most one partner, so rows combine one to one, block by block. */
function pairedRows(
  node: BinaryNode,
  pairs: Pairs,
  many: RowSource,
  one: RowSource,
  isSwapped: boolean,
  isGrouped: boolean,
): RowSource {
  const { labels, manyPicks, onePicks } = pairs;
  const marks = marksFor(node, many, manyPicks);
  // A partner that serves many rows is read many times.
  const partner = isGrouped ? materialise(one) : one;
  return new PairedRows(node, labels, marks, many, partner, manyPicks, onePicks, isSwapped);
}

/** The pairs of the common case, or null when it is not given. Kept with the labels of the many side. */
function pairsOf(node: BinaryNode, many: RowSource, one: RowSource): Pairs | null {
  const { memo } = many.labels;
  if (memo === undefined || one.labels.memo === undefined) return findPairs(node, many, one);
  const { labels, on, cardinality, include } = node.matching;
  const result = [isComparison(node.op), node.returnBool, many.context.features.delayedNameRemoval];
  const key = `pairs ${JSON.stringify([labels, on, cardinality, include, result])}`;
  const known = memo.get(key) as { one: LabelColumns; pairs: Pairs | null } | undefined;
  if (known?.one === one.labels) return known.pairs;
  memo.delete(key);
  return remembered(memo, key, () => {
    const pairs = findPairs(node, many, one);
    const kept = pairs === null ? null : { ...pairs, labels: { ...pairs.labels, memo: new Map() } };
    return { one: one.labels, pairs: kept };
  }).pairs;
}

function findPairs(node: BinaryNode, many: RowSource, one: RowSource): Pairs | null {
  const matching = matchSides(node, many, one);
  if (!isUnique(matching.oneKeys, matching.index.count)) return null;
  if (node.matching.cardinality === 'one-to-one' && !isUnique(matching.manyKeys, matching.index.count))
    return null;
  const oneOf = new Int32Array(matching.index.count).fill(-1);
  matching.oneKeys.forEach((key, i) => {
    oneOf[key] = i;
  });
  const manyPicks: number[] = [];
  const onePicks: number[] = [];
  const results = new ResultLabels(many.context, node);
  for (let i = 0; i < many.seriesCount; i++) {
    const partner = oneOf[matching.manyKeys[i]!]!;
    if (partner < 0) continue;
    manyPicks.push(i);
    onePicks.push(partner);
    results.add(many.labels, i, one.labels, partner);
  }
  const labels = results.builder.columns;
  return findDuplicate(labels) === null ? { labels, manyPicks, onePicks } : null;
}

class PairedRows extends RowSource {
  readonly isScratch = true;
  private readonly many: RowSource;
  private readonly one: RowSource;
  private readonly manyPicks: readonly number[];
  private readonly onePicks: readonly number[];
  private readonly isSwapped: boolean;
  private readonly operation: Operation;
  private readonly keeps: ((left: number, right: number) => boolean) | null;
  private readonly op: string;
  private readonly block: Block;

  constructor(
    node: BinaryNode,
    labels: LabelColumns,
    marks: Uint8Array | null,
    many: RowSource,
    one: RowSource,
    manyPicks: readonly number[],
    onePicks: readonly number[],
    isSwapped: boolean,
  ) {
    super(many.context, labels, many.steps, marks);
    this.many = many;
    this.one = one;
    this.manyPicks = manyPicks;
    this.onePicks = onePicks;
    this.isSwapped = isSwapped;
    this.operation = operationOf(node);
    this.keeps = keepsOf(node);
    this.op = node.op;
    this.block = reserveBlock(
      many.context,
      Math.min(labels.count, many.context.blockRows(many.steps)),
      many.steps,
    );
  }

  read(from: number, to: number): Block {
    const { manyPicks, onePicks, steps, block } = this;
    let i = from;
    while (i < to) {
      let run = 1;
      while (
        i + run < to &&
        manyPicks[i + run] === manyPicks[i]! + run &&
        onePicks[i + run] === onePicks[i]! + run
      ) {
        run++;
      }
      const a = this.many.read(manyPicks[i]!, manyPicks[i]! + run);
      const b = this.one.read(onePicks[i]!, onePicks[i]! + run);
      const [left, right] = this.isSwapped ? [b, a] : [a, b];
      this.combine(left, right, (i - from) * steps, run * steps);
      i += run;
    }
    return block;
  }

  private combine(left: Block, right: Block, offset: number, elements: number): void {
    const { f64, u8 } = this.context.kernel;
    const out = this.block.rows / 8 + offset;
    const present = this.block.present + offset;
    const l = left.rows / 8;
    const r = right.rows / 8;
    for (let e = 0; e < elements; e++) u8[present + e] = u8[left.present + e]! & u8[right.present + e]!;
    switch (this.op) {
      case '+':
        for (let e = 0; e < elements; e++) f64[out + e] = f64[l + e]! + f64[r + e]!;
        return;
      case '-':
        for (let e = 0; e < elements; e++) f64[out + e] = f64[l + e]! - f64[r + e]!;
        return;
      case '*':
        for (let e = 0; e < elements; e++) f64[out + e] = f64[l + e]! * f64[r + e]!;
        return;
      case '/':
        for (let e = 0; e < elements; e++) f64[out + e] = f64[l + e]! / f64[r + e]!;
        return;
    }
    const { operation, keeps } = this;
    for (let e = 0; e < elements; e++) {
      const a = f64[l + e]!;
      const b = f64[r + e]!;
      if (keeps !== null && !keeps(a, b)) u8[present + e] = 0;
      f64[out + e] = operation(a, b);
    }
  }
}

/**
 * The general case, as upstream does it: step by step, with the checks for ambiguous matches at every step. Results are
 * collected per label set.
 * @param mixed the operator where elements may be histograms
 */
function stepwiseRows(
  node: BinaryNode,
  matching: Matching,
  manySource: RowSource,
  oneSource: RowSource,
  isSwapped: boolean,
  mixed: ElementOperator | null,
): RowSource {
  const { context, steps } = manySource;
  const many = materialise(manySource);
  const one = materialise(oneSource);
  const collector = new Collector(node, matching, many, one, mixed !== null);
  const { fillLeft, fillRight } = node.matching;
  const isGrouped = node.matching.cardinality !== 'one-to-one';
  const manyRows = many.read(0, many.seriesCount);
  const oneRows = one.read(0, one.seriesCount);
  const keyCount = matching.index.count;
  const oneAt = new Int32Array(keyCount);
  const matchedBy = new Int32Array(keyCount);
  const operation = operationOf(node);
  const keeps = keepsOf(node);
  for (let k = 0; k < steps; k++) {
    const { f64, u8 } = context.kernel;
    const isPresent = (block: Block, i: number): boolean => u8[block.present + i * steps + k] !== 0;
    const valueAt = (block: Block, i: number): number => f64[block.rows / 8 + i * steps + k]!;
    const histogramAt = (block: Block, i: number): FloatHistogram | null => {
      if (i < 0 || block.histograms === null) return null;
      const at = i * steps + k;
      return u8[block.present + at] === ELEMENT.histogram ? block.histograms[at]! : null;
    };
    let manyCount = 0;
    let oneCount = 0;
    for (let i = 0; i < many.seriesCount; i++) if (isPresent(manyRows, i)) manyCount++;
    for (let i = 0; i < one.seriesCount; i++) if (isPresent(oneRows, i)) oneCount++;
    if (manyCount === 0 && oneCount === 0) continue;
    if ((manyCount === 0 || oneCount === 0) && fillLeft === null && fillRight === null) continue;
    oneAt.fill(-1);
    matchedBy.fill(-1);
    for (let i = 0; i < one.seriesCount; i++) {
      if (!isPresent(oneRows, i)) continue;
      const key = matching.oneKeys[i]!;
      if (oneAt[key]! >= 0) throw duplicateMatchError(node, matching, one, oneAt[key]!, i);
      oneAt[key] = i;
    }
    const emit = (manyIndex: number, oneIndex: number, key: number, a: number, b: number): void => {
      const left = isSwapped ? b : a;
      const right = isSwapped ? a : b;
      if (mixed === null) {
        collector.check(k, manyIndex, oneIndex, key, isGrouped, matchedBy);
        matchedBy[key] = 1;
        if (keeps !== null && !keeps(left, right)) return;
        collector.put(k, manyIndex, oneIndex, key, operation(left, right), null);
        return;
      }
      const manyHistogram = histogramAt(manyRows, manyIndex);
      const oneHistogram = histogramAt(oneRows, oneIndex);
      const kind = isSwapped
        ? mixed.apply(left, oneHistogram, right, manyHistogram)
        : mixed.apply(left, manyHistogram, right, oneHistogram);
      // An illegal pair is no match at all.
      if (kind === ILLEGAL) return;
      collector.check(k, manyIndex, oneIndex, key, isGrouped, matchedBy);
      matchedBy[key] = 1;
      if (kind !== ELEMENT.none) collector.put(k, manyIndex, oneIndex, key, mixed.value, mixed.histogram);
    };
    for (let i = 0; i < many.seriesCount; i++) {
      if (!isPresent(manyRows, i)) continue;
      const key = matching.manyKeys[i]!;
      const partner = oneAt[key]!;
      if (partner >= 0) emit(i, partner, key, valueAt(manyRows, i), valueAt(oneRows, partner));
      else if (fillRight !== null) emit(i, -1, key, valueAt(manyRows, i), fillRight);
    }
    if (fillLeft !== null) {
      for (let i = 0; i < one.seriesCount; i++) {
        if (!isPresent(oneRows, i)) continue;
        const key = matching.oneKeys[i]!;
        if (matchedBy[key]! < 0) emit(-1, i, key, fillLeft, valueAt(oneRows, i));
      }
    }
    mixed?.endStep();
    context.poll();
  }
  return collector.finish(steps);
}

/** Output series of a stepwise operation, numbered by label set in order of first appearance. */
class Collector {
  private readonly node: BinaryNode;
  private readonly matching: Matching;
  private readonly many: RowSource;
  private readonly one: RowSource;
  private readonly results: ResultLabels;
  private readonly index = new LabelIndex();
  private readonly outputs = new Map<string, number>();
  private readonly values: Float64Array[] = [];
  private readonly present: Uint8Array[] = [];
  private readonly histograms: (FloatHistogram | null)[][] | null;
  private readonly marks: number[] = [];
  /** Last step at which an output was claimed within its signature, for the uniqueness check. */
  private readonly claimed: number[] = [];

  constructor(
    node: BinaryNode,
    matching: Matching,
    many: RowSource,
    one: RowSource,
    mayHaveHistograms: boolean,
  ) {
    this.histograms = mayHaveHistograms ? [] : null;
    this.node = node;
    this.matching = matching;
    this.many = many;
    this.one = one;
    this.results = new ResultLabels(many.context, node);
  }

  /** @throws VarveError `promql-execution` when a signature matches twice at this step. */
  check(
    step: number,
    manyIndex: number,
    oneIndex: number,
    key: number,
    isGrouped: boolean,
    matchedBy: Int32Array,
  ): void {
    if (!isGrouped) {
      if (matchedBy[key]! < 0) return;
      throw executionError(
        'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)',
      );
    }
    const output = this.outputOf(manyIndex, oneIndex, key);
    if (this.claimed[output] === step) {
      throw executionError('multiple matches for labels: grouping labels must ensure unique matches');
    }
    this.claimed[output] = step;
  }

  /** @throws VarveError `promql-execution` when another result of this step has the same labels */
  put(
    step: number,
    manyIndex: number,
    oneIndex: number,
    key: number,
    value: number,
    histogram: FloatHistogram | null,
  ): void {
    const output = this.outputOf(manyIndex, oneIndex, key);
    if (this.present[output]![step] !== ELEMENT.none) throw sameLabelsetError();
    this.present[output]![step] = histogram === null ? ELEMENT.float : ELEMENT.histogram;
    this.values[output]![step] = value;
    if (histogram !== null) this.histograms![output]![step] = histogram;
  }

  private outputOf(manyIndex: number, oneIndex: number, key: number): number {
    const pair = `${manyIndex} ${oneIndex} ${manyIndex < 0 ? key : ''}`;
    const known = this.outputs.get(pair);
    if (known !== undefined) return known;
    const keys = this.matching.index.columns;
    const manyLabels = manyIndex < 0 ? keys : this.many.labels;
    const oneLabels = oneIndex < 0 ? keys : this.one.labels;
    this.results.add(manyLabels, manyIndex < 0 ? key : manyIndex, oneLabels, oneIndex < 0 ? key : oneIndex);
    const { pairs, offsets, count } = this.results.builder.columns;
    const output = this.index.intern(pairs, offsets[count - 1]!, offsets[count]!);
    this.outputs.set(pair, output);
    if (output === this.values.length) {
      this.values.push(new Float64Array(this.many.steps));
      this.present.push(new Uint8Array(this.many.steps));
      this.histograms?.push(noHistograms(this.many.steps));
      this.claimed.push(-1);
      this.marks.push(marksFor(this.node, this.many, [Math.max(0, manyIndex)])?.[0] ?? 0);
    }
    return output;
  }

  finish(steps: number): RowSource {
    const { context } = this.many;
    const block = reserveBlock(context, this.values.length, steps);
    const { f64, u8 } = context.kernel;
    this.values.forEach((row, i) => {
      f64.set(row, block.rows / 8 + i * steps);
      u8.set(this.present[i]!, block.present + i * steps);
    });
    if (this.present.some((row) => row.includes(ELEMENT.histogram)))
      block.histograms = this.histograms!.flat();
    const marks = this.marks.includes(1) ? Uint8Array.from(this.marks) : null;
    return new MaterialRows(context, this.index.columns, steps, marks, block);
  }
}
