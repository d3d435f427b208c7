import {
  EMPTY_LAYOUT,
  FloatHistogram,
  type HistogramLayout,
  isStaleRow,
  RESET_HINT,
  type ResetHint,
  reduceResolution,
  SCHEMA_MAX,
  VALUE,
  valueCountOf,
} from '../../histogram/index.js';
import { RESET_HEADER, type ResetHeader } from './format.js';

const NO_VALUES = new Float64Array(0);

/**
 * A decoded histogram chunk: a row of `stride` numbers per sample, as `FloatHistogram.values` has them. Owned by who
 * decoded it.
 */
export interface HistogramColumns {
  readonly layout: HistogramLayout;
  readonly header: ResetHeader;
  readonly sampleCount: number;
  /** ms. */
  readonly timestamps: Float64Array;
  /** Start times, ms; null when the encoding has none. 0 is unknown. */
  readonly startTimestamps: Float64Array | null;
  /** Numbers per row. */
  readonly stride: number;
  /** The sum is column VALUE.sum, with its raw bits. Rows of stale markers have zeros but for it. */
  readonly values: Float64Array;
}

/** Columns of a chunk without samples. */
export function emptyColumns(header: ResetHeader, hasStarts: boolean): HistogramColumns {
  return {
    layout: EMPTY_LAYOUT,
    header,
    sampleCount: 0,
    timestamps: NO_VALUES,
    startTimestamps: hasStarts ? NO_VALUES : null,
    stride: valueCountOf(EMPTY_LAYOUT),
    values: NO_VALUES,
  };
}

/** What the chunk says about a reset before sample i. Its header is not trusted: another chunk may have come between. */
export function hintOf(header: ResetHeader, i: number): ResetHint {
  if (header === RESET_HEADER.gauge) return RESET_HINT.gauge;
  return i === 0 ? RESET_HINT.unknown : RESET_HINT.notReset;
}

/** Sample i as a histogram, mostly a window on the columns. A stale marker has no buckets; schemas above 8 become 8. */
export function histogramAt(columns: HistogramColumns, i: number): FloatHistogram {
  const { stride, values } = columns;
  const row = i * stride;
  if (isStaleRow(values, row)) {
    return new FloatHistogram(EMPTY_LAYOUT, values.subarray(row, row + VALUE.buckets));
  }
  const histogram = new FloatHistogram(
    columns.layout,
    values.subarray(row, row + stride),
    hintOf(columns.header, i),
  );
  return columns.layout.schema > SCHEMA_MAX ? reduceResolution(histogram, SCHEMA_MAX) : histogram;
}
