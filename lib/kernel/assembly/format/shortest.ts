// The shortest decimal that reads back as a given double, and the closest one of that length.
//
// After Raffaello Giulietti, "The Schubfach way to render doubles" (2020). The idea: a double v = c * 2^q stands for all
// reals nearer to it than to its neighbours. Let 10^k be the largest power of ten not above the width of that interval.
// Then the interval holds a multiple of 10^k and at most one of 10^(k+1), which is shorter and so wins; otherwise the
// answer is one of the two multiples of 10^k around v. To compare without big numbers, v and both ends of the interval
// are scaled by 4 * 10^-k and rounded to odd: the last bit tells "a little more than", which is all comparisons need.
//
// The powers of ten come from a table of the host: for every exponent e in -292..324 the 128 bits
// floor(10^e / 2^(floor(log2 10^e) - 127)) + 1, low half first.

const EXPONENT_MIN: i32 = -292;

let powers: usize = 0;

// The result: (high * 10^8 + low) * 10^exponent, low < 10^8, with zeros at the end perhaps.
export let high: u32 = 0;
export let low: u32 = 0;
export let exponent: i32 = 0;

export function shortestTable(address: usize): void {
  powers = address;
}

/** High half of a 128-bit product. */
// @ts-ignore: decorator
@inline
function mulHigh(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const t = aHigh * bLow + ((aLow * bLow) >> 32);
  return aHigh * bHigh + (t >> 32) + (((t & 0xffffffff) + aLow * bHigh) >> 32);
}

/** Floor of s / 10^8 for s below 2^57. */
// @ts-ignore: decorator
@inline
export function quotientE8(s: u64): u32 {
  // 10^8 = 2^8 * 390625. The multiplication errs by less than 2^-21 and the exact value, half a unit in, is at least
  // 2^-20 away from the next whole number on either side: a float multiplication does for a 128-bit one.
  return <u32>(<i32>((<f64>(<i64>(s >> 8)) + 0.5) * (1.0 / 390625.0)));
}

/** Leaves the decimal of a finite double above zero in `high`, `low` and `exponent`. */
export function shortest(bits: u64): void {
  const fraction = bits & 0xfffffffffffff;
  const biased = <i32>(bits >> 52) & 0x7ff;
  const c = biased != 0 ? fraction | 0x10000000000000 : fraction;
  const q = (biased != 0 ? biased : 1) - 1075;
  // At a power of two the lower neighbour is only half as far away.
  const isNearBelow = fraction == 0 && biased > 1;
  // floor(log10(2^q)), of three quarters of it at a power of two; then 10^-k * 2^h is what scales.
  const k = (q * 1262611 - (isNearBelow ? 524031 : 0)) >> 22;
  const h = q + ((-k * 1741647) >> 19) + 1;

  const slot = powers + ((<usize>(-k - EXPONENT_MIN)) << 4);
  const g0 = load<u64>(slot);
  const g1 = load<u64>(slot, 8);

  // The middle, exact in 192 bits, and the distances to the ends, which are shifted powers: products are the costly part.
  const scaled = (c << 2) << h;
  const p0 = g0 * scaled;
  const low1 = mulHigh(g0, scaled);
  const p1 = g1 * scaled + low1;
  const p2 = mulHigh(g1, scaled) + u64(p1 < low1);

  const up = h + 1;
  const u0 = g0 << up;
  const u1 = (g1 << up) | (g0 >> (64 - up));
  const u2 = g1 >> (64 - up);
  const down = isNearBelow ? h : up;
  const d0 = g0 << down;
  const d1 = (g1 << down) | (g0 >> (64 - down));
  const d2 = g1 >> (64 - down);

  const upCarry = u64(p0 + u0 < p0);
  const upSum = p1 + u1;
  const a1 = upSum + upCarry;
  const a2 = p2 + u2 + (u64(upSum < p1) | u64(a1 < upSum));

  const downBorrow = u64(p0 < d0);
  const downRest = p1 - d1;
  const b1 = downRest - downBorrow;
  const b2 = p2 - d2 - (u64(p1 < d1) | u64(downRest < downBorrow));

  // Powers are up to one unit too large, so a middle word of 1 is still exactly nothing. The ends themselves belong to
  // the interval when c is even.
  const isOdd = c & 1;
  const v = p2 | u64(p1 > 1);
  const upper = (a2 | u64(a1 > 1)) - isOdd;
  const lower = (b2 | u64(b1 > 1)) + isOdd;

  const s = v >> 2;
  let hi = quotientE8(s);
  let lo = <u32>(s - <u64>hi * 100000000);
  exponent = k;

  const digit = lo % 10;
  const tens = (s - digit) << 2;
  const isTenBelow = lower <= tens;
  const isTenAbove = tens + 40 <= upper;
  if (s >= 10 && isTenBelow != isTenAbove) {
    lo = lo - digit + (isTenAbove ? 10 : 0);
  } else {
    const below = s << 2;
    const isBelow = lower <= below;
    const isAbove = below + 4 <= upper;
    const middle = below + 2;
    const isUp = isBelow != isAbove ? isAbove : v > middle || (v == middle && (s & 1) != 0);
    lo += u32(isUp);
  }
  if (lo >= 100000000) {
    lo -= 100000000;
    hi++;
  }
  high = hi;
  low = lo;
}
