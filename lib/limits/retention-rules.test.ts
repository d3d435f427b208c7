import { describe, expect, test } from '@jest/globals';
import { DEFAULT_LIMITS } from './limits.js';
import { parseOverrides } from './overrides.js';
import { isRetentionRules, parseRetentionRules } from './retention-rules.js';

describe('parseRetentionRules', () => {
  test.each([
    ['', []],
    [' ; ', []],
    ['{job="debug"}=7d', [{ matchers: [['=', 'job', 'debug']], retentionMs: 7 * 86_400_000 }]],
    [
      ' {a="x;=}"} = 1h ; up{b=~\'y\'}=2d;',
      [
        { matchers: [['=', 'a', 'x;=}']], retentionMs: 3_600_000 },
        {
          matchers: [
            ['=~', 'b', 'y'],
            ['=', '__name__', 'up'],
          ],
          retentionMs: 2 * 86_400_000,
        },
      ],
    ],
    ['{a="\\"=1d;"}=5m', [{ matchers: [['=', 'a', '"=1d;']], retentionMs: 300_000 }]],
    ['{a=`\\`}=5m', [{ matchers: [['=', 'a', '\\']], retentionMs: 300_000 }]],
  ])('reads %j', (text, rules) => {
    expect(parseRetentionRules(text)).toEqual(rules);
  });

  test.each([
    ['{job="debug"}', 'no retention such as =7d at its end'],
    ['up', 'no retention'],
    ['{job="debug"}=', 'is not a duration'],
    ['{job="debug"}=7', 'is not a duration'],
    ['{job="debug"}=0s', 'is not a duration'],
    ['{job="debug"}=-1d', 'is not a duration'],
    ['{job=}=1d', 'parse error'],
    ['{}=1d', 'does not match the empty text'],
    ['{job=~".*"}=1d', 'does not match the empty text'],
    ['{job="a"}=1d {x="b"}=2d', 'parse error'],
    ['rate(up[5m])=1d', 'parse error'],
    [Array.from({ length: 101 }, (_, i) => `m${i}=1d`).join(';'), '101 rules'],
  ])('refuses %j', (text, message) => {
    expect(() => parseRetentionRules(text)).toThrow(message);
    expect(isRetentionRules(text)).toBe(false);
  });

  test('is a limit per tenant', () => {
    const text = `overrides:\n  a:\n    retention_matchers: '{job="debug"}=7d'\n`;
    expect(parseOverrides(text, DEFAULT_LIMITS, 'f').get('a')?.retentionMatchers).toBe('{job="debug"}=7d');
    expect(() => parseOverrides("overrides: {a: {retention_matchers: 'x'}}", DEFAULT_LIMITS, 'f')).toThrow(
      'f: overrides.a: retention_matchers must be rules such as',
    );
  });
});
