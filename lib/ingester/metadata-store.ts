/** Type, help and unit of a metric, as senders told them. */
export interface MetricMetadata {
  readonly type: string;
  readonly help: string;
  readonly unit: string;
}

/**
 * Metadata of the metrics of one tenant, in memory only: senders repeat it every minute. Per metric the newest few distinct
 * entries are kept, most recent first.
 */
export class MetadataStore {
  readonly #entries = new Map<string, MetricMetadata[]>();

  /**
   * Takes one entry in. Returns false when the tenant has `metricsMax` metrics already (0 for no limit).
   */
  record(metric: string, metadata: MetricMetadata, metricsMax: number): boolean {
    const known = this.#entries.get(metric);
    if (known === undefined) {
      if (metricsMax > 0 && this.#entries.size >= metricsMax) return false;
      this.#entries.set(metric, [metadata]);
      return true;
    }
    const same = known.findIndex(
      (entry) => entry.type === metadata.type && entry.help === metadata.help && entry.unit === metadata.unit,
    );
    if (same === 0) return true;
    if (same > 0) known.splice(same, 1);
    known.unshift(metadata);
    if (known.length > ENTRIES_PER_METRIC_MAX) known.pop();
    return true;
  }

  get entries(): ReadonlyMap<string, readonly MetricMetadata[]> {
    return this.#entries;
  }
}

const ENTRIES_PER_METRIC_MAX = 10;
