import { VarveError } from '../../errors/index.js';
import { METRIC_NAME } from '../../labels/index.js';
import { createMatcher, type Matcher, type MatchType } from '../../matcher/index.js';
import type { PositionRange, VectorSelector } from './ast.js';
import { unquote } from './quote.js';
import type { TokenStream } from './token-stream.js';
import { Token } from './tokens.js';

const CONTEXT = 'label matching';

/**
 * Reads a selector: its name when the stream is still before it, then its braces. The caller passes the name when it
 * had to read it to know that this is a selector.
 */
export function readSelector(tokens: TokenStream, name?: string, at?: PositionRange): VectorSelector {
  const type = tokens.peek();
  const first = at ?? tokens.range();
  let outer = name;
  if (outer === undefined && type !== Token.leftBrace) {
    outer = tokens.text();
    tokens.drop();
  }
  const matchers: Matcher[] = [];
  let end = first.end;
  if (tokens.accept(Token.leftBrace)) {
    readMatchers(tokens, matchers);
    end = tokens.end();
  }
  if (outer !== undefined) matchers.push(createMatcher('=', METRIC_NAME, outer));
  return {
    kind: 'vectorSelector',
    name: outer ?? '',
    matchers,
    anchored: false,
    smoothed: false,
    offsetMs: 0,
    offsetExpr: null,
    atMs: null,
    atBound: null,
    pos: { start: first.start, end },
  };
}

/** Reads matchers up to and with the closing brace. */
function readMatchers(tokens: TokenStream, matchers: Matcher[]): void {
  if (tokens.accept(Token.rightBrace)) return;
  for (;;) {
    matchers.push(readMatcher(tokens));
    if (tokens.accept(Token.rightBrace)) return;
    if (!tokens.accept(Token.comma)) throw tokens.unexpected(CONTEXT, '"," or "}"');
    if (tokens.accept(Token.rightBrace)) return;
  }
}

function readMatcher(tokens: TokenStream): Matcher {
  const type = tokens.peek();
  const isQuoted = type === Token.string;
  if (!isQuoted && type !== Token.identifier) throw tokens.unexpected(CONTEXT, 'identifier or "}"');
  const start = tokens.start();
  const name = isQuoted ? unquote(tokens.text()) : tokens.text();
  tokens.drop();
  const matchType = matchTypeAhead(tokens);
  if (matchType === null) {
    if (isQuoted) return createMatcher('=', METRIC_NAME, name);
    throw tokens.unexpected(CONTEXT, 'label matching operator');
  }
  tokens.drop();
  if (tokens.peek() !== Token.string) throw tokens.unexpected(CONTEXT, 'string');
  const value = unquote(tokens.text());
  tokens.drop();
  try {
    return createMatcher(matchType, name, value);
  } catch (thrown) {
    if (thrown instanceof VarveError && thrown.code === 'matcher-regex')
      throw tokens.error(start, thrown.message);
    throw thrown;
  }
}

function matchTypeAhead(tokens: TokenStream): MatchType | null {
  switch (tokens.peek()) {
    case Token.equal:
      return '=';
    case Token.notEquals:
      return '!=';
    case Token.matchRegexp:
      return '=~';
    case Token.notMatchRegexp:
      return '!~';
    default:
      return null;
  }
}
