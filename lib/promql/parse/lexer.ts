import type { VarveError } from '../../errors/index.js';
import { ALPHA, byteOffsets, CLASSES, DIGIT, HEX, SPACE } from './characters.js';
import { parseError } from './parse-error.js';
import { describeRune, goQuote, goQuoteRune } from './quote.js';
import { KEYWORD_LENGTH_MAX, KEYWORDS, Token, type TokenType } from './tokens.js';

const END = -1;

/**
 * Where the scanner stands. `duration` holds right after `[` until the first number: there, other characters and other
 * texts apply than in the rest of the brackets, which are scanned as statements. Prometheus' lexer does the same, and
 * its error texts tell the difference.
 */
type Mode = 'statement' | 'braces' | 'duration';

/**
 * Splits a query into tokens, one at a time, with the texts Prometheus' lexer gives for what it refuses.
 *
 * `next()` puts the token into `type`, `start` and `end` (UTF-16 indices; `byteOffset` converts). It throws on bad
 * input. After the end it stays there.
 */
export class Lexer {
  readonly source: string;
  type: TokenType = Token.eof;
  start = 0;
  end = 0;
  /** Index of the next character to scan. */
  private position = 0;
  private mode: Mode = 'statement';
  private parenDepth = 0;
  private isBracketOpen = false;
  private hasColon = false;
  /** Whether a number was seen in any bracket so far; never reset, as in Prometheus. */
  private hasDuration = false;
  /** Byte offset of each UTF-16 index, or null when the query is ASCII and they are equal. */
  private readonly offsets: Uint32Array | null;

  constructor(source: string) {
    this.source = source;
    this.offsets = byteOffsets(source);
  }

  /** Offset in the UTF-8 text of an index into `source`. */
  byteOffset(index: number): number {
    return this.offsets === null ? index : this.offsets[index]!;
  }

  /** The current token's spelling. */
  text(): string {
    return this.source.slice(this.start, this.end);
  }

  /** Reads the next token that is not a comment. */
  next(): void {
    for (;;) {
      this.skipSpaces();
      this.start = this.position;
      if (this.mode === 'duration') this.lexDuration();
      else if (this.at(this.position) === 0x23) {
        this.skipComment();
        continue;
      } else if (this.mode === 'braces') this.lexBraces();
      else this.lexStatement();
      this.end = this.position;
      return;
    }
  }

  private lexStatement(): void {
    const c = this.at(this.position);
    if (c === END) {
      if (this.parenDepth !== 0) throw this.error('unclosed left parenthesis');
      if (this.isBracketOpen) throw this.error('unclosed left bracket');
      this.type = Token.eof;
      return;
    }
    const kind = c < 128 ? CLASSES[c]! : 0;
    if ((kind & ALPHA) !== 0 || c === 0x3a) {
      if (this.isBracketOpen) this.lexBracketWord(c);
      else this.lexWord();
      return;
    }
    if ((kind & DIGIT) !== 0 || (c === 0x2e && this.isDigitAt(this.position + 1))) {
      this.lexNumberOrDuration();
      return;
    }
    const after = this.at(this.position + 1);
    switch (c) {
      case 0x2c: // ,
        this.take(Token.comma, 1);
        return;
      case 0x2a: // *
        this.take(Token.mul, 1);
        return;
      case 0x2f: // /
        this.take(Token.div, 1);
        return;
      case 0x25: // %
        this.take(Token.mod, 1);
        return;
      case 0x2b: // +
        this.take(Token.add, 1);
        return;
      case 0x2d: // -
        this.take(Token.sub, 1);
        return;
      case 0x5e: // ^
        this.take(Token.pow, 1);
        return;
      case 0x40: // @
        this.take(Token.at, 1);
        return;
      case 0x3d: // =
        if (after === 0x7e) throw this.error("unexpected character after '=': '~'");
        if (after === 0x3d) this.take(Token.equals, 2);
        else this.take(Token.equal, 1);
        return;
      case 0x21: // !
        if (after !== 0x3d)
          throw this.error(`unexpected character after '!': ${goQuoteRune(this.charAt(this.position + 1))}`);
        this.take(Token.notEquals, 2);
        return;
      case 0x3c: // <
        if (after === 0x3d) this.take(Token.lessEquals, 2);
        else if (after === 0x2f) this.take(Token.trimUpper, 2);
        else this.take(Token.less, 1);
        return;
      case 0x3e: // >
        if (after === 0x3d) this.take(Token.greaterEquals, 2);
        else if (after === 0x2f) this.take(Token.trimLower, 2);
        else this.take(Token.greater, 1);
        return;
      case 0x22:
      case 0x27:
        this.lexString(c);
        return;
      case 0x60:
        this.lexRawString();
        return;
      case 0x28: // (
        this.take(Token.leftParen, 1);
        this.parenDepth++;
        return;
      case 0x29: // )
        this.lexRightParen();
        return;
      case 0x7b: // {
        this.take(Token.leftBrace, 1);
        this.mode = 'braces';
        return;
      case 0x5b: // [
        if (this.isBracketOpen) throw this.error("unexpected left bracket '['");
        this.take(Token.leftBracket, 1);
        this.hasColon = false;
        this.isBracketOpen = true;
        this.mode = 'duration';
        return;
      case 0x5d: // ]
        if (!this.isBracketOpen) throw this.error("unexpected right bracket ']'");
        this.take(Token.rightBracket, 1);
        this.isBracketOpen = false;
        return;
      default:
        throw this.error(`unexpected character: ${goQuoteRune(this.charAt(this.position))}`);
    }
  }

