import { LRUCache } from 'lru-cache';
import type { Matcher } from '../../matcher/index.js';
import type { HeadMemory } from './head-memory.js';
import type { HeadPostings } from './head-postings.js';

/** Label sets as symbol ids: those of i at `labels[labelOffsets[i] .. labelOffsets[i + 1])`. */
export interface SelectedLabels {
  readonly labelOffsets: Uint32Array;
  readonly labels: Uint32Array;
  /** See `SeriesSet.labelMemo`. */
  readonly labelMemo: Map<string, unknown>;
}

/** Refs with the labels of each. */
export interface Selection extends SelectedLabels {
  readonly refs: Uint32Array;
  /** The labels of the last answer that left out some of the series, and which it had. */
  partial: (SelectedLabels & { readonly picks: Uint32Array }) | null;
  /** Series from this ref on have not been looked at. */
  readonly seriesLimit: number;
}

/** So many new series are tested one by one, however few the selection has. */
const NEW_SERIES_FEW = 1000;
const DEFAULT_BYTES_MAX = 64 * 1024 * 1024;

/**
 * What selectors found, kept between queries: dashboards and rules ask the same again and again, and finding the series
 * and their labels is a good part of the work. A series never changes its labels, so only new series have to be tested;
 * those that died meanwhile stay in a selection and are left out when it is read. One cache serves all heads of a thread.
 */
export class SelectionCache {
  readonly #kept: LRUCache<string, Selection>;
  #readerCount = 0;

  constructor(bytesMax = DEFAULT_BYTES_MAX) {
    this.#kept = new LRUCache({ maxSize: bytesMax, sizeCalculation: byteLength });
  }

  /** A number for a new reader, to be part of its keys. */
  nextReader(): number {
    return ++this.#readerCount;
  }

  /**
   * The series of a head that the matchers accept, ascending; the arrays are shared and must not be changed.
   * @param scope distinguishes heads and generations of ids
   */
  select(scope: string, matchers: readonly Matcher[], memory: HeadMemory, postings: HeadPostings): Selection {
    const key = scope + matchers.map(({ type, name, value }) => JSON.stringify([type, name, value])).join('');
    const known = this.#kept.get(key);
    // Before anything is looked up: what comes into being meanwhile is new the next time.
    const { seriesLimit } = memory;
    if (known?.seriesLimit === seriesLimit) return known;
    let selection: Selection;
    if (
      known !== undefined &&
      seriesLimit - known.seriesLimit <= Math.max(NEW_SERIES_FEW, known.refs.length)
    ) {
      const fresh = Uint32Array.from(
        { length: seriesLimit - known.seriesLimit },
        (_, i) => known.seriesLimit + i,
      );
      selection = joined(known, withLabels(memory, postings.filter(fresh, matchers), seriesLimit));
    } else {
      const refs = postings.select(matchers);
      let end = refs.length;
      while (end > 0 && refs[end - 1]! >= seriesLimit) end--;
      selection = withLabels(memory, refs.slice(0, end), seriesLimit);
    }
    this.#kept.set(key, selection);
    return selection;
  }
}

function byteLength({ refs, labelOffsets, labels }: Selection): number {
  // Twice: for what readers keep with the labels.
  return 256 + 2 * (refs.byteLength + labelOffsets.byteLength + labels.byteLength);
}

/** The labels of the series at `picks` (ascending), the same arrays as long as the picks stay the same. */
export function pickLabels(selection: Selection, picks: Uint32Array): SelectedLabels {
  const { refs, labels, labelOffsets, partial } = selection;
  const count = picks.length;
  if (count === refs.length) return selection;
  if (partial !== null && isEqual(partial.picks, picks)) return partial;
  const offsets = new Uint32Array(count + 1);
  const kept = new Uint32Array(labels.length);
  let end = 0;
  for (let i = 0; i < count; i++) {
    const pick = picks[i]!;
    for (let p = labelOffsets[pick]!; p < labelOffsets[pick + 1]!; p++) kept[end++] = labels[p]!;
    offsets[i + 1] = end;
  }
  selection.partial = {
    picks: picks.slice(),
    labelOffsets: offsets,
    labels: kept.slice(0, end),
    labelMemo: new Map(),
  };
  return selection.partial;
}

function isEqual(a: Uint32Array, b: Uint32Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function withLabels(memory: HeadMemory, refs: Uint32Array, seriesLimit: number): Selection {
  const labelOffsets = new Uint32Array(refs.length + 1);
  let labels = new Uint32Array(refs.length * 16);
  let end = 0;
  for (let i = 0; i < refs.length; i++) {
    const series = memory.seriesAddress(refs[i]!);
    const list = series === 0 ? 0 : memory.seriesLabels(series);
    if (list !== 0) {
      const room = end + memory.labelCount(list) * 2;
      if (room > labels.length) labels = copied(labels, Math.max(room, labels.length * 2));
      end = memory.labelSymbolsInto(list, labels, end);
    }
    labelOffsets[i + 1] = end;
  }
  const kept = { labelOffsets, labels: labels.slice(0, end), labelMemo: new Map() };
  return { refs, ...kept, partial: null, seriesLimit };
}

function joined(first: Selection, second: Selection): Selection {
  const { seriesLimit } = second;
  if (second.refs.length === 0) return { ...first, seriesLimit };
  const refs = copied(first.refs, first.refs.length + second.refs.length);
  refs.set(second.refs, first.refs.length);
  const labels = copied(first.labels, first.labels.length + second.labels.length);
  labels.set(second.labels, first.labels.length);
  const labelOffsets = copied(first.labelOffsets, refs.length + 1);
  for (let i = 0; i < second.refs.length; i++) {
    labelOffsets[first.refs.length + 1 + i] = first.labels.length + second.labelOffsets[i + 1]!;
  }
  return { refs, labelOffsets, labels, labelMemo: new Map(), partial: null, seriesLimit };
}

function copied(array: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const copy = new Uint32Array(length);
  copy.set(array);
  return copy;
}
