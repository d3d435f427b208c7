import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { RE2JS } from 're2js';
import { compileAutomaton } from './automaton.js';
import { compileRegexp } from './compile.js';
import { readPattern } from './syntax.js';

/** The reference: null when the pattern is refused. */
function reference(pattern: string): ((text: string) => boolean) | null {
  try {
    const compiled = RE2JS.compile(pattern, RE2JS.DOTALL);
    return (text) => compiled.matches(text);
  } catch {
    return null;
  }
}

function ours(pattern: string): ((text: string) => boolean) | null {
  try {
    return compileRegexp(pattern).test;
  } catch {
    return null;
  }
}

/** Patterns made of what matchers are made of; `depth` bounds the nesting. */
const grammar = fc.letrec<{ atom: string; sequence: string; choice: string }>((tie) => ({
  atom: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(
      'a',
      'b',
      'k',
      'S',
      '-',
      '\\.',
      '.',
      '.*',
      '.+',
      '[ab]',
      '[^a]',
      '[a-c-]',
      '\\d',
      '[\\w.]',
      'é',
      '\u{1F600}',
    ),
    fc.constantFrom(
      'ab',
      'x',
      '\\s',
      '[^\\d]',
      '\\n',
      '[é-ï]',
      '.?',
      '.*?',
      '{',
      'a{2}',
      '[]a]',
      '(?:)',
      '\\S',
      '[^\\s-]',
    ),
    fc
      .tuple(tie('choice'), fc.constantFrom('', '', '*', '+', '?', '{2}', '{1,3}', '{0,1}', '{2,}', '*?'))
      .map(([inner, quantifier]) => `(${inner})${quantifier}`),
    tie('choice').map((inner) => `(?i:${inner})`),
  ),
  sequence: fc.array(tie('atom'), { maxLength: 4 }).map((atoms) => atoms.join('')),
  choice: fc.array(tie('sequence'), { minLength: 1, maxLength: 3 }).map((branches) => branches.join('|')),
}));
const patterns = fc
  .tuple(fc.constantFrom('', '', '^', '(?i)', '(?s)'), grammar.choice, fc.constantFrom('', '', '$'))
  .map((parts) => parts.join(''));
const texts = fc
  .array(
    fc.constantFrom(
      'a',
      'b',
      'c',
      'k',
      'K',
      '\u212a',
      's',
      'S',
      '\u017f',
      'x',
      '-',
      '.',
      '1',
      '\n',
      ' ',
      'é',
      'É',
      '\u{1F600}',
      '{',
      '_',
    ),
    {
      maxLength: 8,
    },
  )
  .map((chars) => chars.join(''));

describe('tests of whole strings', () => {
  test('agree with re2js on generated patterns', () => {
    fc.assert(
      fc.property(patterns, fc.array(texts, { minLength: 5, maxLength: 10 }), (pattern, samples) => {
        const expected = reference(pattern);
        const actual = ours(pattern);
        expect(actual === null).toBe(expected === null);
        for (const text of ['', ...samples])
          expect([pattern, text, actual?.(text)]).toEqual([pattern, text, expected?.(text)]);
      }),
      { numRuns: 700, seed: 7 },
    );
  });

  test('accept and refuse what re2js does, on strings of syntax characters', () => {
    const noise = fc
      .array(fc.constantFrom(...'ab.*+?|()[]{}\\^$-01,i:sd&~'), { maxLength: 9 })
      .map((chars) => chars.join(''));
    fc.assert(
      fc.property(noise, texts, (pattern, text) => {
        const expected = reference(pattern);
        const actual = ours(pattern);
        expect([pattern, actual?.(text)]).toEqual([pattern, expected?.(text)]);
      }),
      { numRuns: 3000, seed: 11 },
    );
  });

  test('agree with what the list and the prefix say', () => {
    fc.assert(
      fc.property(patterns, texts, (pattern, text) => {
        if (reference(pattern) === null) return;
        const { oneOf, prefix, test: accepts } = compileRegexp(pattern);
        for (const value of oneOf ?? []) expect(accepts(value)).toBe(true);
        if (!accepts(text)) return;
        expect(text.startsWith(prefix)).toBe(true);
        if (oneOf !== null) expect(oneOf).toContain(text);
      }),
      { numRuns: 700, seed: 13 },
    );
  });

  test('the automaton alone agrees with re2js', () => {
    fc.assert(
      fc.property(patterns, fc.array(texts, { maxLength: 6 }), (pattern, samples) => {
        const node = readPattern(pattern);
        const automaton = node === null ? null : compileAutomaton(node);
        if (automaton === null) return;
        const expected = reference(pattern)!;
        for (const text of samples)
          expect([pattern, text, automaton.test(text)]).toEqual([pattern, text, expected(text)]);
      }),
      { numRuns: 700, seed: 17 },
    );
  });
});

