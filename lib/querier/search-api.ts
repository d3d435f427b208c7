import { type Exchange, JSON_TYPE } from '../http/index.js';
import type { LimitsProvider } from '../limits/index.js';
import { badData } from './api-error.js';
import type { Params } from './params.js';
import { NDJSON_TYPE, parseIncludeMetadata, parseSearch, type SearchHit, searchLines } from './search.js';
import type { MetricMetadata, SourceProvider, SourceSnapshot } from './sources.js';
import type { QueryTask, TaskAnswer } from './task.js';

/** One request, as the query API hands it on. */
export interface SearchCall {
  readonly exchange: Exchange;
  readonly tenant: string;
  readonly params: Params;
}

export interface SearchParts {
  readonly provider: SourceProvider;
  readonly limits: LimitsProvider;
  readonly nowMs: () => number;
  readonly run: (call: SearchCall, task: QueryTask, snapshot: SourceSnapshot) => Promise<TaskAnswer>;
}

export const SEARCH_ENDPOINTS = ['metric_names', 'label_names', 'label_values'] as const;
export type SearchEndpoint = (typeof SEARCH_ENDPOINTS)[number];

/** Answers one of the search endpoints. */
export async function answerSearch(
  call: SearchCall,
  endpoint: SearchEndpoint,
  parts: SearchParts,
): Promise<void> {
  const { exchange, tenant, params } = call;
  const search = parseSearch(params, endpoint, parts.nowMs());
  const name = endpoint === 'metric_names' ? '__name__' : params.get('label');
  if (endpoint === 'label_values' && name === '') throw badData('missing required parameter "label"');
  const wantsMetadata = endpoint === 'metric_names' && parseIncludeMetadata(params);
  const snapshot = await parts.provider.snapshot(tenant, search.startMs, search.endMs);
  const { sources } = snapshot;
  const selectors = params.getAll('match[]');
  const label = endpoint === 'label_names' ? null : name;
  const fetchedBytesMax = parts.limits.of(tenant).maxFetchedBytesPerQuery;
  const task: QueryTask = { kind: 'search', label, selectors, search, fetchedBytesMax, sources };
  const answer = await parts.run(call, task, snapshot);
  if (answer.status !== 200) {
    exchange.send(answer.status, JSON_TYPE, answer.body);
    return;
  }
  const hits = JSON.parse(Buffer.from(answer.body).toString()) as SearchHit[];
  let metadata: ReadonlyMap<string, readonly MetricMetadata[]> | null = null;
  if (wantsMetadata) metadata = await parts.provider.metadata(tenant);
  await exchange.sendCompressed(200, NDJSON_TYPE, searchLines(hits, search, metadata));
}
