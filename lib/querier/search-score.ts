/** How well texts match what somebody types, between 0 and 1: the two measures of Prometheus' search API. */

export type FuzzyMeasure = 'subsequence' | 'jarowinkler';

export interface SearchTerms {
  /** Any of them may match; none at all accepts everything. */
  readonly terms: readonly string[];
  readonly measure: FuzzyMeasure;
  /** Least score, 0 to 1. */
  readonly threshold: number;
  readonly isCaseSensitive: boolean;
}

/** A function that scores a text; null for texts that do not match. */
export function makeScorer(search: SearchTerms): (text: string) => number | null {
  const { measure, threshold, isCaseSensitive } = search;
  if (search.terms.length === 0) return () => 1;
  const terms = search.terms.map((term) => Array.from(isCaseSensitive ? term : term.toLowerCase()));
  const scoreOne = measure === 'subsequence' ? bySubsequence : bySimilarity;
  return (text) => {
    const characters = Array.from(isCaseSensitive ? text : text.toLowerCase());
    let best: number | null = null;
    for (const term of terms) {
      const score = scoreOne(term, characters, threshold);
      if (score !== null && (best === null || score > best)) best = score;
    }
    return best;
  };
}

type Characters = readonly string[];

function bySubsequence(term: Characters, text: Characters, threshold: number): number | null {
  if (indexOf(text, term) === 0) return 1;
  const score = subsequenceScore(term, text);
  return score > 0 && score >= threshold ? score : null;
}

/** A place in the text counts first, similarity only where there is none. */
function bySimilarity(term: Characters, text: Characters, threshold: number): number | null {
  const at = indexOf(text, term);
  if (at === 0) return 1;
  if (at > 0) return 1 - (0.9 * at) / (text.length - term.length);
  if (threshold === 0) return null;
  const score = similarity(term, text);
  return score >= threshold ? score : null;
}

function indexOf(text: Characters, term: Characters): number {
  for (let at = 0; at + term.length <= text.length; at++) {
    if (term.every((character, i) => text[at + i] === character)) return at;
  }
  return -1;
}

/**
 * Rewards runs of consecutive characters by their squared length and takes off for gaps before, between and (by half)
 * after them; the best of all places to begin counts. 0 when the characters do not occur in this order.
 */
export function subsequenceScore(term: Characters, text: Characters): number {
  let best = -1;
  for (let begin = 0; begin + term.length <= text.length; begin++) {
    if (text[begin] !== term[0]) continue;
    const score = scoreFrom(begin, term, text);
    // What can't be completed from here can't be completed from further on.
    if (score === null) break;
    best = Math.max(best, score);
  }
  return best < 0 ? 0 : best / (term.length * term.length);
}

function scoreFrom(begin: number, term: Characters, text: Characters): number | null {
  let score = 0;
  let gaps = 0;
  let next = 0;
  let end = 0;
  for (let at = begin; next < term.length; ) {
    while (at < text.length && text[at] !== term[next]) at++;
    if (at === text.length) return null;
    const from = at;
    while (at < text.length && next < term.length && text[at] === term[next]) {
      at++;
      next++;
    }
    gaps += from - end;
    score += (at - from) ** 2;
    end = at;
  }
  return score - gaps / text.length - (text.length - end) / text.length / 2;
}

/** The similarity of Jaro with Winkler's bonus for a common beginning. */
export function similarity(a: Characters, b: Characters): number {
  const [short, long] = a.length <= b.length ? [a, b] : [b, a];
  const reach = Math.max(0, Math.floor(long.length / 2) - 1);
  const isTaken = new Uint8Array(long.length);
  const fromShort: string[] = [];
  for (let i = 0; i < short.length; i++) {
    const end = Math.min(long.length, i + reach + 1);
    for (let j = Math.max(0, i - reach); j < end; j++) {
      if (isTaken[j] !== 0 || short[i] !== long[j]) continue;
      isTaken[j] = 1;
      fromShort.push(short[i]!);
      break;
    }
  }
  const matches = fromShort.length;
  if (matches === 0) return 0;
  const fromLong = long.filter((_, j) => isTaken[j] !== 0);
  const moved = fromShort.filter((character, i) => character !== fromLong[i]).length;
  const jaro = (matches / short.length + matches / long.length + (matches - moved / 2) / matches) / 3;
  let common = 0;
  while (common < Math.min(4, short.length) && short[common] === long[common]) common++;
  return jaro + common * 0.1 * (1 - jaro);
}
