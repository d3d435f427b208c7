import { log as goLog } from '../../histogram/index.js';
import { goExp } from './go-math.js';

/**
 * Trigonometric and hyperbolic functions with the last bit of Go's math package: the Cephes polynomials (Moshier, "Methods
 * and Programs for Mathematical Functions", 1989), evaluated in the order given there.
 */

// Pi / 4 in three parts, so that the reduction loses nothing below 2^29.
const PI4_A = 0.7853981256484985;
const PI4_B = 3.774894707930798e-8;
const PI4_C = 2.6951514290790595e-15;
const REDUCE_MAX = 2 ** 29;

function sinPolynomial(z: number): number {
  const zz = z * z;
  return (
    z +
    z *
      zz *
      (((((1.5896230157654656e-10 * zz + -2.5050747762857807e-8) * zz + 2.7557313621385722e-6) * zz +
        -0.0001984126982958954) *
        zz +
        0.008333333333322118) *
        zz +
        -0.1666666666666663)
  );
}

function cosPolynomial(z: number): number {
  const zz = z * z;
  return (
    1 -
    0.5 * zz +
    zz *
      zz *
      (((((-1.1358536521387682e-11 * zz + 2.087570084197473e-9) * zz + -2.755731417929674e-7) * zz +
        2.4801587288851704e-5) *
        zz +
        -0.0013888888888873056) *
        zz +
        0.041666666666666595)
  );
}

/** Octant (even, 0..8) of the last `reduce`. */
let octant = 0;

// 4 / pi with 1216 binary places, as the reduction of huge angles by Payne and Hanek needs them.
const FOUR_OVER_PI = BigInt(
  '0x1' +
    '45f306dc9c882a53f84eafa3ea69bb81b6c52b3278872083fca2c757bd778ac36e48dc74849ba5c0' +
    '0c925dd413a32439fc3bd63962534e7dd1046bea5d768909d338e04d68befc827323ac7306a673e9' +
    '3908bf177bf250763ff12fffbc0b301fde5e2316b414da3eda6cfd9e4f96136e9e8c7ecd3cbfd45a' +
    'ea4f758fd7cbe2f67a0e73ef14a525d4d7f6bf623f1aba10ac06608df8f6d757',
);
const FOUR_OVER_PI_BITS = 20 * 64;
const MASK_64 = (1n << 64n) - 1n;
const scratch = new DataView(new ArrayBuffer(8));

/** `reduce` for angles from 2^29 on: the fraction of x * 4 / pi from just the digits of 4 / pi that decide on it. */
function reduceHuge(x: number): number {
  scratch.setFloat64(0, x);
  const bits = scratch.getBigUint64(0);
  const exponent = Number(bits >> 52n) - 1023 - 52;
  const mantissa = (bits & ((1n << 52n) - 1n)) | (1n << 52n);
  const digits = (k: number): bigint =>
    (FOUR_OVER_PI >> BigInt(FOUR_OVER_PI_BITS - exponent - 61 - 64 * (k + 1))) & MASK_64;
  const low = digits(1) * mantissa + ((digits(2) * mantissa) >> 64n);
  const product = (((digits(0) * mantissa) << 64n) + low) & ((1n << 128n) - 1n);
  octant = Number(product >> 125n);
  // Cut off, not rounded, to the 53 bits behind the leading one.
  const fraction = (product >> 61n) & MASK_64;
  const zeros = fraction === 0n ? 64 : 64 - fraction.toString(2).length;
  const rest = product & ((1n << 125n) - 1n);
  const top = (rest << BigInt(3 + zeros)) >> 75n;
  let z = Number(top & ((1n << 53n) - 1n)) / 2 ** (53 + zeros);
  if (octant % 2 === 1) {
    octant = (octant + 1) % 8;
    z -= 1;
  }
  return z * (Math.PI / 4);
}

/** What remains of a non-negative angle after the nearest even multiple of pi / 4. */
function reduce(x: number): number {
  if (x >= REDUCE_MAX) return reduceHuge(x);
  let y = Math.trunc(x * (4 / Math.PI));
  if (y % 2 === 1) y++;
  octant = y % 8;
  return x - y * PI4_A - y * PI4_B - y * PI4_C;
}

export function goSin(x: number): number {
  if (x === 0 || !Number.isFinite(x)) return Math.sin(x);
  const z = reduce(Math.abs(x));
  const isNegative = x < 0 !== octant > 3;
  const y = octant % 4 === 2 ? cosPolynomial(z) : sinPolynomial(z);
  return isNegative ? -y : y;
}

export function goCos(x: number): number {
  if (!Number.isFinite(x)) return Math.cos(x);
  const z = reduce(Math.abs(x));
  const isNegative = octant > 3 !== octant % 4 > 1;
  const y = octant % 4 === 2 ? sinPolynomial(z) : cosPolynomial(z);
  return isNegative ? -y : y;
}

