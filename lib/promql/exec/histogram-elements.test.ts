import { describe, expect, test } from '@jest/globals';
import {
  equalHistograms,
  type FloatHistogram,
  parseHistogramNotation,
  RESET_HINT,
} from '../../histogram/index.js';
import { QueryKernel } from '../../kernel/index.js';
import type { BinaryOperator } from '../parse/index.js';
import { Annotations } from './annotations.js';
import { QueryContext } from './context.js';
import { ELEMENT } from './element.js';
import { ElementOperator, ILLEGAL } from './element-operator.js';
import { ElementRows } from './elements.js';
import { floatsOnly, presenceOnly } from './float-view.js';
import { histogramNumberRows } from './histogram-values.js';
import { LabelBuilder } from './label-columns.js';
import { MaterialRows, noHistograms, type RowSource, reserveBlock } from './source.js';
import { SymbolSpace } from './symbol-space.js';

function contextOf(): QueryContext {
  return new QueryContext(
    new QueryKernel(64 * 1024 * 1024),
    new SymbolSpace(),
    new Annotations('query'),
    { delayedNameRemoval: false, typeAndUnitLabels: false, startTimestamps: false },
    { samplesMax: 1e6, isCancelled: () => false, deadlineMs: Infinity },
  );
}

function histogram(text: string): FloatHistogram {
  const parsed = parseHistogramNotation(`{{${text}}}`);
  if (parsed === null) throw new Error(text);
  return parsed;
}

type Element = number | FloatHistogram | null;

/** Series without labels but for a number, one per row of elements. */
function rowsOf(context: QueryContext, rows: readonly (readonly Element[])[]): MaterialRows {
  const steps = rows[0]!.length;
  const block = reserveBlock(context, rows.length, steps);
  const builder = new LabelBuilder(rows.length);
  const { f64, u8 } = context.kernel;
  rows.forEach((row, i) => {
    builder.push(context.space.intern('i'), context.space.intern(String(i)));
    builder.end();
    row.forEach((element, k) => {
      const at = i * steps + k;
      u8[block.present + at] = element === null ? ELEMENT.none : ELEMENT.float;
      if (typeof element === 'number') f64[block.rows / 8 + at] = element;
      else if (element !== null) {
        u8[block.present + at] = ELEMENT.histogram;
        block.histograms ??= noHistograms(rows.length * steps);
        block.histograms[at] = element;
      }
    });
  });
  return new MaterialRows(context, builder.columns, steps, null, block);
}

function elementsOf(source: RowSource): Element[][] {
  const { f64, u8 } = source.context.kernel;
  return Array.from({ length: source.seriesCount }, (_, i) => {
    const block = source.read(i, i + 1);
    return Array.from({ length: source.steps }, (_, k) => {
      const present = u8[block.present + k];
      if (present === ELEMENT.none) return null;
      return present === ELEMENT.histogram ? block.histograms![k]! : f64[block.rows / 8 + k]!;
    });
  });
}

const H = histogram('schema:0 count:3 sum:3 buckets:[1 2]');
const DOUBLE = histogram('schema:0 count:6 sum:6 buckets:[2 4]');
const HALF = histogram('schema:0 count:1.5 sum:1.5 buckets:[0.5 1]');
const CUSTOM = histogram('schema:-53 count:3 sum:3 custom_values:[1 2] buckets:[1 2]');
const EMPTY = histogram('schema:0');

