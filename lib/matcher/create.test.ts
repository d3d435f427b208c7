import { describe, expect, test } from '@jest/globals';
import { createMatcher } from './create.js';
import type { MatchType } from './matcher.js';

describe('matchers', () => {
  test.each<[MatchType, string, readonly string[], readonly string[]]>([
    ['=', 'a', ['a'], ['', 'b', 'aa']],
    ['=', '', [''], ['a']],
    ['!=', 'a', ['', 'b'], ['a']],
    ['!=', '', ['a'], ['']],
    ['=~', 'a.*', ['a', 'ab', 'a\nb'], ['', 'ba']],
    ['=~', '.+', ['a', '\n'], ['']],
    ['=~', '.*', ['a', ''], []],
    ['!~', 'a|b', ['', 'c', 'ab'], ['a', 'b']],
    ['!~', '.+', [''], ['a']],
    ['=~', '.*x.*y', ['xy', 'axbxy'], ['yx', 'x']],
  ])('%s %j', (type, value, accepted, refused) => {
    const matcher = createMatcher(type, 'l', value);
    for (const text of accepted) expect([text, matcher.matches(text)]).toEqual([text, true]);
    for (const text of refused) expect([text, matcher.matches(text)]).toEqual([text, false]);
    expect(matcher.matchesEmpty).toBe(matcher.matches(''));
    expect(matcher).toMatchObject({ type, name: 'l', value, isNegative: type.startsWith('!') });
  });

  test('lists and prefixes describe the test before negation', () => {
    expect(createMatcher('!=', 'l', 'a')).toMatchObject({ oneOf: ['a'], prefix: 'a' });
    expect(createMatcher('!~', 'l', 'a|b')).toMatchObject({ oneOf: ['a', 'b'], prefix: '' });
    expect(createMatcher('=~', 'l', 'ab.+')).toMatchObject({ oneOf: null, prefix: 'ab' });
  });

  test('a bad pattern is the client fault', () => {
    expect(() => createMatcher('=~', 'l', '(')).toThrow(
      expect.objectContaining({ kind: 'client', code: 'matcher-regex' }),
    );
    expect(createMatcher('=', 'l', '(').matches('(')).toBe(true);
  });
});
