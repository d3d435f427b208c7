import type { LabelSet } from '../labels/index.js';
import { ProtobufWriter } from './protobuf-writer.js';
import type { WriteHistogram, WriteSpan } from './remote-write1.js';

/**
 * Metrics as scrapers read them in protobuf (`io.prometheus.client.MetricFamily`, proto2):
 *
 *   MetricFamily { name 1; type 3 enum; metric 4 repeated Metric }
 *   Metric       { label 1 repeated LabelPair { name 1; value 2 }; untyped 5 { value 1 double }; timestamp_ms 6;
 *                  histogram 7 }
 *   Histogram    { sample_count 1 uint64; sample_sum 2; sample_count_float 4; schema 5 sint32; zero_threshold 6;
 *                  zero_count 7 uint64; zero_count_float 8; negative_span 9, _delta 10, _count 11; positive_span 12,
 *                  _delta 13, _count 14 }                       BucketSpan { offset 1 sint32; length 2 uint32 }
 */
const TYPES = { untyped: 3, histogram: 4, gauge_histogram: 5 } as const;

export interface ExposedMetric {
  readonly labels: LabelSet;
  readonly timestampMs: number;
  readonly value: number | WriteHistogram;
}

/** One MetricFamily, without the length that goes before it in a stream. */
export function encodeMetricFamily(
  name: string,
  type: keyof typeof TYPES,
  metrics: readonly ExposedMetric[],
): Uint8Array {
  const out = new ProtobufWriter();
  out.string(1, name);
  out.varint(3, TYPES[type]);
  for (const metric of metrics) out.message(4, encodeMetric(metric));
  return out.finish();
}

function encodeMetric({ labels, timestampMs, value }: ExposedMetric): Uint8Array {
  const out = new ProtobufWriter();
  for (const label of labels) {
    const pair = new ProtobufWriter();
    pair.string(1, label.name);
    // proto2: what is set is written, also when empty.
    pair.message(2, new TextEncoder().encode(label.value));
    out.message(1, pair.finish());
  }
  if (typeof value === 'number') {
    const untyped = new ProtobufWriter();
    untyped.presentDouble(1, value);
    out.message(5, untyped.finish());
  }
  out.presentVarint(6, timestampMs);
  if (typeof value !== 'number') out.message(7, encodeHistogram(value));
  return out.finish();
}

function encodeHistogram(histogram: WriteHistogram): Uint8Array {
  const out = new ProtobufWriter();
  if (!histogram.isFloat) out.presentVarint(1, histogram.count);
  out.presentDouble(2, histogram.sum);
  if (histogram.isFloat) out.presentDouble(4, histogram.count);
  out.presentZigzag(5, histogram.schema);
  out.presentDouble(6, histogram.zeroThreshold);
  if (histogram.isFloat) out.presentDouble(8, histogram.zeroCount);
  else out.presentVarint(7, histogram.zeroCount);
  for (const span of histogram.negativeSpans) out.message(9, encodeSpan(span));
  for (const delta of histogram.negativeDeltas) out.presentZigzag(10, delta);
  for (const count of histogram.negativeCounts) out.presentDouble(11, count);
  for (const span of histogram.positiveSpans) out.message(12, encodeSpan(span));
  for (const delta of histogram.positiveDeltas) out.presentZigzag(13, delta);
  for (const count of histogram.positiveCounts) out.presentDouble(14, count);
  return out.finish();
}

function encodeSpan(span: WriteSpan): Uint8Array {
  const out = new ProtobufWriter();
  out.presentZigzag(1, span.offset);
  out.presentVarint(2, span.length);
  return out.finish();
}
