import type { BlockCacheBytes, ReadCounts, ReadKind } from '../blockstore/index.js';
import type { BucketSettings } from '../bucket/index.js';
import type { MatchType } from '../matcher/index.js';
import type { EngineOptions, QueryRequest } from '../promql/exec/index.js';
import type { ReadQuery } from '../wire/index.js';
import type { FederateFormat } from './federate.js';
import type { FetchLimits } from './fetch-limits.js';
import type { SearchParams } from './search.js';
import type { SourceDescriptor } from './sources.js';

/** Work for a query thread. Selectors and queries travel as text, so that parsing happens there too. */
export type QueryTask =
  | {
      readonly kind: 'query';
      readonly request: QueryRequest;
      /** Coarsest downsampled level to read, ms; Infinity to go by range and step. */
      readonly maxResolutionMs: number;
      readonly withStats: boolean;
      /** Warnings about the request itself. */
      readonly notes: readonly string[];
      readonly fetchLimits: FetchLimits;
      /** Longest answer; 0 for no limit. */
      readonly answerBytesMax: number;
      readonly sources: readonly SourceDescriptor[];
    }
  | ({ readonly kind: 'series' } & LookupTask)
  | ({ readonly kind: 'labelNames' } & LookupTask)
  | ({ readonly kind: 'labelValues'; readonly name: string } & LookupTask)
  | CardinalityTask
  | { readonly kind: 'format' | 'parse'; readonly query: string }
  | RemoteReadTask
  | FederateTask
  | SearchTask
  | DeletionCountsTask
  /** Checks that the texts of a parameter are selectors. The body of a good answer is empty. */
  | { readonly kind: 'checkSelectors'; readonly selectors: readonly string[]; readonly parameter: string }
  /** Finds the selectors of a query. The body of a good answer is JSON for the API itself: SelectorText[][]. */
  | { readonly kind: 'selectors'; readonly query: string };

/** A matcher as plain data. */
export type SelectorText = readonly [type: MatchType, name: string, value: string];

export interface LookupTask {
  /** Texts of `match[]`. */
  readonly selectors: readonly string[];
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  /** 0 for all. */
  readonly limit: number;
  /** Longest answer; 0 for no limit. */
  readonly answerBytesMax: number;
  /** Bytes it may fetch from the bucket; 0 for no limit. */
  readonly fetchedBytesMax: number;
  readonly sources: readonly SourceDescriptor[];
}

/** Answers a remote read request. */
export interface RemoteReadTask {
  readonly kind: 'remoteRead';
  readonly queries: readonly ReadQuery[];
  /** Chunks as they are, in frames; else one block of samples. */
  readonly isStreamed: boolean;
  readonly budget: ReadBudget;
  readonly sources: readonly SourceDescriptor[];
}

/** Tells the newest samples. */
export interface FederateTask {
  readonly kind: 'federate';
  /** Texts of `match[]`. */
  readonly selectors: readonly string[];
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly format: FederateFormat;
  readonly budget: ReadBudget;
  readonly sources: readonly SourceDescriptor[];
}

/** Finds names. The body of a good answer is JSON for the API itself: SearchHit[]. */
export interface SearchTask {
  readonly kind: 'search';
  /** Label whose values are searched; null for the names of labels. */
  readonly label: string | null;
  /** Texts of `match[]`. */
  readonly selectors: readonly string[];
  readonly search: SearchParams;
  /** Bytes it may fetch from the bucket; 0 for no limit. */
  readonly fetchedBytesMax: number;
  readonly sources: readonly SourceDescriptor[];
}

/** Counts what a deletion would take. The body of a good answer has a DeletionCounts as its data. */
export interface DeletionCountsTask {
  readonly kind: 'deletionCounts';
  /** Texts of `match[]`. */
  readonly selectors: readonly string[];
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly budget: ReadBudget;
  readonly sources: readonly SourceDescriptor[];
}

/** What a task may read and answer that the engine does not watch; 0 lifts a limit. */
export interface ReadBudget extends FetchLimits {
  readonly samplesMax: number;
  readonly memoryBytesMax: number;
  readonly answerBytesMax: number;
}

/** Counts series of heads. */
export interface CardinalityTask {
  readonly kind: 'cardinality';
  readonly what: 'labelNames' | 'labelValues' | 'activeSeries';
  /** '' for all series. */
  readonly selector: string;
  /** For `labelValues`. */
  readonly labelNames: readonly string[];
  /** Series without later samples don't count. */
  readonly minTimeMs: number;
  /** Length of each list. */
  readonly limit: number;
  /** Longest answer of `activeSeries`; 0 for no limit. */
  readonly bytesMax: number;
  readonly sources: readonly SourceDescriptor[];
}

/** A finished answer: JSON bytes and the status that goes with them. */
export interface TaskAnswer {
  readonly status: number;
  readonly body: Uint8Array<ArrayBuffer>;
  /** null for everything but evaluated queries. */
  readonly figures: QueryFigures | null;
  /** null when nothing was read. */
  readonly reads: BlockReads | null;
}

/** What an evaluated query cost. */
export interface QueryFigures {
  /** Samples read, over all steps. */
  readonly samples: number;
  readonly queuedSeconds: number;
  readonly evalSeconds: number;
}

/** What a task read of blocks in a bucket that is not a folder, by kind. */
export type BlockReads = Readonly<Record<ReadKind, ReadCounts>>;

/** How a query thread gets at blocks. */
export interface BlockAccess {
  readonly bucket: BucketSettings;
  /** Folder of the blocks that are not in the bucket yet; '' when this process makes none. */
  readonly localFolder: string;
  /** Folder of index-headers. */
  readonly cacheFolder: string;
  /** Memory of each thread. */
  readonly cacheBytes: BlockCacheBytes;
  /** Blocks that each thread keeps open between queries. */
  readonly openBlocksMax: number;
}

/** What every query thread is given when it starts. */
export interface QueryWorkerData {
  readonly engine: EngineOptions;
  readonly blocks: BlockAccess;
  /** How far the thread gives way to others, 0 to 19. */
  readonly nice: number;
}
