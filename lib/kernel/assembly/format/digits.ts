// Numbers as decimal text, laid out as Prometheus' JSON has them: Go's strconv with the fewest digits, in the form 'e'
// below 1e-6 and from 1e21, in the form 'f' otherwise.
//
// Digits are made eight at a time inside one 64-bit word, a byte each, the first digit in the lowest byte, so that a
// store writes them in reading order and the counts of zero bits at both ends count zeros of the number.

import { exponent, high, low, quotientE8, shortest } from './shortest';

const ZEROS: u64 = 0x3030303030303030;
const POINT: u8 = 46;
const MINUS: u8 = 45;
const PLUS: u8 = 43;

/** 24 digits: seven zeros, the 17 digits of a number. Vectors read 16 bytes from any digit on. */
let scratch: usize = 0;

/** @param address 48 bytes */
export function digitsScratch(address: usize): void {
  scratch = address;
}

/** Eight digits of a number below 10^8 as bytes 0..9. */
// @ts-ignore: decorator
@inline
function eightDigits(n: u32): u64 {
  const first = n / 10000;
  const fours = <u64>first | ((<u64>(n - first * 10000)) << 32);
  // Divisions by 100 and by 10 as multiplications that are exact for 4 and for 2 digits, in all lanes at once.
  const hundreds = ((fours * 5243) >> 19) & 0x0000007f0000007f;
  const twos = hundreds | ((fours - hundreds * 100) << 16);
  const tens = ((twos * 103) >> 10) & 0x000f000f000f000f;
  return tens | ((twos - tens * 10) << 8);
}

/** Writes a whole number below 10^16; up to 16 bytes are overwritten. Returns the address after it. */
export function writeWhole(p: usize, n: u64): usize {
  if (n < 100000000) {
    if (n < 10) {
      store<u8>(p, 48 + <u8>n);
      return p + 1;
    }
    const word = eightDigits(<u32>n);
    const skipped = ctz(word) & 56;
    store<u64>(p, (word | ZEROS) >> skipped);
    return p + 8 - <usize>(skipped >> 3);
  }
  const hi = quotientE8(n);
  const word = eightDigits(hi);
  const skipped = ctz(word) & 56;
  store<u64>(p, (word | ZEROS) >> skipped);
  p += 8 - <usize>(skipped >> 3);
  store<u64>(p, eightDigits(<u32>(n - <u64>hi * 100000000)) | ZEROS);
  return p + 8;
}

/** Writes (hi * 10^8 + lo) * 10^scale, above zero, hi below 10^9, without zeros at the end of a fraction. */
function writeDecimal(p: usize, hi: u32, lo: u32, scale: i32): usize {
  const top = hi / 100000000;
  const middle = eightDigits(hi - top * 100000000);
  const last = eightDigits(lo);
  store<u8>(scratch, 48 + <u8>top, 7);
  store<u64>(scratch, middle | ZEROS, 8);
  store<u64>(scratch, last | ZEROS, 16);

  let count: i32;
  if (top != 0) count = 17;
  else if (middle != 0) count = 16 - <i32>(ctz(middle) >> 3);
  else count = 8 - <i32>(ctz(last) >> 3);
  const zeros = last != 0 ? <i32>(clz(last) >> 3) : middle != 0 ? 8 + <i32>(clz(middle) >> 3) : 16;
  const first = scratch + 24 - count;
  const digits = count - zeros;
  /** Digits before the decimal point; negative when zeros follow it. */
  const point = count + scale;

  if (point > 0 && point < digits) {
    v128.store(p, v128.load(first));
    v128.store(p + point + 1, v128.load(first + point));
    store<u8>(p + point, POINT);
    return p + digits + 1;
  }
  if (point > -6 && point <= 0) {
    store<u64>(p, 0x3030303030302e30);
    p += 2 - point;
    v128.store(p, v128.load(first));
    store<u8>(p, load<u8>(first, 16), 16);
    return p + digits;
  }
  if (point > 0 && point <= 21) {
    // All digits stand before the point; beyond those at hand there are zeros.
    v128.store(p, v128.load(first));
    store<u8>(p, load<u8>(first, 16), 16);
    v128.store(p + count, i8x16.splat(48));
    store<u32>(p + count, 0x30303030, 16);
    return p + point;
  }
  store<u8>(p, load<u8>(first));
  p++;
  if (digits > 1) {
    store<u8>(p, POINT);
    v128.store(p + 1, v128.load(first + 1));
    p += digits;
  }
  return writeExponent(p, point - 1);
}

/** Writes `e`, the sign and at least two digits. */
function writeExponent(p: usize, power: i32): usize {
  store<u8>(p, 101);
  store<u8>(p, power < 0 ? MINUS : PLUS, 1);
  p += 2;
  let size = <u32>(power < 0 ? -power : power);
  if (size >= 100) {
    store<u8>(p++, 48 + <u8>(size / 100));
    size %= 100;
  }
  store<u8>(p, 48 + <u8>(size / 10));
  store<u8>(p, 48 + <u8>(size % 10), 1);
  return p + 2;
}

/** Writes NaN, +Inf or -Inf. */
function writeSpecial(p: usize, value: f64): usize {
  if (value != value) {
    store<u32>(p, 0x4e614e);
    return p + 3;
  }
  store<u32>(p, value > 0 ? 0x666e492b : 0x666e492d);
  return p + 4;
}

/** Writes any double; up to 48 bytes are overwritten. Returns the address after the text of at most 25 bytes. */
export function writeDouble(p: usize, value: f64): usize {
  const bits = reinterpret<u64>(value);
  const size = abs(value);
  if (bits >> 63) {
    store<u8>(p, MINUS);
    if (!(size < Infinity)) return writeSpecial(p, value);
    p++;
  }
  const whole = trunc(size);
  if (whole == size && size < 9007199254740992) return writeWhole(p, <u64>(<i64>whole));
  if (!(size < Infinity)) return writeSpecial(p, value);
  // A quotient of at most 15 digits by 10^6 that is the float itself is its shortest text: no other decimal of at most
  // 15 digits reads back as the same float.
  const millionths = nearest(size * 1e6);
  if (millionths < 1e15 && millionths / 1e6 == size) {
    const n = <u64>(<i64>millionths);
    const hi = quotientE8(n);
    return writeDecimal(p, hi, <u32>(n - <u64>hi * 100000000), -6);
  }
  shortest(bits & 0x7fffffffffffffff);
  return writeDecimal(p, high, low, exponent);
}

/** Writes milliseconds as seconds: whole, or with exactly three decimals. Up to 24 bytes are overwritten. */
export function writeSeconds(p: usize, timestampMs: f64): usize {
  if (timestampMs < 0) {
    store<u8>(p, MINUS);
    p++;
  }
  const ms = <u64>(<i64>abs(timestampMs));
  const seconds = ms / 1000;
  p = writeWhole(p, seconds);
  const rest = <u32>(ms - seconds * 1000);
  if (rest == 0) return p;
  store<u8>(p, POINT);
  store<u8>(p, 48 + <u8>(rest / 100), 1);
  store<u8>(p, 48 + <u8>((rest / 10) % 10), 2);
  store<u8>(p, 48 + <u8>(rest % 10), 3);
  return p + 4;
}
