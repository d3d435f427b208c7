import type { Expr, MatrixSelector, Subquery, TimeShift, VectorSelector } from './ast.js';
import {
  RANGE_CONTEXT,
  readNumberLiteral,
  readOffset,
  readPositiveDuration,
  STEP_CONTEXT,
} from './duration-parser.js';
import { formatFixed6, roundHalfAway, secondsToMs } from './numbers.js';
import type { TokenStream } from './token-stream.js';
import { Token } from './tokens.js';

/** Reads `[…]`, `offset`, `@`, `anchored` and `smoothed` after an operand; they bind tighter than any operator. */
export function readSuffixes(tokens: TokenStream, operand: Expr): Expr {
  let expr = operand;
  for (;;) {
    switch (tokens.peek()) {
      case Token.leftBracket:
        expr = readBrackets(tokens, expr);
        break;
      case Token.offset:
        readOffsetSuffix(tokens, expr);
        break;
      case Token.at:
        readAtSuffix(tokens, expr);
        break;
      case Token.anchored:
      case Token.smoothed:
        setExtended(tokens, expr, tokens.peek() === Token.anchored ? 'anchored' : 'smoothed');
        break;
      default:
        return expr;
    }
    tokens.link();
  }
}

function readBrackets(tokens: TokenStream, expr: Expr): Expr {
  const bracket = tokens.start();
  tokens.drop();
  const range = readPositiveDuration(tokens, RANGE_CONTEXT);
  const rangeMs = range.kind === 'number' ? secondsToMs(range.value) : 0;
  const rangeExpr = range.kind === 'number' ? null : range;
  if (tokens.accept(Token.rightBracket)) return rangeSelector(tokens, expr, bracket, { rangeMs, rangeExpr });
  if (!tokens.accept(Token.colon)) throw tokens.unexpected('subquery or range', '":" or "]"');
  let stepMs = 0;
  let stepExpr: Subquery['stepExpr'] = null;
  if (tokens.peek() !== Token.rightBracket) {
    const step = readPositiveDuration(tokens, STEP_CONTEXT);
    if (step.kind === 'number') stepMs = secondsToMs(step.value);
    else stepExpr = step;
  }
  if (!tokens.accept(Token.rightBracket)) throw tokens.unexpected('subquery selector', '"]"');
  return {
    kind: 'subquery',
    expr,
    rangeMs,
    rangeExpr,
    stepMs,
    stepExpr,
    offsetMs: 0,
    offsetExpr: null,
    atMs: null,
    atBound: null,
    pos: { start: expr.pos.start, end: tokens.end() },
  };
}

function rangeSelector(
  tokens: TokenStream,
  expr: Expr,
  bracket: number,
  range: Pick<MatrixSelector, 'rangeMs' | 'rangeExpr'>,
): MatrixSelector {
  if (expr.kind !== 'vectorSelector') throw tokens.error(bracket, 'ranges only allowed for vector selectors');
  if (hasOffset(expr)) throw tokens.error(bracket, 'no offset modifiers allowed before range');
  if (expr.atMs !== null) throw tokens.error(bracket, 'no @ modifiers allowed before range');
  return {
    kind: 'matrixSelector',
    selector: expr,
    ...range,
    pos: { start: expr.pos.start, end: tokens.end() },
  };
}

/** The selector or subquery whose time an `offset` or `@` after this expression shifts. */
function shiftedBy(expr: Expr): (TimeShift & (VectorSelector | Subquery)) | null {
  if (expr.kind === 'matrixSelector') return expr.selector;
  return expr.kind === 'vectorSelector' || expr.kind === 'subquery' ? expr : null;
}

function hasOffset(shift: TimeShift): boolean {
  return shift.offsetMs !== 0 || shift.offsetExpr !== null;
}

function extend(expr: Expr, end: number): void {
  const selector = expr as VectorSelector | MatrixSelector | Subquery;
  selector.pos = { start: expr.pos.start, end };
}

function readOffsetSuffix(tokens: TokenStream, expr: Expr): void {
  tokens.drop();
  const offset = readOffset(tokens);
  const shift = shiftedBy(expr);
  if (shift === null)
    throw tokens.error(
      expr.pos.start,
      'offset modifier must be preceded by an instant vector selector or range vector selector or a subquery',
    );
  if (hasOffset(shift)) throw tokens.error(expr.pos.start, 'offset may not be set multiple times');
  if (offset.kind === 'number') shift.offsetMs = secondsToMs(offset.value);
  else shift.offsetExpr = offset;
  extend(expr, offset.pos.end);
}

function readAtSuffix(tokens: TokenStream, expr: Expr): void {
  tokens.drop();
  const type = tokens.peek();
  if (type === Token.start || type === Token.end) {
    tokens.drop();
    for (const paren of [Token.leftParen, Token.rightParen])
      if (!tokens.accept(paren)) throw tokens.unexpected('@', 'timestamp');
    const end = tokens.end();
    atShift(tokens, expr).atBound = type === Token.start ? 'start' : 'end';
    extend(expr, end);
    return;
  }
  const sign = tokens.accept(Token.sub) ? -1 : 1;
  if (sign > 0) tokens.accept(Token.add);
  if (tokens.peek() !== Token.number && tokens.peek() !== Token.duration)
    throw tokens.unexpected('@', 'timestamp');
  const literal = readNumberLiteral(tokens);
  const seconds = sign * literal.value;
  if (!(seconds < 2 ** 63 && seconds > -(2 ** 63)))
    throw tokens.error(expr.pos.start, `timestamp out of bounds for @ modifier: ${formatFixed6(seconds)}`);
  atShift(tokens, expr).atMs = roundHalfAway(seconds * 1000) + 0;
  extend(expr, literal.pos.end);
}

function atShift(tokens: TokenStream, expr: Expr): TimeShift {
  const shift = shiftedBy(expr);
  if (shift === null)
    throw tokens.error(
      expr.pos.start,
      '@ modifier must be preceded by an instant vector selector or range vector selector or a subquery',
    );
  if (shift.atMs !== null || shift.atBound !== null)
    throw tokens.error(expr.pos.start, '@ <timestamp> may not be set multiple times');
  return shift;
}

function setExtended(tokens: TokenStream, expr: Expr, modifier: 'anchored' | 'smoothed'): void {
  const at = expr.pos.start;
  if (!tokens.options.extendedRangeSelectors)
    throw tokens.error(at, `${modifier} modifier is experimental and not enabled`);
  tokens.drop();
  if (expr.kind === 'subquery')
    throw tokens.error(at, `${modifier} modifier is not supported for subqueries`);
  const selector = expr.kind === 'matrixSelector' ? expr.selector : expr;
  if (selector.kind !== 'vectorSelector') throw tokens.error(at, `${modifier} modifier not implemented`);
  selector[modifier] = true;
  if (selector.anchored && selector.smoothed)
    throw tokens.error(at, 'anchored and smoothed modifiers cannot be used together');
}
