import type { FloatHistogram } from '../../histogram/index.js';
import {
  evaluateDate,
  goAcos,
  goAcosh,
  goAsin,
  goAsinh,
  goAtan,
  goCos,
  goCosh,
  goExp,
  goLog,
  goLog2,
  goLog10,
  goMax,
  goMin,
  goSin,
  goSinh,
  goTan,
  goTanh,
} from '../func/index.js';
import { ELEMENT } from './element.js';
import { floatsOnly } from './float-view.js';
import { type Block, RowSource, reserveBlock } from './source.js';

/**
 * Functions of one element: applied to whole blocks, absent elements included (their values do not matter), so the
 * loops have no branches on presence.
 */
export type BlockFunction = (values: Float64Array, from: number, to: number, steps: number) => void;

export type HistogramFunction = (histogram: FloatHistogram) => FloatHistogram;

/** Rows of another source after a function was applied to every value. */
export class ElementRows extends RowSource {
  readonly isScratch = true;
  protected readonly child: RowSource;
  private readonly apply: BlockFunction;
  private readonly applyToHistogram: HistogramFunction | null;
  private readonly own: Block | null;

  /** @param applyToHistogram the same for histograms; without it they are left out */
  constructor(source: RowSource, apply: BlockFunction, applyToHistogram: HistogramFunction | null = null) {
    const child = applyToHistogram === null ? floatsOnly(source) : source;
    super(child.context, child.labels, child.steps, child.dropMarks);
    this.child = child;
    this.apply = apply;
    this.applyToHistogram = applyToHistogram;
    const rows = Math.min(child.context.blockRows(child.steps), child.seriesCount);
    this.own = child.isScratch ? null : reserveBlock(child.context, rows, child.steps);
  }

  read(from: number, to: number): Block {
    const block = ownBlock(this.child.read(from, to), this.own, this, to - from);
    const begin = block.rows / 8;
    this.apply(this.context.kernel.f64, begin, begin + (to - from) * this.steps, this.steps);
    const { histograms } = block;
    const { applyToHistogram } = this;
    if (histograms === null || applyToHistogram === null) return block;
    const { u8 } = this.context.kernel;
    const applied = histograms.map((histogram, e) =>
      u8[block.present + e] === ELEMENT.histogram ? applyToHistogram(histogram!) : null,
    );
    return { ...block, histograms: applied };
  }

  override get mayHaveHistograms(): boolean {
    return this.child.mayHaveHistograms;
  }
}

/** A block that may be written: the one read, or a copy of it in `own`. */
export function ownBlock(read: Block, own: Block | null, source: RowSource, rows: number): Block {
  if (own === null) return read;
  const elements = rows * source.steps;
  const { u8 } = source.context.kernel;
  u8.copyWithin(own.rows, read.rows, read.rows + elements * 8);
  u8.copyWithin(own.present, read.present, read.present + elements);
  own.histograms = read.histograms;
  return own;
}

/** Applies a function of one float to each element. */
function each(fn: (x: number) => number): BlockFunction {
  return (values, from, to) => {
    for (let i = from; i < to; i++) values[i] = fn(values[i]!);
  };
}

const SIMPLE: Readonly<Record<string, (x: number) => number>> = {
  abs: Math.abs,
  acos: goAcos,
  acosh: goAcosh,
  asin: goAsin,
  asinh: goAsinh,
  atan: goAtan,
  atanh: Math.atanh,
  ceil: Math.ceil,
  cos: goCos,
  cosh: goCosh,
  deg: (x) => (x * 180) / Math.PI,
  exp: goExp,
  floor: Math.floor,
  ln: goLog,
  log10: goLog10,
  log2: goLog2,
  rad: (x) => (x * Math.PI) / 180,
  sgn: (x) => (x < 0 ? -1 : x > 0 ? 1 : x),
  sin: goSin,
  sinh: goSinh,
  sqrt: Math.sqrt,
  tan: goTan,
  tanh: goTanh,
};

/** The block function of a PromQL function with scalar rows as further arguments; null when it keeps no elements. */
export function elementFunction(func: string, args: readonly Float64Array[]): BlockFunction | null {
  const simple = SIMPLE[func];
  if (simple !== undefined) return each(simple);
  const first = args[0];
  switch (func) {
    case 'round':
      return (values, from, to, steps) => {
        for (let i = from, k = 0; i < to; i++) {
          const inverse = 1 / (first === undefined ? 1 : first[k]!);
          values[i] = Math.floor(values[i]! * inverse + 0.5) / inverse;
          if (++k === steps) k = 0;
        }
      };
    case 'clamp_min':
    case 'clamp_max': {
      const pick = func === 'clamp_min' ? clampMin : clampMax;
      return (values, from, to, steps) => {
        for (let i = from, k = 0; i < to; i++) {
          values[i] = pick(values[i]!, first![k]!);
          if (++k === steps) k = 0;
        }
      };
    }
    case 'clamp':
      return (values, from, to, steps) => {
        const upper = args[1]!;
        for (let i = from, k = 0; i < to; i++) {
          values[i] = goMax(first![k]!, goMin(upper[k]!, values[i]!));
          if (++k === steps) k = 0;
        }
      };
    case 'timestamp':
      // Without an argument the rows hold sample times already.
      return (values, from, to, steps) => {
        if (first === undefined) return;
        for (let i = from, k = 0; i < to; i++) {
          values[i] = first[k]!;
          if (++k === steps) k = 0;
        }
      };
    case 'days_in_month':
    case 'day_of_month':
    case 'day_of_week':
    case 'day_of_year':
    case 'hour':
    case 'minute':
    case 'month':
    case 'year':
      return each((x) => evaluateDate(func, x));
    default:
      return null;
  }
}

function clampMin(value: number, bound: number): number {
  return goMax(bound, goMin(Infinity, value));
}

function clampMax(value: number, bound: number): number {
  return goMax(-Infinity, goMin(bound, value));
}
