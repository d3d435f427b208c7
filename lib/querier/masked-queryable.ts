import { compareUtf8, type LabelSet } from '../labels/index.js';
import type { Matcher } from '../matcher/index.js';
import type { ChunkArena, LabelQuery, Queryable, SelectHints, SeriesSet } from '../storage/index.js';
import { addInterval, type DeletionMask, type Interval, TombstoneCutter } from '../tsdb/block/index.js';

/**
 * A source without what masks hide, for sources that know nothing of them: heads. Costs nothing where no mask touches
 * the asked time, and else little for series that none selects.
 *
 * As in a block, label names and values without matchers are told as they are.
 * @returns the source itself when there are no masks
 */
export function withoutDeleted(source: Queryable, masks: readonly DeletionMask[]): Queryable {
  return masks.length === 0 ? source : new MaskedQueryable(source, masks);
}

class MaskedQueryable implements Queryable {
  readonly #source: Queryable;
  readonly #masks: readonly DeletionMask[];

  constructor(source: Queryable, masks: readonly DeletionMask[]) {
    this.#source = source;
    this.#masks = masks;
  }

  async select(matchers: readonly Matcher[], hints: SelectHints, arena: ChunkArena): Promise<SeriesSet> {
    const masks = this.#within(hints.minTimeMs, hints.maxTimeMs);
    if (masks.length === 0) return this.#source.select(matchers, hints, arena);
    // Of a series whose newest sample is hidden an older one is the newest, and what is cut off by a limit may be needed.
    const all: SelectHints = { ...hints, newestOnly: false, limit: 0, withoutChunks: false };
    const found = await this.#source.select(matchers, all, hints.withoutChunks ? new BoundsArena() : arena);
    const test = new MaskTest(masks, found);
    const columns = new MaskedColumns(found, hints);
    for (let i = 0; i < found.seriesCount; i++) {
      columns.add(i, test.hidden(i));
      if (hints.limit > 0 && columns.seriesCount === hints.limit) break;
    }
    return columns.finish(arena);
  }

  async labelNames(query: LabelQuery): Promise<string[]> {
    const shown = await this.#shownSeries(query);
    if (shown === null) return this.#source.labelNames(query);
    return sorted(
      shown.flatMap((labels) => labels.map(({ name }) => name)),
      query.limit,
    );
  }

  async labelValues(name: string, query: LabelQuery): Promise<string[]> {
    const shown = await this.#shownSeries(query);
    if (shown === null) return this.#source.labelValues(name, query);
    return sorted(
      shown.flatMap((labels) => labels.filter((label) => label.name === name).map(({ value }) => value)),
      query.limit,
    );
  }

  async series(query: LabelQuery): Promise<LabelSet[]> {
    const masks = this.#within(query.minTimeMs, query.maxTimeMs);
    const hidden = await this.#hiddenSeries(query, masks);
    if (hidden.size === 0) return this.#source.series(query);
    const found = await this.#source.series({ ...query, limit: 0 });
    const shown = found.filter((labels) => !hidden.has(keyOf(labels)));
    return query.limit > 0 ? shown.slice(0, query.limit) : shown;
  }

  /** The series to tell names of; null when none of them is hidden. */
  async #shownSeries(query: LabelQuery): Promise<LabelSet[] | null> {
    if (query.matcherSets.length === 0) return null;
    const masks = this.#within(query.minTimeMs, query.maxTimeMs);
    const hidden = await this.#hiddenSeries(query, masks);
    if (hidden.size === 0) return null;
    const found = await this.#source.series({ ...query, limit: 0 });
    return found.filter((labels) => !hidden.has(keyOf(labels)));
  }

  /** Series of the answer of which all that lies in the asked time is hidden. */
  async #hiddenSeries(query: LabelQuery, masks: readonly DeletionMask[]): Promise<Set<string>> {
    const hidden = new Set<string>();
    if (masks.length === 0) return hidden;
    const { minTimeMs, maxTimeMs } = query;
    const hints: SelectHints = {
      ...{ minTimeMs, maxTimeMs, stepMs: 0, rangeMs: 0, limit: 0, func: '', withoutChunks: false },
    };
    for (const matchers of query.matcherSets.length === 0 ? [[]] : query.matcherSets) {
      for (const mask of masks) {
        query.poll?.();
        // Only what the mask selects too.
        const found = await this.#source.select([...matchers, ...mask.matchers], hints, new BoundsArena());
        const test = new MaskTest(masks, found);
        for (let i = 0; i < found.seriesCount; i++) {
          const spans = test.hidden(i) ?? [];
          if (!hasChunk(found, i, minTimeMs, maxTimeMs, spans)) hidden.add(keyOf(labelsOf(found, i)));
        }
      }
    }
    return hidden;
  }

  #within(minTimeMs: number, maxTimeMs: number): readonly DeletionMask[] {
    return this.#masks.filter((mask) => mask.minTime <= maxTimeMs && mask.maxTime >= minTimeMs);
  }
}

