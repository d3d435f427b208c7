/**
 * Runs of neighbouring buckets of one side. The first offset is the index of the first bucket, each later one the
 * number of absent buckets since the run before. Empty runs are legal.
 */
export interface Spans {
  readonly offsets: Int32Array;
  readonly lengths: Uint32Array;
}

export const NO_SPANS: Spans = { offsets: new Int32Array(0), lengths: new Uint32Array(0) };

/** Spans of (offset, length) pairs. */
export function spansOf(...pairs: readonly (readonly [offset: number, length: number])[]): Spans {
  return {
    offsets: Int32Array.from(pairs, ([offset]) => offset),
    lengths: Uint32Array.from(pairs, ([, length]) => length),
  };
}

/** How many buckets the spans hold. */
export function bucketCountOf(spans: Spans): number {
  let count = 0;
  for (let i = 0; i < spans.lengths.length; i++) count += spans.lengths[i]!;
  return count;
}

/** The index of every bucket. */
export function indexesOfSpans(spans: Spans): Int32Array {
  const indexes = new Int32Array(bucketCountOf(spans));
  let n = 0;
  let index = 0;
  for (let i = 0; i < spans.offsets.length; i++) {
    index += spans.offsets[i]!;
    for (let left = spans.lengths[i]!; left > 0; left--) indexes[n++] = index++;
  }
  return indexes;
}

/** The fewest spans for strictly ascending bucket indexes. */
export function spansOfIndexes(indexes: Int32Array): Spans {
  const n = indexes.length;
  if (n === 0) return NO_SPANS;
  let runs = 1;
  for (let i = 1; i < n; i++) if (indexes[i] !== indexes[i - 1]! + 1) runs++;
  const offsets = new Int32Array(runs);
  const lengths = new Uint32Array(runs);
  let run = -1;
  let next = 0;
  for (let i = 0; i < n; i++) {
    const index = indexes[i]!;
    if (i === 0 || index !== next) offsets[++run] = index - next;
    lengths[run]!++;
    next = index + 1;
  }
  return { offsets, lengths };
}

/** Whether spans are the same apart from empty ones. */
export function equalSpans(a: Spans, b: Spans): boolean {
  if (a === b) return true;
  let i = 0;
  let j = 0;
  for (;;) {
    let offsetA = 0;
    let offsetB = 0;
    while (i < a.lengths.length && a.lengths[i] === 0) offsetA += a.offsets[i++]!;
    while (j < b.lengths.length && b.lengths[j] === 0) offsetB += b.offsets[j++]!;
    const isEndA = i === a.lengths.length;
    if (isEndA || j === b.lengths.length) return isEndA && j === b.lengths.length;
    if (offsetA + a.offsets[i]! !== offsetB + b.offsets[j]! || a.lengths[i] !== b.lengths[j]) return false;
    i++;
    j++;
  }
}
