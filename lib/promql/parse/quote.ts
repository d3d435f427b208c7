import { isUtf8 } from 'node:buffer';

const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;
const PLAIN = /^[ !#-[\]-~]*$/;
const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
};

// A byte that is no UTF-8 stands in our strings as the lone surrogate of its number, U+DC80 to U+DCFF, which no text can
// hold otherwise: escapes of surrogates are refused. So it compares unequal to all text and can be quoted again.
const BYTE_BEGIN = 0xdc80;
const BYTE_END = 0xdcff;

/** Quotes as Go's `strconv.Quote`: double quotes, short escapes, `\xNN` and `\uNNNN` for what is not printable. */
export function goQuote(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  let out = '"';
  for (const char of text) out += char === '"' ? '\\"' : escapeRune(char);
  return `${out}"`;
}

/** Quotes one character as Go's `%q` of a rune does; the empty string stands for the end of input. */
export function goQuoteRune(char: string): string {
  if (char === '') return "'\ufffd'";
  return char === "'" ? "'\\''" : `'${escapeRune(char)}'`;
}

/** Go's `%#U`: `U+0071 'q'`, without the character when it is not printable. */
export function describeRune(char: string): string {
  const hex = char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0');
  return PRINTABLE.test(char) ? `U+${hex} '${char}'` : `U+${hex}`;
}

/** The first `count` characters (not UTF-16 units). */
export function truncateRunes(text: string, count: number): string {
  let end = 0;
  for (const char of text) {
    if (count-- === 0) break;
    end += char.length;
  }
  return text.slice(0, end);
}

function escapeRune(char: string): string {
  const short = SHORT_ESCAPES[char];
  if (short !== undefined) return short;
  if (PRINTABLE.test(char)) return char;
  const code = char.codePointAt(0)!;
  if (code >= BYTE_BEGIN && code <= BYTE_END) return `\\x${(code - BYTE_BEGIN + 0x80).toString(16)}`;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
}

/**
 * The value of a string literal whose escapes the lexer has already checked. Byte escapes (`\x`, octal) may form
 * invalid UTF-8; such bytes become lone surrogates, and `isWellFormed()` tells. Who shows a text makes it well-formed.
 */
export function unquote(source: string): string {
  const body = source.slice(1, -1);
  if (source[0] === '`' || !body.includes('\\')) return body;
  const parts: Uint8Array[] = [];
  let from = 0;
  for (let i = 0; i < body.length; ) {
    if (body[i] !== '\\') {
      i++;
      continue;
    }
    if (i > from) parts.push(Buffer.from(body.slice(from, i)));
    const [bytes, length] = readEscape(body, i + 1);
    parts.push(bytes);
    i += 1 + length;
    from = i;
  }
  parts.push(Buffer.from(body.slice(from)));
  const bytes = Buffer.concat(parts);
  return isUtf8(bytes) ? bytes.toString('utf8') : decodeBroken(bytes);
}

/** Decodes UTF-8 with bytes that belong to no character. */
function decodeBroken(bytes: Buffer): string {
  let text = '';
  for (let i = 0; i < bytes.length; ) {
    const lead = bytes[i]!;
    const length = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const char = bytes.subarray(i, i + length);
    if (char.length === length && isUtf8(char)) {
      text += char.toString('utf8');
      i += length;
    } else {
      text += String.fromCharCode(BYTE_BEGIN + lead - 0x80);
      i++;
    }
  }
  return text;
}

/** The bytes of the escape whose letter stands at `at`, and its length without the backslash. */
function readEscape(body: string, at: number): [Uint8Array, number] {
  const letter = body[at]!;
  switch (letter) {
    case 'x':
      return [Uint8Array.of(Number.parseInt(body.slice(at + 1, at + 3), 16)), 3];
    case 'u':
      return [Buffer.from(String.fromCodePoint(Number.parseInt(body.slice(at + 1, at + 5), 16))), 5];
    case 'U':
      return [Buffer.from(String.fromCodePoint(Number.parseInt(body.slice(at + 1, at + 9), 16))), 9];
    default:
      break;
  }
  if (letter >= '0' && letter <= '7') return [Uint8Array.of(Number.parseInt(body.slice(at, at + 3), 8)), 3];
  const named = Object.keys(SHORT_ESCAPES).find((char) => SHORT_ESCAPES[char] === `\\${letter}`);
  return [Buffer.from(named ?? letter), 1];
}
