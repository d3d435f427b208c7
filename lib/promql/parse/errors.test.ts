import { describe, expect, test } from '@jest/globals';
import type { ParserOptions } from './ast.js';
import { parseExpr, parseMetricSelector } from './parser.js';

const ALL: ParserOptions = {
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  binopFillModifiers: true,
  durationExpressions: true,
};

function errorOf(query: string, options: ParserOptions = ALL): string {
  try {
    parseExpr(query, options);
  } catch (thrown) {
    expect(thrown).toMatchObject({ kind: 'client', code: 'promql-parse' });
    return (thrown as Error).message.replace(': parse error:', '');
  }
  return 'no error';
}

describe('lexer and grammar errors', () => {
  test.each<[string, string]>([
    ['', 'unknown position no expression found in input'],
    ['#c', '1:1 no expression found in input'],
    ['sum(', '1:5 unclosed left parenthesis'],
    ['foo[5m', '1:7 unclosed left bracket'],
    ['foo )', "1:6 unexpected right parenthesis ')'"],
    ['foo ]', "1:5 unexpected right bracket ']'"],
    ['foo[5m[', "1:7 unexpected left bracket '['"],
    ['foo[5m:1m:1m]', "1:10 unexpected colon ':'"],
    ['foo[5m::1m]', "1:8 unexpected colon ':'"],
    ['foo $', "1:5 unexpected character: '$'"],
    ['foo[5m x]', "1:8 unexpected character: 'x', expected ':'"],
    ['foo[x]', "1:5 unexpected character in duration expression: 'x'"],
    ['foo[max(5m,1s)]', "1:5 unexpected character in duration expression: 'm'"],
    ['foo[', '1:5 unexpected end of input in duration expression'],
    ['foo[:5m]', '1:6 unexpected colon before duration in duration expression'],
    ['foo =~ bar', "1:5 unexpected character after '=': '~'"],
    ['foo ! bar', "1:5 unexpected character after '!': ' '"],
    ['foo !', "1:5 unexpected character after '!': '\ufffd'"],
    ['foo{a', '1:6 unexpected end of input inside braces'],
    ['foo{a=1}', "1:7 unexpected character inside braces: '1'"],
    ['foo{a!1}', "1:6 unexpected character after '!' inside braces: '1'"],
    ['foo{{', "1:5 unexpected left brace '{'"],
    ['1 + "a', '1:5 unterminated quoted string'],
    ['1 + `a', '1:5 unterminated raw string'],
    ['"\ufffd"', '1:1 invalid UTF-8 rune'],
    ['"\\', '1:1 escape sequence not terminated'],
    ['"\\q"', "1:1 unknown escape sequence U+0071 'q'"],
    ['"\\x\'"', "1:1 illegal character U+0027 ''' in escape sequence"],
    ['"\\ud800"', '1:1 escape sequence is an invalid Unicode code point'],
    ['1_', '1:1 bad number or duration syntax: "1_"'],
    ['1h30', '1:1 bad number or duration syntax: "1h30"'],
    ['0x1.8p1', '1:1 bad number or duration syntax: "0x1."'],
    ['5m1.5', '1:1 bad number or duration syntax: "5m1"'],
    ['30s5m', '1:1 not a valid duration string: "30s5m"'],
    ['5hs', '1:1 unknown unit "hs" in duration "5hs"'],
    ['1.5m', '1:1 unknown unit "." in duration "1.5m"'],
    ['foo[300y]', '1:5 duration out of range'],
    ['foo[1e30]', '1:5 duration out of range'],
    ['foo offset nan', '1:12 duration out of range'],
    ['foo[0]', '1:5 duration must be greater than 0'],
    ['foo[5m:-1s]', '1:8 duration must be greater than 0'],
    ['foo[5m/0]', '1:7 division by zero'],
    ['foo[5m%0]', '1:7 modulo by zero'],
    ['1e400', '1:1 error parsing number: strconv.ParseFloat: parsing "1e400": value out of range'],
    ['0x', '1:1 error parsing number: strconv.ParseFloat: parsing "0x": invalid syntax'],
    ['rate(foo[5m],)', '1:13 trailing commas not allowed in function call args'],
    ['1 + nope(1)', '1:5 unknown function with name "nope"'],
    ['foo[5m] anchored smoothed', '1:1 anchored and smoothed modifiers cannot be used together'],
    ['foo[5m:] anchored', '1:1 anchored modifier is not supported for subqueries'],
    ['1 smoothed', '1:1 smoothed modifier not implemented'],
    ['sum()', '1:1 no arguments for aggregate expression provided'],
    ['topk(foo)', '1:1 wrong number of arguments for aggregate expression provided, expected 2, got 1'],
    ['sum by ("") (foo)', '1:9 invalid label name for grouping: ""'],
    ['(foo)[5m]', '1:6 ranges only allowed for vector selectors'],
    ['foo offset 1m[5m]', '1:14 no offset modifiers allowed before range'],
    ['foo @ 1[5m]', '1:8 no @ modifiers allowed before range'],
    [
      '1 offset 1m',
      '1:1 offset modifier must be preceded by an instant vector selector or range vector selector or a subquery',
    ],
    [
      '1 @ 1',
      '1:1 @ modifier must be preceded by an instant vector selector or range vector selector or a subquery',
    ],
    ['foo offset 1m offset 1m', '1:1 offset may not be set multiple times'],
    ['foo @ 1 @ end()', '1:1 @ <timestamp> may not be set multiple times'],
    ['foo @ inf', '1:1 timestamp out of bounds for @ modifier: +Inf'],
    ['foo @ 1e30', '1:1 timestamp out of bounds for @ modifier: 1000000000000000019884624838656.000000'],
    ['foo{a=~"["}', '1:5 error parsing regexp: missing closing ]: `[`'],
  ])('%j', (query, message) => {
    expect(errorOf(query)).toBe(message);
  });
});

