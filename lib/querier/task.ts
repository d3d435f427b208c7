import type { EngineOptions, QueryRequest } from '../promql/exec/index.js';
import type { FetchLimits } from './fetch-limits.js';
import type { SourceDescriptor } from './sources.js';

/** Work for a query thread. Selectors and queries travel as text, so that parsing happens there too. */
export type QueryTask =
  | {
      readonly kind: 'query';
      readonly request: QueryRequest;
      readonly withStats: boolean;
      readonly fetchLimits: FetchLimits;
      readonly sources: readonly SourceDescriptor[];
    }
  | ({ readonly kind: 'series' } & LookupTask)
  | ({ readonly kind: 'labelNames' } & LookupTask)
  | ({ readonly kind: 'labelValues'; readonly name: string } & LookupTask)
  | { readonly kind: 'format' | 'parse' | 'exemplars'; readonly query: string };

export interface LookupTask {
  /** Texts of `match[]`. */
  readonly selectors: readonly string[];
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  /** 0 for all. */
  readonly limit: number;
  readonly sources: readonly SourceDescriptor[];
}

/** A finished answer: JSON bytes and the status that goes with them. */
export interface TaskAnswer {
  readonly status: number;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** What every query thread is given when it starts. */
export interface QueryWorkerData {
  readonly engine: EngineOptions;
  /** Blocks a thread keeps open between queries. */
  readonly openBlocksMax: number;
}