/** A matcher with its answers to the values seen so far. */
interface ValueTest {
  readonly matcher: Matcher;
  readonly nameId: number;
  readonly answers: Map<number, boolean>;
}

/** Finds which masks select the series of an answer; asks each matcher about each value once. */
class MaskTest {
  readonly #found: SeriesSet;
  readonly #masks: readonly { readonly span: Interval; readonly tests: readonly ValueTest[] }[];

  constructor(masks: readonly DeletionMask[], found: SeriesSet) {
    this.#found = found;
    this.#masks = masks.map(({ matchers, minTime, maxTime }) => ({
      span: { minTime, maxTime },
      tests: matchers.map((matcher) => ({
        matcher,
        nameId: found.symbols.find(matcher.name),
        answers: new Map<number, boolean>(),
      })),
    }));
  }

  /** Hidden spans of a series, sorted and apart; undefined when there are none. */
  hidden(series: number): readonly Interval[] | undefined {
    let spans: readonly Interval[] | undefined;
    for (const { span, tests } of this.#masks) {
      if (tests.every((test) => this.#accepts(test, series))) spans = addInterval(spans ?? [], span);
    }
    return spans;
  }

  #accepts({ matcher, nameId, answers }: ValueTest, series: number): boolean {
    const { labelOffsets, labels, symbols } = this.#found;
    for (let i = labelOffsets[series]!; i < labelOffsets[series + 1]!; i += 2) {
      if (labels[i] !== nameId) continue;
      const value = labels[i + 1]!;
      let answer = answers.get(value);
      if (answer === undefined) {
        answer = matcher.matches(symbols.text(value));
        answers.set(value, answer);
      }
      return answer;
    }
    return matcher.matchesEmpty;
  }
}

/** The answer without what is hidden, in columns of its own: those of the source may be shared. */
class MaskedColumns {
  readonly #found: SeriesSet;
  readonly #hints: SelectHints;
  seriesCount = 0;
  #chunkCount = 0;
  readonly #labelOffsets: Uint32Array;
  readonly #labels: Uint32Array;
  readonly #chunkOffsets: Uint32Array;
  readonly #addresses: Uint32Array;
  readonly #byteLengths: Uint32Array;
  readonly #minTimes: Float64Array;
  readonly #maxTimes: Float64Array;
  readonly #encodings: Uint8Array;
  /** Spans to cut out, by chunk. */
  readonly #cuts = new Map<number, readonly Interval[]>();

  constructor(found: SeriesSet, hints: SelectHints) {
    const { seriesCount, labelOffsets, chunkOffsets } = found;
    const chunkCount = chunkOffsets[seriesCount]!;
    this.#found = found;
    this.#hints = hints;
    this.#labelOffsets = new Uint32Array(seriesCount + 1);
    this.#labels = new Uint32Array(labelOffsets[seriesCount]! - labelOffsets[0]!);
    this.#chunkOffsets = new Uint32Array(seriesCount + 1);
    this.#addresses = new Uint32Array(chunkCount);
    this.#byteLengths = new Uint32Array(chunkCount);
    this.#minTimes = new Float64Array(chunkCount);
    this.#maxTimes = new Float64Array(chunkCount);
    this.#encodings = new Uint8Array(chunkCount);
  }

