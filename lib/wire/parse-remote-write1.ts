import type { Label } from '../labels/index.js';
import { readMessage } from './protobuf-reader.js';
import type {
  WriteExemplar,
  WriteHistogram,
  WriteMetadata,
  WriteRequest,
  WriteSample,
  WriteSeries,
  WriteSpan,
} from './remote-write1.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Parses a remote write 1.0 message, already decompressed: the slow and obvious reference. Labels and samples come as
 * they stand, unknown fields are skipped.
 * @throws VarveError `protobuf-malformed` of kind client: cut off, a wrong wire type, a string that is not UTF-8
 */
export function parseWriteRequest(bytes: Uint8Array): WriteRequest {
  const timeseries: WriteSeries[] = [];
  const metadata: WriteMetadata[] = [];
  readMessage('WriteRequest', bytes, (field) => {
    if (field.number === 1) timeseries.push(parseSeries(field.bytes()));
    else if (field.number === 3) metadata.push(parseMetadata(field.bytes()));
    else field.skip();
  });
  return { timeseries, metadata };
}

function parseSeries(bytes: Uint8Array): WriteSeries {
  const labels: Label[] = [];
  const samples: WriteSample[] = [];
  const exemplars: WriteExemplar[] = [];
  const histograms: WriteHistogram[] = [];
  readMessage('TimeSeries', bytes, (field) => {
    if (field.number === 1) labels.push(parseLabel(field.bytes()));
    else if (field.number === 2) samples.push(parseSample(field.bytes()));
    else if (field.number === 3) exemplars.push(parseExemplar(field.bytes()));
    else if (field.number === 4) histograms.push(parseHistogram(field.bytes()));
    else field.skip();
  });
  return { labels, samples, exemplars, histograms };
}

function parseLabel(bytes: Uint8Array): Label {
  const label = { name: '', value: '' };
  readMessage('Label', bytes, (field) => {
    if (field.number === 1) label.name = field.string();
    else if (field.number === 2) label.value = field.string();
    else field.skip();
  });
  return label;
}

function parseSample(bytes: Uint8Array): WriteSample {
  let bits = 0n;
  let timestampMs = 0;
  readMessage('Sample', bytes, (field) => {
    if (field.number === 1) bits = field.doubleBits();
    else if (field.number === 2) timestampMs = field.signed();
    else field.skip();
  });
  return { timestampMs, value: doubleOf(bits), bits };
}

function parseExemplar(bytes: Uint8Array): WriteExemplar {
  const labels: Label[] = [];
  let value = 0;
  let timestampMs = 0;
  readMessage('Exemplar', bytes, (field) => {
    if (field.number === 1) labels.push(parseLabel(field.bytes()));
    else if (field.number === 2) value = field.double();
    else if (field.number === 3) timestampMs = field.signed();
    else field.skip();
  });
  return { labels, value, timestampMs };
}

function parseHistogram(bytes: Uint8Array): WriteHistogram {
  const negativeSpans: WriteSpan[] = [];
  const positiveSpans: WriteSpan[] = [];
  const negativeDeltas: number[] = [];
  const positiveDeltas: number[] = [];
  const negativeCounts: number[] = [];
  const positiveCounts: number[] = [];
  const customValues: number[] = [];
  const scalars: Mutable<
    Pick<
      WriteHistogram,
      'isFloat' | 'count' | 'schema' | 'zeroThreshold' | 'zeroCount' | 'resetHint' | 'timestampMs'
    >
  > = { isFloat: false, count: 0, schema: 0, zeroThreshold: 0, zeroCount: 0, resetHint: 0, timestampMs: 0 };
  let sumBits = 0n;
  readMessage('Histogram', bytes, (field) => {
    switch (field.number) {
      case 1:
        scalars.count = field.unsigned();
        scalars.isFloat = false;
        break;
      case 2:
        scalars.count = field.double();
        scalars.isFloat = true;
        break;
      case 3:
        sumBits = field.doubleBits();
        break;
      case 4:
        scalars.schema = field.zigzag();
        break;
      case 5:
        scalars.zeroThreshold = field.double();
        break;
      case 6:
        scalars.zeroCount = field.unsigned();
        break;
      case 7:
        scalars.zeroCount = field.double();
        break;
      case 8:
        negativeSpans.push(parseSpan(field.bytes()));
        break;
      case 9:
        negativeDeltas.push(...field.zigzags());
        break;
      case 10:
        negativeCounts.push(...field.doubles());
        break;
      case 11:
        positiveSpans.push(parseSpan(field.bytes()));
        break;
      case 12:
        positiveDeltas.push(...field.zigzags());
        break;
      case 13:
        positiveCounts.push(...field.doubles());
        break;
      case 14:
        scalars.resetHint = field.signed();
        break;
      case 15:
        scalars.timestampMs = field.signed();
        break;
      case 16:
        customValues.push(...field.doubles());
        break;
      default:
        field.skip();
    }
  });
  return {
    ...scalars,
    sum: doubleOf(sumBits),
    sumBits,
    negativeSpans,
    positiveSpans,
    negativeDeltas,
    positiveDeltas,
    negativeCounts,
    positiveCounts,
    customValues,
  };
}

function parseSpan(bytes: Uint8Array): WriteSpan {
  const span = { offset: 0, length: 0 };
  readMessage('BucketSpan', bytes, (field) => {
    if (field.number === 1) span.offset = field.zigzag();
    else if (field.number === 2) span.length = field.unsigned();
    else field.skip();
  });
  return span;
}

function parseMetadata(bytes: Uint8Array): WriteMetadata {
  const metadata = { type: 0, metricFamilyName: '', help: '', unit: '' };
  readMessage('MetricMetadata', bytes, (field) => {
    if (field.number === 1) metadata.type = field.signed();
    else if (field.number === 2) metadata.metricFamilyName = field.string();
    else if (field.number === 4) metadata.help = field.string();
    else if (field.number === 5) metadata.unit = field.string();
    else field.skip();
  });
  return metadata;
}

function doubleOf(bits: bigint): number {
  return new Float64Array(BigUint64Array.of(bits).buffer)[0]!;
}
