import type { ExemplarSeries } from '../exemplar/index.js';
import type { Matcher } from '../matcher/index.js';
import type { MaskText } from '../tsdb/block/index.js';
import type { Attachment } from '../workers/index.js';

/**
 * Where series come from, as plain data that can be sent to a query thread. The thread opens what is described; the
 * provider keeps it in existence until the snapshot is released.
 */

/** The head of a tenant. */
export interface HeadDescriptor {
  readonly kind: 'head';
  /** First and last sample time, inclusive; may be wider than the truth. */
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  /** Key of the snapshot's attachment that holds the head's memory, a WebAssembly.Memory. */
  readonly memoryKey: string;
  /** What must not be shown of it; absent for nothing. */
  readonly masks?: readonly MaskText[];
}

/** A block. */
export interface BlockDescriptor {
  readonly kind: 'block';
  /** `local`: not in the bucket yet, or not long enough. */
  readonly place: 'local' | 'bucket';
  /** What the name of its folder begins with, in the bucket or in the folder of local blocks: `<tenant>/`. */
  readonly prefix: string;
  readonly ulid: string;
  /** First time inclusive, last time exclusive, as in `meta.json`. */
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  /** 0 for raw samples, else the width of a window, ms. */
  readonly resolutionMs: number;
  /** The first-level blocks it consists of, itself for such a one. */
  readonly sources: readonly string[];
  /** External labels, as text; blocks of different ones hold different series. */
  readonly group: string;
  /** What must not be shown of it; absent for nothing. */
  readonly masks?: readonly MaskText[];
}

export type SourceDescriptor = HeadDescriptor | BlockDescriptor;

export interface SourceSnapshot {
  readonly sources: readonly SourceDescriptor[];
  /** What the descriptors refer to by key; sent to each thread once. */
  readonly attachments: readonly Attachment[];
  /**
   * Called once when no thread works on the query any more, however it ended; from then on the provider may delete what
   * it described.
   */
  release(): void;
}

/** Type, help and unit of a metric name, as senders told them. */
export interface MetricMetadata {
  readonly type: string;
  readonly help: string;
  readonly unit: string;
}

export interface NamedCount {
  readonly name: string;
  readonly value: number;
}

/** Figures of a head for status/tsdb; lists are sorted by descending value. */
export interface HeadStats {
  readonly seriesCount: number;
  readonly labelPairCount: number;
  readonly chunkCount: number;
  /** null when the head is empty. */
  readonly minTimeMs: number | null;
  readonly maxTimeMs: number | null;
  readonly seriesCountByMetricName: readonly NamedCount[];
  readonly labelValueCountByLabelName: readonly NamedCount[];
  readonly memoryInBytesByLabelName: readonly NamedCount[];
  readonly seriesCountByLabelValuePair: readonly NamedCount[];
}

/** What the querier reads from. Implemented by whoever holds the heads and blocks of this process. */
export interface SourceProvider {
  /**
   * Sources that may hold samples between the times (inclusive), a consistent set of them at one moment during the call.
   * @throws VarveError unavailable when it is not known what blocks there are
   */
  snapshot(tenant: string, minTimeMs: number, maxTimeMs: number): Promise<SourceSnapshot>;
  /** The content of a block's `meta.json`. @throws VarveError `object-not-found` when it is gone meanwhile */
  blockMeta(block: BlockDescriptor): Promise<Uint8Array>;
  /** Metric name to its metadata, most recent first. */
  metadata(tenant: string): Promise<ReadonlyMap<string, readonly MetricMetadata[]>>;
  /** Exemplars between the times (inclusive) of series that any of the selectors matches, sorted by label set. */
  exemplars(
    tenant: string,
    matcherSets: readonly (readonly Matcher[])[],
    minTimeMs: number,
    maxTimeMs: number,
  ): Promise<readonly ExemplarSeries[]>;
  /** @param limit length of each list */
  headStats(tenant: string, limit: number): Promise<HeadStats>;
}

/** The figures of a tenant without a head. */
export const EMPTY_HEAD_STATS: HeadStats = {
  seriesCount: 0,
  labelPairCount: 0,
  chunkCount: 0,
  minTimeMs: null,
  maxTimeMs: null,
  seriesCountByMetricName: [],
  labelValueCountByLabelName: [],
  memoryInBytesByLabelName: [],
  seriesCountByLabelValuePair: [],
};
