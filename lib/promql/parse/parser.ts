import type { Matcher } from '../../matcher/index.js';
import type {
  Aggregate,
  AggregateOperator,
  BinaryExpr,
  BinaryOperator,
  Expr,
  MatchCardinality,
  ParserOptions,
  VectorMatching,
} from './ast.js';
import { checkExpr } from './check.js';
import { readNumberLiteral } from './duration-parser.js';
import { FUNCTIONS } from './functions.js';
import { unquote } from './quote.js';
import { readSelector } from './selector-parser.js';
import { readSuffixes } from './suffix-parser.js';
import { TokenStream } from './token-stream.js';
import { isMetricName, Token, type TokenType } from './tokens.js';

const PRECEDENCE_POW = 6;
const PRECEDENCES = new Uint8Array(128);
for (const [precedence, types] of [
  [1, [Token.or]],
  [2, [Token.and, Token.unless]],
  [
    3,
    [
      Token.equals,
      Token.notEquals,
      Token.less,
      Token.lessEquals,
      Token.greater,
      Token.greaterEquals,
      Token.trimUpper,
      Token.trimLower,
    ],
  ],
  [4, [Token.add, Token.sub]],
  [5, [Token.mul, Token.div, Token.mod, Token.atan2]],
  [PRECEDENCE_POW, [Token.pow]],
] as const)
  for (const type of types) PRECEDENCES[type] = precedence;

const PARAMETER_OPERATORS: ReadonlySet<string> = new Set([
  'topk',
  'bottomk',
  'count_values',
  'quantile',
  'limitk',
  'limit_ratio',
]);

const ALL_OPTIONS: ParserOptions = {
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  binopFillModifiers: true,
  durationExpressions: true,
};

/**
 * Parses and type-checks a query.
 * @throws VarveError `client`/`promql-parse` with Prometheus' text: `line:col: parse error: …`
 */
export function parseExpr(query: string, options: ParserOptions): Expr {
  const tokens = new TokenStream(query, options);
  if (tokens.peek() === Token.eof) throw tokens.error(0, 'no expression found in input');
  const expr = readExpr(tokens, 1);
  if (tokens.peek() !== Token.eof) throw tokens.unexpected();
  checkExpr(query, expr);
  return expr;
}

/**
 * Parses the selector of a `match[]` parameter. Whether it may select everything is for the caller to decide.
 * @throws VarveError `client`/`promql-parse`
 */
export function parseMetricSelector(text: string): readonly Matcher[] {
  const tokens = new TokenStream(text, ALL_OPTIONS);
  const type = tokens.peek();
  if (type !== Token.leftBrace && !isMetricName(type)) throw tokens.unexpected();
  const selector = readSelector(tokens);
  if (tokens.peek() !== Token.eof) throw tokens.unexpected();
  return selector.matchers;
}

/** Reads operators of at least this precedence, by climbing; all but `^` group to the left. */
function readExpr(tokens: TokenStream, precedence: number): Expr {
  let lhs = readOperand(tokens);
  for (;;) {
    const type = tokens.peek();
    const own = PRECEDENCES[type]!;
    if (own === 0 || own < precedence) return lhs;
    const op = tokens.text().toLowerCase() as BinaryOperator;
    tokens.drop();
    tokens.link();
    const { returnBool, matching } = readModifiers(tokens);
    tokens.enter();
    const rhs = readExpr(tokens, type === Token.pow ? own : own + 1);
    tokens.leave();
    const pos = { start: lhs.pos.start, end: rhs.pos.end };
    const hasFill = matching.fillLeft !== null || matching.fillRight !== null;
    if (hasFill && !tokens.options.binopFillModifiers)
      throw tokens.error(pos.start, 'binop fill modifiers are experimental and not enabled');
    lhs = { kind: 'binary', op, lhs, rhs, returnBool, matching, pos } satisfies BinaryExpr;
  }
}

/** Reads an operand: a sign binds weaker than `^` and stronger than every other operator. */
function readOperand(tokens: TokenStream): Expr {
  const type = tokens.peek();
  if (type !== Token.add && type !== Token.sub) return readSuffixes(tokens, readPrimary(tokens));
  const start = tokens.start();
  tokens.drop();
  tokens.enter();
  const expr = readExpr(tokens, PRECEDENCE_POW);
  tokens.leave();
  const pos = { start, end: expr.pos.end };
  if (expr.kind === 'number') return { ...expr, value: type === Token.sub ? -expr.value : expr.value, pos };
  return { kind: 'unary', op: type === Token.sub ? '-' : '+', expr, pos };
}

function readPrimary(tokens: TokenStream): Expr {
  const type = tokens.peek();
  switch (type) {
    case Token.number:
    case Token.duration:
      return readNumberLiteral(tokens);
    case Token.string: {
      const pos = tokens.range();
      const value = unquote(tokens.text());
      tokens.drop();
      return { kind: 'string', value, pos };
    }
    case Token.leftParen:
      return readParen(tokens);
    case Token.leftBrace:
      return readSelector(tokens);
    default:
      if (!isMetricName(type)) throw tokens.unexpected();
      return readNamed(tokens, type);
  }
}

function readParen(tokens: TokenStream): Expr {
  const start = tokens.start();
  tokens.drop();
  tokens.enter();
  const expr = readExpr(tokens, 1);
  tokens.leave();
  if (!tokens.accept(Token.rightParen)) throw tokens.unexpected();
  return { kind: 'paren', expr, pos: { start, end: tokens.end() } };
}

