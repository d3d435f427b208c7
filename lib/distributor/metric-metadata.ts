import { VarveError } from '../errors/index.js';

/** Message prometheus.MetricMetadata of remote write 1.0: type 1 enum, metric_family_name 2, help 4, unit 5. */
export interface MetricMetadataEntry {
  type: string;
  metricFamilyName: string;
  help: string;
  unit: string;
}

const TYPES = [
  'unknown',
  'counter',
  'gauge',
  'histogram',
  'gaugehistogram',
  'summary',
  'info',
  'stateset',
] as const;

/** @throws VarveError client `write-request-malformed` */
export function parseMetricMetadata(bytes: Uint8Array): MetricMetadataEntry {
  const entry: MetricMetadataEntry = { type: 'unknown', metricFamilyName: '', help: '', unit: '' };
  let at = 0;
  const varint = (): number => {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10 && at < bytes.length; i++) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw malformed();
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag & 7;
    const field = Math.floor(tag / 8);
    const isText = field === 2 || field === 4 || field === 5;
    if (field === 0 || (field === 1 && wire !== 0) || (isText && wire !== 2)) throw malformed();
    if (wire === 0) {
      const value = varint();
      if (tag === 0x08) entry.type = TYPES[value] ?? 'unknown';
    } else if (wire === 2) {
      const length = varint();
      if (length > bytes.length - at) throw malformed();
      const text = Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString('utf8');
      at += length;
      if (tag === 0x12) entry.metricFamilyName = text;
      else if (tag === 0x22) entry.help = text;
      else if (tag === 0x2a) entry.unit = text;
    } else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else throw malformed();
    if (at > bytes.length) throw malformed();
  }
  return entry;
}

function malformed(): VarveError {
  return new VarveError(
    'client',
    'write-request-malformed',
    'protobuf: metadata is not a prometheus.MetricMetadata',
  );
}
