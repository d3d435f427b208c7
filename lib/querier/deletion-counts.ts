import type { Matcher } from '../matcher/index.js';
import { ArrayArena, type Queryable, type SelectHints, type SeriesSet } from '../storage/index.js';
import { SeriesSampleReader } from './series-samples.js';
import type { SourceDescriptor } from './sources.js';
import { GuardedArena, type TaskGuard } from './task-guard.js';

/** What a deletion would take from one source. */
export interface SourceCount {
  /** `head`, or the name of a block. */
  readonly source: string;
  readonly series: number;
  readonly samples: number;
}

export interface DeletionCounts {
  /** Distinct series of all sources together. */
  readonly series: number;
  /** Sum over the sources: what several of them hold counts in each. */
  readonly samples: number;
  /** Those that hold anything. */
  readonly sources: readonly SourceCount[];
}

/**
 * Counts what lies in a time span, both ends inclusive, of the series that any of the selectors matches.
 * @param open opens one source
 */
export async function countDeleted(
  open: (source: SourceDescriptor) => Promise<Queryable>,
  sources: readonly SourceDescriptor[],
  matcherSets: readonly (readonly Matcher[])[],
  { minTimeMs, maxTimeMs }: { readonly minTimeMs: number; readonly maxTimeMs: number },
  memoryBytesMax: number,
  guard: TaskGuard,
): Promise<DeletionCounts> {
  const reader = new SeriesSampleReader();
  const all = new Set<string>();
  const counts: SourceCount[] = [];
  const hints: SelectHints = {
    ...{ minTimeMs, maxTimeMs, stepMs: 0, rangeMs: 0, limit: 0, func: '', withoutChunks: false },
  };
  for (const descriptor of sources) {
    const source = await open(descriptor);
    const seen = new Set<string>();
    let samples = 0;
    for (const matchers of matcherSets) {
      const arena = new GuardedArena(new ArrayArena(), guard, memoryBytesMax);
      const set = await source.select(matchers, hints, arena);
      for (let i = 0; i < set.seriesCount; i++) {
        if (i % 1024 === 0) guard.check();
        const key = keyOf(set, i);
        if (seen.has(key)) continue;
        let found = 0;
        for (const run of reader.read(set, i, arena, minTimeMs, maxTimeMs)) found += run.timestamps.length;
        if (found === 0) continue;
        seen.add(key);
        all.add(key);
        samples += found;
      }
    }
    if (seen.size === 0) continue;
    const name = descriptor.kind === 'head' ? 'head' : descriptor.ulid;
    counts.push({ source: name, series: seen.size, samples });
  }
  return {
    series: all.size,
    samples: counts.reduce((sum, count) => sum + count.samples, 0),
    sources: counts,
  };
}

function keyOf({ symbols, labels, labelOffsets }: SeriesSet, series: number): string {
  const texts: string[] = [];
  for (let i = labelOffsets[series]!; i < labelOffsets[series + 1]!; i++)
    texts.push(symbols.text(labels[i]!));
  return JSON.stringify(texts);
}
