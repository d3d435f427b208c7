import { compileRegexp } from '../regex/index.js';
import type { Matcher, MatchType } from './matcher.js';

/**
 * Makes a matcher.
 * @throws VarveError `client`/`matcher-regex` when the value of `=~` or `!~` is no RE2 pattern
 */
export function createMatcher(type: MatchType, name: string, value: string): Matcher {
  switch (type) {
    case '=':
      return {
        type,
        name,
        value,
        isNegative: false,
        matchesEmpty: value === '',
        oneOf: [value],
        prefix: value,
        matches: (text) => text === value,
      };
    case '!=':
      return {
        type,
        name,
        value,
        isNegative: true,
        matchesEmpty: value !== '',
        oneOf: [value],
        prefix: value,
        matches: (text) => text !== value,
      };
    case '=~':
    case '!~': {
      const { test, oneOf, prefix } = compileRegexp(value);
      const isNegative = type === '!~';
      return {
        type,
        name,
        value,
        isNegative,
        matchesEmpty: test('') !== isNegative,
        oneOf,
        prefix,
        matches: isNegative ? (text) => !test(text) : test,
      };
    }
  }
}
