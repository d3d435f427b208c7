import type { DurationExpr } from './ast.js';
import { isDurationOutOfRange, readDurationMs, readNumber } from './numbers.js';
import type { TokenStream } from './token-stream.js';
import { Token, type TokenType } from './tokens.js';

type DurationLiteral = Extract<DurationExpr, { readonly kind: 'number' }>;
type DurationOperator = Extract<DurationExpr, { readonly kind: 'binary' }>['op'];

/** Context and expectation of the error for a token that cannot stand in a duration. */
export interface DurationContext {
  readonly name: string;
  readonly expected: string;
}

export const OFFSET_CONTEXT: DurationContext = {
  name: 'offset',
  expected: 'number, duration, step(), or range()',
};
export const RANGE_CONTEXT: DurationContext = {
  name: 'subquery or range selector',
  expected: 'number, duration, step(), or range()',
};
export const STEP_CONTEXT: DurationContext = {
  name: 'subquery selector',
  expected: 'number, duration, step(), range(), or "]"',
};

const PRECEDENCE_UNARY = 2;

function precedenceOf(type: TokenType): number {
  if (type === Token.add || type === Token.sub) return 1;
  if (type === Token.mul || type === Token.div || type === Token.mod) return 2;
  return type === Token.pow ? 3 : 0;
}

/** Reads a range or a step between brackets: it must be positive as far as that can be known now. */
export function readPositiveDuration(tokens: TokenStream, context: DurationContext): DurationExpr {
  const expr = readDuration(tokens, context, 1);
  if (expr.kind === 'number' && !(expr.value > 0))
    throw tokens.error(expr.pos.start, 'duration must be greater than 0');
  return expr;
}

/**
 * Reads what follows `offset`. A literal, `step()`, `range()`, `min_of()`, `max_of()` and forms of these with one sign
 * end the offset, so that `foo offset 5m + bar` is a sum of vectors. An unsigned parenthesis or a second sign begins a
 * full expression.
 */
export function readOffset(tokens: TokenStream): DurationExpr {
  const context = OFFSET_CONTEXT;
  const type = tokens.peek();
  if (type === Token.leftParen) return readDuration(tokens, context, 1);
  if (!isSign(type)) return readAtom(tokens, context);
  const start = tokens.start();
  tokens.drop();
  if (!isSign(tokens.peek())) return applySign(type, start, readAtom(tokens, context));
  return readOperators(tokens, context, 1, readSigned(tokens, context, type, start));
}

function readDuration(tokens: TokenStream, context: DurationContext, precedence: number): DurationExpr {
  return readOperators(tokens, context, precedence, readOperand(tokens, context));
}

/** Reads operators of at least this precedence after a first operand, by climbing. */
function readOperators(
  tokens: TokenStream,
  context: DurationContext,
  precedence: number,
  first: DurationExpr,
): DurationExpr {
  let lhs = first;
  for (;;) {
    const type = tokens.peek();
    const own = precedenceOf(type);
    if (own === 0 || own < precedence) return lhs;
    const op = tokens.text() as DurationOperator;
    const at = tokens.start();
    tokens.drop();
    tokens.link();
    const rhs = readDuration(tokens, context, type === Token.pow ? own : own + 1);
    requireDurationExpressions(tokens, lhs.pos.start);
    if (rhs.kind === 'number' && rhs.value === 0) {
      if (type === Token.div) throw tokens.error(at, 'division by zero');
      if (type === Token.mod) throw tokens.error(at, 'modulo by zero');
    }
    lhs = { kind: 'binary', op, lhs, rhs, wrapped: false, pos: { start: lhs.pos.start, end: rhs.pos.end } };
  }
}

function isSign(type: TokenType): type is typeof Token.add | typeof Token.sub {
  return type === Token.add || type === Token.sub;
}

function readOperand(tokens: TokenStream, context: DurationContext): DurationExpr {
  const type = tokens.peek();
  if (!isSign(type)) return readAtom(tokens, context);
  const start = tokens.start();
  tokens.drop();
  return readSigned(tokens, context, type, start);
}

