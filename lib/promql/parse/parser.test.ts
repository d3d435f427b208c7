import { describe, expect, test } from '@jest/globals';
import type { Expr, ParserOptions } from './ast.js';
import { formatExpr } from './format.js';
import { FUNCTIONS } from './functions.js';
import { exprToJson } from './json.js';
import { parseExpr, parseMetricSelector } from './parser.js';
import { prettyExpr } from './pretty.js';
import { valueTypeOf } from './types.js';

const ALL: ParserOptions = {
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  binopFillModifiers: true,
  durationExpressions: true,
};

function parse(query: string): Expr {
  return parseExpr(query, ALL);
}

/** The tree with parentheses around every node, so that grouping can be read off. */
function shape(expr: Expr): string {
  switch (expr.kind) {
    case 'binary':
      return `(${shape(expr.lhs)} ${expr.op} ${shape(expr.rhs)})`;
    case 'unary':
      return `(${expr.op}${shape(expr.expr)})`;
    case 'paren':
      return `[${shape(expr.expr)}]`;
    case 'vectorSelector':
      return expr.offsetMs === 0 ? expr.name : `${expr.name}@-${expr.offsetMs}`;
    case 'number':
      return String(expr.value);
    default:
      return expr.kind;
  }
}

describe('numbers', () => {
  test.each<[string, number]>([
    ['1', 1],
    ['.5', 0.5],
    ['5.', 5],
    ['1e3', 1000],
    ['1E-3', 0.001],
    ['1_000.5', 1000.5],
    ['0x1F', 31],
    ['0X_1f', 31],
    ['017', 15],
    ['08', 8],
    ['0777777777777777777777777', Number('777777777777777777777777')],
    ['9223372036854775808', 2 ** 63],
    ['Inf', Number.POSITIVE_INFINITY],
    ['-iNf', Number.NEGATIVE_INFINITY],
    ['NaN', Number.NaN],
    ['5m', 300],
    ['1ms', 0.001],
    ['1y2w3d4h5m6s7ms', 33019506.007],
    ['-1h30m', -5400],
    ['+5', 5],
    ['- -5', 5],
  ])('%s', (query, value) => {
    expect(parse(query)).toMatchObject({ kind: 'number', value });
  });

  test('a duration literal remembers that it was one', () => {
    expect(parse('5m')).toMatchObject({ isDuration: true });
    expect(parse('300')).toMatchObject({ isDuration: false });
  });
});

describe('strings', () => {
  test.each<[string, string]>([
    ['"a"', 'a'],
    ["'a\"b'", 'a"b'],
    ['`a\\n\n`', 'a\\n\n'],
    ['"\\a\\b\\f\\n\\r\\t\\v\\\\\\""', '\u0007\b\f\n\r\t\v\\"'],
    ["'\\''", "'"],
    ['"\\x41\\101\\u00e9\\U0001F600"', 'AAé\u{1F600}'],
    ['"\\xc3\\xa9"', 'é'],
    ['"\\xff"', '\udcff'],
    ['"é\\n"', 'é\n'],
  ])('%s', (query, value) => {
    expect(parse(query)).toMatchObject({ kind: 'string', value });
  });
});

describe('grouping of operators', () => {
  test.each([
    ['a + b - c', '((a + b) - c)'],
    ['a + b * c', '(a + (b * c))'],
    ['a ^ b ^ c', '(a ^ (b ^ c))'],
    ['-2 ^ 2', '(-(2 ^ 2))'],
    ['-a * b', '((-a) * b)'],
    ['a * -b ^ c', '(a * (-(b ^ c)))'],
    ['2 ^ -1 * 3', '((2 ^ -1) * 3)'],
    ['+a', '(+a)'],
    ['a or b and c', '(a or (b and c))'],
    ['a unless b and c', '((a unless b) and c)'],
    ['a and b == c + d', '(a and (b == (c + d)))'],
    ['a == b > c', '((a == b) > c)'],
    ['a atan2 b * c', '((a atan2 b) * c)'],
    ['a </ b', '(a </ b)'],
    ['a>/b', '(a >/ b)'],
    ['a ^ b offset 5m', '(a ^ b@-300000)'],
    ['-a offset 5m', '(-a@-300000)'],
    ['a offset 5m + b', '(a@-300000 + b)'],
    ['a offset -2 ^ 2', '(a@--2000 ^ 2)'],
    ['(a + b) * c', '([(a + b)] * c)'],
    ['and and and', '(and and and)'],
    ['SUM + By', '(SUM + By)'],
    ['fill + fill', '(fill + fill)'],
    ['a + fill_left', '(a + fill_left)'],
  ])('%s', (query, expected) => {
    expect(shape(parse(query))).toBe(expected);
  });
});

