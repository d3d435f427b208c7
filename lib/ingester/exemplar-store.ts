import type { Exemplar, ExemplarSeries } from '../exemplar/index.js';
import { compareLabelSets, type LabelSet, labelValue } from '../labels/index.js';
import type { Matcher } from '../matcher/index.js';

/** Exemplars of one series; those before `first` are forgotten. */
interface Entry {
  readonly key: string;
  readonly labels: LabelSet;
  exemplars: Exemplar[];
  first: number;
}

/** Series looked at before other work gets its turn. */
const SERIES_PER_TURN = 2000;

/**
 * The newest exemplars of one tenant, in memory only. One queue over all series tells which is the oldest, as in
 * Prometheus; when the store is full it goes.
 */
export class ExemplarStore {
  readonly #entries = new Map<string, Entry>();
  /** The series of every exemplar in order of arrival; those before `#first` are forgotten. */
  #order: Entry[] = [];
  #first = 0;

  get count(): number {
    return this.#order.length - this.#first;
  }

  /**
   * Takes one exemplar in. The same one again is a success, as senders repeat the last one with every sample.
   * @param countMax exemplars to keep; 0 drops all
   * @returns false when it lies before the newest one of its series
   */
  record(labels: LabelSet, exemplar: Exemplar, countMax: number): boolean {
    if (countMax > 0) {
      const key = keyOf(labels);
      const known = this.#entries.get(key);
      if (known !== undefined) {
        const order = compareExemplars(exemplar, known.exemplars.at(-1)!);
        if (order <= 0) return order === 0;
      }
      this.#shrink(countMax - 1);
      // Making room may have removed the series.
      let entry = this.#entries.get(key);
      if (entry === undefined) {
        entry = { key, labels, exemplars: [], first: 0 };
        this.#entries.set(key, entry);
      }
      entry.exemplars.push(exemplar);
      this.#order.push(entry);
    } else this.#shrink(0);
    return true;
  }

  /** Exemplars of matching series between the times (inclusive), sorted by label set. */
  async select(
    matcherSets: readonly (readonly Matcher[])[],
    minTimeMs: number,
    maxTimeMs: number,
  ): Promise<ExemplarSeries[]> {
    const found: ExemplarSeries[] = [];
    let turn = 0;
    for (const { labels, exemplars, first } of [...this.#entries.values()]) {
      if (++turn % SERIES_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
      // Its last one may have gone while others had their turn.
      if (first === exemplars.length) continue;
      if (exemplars[first]!.timestampMs > maxTimeMs || exemplars.at(-1)!.timestampMs < minTimeMs) continue;
      const isWanted = matcherSets.some((set) =>
        set.every((matcher) => matcher.matches(labelValue(labels, matcher.name))),
      );
      if (!isWanted) continue;
      const inside = exemplars
        .slice(first)
        .filter(({ timestampMs }) => timestampMs >= minTimeMs && timestampMs <= maxTimeMs);
      if (inside.length > 0) found.push({ labels, exemplars: inside });
    }
    return found.sort((a, b) => compareLabelSets(a.labels, b.labels));
  }

  /** Forgets the oldest until no more than `countMax` are left. */
  #shrink(countMax: number): void {
    while (this.count > countMax) {
      const entry = this.#order[this.#first++]!;
      entry.first++;
      if (entry.first === entry.exemplars.length) this.#entries.delete(entry.key);
      else if (entry.first * 2 > entry.exemplars.length) {
        entry.exemplars = entry.exemplars.slice(entry.first);
        entry.first = 0;
      }
    }
    if (this.#first * 2 > this.#order.length) {
      this.#order = this.#order.slice(this.#first);
      this.#first = 0;
    }
  }
}

/** By time, then value, then labels: within one time a histogram's buckets come in order of their values. */
function compareExemplars(a: Exemplar, b: Exemplar): number {
  if (a.timestampMs !== b.timestampMs) return a.timestampMs - b.timestampMs;
  if (!Object.is(a.value, b.value)) return a.value < b.value ? -1 : 1;
  return compareLabelSets(a.labels, b.labels);
}

function keyOf(labels: LabelSet): string {
  let key = '';
  for (const { name, value } of labels) key += `${name.length}:${name}${value.length}:${value}`;
  return key;
}
