import type { VarveError } from '../../errors/index.js';
import type { ParserOptions, PositionRange } from './ast.js';
import { Lexer } from './lexer.js';
import { parseError } from './parse-error.js';
import { goQuote, unquote } from './quote.js';
import { describeToken, isLabelName, Token, type TokenType } from './tokens.js';

/** Parentheses, calls and signs inside one another. The walks over the tree are recursive, so depth is stack. */
const NESTING_MAX = 300;
/** Operators and suffixes in one query; a chain of them makes a tree as deep as it is long. */
const LINKS_MAX = 1000;

/**
 * A lexer with one token of lookahead that is read as late as possible: Prometheus' generated parser runs its checks
 * before it reads on, so reading early would let a later error hide an earlier one.
 */
export class TokenStream {
  readonly options: ParserOptions;
  /** Above zero inside an aggregation, where an unexpected token is reported with that context. */
  aggregationDepth = 0;
  private readonly lexer: Lexer;
  private isRead = false;
  private depth = 0;
  private links = 0;

  constructor(query: string, options: ParserOptions) {
    this.lexer = new Lexer(query);
    this.options = options;
  }

  /** Type of the token ahead. */
  peek(): TokenType {
    if (!this.isRead) {
      this.lexer.next();
      this.isRead = true;
    }
    return this.lexer.type;
  }

  /** Leaves the token ahead behind. Its text and offsets stay readable until the next `peek`. */
  drop(): void {
    this.isRead = false;
  }

  /** Drops the token ahead when it has this type. */
  accept(type: TokenType): boolean {
    if (this.peek() !== type) return false;
    this.isRead = false;
    return true;
  }

  /** Spelling of the token last peeked at. */
  text(): string {
    return this.lexer.text();
  }

  /** Byte offset of the token last peeked at. */
  start(): number {
    return this.lexer.byteOffset(this.lexer.start);
  }

  /** Byte offset after the token last peeked at. */
  end(): number {
    return this.lexer.byteOffset(this.lexer.end);
  }

  range(): PositionRange {
    return { start: this.start(), end: this.end() };
  }

  error(offset: number, text: string): VarveError {
    return parseError(this.lexer.source, offset, text);
  }

  /** Counts a level of nesting; `leave` ends it. */
  enter(): void {
    if (++this.depth > NESTING_MAX)
      throw this.error(this.start(), `expression is nested deeper than ${NESTING_MAX} levels`);
  }

  leave(): void {
    this.depth--;
  }

  /** Counts an operator or suffix. */
  link(): void {
    if (++this.links > LINKS_MAX)
      throw this.error(this.start(), `expression has more than ${LINKS_MAX} operators`);
  }

  /** The error for a token that cannot stand where it is. */
  unexpected(context = this.aggregationDepth > 0 ? 'aggregation' : '', expected = ''): VarveError {
    let text = `unexpected ${describeToken(this.lexer.type, this.lexer.text())}`;
    if (context !== '') text += ` in ${context}`;
    if (expected !== '') text += `, expected ${expected}`;
    return this.error(this.start(), text);
  }

  /** Reads `(a, "b.c", d)`, the labels of `by`, `on` and the like; a trailing comma is allowed. */
  readGroupingLabels(): string[] {
    const context = 'grouping opts';
    if (!this.accept(Token.leftParen)) throw this.unexpected(context, '"("');
    const labels: string[] = [];
    if (this.accept(Token.rightParen)) return labels;
    for (;;) {
      const type = this.peek();
      if (type === Token.string) {
        const name = unquote(this.text());
        if (name === '' || !name.isWellFormed())
          throw this.error(this.start(), `invalid label name for grouping: ${goQuote(name)}`);
        labels.push(name);
      } else if (isLabelName(type)) labels.push(this.text());
      else throw this.unexpected(context, 'label');
      this.drop();
      if (this.accept(Token.rightParen)) return labels;
      if (!this.accept(Token.comma)) throw this.unexpected(context, '"," or ")"');
      if (this.accept(Token.rightParen)) return labels;
    }
  }
}
