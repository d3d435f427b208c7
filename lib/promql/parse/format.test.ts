import { describe, expect, test } from '@jest/globals';
import type { ParserOptions } from './ast.js';
import { formatExpr } from './format.js';
import { exprToJson } from './json.js';
import { parseExpr } from './parser.js';
import { prettyExpr } from './pretty.js';

const ALL: ParserOptions = {
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  binopFillModifiers: true,
  durationExpressions: true,
};

describe('one line', () => {
  test.each<[string, string]>([
    ['sum(foo)by(a,b)', 'sum by (a, b) (foo)'],
    ['sum by () (foo)', 'sum(foo)'],
    ['sum without () (foo)', 'sum without () (foo)'],
    ['TOPK(5,foo)', 'topk(5, foo)'],
    ['sum by ("a b", c) (foo)', 'sum by ("a b", c) (foo)'],
    ['foo{}', 'foo'],
    ['{"foo"}', '{__name__="foo"}'],
    ['foo{b="1",a="2","c d"=\'"\'}', 'foo{"c d"="\\"",a="2",b="1"}'],
    ['info(foo, {})', 'info(foo, {})'],
    ['foo+ignoring()bar', 'foo + bar'],
    ['foo+on()bar', 'foo + on () bar'],
    ['foo == bool on(a) group_left bar', 'foo == bool on (a) group_left () bar'],
    ['foo + ignoring() group_right(b) bar', 'foo + ignoring () group_right (b) bar'],
    ['foo + fill(1e6) bar', 'foo + fill (1e+06) bar'],
    ['foo + fill_right(100000) fill_left(-1m) bar', 'foo + fill_left (-60) fill_right (100000) bar'],
    ['foo AND bar', 'foo and bar'],
    ['foo </ bar', 'foo </ bar'],
    ['-foo', '-foo'],
    ['+(foo)', '+(foo)'],
    ['1e21', '1000000000000000000000'],
    ['1.5e-7', '0.00000015'],
    ['-inf', '-Inf'],
    ['+inf', '+Inf'],
    ['1w2d', '9d'],
    ['60s', '1m'],
    ['90m', '1h30m'],
    ['365d', '1y'],
    ['-5m', '-5m'],
    ["'a\"\\x41\\n'", '"a\\"A\\n"'],
    ['foo offset 5m @ 10', 'foo @ 10.000 offset 5m'],
    ['foo offset -5m @ start()', 'foo @ start() offset -5m'],
    ['foo anchored @ 1 offset 1m', 'foo @ 1.000 anchored offset 1m'],
    ['foo[5m] smoothed offset 1m @ 1', 'foo[5m] smoothed @ 1.000 offset 1m'],
    ['foo[1h:60s] offset 1m @ end()', 'foo[1h:1m] @ end() offset 1m'],
    ['foo[1h:]', 'foo[1h:]'],
    ['foo[5m*2]', 'foo[5m * 2]'],
    ['foo[(5m)]', 'foo[(5m)]'],
    ['foo[(5m+1)*-step()]', 'foo[(5m + 1) * -step()]'],
    ['foo[(step())]', 'foo[(step())]'],
    ['foo[+step():min_of(1m,range())]', 'foo[step():min_of(1m, range())]'],
    ['foo offset (-step())', 'foo offset (-step())'],
  ])('%s', (query, expected) => {
    expect(formatExpr(parseExpr(query, ALL))).toBe(expected);
    // The printed form means the same.
    expect(formatExpr(parseExpr(expected, ALL))).toBe(expected);
  });
});

describe('several lines', () => {
  const long = `a${'_long'.repeat(20)}`;
  test.each<[string, string]>([
    ['sum(rate(foo[5m]))', 'sum(rate(foo[5m]))'],
    [`sum by (a) (${long})`, `sum by (a) (\n  ${long}\n)`],
    [`topk(5, ${long})`, `topk(\n  5,\n  ${long}\n)`],
    [`foo + on(a) ${long}`, `  foo\n+ on (a)\n  ${long}`],
    [`round(${long}, 5)`, `round(\n  ${long},\n  5\n)`],
    [`(${long})`, `(\n  ${long}\n)`],
    [`-sum(${long})`, `-sum(\n  ${long}\n)`],
    [
      `max_over_time(rate(${long}[5m])[5m:1m] offset 1m)`,
      `max_over_time(\n  rate(\n    ${long}[5m]\n  )[5m:1m] offset 1m\n)`,
    ],
  ])('%s', (query, expected) => {
    expect(prettyExpr(parseExpr(query, ALL))).toBe(expected);
  });
});

describe('the JSON of parse_query', () => {
  test('has its keys in alphabetical order and null for what is absent', () => {
    expect(JSON.stringify(exprToJson(parseExpr('foo{a="b"} offset 1m', ALL)))).toBe(
      '{"anchored":false,"matchers":[{"name":"a","type":"=","value":"b"},{"name":"__name__","type":"=","value":"foo"}],' +
        '"name":"foo","offset":60000,"offsetExpr":null,"smoothed":false,"startOrEnd":null,"timestamp":null,' +
        '"type":"vectorSelector"}',
    );
    expect(JSON.stringify(exprToJson(parseExpr('sum(1 + on() -vector(5m))', ALL)))).toBe(
      '{"expr":{"bool":false,"lhs":{"type":"numberLiteral","val":"1"},"matching":null,"op":"+","rhs":{"expr":{"args":' +
        '[{"type":"numberLiteral","val":"300"}],"func":{"argTypes":["scalar"],"name":"vector","returnType":"vector",' +
        '"variadic":0},"type":"call"},"op":"-","type":"unaryExpr"},"type":"binaryExpr"},"grouping":[],"op":"sum",' +
        '"param":null,"type":"aggregation","without":false}',
    );
  });

  test('shows durations as trees', () => {
    expect(exprToJson(parseExpr('foo[(step()) : -5m + (10m)] @ end()', ALL))).toEqual({
      type: 'subquery',
      expr: expect.objectContaining({ name: 'foo' }),
      range: 0,
      rangeExpr: { type: 'durationExpr', op: 'step', lhs: null, rhs: null, wrapped: true },
      step: 0,
      stepExpr: {
        type: 'durationExpr',
        op: '+',
        lhs: { type: 'numberLiteral', val: '-300', duration: true },
        rhs: {
          type: 'durationExpr',
          op: '+',
          lhs: null,
          rhs: { type: 'numberLiteral', val: '600', duration: true },
          wrapped: true,
        },
        wrapped: false,
      },
      offset: 0,
      offsetExpr: null,
      timestamp: null,
      startOrEnd: 'end',
    });
  });

  test('shows matching', () => {
    expect(exprToJson(parseExpr('a == bool on(x) group_left(y) fill_left(2) b', ALL))).toMatchObject({
      type: 'binaryExpr',
      bool: true,
      matching: {
        card: 'many-to-one',
        labels: ['x'],
        on: true,
        include: ['y'],
        fillValues: { lhs: 2, rhs: null },
      },
    });
  });
});
