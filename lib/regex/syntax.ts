/**
 * Reads the part of RE2's syntax that label matchers use: literals, `.`, classes, groups, alternation, repetition,
 * `(?i)` and `(?s)`. Anything else, and anything that is no valid pattern, gives null: re2js takes those. So every rule
 * here has to accept less than RE2, or the same with the same meaning.
 */
export type RegexpNode =
  /** One code point of the set. */
  | { readonly kind: 'set'; readonly ranges: CodeRanges }
  /** All in order; no items is the empty string. */
  | { readonly kind: 'sequence'; readonly items: readonly RegexpNode[] }
  | { readonly kind: 'choice'; readonly items: readonly RegexpNode[] }
  | { readonly kind: 'repeat'; readonly item: RegexpNode; readonly min: number; readonly max: number }
  /** `^` and `$`; removed by `dropAnchors`. */
  | { readonly kind: 'begin' }
  | { readonly kind: 'end' };

/** Pairs of first and last code point, ascending, neither overlapping nor touching. */
export type CodeRanges = readonly number[];

const CODE_MAX = 0x10ffff;
export const ANY_CODE: CodeRanges = [0, CODE_MAX];
const EMPTY: RegexpNode = { kind: 'sequence', items: [] };
/** RE2 refuses more. */
const REPEAT_MAX = 1000;
/** Deeper nesting is left to re2js, which has limits of its own. */
const DEPTH_MAX = 100;

const DIGITS = [0x30, 0x39];
const SPACES = [0x09, 0x0a, 0x0c, 0x0d, 0x20, 0x20];
const WORDS = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
const PERL_CLASSES: Readonly<Record<string, CodeRanges>> = {
  d: DIGITS,
  D: complement(DIGITS),
  s: SPACES,
  S: complement(SPACES),
  w: WORDS,
  W: complement(WORDS),
};
const CONTROL_ESCAPES: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };

/** Thrown inside this file only, to leave the reader from any depth. */
class Unsupported extends Error {}

/** Reads a pattern that is to match whole strings; null when it needs the full engine. */
export function readPattern(pattern: string): RegexpNode | null {
  try {
    const reader = new Reader(pattern);
    return dropAnchors(reader.readAll(), true, true);
  } catch (thrown) {
    if (thrown instanceof Unsupported) return null;
    throw thrown;
  }
}

class Reader {
  private readonly pattern: string;
  private position = 0;
  private isFolded = false;
  private depth = 0;

  constructor(pattern: string) {
    this.pattern = pattern;
  }

  readAll(): RegexpNode {
    const node = this.readChoice();
    if (this.position < this.pattern.length) throw new Unsupported();
    return node;
  }

  private readChoice(): RegexpNode {
    const items = [this.readSequence()];
    while (this.accept('|')) items.push(this.readSequence());
    return items.length === 1 ? items[0]! : { kind: 'choice', items };
  }

  private readSequence(): RegexpNode {
    const items: RegexpNode[] = [];
    for (;;) {
      const char = this.pattern[this.position];
      if (char === undefined || char === '|' || char === ')') break;
      const item = this.readAtom(char);
      if (item !== null) items.push(this.readRepeat(item));
    }
    return items.length === 1 ? items[0]! : { kind: 'sequence', items };
  }

  /** Reads one atom; null for a group that only sets flags. */
  private readAtom(char: string): RegexpNode | null {
    switch (char) {
      case '(':
        return this.readGroup();
      case '[':
        return { kind: 'set', ranges: this.readClass() };
      case '.':
        this.position++;
        return { kind: 'set', ranges: ANY_CODE };
      case '^':
        this.position++;
        return { kind: 'begin' };
      case '$':
        this.position++;
        return { kind: 'end' };
      case '*':
      case '+':
      case '?':
        throw new Unsupported();
      case '\\':
        return this.readEscape();
      default:
        // A brace that begins no repetition is a literal.
        if (char === '{' && this.repeatAhead() !== null) throw new Unsupported();
        return { kind: 'set', ranges: this.folded(this.readCode()) };
    }
  }

