import { HistogramLayout, NO_SPANS, type Spans } from '../histogram/index.js';

/** Layouts per generation, and the most numbers (spans and bounds) that they hold together. */
const LAYOUTS_MAX = 8192;
const WEIGHT_MAX = 1 << 19;

/** What a layout is made of as it is being read; arrays may be longer than what counts. */
export interface LayoutParts {
  schema: number;
  /** The zero threshold as its bits and as a number. */
  thresholdLow: number;
  thresholdHigh: number;
  zeroThreshold: number;
  readonly positive: SpanList;
  readonly negative: SpanList;
  bounds: Float64Array;
  boundCount: number;
}

/** Spans as pairs of offset and length. */
export interface SpanList {
  pairs: Int32Array;
  spanCount: number;
}

/**
 * Layouts that were seen lately, so that equal ones are one object: most histograms of a series have the spans of the
 * one before. Two generations bound the memory; a layout that is in use moves to the younger one. Hashes that meet
 * replace each other.
 */
export class LayoutCache {
  #young = new Map<number, HistogramLayout>();
  #old = new Map<number, HistogramLayout>();
  #weight = 0;

  /** The layout with these parts, or undefined when it is not known. */
  find(parts: LayoutParts): HistogramLayout | undefined {
    const hash = hashOf(parts);
    const known = this.#young.get(hash);
    if (known !== undefined && isMadeOf(known, parts)) return known;
    const older = this.#old.get(hash);
    if (older === undefined || !isMadeOf(older, parts)) return undefined;
    this.#keep(hash, older, parts);
    return older;
  }

  /** Makes and keeps the layout with these parts, which `find` did not know. */
  add(parts: LayoutParts): HistogramLayout {
    const layout = new HistogramLayout(
      parts.schema,
      parts.zeroThreshold,
      spansOfList(parts.positive),
      spansOfList(parts.negative),
      parts.boundCount === 0 ? undefined : parts.bounds.slice(0, parts.boundCount),
    );
    this.#keep(hashOf(parts), layout, parts);
    return layout;
  }

  #keep(hash: number, layout: HistogramLayout, parts: LayoutParts): void {
    // Who asks for the indexes of the buckets makes them part of the layout.
    const buckets = layout.positiveCount + layout.negativeCount;
    const weight = 2 * (parts.positive.spanCount + parts.negative.spanCount) + parts.boundCount + buckets;
    if (this.#young.size >= LAYOUTS_MAX || this.#weight + weight > WEIGHT_MAX) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#weight = 0;
    }
    this.#young.set(hash, layout);
    this.#weight += weight;
  }
}

/** Copies spans out of the list they were read into. */
export function spansOfList({ pairs, spanCount }: SpanList): Spans {
  if (spanCount === 0) return NO_SPANS;
  const offsets = new Int32Array(spanCount);
  const lengths = new Uint32Array(spanCount);
  for (let i = 0; i < spanCount; i++) {
    offsets[i] = pairs[2 * i]!;
    lengths[i] = pairs[2 * i + 1]!;
  }
  return { offsets, lengths };
}

function hashOf(parts: LayoutParts): number {
  let hash = mix(mix(parts.schema, parts.thresholdLow), parts.thresholdHigh);
  const { positive, negative, bounds, boundCount } = parts;
  hash = mix(hash, positive.spanCount);
  for (let i = 0; i < 2 * positive.spanCount; i++) hash = mix(hash, positive.pairs[i]!);
  for (let i = 0; i < 2 * negative.spanCount; i++) hash = mix(hash, negative.pairs[i]!);
  for (let i = 0; i < boundCount; i++) hash = mix(hash, (bounds[i]! * 1000) | 0);
  return hash;
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

const scratch = new Float64Array(1);
const scratchWords = new Int32Array(scratch.buffer);

function isMadeOf(layout: HistogramLayout, parts: LayoutParts): boolean {
  if (layout.schema !== parts.schema || layout.customBounds.length !== parts.boundCount) return false;
  scratch[0] = layout.zeroThreshold;
  if (scratchWords[0] !== parts.thresholdLow || scratchWords[1] !== parts.thresholdHigh) return false;
  if (!isSameSpans(layout.positiveSpans, parts.positive)) return false;
  if (!isSameSpans(layout.negativeSpans, parts.negative)) return false;
  for (let i = 0; i < parts.boundCount; i++) {
    if (!Object.is(layout.customBounds[i], parts.bounds[i])) return false;
  }
  return true;
}

function isSameSpans({ offsets, lengths }: Spans, { pairs, spanCount }: SpanList): boolean {
  if (offsets.length !== spanCount) return false;
  for (let i = 0; i < spanCount; i++) {
    if (offsets[i] !== pairs[2 * i] || lengths[i] !== pairs[2 * i + 1]! >>> 0) return false;
  }
  return true;
}
