import { formatG } from '../func/index.js';
import type { PositionRange } from '../parse/index.js';
import type { QueryContext } from './context.js';
import { labelIdOf } from './label-columns.js';
import { type Block, RowSource } from './source.js';

const COUNTER_SUFFIXES = ['_total', '_sum', '_count', '_bucket'];

/**
 * Notes series that rate or increase was applied to although they do not look like counters. Only series that have a
 * result are noted; each metric name (or type) is looked at until it was noted once.
 */
export class CounterHintRows extends RowSource {
  readonly isScratch: boolean;
  private readonly child: RowSource;
  private readonly pos: PositionRange;
  private readonly nameId: number;
  private readonly typeId: number;
  /** Per name (and type): true when it needs no note, or has one. */
  private readonly settled = new Map<string, boolean>();

  constructor(child: RowSource, pos: PositionRange) {
    super(child.context, child.labels, child.steps, child.dropMarks);
    this.child = child;
    this.isScratch = child.isScratch;
    this.pos = pos;
    this.nameId = child.context.space.find('__name__');
    this.typeId = child.context.features.typeAndUnitLabels ? child.context.space.find('__type__') : -1;
    this.context.readsAllRows ||= this.hasSuspect();
  }

  private hasSuspect(): boolean {
    const seen = new Set<string>();
    for (let i = 0; i < this.seriesCount; i++) {
      const name = labelIdOf(this.labels, i, this.nameId);
      const type = this.typeId < 0 ? -1 : labelIdOf(this.labels, i, this.typeId);
      const key = `${name} ${type}`;
      if (seen.has(key)) continue;
      seen.add(key);
      if (hintText(this.context, name, type) !== null) return true;
    }
    return false;
  }

  override get mayHaveHistograms(): boolean {
    return this.child.mayHaveHistograms;
  }

  read(from: number, to: number): Block {
    const block = this.child.read(from, to);
    let lastName = -2;
    let lastType = -2;
    for (let i = from; i < to; i++) {
      const name = labelIdOf(this.labels, i, this.nameId);
      const type = this.typeId < 0 ? -1 : labelIdOf(this.labels, i, this.typeId);
      if (name === lastName && type === lastType) continue;
      if (this.check(name, type, block.present + (i - from) * this.steps)) {
        lastName = name;
        lastType = type;
      }
    }
    return block;
  }

  /** Whether this name and type need no further look. */
  private check(name: number, type: number, present: number): boolean {
    const key = `${name} ${type}`;
    if (this.settled.has(key)) return true;
    const text = hintText(this.context, name, type);
    if (text !== null) {
      const { u8 } = this.context.kernel;
      if (u8.subarray(present, present + this.steps).indexOf(1) < 0) return false;
      this.context.annotations.info(text, this.pos);
    }
    this.settled.set(key, true);
    return true;
  }
}

function hintText(context: QueryContext, name: number, type: number): string | null {
  if (name < 0) return null;
  const metric = context.space.text(name);
  if (context.features.typeAndUnitLabels) {
    const typeText = type < 0 ? '' : context.space.text(type);
    if (typeText === 'counter' || typeText === 'histogram') return null;
    return `metric might not be a counter, __type__ label is not set to "counter" or "histogram", got ${JSON.stringify(typeText)}: ${JSON.stringify(metric)}`;
  }
  if (metric === '' || COUNTER_SUFFIXES.some((suffix) => metric.endsWith(suffix))) return null;
  return `metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ${JSON.stringify(metric)}`;
}

/** Warns about quantiles outside [0, 1], at steps where some series has a result. */
export class QuantileHintRows extends RowSource {
  readonly isScratch: boolean;
  private readonly child: RowSource;
  private readonly pos: PositionRange;
  /** Steps with a bad quantile that was not warned about, by quantile. */
  private readonly badSteps = new Map<number, number[]>();

  constructor(child: RowSource, quantiles: Float64Array, pos: PositionRange) {
    super(child.context, child.labels, child.steps, child.dropMarks);
    this.child = child;
    this.isScratch = child.isScratch;
    this.pos = pos;
    quantiles.forEach((q, k) => {
      if (q >= 0 && q <= 1) return;
      const steps = this.badSteps.get(q);
      if (steps === undefined) this.badSteps.set(q, [k]);
      else steps.push(k);
    });
    if (this.badSteps.size > 0) this.context.readsAllRows = true;
  }

  read(from: number, to: number): Block {
    const block = this.child.read(from, to);
    const { u8 } = this.context.kernel;
    for (const [q, steps] of this.badSteps) {
      for (let i = 0; i < to - from; i++) {
        const present = block.present + i * this.steps;
        if (!steps.some((k) => u8[present + k] !== 0)) continue;
        const text = `quantile value should be between 0 and 1, got ${formatG(q)}`;
        this.context.annotations.warn(text, this.pos);
        this.badSteps.delete(q);
        break;
      }
    }
    return block;
  }
}