  private readGroup(): RegexpNode | null {
    if (++this.depth > DEPTH_MAX) throw new Unsupported();
    this.position++;
    const wasFolded = this.isFolded;
    if (this.accept('?')) {
      const flags = /^([is]*)([:)])/.exec(this.pattern.slice(this.position, this.position + 4));
      // Only `(?:` may come without flags.
      if (flags === null || (flags[1] === '' && flags[2] === ')')) throw new Unsupported();
      this.position += flags[0].length;
      if (flags[1]!.includes('i')) this.isFolded = true;
      if (flags[2] === ')') {
        // These flags hold up to the end of the enclosing group, which restores them.
        this.depth--;
        if (/^[*+?{]/.test(this.pattern.slice(this.position))) throw new Unsupported();
        return null;
      }
    }
    const node = this.readChoice();
    if (!this.accept(')')) throw new Unsupported();
    this.isFolded = wasFolded;
    this.depth--;
    return node;
  }

  private readRepeat(item: RegexpNode): RegexpNode {
    const char = this.pattern[this.position];
    let min = 0;
    let max = Number.POSITIVE_INFINITY;
    if (char === '+') min = 1;
    else if (char === '?') max = 1;
    else if (char === '{') {
      const counts = this.repeatAhead();
      if (counts === null) return item;
      [min, max] = counts;
      if (min > REPEAT_MAX || (max !== Number.POSITIVE_INFINITY && max > REPEAT_MAX) || max < min)
        throw new Unsupported();
      this.position = this.pattern.indexOf('}', this.position);
    } else if (char !== '*') return item;
    this.position++;
    // Lazy or greedy is the same for a test of the whole string.
    this.accept('?');
    const next = this.pattern[this.position];
    if (next === '*' || next === '+' || next === '?' || (next === '{' && this.repeatAhead() !== null))
      throw new Unsupported();
    const node: RegexpNode = { kind: 'repeat', item, min, max };
    if (repetitionsOf(node) > REPEAT_MAX) throw new Unsupported();
    return node;
  }

  /** The counts of `{n}`, `{n,}` or `{n,m}` at the position, or null. */
  private repeatAhead(): [number, number] | null {
    const counts = /^\{(\d{1,9})(,(\d{0,9}))?\}/.exec(this.pattern.slice(this.position, this.position + 22));
    if (counts === null) return null;
    const min = Number(counts[1]);
    if (counts[2] === undefined) return [min, min];
    return [min, counts[3] === '' ? Number.POSITIVE_INFINITY : Number(counts[3])];
  }

  private readEscape(): RegexpNode {
    const char = this.pattern[this.position + 1];
    if (char === undefined) throw new Unsupported();
    this.position += 2;
    const isPerl = PERL_CLASSES[char] !== undefined;
    return { kind: 'set', ranges: isPerl ? this.perlClass(char) : this.folded(escapedCode(char)) };
  }

  private perlClass(letter: string): CodeRanges {
    // Word characters have relatives outside ASCII under `(?i)`.
    if (this.isFolded && (letter === 'w' || letter === 'W')) throw new Unsupported();
    return PERL_CLASSES[letter]!;
  }

  private readClass(): CodeRanges {
    this.position++;
    const isNegated = this.accept('^');
    const pairs: number[] = [];
    // The first bracket is a literal, as is a hyphen at either end.
    for (let isFirst = true; isFirst || this.pattern[this.position] !== ']'; isFirst = false) {
      const char = this.pattern[this.position];
      if (char === undefined) throw new Unsupported();
      if (char === '[' && this.pattern[this.position + 1] === ':') throw new Unsupported();
      const next = this.pattern[this.position + 1];
      if (char === '\\' && next !== undefined && PERL_CLASSES[next] !== undefined) {
        pairs.push(...this.perlClass(next));
        this.position += 2;
        continue;
      }
      if (char === '-' && !isFirst && next !== ']') throw new Unsupported();
      const lo = this.readClassCode();
      let hi = lo;
      if (this.pattern[this.position] === '-' && this.pattern[this.position + 1] !== ']') {
        this.position++;
        hi = this.readClassCode();
        if (hi < lo) throw new Unsupported();
      }
      pairs.push(...this.foldedRange(lo, hi));
    }
    this.position++;
    const ranges = normalized(pairs);
    return isNegated ? complement(ranges) : ranges;
  }

