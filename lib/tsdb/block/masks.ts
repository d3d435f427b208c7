import type { Matcher } from '../../matcher/index.js';
import { type MatcherText, matcherOfText } from '../../matcher/index.js';
import { type IndexReader, SeriesEntry } from '../index/index.js';
import { matchPostings } from './match.js';
import type { BlockMeta } from './meta.js';
import { addInterval, type Interval, type Tombstones } from './tombstones.js';

/**
 * The field of `thanos.extensions` in meta.json that names, by their keys, the masks that a block was written without the
 * samples of.
 */
export const APPLIED_FIELD = 'varve_deletions';

/** A span that is not shown of all series that the matchers select, ends inclusive, ms. */
export interface DeletionMask extends Interval {
  /** Blocks that name it are shown as they are; absent or '' for a mask that no block can name. */
  readonly key?: string;
  readonly matchers: readonly Matcher[];
}

/** A deletion mask as plain data, which can be sent to another thread. Ends inclusive, ms. */
export interface MaskText {
  /** By which blocks name the masks that were applied to them. */
  readonly key: string;
  readonly matchers: readonly MatcherText[];
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
}

/** Masks of plain data. @throws VarveError client `matcher-regex` */
export function toDeletionMasks(texts: readonly MaskText[]): DeletionMask[] {
  return texts.map(({ key, matchers, minTimeMs, maxTimeMs }) => ({
    key,
    matchers: matchers.map(matcherOfText),
    minTime: minTimeMs,
    maxTime: maxTimeMs,
  }));
}

/**
 * The masks that touch a block and were not applied to it, with spans as they hold for its samples. A sample of a downsampled block stands for the
 * window that ends with it, so a span hides every window it touches.
 */
export function masksOfBlock(
  masks: readonly DeletionMask[],
  { minTime, maxTime, thanos }: Pick<BlockMeta, 'minTime' | 'maxTime' | 'thanos'>,
): readonly DeletionMask[] {
  if (masks.length === 0) return masks;
  const resolution = thanos?.downsample.resolution ?? 0;
  const applied = appliedMasks(thanos);
  const touching = masks.filter(
    (mask) => mask.minTime < maxTime && mask.maxTime >= minTime && !applied.includes(mask.key ?? ''),
  );
  if (resolution === 0) return touching;
  return touching.map((mask) => ({ ...mask, maxTime: windowEnd(mask.maxTime, resolution) }));
}

/** Keys of the masks that were applied to a block. */
export function appliedMasks(thanos: BlockMeta['thanos']): readonly string[] {
  const extensions = thanos?.['extensions'];
  if (typeof extensions !== 'object' || extensions === null) return [];
  const keys: unknown = (extensions as Readonly<Record<string, unknown>>)[APPLIED_FIELD];
  return Array.isArray(keys) ? keys.filter((key) => typeof key === 'string' && key !== '') : [];
}

/** End of the window of a downsampled block that a time lies in. */
function windowEnd(timeMs: number, resolution: number): number {
  return timeMs - (timeMs % resolution) + resolution - 1;
}

/** What is deleted of the series of a local block: by its tombstones, and by masks. 4 bytes per series of each mask. */
export class DeletedSpans {
  readonly #stones: Tombstones;
  readonly #masked: readonly { readonly refs: Uint32Array; readonly span: Interval }[];

  /** @param masks as `masksOfBlock` gives them */
  constructor(index: IndexReader, stones: Tombstones, masks: readonly DeletionMask[]) {
    this.#stones = stones;
    this.#masked = masks
      .map(({ matchers, minTime, maxTime }) => ({
        refs: refsOf(index, matchers),
        span: { minTime, maxTime },
      }))
      .filter(({ refs }) => refs.length > 0);
  }

  get isEmpty(): boolean {
    return this.#stones.size === 0 && this.#masked.length === 0;
  }

  /** Deleted spans of a series, sorted and apart; undefined when there are none. */
  of(ref: number): readonly Interval[] | undefined {
    let spans: readonly Interval[] | undefined = this.#stones.get(ref);
    for (const { refs, span } of this.#masked) {
      if (has(refs, ref)) spans = addInterval(spans ?? [], span);
    }
    return spans;
  }
}

/** Series that matchers select, ascending. */
function refsOf(index: IndexReader, matchers: readonly Matcher[]): Uint32Array {
  const { refs, remaining } = matchPostings(index, matchers);
  if (remaining.length === 0) return refs;
  const entry = new SeriesEntry();
  return refs.filter((ref) => {
    index.series(ref, entry);
    return remaining.every((test) => test.accepts(entry));
  });
}

function has(sorted: Uint32Array, wanted: number): boolean {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === wanted;
}
