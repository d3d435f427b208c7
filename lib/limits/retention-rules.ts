import { LRUCache } from 'lru-cache';
import { VarveError } from '../errors/index.js';
import { type MatcherText, textOfMatcher } from '../matcher/index.js';
import { parseMetricSelector } from '../promql/parse/index.js';
import { parseDuration } from '../settings/index.js';

/** How long the samples of some series are kept. */
export interface RetentionRule {
  readonly matchers: readonly MatcherText[];
  readonly retentionMs: number;
}

const RULES_MAX = 100;

const cache = new LRUCache<string, readonly RetentionRule[]>({ max: 1000 });

/**
 * The rules of a text such as `{job="debug"}=7d; {__name__=~"go_.*"}=30d`. Of several rules that select a series the
 * shortest counts.
 * @throws VarveError client `retention-matchers` that says what is wrong
 */
export function parseRetentionRules(text: string): readonly RetentionRule[] {
  let rules = cache.get(text);
  if (rules === undefined) {
    rules = splitUnquoted(text, ';')
      .map((part) => part.trim())
      .filter((part) => part !== '')
      .map(parseRule);
    if (rules.length > RULES_MAX) throw bad(`${rules.length} rules, at most ${RULES_MAX} are allowed`);
    cache.set(text, rules);
  }
  return rules;
}

/** Whether a text can be parsed. */
export function isRetentionRules(text: string): boolean {
  try {
    parseRetentionRules(text);
    return true;
  } catch {
    return false;
  }
}

function parseRule(part: string): RetentionRule {
  const pieces = splitUnquoted(part, '=');
  const last = pieces.at(-1)!;
  if (pieces.length < 2 || last.includes('}')) throw bad(`${part}: no retention such as =7d at its end`);
  const retentionMs = parseDuration(last.trim());
  if (retentionMs === null || retentionMs <= 0)
    throw bad(`${part}: ${last.trim()} is not a duration such as 7d`);
  const selector = part.slice(0, part.length - last.length - 1);
  let matchers: ReturnType<typeof parseMetricSelector>;
  try {
    matchers = parseMetricSelector(selector);
  } catch (cause) {
    throw bad(`${part}: ${(cause as Error).message}`);
  }
  if (matchers.every((matcher) => matcher.matchesEmpty)) {
    throw bad(`${part}: a selector needs a matcher that does not match the empty text`);
  }
  return { matchers: matchers.map(textOfMatcher), retentionMs };
}

/** Splits at a character that stands outside of quotes. */
function splitUnquoted(text: string, separator: string): string[] {
  const parts: string[] = [];
  let quote = '';
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (quote !== '') {
      if (character === '\\' && quote !== '`') i++;
      else if (character === quote) quote = '';
    } else if (character === '"' || character === "'" || character === '`') quote = character;
    else if (character === separator) {
      parts.push(text.slice(from, i));
      from = i + 1;
    }
  }
  parts.push(text.slice(from));
  return parts;
}

function bad(problem: string): VarveError {
  return new VarveError('client', 'retention-matchers', problem);
}