describe('lists and prefixes', () => {
  test.each<[string, readonly string[] | null, string]>([
    ['', [''], ''],
    ['foo', ['foo'], 'foo'],
    ['^foo$', ['foo'], 'foo'],
    ['a|b|c', ['a', 'b', 'c'], ''],
    ['foo|', ['foo', ''], ''],
    ['foo(bar|baz)', ['foobar', 'foobaz'], 'fooba'],
    ['(a|b)c', ['ac', 'bc'], ''],
    ['(a|b)(c|d)', ['ac', 'ad', 'bc', 'bd'], ''],
    ['[45]0[0-4]', ['400', '401', '402', '403', '404', '500', '501', '502', '503', '504'], ''],
    ['a?', ['', 'a'], ''],
    ['a\\.b', ['a.b'], 'a.b'],
    ['(?i)ab', ['AB', 'Ab', 'aB', 'ab'], ''],
    ['x{3}', ['xxx'], 'xxx'],
    ['foo.*', null, 'foo'],
    ['foo.+|foobar', null, 'foo'],
    ['.*', null, ''],
    ['[a-z]+', null, ''],
    ['\\pL', null, ''],
  ])('%j', (pattern, oneOf, prefix) => {
    const compiled = compileRegexp(pattern);
    expect(compiled.oneOf === null ? null : [...compiled.oneOf].sort()).toEqual(
      oneOf === null ? null : [...oneOf].sort(),
    );
    expect(compiled.prefix).toBe(prefix);
  });

  test('a long alternation stays a list', () => {
    const values = Array.from({ length: 5000 }, (_, i) => `pod-${i}`);
    const { oneOf, test: accepts } = compileRegexp(values.join('|'));
    expect(oneOf).toEqual(values);
    expect(accepts('pod-4999')).toBe(true);
    expect(accepts('pod-5000')).toBe(false);
  });
});

test('a pattern whose automaton would explode is still answered', () => {
  const accepts = compileRegexp('.*a.{20}').test;
  const text = 'ab'.repeat(300);
  expect(accepts(`${text}a${'b'.repeat(20)}`)).toBe(true);
  expect(accepts(`${text}c${'b'.repeat(20)}`)).toBe(false);
});

test('patterns that make backtracking engines hang are answered at once', () => {
  for (const pattern of ['(a+)+', '(a|a)*', '(a*)*b', '(.*)*x', 'a?'.repeat(30) + 'a'.repeat(30)])
    expect(compileRegexp(pattern).test(`${'a'.repeat(40)}!`)).toBe(false);
});

describe('refused patterns have the texts of Go', () => {
  test.each([
    ['[', 'error parsing regexp: missing closing ]: `[`'],
    ['(', 'error parsing regexp: missing closing ): `(`'],
    [')', 'error parsing regexp: unexpected ): `)`'],
    ['*', 'error parsing regexp: missing argument to repetition operator: `*`'],
    ['a**', 'error parsing regexp: invalid nested repetition operator: `**`'],
    ['a{2000}', 'error parsing regexp: invalid repeat count: `{2000}`'],
    ['[b-a]', 'error parsing regexp: invalid character class range: `b-a`'],
    ['\\8', 'error parsing regexp: invalid escape sequence: `\\8`'],
    ['\\', 'error parsing regexp: trailing backslash at end of expression: ``'],
    ['(?=a)', 'error parsing regexp: invalid or unsupported Perl syntax: `(?=`'],
    ['\\pX', 'error parsing regexp: invalid character class range: `\\pX`'],
  ])('%j', (pattern, message) => {
    expect(() => compileRegexp(pattern)).toThrow(
      expect.objectContaining({ kind: 'client', code: 'matcher-regex', message }),
    );
  });
});
