import { compareLabelSets, compareUtf8, type LabelSet } from '../labels/index.js';
import type { Matcher } from '../matcher/index.js';
import { mergeSeriesSets } from './merge-series.js';
import type { ChunkArena, LabelQuery, Queryable, SelectHints, SeriesSet } from './queryable.js';

/**
 * Joins several sources (heads, blocks, peers) into one. Series come sorted by label set, those with equal labels as
 * one series with the chunks of all sources; label names and values are sorted and distinct. Sources are asked at the
 * same time; the first failure is the answer's.
 */
export function mergeQueryables(sources: readonly Queryable[]): Queryable {
  return sources.length === 1 ? sources[0]! : new MergedQueryable(sources);
}

class MergedQueryable implements Queryable {
  readonly #sources: readonly Queryable[];

  constructor(sources: readonly Queryable[]) {
    this.#sources = sources;
  }

  async select(matchers: readonly Matcher[], hints: SelectHints, arena: ChunkArena): Promise<SeriesSet> {
    const sets = await Promise.all(this.#sources.map((source) => source.select(matchers, hints, arena)));
    return mergeSeriesSets(sets, arena, hints.limit);
  }

  async labelNames(query: LabelQuery): Promise<string[]> {
    return unite(await Promise.all(this.#sources.map((source) => source.labelNames(query))), query.limit);
  }

  async labelValues(name: string, query: LabelQuery): Promise<string[]> {
    return unite(
      await Promise.all(this.#sources.map((source) => source.labelValues(name, query))),
      query.limit,
    );
  }

  async series(query: LabelQuery): Promise<LabelSet[]> {
    const lists = await Promise.all(this.#sources.map((source) => source.series(query)));
    const merged: LabelSet[] = [];
    const compare = polled(compareLabelSets, query.poll);
    for (const labels of lists.flat().sort(compare)) {
      const last = merged.at(-1);
      if (last !== undefined && compareLabelSets(last, labels) === 0) continue;
      if (query.limit > 0 && merged.length === query.limit) break;
      merged.push(labels);
    }
    return merged;
  }
}

const POLL_COMPARISONS = 8192;

/** A comparison for long sorts that calls `poll` now and then. */
export function polled<Item>(
  compare: (a: Item, b: Item) => number,
  poll: (() => void) | undefined,
): (a: Item, b: Item) => number {
  if (poll === undefined) return compare;
  let comparisons = 0;
  return (a, b) => {
    if (++comparisons % POLL_COMPARISONS === 0) poll();
    return compare(a, b);
  };
}

function unite(lists: readonly (readonly string[])[], limit: number): string[] {
  const filled = lists.filter((list) => list.length > 0);
  const merged = filled.length === 1 ? [...filled[0]!] : [...new Set(filled.flat())].sort(compareUtf8);
  return limit > 0 ? merged.slice(0, limit) : merged;
}