  private lexBraces(): void {
    const c = this.at(this.position);
    if (c === END) throw this.error('unexpected end of input inside braces');
    if (c < 128 && (CLASSES[c]! & ALPHA) !== 0) {
      this.skipWhile(ALPHA | DIGIT);
      this.type = Token.identifier;
      return;
    }
    const after = this.at(this.position + 1);
    switch (c) {
      case 0x2c:
        this.take(Token.comma, 1);
        return;
      case 0x22:
      case 0x27:
        this.lexString(c);
        return;
      case 0x60:
        this.lexRawString();
        return;
      case 0x3d:
        if (after === 0x7e) this.take(Token.matchRegexp, 2);
        else this.take(Token.equal, 1);
        return;
      case 0x21:
        if (after === 0x7e) this.take(Token.notMatchRegexp, 2);
        else if (after === 0x3d) this.take(Token.notEquals, 2);
        else
          throw this.error(
            `unexpected character after '!' inside braces: ${goQuoteRune(this.charAt(this.position + 1))}`,
          );
        return;
      case 0x7b:
        throw this.error("unexpected left brace '{'");
      case 0x7d:
        this.take(Token.rightBrace, 1);
        this.mode = 'statement';
        return;
      default:
        throw this.error(`unexpected character inside braces: ${goQuoteRune(this.charAt(this.position))}`);
    }
  }

  private lexDuration(): void {
    const c = this.at(this.position);
    switch (c) {
      case END:
        throw this.error('unexpected end of input in duration expression');
      case 0x5d:
        this.take(Token.rightBracket, 1);
        this.isBracketOpen = false;
        this.hasColon = false;
        this.mode = 'statement';
        return;
      case 0x3a:
        this.take(Token.colon, 1);
        this.start = this.position;
        if (!this.hasDuration) throw this.error('unexpected colon before duration in duration expression');
        if (this.hasColon) throw this.error('unexpected repeated colon in duration expression');
        this.start--;
        this.hasColon = true;
        return;
      case 0x28:
        this.take(Token.leftParen, 1);
        this.parenDepth++;
        return;
      case 0x29:
        this.lexRightParen();
        return;
      case 0x2b:
        this.take(Token.add, 1);
        return;
      case 0x2d:
        this.take(Token.sub, 1);
        return;
      case 0x2a:
        this.take(Token.mul, 1);
        return;
      case 0x2f:
        this.take(Token.div, 1);
        return;
      case 0x25:
        this.take(Token.mod, 1);
        return;
      case 0x5e:
        this.take(Token.pow, 1);
        return;
      case 0x2c:
        this.take(Token.comma, 1);
        return;
      default:
        break;
    }
    if (this.isDigitAt(this.position) || (c === 0x2e && this.isDigitAt(this.position + 1))) {
      this.hasDuration = true;
      this.mode = 'statement';
      this.lexNumberOrDuration();
      return;
    }
    if (this.lexDurationKeyword()) {
      // Prometheus forgets this one and refuses the colon of `[step():1m]`; nothing else there makes it an error.
      this.hasDuration = true;
      return;
    }
    throw this.error(
      `unexpected character in duration expression: ${goQuoteRune(this.charAt(this.position))}`,
    );
  }

