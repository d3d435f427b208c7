import { codecKernel } from '../codec.js';

/** Builds remote write 1.0 requests for tests, field by field, so that broken ones can be built as well. */

export interface TestSample {
  readonly timeMs: bigint;
  /** Bits of the value. */
  readonly bits: bigint;
}

export interface TestSeries {
  /** Written in this order. */
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly samples: readonly TestSample[];
}

/** The shortest varint, or one of `length` bytes. */
export function uvarintBytes(value: bigint, length = 0): number[] {
  const bytes: number[] = [];
  let left = BigInt.asUintN(64, value);
  while (left >= 0x80n || bytes.length + 1 < length) {
    bytes.push(Number(left & 0x7fn) | 0x80);
    left >>= 7n;
  }
  bytes.push(Number(left));
  return bytes;
}

/** A length-delimited field. */
export function bytesField(field: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([
    Buffer.from([...uvarintBytes(BigInt(field * 8 + 2)), ...uvarintBytes(BigInt(bytes.length))]),
    bytes,
  ]);
}

export function labelField(name: string, value: string): Uint8Array {
  return bytesField(
    1,
    Buffer.concat([bytesField(1, Buffer.from(name, 'utf8')), bytesField(2, Buffer.from(value, 'utf8'))]),
  );
}

/** A sample with both fields, as Go encodes it: zero values are left out. */
export function sampleField(sample: TestSample): Uint8Array {
  const parts: number[] = [];
  if (sample.bits !== 0n) {
    const bits = Buffer.alloc(8);
    bits.writeBigUInt64LE(BigInt.asUintN(64, sample.bits));
    parts.push(0x09, ...bits);
  }
  if (sample.timeMs !== 0n) parts.push(0x10, ...uvarintBytes(sample.timeMs));
  return bytesField(2, Uint8Array.from(parts));
}

export function seriesField(series: TestSeries): Uint8Array {
  return bytesField(
    1,
    Buffer.concat([
      ...series.labels.map(([name, value]) => labelField(name, value)),
      ...series.samples.map(sampleField),
    ]),
  );
}

/** The message, not compressed. */
export function writeRequest(series: readonly TestSeries[]): Uint8Array {
  return Buffer.concat(series.map(seriesField));
}

export function snappy(bytes: Uint8Array): Uint8Array {
  return codecKernel().snappyEncode(bytes);
}

const bitsView = new DataView(new ArrayBuffer(8));

/** Bits of a number. Not for NaNs whose payload matters. */
export function bitsOf(value: number): bigint {
  bitsView.setFloat64(0, value);
  return bitsView.getBigUint64(0);
}

/** Labels from an object, sorted by name. */
export function sortedLabels(labels: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
}