/** Reads what a sign applies to: it binds weaker than `^` and stronger than every other operator. */
function readSigned(
  tokens: TokenStream,
  context: DurationContext,
  sign: TokenType,
  start: number,
): DurationExpr {
  tokens.enter();
  const expr = readDuration(tokens, context, PRECEDENCE_UNARY + 1);
  tokens.leave();
  return applySign(sign, start, expr);
}

function applySign(sign: TokenType, start: number, expr: DurationExpr): DurationExpr {
  const pos = { start, end: expr.pos.end };
  if (expr.kind === 'number') return { ...expr, value: sign === Token.sub ? -expr.value : expr.value, pos };
  return sign === Token.add ? expr : { kind: 'unary', op: '-', expr, wrapped: false, pos };
}

function readAtom(tokens: TokenStream, context: DurationContext): DurationExpr {
  const type = tokens.peek();
  switch (type) {
    case Token.number:
    case Token.duration:
      return readDurationLiteral(tokens);
    case Token.step:
    case Token.range:
      return readBuiltin(tokens, context, type === Token.step ? 'step' : 'range');
    case Token.minOf:
    case Token.maxOf:
      return readMinMax(tokens, context, type === Token.minOf ? 'min_of' : 'max_of');
    case Token.leftParen:
      return readParen(tokens, context);
    default:
      throw tokens.unexpected(context.name, context.expected);
  }
}

/** Reads a number (of seconds) or a duration literal. */
function readDurationLiteral(tokens: TokenStream): DurationLiteral {
  const literal = readNumberLiteral(tokens);
  if (isDurationOutOfRange(literal.value)) throw tokens.error(literal.pos.start, 'duration out of range');
  return literal;
}

/** Reads a number or a duration token; a duration counts in seconds. */
export function readNumberLiteral(tokens: TokenStream): DurationLiteral {
  const isDuration = tokens.peek() === Token.duration;
  const pos = tokens.range();
  const { value, error } = isDuration ? readDurationMs(tokens.text()) : readNumber(tokens.text());
  if (error !== '') throw tokens.error(pos.start, error);
  tokens.drop();
  return { kind: 'number', value: isDuration ? value / 1000 : value, isDuration, pos };
}

function readBuiltin(tokens: TokenStream, context: DurationContext, kind: 'step' | 'range'): DurationExpr {
  const start = tokens.start();
  tokens.drop();
  expect(tokens, context, Token.leftParen);
  expect(tokens, context, Token.rightParen);
  requireDurationExpressions(tokens, start);
  return { kind, pos: { start, end: tokens.end() } };
}

function readMinMax(tokens: TokenStream, context: DurationContext, op: 'min_of' | 'max_of'): DurationExpr {
  const start = tokens.start();
  tokens.drop();
  tokens.enter();
  expect(tokens, context, Token.leftParen);
  const lhs = readDuration(tokens, context, 1);
  expect(tokens, context, Token.comma);
  const rhs = readDuration(tokens, context, 1);
  expect(tokens, context, Token.rightParen);
  tokens.leave();
  requireDurationExpressions(tokens, start);
  return { kind: 'binary', op, lhs, rhs, wrapped: false, pos: { start, end: tokens.end() } };
}

function readParen(tokens: TokenStream, context: DurationContext): DurationExpr {
  const start = tokens.start();
  tokens.drop();
  tokens.enter();
  const expr = readDuration(tokens, context, 1);
  expect(tokens, context, Token.rightParen);
  tokens.leave();
  requireDurationExpressions(tokens, expr.pos.start);
  if (expr.kind === 'binary' || expr.kind === 'unary') return { ...expr, wrapped: true };
  // The other kinds have no mark of their own for parentheses: a plus sign, which is never printed, carries it.
  return { kind: 'unary', op: '+', expr, wrapped: true, pos: { start, end: tokens.end() } };
}

function expect(tokens: TokenStream, context: DurationContext, type: TokenType): void {
  if (!tokens.accept(type)) throw tokens.unexpected(context.name, context.expected);
}

function requireDurationExpressions(tokens: TokenStream, offset: number): void {
  if (!tokens.options.durationExpressions)
    throw tokens.error(offset, 'experimental duration expression is not enabled');
}