  private lexRightParen(): void {
    this.take(Token.rightParen, 1);
    this.parenDepth--;
    if (this.parenDepth < 0) {
      this.start = this.position;
      throw this.error("unexpected right parenthesis ')'");
    }
  }

  /** A colon or word between brackets, after the first number there. */
  private lexBracketWord(c: number): void {
    if (c === 0x3a) {
      if (this.hasColon) throw this.error("unexpected colon ':'");
      this.take(Token.colon, 1);
      this.hasColon = true;
      return;
    }
    if (this.lexDurationKeyword()) return;
    throw this.error(`unexpected character: ${goQuoteRune(this.charAt(this.position))}, expected ':'`);
  }

  /** Takes `step`, `range`, `max_of` or `min_of` in any case; leaves the position alone when there is none. */
  private lexDurationKeyword(): boolean {
    let i = this.position;
    while (this.isClassAt(i, ALPHA)) i++;
    const type = KEYWORDS.get(this.source.slice(this.position, i).toLowerCase());
    if (type !== Token.step && type !== Token.range && type !== Token.maxOf && type !== Token.minOf)
      return false;
    this.position = i;
    this.type = type;
    return true;
  }

  private lexWord(): void {
    const source = this.source;
    let i = this.position;
    let hasColon = false;
    for (;;) {
      const c = this.at(i);
      if (c === 0x3a) hasColon = true;
      else if (c >= 128 || c === END || (CLASSES[c]! & (ALPHA | DIGIT)) === 0) break;
      i++;
    }
    const start = this.position;
    this.position = i;
    if (!hasColon && i - start <= KEYWORD_LENGTH_MAX) {
      const keyword = KEYWORDS.get(source.slice(start, i).toLowerCase());
      if (keyword !== undefined) {
        // These three came late into the language and are words only where a modifier can be meant.
        const isFill = keyword >= Token.fill && keyword <= Token.fillRight;
        this.type = isFill && !this.isParenNext() ? Token.identifier : keyword;
        return;
      }
    }
    this.type = hasColon ? Token.metricIdentifier : Token.identifier;
  }

  private isParenNext(): boolean {
    let i = this.position;
    while (this.isClassAt(i, SPACE)) i++;
    return this.at(i) === 0x28;
  }

  private lexNumberOrDuration(): void {
    if (this.scanNumber()) {
      this.type = Token.number;
      return;
    }
    if (!this.scanDurationRest()) {
      const scanned = this.source.slice(this.start, this.position);
      throw this.error(`bad number or duration syntax: ${goQuote(scanned)}`);
    }
    this.type = Token.duration;
  }

  /**
   * Scans a number, leniently: the parser reads the value and finds the rest of what is wrong. On failure the position
   * stays where the scan stopped, because a duration goes on from there and an error shows the text up to there.
   */
  private scanNumber(): boolean {
    let digits = DIGIT;
    if (this.accept('0') && this.accept('xX')) {
      this.accept('_');
      digits = HEX;
    }
    this.accept('.');
    if (this.isClassAt(this.position, digits)) this.position++;
    let hasDot = false;
    let hasExponent = false;
    for (;;) {
      if (this.isClassAt(this.position, digits)) {
        this.skipWhile(digits);
        continue;
      }
      if (this.accept('.')) {
        if (hasDot || this.accept('_.') || digits === HEX) return false;
        hasDot = true;
      } else if (this.accept('eE')) {
        if (hasExponent) return false;
        hasExponent = true;
        this.accept('+-');
        if (this.accept('._eE') || this.at(this.position) === END) return false;
      } else if (this.accept('_')) {
        if (this.accept('._eE') || this.at(this.position) === END) return false;
      } else break;
    }
    return !this.isClassAt(this.position, ALPHA | DIGIT);
  }

