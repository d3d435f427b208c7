import type { Matcher } from '../../matcher/index.js';
import type { HeadMemory } from './head-memory.js';

/**
 * Finds the series of a head that a selector matches. The cheapest positive matcher gives candidates from its postings;
 * the others are tested on the candidates' own labels, each distinct label pair once, so that no matcher ever scans more
 * values than the candidates carry.
 */
export class HeadPostings {
  readonly #memory: HeadMemory;
  // Pairs and values of a label name, kept between queries of one generation; new pairs come in front of the chain.
  readonly #names: Map<number, NamePairs>;

  constructor(memory: HeadMemory) {
    this.#memory = memory;
    this.#names = new Map();
  }

  /** Forgets what was cached by id. */
  clear(): void {
    this.#names.clear();
  }

  /** Refs of live series that all matchers accept, ascending. The result is the caller's. */
  select(matchers: readonly Matcher[]): Uint32Array {
    let best: Uint32Array | null = null;
    let bestMatcher: Matcher | null = null;
    let bestCost = Number.POSITIVE_INFINITY;
    let bestPairs: number[] = [];
    for (const matcher of matchers) {
      if (matcher.matchesEmpty) continue;
      const direct = this.#directPairs(matcher);
      if (direct === null) continue;
      const cost = this.#seriesCount(direct);
      if (cost < bestCost) {
        bestCost = cost;
        bestMatcher = matcher;
        bestPairs = direct;
      }
    }
    if (bestMatcher === null) {
      for (const matcher of matchers) {
        if (matcher.matchesEmpty) continue;
        const pairs = this.#scannedPairs(matcher);
        const cost = this.#seriesCount(pairs);
        if (cost < bestCost) {
          bestCost = cost;
          bestMatcher = matcher;
          bestPairs = pairs;
        }
      }
    }
    best = bestMatcher === null ? this.#all() : this.#union(bestPairs);
    const others = matchers.filter((matcher) => matcher !== bestMatcher);
    return this.filter(best, others);
  }

  /** More series than this cannot match, as far as it can be told without searching; Infinity when it can't. */
  seriesAtMost(matchers: readonly Matcher[]): number {
    let least = Number.POSITIVE_INFINITY;
    for (const matcher of matchers) {
      const pairs = matcher.matchesEmpty ? null : this.#directPairs(matcher);
      if (pairs !== null) least = Math.min(least, this.#seriesCount(pairs));
    }
    return least;
  }

  /** Pairs that accept, when they can be looked up instead of searched for; null otherwise. */
  #directPairs(matcher: Matcher): number[] | null {
    if (matcher.isNegative || matcher.oneOf === null) return null;
    const memory = this.#memory;
    const name = memory.findSymbol(matcher.name);
    if (name === 0) return [];
    const pairs: number[] = [];
    for (const value of matcher.oneOf) {
      const symbol = memory.findSymbol(value);
      const pair = symbol === 0 ? 0 : memory.findPair(name, symbol);
      if (pair !== 0) pairs.push(pair);
    }
    return pairs;
  }

