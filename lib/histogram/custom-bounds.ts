import { equalBounds, type HistogramLayout } from './layout.js';

/** The bounds that both lists have, exactly. */
export function commonBounds(a: Float64Array, b: Float64Array): Float64Array {
  if (equalBounds(a, b)) return a;
  const common: number[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const left = a[i]!;
    const right = b[j]!;
    if (left === right) common.push(left);
    if (left <= right) i++;
    if (right <= left) j++;
  }
  return Float64Array.from(common);
}

/**
 * For each bucket of a layout with custom bounds, its place among fewer bounds: the first of them that is no lower than
 * its own upper bound, or the +Inf bucket.
 * @param common some of the bounds of the layout
 */
export function placesAmong(layout: HistogramLayout, common: Float64Array): Int32Array {
  const { customBounds, positiveIndexes } = layout;
  const places = new Int32Array(positiveIndexes.length);
  let place = 0;
  for (let i = 0; i < places.length; i++) {
    const index = positiveIndexes[i]!;
    const upper = index < customBounds.length ? customBounds[index]! : Number.POSITIVE_INFINITY;
    while (place < common.length && common[place]! < upper) place++;
    places[i] = place;
  }
  return places;
}
