import type { FloatHistogram } from '../../histogram/index.js';
import type { QueryContext } from './context.js';
import { sampleWeight } from './series-samples.js';
import type { Block } from './source.js';

/** A row of a block under construction: writes floats and histograms to the steps of one series. */
export class SampleRow {
  readonly #block: Block;
  readonly #context: QueryContext;
  #at = 0;
  #steps = 0;
  /** What the elements written to this row weigh, as samples. */
  weight = 0;

  /** @param block its histograms must not be null when any are written */
  constructor(context: QueryContext, block: Block) {
    this.#context = context;
    this.#block = block;
  }

  /** Goes to row i of the block, whatever it holds. */
  at(i: number, steps: number): void {
    this.#at = i * steps;
    this.#steps = steps;
    this.weight = 0;
  }

  /** Goes to row i of the block, where no step has a value then. */
  begin(i: number, steps: number): void {
    this.at(i, steps);
    const present = this.#block.present + this.#at;
    this.#context.kernel.u8.fill(0, present, present + this.#steps);
  }

  clear(k: number): void {
    this.#context.kernel.u8[this.#block.present + this.#at + k] = 0;
  }

  float(k: number, value: number): void {
    const { f64, u8 } = this.#context.kernel;
    f64[this.#block.rows / 8 + this.#at + k] = value;
    u8[this.#block.present + this.#at + k] = 1;
    this.weight++;
  }

  histogram(k: number, histogram: FloatHistogram): void {
    this.#context.kernel.u8[this.#block.present + this.#at + k] = 2;
    this.#block.histograms![this.#at + k] = histogram;
    this.weight += sampleWeight(histogram);
  }

  value(k: number, value: number | FloatHistogram): void {
    if (typeof value === 'number') this.float(k, value);
    else this.histogram(k, value);
  }

  /** Writes a sample: the histogram unless that is null. */
  sample(k: number, value: number, histogram: FloatHistogram | null): void {
    if (histogram === null) this.float(k, value);
    else this.histogram(k, histogram);
  }
}
