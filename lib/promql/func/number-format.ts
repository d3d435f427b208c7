/** Go's number formats. Shortest digits are the same as JavaScript's; only the layout differs (promql-errors.md §6). */

function special(value: number): string | null {
  if (Number.isNaN(value)) return 'NaN';
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '-Inf';
  return null;
}

/** Sign, shortest significant digits and decimal exponent (of the first digit) of a finite number. */
function digitsOf(value: number): { sign: string; digits: string; exponent: number } {
  const [mantissa = '0', exponent = '0'] = Math.abs(value).toExponential().split('e');
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  return { sign, digits: mantissa.replace('.', ''), exponent: Number(exponent) };
}

function layoutExponent(sign: string, digits: string, exponent: number): string {
  const mantissa = digits.length > 1 ? `${digits[0]}.${digits.slice(1)}` : digits;
  const size = Math.abs(exponent);
  return `${sign}${mantissa}e${exponent < 0 ? '-' : '+'}${size < 10 ? '0' : ''}${size}`;
}

function layoutPlain(sign: string, digits: string, exponent: number): string {
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  if (digits.length <= exponent + 1) return sign + digits + '0'.repeat(exponent + 1 - digits.length);
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}

/** Format 'f' with the shortest digits: never an exponent. */
export function formatF(value: number): string {
  const word = special(value);
  if (word !== null) return word;
  const { sign, digits, exponent } = digitsOf(value);
  return layoutPlain(sign, digits, exponent);
}

/** `%.2g`: two significant digits. */
export function formatG2(value: number): string {
  const word = special(value);
  if (word !== null) return word;
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const [mantissa = '0', exponentText = '0'] = Math.abs(value).toExponential(1).split('e');
  const digits = mantissa.replace('.', '').replace(/0+$/, '') || '0';
  const exponent = Number(exponentText);
  const sign = value < 0 ? '-' : '';
  return exponent < -4 || exponent >= 2
    ? layoutExponent(sign, digits, exponent)
    : layoutPlain(sign, digits, exponent);
}

/** `%f`: six decimals. */
export function formatF6(value: number): string {
  return special(value) ?? value.toFixed(6);
}