  private scanDurationRest(): boolean {
    if (!this.accept('smhdwy')) return false;
    this.accept('s');
    while (this.isDigitAt(this.position)) {
      this.skipWhile(DIGIT);
      if (!this.accept('smhdw')) return false;
      this.accept('s');
    }
    if (!this.isClassAt(this.position, ALPHA | DIGIT)) return true;
    this.position++;
    return false;
  }

  private lexString(quote: number): void {
    const source = this.source;
    let i = this.position + 1;
    for (;;) {
      const c = i < source.length ? source.charCodeAt(i) : END;
      if (c === quote) break;
      if (c === END || c === 0x0a) throw this.error('unterminated quoted string');
      if (c === 0x5c) i = this.skipEscape(i + 1, quote);
      else i = this.skipStringChar(c, i);
    }
    this.position = i + 1;
    this.type = Token.string;
  }

  private lexRawString(): void {
    const source = this.source;
    let i = this.position + 1;
    for (;;) {
      const c = i < source.length ? source.charCodeAt(i) : END;
      if (c === 0x60) break;
      if (c === END) throw this.error('unterminated raw string');
      i = this.skipStringChar(c, i);
    }
    this.position = i + 1;
    this.type = Token.string;
  }

  /** Index after one character of a string. U+FFFD stands for bytes that were not UTF-8, and is refused like them. */
  private skipStringChar(c: number, i: number): number {
    if (c < 0xd800) return i + 1;
    const code = this.source.codePointAt(i)!;
    if (code === 0xfffd || (code >= 0xd800 && code < 0xe000)) throw this.error('invalid UTF-8 rune');
    return code > 0xffff ? i + 2 : i + 1;
  }

  /** Checks the escape whose letter stands at `i`; returns the index after it. */
  private skipEscape(i: number, quote: number): number {
    const c = this.at(i);
    if (c === END) throw this.error('escape sequence not terminated');
    if (c === quote || 'abfnrtv\\'.includes(String.fromCharCode(c))) return i + 1;
    if (c >= 0x30 && c <= 0x37) return this.skipEscapeDigits(i, 3, 8, 255);
    if (c === 0x78) return this.skipEscapeDigits(i + 1, 2, 16, 255);
    if (c === 0x75) return this.skipEscapeDigits(i + 1, 4, 16, 0x10ffff);
    if (c === 0x55) return this.skipEscapeDigits(i + 1, 8, 16, 0x10ffff);
    throw this.error(`unknown escape sequence ${describeRune(this.charAt(i))}`);
  }

  private skipEscapeDigits(from: number, count: number, base: number, max: number): number {
    let code = 0;
    for (let i = from; i < from + count; i++) {
      if (this.at(i) === END) throw this.error('escape sequence not terminated');
      const digit = Number.parseInt(this.source[i]!, base);
      if (Number.isNaN(digit))
        throw this.error(`illegal character ${describeRune(this.charAt(i))} in escape sequence`);
      code = code * base + digit;
    }
    if (code > max || (code >= 0xd800 && code < 0xe000))
      throw this.error('escape sequence is an invalid Unicode code point');
    return from + count;
  }

  private skipComment(): void {
    let i = this.position;
    while (this.at(i) !== END && this.at(i) !== 0x0a && this.at(i) !== 0x0d) i++;
    this.position = i;
  }

  private skipSpaces(): void {
    this.skipWhile(SPACE);
  }

  private skipWhile(classes: number): void {
    while (this.isClassAt(this.position, classes)) this.position++;
  }

  private accept(chars: string): boolean {
    if (this.position >= this.source.length || !chars.includes(this.source[this.position]!)) return false;
    this.position++;
    return true;
  }

  private take(type: TokenType, length: number): void {
    this.type = type;
    this.position += length;
  }

  private at(i: number): number {
    return i < this.source.length ? this.source.charCodeAt(i) : END;
  }

  private charAt(i: number): string {
    return i < this.source.length ? String.fromCodePoint(this.source.codePointAt(i)!) : '';
  }

  private isClassAt(i: number, classes: number): boolean {
    const c = this.at(i);
    return c !== END && c < 128 && (CLASSES[c]! & classes) !== 0;
  }

  private isDigitAt(i: number): boolean {
    return this.isClassAt(i, DIGIT);
  }

  private error(text: string): VarveError {
    return parseError(this.source, this.byteOffset(this.start), text);
  }
}
