/**
 * JSON as bytes, in the exact form of Prometheus' API. Samples are written straight into a growing buffer: a range
 * query of a thousand series has hundreds of thousands of numbers, and a string or an object for each would cost more
 * than evaluating them.
 */

const DIGIT_0 = 48;
const MINUS = 45;
const POINT = 46;
const LETTER_E = 101;
const POW10 = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
/** Longest text of a float: `-1.2345678901234567e-300` and some room. */
export const FLOAT_BYTES_MAX = 32;
/** Longest text of a timestamp: `-9223372036854775.807`. */
export const TIMESTAMP_BYTES_MAX = 24;

/** A foretold size is not trusted further than this beyond twice the present one. */
const GROWTH_BYTES_MAX = 64 * 1024 * 1024;

const encoder = new TextEncoder();

/** Bytes between two looks at a writer's guard. */
const GUARD_BYTES = 64 * 1024;

const COPY_BYTES = 8 * 1024 * 1024;

/** A buffer that grows by doubling. Hot loops reserve room, write through `bytes` and put the new length back. */
export class ByteWriter {
  bytes: Uint8Array<ArrayBuffer>;
  length = 0;
  readonly #guard: ((byteLength: number) => void) | null;
  #guardedLength = 0;

  /** @param guard is told the length now and then, and throws to end the writing */
  constructor(initialBytes: number, guard: ((byteLength: number) => void) | null = null) {
    this.bytes = new Uint8Array(initialBytes);
    this.#guard = guard;
  }

