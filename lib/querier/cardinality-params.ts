import { badData, badParameter } from './api-error.js';
import { goQuote, parseGoInt } from './go-text.js';
import type { Params } from './params.js';

/** Parameters of the cardinality endpoints, with Mimir's names, defaults and bounds. */
export interface CardinalityParams {
  /** '' for all series. */
  readonly selector: string;
  /** Only series with recent samples. */
  readonly onlyActive: boolean;
  /** Length of each list. */
  readonly limit: number;
}

const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 500;
const LABEL_NAMES_MAX = 100;

/** `selector`, `count_method` and `limit`. */
export function parseCardinality(params: Params): CardinalityParams {
  const text = params.get('limit');
  const limit = text === '' ? LIMIT_DEFAULT : parseGoInt(text);
  if (typeof limit === 'string') throw badParameter('limit', limit);
  if (limit < 0 || limit > LIMIT_MAX) throw badData(`'limit' param must be between 0 and ${LIMIT_MAX}`);
  const method = params.get('count_method');
  if (method !== '' && method !== 'inmemory' && method !== 'active') {
    throw badData(`invalid 'count_method' param ${goQuote(method)}. valid options are: [inmemory,active]`);
  }
  return { selector: params.get('selector'), onlyActive: method === 'active', limit };
}

/** `label_names[]`, sorted and distinct. */
export function parseCardinalityLabels(params: Params): readonly string[] {
  const names = [...new Set(params.getAll('label_names[]'))].sort();
  if (names.length === 0) throw badData("'label_names[]' param is required");
  if (names.length > LABEL_NAMES_MAX) {
    throw badData(`'label_names[]' param has ${names.length} names, the maximum is ${LABEL_NAMES_MAX}`);
  }
  for (const name of names) {
    if (name === '' || !name.isWellFormed()) throw badData(`invalid 'label_names' param ${goQuote(name)}`);
  }
  return names;
}
