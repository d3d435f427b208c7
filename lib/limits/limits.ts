import type { z } from 'zod';
import { boolean, byteSize, duration, group, integer, quantity, text } from '../settings/index.js';
import { isRetentionRules } from './retention-rules.js';

/**
 * Limits of one tenant. The process configuration holds the defaults (`limits:`), the runtime file replaces single
 * values per tenant (`overrides:`). 0 switches a limit off unless its description says otherwise.
 */
export const limitsSchema = group('Limits per tenant', {
  ingestionRate: quantity(0, 'Samples per second a tenant may send; 0 for no limit.'),
  ingestionBurstSize: integer(
    0,
    'Samples a tenant may send at once above the rate; 0 for ten seconds of it.',
  ),
  requestRate: quantity(0, 'Push requests per second a tenant may send; 0 for no limit.'),
  requestBurstSize: integer(0, 'Push requests at once above the rate; 0 for ten seconds of it.'),
  maxGlobalSeriesPerUser: integer(0, 'Active series of a tenant; 0 for no limit.'),
  maxGlobalMetadataPerUser: integer(20_000, 'Metrics whose type and help text are kept; 0 for no limit.'),
  maxGlobalExemplarsPerUser: integer(100_000, 'Exemplars of a tenant that are kept, the newest; 0 for none.'),
  maxMetadataLength: integer(1024, 'Longest help text or unit in bytes; longer ones are cut.'),
  maxLabelNamesPerSeries: integer(60, 'Labels of one series, the metric name included.'),
  maxLabelNameLength: integer(1024, 'Longest label name in bytes.'),
  maxLabelValueLength: integer(2048, 'Longest label value in bytes, the metric name included.'),
  maxLabelsSizeBytes: byteSize('16384', 'Names and values of all labels of one series together.'),
  creationGracePeriodMs: duration('10m', 'How far a sample may lie in the future.'),
  outOfOrderTimeWindowMs: duration(
    '30m',
    'How far behind the newest sample of the tenant a late sample may lie.',
    {
      flag: 'out-of-order-window',
    },
  ),
  nativeHistogramsIngestionEnabled: boolean(
    true,
    'Store native histograms; otherwise they are counted and dropped, without an error to the sender.',
  ),
  maxNativeHistogramBuckets: integer(160, 'Buckets of one native histogram; 0 for no limit.'),
  reduceNativeHistogramOverMaxBuckets: boolean(
    true,
    'Merge buckets of native histograms over that limit (a coarser schema), instead of refusing them.',
  ),
  maxNativeHistogramSampleSizeBytes: byteSize(
    '16384',
    'One native histogram as it is sent; 0 for 1 MiB, which is the most.',
  ),
  maxFetchedSeriesPerQuery: integer(500_000, 'Series one query may read.'),
  maxFetchedChunksPerQuery: integer(2_000_000, 'Chunks one query may read.'),
  maxFetchedBytesPerQuery: byteSize(
    '0',
    'Bytes one query may fetch from the bucket, what caches hold not counted; 0 for no limit.',
  ),
  maxQueryResponseSize: byteSize(
    '256MiB',
    'Longest answer to one query, before compression; 0 for no limit.',
  ),
  maxQueryLengthMs: duration('0', 'Longest time between start and end of a query; 0 for no limit.'),
  maxQueryExpressionSizeBytes: byteSize('64KiB', 'Longest query text.'),
  maxSeriesQueryLimit: integer(0, 'Label sets the series API returns at most; 0 for no limit.'),
  maxLabelNamesLimit: integer(0, 'Label names the API returns at most; 0 for no limit.'),
  activeSeriesResultsMaxSizeBytes: byteSize(
    '64MiB',
    'Longest answer of the active series API; 0 for no limit.',
  ),
  maxLabelValuesLimit: integer(0, 'Label values the API returns at most; 0 for no limit.'),
  retentionRawMs: duration('0', 'How long raw samples are kept; 0 for ever.'),
  retention5mMs: duration('0', 'How long blocks of 5 minutes are kept; 0 for ever.'),
  retention1hMs: duration('0', 'How long blocks of an hour are kept; 0 for ever.'),
  retention1dMs: duration('0', 'How long blocks of a day are kept; 0 for ever.'),
  retentionMatchers: text(
    '',
    'How long samples of some series are kept, at every resolution; the shortest of several rules counts.',
    { allowed: 'rules such as {job="debug"}=7d; {__name__=~"go_.*"}=30d', check: isRetentionRules },
  ),
});

/** The limits that hold for one tenant. */
export type Limits = Readonly<z.output<typeof limitsSchema>>;

/** Limits as they are when nothing is configured. */
export const DEFAULT_LIMITS: Limits = limitsSchema.parse({});