  #scannedPairs(matcher: Matcher): number[] {
    const found: number[] = [];
    const pairs = this.pairsOf(matcher.name);
    for (let i = 0; i < pairs.ids.length; i++) {
      if (matcher.matches(pairs.values[i]!)) found.push(pairs.ids[i]!);
    }
    return found;
  }

  /** Pair ids and values of a label name, in no order. */
  pairsOf(name: string): NamePairs {
    const memory = this.#memory;
    const symbol = memory.findSymbol(name);
    const record = memory.nameRecord(symbol);
    if (record === 0) return { newest: 0, ids: [], values: [] };
    let cached = this.#names.get(symbol);
    if (cached === undefined) {
      cached = { newest: 0, ids: [], values: [] };
      this.#names.set(symbol, cached);
    }
    const first = memory.firstPairOfName(record);
    for (let id = first; id !== cached.newest && id !== 0; id = memory.nextPair(id)) {
      cached.ids.push(id);
      cached.values.push(memory.text(memory.pairValue(id)));
    }
    cached.newest = first;
    return cached;
  }

  #seriesCount(pairs: readonly number[]): number {
    let sum = 0;
    for (const pair of pairs) sum += this.#memory.pairSeriesCount(pair);
    return sum;
  }

  #all(): Uint32Array {
    const limit = this.#memory.seriesLimit;
    const refs = new Uint32Array(Math.max(0, limit - 1));
    for (let i = 0; i < refs.length; i++) refs[i] = i + 1;
    return refs;
  }

  #union(pairs: readonly number[]): Uint32Array {
    // Ingestion goes on: a list may be longer by now than its count said. When that filled the array, lists may have been
    // cut off, and all is read again with more room.
    let refs: Uint32Array<ArrayBuffer>;
    let end: number;
    let spare = 1024;
    do {
      refs = new Uint32Array(this.#seriesCount(pairs) + spare);
      end = 0;
      for (const pair of pairs) end = this.#memory.postingsInto(pair, refs, end);
      spare *= 8;
    } while (end === refs.length);
    const found = refs.subarray(0, end);
    return pairs.length > 1 ? found.sort() : found;
  }

  /** Of ascending refs those of live series that all matchers accept; overwrites `refs`. */
  filter(refs: Uint32Array, matchers: readonly Matcher[]): Uint32Array {
    const memory = this.#memory;
    const tests = matchers.map((matcher) => new PairTest(memory, matcher));
    let kept = 0;
    let previous = 0;
    for (let i = 0; i < refs.length; i++) {
      const ref = refs[i]!;
      if (ref === previous) continue;
      previous = ref;
      const series = memory.seriesAddress(ref);
      if (series === 0) continue;
      const labels = memory.seriesLabels(series);
      if (labels === 0) continue;
      let accepted = true;
      for (const test of tests) {
        if (!test.accepts(labels)) {
          accepted = false;
          break;
        }
      }
      if (accepted) refs[kept++] = ref;
    }
    return refs.subarray(0, kept);
  }
}

export interface NamePairs {
  /** The pair that was first in the chain when the lists were filled. */
  newest: number;
  readonly ids: number[];
  readonly values: string[];
}

/** One matcher applied to label lists; the verdict on each pair of its label name is remembered. */
class PairTest {
  readonly #memory: HeadMemory;
  readonly #matcher: Matcher;
  readonly #name: number;
  /** The only pair that decides, for plain equality; -1 when there are several. */
  readonly #only: number;
  readonly #verdicts: Map<number, boolean>;

  constructor(memory: HeadMemory, matcher: Matcher) {
    this.#memory = memory;
    this.#matcher = matcher;
    this.#name = memory.findSymbol(matcher.name);
    this.#verdicts = new Map();
    let only = -1;
    if (matcher.oneOf?.length === 1 && matcher.oneOf[0] !== '') {
      const value = memory.findSymbol(matcher.oneOf[0]!);
      only = value === 0 || this.#name === 0 ? 0 : memory.findPair(this.#name, value);
    }
    this.#only = only;
  }

  accepts(labels: number): boolean {
    const memory = this.#memory;
    const count = memory.load(labels);
    const words = memory.wordsTo(labels + 4 + count * 4);
    const from = (labels + 4) >>> 2;
    if (this.#only >= 0) {
      for (let i = 0; i < count; i++) if (words[from + i] === this.#only) return !this.#matcher.isNegative;
      return this.#matcher.isNegative;
    }
    if (this.#name === 0) return this.#matcher.matchesEmpty;
    for (let i = 0; i < count; i++) {
      const pair = words[from + i]!;
      const verdict = this.#verdicts.get(pair);
      if (verdict !== undefined) return verdict;
      if (memory.pairName(pair) !== this.#name) continue;
      const fresh = this.#matcher.matches(memory.text(memory.pairValue(pair)));
      this.#verdicts.set(pair, fresh);
      return fresh;
    }
    return this.#matcher.matchesEmpty;
  }
}
