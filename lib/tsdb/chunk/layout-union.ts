import { HistogramLayout, type Spans } from '../../histogram/index.js';

/** What a sample's buckets are to those of the chunk it is to join, on one side of zero. */
export interface SideDifference {
  /** Buckets of the sample that the chunk has not. */
  readonly isChunkShort: boolean;
  /** Buckets of the chunk that the sample has not. */
  readonly isSampleShort: boolean;
}

/** Compares ascending bucket indexes. */
export function compareSides(chunk: Int32Array, sample: Int32Array): SideDifference {
  if (chunk === sample) return { isChunkShort: false, isSampleShort: false };
  const common = countCommon(chunk, sample);
  return { isChunkShort: common < sample.length, isSampleShort: common < chunk.length };
}

/**
 * The layout that a chunk and a sample of a counter share when the sample joins (spec: chunks.md §6.4): spans are kept
 * verbatim where one of the two has all buckets, since the bytes of the chunk depend on it.
 */
export function unionOfCounters(chunk: HistogramLayout, sample: HistogramLayout): HistogramLayout {
  const positive = compareSides(chunk.positiveIndexes, sample.positiveIndexes);
  const negative = compareSides(chunk.negativeIndexes, sample.negativeIndexes);
  if (!positive.isChunkShort && !negative.isChunkShort) return chunk;
  if (!positive.isSampleShort && !negative.isSampleShort)
    return withSpans(chunk, sample.positiveSpans, sample.negativeSpans);
  const union = unionOfGauges(chunk, sample);
  return withSpans(
    chunk,
    positive.isSampleShort ? union.positiveSpans : sample.positiveSpans,
    negative.isSampleShort ? union.negativeSpans : sample.negativeSpans,
  );
}

/** The layout with the buckets of both, spans normalised; the chunk's own when it has them all. */
export function unionOfGauges(chunk: HistogramLayout, sample: HistogramLayout): HistogramLayout {
  const positive = compareSides(chunk.positiveIndexes, sample.positiveIndexes);
  const negative = compareSides(chunk.negativeIndexes, sample.negativeIndexes);
  const isSame = [positive, negative].every((side) => !side.isChunkShort && !side.isSampleShort);
  if (isSame) return chunk;
  return HistogramLayout.ofIndexes(
    chunk.schema,
    chunk.zeroThreshold,
    unite(chunk.positiveIndexes, sample.positiveIndexes),
    unite(chunk.negativeIndexes, sample.negativeIndexes),
    chunk.customBounds,
  );
}

function withSpans(layout: HistogramLayout, positive: Spans, negative: Spans): HistogramLayout {
  return new HistogramLayout(layout.schema, layout.zeroThreshold, positive, negative, layout.customBounds);
}

function countCommon(a: Int32Array, b: Int32Array): number {
  let common = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const difference = a[i]! - b[j]!;
    if (difference === 0) common++;
    if (difference <= 0) i++;
    if (difference >= 0) j++;
  }
  return common;
}

function unite(a: Int32Array, b: Int32Array): Int32Array {
  const out = new Int32Array(a.length + b.length);
  let n = 0;
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    const left = i < a.length ? a[i]! : Number.POSITIVE_INFINITY;
    const right = j < b.length ? b[j]! : Number.POSITIVE_INFINITY;
    out[n++] = Math.min(left, right);
    if (left <= right) i++;
    if (right <= left) j++;
  }
  return out.slice(0, n);
}