describe('selectors', () => {
  test('matchers stand in the order written, the outside name last', () => {
    const expr = parse('foo{b="1", "a.b"!="2", c=~"3", d!~\'4\',}');
    expect(expr).toMatchObject({
      kind: 'vectorSelector',
      name: 'foo',
      matchers: [
        { type: '=', name: 'b', value: '1' },
        { type: '!=', name: 'a.b', value: '2' },
        { type: '=~', name: 'c', value: '3' },
        { type: '!~', name: 'd', value: '4' },
        { type: '=', name: '__name__', value: 'foo' },
      ],
    });
  });

  test('quoted names are matchers on the metric name', () => {
    expect(parse('{"a b", "c"}')).toMatchObject({
      name: '',
      matchers: [
        { type: '=', name: '__name__', value: 'a b' },
        { type: '=', name: '__name__', value: 'c' },
      ],
    });
  });

  test('offset and @ apply once each, in any order', () => {
    const expected = { offsetMs: 300_000, atMs: 10_000, atBound: null };
    expect(parse('foo offset 5m @ 10')).toMatchObject(expected);
    expect(parse('foo @ 10 offset 5m')).toMatchObject(expected);
    expect(parse('foo[5m] @ 10 offset 5m')).toMatchObject({ rangeMs: 300_000, selector: expected });
    expect(parse('foo[5m:1m] @ 10 offset 5m')).toMatchObject({
      rangeMs: 300_000,
      stepMs: 60_000,
      ...expected,
    });
    expect(parse('foo @ END()')).toMatchObject({ atBound: 'end', atMs: null });
    expect(parse('foo offset 0s offset -1.5')).toMatchObject({ offsetMs: -1500 });
  });

  test.each<[string, number]>([
    ['foo @ 1.2345', 1235],
    ['foo @ -1.2345', -1235],
    ['foo @ 1m', 60_000],
    ['foo @ +1', 1000],
    ['foo @ -0', 0],
  ])('%s is rounded to milliseconds', (query, atMs) => {
    expect(parse(query)).toMatchObject({ atMs });
  });

  test('anchored and smoothed', () => {
    expect(parse('foo[5m] anchored')).toMatchObject({ selector: { anchored: true, smoothed: false } });
    expect(parse('foo smoothed @ 1')).toMatchObject({ anchored: false, smoothed: true, atMs: 1000 });
  });

  test('match[] takes one selector', () => {
    const names = (text: string) =>
      parseMetricSelector(text).map(({ name, type, value }) => name + type + value);
    expect(names('foo{a="b"}')).toEqual(['a=b', '__name__=foo']);
    expect(names('{a=~".*"}')).toEqual(['a=~.*']);
    expect(names('sum')).toEqual(['__name__=sum']);
  });
});

describe('durations', () => {
  test('literals become milliseconds, expressions stay trees', () => {
    expect(parse('foo[1.5]')).toMatchObject({ rangeMs: 1500, rangeExpr: null });
    expect(parse('foo[5m*2]')).toMatchObject({
      rangeMs: 0,
      rangeExpr: { kind: 'binary', op: '*', pos: { start: 4, end: 8 } },
    });
    expect(parse('foo[5m:step()*2]')).toMatchObject({
      rangeMs: 300_000,
      stepExpr: { kind: 'binary', lhs: { kind: 'step' } },
    });
    expect(parse('foo[MAX_OF(step(), range())]')).toMatchObject({
      rangeExpr: { kind: 'binary', op: 'max_of', lhs: { kind: 'step' }, rhs: { kind: 'range' } },
    });
    expect(parse('foo[-2^2+5m]')).toMatchObject({
      rangeExpr: { op: '+', lhs: { kind: 'unary', op: '-', expr: { op: '^' } } },
    });
  });

  test('what ends an offset and what does not', () => {
    expect(parse('foo offset step()*2')).toMatchObject({
      kind: 'binary',
      lhs: { offsetExpr: { kind: 'step' } },
    });
    expect(parse('foo offset -(5m)*2')).toMatchObject({
      kind: 'binary',
      lhs: { offsetExpr: { kind: 'unary', op: '-' } },
    });
    expect(parse('foo offset -min_of(1,2)^2')).toMatchObject({ kind: 'binary', op: '^' });
    expect(parse('foo offset (5m)*2')).toMatchObject({ kind: 'vectorSelector', offsetExpr: { op: '*' } });
    expect(parse('foo offset - -5m*2')).toMatchObject({ kind: 'vectorSelector', offsetExpr: { op: '*' } });
  });
});