describe('unexpected tokens, with context and expectation', () => {
  const duration = 'number, duration, step(), or range()';
  test.each<[string, string]>([
    ['sum by (a) foo', '1:12 unexpected identifier "foo" in aggregation'],
    ['sum(foo by (a))', '1:9 unexpected <by> in aggregation'],
    ['sum(rate(foo bar))', '1:14 unexpected identifier "bar" in aggregation'],
    ['sum foo', '1:5 unexpected identifier "foo"'],
    ['foo + on a bar', '1:10 unexpected identifier "a" in grouping opts, expected "("'],
    ['foo + on(1) bar', '1:10 unexpected number "1" in grouping opts, expected label'],
    ['foo + on(a b) bar', '1:12 unexpected identifier "b" in grouping opts, expected "," or ")"'],
    ['foo + on(a) group_left * bar', '1:24 unexpected <op:*> in grouping opts, expected "("'],
    ['foo{,}', '1:5 unexpected "," in label matching, expected identifier or "}"'],
    ['foo{a}', '1:6 unexpected "}" in label matching, expected label matching operator'],
    ['foo{a=b}', '1:7 unexpected identifier "b" in label matching, expected string'],
    ['foo{a="b" c="d"}', '1:11 unexpected identifier "c" in label matching, expected "," or "}"'],
    ['foo offset bar', `1:12 unexpected identifier "bar" in offset, expected ${duration}`],
    ['foo offset', `1:11 unexpected end of input in offset, expected ${duration}`],
    ['foo @ foo', '1:7 unexpected identifier "foo" in @, expected timestamp'],
    ['foo[]', `1:5 unexpected "]" in subquery or range selector, expected ${duration}`],
    ['foo[5m*]', `1:8 unexpected "]" in subquery or range selector, expected ${duration}`],
    ['foo[5m 1m]', '1:8 unexpected duration "1m" in subquery or range, expected ":" or "]"'],
    [
      'foo[5m:(]',
      '1:9 unexpected "]" in subquery selector, expected number, duration, step(), range(), or "]"',
    ],
    ['foo[5m:1m 1m]', '1:11 unexpected duration "1m" in subquery selector, expected "]"'],
    ['foo[5m] + bar[:5m]', `1:15 unexpected ":" in subquery or range selector, expected ${duration}`],
    ['foo bar', '1:5 unexpected identifier "bar"'],
    ['foo = 1', '1:5 unexpected "="'],
    ['foo bool', '1:5 unexpected <bool>'],
    ['foo +', '1:6 unexpected end of input'],
    ['foo Group_Left', '1:5 unexpected <Group_Left>'],
    ['foo + group_left(b) bar', '1:7 unexpected <group_left>'],
    ['foo > on(a) bool bar', '1:13 unexpected <bool>'],
    ['()', '1:2 unexpected ")"'],
    ['foo < /5', '1:7 unexpected <op:/>'],
    ['foo + fill(x) bar', '1:12 unexpected identifier "x"'],
    ['foo + fill(1) fill_left(2) bar', '1:24 unexpected "("'],
    ['foo a:b', '1:5 unexpected metric identifier "a:b"'],
    ['foo 12345678901', '1:5 unexpected number "1234567890"...'],
    ['foo "c"', '1:5 unexpected string "\\"c\\""'],
    ['foo "abcdefghijkl"', '1:5 unexpected string "\\"abcdefghi"...'],
    ['foo sum', '1:5 unexpected <aggr:sum>'],
    ['foo start', '1:5 unexpected "start"'],
    ['\nfoo\n  bar', '3:3 unexpected identifier "bar"'],
    ['"é" foo', '1:6 unexpected identifier "foo"'],
  ])('%j', (query, message) => {
    expect(errorOf(query)).toBe(message);
  });
});

