import { FloatHistogram, RESET_HINT, type ResetHint, VALUE, valueCountOf } from './float-histogram.js';
import { CUSTOM_SCHEMA, HistogramLayout } from './layout.js';
import { NO_SPANS, type Spans, spansOf } from './spans.js';

const HINTS: Readonly<Record<string, ResetHint>> = {
  unknown: RESET_HINT.unknown,
  reset: RESET_HINT.reset,
  not_reset: RESET_HINT.notReset,
  gauge: RESET_HINT.gauge,
};
const KEYS: ReadonlySet<string> = new Set([
  ...['schema', 'sum', 'count', 'z_bucket', 'z_bucket_w', 'custom_values', 'counter_reset_hint'],
  ...['offset', 'buckets', 'n_offset', 'n_buckets'],
]);

/**
 * Reads the notation of unit tests, as in `{{schema:1 count:4 sum:5 z_bucket:1 z_bucket_w:0.001 buckets:[1 2]}}`;
 * absent numbers are 0. Null when the text is not of that form.
 */
export function parseHistogramNotation(text: string): FloatHistogram | null {
  const inner = /^\{\{(.*)\}\}$/s.exec(text.trim())?.[1];
  if (inner === undefined) return null;
  const fields = new Map<string, string>();
  const rest = inner.replace(/([a-z_]+)\s*:\s*(\[[^\]]*\]|[^\s[\]]+)/g, (_, key: string, value: string) => {
    fields.set(key, value);
    return '';
  });
  if (rest.trim() !== '' || [...fields.keys()].some((key) => !KEYS.has(key))) return null;
  const number = (key: string): number => numberOf(fields.get(key) ?? '0');
  const list = (key: string): number[] =>
    (fields.get(key) ?? '[]')
      .slice(1, -1)
      .split(/\s+/)
      .filter((word) => word !== '')
      .map(numberOf);
  const hint = HINTS[fields.get('counter_reset_hint') ?? 'unknown'];
  if (hint === undefined) return null;
  const positive = list('buckets');
  const negative = list('n_buckets');
  const schema = number('schema');
  const layout = new HistogramLayout(
    schema,
    number('z_bucket_w'),
    run(number('offset'), positive.length),
    run(number('n_offset'), negative.length),
    schema === CUSTOM_SCHEMA ? Float64Array.from(list('custom_values')) : undefined,
  );
  const values = new Float64Array(valueCountOf(layout));
  values[VALUE.count] = number('count');
  values[VALUE.zeroCount] = number('z_bucket');
  values[VALUE.sum] = number('sum');
  values.set(positive, VALUE.buckets);
  values.set(negative, VALUE.buckets + positive.length);
  return new FloatHistogram(layout, values, hint);
}

function run(offset: number, length: number): Spans {
  return length === 0 ? NO_SPANS : spansOf([offset, length]);
}

function numberOf(word: string): number {
  const infinity = /^([+-]?)inf$/i.exec(word);
  if (infinity !== null) return infinity[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return Number(word);
}
