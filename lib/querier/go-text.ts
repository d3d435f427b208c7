/** Texts and numbers as Go's standard library reads and prints them, where the API shows them to users. */

const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;
const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '"': '\\"',
  '\\': '\\\\',
};

/** A text in double quotes as `%q` prints it. */
export function goQuote(text: string): string {
  let quoted = '"';
  for (const character of text) {
    const short = SHORT_ESCAPES[character];
    const code = character.codePointAt(0)!;
    if (short !== undefined) quoted += short;
    else if (PRINTABLE.test(character)) quoted += character;
    else if (code < 0x80) quoted += `\\x${code.toString(16).padStart(2, '0')}`;
    else if (code < 0x10000) quoted += `\\u${code.toString(16).padStart(4, '0')}`;
    else quoted += `\\U${code.toString(16).padStart(8, '0')}`;
  }
  return `${quoted}"`;
}

const FLOAT = /^[+-]?(?:\d+(?:_\d+)*(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+)?$/;

const HEX_FLOAT =
  /^([+-]?)0[xX]_?((?:[\da-fA-F](?:_(?=[\da-fA-F]))?)*)(?:\.((?:[\da-fA-F](?:_(?=[\da-fA-F]))?)*))?[pP]([+-]?\d+)$/;

/** A float as `strconv.ParseFloat` reads it; null when it is none or out of range. */
export function parseGoFloat(text: string): number | null {
  if (FLOAT.test(text)) {
    const value = Number(text.replaceAll('_', ''));
    return Number.isFinite(value) ? value : null;
  }
  const hex = HEX_FLOAT.exec(text);
  if (hex !== null) return hexFloat(hex);
  const word = /^([+-]?)(inf|infinity|nan)$/i.exec(text);
  if (word === null) return null;
  if (word[2]!.toLowerCase() === 'nan') return Number.NaN;
  return word[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/** The value of `0x1.8p3`; at most 53 bits of digits are exact, which no time or duration exceeds. */
function hexFloat([, sign, whole = '', fraction = '', exponent]: RegExpExecArray): number | null {
  const digits = (whole + fraction).replaceAll('_', '');
  if (digits === '') return null;
  let mantissa = 0;
  for (const digit of digits) mantissa = mantissa * 16 + Number.parseInt(digit, 16);
  const value = mantissa * 2 ** (Number(exponent) - 4 * fraction.replaceAll('_', '').length);
  if (!Number.isFinite(value)) return null;
  return sign === '-' ? -value : value;
}

/** A truth value as `strconv.ParseBool` reads it, or the text of its error. */
export function parseGoBool(text: string): boolean | string {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
  return `strconv.ParseBool: parsing ${goQuote(text)}: invalid syntax`;
}

/**
 * A whole number as `strconv.Atoi` reads it, or the text of its error.
 * @param parser what the error names as its origin
 */
export function parseGoInt(text: string, parser = 'strconv.Atoi'): number | string {
  if (!/^[+-]?\d+$/.test(text)) return `${parser}: parsing ${goQuote(text)}: invalid syntax`;
  const value = Number(text);
  if (Math.abs(value) >= 2 ** 63) return `${parser}: parsing ${goQuote(text)}: value out of range`;
  return value;
}
