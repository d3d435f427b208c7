import { exponentialBound } from './bounds.js';
import { forEachBucket, lowerBound, upperBound } from './buckets.js';
import { type FloatHistogram, VALUE } from './float-histogram.js';

/** Go's `%g`: shortest digits, an exponent when it would be below -4 or above 5. */
export function formatG(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const size = Math.abs(value);
  if (size < 1e6 && size >= 1e-4) return String(value);
  const [mantissa, exponent] = value.toExponential().split('e');
  const power = Number(exponent);
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

/**
 * The text form of Prometheus, as in `{count:2, sum:0.7, (0.7071067811865475,1]:2}`: buckets with observations by
 * ascending bounds. Bounds are not cut at the zero bucket here.
 */
export function formatHistogram(histogram: FloatHistogram): string {
  const { layout, values } = histogram;
  let text = `{count:${formatG(histogram.count)}, sum:${formatG(histogram.sum)}`;
  const { negativeIndexes, positiveIndexes, schema, zeroThreshold } = layout;
  for (let i = negativeIndexes.length - 1; i >= 0; i--) {
    const count = values[VALUE.buckets + positiveIndexes.length + i]!;
    if (count === 0) continue;
    const index = negativeIndexes[i]!;
    const lower = -exponentialBound(index, schema);
    text += `, [${formatG(lower)},${formatG(-exponentialBound(index - 1, schema))}):${formatG(count)}`;
  }
  if (histogram.zeroCount !== 0) {
    text += `, [${formatG(-zeroThreshold)},${formatG(zeroThreshold)}]:${formatG(histogram.zeroCount)}`;
  }
  for (let i = 0; i < positiveIndexes.length; i++) {
    const count = values[VALUE.buckets + i]!;
    if (count === 0) continue;
    const index = positiveIndexes[i]!;
    const open = layout.isCustom && index === 0 ? '[' : '(';
    const bounds = `${formatG(lowerBound(layout, index))},${formatG(upperBound(layout, index))}`;
    text += `, ${open}${bounds}]:${formatG(count)}`;
  }
  return `${text}}`;
}

/** Which bounds belong to a bucket, as the first member of a bucket in the API's JSON form. */
export const BOUNDARY = { openLeft: 0, openRight: 1, openBoth: 2, closedBoth: 3 } as const;

/** A histogram in the API: numbers are texts, empty buckets are left out. */
export interface HistogramJson {
  readonly count: string;
  readonly sum: string;
  readonly buckets?: readonly (readonly [boundaries: number, lower: string, upper: string, count: string])[];
}

/**
 * The JSON form of the HTTP API.
 * @param format writes a sample value; the same function as for float samples
 */
export function histogramJson(histogram: FloatHistogram, format: (value: number) => string): HistogramJson {
  const buckets: (readonly [number, string, string, string])[] = [];
  const { isCustom } = histogram.layout;
  forEachBucket(histogram, (lower, upper, count) => {
    if (count === 0) return undefined;
    let boundaries: number;
    if (isCustom) {
      boundaries = lower === Number.NEGATIVE_INFINITY ? BOUNDARY.closedBoth : BOUNDARY.openLeft;
    } else if (lower < 0) boundaries = upper > 0 ? BOUNDARY.closedBoth : BOUNDARY.openRight;
    else boundaries = upper > 0 ? BOUNDARY.openLeft : BOUNDARY.openBoth;
    buckets.push([boundaries, format(lower), format(upper), format(count)]);
    return undefined;
  });
  const { count, sum } = histogram;
  return { count: format(count), sum: format(sum), ...(buckets.length > 0 ? { buckets } : {}) };
}
