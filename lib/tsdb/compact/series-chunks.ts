import type { Interval } from '../block/index.js';
import type { SourceBlock } from './source-block.js';

const FIRST_CAPACITY = 64;

/**
 * The chunks that the sources hold of one series, as columns: gathered source by source, then put into the order of
 * their times. Chunks that are deleted whole are left out.
 */
export class SeriesChunks {
  count: number;
  minTimes: Float64Array;
  maxTimes: Float64Array;
  refs: Float64Array;
  /** Whose chunk it is, and its place among the chunks of that source. */
  readonly sources: SourceBlock[];
  places: Uint32Array;
  /** Spans to leave out, null when the chunk stays whole. */
  readonly spans: (readonly Interval[] | null)[];
  /** Chunk numbers by first time, last time, rank of the source; only when `isOrdered` is false. */
  order: Uint32Array;
  /** Whether the chunks stand in the order of their times already, and none overlaps the next. */
  isOrdered: boolean;

  constructor() {
    this.count = 0;
    this.minTimes = new Float64Array(FIRST_CAPACITY);
    this.maxTimes = new Float64Array(FIRST_CAPACITY);
    this.refs = new Float64Array(FIRST_CAPACITY);
    this.places = new Uint32Array(FIRST_CAPACITY);
    this.order = new Uint32Array(FIRST_CAPACITY);
    this.sources = [];
    this.spans = [];
    this.isOrdered = true;
  }

  clear(): void {
    this.count = 0;
    this.isOrdered = true;
  }

  /** Adds the chunks of the series at the cursor of a source. */
  gather(source: SourceBlock): void {
    const { entry } = source.cursor;
    const { minTime: blockMin, maxTime: blockEnd } = source.meta;
    const stones = source.deletedSpans();
    let isOrdered = this.isOrdered;
    let count = this.count;
    let end = count === 0 ? Number.NEGATIVE_INFINITY : this.maxTimes[count - 1]!;
    for (let i = 0; i < entry.chunkCount; i++) {
      const minTime = entry.chunkMinTimes[i]!;
      const maxTime = entry.chunkMaxTimes[i]!;
      let spans: readonly Interval[] | null = null;
      if (stones.length > 0 || minTime < blockMin || maxTime >= blockEnd) {
        spans = spansIn(stones, minTime, maxTime, blockMin, blockEnd);
        if (spans?.some((span) => span.minTime <= minTime && span.maxTime >= maxTime)) continue;
      }
      if (count === this.refs.length) this.#grow();
      this.minTimes[count] = minTime;
      this.maxTimes[count] = maxTime;
      this.refs[count] = entry.chunkRefs[i]!;
      this.sources[count] = source;
      this.places[count] = i;
      this.spans[count] = spans;
      if (minTime <= end) isOrdered = false;
      end = maxTime;
      count++;
    }
    this.count = count;
    this.isOrdered = isOrdered;
  }

  /** Fills `order`. */
  sort(): void {
    const { minTimes, maxTimes, sources, count } = this;
    const order = this.order.subarray(0, count);
    for (let i = 0; i < count; i++) order[i] = i;
    order.sort(
      (a, b) =>
        minTimes[a]! - minTimes[b]! || maxTimes[a]! - maxTimes[b]! || sources[a]!.rank - sources[b]!.rank,
    );
  }

  #grow(): void {
    const capacity = this.refs.length * 2;
    this.minTimes = grown(this.minTimes, capacity);
    this.maxTimes = grown(this.maxTimes, capacity);
    this.refs = grown(this.refs, capacity);
    this.order = new Uint32Array(capacity);
    const places = new Uint32Array(capacity);
    places.set(this.places);
    this.places = places;
  }
}

/** The deleted spans that touch a chunk, what lies outside the block's time among them; null when there are none. */
function spansIn(
  stones: readonly Interval[],
  minTime: number,
  maxTime: number,
  blockMin: number,
  blockEnd: number,
): readonly Interval[] | null {
  const spans = stones.filter((stone) => stone.minTime <= maxTime && stone.maxTime >= minTime);
  if (minTime < blockMin) spans.push({ minTime, maxTime: blockMin - 1 });
  if (maxTime >= blockEnd) spans.push({ minTime: blockEnd, maxTime });
  return spans.length === 0 ? null : united(spans);
}

/** The same spans sorted and apart. */
function united(spans: Interval[]): Interval[] {
  spans.sort((a, b) => a.minTime - b.minTime);
  const out: Interval[] = [];
  for (const span of spans) {
    const last = out.at(-1);
    if (last === undefined || span.minTime > last.maxTime + 1) out.push(span);
    else if (span.maxTime > last.maxTime) {
      out[out.length - 1] = { minTime: last.minTime, maxTime: span.maxTime };
    }
  }
  return out;
}

function grown(column: Float64Array, capacity: number): Float64Array {
  const next = new Float64Array(capacity);
  next.set(column);
  return next;
}
