import type { Metrics } from '../telemetry/index.js';
import type { BucketRequest } from './s3-bucket.js';

/** Seconds; from a small object of a store nearby to a part of a large one. */
const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const OPERATIONS: Readonly<Record<BucketRequest['operation'], string>> = {
  get: 'get',
  getRange: 'get_range',
  put: 'put',
  putPart: 'put_part',
  list: 'list',
  delete: 'delete',
  stat: 'stat',
};

/**
 * Counts requests to a store, each repetition by itself. The answer is the observer that `openBucket` takes.
 * Seven operations with two results: some 110 series for each process.
 */
export function bucketMetrics(metrics: Metrics): (request: BucketRequest) => void {
  const requests = metrics.counter(
    'varve_bucket_requests_total',
    'Requests to the object store, repetitions counted; result is success or error. A missing object is no error.',
    ['operation', 'result'],
  );
  const duration = metrics.histogram(
    'varve_bucket_request_duration_seconds',
    'Time of a request to the object store, body included.',
    ['operation'],
    DURATION_BUCKETS,
  );
  const transferred = metrics.counter(
    'varve_bucket_transferred_bytes_total',
    'Bytes of bodies that went from (received) and to (sent) the object store.',
    ['direction'],
  );
  const [received, sent] = [transferred.labels('received'), transferred.labels('sent')];
  const bound = new Map(
    Object.entries(OPERATIONS).map(([operation, label]) => [
      operation,
      {
        success: requests.labels(label, 'success'),
        error: requests.labels(label, 'error'),
        duration: duration.labels(label),
        bytes: operation === 'put' || operation === 'putPart' ? sent : received,
      },
    ]),
  );
  return ({ operation, seconds, byteCount, ok }) => {
    const own = bound.get(operation)!;
    (ok ? own.success : own.error).inc();
    own.duration.observe(seconds);
    if (byteCount > 0) own.bytes.inc(byteCount);
  };
}