describe('aggregations, calls and matching', () => {
  test('clauses may stand before or after the arguments', () => {
    const expected = { kind: 'aggregate', op: 'topk', grouping: ['a', 'on', 'x:y', 'd e'], without: true };
    expect(parse('TOPK without (a, on, x:y, "d e",) (5, foo)')).toMatchObject(expected);
    expect(parse('topk(5, foo) WITHOUT (a, on, x:y, "d e")')).toMatchObject(expected);
    expect(parse('sum(foo)')).toMatchObject({ grouping: [], without: false, param: null });
  });

  test('matching exists between vectors only', () => {
    const matching = {
      cardinality: 'one-to-one',
      labels: [],
      on: false,
      include: [],
      fillLeft: null,
      fillRight: null,
    };
    expect(parse('a + b')).toMatchObject({ matching });
    expect(parse('a + 1')).toMatchObject({ matching: null });
    expect(parse('a + on() 1')).toMatchObject({ matching: null });
    expect(parse('a and on(x) b')).toMatchObject({
      matching: { cardinality: 'many-to-many', labels: ['x'], on: true },
    });
    expect(parse('a == bool ignoring(x) group_right(y, z) b')).toMatchObject({
      returnBool: true,
      matching: { cardinality: 'one-to-many', labels: ['x'], include: ['y', 'z'], on: false },
    });
    expect(parse('a * on(x) group_left b')).toMatchObject({
      matching: { cardinality: 'many-to-one', include: [] },
    });
  });

  test('fill values', () => {
    expect(parse('a + fill(0) b')).toMatchObject({ matching: { fillLeft: 0, fillRight: 0 } });
    expect(parse('a + fill_right(-1m) fill_left(+2) b')).toMatchObject({
      matching: { fillLeft: 2, fillRight: -60 },
    });
    expect(parse('a + on(x) group_left fill (inf) b')).toMatchObject({
      matching: { fillLeft: Number.POSITIVE_INFINITY },
    });
  });

  test('words of the query are functions only before a parenthesis', () => {
    expect(parse('start()')).toMatchObject({ kind: 'call', func: 'start' });
    expect(parse('max_of(step(), 1)')).toMatchObject({ kind: 'call', func: 'max_of' });
    expect(parse('start')).toMatchObject({ kind: 'vectorSelector', name: 'start' });
  });
});

describe('positions', () => {
  test.each<[string, number, number]>([
    [' foo ', 1, 4],
    ['foo{a="é"}', 0, 11],
    ['foo[5m] offset 1m', 0, 17],
    ['foo @ start() ', 0, 13],
    ['(foo)[5m:1m] @ 10', 0, 17],
    ['sum (foo) by (a) ', 0, 16],
    ['rate(foo[5m] )', 0, 14],
    ['- foo', 0, 5],
    ['"é" == bool 1 #c', 0, 0],
  ])('%j', (query, start, end) => {
    if (end === 0) expect(() => parse(query)).toThrow();
    else expect(parse(query).pos).toEqual({ start, end });
  });
});

describe('types', () => {
  test.each([
    ['1 + 2', 'scalar'],
    ['1 + foo', 'vector'],
    ['(time())', 'scalar'],
    ['"a"', 'string'],
    ['foo[5m]', 'matrix'],
    ['foo[5m:]', 'matrix'],
    ['-foo', 'vector'],
    ['sum(foo)', 'vector'],
    ['vector(1)', 'vector'],
  ])('%s is %s', (query, type) => {
    expect(valueTypeOf(parse(query))).toBe(type);
  });

  test('every function knows its arguments', () => {
    expect(FUNCTIONS.get('label_join')).toEqual({
      name: 'label_join',
      argTypes: ['vector', 'string', 'string', 'string'],
      variadic: -1,
      returnType: 'vector',
      experimental: false,
    });
    expect(FUNCTIONS.get('histogram_quantiles')).toMatchObject({ variadic: 9, experimental: true });
    expect(FUNCTIONS.size).toBe(90);
  });
});

describe('hostile depth', () => {
  test.each([
    ['parentheses', '('.repeat(100_000)],
    ['balanced parentheses', `${'('.repeat(5000)}1${')'.repeat(5000)}`],
    ['signs', `${'-'.repeat(100_000)}foo`],
    ['calls', `${'abs('.repeat(5000)}foo${')'.repeat(5000)}`],
    ['a chain of operators', `foo${' + foo'.repeat(100_000)}`],
    ['subqueries', `foo${'[5m:]'.repeat(10_000)}`],
    ['durations', `foo[${'('.repeat(50_000)}`],
    ['signed durations', `foo[${'-'.repeat(50_000)}5m]`],
  ])('%s are refused, not fatal', (_, query) => {
    expect(() => parse(query)).toThrow(expect.objectContaining({ code: 'promql-parse' }));
  });

  test.each([
    ['a chain', `foo${' + foo'.repeat(1000)}`],
    ['a chain in parentheses', `${'('.repeat(298)}foo${' + foo'.repeat(1000)}${')'.repeat(298)}`],
    ['calls', `${'abs('.repeat(299)}foo${')'.repeat(299)}`],
    ['a tower of powers', `foo${' ^ foo'.repeat(299)}`],
  ])('%s within the limits can be walked', (_, query) => {
    const expr = parse(query);
    expect(formatExpr(parse(formatExpr(expr)))).toBe(formatExpr(expr));
    expect(prettyExpr(expr).length).toBeGreaterThan(query.length);
    expect(exprToJson(expr)).not.toBeNull();
    expect(valueTypeOf(expr)).toBe('vector');
  });
});
