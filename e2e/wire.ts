import { createRequire } from 'node:module';

/**
 * Builds remote-write 1.0 bodies field by field, well-formed or not: an own small encoder, so that the tests do not
 * check Varve's codec with itself, and so that every kind of malformed message can be written down.
 */

interface Snappy {
  compress(input: Uint8Array): Uint8Array;
  uncompress(input: Uint8Array): Uint8Array;
}

const snappy = createRequire(import.meta.url)('snappyjs') as Snappy;

/** Bits of the stale marker, the one NaN that means "this series ended". */
export const STALE_MARKER_BITS = 0x7ff0000000000002n;

/** A float by value, or by its bits when it is a NaN whose payload matters. */
export type FloatValue = number | bigint;

export interface WireSample {
  readonly value: FloatValue;
  readonly timestampMs: number | bigint;
}

export interface WireSeries {
  readonly labels: readonly (readonly [name: string | Uint8Array, value: string | Uint8Array])[];
  readonly samples?: readonly WireSample[];
  /** Encoded Histogram messages. */
  readonly histograms?: readonly Uint8Array[];
  /** Encoded Exemplar messages. */
  readonly exemplars?: readonly Uint8Array[];
}

/** An unsigned varint; negative numbers take ten bytes, as protobuf's int64 does. */
export function varint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  while (rest >= 128n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

/** A zig-zag varint (sint32, sint64). */
export function zigzag(value: number): Uint8Array {
  return varint(value < 0 ? -value * 2 - 1 : value * 2);
}

/** A varint field. */
export function varintField(field: number, value: number | bigint): Uint8Array {
  return Buffer.concat([varint(field * 8), varint(value)]);
}

/** A fixed64 field that holds a float. */
export function doubleField(field: number, value: FloatValue): Uint8Array {
  const bytes = Buffer.alloc(8);
  if (typeof value === 'bigint') bytes.writeBigUInt64LE(value);
  else bytes.writeDoubleLE(value);
  return Buffer.concat([varint(field * 8 + 1), bytes]);
}

/** A length-delimited field: string, bytes or message. */
export function bytesField(field: number, payload: string | Uint8Array): Uint8Array {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]);
}

/** One Sample message. */
export function encodeSample(sample: WireSample): Uint8Array {
  return Buffer.concat([doubleField(1, sample.value), varintField(2, sample.timestampMs)]);
}

/** One TimeSeries message. */
export function encodeSeries(series: WireSeries): Uint8Array {
  const labels = series.labels.map(([name, value]) =>
    bytesField(1, Buffer.concat([bytesField(1, name), bytesField(2, value)])),
  );
  return Buffer.concat([
    ...labels,
    ...(series.samples ?? []).map((sample) => bytesField(2, encodeSample(sample))),
    ...(series.exemplars ?? []).map((exemplar) => bytesField(3, exemplar)),
    ...(series.histograms ?? []).map((histogram) => bytesField(4, histogram)),
  ]);
}

/** A WriteRequest, not compressed. */
export function encodeRequest(series: readonly WireSeries[]): Uint8Array {
  return Buffer.concat(series.map((one) => bytesField(1, encodeSeries(one))));
}

/** One snappy block. */
export function compress(bytes: Uint8Array): Uint8Array {
  return snappy.compress(bytes);
}

/** The content of one snappy block. */
export function uncompress(bytes: Uint8Array): Uint8Array {
  return snappy.uncompress(bytes);
}

/** Headers that Prometheus sends with remote write 1.0. */
export const PUSH_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'application/x-protobuf',
  'content-encoding': 'snappy',
  'x-prometheus-remote-write-version': '0.1.0',
  'user-agent': 'varve-e2e',
};

export interface PushAnswer {
  readonly status: number;
  readonly text: string;
}

/** Posts a finished body. */
export async function pushBody(
  url: string,
  body: Uint8Array,
  headers: Readonly<Record<string, string>> = PUSH_HEADERS,
): Promise<PushAnswer> {
  const response = await fetch(url, { method: 'POST', headers, body });
  return { status: response.status, text: await response.text() };
}

/** Encodes, compresses and posts series. */
export function pushSeries(url: string, series: readonly WireSeries[]): Promise<PushAnswer> {
  return pushBody(url, compress(encodeRequest(series)));
}
