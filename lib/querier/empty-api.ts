import { badData, badParameter } from './api-error.js';
import { goQuote, parseGoBool, parseGoInt } from './go-text.js';
import type { Params } from './params.js';

/** Answers about rules and targets, of which there are none: valid and empty, with Prometheus' checks of parameters. */

const GROUP_LIMIT_MAX = 2 ** 31 - 1;

/** Data of the rules endpoint. */
export function rulesData(params: Params): string {
  const type = params.get('type');
  if (type !== '' && type !== 'alert' && type !== 'record') {
    throw badParameter('type', `not supported value ${goQuote(type)}`);
  }
  const exclude = params.get('exclude_alerts');
  const isExcluded = exclude === '' ? false : parseGoBool(exclude);
  if (typeof isExcluded === 'string') {
    throw badParameter('exclude_alerts', `error converting exclude_alerts: ${isExcluded}`);
  }
  checkPage(params);
  return '{"groups":[]}';
}

function checkPage(params: Params): void {
  const limitText = params.get('group_limit');
  const token = params.get('group_next_token');
  if (token !== '' && limitText === '') {
    const text = 'group_limit needs to be present in order to paginate over the groups';
    throw badParameter('group_next_token', text);
  }
  if (limitText !== '') {
    const limit = parseGoInt(limitText, 'strconv.ParseInt');
    if (typeof limit === 'string') {
      throw badParameter('group_limit', `group_limit needs to be a valid number: ${limit}`);
    }
    if (limit > GROUP_LIMIT_MAX) {
      const text = `group_limit needs to be a valid number: strconv.ParseInt: parsing ${goQuote(limitText)}: value out of range`;
      throw badParameter('group_limit', text);
    }
    if (limit <= 0) throw badParameter('group_limit', 'group_limit needs to be greater than 0');
  }
  if (token !== '') {
    throw badParameter('group_next_token', `invalid group_next_token '${token}'. were rule groups changed?`);
  }
}

/** Data of the targets endpoint. */
export function targetsData(params: Params): string {
  const state = params.get('state').toLowerCase();
  const counts = state === '' || state === 'any' || state === 'dropped' ? '{}' : 'null';
  return `{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":${counts}}`;
}

/** Data of the targets/metadata endpoint. */
export function targetsMetadataData(params: Params): string {
  const text = params.get('limit');
  if (text !== '' && typeof parseGoInt(text) === 'string') throw badData('limit must be a number');
  return '[]';
}
