import { METRIC_NAME } from '../../labels/index.js';
import { HeadMemory } from './head-memory.js';

export interface NamedNumber {
  readonly name: string;
  readonly value: number;
}

/** Figures of a head; lists sorted by descending value. */
export interface HeadStatistics {
  readonly seriesCount: number;
  readonly labelPairCount: number;
  readonly seriesCountByMetricName: readonly NamedNumber[];
  readonly labelValueCountByLabelName: readonly NamedNumber[];
  readonly memoryInBytesByLabelName: readonly NamedNumber[];
  readonly seriesCountByLabelValuePair: readonly NamedNumber[];
}

/** Keeps the largest `limit` entries without sorting all of them. */
class TopList {
  readonly #limit: number;
  #entries: { name: () => string; value: number }[] = [];
  #least = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(value: number, name: () => string): void {
    if (this.#entries.length >= this.#limit && value <= this.#least) return;
    this.#entries.push({ name, value });
    if (this.#entries.length < this.#limit * 2) return;
    this.#trim();
  }

  #trim(): void {
    this.#entries.sort((a, b) => b.value - a.value);
    this.#entries.length = Math.min(this.#entries.length, this.#limit);
    this.#least = this.#entries.at(-1)?.value ?? 0;
  }

  finish(): NamedNumber[] {
    this.#trim();
    return this.#entries.map(({ name, value }) => ({ name: name(), value }));
  }
}

/** Walks the label names and pairs of a head once. */
export function collectHeadStats(memory: WebAssembly.Memory, limit: number): HeadStatistics {
  const head = new HeadMemory(memory);
  head.begin();
  const metrics = new TopList(limit);
  const names = new TopList(limit);
  const bytes = new TopList(limit);
  const pairs = new TopList(limit);
  let pairTotal = 0;
  head.eachName((symbol, firstPair, pairCount) => {
    const name = head.text(symbol);
    pairTotal += pairCount;
    let memoryBytes = 0;
    for (let pair = firstPair; pair !== 0; pair = head.nextPair(pair)) {
      const count = head.pairSeriesCount(pair);
      if (count === 0) continue;
      const value = head.pairValue(pair);
      memoryBytes += head.textByteLength(value) * count;
      if (name === METRIC_NAME) metrics.add(count, () => head.text(value));
      pairs.add(count, () => `${name}=${head.text(value)}`);
    }
    names.add(pairCount, () => name);
    bytes.add(memoryBytes, () => name);
  });
  return {
    seriesCount: head.seriesCount,
    labelPairCount: pairTotal,
    seriesCountByMetricName: metrics.finish(),
    labelValueCountByLabelName: names.finish(),
    memoryInBytesByLabelName: bytes.finish(),
    seriesCountByLabelValuePair: pairs.finish(),
  };
}