  /** Makes room for `byteCount` more bytes; `bytes` may be another array afterwards. */
  reserve(byteCount: number): void {
    const needed = this.length + byteCount;
    if (needed - this.#guardedLength > GUARD_BYTES) this.look();
    if (needed > this.bytes.length) this.grow(Math.max(needed, this.bytes.length * 2));
  }

  private look(): void {
    this.#guardedLength = this.length;
    this.#guard?.(this.length);
  }

  private grow(byteCount: number): void {
    const grown = new Uint8Array(byteCount);
    // Copying a hundred megabytes takes longer than a leaving client should occupy the thread.
    for (let at = 0; at < this.length; at += COPY_BYTES) {
      grown.set(this.bytes.subarray(at, Math.min(this.length, at + COPY_BYTES)), at);
      this.#guard?.(this.length);
    }
    this.bytes = grown;
  }

  /** Appends a text as UTF-8; lone surrogates become U+FFFD. */
  text(text: string): void {
    this.reserve(text.length * 3);
    const { bytes } = this;
    let at = this.length;
    const n = text.length;
    // Nearly all text here is short ASCII, where a loop beats the call into the encoder.
    if (n < 64) {
      let i = 0;
      for (; i < n; i++) {
        const code = text.charCodeAt(i);
        if (code >= 128) break;
        bytes[at++] = code;
      }
      if (i === n) {
        this.length = at;
        return;
      }
      at = this.length;
    }
    this.length = at + encoder.encodeInto(text, bytes.subarray(at)).written;
  }

  /**
   * Appends bytes.
   * @param share how much of the whole text will be there then, above 0 to 1: a buffer that must grow takes the size
   * this foretells, as copying megabytes to the next larger buffer costs as much as writing them.
   */
  append(bytes: Uint8Array, share: number): void {
    const needed = this.length + bytes.length;
    if (needed - this.#guardedLength > GUARD_BYTES) this.look();
    if (needed > this.bytes.length) {
      const foretold = Math.ceil((needed / share) * 1.1);
      this.grow(Math.max(needed, Math.min(foretold, needed * 2 + GROWTH_BYTES_MAX)));
    }
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  /** The bytes written so far as an array of their own, ready to be transferred. */
  finish(): Uint8Array<ArrayBuffer> {
    // Giving away the whole buffer is cheaper than a copy unless most of it is empty.
    return this.bytes.length <= this.length * 1.25
      ? this.bytes.subarray(0, this.length)
      : this.bytes.slice(0, this.length);
  }
}

/**
 * Writes a sample value: the shortest digits that read back the same float, with an exponent below 1e-6 and from 1e21
 * (`1e-07`, `1e+21`), `NaN`, `+Inf`, `-Inf`, `-0`.
 * @param bytes at least FLOAT_BYTES_MAX free from `at`
 * @returns the position after the text
 */
export function writeFloat(bytes: Uint8Array, at: number, value: number): number {
  if (value === Math.trunc(value) && value < 1e15 && value > -1e15) return writeInteger(bytes, at, value);
  const millionths = Math.round(value * 1e6);
  if (millionths / 1e6 === value && millionths < 1e15 && millionths > -1e15) {
    return writeMillionths(bytes, at, millionths);
  }
  const text = formatFloat(value);
  for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
  return at;
}

/**
 * Writes n / 1e6, not whole, without zeros at the end. When that quotient is the float itself and n has at most 15 digits,
 * no other decimal of at most 15 digits reads back as the same float, so this is the shortest text.
 */
function writeMillionths(bytes: Uint8Array, at: number, millionths: number): number {
  if (millionths < 0) {
    bytes[at++] = MINUS;
    millionths = -millionths;
  }
  const whole = Math.floor(millionths / 1e6);
  let fraction = (millionths - whole * 1e6) | 0;
  at = writeInteger(bytes, at, whole);
  bytes[at] = POINT;
  let end = 0;
  for (let i = at + 6; i > at; i--) {
    const rest = (fraction / 10) | 0;
    const digit = fraction - rest * 10;
    if (end === 0 && digit !== 0) end = i + 1;
    bytes[i] = DIGIT_0 + digit;
    fraction = rest;
  }
  return end;
}

function writeInteger(bytes: Uint8Array, at: number, value: number): number {
  if (value < 0 || (value === 0 && 1 / value < 0)) {
    bytes[at++] = MINUS;
    value = -value;
  }
  let digits = 1;
  while (digits < 16 && value >= POW10[digits]!) digits++;
  const end = at + digits;
  let i = end;
  // Above 2^31 each step is a float division; below it integer arithmetic takes over.
  while (value > 0x7fffffff) {
    const rest = Math.floor(value / 10);
    bytes[--i] = DIGIT_0 + (value - rest * 10);
    value = rest;
  }
  let small = value | 0;
  while (i > at) {
    const rest = (small / 10) | 0;
    bytes[--i] = DIGIT_0 + (small - rest * 10);
    small = rest;
  }
  return end;
}

/** The text of a sample value; see `writeFloat`. */
export function formatFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  if (value === 0) return 1 / value < 0 ? '-0' : '0';
  const text = String(value);
  const mark = text.length - 3;
  // JavaScript switches to exponents at the same magnitudes as Go's JSON, but writes `1e-7` for `1e-07`.
  if (mark > 0 && text.charCodeAt(mark) === LETTER_E) return `${text.slice(0, -1)}0${text.slice(-1)}`;
  return text;
}

/** A float in plain decimals whatever its size, as Prometheus prints scalars. */
export function formatPlain(value: number): string {
  const text = formatFloat(value);
  const mark = text.indexOf('e');
  if (mark < 0) return text;
  const exponent = Number(text.slice(mark + 1));
  const sign = text.startsWith('-') ? '-' : '';
  const [whole, fraction = ''] = text.slice(sign.length, mark).split('.');
  const digits = whole! + fraction;
  const pointAt = whole!.length + exponent;
  if (pointAt <= 0) return `${sign}0.${'0'.repeat(-pointAt)}${digits}`;
  return sign + digits.padEnd(pointAt, '0');
}

/** Writes seconds of a vector or matrix: whole, or with exactly three decimals. */
export function writeTimestamp(bytes: Uint8Array, at: number, timestampMs: number): number {
  let rest = timestampMs;
  if (rest < 0) {
    bytes[at++] = MINUS;
    rest = -rest;
  }
  const seconds = Math.floor(rest / 1000);
  const fraction = rest - seconds * 1000;
  at = writeInteger(bytes, at, seconds);
  if (fraction !== 0) {
    bytes[at++] = POINT;
    bytes[at++] = DIGIT_0 + Math.floor(fraction / 100);
    bytes[at++] = DIGIT_0 + (Math.floor(fraction / 10) % 10);
    bytes[at++] = DIGIT_0 + (fraction % 10);
  }
  return at;
}

/** Position of the first character that can't stand in a JSON string as it is, or -1. */
function findUnsafe(text: string, isHtml: boolean): number {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x22 || code === 0x5c) return i;
    if (isHtml && (code === 0x3c || code === 0x3e || code === 0x26 || code === 0x2028 || code === 0x2029))
      return i;
  }
  return -1;
}

function quote(text: string, isHtml: boolean): string {
  let unsafeAt = findUnsafe(text, isHtml);
  if (unsafeAt < 0) return `"${text}"`;
  let quoted = '"';
  let rest = text;
  for (; unsafeAt >= 0; unsafeAt = findUnsafe(rest, isHtml)) {
    quoted += rest.slice(0, unsafeAt) + escapeCharacter(rest[unsafeAt]!);
    rest = rest.slice(unsafeAt + 1);
  }
  return `${quoted}${rest}"`;
}

function escapeCharacter(character: string): string {
  switch (character) {
    case '"':
      return '\\"';
    case '\\':
      return '\\\\';
    case '\n':
      return '\\n';
    case '\r':
      return '\\r';
    case '\t':
      return '\\t';
    default:
      return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  }
}

/** A JSON string as labels of samples are written: `<`, `>` and `&` stay as they are. */
export function quoteJson(text: string): string {
  return quote(text, false);
}

/** A JSON string as everything else is written: safe inside HTML. */
export function quoteJsonHtml(text: string): string {
  return quote(text, true);
}

/** Any plain value as JSON with HTML-safe strings, keys in their order. */
export function stringifyHtml(value: unknown): string {
  return JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, escapeCharacter);
}
