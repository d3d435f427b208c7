import type { Metrics } from '../telemetry/index.js';
import { blockCreationTime } from '../tsdb/block/index.js';
import type { LocalBlock } from './local-blocks.js';

/** What the shipper counts. */
export class ShipperMetrics {
  readonly uploads;
  readonly failures;
  readonly bytes;
  readonly lastSuccess;

  /** @param unshipped blocks that are not in the bucket, by tenant */
  constructor(metrics: Metrics, unshipped: () => Iterable<readonly [string, readonly LocalBlock[]]>) {
    const name = (rest: string) => `varve_ingester_shipper_${rest}`;
    this.uploads = metrics.counter(name('uploads_total'), 'Blocks stored in the bucket.');
    this.failures = metrics.counter(
      name('upload_failures_total'),
      'Attempts to store a block, or to look after a stored one, that failed; they are repeated.',
    );
    this.bytes = metrics.counter(name('uploaded_bytes_total'), 'Bytes of blocks stored in the bucket.');
    this.lastSuccess = metrics.gauge(
      name('last_successful_upload_timestamp_seconds'),
      'When a block was last stored in the bucket; 0 before the first.',
    );
    const gauge = (rest: string, help: string, value: (blocks: readonly LocalBlock[]) => number) => {
      metrics.gauge(name(rest), help, ['user'], (set) => {
        set.reset();
        for (const [tenant, blocks] of unshipped())
          if (blocks.length > 0) set.labels(tenant).set(value(blocks));
      });
    };
    gauge('unshipped_blocks', 'Blocks that are on this disk only.', (blocks) => blocks.length);
    gauge('unshipped_bytes', 'Bytes of blocks that are on this disk only.', (blocks) =>
      blocks.reduce((sum, block) => sum + block.byteCount, 0),
    );
    gauge(
      'oldest_unshipped_timestamp_seconds',
      'When the oldest block that is on this disk only was cut.',
      (blocks) => Math.min(...blocks.map(({ ulid }) => blockCreationTime(ulid) / 1000)),
    );
  }
}
