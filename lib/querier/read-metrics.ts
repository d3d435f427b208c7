import type { ReadCounts, ReadKind } from '../blockstore/index.js';
import type { Metrics } from '../telemetry/index.js';
import type { BlockReads } from './task.js';

const FIGURES: readonly (readonly [field: keyof ReadCounts, name: string, help: string])[] = [
  ['requests', 'fetch_requests', 'Requests to the bucket for parts of blocks.'],
  ['bytes', 'fetched_bytes', 'Bytes of blocks that came from the bucket.'],
  ['pageHits', 'cache_hits', 'Pages of blocks that were in the cache.'],
  ['pageMisses', 'cache_misses', 'Pages of blocks that were not in the cache.'],
];

/** Makes the counters of what queries read of blocks in the bucket, and returns what feeds them. */
export function blockReadMetrics(metrics: Metrics): (reads: BlockReads) => void {
  const counters = FIGURES.map(
    ([field, name, help]) =>
      [field, metrics.counter(`varve_querier_blocks_${name}_total`, help, ['kind'])] as const,
  );
  return (reads) => {
    for (const [kind, counts] of Object.entries(reads) as [ReadKind, ReadCounts][]) {
      for (const [field, counter] of counters) {
        if (counts[field] > 0) counter.labels(kind).inc(counts[field]);
      }
    }
  };
}
