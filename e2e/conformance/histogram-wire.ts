import { bytesField, doubleField, type FloatValue, varint, varintField, zigzag } from '../wire.js';

/** Encodes native histograms as the Histogram message of remote write 1.0. */

/** Counter-reset hints as numbers of the wire. */
export const HINT = { unknown: 0, reset: 1, notReset: 2, gauge: 3 } as const;

/** The schema of histograms with custom bounds. */
export const CUSTOM_BOUNDS_SCHEMA = -53;

export interface WireHistogram {
  readonly timestampMs: number;
  readonly isFloat: boolean;
  readonly schema: number;
  readonly hint: number;
  readonly count: number;
  readonly sum: FloatValue;
  readonly zeroThreshold: number;
  readonly zeroCount: number;
  /** Absolute counts by bucket index, ascending. */
  readonly positive: readonly (readonly [index: number, count: number])[];
  readonly negative: readonly (readonly [index: number, count: number])[];
  readonly customValues: readonly number[];
}

/** One Histogram message. */
export function encodeHistogram(histogram: WireHistogram): Uint8Array {
  const { isFloat } = histogram;
  const parts = [
    isFloat ? doubleField(2, histogram.count) : varintField(1, histogram.count),
    doubleField(3, histogram.sum),
    Buffer.concat([varint(4 * 8), zigzag(histogram.schema)]),
    doubleField(5, histogram.zeroThreshold),
    isFloat ? doubleField(7, histogram.zeroCount) : varintField(6, histogram.zeroCount),
    ...encodeSide(8, histogram.negative, isFloat),
    ...encodeSide(11, histogram.positive, isFloat),
    varintField(14, histogram.hint),
    varintField(15, histogram.timestampMs),
  ];
  if (histogram.customValues.length > 0) parts.push(packedDoubles(16, histogram.customValues));
  return Buffer.concat(parts);
}

/** Spans in field n; deltas (integers) in n + 1 or counts (floats) in n + 2. */
function encodeSide(
  field: number,
  buckets: readonly (readonly [index: number, count: number])[],
  isFloat: boolean,
): Uint8Array[] {
  const spans: { offset: number; length: number }[] = [];
  let next = 0;
  for (const [index] of buckets) {
    const last = spans.at(-1);
    if (last !== undefined && index === next) last.length++;
    else spans.push({ offset: index - next, length: 1 });
    next = index + 1;
  }
  const messages = spans.map(({ offset, length }) =>
    bytesField(field, Buffer.concat([varint(8), zigzag(offset), varintField(2, length)])),
  );
  if (buckets.length === 0) return messages;
  const counts = buckets.map(([, count]) => count);
  if (isFloat) return [...messages, packedDoubles(field + 2, counts)];
  const deltas = counts.map((count, i) => zigzag(count - (counts[i - 1] ?? 0)));
  return [...messages, bytesField(field + 1, Buffer.concat(deltas))];
}

function packedDoubles(field: number, values: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => {
    bytes.writeDoubleLE(value, i * 8);
  });
  return bytesField(field, bytes);
}
