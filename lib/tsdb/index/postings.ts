/**
 * Set operations on postings: strictly ascending series refs. Every function returns a fresh array or, where said,
 * one of its inputs; inputs are never changed.
 */

/** Above this ratio of lengths the longer list is searched instead of walked. */
const GALLOP_RATIO = 16;

/** Refs in both lists. */
export function intersectPostings(a: Uint32Array, b: Uint32Array): Uint32Array {
  if (a.length > b.length) return intersectPostings(b, a);
  const out = new Uint32Array(a.length);
  let count = 0;
  if (a.length * GALLOP_RATIO < b.length) {
    let at = 0;
    for (let i = 0; i < a.length; i++) {
      const ref = a[i]!;
      at = seek(b, at, ref);
      if (at === b.length) break;
      if (b[at] === ref) out[count++] = ref;
    }
  } else {
    let i = 0;
    let j = 0;
    while (i < a.length && j < b.length) {
      const x = a[i]!;
      const y = b[j]!;
      if (x === y) {
        out[count++] = x;
        i++;
        j++;
      } else if (x < y) i++;
      else j++;
    }
  }
  return count === out.length ? out : out.slice(0, count);
}

/** Refs of `a` that are not in `b`; `a` itself when `b` is empty. */
export function subtractPostings(a: Uint32Array, b: Uint32Array): Uint32Array {
  if (b.length === 0 || a.length === 0) return a;
  const out = new Uint32Array(a.length);
  let count = 0;
  let j = 0;
  const isSparse = a.length * GALLOP_RATIO < b.length;
  for (let i = 0; i < a.length; i++) {
    const ref = a[i]!;
    if (isSparse) j = seek(b, j, ref);
    else while (j < b.length && b[j]! < ref) j++;
    if (j === b.length || b[j] !== ref) out[count++] = ref;
  }
  return count === out.length ? out : out.slice(0, count);
}

/** Refs in any of the lists; the list itself when there is only one. */
export function unitePostings(lists: readonly Uint32Array[]): Uint32Array {
  if (lists.length === 0) return new Uint32Array(0);
  if (lists.length === 1) return lists[0]!;
  if (lists.length === 2) return uniteTwo(lists[0]!, lists[1]!);
  let total = 0;
  for (const list of lists) total += list.length;
  const all = new Uint32Array(total);
  let at = 0;
  for (const list of lists) {
    all.set(list, at);
    at += list.length;
  }
  all.sort();
  let count = 0;
  for (let i = 0; i < total; i++) if (i === 0 || all[i] !== all[i - 1]) all[count++] = all[i]!;
  return count === total ? all : all.slice(0, count);
}

function uniteTwo(a: Uint32Array, b: Uint32Array): Uint32Array {
  const out = new Uint32Array(a.length + b.length);
  let count = 0;
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const x = a[i]!;
    const y = b[j]!;
    if (x <= y) i++;
    if (y <= x) j++;
    out[count++] = Math.min(x, y);
  }
  while (i < a.length) out[count++] = a[i++]!;
  while (j < b.length) out[count++] = b[j++]!;
  return count === out.length ? out : out.slice(0, count);
}

/** First place at or after `from` whose ref is at least `ref`: doubling steps, then a binary search. */
function seek(list: Uint32Array, from: number, ref: number): number {
  let step = 1;
  let low = from;
  while (low + step < list.length && list[low + step]! < ref) {
    low += step;
    step *= 2;
  }
  let high = Math.min(list.length, low + step + 1);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle]! < ref) low = middle + 1;
    else high = middle;
  }
  return low;
}
