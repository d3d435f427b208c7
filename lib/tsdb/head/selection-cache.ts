import { LRUCache } from 'lru-cache';
import type { Matcher } from '../../matcher/index.js';
import type { HeadMemory } from './head-memory.js';
import type { HeadPostings } from './head-postings.js';

/** Refs with the labels of each, as symbol ids: those of `refs[i]` at `labels[labelOffsets[i] .. labelOffsets[i + 1])`. */
export interface Selection {
  readonly refs: Uint32Array;
  readonly labelOffsets: Uint32Array;
  readonly labels: Uint32Array;
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
  return 256 + refs.byteLength + labelOffsets.byteLength + labels.byteLength;
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
  return { refs, labelOffsets, labels: labels.slice(0, end), seriesLimit };
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
  return { refs, labelOffsets, labels, seriesLimit };
}

function copied(array: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const copy = new Uint32Array(length);
  copy.set(array);
  return copy;
}
