import type { LabelSet } from '../../labels/index.js';
import { compareScalars, goAtan2, goPow } from '../func/index.js';
import { goQuote, isComparison } from '../parse/index.js';
import type { BinaryNode } from '../plan/index.js';
import { executionError, type QueryContext } from './context.js';
import { keyRule, keysOf, LabelBuilder, type LabelColumns, LabelIndex, labelIdOf } from './label-columns.js';
import { nameIds } from './names.js';
import type { RowSource } from './source.js';

/** What both sides of a vector-vector operation share: signatures of the series and labels of the results. */
export interface Matching {
  readonly index: LabelIndex;
  /** Signature number of each series of the many side and the one side. */
  readonly manyKeys: Uint32Array;
  readonly oneKeys: Uint32Array;
}

export function matchSides(node: BinaryNode, many: RowSource, one: RowSource): Matching {
  const { context } = many;
  const index = new LabelIndex(Math.max(many.seriesCount, one.seriesCount));
  const rule = keyRule(context.space, node.matching.labels, node.matching.on);
  return {
    index,
    manyKeys: keysOf(many.labels, rule, index),
    oneKeys: keysOf(one.labels, rule, index),
  };
}

/** Labels of a result from the many side's set and, for group labels, the one side's. */
export class ResultLabels {
  readonly builder = new LabelBuilder();
  private readonly context: QueryContext;
  private readonly dropped: readonly number[];
  private readonly listed: readonly number[];
  private readonly included: readonly number[];
  private readonly on: boolean;
  private readonly isGrouped: boolean;

  constructor(context: QueryContext, node: BinaryNode) {
    this.context = context;
    const { matching, op, returnBool } = node;
    const dropsName = !isComparison(op) && op !== '</' && op !== '>/';
    const isDelayed = context.features.delayedNameRemoval;
    this.dropped = dropsName || (returnBool && !isDelayed) ? nameIds(context) : [];
    this.listed = matching.labels.map((name) => context.space.find(name)).filter((id) => id >= 0);
    this.included = matching.include.map((name) => context.space.intern(name));
    this.on = matching.on;
    this.isGrouped = matching.cardinality !== 'one-to-one';
  }

  /** Adds the label set of a result; `oneIndex` may be -1 when the one side was filled in. */
  add(many: LabelColumns, manyIndex: number, one: LabelColumns, oneIndex: number): number {
    const { builder, included } = this;
    const { pairs, offsets } = many;
    for (let p = offsets[manyIndex]!; p < offsets[manyIndex + 1]!; p += 2) {
      const name = pairs[p]!;
      if (this.dropped.includes(name)) continue;
      if (this.isGrouped) {
        if (included.includes(name)) continue;
      } else if (this.listed.includes(name) !== this.on) continue;
      builder.push(name, pairs[p + 1]!);
    }
    if (this.isGrouped && oneIndex >= 0) {
      for (const name of included) {
        const value = labelIdOf(one, oneIndex, name);
        if (value >= 0) builder.push(name, value);
      }
    }
    return builder.endUnsorted(this.context.space);
  }
}

/** An operation on two floats; filters answer by `kept`. */
export type Operation = (left: number, right: number) => number;

/** The function of an operator on present values, for comparisons without bool the left value. */
export function operationOf(node: Pick<BinaryNode, 'op' | 'returnBool'>): Operation {
  const { op, returnBool } = node;
  if (isComparison(op)) {
    return returnBool ? (a, b) => Number(compareScalars(op, a, b)) : (a) => a;
  }
  switch (op) {
    case '+':
      return (a, b) => a + b;
    case '-':
      return (a, b) => a - b;
    case '*':
      return (a, b) => a * b;
    case '/':
      return (a, b) => a / b;
    case '%':
      return (a, b) => a % b;
    case '^':
      return goPow;
    default:
      return goAtan2;
  }
}

/** Whether a pair of values stays in the result. */
export function keepsOf(
  node: Pick<BinaryNode, 'op' | 'returnBool'>,
): ((left: number, right: number) => boolean) | null {
  const { op, returnBool } = node;
  return isComparison(op) && !returnBool ? (a, b) => compareScalars(op, a, b) : null;
}

export function labelSetOf(context: QueryContext, labels: LabelColumns, i: number): LabelSet {
  const set: { name: string; value: string }[] = [];
  for (let p = labels.offsets[i]!; p < labels.offsets[i + 1]!; p += 2) {
    set.push({ name: context.space.text(labels.pairs[p]!), value: context.space.text(labels.pairs[p + 1]!) });
  }
  return set;
}

const LEGACY_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** A label set in braces as error texts show it. */
export function formatLabels(set: LabelSet): string {
  const parts = set.map(({ name, value }) => {
    const shown = LEGACY_NAME.test(name) ? name : goQuote(name);
    return `${shown}=${goQuote(value)}`;
  });
  return `{${parts.join(', ')}}`;
}

/** The error for two series of the one side with the same signature at one step. */
export function duplicateMatchError(
  node: BinaryNode,
  matching: Matching,
  one: RowSource,
  first: number,
  second: number,
): Error {
  const { context } = one;
  const group = formatLabels(labelSetOf(context, matching.index.columns, matching.oneKeys[first]!));
  const side = node.matching.cardinality === 'one-to-many' ? 'left' : 'right';
  const series = [first, second].map((i) => formatLabels(labelSetOf(context, one.labels, i))).sort();
  return executionError(
    `found duplicate series for the match group ${group} on the ${side} hand-side of the operation: [${series.join(', ')}];many-to-many matching not allowed: matching labels must be unique on one side`,
  );
}
