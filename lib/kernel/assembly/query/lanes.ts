// Float arithmetic in two lanes.

/**
 * The rounding error s + x - t of the sum t = s + x. It is a float itself, so it does not matter how it is found: here
 * without comparing (Knuth), which is quicker in lanes than taking the larger operand first. Meaningless when s, x or t is
 * not finite, or within a factor of two of overflow.
 */
@inline
export function errorOf(s: v128, x: v128, t: v128): v128 {
  const added = f64x2.sub(t, s);
  return f64x2.add(f64x2.sub(s, f64x2.sub(t, added)), f64x2.sub(x, added));
}
