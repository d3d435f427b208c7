import { goQuote, type PositionRange } from '../parse/index.js';
import type { Annotations } from './annotations.js';

type Operation = 'addition' | 'subtraction' | 'aggregation';

/**
 * Notes about the histograms of one series (spec: promql-errors.md §5), at the position of the expression that reads
 * them.
 */
export class SampleNotes {
  readonly #annotations: Annotations;
  readonly #pos: PositionRange;
  /** Quoted. */
  readonly #metric: string;

  constructor(annotations: Annotations, pos: PositionRange, metric: string) {
    this.#annotations = annotations;
    this.#pos = pos;
    this.#metric = goQuote(metric);
  }

  mixedKinds(): void {
    this.#warn(`encountered a mix of histograms and floats for metric name ${this.#metric}`);
  }

  mixedSchemas(): void {
    this.#warn(
      `vector contains a mix of histograms with exponential and custom buckets schemas for metric name ${this.#metric}`,
    );
  }

  notCounter(): void {
    this.#warn(`this native histogram metric is not a counter: ${this.#metric}`);
  }

  notGauge(): void {
    this.#warn(`this native histogram metric is not a gauge: ${this.#metric}`);
  }

  collision(): void {
    this.#warn('conflicting counter resets during histogram aggregation');
  }

  reconciled(operation: Operation): void {
    this.#info(`mismatched custom buckets were reconciled during ${operation}`);
  }

  ignored(): void {
    this.#info(
      `ignored histograms in a range containing both floats and histograms for metric name ${this.#metric}`,
    );
  }

  /** A start time before the sample in front of it; counted. */
  overlap(): void {
    const text = `sample has start time that overlaps with previous sample timestamp for metric ${this.#metric}`;
    this.#annotations.warnCounted(text, this.#pos);
  }

  #warn(text: string): void {
    this.#annotations.warn(text, this.#pos);
  }

  #info(text: string): void {
    this.#annotations.info(text, this.#pos);
  }
}
