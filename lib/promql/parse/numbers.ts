import { goQuote } from './quote.js';

/** Milliseconds of each duration unit, in the order in which units must be written. */
const UNITS: ReadonlyMap<string, { readonly rank: number; readonly ms: number }> = new Map([
  ['y', { rank: 1, ms: 365 * 86_400_000 }],
  ['w', { rank: 2, ms: 7 * 86_400_000 }],
  ['d', { rank: 3, ms: 86_400_000 }],
  ['h', { rank: 4, ms: 3_600_000 }],
  ['m', { rank: 5, ms: 60_000 }],
  ['s', { rank: 6, ms: 1000 }],
  ['ms', { rank: 7, ms: 1 }],
]);

/** Durations are int64 nanoseconds in Prometheus: this many milliseconds and no more. */
const DURATION_MS_MAX = 2 ** 63 / 1e6;
const DURATION_SECONDS_MAX = 2 ** 63 / 1e9;

/** Result of reading a literal: a value, or the text of what is wrong with it. */
export type Literal =
  | { readonly value: number; readonly error: '' }
  | { readonly value: 0; readonly error: string };

function bad(error: string): Literal {
  return { value: 0, error };
}

/** Reads a duration such as `1h30m`; the value is in milliseconds. */
export function readDurationMs(source: string): Literal {
  let total = 0;
  let lastRank = 0;
  let i = 0;
  const n = source.length;
  while (i < n) {
    const digits = i;
    while (i < n && isDigit(source.charCodeAt(i))) i++;
    if (i === digits) return bad(`not a valid duration string: ${goQuote(source)}`);
    const count = Number(source.slice(digits, i));
    const letters = i;
    while (i < n && !isDigit(source.charCodeAt(i))) i++;
    const name = source.slice(letters, i);
    const unit = UNITS.get(name);
    if (count >= 2 ** 64 || name === '') return bad(`not a valid duration string: ${goQuote(source)}`);
    if (unit === undefined) return bad(`unknown unit ${goQuote(name)} in duration ${goQuote(source)}`);
    if (unit.rank <= lastRank) return bad(`not a valid duration string: ${goQuote(source)}`);
    lastRank = unit.rank;
    total += count * unit.ms;
    if (total >= DURATION_MS_MAX) return bad('duration out of range');
  }
  return { value: total, error: '' };
}

/** Reads a number token: integers in base 0 rules (`0x1F`, octal `017`), then floats, `Inf` and `NaN`. */
export function readNumber(source: string): Literal {
  // The scanner leaves an underscore at the end to us, and it must stand between digits.
  if (source.endsWith('_')) return bad(numberError(source, 'invalid syntax'));
  const plain = source.includes('_') ? source.replaceAll('_', '') : source;
  const first = plain.charCodeAt(0);
  if (first === 0x30 && plain.length > 1) {
    if (plain[1] === 'x' || plain[1] === 'X') {
      if (plain.length > 2) {
        const value = Number(plain);
        // Beyond int64 the float reader takes over, and it knows no hexadecimal integers.
        if (value < 2 ** 63) return { value, error: '' };
      }
      return bad(numberError(source, 'invalid syntax'));
    }
    if (/^[0-7]+$/.test(plain)) {
      const value = Number.parseInt(plain, 8);
      if (value < 2 ** 63) return { value, error: '' };
    }
  } else if (!isDigit(first) && first !== 0x2e) {
    return { value: /^nan$/i.test(plain) ? Number.NaN : Number.POSITIVE_INFINITY, error: '' };
  }
  const value = Number(plain);
  if (Number.isNaN(value)) return bad(numberError(source, 'invalid syntax'));
  if (value === Number.POSITIVE_INFINITY) return bad(numberError(source, 'value out of range'));
  return { value, error: '' };
}

function numberError(source: string, what: string): string {
  return `error parsing number: strconv.ParseFloat: parsing ${goQuote(source)}: ${what}`;
}

/** Whether a number of seconds, or NaN, does not fit int64 nanoseconds. */
export function isDurationOutOfRange(seconds: number): boolean {
  return !(seconds <= DURATION_SECONDS_MAX && seconds >= -DURATION_SECONDS_MAX);
}

/** Seconds to whole milliseconds as Prometheus gets there: rounded to nanoseconds, then truncated. */
export function secondsToMs(seconds: number): number {
  const ms = Math.trunc(roundHalfAway(seconds * 1e9) / 1e6);
  return ms === 0 ? 0 : ms;
}

/** Rounds halves away from zero, as Go's `math.Round`. */
export function roundHalfAway(value: number): number {
  const truncated = Math.trunc(value);
  return Math.abs(value - truncated) >= 0.5 ? truncated + Math.sign(value) : truncated;
}

/** Prints milliseconds as a duration: `1h30m`, `0s`, `-5m`; years and weeks only when nothing would remain. */
export function formatDurationMs(durationMs: number): string {
  if (durationMs === 0) return '0s';
  let rest = Math.abs(durationMs);
  let out = durationMs < 0 ? '-' : '';
  for (const [name, { ms }] of UNITS) {
    if ((name === 'y' || name === 'w') && rest % ms !== 0) continue;
    const count = Math.floor(rest / ms);
    if (count > 0) {
      out += `${count}${name}`;
      rest -= count * ms;
    }
  }
  return out;
}

/** A float in plain decimal with the fewest digits that read back the same: Go's `FormatFloat(v, 'f', -1, 64)`. */
export function formatPlain(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (Object.is(value, -0)) return '-0';
  const text = String(value);
  const e = text.indexOf('e');
  if (e < 0) return text;
  const sign = text[0] === '-' ? '-' : '';
  const [whole = '', fraction = ''] = text.slice(sign.length, e).split('.');
  const exponent = Number(text.slice(e + 1));
  const digits = whole + fraction;
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  return sign + digits.padEnd(exponent + 1, '0');
}

/** Go's `%v` of a float: fewest digits, exponent form below 1e-4 and, whatever the digits, from a million on. */
export function formatShortest(value: number): string {
  const magnitude = Math.abs(value);
  if (!Number.isFinite(value) || magnitude === 0) return formatPlain(value);
  if (magnitude >= 1e-4 && magnitude < 1e6) return formatPlain(value);
  return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
}

/** Go's `%f`: six decimals. */
export function formatFixed6(value: number): string {
  if (!Number.isFinite(value)) return formatPlain(value);
  return Math.abs(value) < 1e21 ? value.toFixed(6) : `${BigInt(value)}.000000`;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}
