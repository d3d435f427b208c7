/**
 * Why samples were refused: ids that never change, used in messages and as the `reason` label of
 * `varve_discarded_samples_total`. They are Cortex's where Cortex has one, so that dashboards and alerts carry over.
 */
export const REASON = {
  missingMetricName: 'missing_metric_name',
  metricNameInvalid: 'metric_name_invalid',
  labelInvalid: 'label_invalid',
  labelValueInvalid: 'label_value_invalid',
  labelNameTooLong: 'label_name_too_long',
  labelValueTooLong: 'label_value_too_long',
  labelsTooLarge: 'labels_size_bytes_exceeded',
  tooManyLabels: 'max_label_names_per_series',
  duplicateLabels: 'duplicate_label_names',
  tooFarInFuture: 'too_far_in_future',
  tooOld: 'sample-too-old',
  outOfOrder: 'sample-out-of-order',
  outOfBounds: 'sample-out-of-bounds',
  newValue: 'new-value-for-timestamp',
  seriesLimit: 'per_user_series_limit',
  rateLimited: 'rate_limited',
  nativeHistogramsOff: 'native-histogram-sample',
  histogramInvalid: 'native_histogram_invalid',
  histogramSchemaInvalid: 'native_histogram_invalid_schema',
  histogramBucketsExceeded: 'native_histogram_buckets_exceeded',
  histogramSizeExceeded: 'native_histogram_sample_size_bytes_exceeded',
} as const;

export type Reason = (typeof REASON)[keyof typeof REASON];
