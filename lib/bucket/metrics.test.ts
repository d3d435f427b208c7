import { expect, test } from '@jest/globals';
import { Metrics } from '../telemetry/index.js';
import { bucketMetrics } from './metrics.js';

test('requests are counted by operation and result, bytes by direction', async () => {
  const metrics = new Metrics({ withProcessMetrics: false, version: 'test' });
  const observe = bucketMetrics(metrics);
  observe({ operation: 'get', seconds: 0.02, byteCount: 100, ok: true });
  observe({ operation: 'getRange', seconds: 0.02, byteCount: 50, ok: true });
  observe({ operation: 'getRange', seconds: 3, byteCount: 0, ok: false });
  observe({ operation: 'putPart', seconds: 0.3, byteCount: 7, ok: true });
  observe({ operation: 'stat', seconds: 0.001, byteCount: 0, ok: true });
  const lines = (await metrics.render()).split('\n').filter((line) => /^varve_bucket_.* [1-9]/.test(line));
  expect(lines.filter((line) => !/_bucket\{|_sum/.test(line))).toEqual([
    'varve_bucket_requests_total{operation="get",result="success"} 1',
    'varve_bucket_requests_total{operation="get_range",result="success"} 1',
    'varve_bucket_requests_total{operation="get_range",result="error"} 1',
    'varve_bucket_requests_total{operation="put_part",result="success"} 1',
    'varve_bucket_requests_total{operation="stat",result="success"} 1',
    'varve_bucket_request_duration_seconds_count{operation="get"} 1',
    'varve_bucket_request_duration_seconds_count{operation="get_range"} 2',
    'varve_bucket_request_duration_seconds_count{operation="put_part"} 1',
    'varve_bucket_request_duration_seconds_count{operation="stat"} 1',
    'varve_bucket_transferred_bytes_total{direction="received"} 150',
    'varve_bucket_transferred_bytes_total{direction="sent"} 7',
  ]);
});