  private readClassCode(): number {
    if (this.pattern[this.position] !== '\\') return this.readCode();
    const char = this.pattern[this.position + 1];
    if (char === undefined || PERL_CLASSES[char] !== undefined) throw new Unsupported();
    this.position += 2;
    return escapedCode(char);
  }

  private readCode(): number {
    const code = this.pattern.codePointAt(this.position);
    if (code === undefined || (code >= 0xd800 && code < 0xe000)) throw new Unsupported();
    this.position += code > 0xffff ? 2 : 1;
    return code;
  }

  private accept(char: string): boolean {
    if (this.pattern[this.position] !== char) return false;
    this.position++;
    return true;
  }

  private folded(code: number): CodeRanges {
    return this.isFolded ? normalized(this.foldedRange(code, code)) : [code, code];
  }

  /** The range and, under `(?i)`, its other cases. Only ASCII is folded here; K and S have relatives outside. */
  private foldedRange(lo: number, hi: number): number[] {
    if (!this.isFolded) return [lo, hi];
    if (hi >= 0x80) throw new Unsupported();
    const pairs = [lo, hi];
    for (let code = lo; code <= hi; code++) {
      const lower = code | 0x20;
      if (lower < 0x61 || lower > 0x7a) continue;
      pairs.push(lower, lower, lower - 0x20, lower - 0x20);
      if (lower === 0x6b) pairs.push(0x212a, 0x212a);
      if (lower === 0x73) pairs.push(0x17f, 0x17f);
    }
    return pairs;
  }
}

/** How often the innermost part is written out; RE2 limits this over all levels. */
function repetitionsOf(node: RegexpNode): number {
  if (node.kind === 'repeat') {
    const copies = node.max === Number.POSITIVE_INFINITY ? node.min : node.max;
    return Math.max(copies, 1) * repetitionsOf(node.item);
  }
  if (node.kind !== 'sequence' && node.kind !== 'choice') return 1;
  return node.items.reduce((most, item) => Math.max(most, repetitionsOf(item)), 1);
}

/** The code point of an escape that stands for one; punctuation stands for itself. */
function escapedCode(char: string): number {
  const control = CONTROL_ESCAPES[char];
  if (control !== undefined) return control;
  const code = char.charCodeAt(0);
  if (code >= 0x80 || /[A-Za-z0-9]/.test(char)) throw new Unsupported();
  return code;
}

function normalized(pairs: readonly number[]): number[] {
  const ranges: [number, number][] = [];
  for (let i = 0; i < pairs.length; i += 2) ranges.push([pairs[i]!, pairs[i + 1]!]);
  ranges.sort((a, b) => a[0] - b[0]);
  const out: number[] = [];
  for (const [lo, hi] of ranges) {
    const last = out.length - 1;
    if (last > 0 && lo <= out[last]! + 1) out[last] = Math.max(out[last]!, hi);
    else out.push(lo, hi);
  }
  return out;
}

function complement(ranges: CodeRanges): number[] {
  const out: number[] = [];
  let from = 0;
  for (let i = 0; i < ranges.length; i += 2) {
    if (ranges[i]! > from) out.push(from, ranges[i]! - 1);
    from = ranges[i + 1]! + 1;
  }
  if (from <= CODE_MAX) out.push(from, CODE_MAX);
  return out;
}

/** Removes `^` and `$` where the whole-string match makes them redundant; elsewhere they need the full engine. */
function dropAnchors(node: RegexpNode, isAtStart: boolean, isAtEnd: boolean): RegexpNode {
  switch (node.kind) {
    case 'set':
      return node;
    case 'begin':
      if (!isAtStart) throw new Unsupported();
      return EMPTY;
    case 'end':
      if (!isAtEnd) throw new Unsupported();
      return EMPTY;
    case 'choice':
      return { kind: 'choice', items: node.items.map((item) => dropAnchors(item, isAtStart, isAtEnd)) };
    case 'sequence': {
      const last = node.items.length - 1;
      const items = node.items.map((item, i) =>
        dropAnchors(item, isAtStart && i === 0, isAtEnd && i === last),
      );
      return { kind: 'sequence', items };
    }
    case 'repeat':
      return { ...node, item: dropAnchors(node.item, false, false) };
  }
}
