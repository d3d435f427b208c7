import type { Matcher } from '../../matcher/index.js';
import {
  type IndexReader,
  intersectPostings,
  type SeriesEntry,
  subtractPostings,
  unitePostings,
} from '../index/index.js';

/**
 * Finds the series that matchers select. Matchers that name their values (`=`, `a|b`) are looked up; the others
 * scan the values of their label, or are put off and tested on the few series that the former left.
 */

/** Put off a scan when it has more values than this many times the series left. */
const SCAN_COST_RATIO = 2;

/** What is known of a selector before series are read. */
export interface MatchedPostings {
  /** Ascending; not to be changed. */
  readonly refs: Uint32Array;
  /** Tests that the series at `refs` still have to pass, by name symbol. */
  readonly remaining: readonly RemainingTest[];
}

/** A matcher tested on series entries, which asks about each value symbol once. */
export class RemainingTest {
  readonly #matcher: Matcher;
  readonly #index: IndexReader;
  readonly #nameId: number;
  readonly #answers: Map<number, boolean>;

  constructor(matcher: Matcher, index: IndexReader) {
    this.#matcher = matcher;
    this.#index = index;
    this.#nameId = index.symbols.find(matcher.name);
    this.#answers = new Map();
  }

  accepts(entry: SeriesEntry): boolean {
    const labels = entry.labels;
    for (let i = 0; i < entry.labelCount * 2; i += 2) {
      if (labels[i] !== this.#nameId) continue;
      const value = labels[i + 1]!;
      let answer = this.#answers.get(value);
      if (answer === undefined) {
        answer = this.#matcher.matches(this.#index.symbols.text(value));
        this.#answers.set(value, answer);
      }
      return answer;
    }
    return this.#matcher.matchesEmpty;
  }
}

/** Series refs for matchers that all must hold; no matchers select everything. */
export function matchPostings(index: IndexReader, matchers: readonly Matcher[]): MatchedPostings {
  const remaining: RemainingTest[] = [];
  const lookups: Uint32Array[] = [];
  const scans: Matcher[] = [];
  const removed: Uint32Array[] = [];
  for (const matcher of matchers) {
    const named = matcher.oneOf?.filter((value) => value !== '');
    if (matcher.name === '' || index.postingsTable.valueCount(matcher.name) === 0) {
      // No series has the label.
      if (!matcher.matchesEmpty) return NOTHING;
    } else if (named !== undefined && matcher.isNegative && matcher.matchesEmpty) {
      for (const value of named) removed.push(index.postings(matcher.name, value));
    } else if (named !== undefined && !matcher.isNegative && !matcher.matchesEmpty) {
      const found = unitePostings(named.map((value) => index.postings(matcher.name, value)));
      if (found.length === 0) return NOTHING;
      lookups.push(found);
    } else scans.push(matcher);
  }
  lookups.sort((a, b) => a.length - b.length);
  let refs = lookups[0] ?? null;
  for (let i = 1; i < lookups.length && refs!.length > 0; i++) refs = intersectPostings(refs!, lookups[i]!);

  const valueCount = (matcher: Matcher): number => index.postingsTable.valueCount(matcher.name);
  scans.sort((a, b) => valueCount(a) - valueCount(b));
  for (const matcher of scans) {
    if (refs !== null && refs.length * SCAN_COST_RATIO < valueCount(matcher)) {
      if (refs.length > 0) remaining.push(new RemainingTest(matcher, index));
    } else if (matcher.matchesEmpty) {
      removed.push(scanPostings(index, matcher, false));
    } else {
      const found = scanPostings(index, matcher, true);
      refs = refs === null ? found : intersectPostings(refs, found);
    }
  }
  refs ??= index.allPostings();
  for (const list of removed) refs = subtractPostings(refs, list);
  return { refs, remaining };
}

const NOTHING: MatchedPostings = { refs: new Uint32Array(0), remaining: [] };

/** Series whose value of the matcher's label is accepted (or not), found by looking at every value. */
function scanPostings(index: IndexReader, matcher: Matcher, wanted: boolean): Uint32Array {
  // What has not the prefix is refused by a plain matcher and accepted by a negative one.
  const skipsOthers = matcher.prefix !== '' && matcher.isNegative !== wanted;
  const { values, offsets } = skipsOthers
    ? index.labelValuesWithPrefix(matcher.name, matcher.prefix)
    : index.labelValues(matcher.name);
  const lists: Uint32Array[] = [];
  for (let i = 0; i < values.length; i++) {
    if (matcher.matches(values[i]!) === wanted) lists.push(index.postingsAt(offsets[i]!));
  }
  return unitePostings(lists);
}
