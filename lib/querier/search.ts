import { compareUtf8 } from '../labels/index.js';
import { badData } from './api-error.js';
import { goQuote, parseGoBool, parseGoInt } from './go-text.js';
import { stringifyHtml } from './json-bytes.js';
import { optionalTime, type Params } from './params.js';
import { type FuzzyMeasure, makeScorer, type SearchTerms } from './search-score.js';
import type { MetricMetadata } from './sources.js';

/** The search API: names and values that match what somebody types, best or in order, as lines of JSON. */

export const NDJSON_TYPE = 'application/x-ndjson; charset=utf-8';

export type SearchOrder = 'ascending' | 'descending' | 'score';

export interface SearchParams extends SearchTerms {
  readonly order: SearchOrder;
  readonly includeScore: boolean;
  readonly startMs: number;
  readonly endMs: number;
  readonly limit: number;
  readonly batchSize: number;
}

export interface SearchHit {
  readonly name: string;
  readonly score: number;
}

const DEFAULT_RANGE_MS = 3_600_000;
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 10_000;
const MEASURES: readonly FuzzyMeasure[] = ['subsequence', 'jarowinkler'];

/** Parameters that all search endpoints share. @param endpoint named in errors */
export function parseSearch(params: Params, endpoint: string, nowMs: number): SearchParams {
  params.check();
  const startMs = optionalTime(params, 'start', nowMs - DEFAULT_RANGE_MS);
  const endMs = optionalTime(params, 'end', nowMs);
  const threshold = whole(params, 'fuzz_threshold', 0);
  if (threshold === null || threshold > 100) {
    throw badData(`invalid fuzz_threshold ${goQuote(params.get('fuzz_threshold'))}: must be 0-100`);
  }
  const named = params.get('fuzz_alg');
  const measure = named === '' ? 'subsequence' : MEASURES.find((candidate) => candidate === named);
  if (measure === undefined) {
    throw badData(`unsupported fuzz_alg ${goQuote(named)}: must be one of [${MEASURES.join(' ')}]`);
  }
  const isCaseSensitive = truth(params, 'case_sensitive', true);
  const includeScore = truth(params, 'include_score', false);
  const terms = params.getAll('search[]');
  const order = parseOrder(params, endpoint, terms.length > 0);
  const limit = countOf(params, 'limit', LIMIT_DEFAULT);
  if (limit > LIMIT_MAX) throw badData(`limit ${limit} exceeds the maximum of ${LIMIT_MAX}`);
  const batchSize = countOf(params, 'batch_size', LIMIT_DEFAULT);
  const found = { terms, measure, threshold: threshold / 100, isCaseSensitive };
  return { ...found, order, includeScore, startMs, endMs, limit, batchSize };
}

function parseOrder(params: Params, endpoint: string, hasTerms: boolean): SearchOrder {
  const by = params.get('sort_by');
  const direction = params.get('sort_dir');
  if (direction !== '' && by === '') throw badData('sort_dir is only valid when sort_by is set');
  if (direction !== '' && by === 'score') throw badData('sort_dir is not supported for sort_by=score');
  if (direction !== '' && direction !== 'asc' && direction !== 'dsc') {
    throw badData(`invalid sort_dir ${goQuote(direction)}: must be "asc" or "dsc"`);
  }
  if (by === 'score' && !hasTerms) throw badData('sort_by=score requires search[] to be set');
  if (by !== '' && by !== 'alpha' && by !== 'score') {
    throw badData(`invalid sort_by ${goQuote(by)} for ${endpoint}: must be "alpha" or "score"`);
  }
  if (by === 'score') return 'score';
  return direction === 'dsc' ? 'descending' : 'ascending';
}

/** null when the text is no whole number of at least 0. */
function whole(params: Params, name: string, fallback: number): number | null {
  const text = params.get(name);
  if (text === '') return fallback;
  const value = parseGoInt(text);
  return typeof value === 'string' || value < 0 ? null : value;
}

function countOf(params: Params, name: string, fallback: number): number {
  const count = whole(params, name, fallback);
  if (count === null)
    throw badData(`invalid ${name} ${goQuote(params.get(name))}: must be non-negative integer`);
  return count === 0 ? fallback : count;
}

function truth(params: Params, name: string, fallback: boolean): boolean {
  const text = params.get(name);
  if (text === '') return fallback;
  const value = parseGoBool(text);
  if (typeof value === 'string') throw badData(`invalid ${name} ${goQuote(text)}: must be boolean`);
  return value;
}

/** Whether `include_metadata` is asked for. */
export function parseIncludeMetadata(params: Params): boolean {
  return truth(params, 'include_metadata', false);
}

const POLL_NAMES = 1024;

/** The best hits, one more than the limit when there are more. @param names in byte order */
export function searchNames(
  names: readonly string[],
  search: SearchParams,
  poll: () => void,
): readonly SearchHit[] {
  const scoreOf = makeScorer(search);
  const hits: SearchHit[] = [];
  for (let i = 0; i < names.length; i++) {
    if (i % POLL_NAMES === 0) poll();
    const name = names[search.order === 'descending' ? names.length - 1 - i : i]!;
    const score = scoreOf(name);
    if (score !== null) hits.push({ name, score });
    if (search.order !== 'score' && hits.length > search.limit) break;
  }
  if (search.order === 'score') hits.sort((a, b) => b.score - a.score || compareUtf8(a.name, b.name));
  return hits.slice(0, search.limit + 1);
}

/** The lines of an answer: batches of results, then whether there is more. */
export function searchLines(
  hits: readonly SearchHit[],
  search: SearchParams,
  metadata: ReadonlyMap<string, readonly MetricMetadata[]> | null,
): string {
  const shown = hits.slice(0, search.limit).map(({ name, score }) => {
    const facts = metadata?.get(name)?.[0];
    return {
      name,
      ...(search.includeScore ? { score } : {}),
      ...(facts === undefined || facts.type === '' ? {} : { type: facts.type }),
      ...(facts === undefined || facts.help === '' ? {} : { help: facts.help }),
      ...(facts === undefined || facts.unit === '' ? {} : { unit: facts.unit }),
    };
  });
  let lines = '';
  for (let at = 0; at === 0 || at < shown.length; at += search.batchSize) {
    lines += `${stringifyHtml({ results: shown.slice(at, at + search.batchSize) })}\n`;
  }
  return `${lines}${stringifyHtml({ status: 'success', has_more: hits.length > search.limit })}\n`;
}