describe('operators on elements', () => {
  const operate = (op: BinaryOperator, left: Element, right: Element, returnBool = false) => {
    const context = contextOf();
    const operator = new ElementOperator(context, { op, returnBool, pos: { start: 0, end: 5 } });
    const split = (element: Element): [number, FloatHistogram | null] =>
      typeof element === 'number' ? [element, null] : [0, element];
    const kind = operator.apply(...split(left), ...split(right));
    operator.endStep();
    const notes = [...context.annotations.listWarnings(), ...context.annotations.listInfos()];
    const result =
      kind === ELEMENT.float ? operator.value : kind === ELEMENT.histogram ? operator.histogram : kind;
    return { result, notes };
  };

  test.each<[string, BinaryOperator, Element, Element, FloatHistogram]>([
    ['sum', '+', H, H, DOUBLE],
    ['difference, without empty buckets', '-', H, H, EMPTY],
    ['product with a float', '*', H, 2, DOUBLE],
    ['product with a float on the left', '*', 2, H, DOUBLE],
    ['quotient', '/', H, 2, HALF],
    ['equal', '==', H, H, H],
    ['not equal', '!=', H, DOUBLE, H],
    ['trim that keeps all', '</', H, 2, H],
  ])('%s', (_, op, left, right, expected) => {
    const { result, notes } = operate(op, left, right);
    expect(equalHistograms(result as FloatHistogram, expected)).toBe(true);
    expect(notes).toEqual([]);
  });

  test('a difference is a gauge, and so is a product with a negative number', () => {
    expect((operate('-', H, H).result as FloatHistogram).hint).toBe(RESET_HINT.gauge);
    expect((operate('*', H, -1).result as FloatHistogram).hint).toBe(RESET_HINT.gauge);
    expect((operate('*', H, 1).result as FloatHistogram).hint).toBe(RESET_HINT.unknown);
  });

  test.each<[BinaryOperator, Element, Element, boolean, number]>([
    ['==', H, DOUBLE, false, ELEMENT.none],
    ['!=', H, H, false, ELEMENT.none],
    ['==', H, H, true, 1],
    ['!=', H, H, true, 0],
    ['<', 1, 2, false, 1],
    ['<', 2, 1, true, 0],
  ])('comparison %s, case %#', (op, left, right, returnBool, expected) => {
    expect(operate(op, left, right, returnBool)).toEqual({ result: expected, notes: [] });
  });

  const ops: BinaryOperator[] = [
    '+',
    '-',
    '*',
    '/',
    '%',
    '^',
    'atan2',
    '==',
    '!=',
    '<',
    '<=',
    '>',
    '>=',
    '</',
    '>/',
  ];
  const legal: Readonly<Record<string, readonly BinaryOperator[]>> = {
    'float histogram': ['*'],
    'histogram float': ['*', '/', '</', '>/'],
    'histogram histogram': ['+', '-', '==', '!='],
    'float float': ops.slice(0, -2),
  };
  test.each(Object.keys(legal))('%s pairs that have no meaning leave a note only', (kinds) => {
    const [left, right] = kinds.split(' ') as [string, string];
    const element = (kind: string): Element => (kind === 'float' ? 1 : H);
    for (const op of ops) {
      const { result, notes } = operate(op, element(left), element(right));
      if (legal[kinds]!.includes(op)) expect(notes).toEqual([]);
      else {
        const text = `PromQL info: incompatible sample types encountered for binary operator "${op}": ${left} ${op} ${right} (1:1)`;
        expect({ result, notes }).toEqual({ result: ILLEGAL, notes: [text] });
      }
    }
  });

  test('exponential and custom buckets have no sum', () => {
    const text = 'PromQL warning: incompatible bucket layout encountered for binary operator - (1:1)';
    expect(operate('-', H, CUSTOM)).toEqual({ result: ILLEGAL, notes: [text] });
  });

  test('contradicting hints leave the pair out', () => {
    const text = 'PromQL warning: conflicting counter resets during histogram addition (1:1)';
    const pair = [H.withHint(RESET_HINT.reset), H.withHint(RESET_HINT.notReset)] as const;
    expect(operate('+', ...pair)).toEqual({ result: ILLEGAL, notes: [text] });
  });

  test('the last note of a step is the one that is reported', () => {
    const context = contextOf();
    const operator = new ElementOperator(context, { op: '+', returnBool: false, pos: { start: 0, end: 5 } });
    operator.apply(0, H, 0, CUSTOM);
    operator.apply(0, H, 1, null);
    operator.endStep();
    expect(context.annotations.listWarnings()).toEqual([]);
    expect(context.annotations.listInfos()).toHaveLength(1);
  });
});

describe('views of mixed rows', () => {
  const rows: Element[][] = [
    [1, H, null],
    [null, 2, DOUBLE],
  ];

  test('floats only', () => {
    let blocks = 0;
    const view = floatsOnly(rowsOf(contextOf(), rows), () => blocks++);
    expect(view.mayHaveHistograms).toBe(false);
    expect(elementsOf(view)).toEqual([
      [1, null, null],
      [null, 2, null],
    ]);
    expect(blocks).toBe(2);
  });

  test('presence only', () => {
    const view = presenceOnly(rowsOf(contextOf(), rows));
    expect(view.mayHaveHistograms).toBe(false);
    expect(elementsOf(view).map((row) => row.map((element) => element !== null))).toEqual([
      [true, true, false],
      [false, true, true],
    ]);
  });

  test('sources without histograms are taken as they are', () => {
    const source = rowsOf(contextOf(), [[1, null]]);
    expect(floatsOnly(source)).toBe(source);
    expect(presenceOnly(source)).toBe(source);
  });

  test('a function that knows histograms gets them', () => {
    const source = rowsOf(contextOf(), rows);
    const twice = new ElementRows(
      source,
      (values, from, to) => {
        for (let i = from; i < to; i++) values[i]! *= 2;
      },
      () => DOUBLE,
    );
    expect(elementsOf(twice)).toEqual([
      [2, DOUBLE, null],
      [null, 4, DOUBLE],
    ]);
    // What the source holds stays as it was.
    expect(elementsOf(source)).toEqual(rows);
  });

  test.each<[string, number, number]>([
    ['histogram_count', 3, 6],
    ['histogram_sum', 3, 6],
    ['histogram_avg', 1, 1],
  ])('%s takes histograms only', (func, first, second) => {
    expect(elementsOf(histogramNumberRows(func, rowsOf(contextOf(), rows)))).toEqual([
      [null, first, null],
      [null, null, second],
    ]);
  });

  test('a histogram function of floats is empty', () => {
    expect(histogramNumberRows('histogram_count', rowsOf(contextOf(), [[1]])).seriesCount).toBe(0);
  });
});
