/**
 * Logarithms and base-2 exponential with the last bit of Go's math package (spec: promql.md §12), which interpolation
 * inside exponential buckets needs; V8's differ. Algorithms are FreeBSD's (e_log.c, e_exp.c).
 */

const LN2_HI = 6.9314718036912381649e-1;
const LN2_LO = 1.90821492927058770002e-10;
const TINY = 2.2250738585072014e-308;

const words = new DataView(new ArrayBuffer(8));
let exponent = 0;

/** The fraction of a positive finite number in [0.5, 1), its power of two in `exponent`. */
function split(x: number): number {
  let shift = 0;
  let value = x;
  if (value < TINY) {
    value *= 2 ** 52;
    shift = -52;
  }
  words.setFloat64(0, value);
  const high = words.getUint32(0);
  exponent = (high >>> 20) - 1022 + shift;
  words.setUint32(0, (high & 0xf_ffff) | (1022 << 20));
  return words.getFloat64(0);
}

/** Natural logarithm of a fraction in [0.5, 1) times a power of two. */
function logOfParts(fraction: number, power: number): number {
  let f1 = fraction;
  let k = power;
  if (f1 < Math.SQRT1_2) {
    f1 *= 2;
    k--;
  }
  const f = f1 - 1;
  const s = f / (2 + f);
  const s2 = s * s;
  const s4 = s2 * s2;
  const t1 =
    s2 *
    (6.66666666666673513e-1 +
      s4 * (2.857142874366239149e-1 + s4 * (1.818357216161805012e-1 + s4 * 1.479819860511658591e-1)));
  const t2 = s4 * (3.999999999940941908e-1 + s4 * (2.222219843214978396e-1 + s4 * 1.531383769920937332e-1));
  const halfSquare = 0.5 * f * f;
  return k * LN2_HI - (halfSquare - (s * (halfSquare + t1 + t2) + k * LN2_LO) - f);
}

/** Logarithm of a number that has none in the reals, or no finite one. */
function logOfSpecial(x: number): number {
  if (x === 0) return Number.NEGATIVE_INFINITY;
  return x > 0 ? x : Number.NaN;
}

/** Natural logarithm. */
export function log(x: number): number {
  if (!(x > 0) || x === Number.POSITIVE_INFINITY) return logOfSpecial(x);
  const fraction = split(x);
  return logOfParts(fraction, exponent);
}

/** Logarithm to base 2. */
export function log2(x: number): number {
  if (!(x > 0) || x === Number.POSITIVE_INFINITY) return logOfSpecial(x);
  const fraction = split(x);
  const power = exponent;
  return fraction === 0.5 ? power - 1 : logOfParts(fraction, 0) * Math.LOG2E + power;
}

/** 2^x. */
export function exp2(x: number): number {
  if (Number.isNaN(x) || x === Number.POSITIVE_INFINITY) return x;
  if (x > 1023.9999999999999) return Number.POSITIVE_INFINITY;
  if (x < -1074) return 0;
  const k = Math.trunc(x > 0 ? x + 0.5 : x - 0.5);
  const t = x - k;
  const hi = t * LN2_HI;
  const lo = -t * LN2_LO;
  const r = hi - lo;
  const square = r * r;
  const c =
    r -
    square *
      (1.66666666666666657415e-1 +
        square *
          (-2.77777777770155933842e-3 +
            square *
              (6.61375632143793436117e-5 +
                square * (-1.6533902205465251539e-6 + square * 4.13813679705723846039e-8))));
  const y = 1 - (lo - (r * c) / (2 - c) - hi);
  // Two factors keep each power of two in range; only the second product can round.
  return k < -1020 ? y * 2 ** -1020 * 2 ** (k + 1020) : k > 1023 ? y * 2 * 2 ** (k - 1) : y * 2 ** k;
}
