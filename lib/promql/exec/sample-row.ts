import type { FloatHistogram } from '../../histogram/index.js';
import type { QueryContext } from './context.js';
import type { Block } from './source.js';

/** A row of a block under construction: writes floats and histograms to the steps of one series. */
export class SampleRow {
  readonly #block: Block;
  readonly #context: QueryContext;
  #at = 0;
  #steps = 0;
  /** Elements written since `begin`. */
  count = 0;

  /** @param block its histograms must not be null when any are written */
  constructor(context: QueryContext, block: Block) {
    this.#context = context;
    this.#block = block;
  }

  /** Begins with row i of the block: no step has a value. */
  begin(i: number, steps: number): void {
    this.#at = i * steps;
    this.#steps = steps;
    this.count = 0;
    const present = this.#block.present + this.#at;
    this.#context.kernel.u8.fill(0, present, present + this.#steps);
  }

  float(k: number, value: number): void {
    const { f64, u8 } = this.#context.kernel;
    f64[this.#block.rows / 8 + this.#at + k] = value;
    u8[this.#block.present + this.#at + k] = 1;
    this.count++;
  }

  histogram(k: number, histogram: FloatHistogram): void {
    this.#context.kernel.u8[this.#block.present + this.#at + k] = 2;
    this.#block.histograms![this.#at + k] = histogram;
    this.count++;
  }

  /** Writes sample i of a series. */
  sample(k: number, value: number, histogram: FloatHistogram | null): void {
    if (histogram === null) this.float(k, value);
    else this.histogram(k, histogram);
  }
}
