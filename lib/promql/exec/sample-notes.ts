/** Texts of notes about samples of histograms (spec: promql-errors.md §5); names as in Go's `%q`. */

export function mixedKindsText(metric: string): string {
  return `encountered a mix of histograms and floats for metric name ${JSON.stringify(metric)}`;
}

export function mixedSchemasText(metric: string): string {
  return `vector contains a mix of histograms with exponential and custom buckets schemas for metric name ${JSON.stringify(metric)}`;
}

export function notCounterText(metric: string): string {
  return `this native histogram metric is not a counter: ${JSON.stringify(metric)}`;
}

export function notGaugeText(metric: string): string {
  return `this native histogram metric is not a gauge: ${JSON.stringify(metric)}`;
}

export function ignoredText(metric: string): string {
  return `ignored histograms in a range containing both floats and histograms for metric name ${JSON.stringify(metric)}`;
}

export function reconciledText(operation: 'addition' | 'subtraction' | 'aggregation'): string {
  return `mismatched custom buckets were reconciled during ${operation}`;
}

export function collisionText(operation: 'addition' | 'subtraction' | 'aggregation'): string {
  return `conflicting counter resets during histogram ${operation}`;
}

export function overlapText(metric: string): string {
  return `sample has start time that overlaps with previous sample timestamp for metric ${JSON.stringify(metric)}`;
}
