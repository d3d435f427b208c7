import type { Matcher } from '../../matcher/index.js';
import {
  type IndexReader,
  intersectPostings,
  type ListRange,
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

/** A matcher and the postings lists of the values it names or was found to accept (or, if it removes, not to). */
interface Lookup {
  readonly matcher: Matcher;
  readonly lists: readonly ListRange[];
  readonly byteCount: number;
}

/** Series refs for matchers that all must hold; no matchers select everything. */
export function matchPostings(index: IndexReader, matchers: readonly Matcher[]): MatchedPostings {
  const steps = matchSteps(index, matchers, 0);
  for (let step = steps.next(); ; step = steps.next()) if (step.done) return step.value;
}

/**
 * `matchPostings` in steps: before each, it yields the postings lists that it is about to read from the index, so that
 * those of a distant index can be fetched.
 *
 * @param seriesBytes what reading a series costs where bytes count, 0 where they don't. A list longer than the series
 *   it could rule out is then not read, but the matcher tested on these series
 */
export function* matchSteps(
  index: IndexReader,
  matchers: readonly Matcher[],
  seriesBytes: number,
): Generator<readonly ListRange[], MatchedPostings, void> {
  const remaining: RemainingTest[] = [];
  const lookups: Lookup[] = [];
  const scans: Matcher[] = [];
  const removals: Lookup[] = [];
  for (const matcher of matchers) {
    const named = matcher.oneOf?.filter((value) => value !== '');
    if (matcher.name === '' || index.postingsTable.valueCount(matcher.name) === 0) {
      // No series has the label.
      if (!matcher.matchesEmpty) return NOTHING;
    } else if (named !== undefined && matcher.isNegative && matcher.matchesEmpty) {
      removals.push(lookUp(index, matcher, named));
    } else if (named !== undefined && !matcher.isNegative && !matcher.matchesEmpty) {
      const lookup = lookUp(index, matcher, named);
      if (lookup.lists.length === 0) return NOTHING;
      lookups.push(lookup);
    } else scans.push(matcher);
  }
  lookups.sort((a, b) => a.byteCount - b.byteCount);
  const isWorth = (lookup: Lookup, refsMax: number): boolean =>
    seriesBytes === 0 || lookup.byteCount <= refsMax * seriesBytes;

  // The shortest list is read in any case; its length bounds how many series the others could rule out.
  const refsMax = lookups.length === 0 ? Number.POSITIVE_INFINITY : lookups[0]!.byteCount / 4;
  const [chosen, putOff] = partition(lookups, (lookup) => isWorth(lookup, refsMax));
  const [removed, keptBack] = partition(removals, (lookup) => isWorth(lookup, refsMax));
  if (lookups.length > 0 && chosen.length === 0) chosen.push(putOff.shift()!);
  for (const { matcher } of [...putOff, ...keptBack]) remaining.push(new RemainingTest(matcher, index));
  yield [...chosen, ...removed].flatMap((lookup) => lookup.lists);
  let refs: Uint32Array | null = null;
  for (const { lists } of chosen) {
    if (refs !== null && refs.length === 0) break;
    const found = readLists(index, lists);
    refs = refs === null ? found : intersectPostings(refs, found);
  }
  if (refs?.length === 0) return NOTHING;
  /** To be taken away when it is known from what. */
  const removedLater: Uint32Array[] = [];
  for (const { lists } of removed) {
    const found = readLists(index, lists);
    if (refs === null) removedLater.push(found);
    else refs = subtractPostings(refs, found);
  }
  const valueCount = (matcher: Matcher): number => index.postingsTable.valueCount(matcher.name);
  scans.sort((a, b) => valueCount(a) - valueCount(b));
  for (const matcher of scans) {
    const isCostly = refs !== null && refs.length * SCAN_COST_RATIO < valueCount(matcher);
    const scan = isCostly ? null : scanValues(index, matcher, !matcher.matchesEmpty);
    if (scan === null || !isWorth(scan, refs?.length ?? Number.POSITIVE_INFINITY)) {
      if (refs!.length > 0) remaining.push(new RemainingTest(matcher, index));
      continue;
    }
    yield scan.lists;
    const found = readLists(index, scan.lists);
    if (!matcher.matchesEmpty) refs = refs === null ? found : intersectPostings(refs, found);
    else if (refs === null) removedLater.push(found);
    else refs = subtractPostings(refs, found);
  }
  if (refs === null) {
    const all = index.postingsTable.find('', '');
    if (all !== null) yield [all];
    refs = index.allPostings();
  }
  for (const list of removedLater) refs = subtractPostings(refs, list);
  return { refs, remaining };
}

const NOTHING: MatchedPostings = { refs: new Uint32Array(0), remaining: [] };

function lookUp(index: IndexReader, matcher: Matcher, values: readonly string[]): Lookup {
  const lists: ListRange[] = [];
  let byteCount = 0;
  for (const value of values) {
    const list = index.postingsTable.find(matcher.name, value);
    if (list === null) continue;
    lists.push(list);
    byteCount += list.end - list.offset;
  }
  return { matcher, lists, byteCount };
}

/** The values of the matcher's label that are accepted (or not), found by looking at every one. */
function scanValues(index: IndexReader, matcher: Matcher, wanted: boolean): Lookup {
  // What has not the prefix is refused by a plain matcher and accepted by a negative one.
  const skipsOthers = matcher.prefix !== '' && matcher.isNegative !== wanted;
  const { values, offsets } = skipsOthers
    ? index.labelValuesWithPrefix(matcher.name, matcher.prefix)
    : index.labelValues(matcher.name);
  const lists: ListRange[] = [];
  let byteCount = 0;
  for (let i = 0; i < values.length; i++) {
    if (matcher.matches(values[i]!) !== wanted) continue;
    const offset = offsets[i]!;
    const end = offsets[i + 1]!;
    lists.push({ offset, end });
    byteCount += end - offset;
  }
  return { matcher, lists, byteCount };
}

function readLists(index: IndexReader, lists: readonly ListRange[]): Uint32Array {
  return unitePostings(lists.map(({ offset }) => index.postingsAt(offset)));
}

function partition<Item>(items: readonly Item[], test: (item: Item) => boolean): [Item[], Item[]] {
  const passed: Item[] = [];
  const failed: Item[] = [];
  for (const item of items) (test(item) ? passed : failed).push(item);
  return [passed, failed];
}
