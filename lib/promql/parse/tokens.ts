import { goQuote, truncateRunes } from './quote.js';

/** Token types. The ranges between the marks below are what "unexpected …" texts distinguish. */
export const Token = {
  eof: 0,
  identifier: 1,
  metricIdentifier: 2,
  number: 3,
  duration: 4,
  string: 5,
  leftParen: 6,
  rightParen: 7,
  leftBrace: 8,
  rightBrace: 9,
  leftBracket: 10,
  rightBracket: 11,
  comma: 12,
  colon: 13,
  equal: 15,
  // Preprocessors.
  start: 16,
  end: 17,
  step: 18,
  range: 19,
  maxOf: 20,
  minOf: 21,
  // Operators.
  add: 32,
  sub: 33,
  mul: 34,
  div: 35,
  mod: 36,
  pow: 37,
  atan2: 38,
  equals: 39,
  notEquals: 40,
  less: 41,
  lessEquals: 42,
  greater: 43,
  greaterEquals: 44,
  trimUpper: 45,
  trimLower: 46,
  and: 47,
  or: 48,
  unless: 49,
  matchRegexp: 50,
  notMatchRegexp: 51,
  at: 52,
  // Aggregators.
  aggregator: 64,
  // Keywords.
  offset: 96,
  smoothed: 97,
  anchored: 98,
  by: 99,
  without: 100,
  on: 101,
  ignoring: 102,
  groupLeft: 103,
  groupRight: 104,
  fill: 105,
  fillLeft: 106,
  fillRight: 107,
  bool: 108,
} as const;

export type TokenType = (typeof Token)[keyof typeof Token];

/** Words that are not identifiers, in lower case: the language ignores their case. */
export const KEYWORDS: ReadonlyMap<string, TokenType> = new Map<string, TokenType>([
  ['and', Token.and],
  ['or', Token.or],
  ['unless', Token.unless],
  ['atan2', Token.atan2],
  ...[
    'sum',
    'avg',
    'count',
    'min',
    'max',
    'group',
    'stddev',
    'stdvar',
    'topk',
    'bottomk',
    'count_values',
    'quantile',
    'limitk',
    'limit_ratio',
  ].map((name): [string, TokenType] => [name, Token.aggregator]),
  ['offset', Token.offset],
  ['smoothed', Token.smoothed],
  ['anchored', Token.anchored],
  ['by', Token.by],
  ['without', Token.without],
  ['on', Token.on],
  ['ignoring', Token.ignoring],
  ['group_left', Token.groupLeft],
  ['group_right', Token.groupRight],
  ['fill', Token.fill],
  ['fill_left', Token.fillLeft],
  ['fill_right', Token.fillRight],
  ['bool', Token.bool],
  ['start', Token.start],
  ['end', Token.end],
  ['step', Token.step],
  ['range', Token.range],
  ['max_of', Token.maxOf],
  ['min_of', Token.minOf],
  ['inf', Token.number],
  ['nan', Token.number],
]);

/** Length in characters of the longest keyword; longer words need no look-up. */
export const KEYWORD_LENGTH_MAX = 12;

/** Whether the token can stand where a metric name is expected. */
export function isMetricName(type: TokenType): boolean {
  return (
    type === Token.identifier ||
    type === Token.metricIdentifier ||
    type === Token.aggregator ||
    (type >= Token.start && type <= Token.minOf) ||
    (type >= Token.and && type <= Token.unless) ||
    (type >= Token.offset && type <= Token.without) ||
    (type >= Token.fill && type <= Token.fillRight)
  );
}

/** Whether the token can stand, unquoted, where a grouping label is expected. */
export function isLabelName(type: TokenType): boolean {
  return (
    isMetricName(type) ||
    (type >= Token.on && type <= Token.groupRight) ||
    type === Token.bool ||
    type === Token.atan2
  );
}

/** How an error text names a token. `source` is the token's spelling in the query. */
export function describeToken(type: TokenType, source: string): string {
  switch (type) {
    case Token.eof:
      return 'end of input';
    case Token.identifier:
      return `identifier ${goQuote(source)}`;
    case Token.metricIdentifier:
      return `metric identifier ${goQuote(source)}`;
    case Token.number:
      return `number ${quoteShort(source)}`;
    case Token.duration:
      return `duration ${quoteShort(source)}`;
    case Token.string:
      return `string ${quoteShort(source)}`;
    default:
      if (type >= Token.offset) return `<${source}>`;
      if (type === Token.aggregator) return `<aggr:${source}>`;
      if (type >= Token.add) return `<op:${source}>`;
      return quoteShort(source);
  }
}

function quoteShort(source: string): string {
  if (Buffer.byteLength(source) <= 10) return goQuote(source);
  return `${goQuote(truncateRunes(source, 10))}...`;
}
