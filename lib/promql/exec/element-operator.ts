import {
  addHistograms,
  compactHistogram,
  divideHistogram,
  equalHistograms,
  type FloatHistogram,
  multiplyHistogram,
  RESET_HINT,
  subtractHistograms,
  trimHistogram,
} from '../../histogram/index.js';
import { type BinaryOperator, isComparison, type PositionRange } from '../parse/index.js';
import type { QueryContext } from './context.js';
import { ELEMENT, type ElementKind } from './element.js';
import { keepsOf, type Operation, operationOf } from './matching.js';

/** What an operator is, seen from its elements. */
export interface OperatorSpec {
  readonly op: BinaryOperator;
  readonly returnBool: boolean;
  readonly pos: PositionRange;
}

/** What became of a pair of elements: nothing, because the operator is not defined for it. */
export const ILLEGAL = -1;

interface Note {
  readonly isWarning: boolean;
  readonly text: string;
}

/**
 * A binary operator on elements that may be histograms (spec: promql.md §7). The result of `apply` stands in `value` or
 * `histogram` until the next one. Of the notes of a step the last is reported, as upstream does.
 */
export class ElementOperator {
  value = 0;
  histogram: FloatHistogram | null = null;
  private readonly context: QueryContext;
  private readonly spec: OperatorSpec;
  private readonly operation: Operation;
  private readonly keeps: ((left: number, right: number) => boolean) | null;
  private note: Note | null = null;

  constructor(context: QueryContext, spec: OperatorSpec) {
    this.context = context;
    this.spec = spec;
    this.operation = operationOf(spec);
    this.keeps = keepsOf(spec);
  }

  /** Applies to two elements, each a float or a histogram: ILLEGAL, none when filtered out, or the kind of the result. */
  apply(
    left: number,
    leftHistogram: FloatHistogram | null,
    right: number,
    rightHistogram: FloatHistogram | null,
  ): ElementKind | typeof ILLEGAL {
    const { op } = this.spec;
    this.histogram = null;
    if (leftHistogram === null) {
      if (rightHistogram === null) return this.applyToFloats(left, right);
      if (op !== '*') return this.illegal('float', 'histogram');
      return this.give(multiplyHistogram(rightHistogram, left));
    }
    if (rightHistogram !== null) return this.applyToHistograms(leftHistogram, rightHistogram);
    switch (op) {
      case '*':
        return this.give(multiplyHistogram(leftHistogram, right));
      case '/':
        return this.give(divideHistogram(leftHistogram, right));
      case '</':
      case '>/':
        this.histogram = trimHistogram(leftHistogram, right, op === '</');
        return ELEMENT.histogram;
      default:
        return this.illegal('histogram', 'float');
    }
  }

  /** To be called after the elements of a step. */
  endStep(): void {
    const { note, context, spec } = this;
    if (note === null) return;
    this.note = null;
    if (note.isWarning) context.annotations.warn(note.text, spec.pos);
    else context.annotations.info(note.text, spec.pos);
  }

  private applyToFloats(left: number, right: number): ElementKind | typeof ILLEGAL {
    const { op } = this.spec;
    if (op === '</' || op === '>/') return this.illegal('float', 'float');
    if (this.keeps !== null && !this.keeps(left, right)) return ELEMENT.none;
    this.value = this.operation(left, right);
    return ELEMENT.float;
  }

  private applyToHistograms(left: FloatHistogram, right: FloatHistogram): ElementKind | typeof ILLEGAL {
    const { op, returnBool } = this.spec;
    if (isComparison(op)) {
      if (op !== '==' && op !== '!=') return this.illegal('histogram', 'histogram');
      const isKept = equalHistograms(left, right) === (op === '==');
      if (returnBool) {
        this.value = Number(isKept);
        return ELEMENT.float;
      }
      this.histogram = left;
      return isKept ? ELEMENT.histogram : ELEMENT.none;
    }
    if (op !== '+' && op !== '-') return this.illegal('histogram', 'histogram');
    const combined = op === '+' ? addHistograms(left, right) : subtractHistograms(left, right);
    if (combined === null) {
      return this.refuse(`incompatible bucket layout encountered for binary operator ${op}`);
    }
    const name = op === '+' ? 'addition' : 'subtraction';
    if (combined.isHintCollision) {
      return this.refuse(`conflicting counter resets during histogram ${name}`);
    }
    if (combined.isReconciled) {
      const text = `mismatched custom buckets were reconciled during ${name}`;
      this.note = { isWarning: false, text };
    }
    return this.give(op === '+' ? combined.histogram : combined.histogram.withHint(RESET_HINT.gauge));
  }

  private give(histogram: FloatHistogram): ElementKind {
    this.histogram = compactHistogram(histogram);
    return ELEMENT.histogram;
  }

  private illegal(left: string, right: string): typeof ILLEGAL {
    const { op } = this.spec;
    const text = `incompatible sample types encountered for binary operator "${op}": ${left} ${op} ${right}`;
    this.note = { isWarning: false, text };
    return ILLEGAL;
  }

  private refuse(text: string): typeof ILLEGAL {
    this.note = { isWarning: true, text };
    return ILLEGAL;
  }
}
