import { VarveError } from '../errors/index.js';
import type { Matcher } from '../matcher/index.js';
import type {
  ChunkArena,
  LabelQuery,
  Queryable,
  SelectHints,
  SelectPlan,
  SelectWindows,
  SeriesSet,
} from '../storage/index.js';

import { GuardedArena, type TaskGuard } from './task-guard.js';

/** How much one query may read; 0 lifts a limit. */
export interface FetchLimits {
  readonly seriesMax: number;
  readonly chunksMax: number;
  /** Bytes fetched from the bucket. */
  readonly bytesMax: number;
}

/** A source that counts what one query reads over all its selectors and stops it at the tenant's limits, or when told. */
export class FetchLimited implements Queryable {
  readonly #source: Queryable;
  readonly #limits: FetchLimits;
  readonly #guard: TaskGuard;
  #seriesCount = 0;
  #chunkCount = 0;

  constructor(source: Queryable, limits: FetchLimits, guard: TaskGuard) {
    this.#source = source;
    this.#limits = limits;
    this.#guard = guard;
  }

  planSelect(windows: SelectWindows): SelectPlan | null {
    return this.#source.planSelect?.(windows) ?? null;
  }

  /** @throws VarveError limit `max-fetched-series` or `max-fetched-chunks` */
  async select(matchers: readonly Matcher[], hints: SelectHints, arena: ChunkArena): Promise<SeriesSet> {
    this.#guard.check();
    const found = await this.#source.select(matchers, hints, new GuardedArena(arena, this.#guard));
    this.#seriesCount += found.seriesCount;
    this.#chunkCount += found.chunkOffsets[found.seriesCount] ?? 0;
    const { seriesMax, chunksMax } = this.#limits;
    if (seriesMax > 0 && this.#seriesCount > seriesMax) {
      throw exceeded('series', this.#seriesCount, seriesMax);
    }
    if (chunksMax > 0 && this.#chunkCount > chunksMax) {
      throw exceeded('chunks', this.#chunkCount, chunksMax);
    }
    return found;
  }

  labelNames(query: LabelQuery): Promise<string[]> {
    return this.#source.labelNames(query);
  }

  labelValues(name: string, query: LabelQuery): Promise<string[]> {
    return this.#source.labelValues(name, query);
  }

  series(query: LabelQuery): ReturnType<Queryable['series']> {
    return this.#source.series(query);
  }
}

function exceeded(what: 'series' | 'chunks', count: number, limit: number): VarveError {
  return new VarveError(
    'limit',
    `max-fetched-${what}`,
    `the query reads ${count} ${what}, over the limit of ${limit} (limits.max_fetched_${what}_per_query): narrow its selectors or its time range`,
    { details: { count, limit } },
  );
}