export function goTan(x: number): number {
  if (x === 0 || !Number.isFinite(x)) return Math.tan(x);
  const z = reduce(Math.abs(x));
  const zz = z * z;
  let y = z;
  if (zz > 1e-14) {
    y =
      z +
      z *
        ((zz * ((-13093.693918138373 * zz + 1153516.6483858742) * zz + -17956525.197648488)) /
          ((((zz + 13681.296347069296) * zz + -1320892.3444021097) * zz + 25008380.18233579) * zz +
            -53869575.592945464));
  }
  if (octant % 4 === 2) y = -1 / y;
  return x < 0 ? -y : y;
}

function atanPolynomial(x: number): number {
  let z = x * x;
  z =
    (z *
      ((((-0.8750608600031904 * z + -16.157537187333652) * z + -75.00855792314705) * z +
        -122.88666844901361) *
        z +
        -64.85021904942025)) /
    (((((z + 24.858464901423062) * z + 165.02700983169885) * z + 432.88106049129027) * z +
      485.3903996359137) *
      z +
      194.5506571482614);
  return x * z + x;
}

// Pi / 2 beyond its double.
const MORE_BITS = 6.123233995736766e-17;
const TAN_3PI_8 = 2.414213562373095;

function positiveAtan(x: number): number {
  if (x <= 0.66) return atanPolynomial(x);
  if (x > TAN_3PI_8) return Math.PI / 2 - atanPolynomial(1 / x) + MORE_BITS;
  return Math.PI / 4 + atanPolynomial((x - 1) / (x + 1)) + 0.5 * MORE_BITS;
}

export function goAtan(x: number): number {
  if (x === 0) return x;
  return x > 0 ? positiveAtan(x) : -positiveAtan(-x);
}

export function goAsin(x: number): number {
  if (x === 0) return x;
  const size = Math.abs(x);
  if (!(size <= 1)) return NaN;
  const root = Math.sqrt(1 - size * size);
  const y = size > 0.7 ? Math.PI / 2 - positiveAtan(root / size) : positiveAtan(size / root);
  return x < 0 ? -y : y;
}

export function goAcos(x: number): number {
  return Math.PI / 2 - goAsin(x);
}

export function goAtan2(y: number, x: number): number {
  if (x === 0 || y === 0 || !Number.isFinite(x) || !Number.isFinite(y)) return Math.atan2(y, x);
  const q = goAtan(y / x);
  if (x >= 0) return q;
  return q <= 0 ? q + Math.PI : q - Math.PI;
}

export function goSinh(x: number): number {
  const size = Math.abs(x);
  let y: number;
  if (size > 21) y = goExp(size) * 0.5;
  else if (size > 0.5) {
    const e = goExp(size);
    y = (e - 1 / e) * 0.5;
  } else {
    const sq = size * size;
    y =
      (((-26.30563213397497 * sq + -2894.211355989564) * sq + -89912.72022039509) * sq + -630767.3640497717) *
      size;
    y /= ((sq + -173.6789535582337) * sq + 15215.17378790019) * sq + -630767.3640497717;
  }
  return x < 0 || Object.is(x, -0) ? -y : y;
}

export function goCosh(x: number): number {
  const size = Math.abs(x);
  if (size > 21) return goExp(size) * 0.5;
  const e = goExp(size);
  return (e + 1 / e) * 0.5;
}

export function goTanh(x: number): number {
  const size = Math.abs(x);
  if (size > 44.014845965556525) return x < 0 ? -1 : 1;
  if (size >= 0.625) {
    const y = 1 - 2 / (goExp(2 * size) + 1);
    return x < 0 ? -y : y;
  }
  if (x === 0) return x;
  const s = x * x;
  return (
    x +
    (x * s * ((-0.9643991794250523 * s + -99.28772310019185) * s + -1614.6876844170845)) /
      (((s + 112.81167849163293) * s + 2235.4883906010045) * s + 4844.063053251255)
  );
}

const LARGE = 2 ** 28;

/** Above 2 by Go's logarithm, whose last bit differs from V8's. */
export function goAsinh(x: number): number {
  const a = Math.abs(x);
  if (!(a > 2) || a === Infinity) return Math.asinh(x);
  const y = a > LARGE ? goLog(a) + Math.LN2 : goLog(2 * a + 1 / (Math.sqrt(a * a + 1) + a));
  return x < 0 ? -y : y;
}

export function goAcosh(x: number): number {
  if (!(x > 2)) return Math.acosh(x);
  return x >= LARGE ? goLog(x) + Math.LN2 : goLog(2 * x - 1 / (x + Math.sqrt(x * x - 1)));
}
