const DECIMAL =
  /^[+-]?(?:[0-9]+(?:_?[0-9])*\.?(?:[0-9](?:_?[0-9])*)?|\.[0-9](?:_?[0-9])*)(?:[eE][+-]?[0-9]+)?$/;
const HEX = /^([+-]?)0[xX]_?([0-9a-fA-F_]*)(?:\.([0-9a-fA-F_]*))?[pP]([+-]?[0-9]+)$/;
const WORDS = /^[+-]?(?:inf|infinity)$|^nan$/i;

/**
 * Reads a float as Go's ParseFloat does: decimal, hexadecimal with a binary exponent, `Inf`, `NaN` in any case.
 * Returns null for anything else, surrounding blanks and values beyond float64 included.
 */
export function parseGoFloat(text: string): number | null {
  if (WORDS.test(text)) {
    if (/nan/i.test(text)) return NaN;
    return text.startsWith('-') ? -Infinity : Infinity;
  }
  if (DECIMAL.test(text)) {
    // Underscores are only digit separators of literals with a base prefix: Go refuses them here.
    if (text.includes('_')) return null;
    const value = Number(text);
    return Number.isFinite(value) ? value : null;
  }
  const hex = HEX.exec(text);
  if (hex === null) return null;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = hex;
  const digits = (whole + fraction).replaceAll('_', '');
  if (digits === '') return null;
  const scale = Number(exponent) - 4 * fraction.replaceAll('_', '').length;
  const value = Number(BigInt(`0x${digits}`)) * 2 ** scale;
  if (!Number.isFinite(value)) return null;
  return sign === '-' ? -value : value;
}