/** Reads what begins with a name: a call, an aggregation or a selector. */
function readNamed(tokens: TokenStream, type: TokenType): Expr {
  const name = tokens.text();
  const pos = tokens.range();
  tokens.drop();
  const next = tokens.peek();
  if (type === Token.aggregator) {
    if (next === Token.leftParen || next === Token.by || next === Token.without)
      return readAggregate(tokens, name.toLowerCase() as AggregateOperator, pos.start);
  } else if (next === Token.leftParen && (type === Token.identifier || isPreprocessor(type))) {
    const args = readArguments(tokens);
    const signature = FUNCTIONS.get(name);
    if (signature === undefined) throw tokens.error(pos.start, `unknown function with name "${name}"`);
    if (signature.experimental && !tokens.options.experimentalFunctions)
      throw tokens.error(pos.start, `function "${name}" is not enabled`);
    return { kind: 'call', func: name, args, pos: { start: pos.start, end: tokens.end() } };
  }
  return readSelector(tokens, name, pos);
}

function isPreprocessor(type: TokenType): boolean {
  return type >= Token.start && type <= Token.minOf;
}

/** Reads `(a, b)` of a call or aggregation. */
function readArguments(tokens: TokenStream): Expr[] {
  const args: Expr[] = [];
  tokens.drop();
  if (tokens.accept(Token.rightParen)) return args;
  tokens.enter();
  for (;;) {
    args.push(readExpr(tokens, 1));
    if (tokens.accept(Token.rightParen)) break;
    if (!tokens.accept(Token.comma)) throw tokens.unexpected();
    const comma = tokens.start();
    if (!canStartExpr(tokens.peek()))
      throw tokens.error(comma, 'trailing commas not allowed in function call args');
  }
  tokens.leave();
  return args;
}

function canStartExpr(type: TokenType): boolean {
  return (
    isMetricName(type) ||
    (type >= Token.number && type <= Token.leftParen) ||
    type === Token.leftBrace ||
    type === Token.add ||
    type === Token.sub
  );
}

function readAggregate(tokens: TokenStream, op: AggregateOperator, start: number): Aggregate {
  tokens.aggregationDepth++;
  let grouping: readonly string[] = [];
  let without = false;
  let args: Expr[] = [];
  const readClause = (): boolean => {
    const type = tokens.peek();
    if (type !== Token.by && type !== Token.without) return false;
    tokens.drop();
    without = type === Token.without;
    grouping = tokens.readGroupingLabels();
    return true;
  };
  const isClauseFirst = readClause();
  if (tokens.peek() !== Token.leftParen) throw tokens.unexpected();
  args = readArguments(tokens);
  let end = tokens.end();
  if (!isClauseFirst && readClause()) end = tokens.end();
  tokens.aggregationDepth--;

  if (args.length === 0) throw tokens.error(start, 'no arguments for aggregate expression provided');
  const hasParameter = PARAMETER_OPERATORS.has(op);
  if ((op === 'limitk' || op === 'limit_ratio') && !tokens.options.experimentalFunctions)
    throw tokens.error(
      start,
      `${op}() is experimental and must be enabled with --enable-feature=promql-experimental-functions`,
    );
  const expected = hasParameter ? 2 : 1;
  if (args.length !== expected)
    throw tokens.error(
      start,
      `wrong number of arguments for aggregate expression provided, expected ${expected}, got ${args.length}`,
    );
  const param = hasParameter ? args[0]! : null;
  return { kind: 'aggregate', op, expr: args[expected - 1]!, param, grouping, without, pos: { start, end } };
}

/** Reads `bool`, `on`/`ignoring`, `group_left`/`group_right` and `fill…`, in this order, all optional. */
function readModifiers(tokens: TokenStream): { returnBool: boolean; matching: VectorMatching } {
  const returnBool = tokens.accept(Token.bool);
  let cardinality: MatchCardinality = 'one-to-one';
  let labels: readonly string[] = [];
  let include: readonly string[] = [];
  let on = false;
  const type = tokens.peek();
  if (type === Token.on || type === Token.ignoring) {
    on = type === Token.on;
    tokens.drop();
    labels = tokens.readGroupingLabels();
    const group = tokens.peek();
    if (group === Token.groupLeft || group === Token.groupRight) {
      cardinality = group === Token.groupLeft ? 'many-to-one' : 'one-to-many';
      tokens.drop();
      if (!canStartExpr(tokens.peek()) || tokens.peek() === Token.leftParen)
        include = tokens.readGroupingLabels();
    }
  }
  const { fillLeft, fillRight } = readFill(tokens);
  return { returnBool, matching: { cardinality, labels, on, include, fillLeft, fillRight } };
}

function readFill(tokens: TokenStream): { fillLeft: number | null; fillRight: number | null } {
  // The lexer makes these words keywords only before a parenthesis; after the last one they are names again.
  if (tokens.accept(Token.fill)) {
    const value = readFillValue(tokens);
    return { fillLeft: value, fillRight: value };
  }
  let fillLeft: number | null = null;
  let fillRight: number | null = null;
  if (tokens.accept(Token.fillLeft)) {
    fillLeft = readFillValue(tokens);
    if (tokens.accept(Token.fillRight)) fillRight = readFillValue(tokens);
  } else if (tokens.accept(Token.fillRight)) {
    fillRight = readFillValue(tokens);
    if (tokens.accept(Token.fillLeft)) fillLeft = readFillValue(tokens);
  }
  return { fillLeft, fillRight };
}

function readFillValue(tokens: TokenStream): number {
  if (!tokens.accept(Token.leftParen)) throw tokens.unexpected();
  const sign = tokens.accept(Token.sub) ? -1 : 1;
  if (sign > 0) tokens.accept(Token.add);
  const type = tokens.peek();
  if (type !== Token.number && type !== Token.duration) throw tokens.unexpected();
  const { value } = readNumberLiteral(tokens);
  if (!tokens.accept(Token.rightParen)) throw tokens.unexpected();
  return sign * value;
}
