import type { LabelSet } from '../labels/index.js';
import { ProtobufWriter } from './protobuf-writer.js';
import type {
  WriteExemplar,
  WriteHistogram,
  WriteMetadata,
  WriteRequest,
  WriteSample,
  WriteSeries,
  WriteSpan,
} from './remote-write1.js';

/**
 * Encodes a remote write 1.0 message, not yet compressed. Everything is written as it is given, in that order, also
 * labels that no receiver may accept. The result belongs to the caller.
 */
export function encodeWriteRequest(request: WriteRequest): Uint8Array {
  const out = new ProtobufWriter();
  for (const series of request.timeseries) out.message(1, encodeSeries(series));
  for (const metadata of request.metadata) out.message(3, encodeMetadata(metadata));
  return out.finish();
}

function encodeSeries(series: WriteSeries): Uint8Array {
  const out = new ProtobufWriter();
  encodeLabels(out, series.labels);
  for (const sample of series.samples) out.message(2, encodeSample(sample));
  for (const exemplar of series.exemplars) out.message(3, encodeExemplar(exemplar));
  for (const histogram of series.histograms) out.message(4, encodeHistogram(histogram));
  return out.finish();
}

function encodeLabels(out: ProtobufWriter, labels: LabelSet): void {
  for (const { name, value } of labels) {
    const label = new ProtobufWriter();
    label.string(1, name);
    label.string(2, value);
    out.message(1, label.finish());
  }
}

function encodeSample(sample: WriteSample): Uint8Array {
  const out = new ProtobufWriter();
  if (sample.bits === undefined) out.double(1, sample.value);
  else out.doubleBits(1, sample.bits);
  out.varint(2, sample.timestampMs);
  return out.finish();
}

function encodeExemplar(exemplar: WriteExemplar): Uint8Array {
  const out = new ProtobufWriter();
  encodeLabels(out, exemplar.labels);
  out.double(2, exemplar.value);
  out.varint(3, exemplar.timestampMs);
  return out.finish();
}

/** One Histogram message. */
export function encodeHistogram(histogram: WriteHistogram): Uint8Array {
  const out = new ProtobufWriter();
  // Members of a oneof are present even when 0: they say which kind of histogram this is.
  if (histogram.isFloat) out.presentDouble(2, histogram.count);
  else out.presentVarint(1, histogram.count);
  if (histogram.sumBits === undefined) out.double(3, histogram.sum);
  else out.doubleBits(3, histogram.sumBits);
  out.zigzag(4, histogram.schema);
  out.double(5, histogram.zeroThreshold);
  if (histogram.isFloat) out.presentDouble(7, histogram.zeroCount);
  else out.presentVarint(6, histogram.zeroCount);
  for (const span of histogram.negativeSpans) out.message(8, encodeSpan(span));
  out.packedZigzags(9, histogram.negativeDeltas);
  out.packedDoubles(10, histogram.negativeCounts);
  for (const span of histogram.positiveSpans) out.message(11, encodeSpan(span));
  out.packedZigzags(12, histogram.positiveDeltas);
  out.packedDoubles(13, histogram.positiveCounts);
  out.varint(14, histogram.resetHint);
  out.varint(15, histogram.timestampMs);
  out.packedDoubles(16, histogram.customValues);
  return out.finish();
}

function encodeSpan(span: WriteSpan): Uint8Array {
  const out = new ProtobufWriter();
  out.zigzag(1, span.offset);
  out.varint(2, span.length);
  return out.finish();
}

function encodeMetadata(metadata: WriteMetadata): Uint8Array {
  const out = new ProtobufWriter();
  out.varint(1, metadata.type);
  out.string(2, metadata.metricFamilyName);
  out.string(4, metadata.help);
  out.string(5, metadata.unit);
  return out.finish();
}
