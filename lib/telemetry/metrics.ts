import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds; from a cached answer to a query that hits its timeout. */
const DURATION_BUCKETS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120,
];

/** A counter bound to its labels once, so that the hot path only adds. */
export interface BoundCounter {
  inc(amount?: number): void;
}

export interface BoundHistogram {
  observe(value: number): void;
}

/**
 * The metrics of a process, all named `varve_…` except the usual `process_…` and `nodejs_…`. Every folder that counts
 * something asks for its metrics here, keeps the bound children and never looks a label up per request.
 */
export class Metrics {
  readonly #registry = new Registry();

  constructor(options: { readonly withProcessMetrics: boolean; readonly version: string }) {
    if (options.withProcessMetrics) collectDefaultMetrics({ register: this.#registry });
    this.gauge('varve_build_info', 'Always 1; the labels say which build runs.', ['version', 'node'])
      .labels(options.version, process.version)
      .set(1);
  }

  counter<Label extends string>(name: string, help: string, labels: readonly Label[] = []): Counter<Label> {
    return new Counter({ name, help, labelNames: labels, registers: [this.#registry] });
  }

  /** @param collect called before each scrape to set the value */
  gauge<Label extends string>(
    name: string,
    help: string,
    labels: readonly Label[] = [],
    collect?: (gauge: Gauge<Label>) => void,
  ): Gauge<Label> {
    const options = { name, help, labelNames: labels, registers: [this.#registry] };
    if (collect === undefined) return new Gauge(options);
    return new Gauge({
      ...options,
      collect(this: Gauge<Label>) {
        collect(this);
      },
    });
  }

  histogram<Label extends string>(
    name: string,
    help: string,
    labels: readonly Label[] = [],
    buckets: readonly number[] = DURATION_BUCKETS,
  ): Histogram<Label> {
    return new Histogram({
      name,
      help,
      labelNames: labels,
      buckets: [...buckets],
      registers: [this.#registry],
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything in the text format. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }
}