describe('type errors', () => {
  test.each<[string, string]>([
    ['sum(1)', '1:5 expected type instant vector in aggregation expression, got scalar'],
    ['topk("a", foo)', '1:6 expected type scalar in aggregation parameter, got string'],
    ['count_values(1, foo)', '1:14 expected type string in aggregation parameter, got scalar'],
    ['rate(foo)', '1:6 expected type range vector in call to function "rate", got instant vector'],
    ['1 + time(1)', '1:5 expected 0 argument(s) in call to "time", got 1'],
    ['label_join(foo, "a")', '1:1 expected at least 3 argument(s) in call to "label_join", got 2'],
    ['round(foo, 1, 2)', '1:1 expected at most 2 argument(s) in call to "round", got 3'],
    ['info(foo, bar)', '1:11 expected label selectors only, got vector selector instead'],
    ['info(foo, (bar))', '1:11 expected label selectors only'],
    ['info(foo, 1)', '1:1 expected type instant vector in call to function "info", got scalar'],
    ['foo + bool bar', '1:5 bool modifier can only be used on comparison operators'],
    ['1 </ bool 2', '1:3 bool modifier can only be used on comparison operators'],
    ['(1)  == 1', '1:6 comparisons between scalars must use BOOL modifier'],
    ['foo * on(a) group_left(a) bar', '1:5 label "a" must not occur in ON and GROUP clause at once'],
    ['foo + "a"', '1:7 binary expression must contain only scalar and instant vector types'],
    ['1 * on(a) foo', '1:1 vector matching only allowed between instant vectors'],
    ['foo + fill(1) 1', '1:1 filling in missing series only allowed between instant vectors'],
    ['foo and fill(1) bar', '1:1 filling in missing series not allowed for set operators'],
    ['foo and on(a) group_left bar', '1:1 no grouping allowed for "and" operation'],
    ['1 or foo', '1:1 set operator "or" not allowed in binary scalar expression'],
    [
      '-foo[5m]',
      '1:1 unary expression only allowed on expressions of type scalar or instant vector, got "range vector"',
    ],
    ['foo[5m][5m:]', '1:1 subquery is only allowed on instant vector, got matrix instead'],
    ['foo{__name__=~"b.*"}', '1:1 metric name must not be set twice: "foo" or "b.*"'],
    ['1 + {a=~".*"}', '1:5 vector selector must contain at least one non-empty matcher'],
    ['sum(1 == 1) + sum("a")', '1:7 comparisons between scalars must use BOOL modifier'],
  ])('%j', (query, message) => {
    expect(errorOf(query)).toBe(message);
  });

  test('the label selector of info may select everything', () => {
    expect(errorOf('info(foo, {a=~".*"})')).toBe('no error');
  });
});

describe('options that are off', () => {
  const flags = 'and must be enabled with --enable-feature=promql-experimental-functions';
  test.each<[keyof ParserOptions, string, string]>([
    ['experimentalFunctions', '1 + step()', '1:5 function "step" is not enabled'],
    ['experimentalFunctions', 'limitk(1, foo)', `1:1 limitk() is experimental ${flags}`],
    ['extendedRangeSelectors', '1 + foo anchored', '1:5 anchored modifier is experimental and not enabled'],
    ['extendedRangeSelectors', 'foo[5m] smoothed', '1:1 smoothed modifier is experimental and not enabled'],
    [
      'binopFillModifiers',
      '1 * (foo + fill(1) bar)',
      '1:6 binop fill modifiers are experimental and not enabled',
    ],
    ['durationExpressions', 'foo[5m*2]', '1:5 experimental duration expression is not enabled'],
    ['durationExpressions', 'foo offset -step()', '1:13 experimental duration expression is not enabled'],
  ])('%s: %s', (option, query, message) => {
    expect(errorOf(query)).toBe('no error');
    expect(errorOf(query, { ...ALL, [option]: false })).toBe(message);
  });

  test('plain literals are no duration expressions', () => {
    const options = { ...ALL, durationExpressions: false };
    for (const query of ['foo[5m]', 'foo[5m:1m] offset -5m', 'foo offset 5m + 1'])
      expect(errorOf(query, options)).toBe('no error');
  });
});

describe('match[] selectors', () => {
  test.each<[string, string]>([
    ['', 'unknown position: parse error: unexpected end of input'],
    ['foo bar', '1:5: parse error: unexpected identifier "bar"'],
    ['foo[5m]', '1:4: parse error: unexpected "["'],
    ['1', '1:1: parse error: unexpected number "1"'],
    ['{a=1}', "1:4: parse error: unexpected character inside braces: '1'"],
    ['foo offset 5m', '1:5: parse error: unexpected <offset>'],
  ])('%j', (text, message) => {
    expect(() => parseMetricSelector(text)).toThrow(
      expect.objectContaining({ code: 'promql-parse', message }),
    );
  });
});
