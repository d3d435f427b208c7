import type { LabelSet } from '../labels/index.js';

/**
 * The messages of remote write 1.0 as objects: `prometheus.WriteRequest` and what it holds. For tests, benches and
 * tools; the sample path scans bodies in the kernel and never makes these.
 */
export interface WriteRequest {
  readonly timeseries: readonly WriteSeries[];
  readonly metadata: readonly WriteMetadata[];
}

export interface WriteSeries {
  /** In the order of the message, which need be neither sorted nor valid. */
  readonly labels: LabelSet;
  readonly samples: readonly WriteSample[];
  readonly exemplars: readonly WriteExemplar[];
  readonly histograms: readonly WriteHistogram[];
}

export interface WriteSample {
  readonly timestampMs: number;
  readonly value: number;
  /** The raw bits of the value. They win over `value`, which does not keep every NaN; parsing always sets them. */
  readonly bits?: bigint;
}

export interface WriteExemplar {
  readonly labels: LabelSet;
  readonly value: number;
  readonly timestampMs: number;
}

export interface WriteSpan {
  readonly offset: number;
  readonly length: number;
}

/** A native histogram: integer (deltas) or, when `isFloat`, float (absolute counts). */
export interface WriteHistogram {
  readonly isFloat: boolean;
  /** Below 2^53 exactly; larger integer counts are rounded. */
  readonly count: number;
  readonly sum: number;
  /** The raw bits of the sum, as in a sample: a stale histogram has the stale marker there. */
  readonly sumBits?: bigint;
  readonly schema: number;
  readonly zeroThreshold: number;
  readonly zeroCount: number;
  readonly negativeSpans: readonly WriteSpan[];
  readonly positiveSpans: readonly WriteSpan[];
  readonly negativeDeltas: readonly number[];
  readonly positiveDeltas: readonly number[];
  readonly negativeCounts: readonly number[];
  readonly positiveCounts: readonly number[];
  /** 0 unknown, 1 yes, 2 no, 3 gauge. */
  readonly resetHint: number;
  readonly timestampMs: number;
  /** Upper bounds of schema -53. */
  readonly customValues: readonly number[];
}

export interface WriteMetadata {
  /** 0 unknown, 1 counter, 2 gauge, 3 histogram, 4 gaugehistogram, 5 summary, 6 info, 7 stateset. */
  readonly type: number;
  readonly metricFamilyName: string;
  readonly help: string;
  readonly unit: string;
}
