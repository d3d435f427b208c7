import type { LabelSet } from '../labels/index.js';

/** A pointer from a series to one event behind it, mostly a trace. */
export interface Exemplar {
  /** Sorted by name; may be empty. */
  readonly labels: LabelSet;
  readonly value: number;
  readonly timestampMs: number;
}

/** Exemplars of one series, oldest first. */
export interface ExemplarSeries {
  readonly labels: LabelSet;
  readonly exemplars: readonly Exemplar[];
}

/** Longest label set of an exemplar, names and values together, in characters: OpenMetrics' limit. */
export const EXEMPLAR_LABELS_LENGTH_MAX = 128;
