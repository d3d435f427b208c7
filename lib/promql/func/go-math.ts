/**
 * Elementary functions with the last bit of Go's math package, where V8's differ (spec: promql.md §12). The algorithms
 * are the FreeBSD ones that both documentations name; constants are theirs.
 */

import { log } from '../../histogram/index.js';

const words = new DataView(new ArrayBuffer(8));

/** Mantissa of the last `frexp`, in [0.5, 1). */
let fraction = 0;
/** Exponent of the last `frexp`. */
let exponent = 0;

/** Splits a finite non-zero number into `fraction * 2 ** exponent`. */
function frexp(x: number): void {
  let value = x;
  let shift = 0;
  if (Math.abs(value) < 2.2250738585072014e-308) {
    value *= 4503599627370496;
    shift = -52;
  }
  words.setFloat64(0, value);
  const high = words.getUint32(0);
  exponent = ((high >>> 20) & 0x7ff) - 1022 + shift;
  words.setUint32(0, (high & 0x800fffff) | (1022 << 20));
  fraction = words.getFloat64(0);
}

/** `x * 2 ** k`, rounded once. */
function ldexp(x: number, k: number): number {
  if (x === 0 || !Number.isFinite(x)) return x;
  frexp(x);
  const f = fraction;
  const e = exponent + k;
  if (e > 1024) return x < 0 ? -Infinity : Infinity;
  if (e < -1075) return x < 0 ? -0 : 0;
  // Two factors keep each power of two in range; only the second product can round.
  if (e < -1021) return f * 2 ** -1021 * 2 ** (e + 1021);
  return e > 1023 ? f * 2 * 2 ** (e - 1) : f * 2 ** e;
}

export function goLog10(x: number): number {
  return log(x) * Math.LOG10E;
}

/** `x * y + z` rounded once (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008). */
function fma(x: number, y: number, z: number): number {
  const high = x * y;
  const xs = x * SPLITTER;
  const x1 = xs - (xs - x);
  const x2 = x - x1;
  const ys = y * SPLITTER;
  const y1 = ys - (ys - y);
  const y2 = y - y1;
  const low = x2 * y2 - (high - x1 * y1 - x2 * y1 - x1 * y2);
  const th = z + low;
  const tv = th - z;
  const tl = z - (th - tv) + (low - tv);
  const vh = high + th;
  const vv = vh - high;
  const vl = high - (vh - vv) + (th - vv);
  // The two rests are added with rounding to odd, so that the last addition rounds as if it saw all bits.
  let rest = tl + vl;
  const rv = rest - tl;
  const lost = tl - (rest - rv) + (vl - rv);
  if (lost !== 0) {
    words.setFloat64(0, rest);
    if ((words.getUint32(4) & 1) === 0) {
      const bits = words.getBigUint64(0);
      words.setBigUint64(0, lost > 0 === rest > 0 ? bits + 1n : bits - 1n);
      rest = words.getFloat64(0);
    }
  }
  return vh + rest;
}

const SPLITTER = 134217729;

/** exp as the amd64 assembly of Go computes it on processors with fused multiply-add. */
export function goExp(x: number): number {
  if (Number.isNaN(x) || x === Infinity) return x;
  if (x === -Infinity) return 0;
  if (x > 709.782712893384) return Infinity;
  if (x < -745.1332191019411) return 0;
  const n = roundEven(x * Math.LOG2E);
  let r = fma(-n, 0.693147180559663, x);
  r = fma(-n, 2.8235290563031577e-13, r);
  r *= 0.0625;
  let p = 2.48015873015873e-5;
  p = fma(p, r, 0.0001984126984126984);
  p = fma(p, r, 0.001388888888888889);
  p = fma(p, r, 0.008333333333333333);
  p = fma(p, r, 0.041666666666666664);
  p = fma(p, r, 0.16666666666666666);
  p = fma(p, r, 0.5);
  p = fma(p, r, 1);
  let y = r * p;
  y *= y + 2;
  y *= y + 2;
  y *= y + 2;
  y = fma(y, y + 2, 1);
  return ldexp(y, n);
}

function roundEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

function isOddInteger(x: number): boolean {
  // Beyond 2^53 every number is even.
  return Math.abs(x) < 9007199254740992 && x % 2 !== 0 && x === Math.trunc(x);
}

/** Go's Pow: C99 special cases, then exp(log) for the fraction of y and repeated squaring for the integer part. */
export function goPow(x: number, y: number): number {
  if (y === 0 || x === 1) return 1;
  if (y === 1) return x;
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  if (x === 0) {
    if (y < 0) {
      if (Object.is(x, -0) && isOddInteger(y)) return -Infinity;
      return Infinity;
    }
    return Object.is(x, -0) && isOddInteger(y) ? x : 0;
  }
  if (y === Infinity || y === -Infinity) {
    if (x === -1) return 1;
    return Math.abs(x) < 1 === y > 0 ? 0 : Infinity;
  }
  if (x === Infinity || x === -Infinity) {
    if (x === -Infinity) {
      if (y < 0) return isOddInteger(y) ? -0 : 0;
      return isOddInteger(y) ? -Infinity : Infinity;
    }
    return y < 0 ? 0 : Infinity;
  }
  if (y === 0.5) return Math.sqrt(x);
  if (y === -0.5) return 1 / Math.sqrt(x);
  return finitePow(x, y);
}

function finitePow(x: number, y: number): number {
  const size = Math.abs(y);
  let yi = Math.trunc(size);
  let yf = size - yi;
  if (yf !== 0 && x < 0) return NaN;
  if (yi >= 2 ** 63) {
    if (x === -1) return 1;
    return Math.abs(x) < 1 === y > 0 ? 0 : Infinity;
  }
  let a1 = 1;
  let ae = 0;
  if (yf !== 0) {
    if (yf > 0.5) {
      yf--;
      yi++;
    }
    a1 = goExp(yf * log(x));
  }
  frexp(x);
  let x1 = fraction;
  let xe = exponent;
  // yi can exceed 32 bits: halve it as a float.
  for (let i = yi; i !== 0; i = Math.floor(i / 2)) {
    if (xe < -4096 || xe > 4096) {
      // The result overflows or vanishes: no need to go on.
      ae += xe;
      break;
    }
    if (i % 2 === 1) {
      a1 *= x1;
      ae += xe;
    }
    x1 *= x1;
    xe *= 2;
    if (x1 < 0.5) {
      x1 += x1;
      xe--;
    }
  }
  if (y < 0) {
    a1 = 1 / a1;
    ae = -ae;
  }
  return ldexp(a1, ae);
}

/** Go's Max: +Inf beats NaN, +0 beats -0. */
export function goMax(x: number, y: number): number {
  if (x === Infinity || y === Infinity) return Infinity;
  return Math.max(x, y);
}

/** Go's Min: -Inf beats NaN, -0 beats +0. */
export function goMin(x: number, y: number): number {
  if (x === -Infinity || y === -Infinity) return -Infinity;
  return Math.min(x, y);
}