  add(series: number, spans: readonly Interval[] | undefined): void {
    const found = this.#found;
    const first = this.#chunkCount;
    for (let i = found.chunkOffsets[series]!; i < found.chunkOffsets[series + 1]!; i++) {
      const minTime = found.chunkMinTimes[i]!;
      const maxTime = found.chunkMaxTimes[i]!;
      if (spans !== undefined) {
        if (isHidden(minTime, maxTime, this.#hints.minTimeMs, this.#hints.maxTimeMs, spans)) continue;
        const hit = spans.filter((span) => span.minTime <= maxTime && span.maxTime >= minTime);
        if (hit.length > 0) this.#cuts.set(this.#chunkCount, hit);
      }
      const at = this.#chunkCount++;
      this.#addresses[at] = found.chunkAddresses[i]!;
      this.#byteLengths[at] = found.chunkByteLengths[i]!;
      this.#minTimes[at] = minTime;
      this.#maxTimes[at] = maxTime;
      this.#encodings[at] = found.chunkEncodings[i]!;
    }
    if (this.#chunkCount === first) return;
    if (this.#hints.withoutChunks) this.#chunkCount = first;
    const from = found.labelOffsets[series]!;
    const to = found.labelOffsets[series + 1]!;
    const target = this.#labelOffsets[this.seriesCount]!;
    this.#labels.set(found.labels.subarray(from, to), target);
    this.seriesCount++;
    this.#labelOffsets[this.seriesCount] = target + to - from;
    this.#chunkOffsets[this.seriesCount] = this.#chunkCount;
  }

  finish(arena: ChunkArena): SeriesSet {
    const { seriesCount } = this;
    const chunkCount = this.#chunkCount;
    const copied = {
      addresses: this.#addresses.subarray(0, chunkCount),
      byteLengths: this.#byteLengths.subarray(0, chunkCount),
      encodings: this.#encodings.subarray(0, chunkCount),
    };
    if (!this.#hints.withoutChunks) {
      const cutter = new TombstoneCutter();
      for (const [chunk, spans] of this.#cuts) cutter.cut(copied, chunk, spans, arena);
    }
    return {
      symbols: this.#found.symbols,
      seriesCount,
      labelOffsets: this.#labelOffsets.subarray(0, seriesCount + 1),
      labels: this.#labels.subarray(0, this.#labelOffsets[seriesCount]!),
      chunkOffsets: this.#chunkOffsets.subarray(0, seriesCount + 1),
      chunkAddresses: copied.addresses,
      chunkByteLengths: copied.byteLengths,
      chunkMinTimes: this.#minTimes.subarray(0, chunkCount),
      chunkMaxTimes: this.#maxTimes.subarray(0, chunkCount),
      chunkEncodings: copied.encodings,
      warnings: this.#found.warnings,
    };
  }
}

/** Takes chunks that nobody will look at, all in the same place: only their times are wanted. */
class BoundsArena implements ChunkArena {
  #bytes = new Uint8Array(64 * 1024);

  reserve(byteCount: number): number {
    if (byteCount + 32 > this.#bytes.length) this.#bytes = new Uint8Array(byteCount * 2 + 32);
    return 8;
  }

  bytes(): Uint8Array {
    return this.#bytes;
  }
}

function hasChunk(
  found: SeriesSet,
  series: number,
  minTimeMs: number,
  maxTimeMs: number,
  spans: readonly Interval[],
): boolean {
  const { chunkOffsets, chunkMinTimes, chunkMaxTimes } = found;
  for (let i = chunkOffsets[series]!; i < chunkOffsets[series + 1]!; i++) {
    if (!isHidden(chunkMinTimes[i]!, chunkMaxTimes[i]!, minTimeMs, maxTimeMs, spans)) return true;
  }
  return false;
}

/** Whether what lies of a chunk in the asked time is hidden. */
function isHidden(
  minTime: number,
  maxTime: number,
  minTimeMs: number,
  maxTimeMs: number,
  spans: readonly Interval[],
): boolean {
  const from = Math.max(minTime, minTimeMs);
  const to = Math.min(maxTime, maxTimeMs);
  return spans.some((span) => span.minTime <= from && span.maxTime >= to);
}

function labelsOf({ symbols, labels, labelOffsets }: SeriesSet, series: number): LabelSet {
  const set: { name: string; value: string }[] = [];
  for (let i = labelOffsets[series]!; i < labelOffsets[series + 1]!; i += 2) {
    set.push({ name: symbols.text(labels[i]!), value: symbols.text(labels[i + 1]!) });
  }
  return set;
}

function keyOf(labels: LabelSet): string {
  return JSON.stringify(labels.map(({ name, value }) => [name, value]));
}

function sorted(texts: readonly string[], limit: number): string[] {
  const distinct = [...new Set(texts)].sort(compareUtf8);
  return limit > 0 ? distinct.slice(0, limit) : distinct;
}
