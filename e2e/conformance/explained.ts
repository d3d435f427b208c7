import type { ApiAnswer, Difference, HistogramJson } from './compare.js';

/**
 * Differences from Prometheus 3.5 that are there on purpose, because the language moved on: Varve speaks that of the
 * main branch of August 2026, whose test scripts have the last word.
 */

export interface ExplainedCase {
  /** The shrunk query: the smallest one found that still differs. */
  readonly query: string;
  readonly isRange: boolean;
  readonly difference: Difference;
  /** All differences of the query. */
  readonly all: readonly Difference[];
}

/**
 * What a rule rests on: `spec`, the specification or a test script says what is right and 3.5 differs; `order`, the
 * reference leaves an order to a hash map; `observed`, 3.5 differs and ours follows the specification as far as it goes,
 * but why 3.5 does so was not established.
 */
export type Basis = 'spec' | 'order' | 'observed';

export interface Explanation {
  readonly name: string;
  readonly basis: Basis;
  explains(found: ExplainedCase): boolean;
}

/**
 * Whether the order of series inside the query is left to a hash map by the reference: after every per-step operator of
 * a range query or a subquery, and after a few operators always.
 */
function hasNoOrder(query: string, isRange: boolean): boolean {
  const isPlain = /^\w+(?: (?:by|without) \([^)]*\) )?\((?:[^,()]*, )?\w+(?:\{[^}]*\})?\)$/.test(query);
  return (isRange && !isPlain) || /count_values|histogram_(?:quantile|fraction)|info\(|\[[^\]]*:/.test(query);
}

/** Whether the values of a difference agree to four digits. */
function isRounding({ theirs, ours }: Difference): boolean {
  const [a, b] = [theirs, ours].map((text) => Number(/"([^"]*)"\]$/.exec(text)?.[1]));
  // The sign of a zero that is the least or the greatest is that of the first.
  return Math.abs(a! - b!) <= 1e-4 * Math.abs(a!);
}

/** Whether every number of our histogram is the same part of theirs. */
function isScaled({ theirs, ours }: Difference): boolean {
  const [a, b] = [theirs, ours].map((text) => numbersOf(/\[[\d.]+,(\{.*\})\]$/.exec(text)?.[1]));
  if (a === undefined || b === undefined || a.length === 0 || a.length !== b.length) return false;
  const factor = b[0]! / a[0]!;
  return a.every((x, i) => !(Math.abs(b[i]! - x * factor) > 1e-9 * Math.abs(x)));
}

const SORTING = /^(?:sort|sort_desc|topk|bottomk)\b/;

/** Our annotations that they do not have, when they have no other ones; else one that fits no rule. */
function missingNotes({ theirs, ours }: Difference): string[] {
  if (!theirs.startsWith('[') || !ours.startsWith('[')) return ['too many to tell'];
  const [a, b] = [theirs, ours].map((list) => JSON.parse(list) as string[]);
  if (!a!.every((note) => b!.includes(note))) return ['theirs has others'];
  return b!.filter((note) => !a!.includes(note));
}

/** Count, sum and bucket counts of a histogram in JSON. */
function numbersOf(json: string | undefined): number[] {
  if (json === undefined) return [];
  const { count, sum, buckets = [] } = JSON.parse(json) as HistogramJson;
  return [count, sum, ...buckets.map((bucket) => bucket[3])].map(Number);
}

/** Differences in data. A rule gets the smallest query that still differs, and this has to fit exactly. */
export const EXPLANATIONS: readonly Explanation[] = [
  {
    name: 'histogram_fraction: the first classic bucket begins at 0 when its bound is positive (3.8), at -Inf before',
    basis: 'spec',
    explains: ({ query, difference }) => difference.field === 'values' && /^histogram_fraction\(/.test(query),
  },
  {
    name: 'info: a base series that has the wanted labels itself is kept, 3.5 drops it',
    basis: 'observed',
    explains: ({ query, difference }) =>
      difference.field === 'series' &&
      /^info\(.*, \{.*\}\)$/.test(query) &&
      /^\d+ series$/.test(difference.theirs),
  },
  {
    name: 'info reads info series at the time of the first selector, 3.5 at the evaluation time',
    basis: 'spec',
    explains: ({ query, difference }) =>
      (difference.field === 'series' || difference.field === 'values') &&
      /^info\(.*(?: @ | offset )/.test(query),
  },
  {
    name: 'a second partner of a match is an error even when the comparison drops the pair (3.9)',
    basis: 'spec',
    explains: ({ query, difference }) =>
      difference.field === 'status' &&
      difference.theirs.startsWith('200') &&
      difference.ours.startsWith('422 error execution multiple matches for labels: ') &&
      / (?:==|!=|<|>|<=|>=) (?!bool)/.test(query),
  },
  {
    name: 'which duplicate of a match is reported depends on the order of series, which per-step operators leave to a hash map',
    basis: 'order',
    explains: ({ isRange, query, difference }) =>
      hasNoOrder(query, isRange) &&
      difference.field === 'error' &&
      [difference.theirs, difference.ours].every((text) =>
        text.startsWith('found duplicate series for the match group'),
      ),
  },
  {
    name: 'topk, bottomk and limitk pick by the order of series where 3.5 leaves that to a hash map',
    basis: 'order',
    explains: ({ isRange, query, difference }) =>
      (difference.field === 'series' || difference.theirs.endsWith(' points')) &&
      /\b(?:topk|bottomk|limitk)\b/.test(query) &&
      hasNoOrder(query, isRange),
  },
  {
    name: 'last digits of sums and deviations and signs of zeros depend on the order of series where 3.5 leaves that to a hash map',
    basis: 'order',
    explains: ({ isRange, query, difference }) =>
      difference.field === 'values' &&
      /\b(?:stddev|stdvar|sum|avg|min|max)\b/.test(query) &&
      hasNoOrder(query, isRange) &&
      isRounding(difference),
  },
  {
    name: 'count_values names last digits that depend on the order of series where 3.5 leaves that to a hash map',
    basis: 'order',
    explains: ({ isRange, query, difference }) =>
      difference.field === 'series' &&
      Number.parseInt(difference.theirs, 10) === Number.parseInt(difference.ours, 10) &&
      /^count_values\b.*\b(?:stddev|stdvar|sum|avg)\b/.test(query) &&
      hasNoOrder(query, isRange),
  },
  {
    name: 'a comparison of equal sums or deviations: 3.5 adds up in another order each time',
    basis: 'order',
    explains: ({ isRange, query, difference }) =>
      (difference.field === 'series' || difference.field === 'values') &&
      /\b(?:stddev|stdvar|sum|avg)\b.* (?:==|!=|<=|>=|<|>) .*\b(?:stddev|stdvar|sum|avg)\b/.test(query) &&
      hasNoOrder(query, isRange),
  },
  {
    name: 'timestamp of a selector with both @ and offset: 3.5 answers as without the offset',
    basis: 'observed',
    explains: ({ query, difference }) =>
      (difference.field === 'series' || difference.field === 'values') &&
      /^timestamp\([^()]*(?: @ .* offset | offset .* @ )/.test(query),
  },
  {
    name: 'info of a range function: 3.5 looks for info samples in its window, not by the lookback',
    basis: 'spec',
    explains: ({ query, difference }) =>
      (difference.field === 'series' || difference.field === 'values') && /^info\(\w+\(.*\[/.test(query),
  },
  {
    name: 'info inside of a subquery: 3.5 takes info series for one another while base series are away',
    basis: 'observed',
    explains: ({ query, difference }) =>
      (difference.field === 'series' || difference.field === 'values') && /\binfo\(.*\[[^\]]*:/.test(query),
  },
  {
    name: 'parameters are checked before the first step, in 3.5 at every element',
    basis: 'spec',
    explains: ({ query, difference }) =>
      difference.field === 'status' &&
      difference.theirs.startsWith('200') &&
      /^422 error execution (?:(?:Parameter value|Ratio value) is NaN|Scalar value \S+ (?:over|under)flows int64)$/.test(
        difference.ours,
      ) &&
      /^(?:topk|bottomk|limitk|limit_ratio)\b/.test(query),
  },
  {
    name: 'of several bad values of k, NaN is reported first, in 3.5 that of the first step',
    basis: 'spec',
    explains: ({ query, difference }) =>
      difference.field === 'error' &&
      /^Scalar value \S+ (?:over|under)flows int64$/.test(difference.theirs) &&
      difference.ours === 'Parameter value is NaN' &&
      /^(?:topk|bottomk|limitk)\b/.test(query),
  },
  {
    name: 'label_replace and label_join merge series that never meet at a step, 3.5 refuses them',
    basis: 'spec',
    explains: ({ isRange, query, difference }) =>
      isRange &&
      difference.field === 'status' &&
      difference.theirs === '422 error execution vector cannot contain metrics with the same labelset' &&
      difference.ours.startsWith('200') &&
      /^label_(?:replace|join)\(/.test(query),
  },
  {
    name: 'the sign of a zero among the sorted values of a quantile: the sort of the reference is not stable',
    basis: 'order',
    explains: ({ query, difference }) =>
      difference.field === 'values' &&
      /^quantile/.test(query) &&
      [difference.theirs, difference.ours].every((text) => /"-?0"\]$/.test(text)),
  },
  {
    name: 'mad_over_time: NaN among the samples gives NaN (3.14), 0 or a number before',
    basis: 'spec',
    explains: ({ query, difference }) =>
      difference.field === 'values' && /^mad_over_time\(/.test(query) && difference.ours.endsWith('"NaN"]'),
  },
  {
    name: "Go's logarithm for amd64 takes subnormal numbers for normal ones",
    basis: 'observed',
    explains: ({ query, difference }) =>
      difference.field === 'values' &&
      /^(?:ln|log10)\(/.test(query) &&
      [difference.theirs, difference.ours].every((text) =>
        /"-(?:3[012]\d|7[0-4]\d)(?:\.\d+)?"\]$/.test(text),
      ),
  },
  {
    name: 'custom buckets with different bounds are reconciled with an info (3.8), refused with a warning before',
    basis: 'spec',
    explains: ({ difference, all }) =>
      difference.field !== 'status' &&
      all.some(
        ({ field, theirs, ours }) =>
          (field === 'warnings' &&
            theirs.includes('vector contains histograms with incompatible custom buckets')) ||
          (field === 'infos' && ours.includes('mismatched custom buckets were reconciled')),
      ),
  },
  {
    name: 'custom buckets with different bounds in + and - (3.8), where another annotation of the step stands for both',
    basis: 'spec',
    explains: ({ query, difference }) =>
      (difference.field === 'values' || difference.field === 'series') &&
      /\b(?:custom|mixed)\b.* [+-] .*\b(?:custom|mixed)\b/.test(query),
  },
  {
    name: 'means of histograms are sums divided, in 3.5 running means: zero buckets that grow take other ways',
    basis: 'spec',
    explains: ({ query, difference }) =>
      difference.field === 'values' && /\bavg(?:_over_time)?\b.*\bshif/.test(query),
  },
  {
    name: 'histogram statistics: 3.5 compares and subtracts histograms that it read without their buckets',
    basis: 'observed',
    explains: ({ query, difference }) =>
      ['values', 'series', 'warnings', 'infos'].includes(difference.field) &&
      /\bhistogram_(?:count|sum|avg)\(.* (?:==|!=|\+|-) /.test(query),
  },
  {
    name: 'an order by rates of histograms, which do not extrapolate below zero (3.6)',
    basis: 'spec',
    explains: ({ query, difference }) =>
      difference.field === 'order' &&
      SORTING.test(query) &&
      /\bhistogram_.*\b(?:rate|increase)\(/.test(query),
  },
  {
    name: 'other custom bounds are a counter reset only if counts on the common ones shrank, in 3.5 always',
    basis: 'spec',
    explains: ({ query, difference }) =>
      (difference.field === 'values' || difference.field === 'infos') &&
      /\b(?:resets|irate)\(custom\b/.test(query),
  },
  {
    name: 'rate and increase of histograms do not extrapolate below zero (3.6)',
    basis: 'spec',
    explains: ({ query, difference }) =>
      difference.field === 'values' && /\b(?:rate|increase)\(/.test(query) && isScaled(difference),
  },
  {
    name: 'histogram_quantile with NaN observations: 3.5 answers beyond all buckets',
    basis: 'observed',
    explains: ({ query, difference }) =>
      (difference.field === 'values' || difference.field === 'infos') &&
      /^histogram_quantile\(.*\bstran/.test(query),
  },
  {
    name: 'sums of histogram statistics warn of conflicting counter resets and schemas, which 3.5 does not see there',
    basis: 'spec',
    explains: ({ query, difference }) =>
      difference.field === 'warnings' &&
      /\bhistogram_(?:count|sum|avg)\(/.test(query) &&
      missingNotes(difference).every((note) =>
        /conflicting counter resets during|mix of histograms with exponential and custom/.test(note),
      ),
  },
  {
    name: 'statistics of histograms keep schema and gauge hint, which 3.5 loses',
    basis: 'observed',
    explains: ({ query, difference }) =>
      (difference.field === 'values' || difference.field === 'series') &&
      /\bhistogram_(?:count|sum|avg)\(.*\b(?:delay|mix|custom)/.test(query),
  },
  {
    name: 'the text of a histogram shows last digits, which 3.5 rounds otherwise',
    basis: 'observed',
    explains: ({ query, difference }) =>
      difference.field === 'series' &&
      Number.parseInt(difference.theirs, 10) === Number.parseInt(difference.ours, 10) &&
      /^count_values\b.*\b(?:sum|avg)/.test(query),
  },
  {
    name: 'a negated histogram is a gauge, which functions of counters warn of',
    basis: 'spec',
    explains: ({ query, difference }) =>
      difference.field === 'warnings' &&
      /\b(?:rate|increase|irate)\(\(-\w/.test(query) &&
      missingNotes(difference).every((note) =>
        note.includes('this native histogram metric is not a counter: ""'),
      ),
  },
  {
    name: 'empty buckets of a chunk: NaN when multiplied with Inf or NaN, and which ones there are is up to the chunk',
    basis: 'observed',
    explains: ({ query, difference }) =>
      difference.field === 'values' &&
      /\b(?:Inf|NaN)\b/.test(query) &&
      /"buckets":.*"NaN"\]/.test(difference.theirs),
  },
];

type Side = 'theirs' | 'ours';

/** A change of words. Applied to the texts of one side before the comparison. */
interface Rewording {
  readonly name: string;
  readonly side: Side;
  readonly rangeOnly?: boolean;
  readonly pattern: RegExp;
  /** The text of today; null when the text is left out. */
  reword(match: RegExpMatchArray): string | null;
}

const REWORDINGS: readonly Rewording[] = [
  {
    name: 'annotations name a metric only if it has a name',
    side: 'theirs',
    pattern:
      /^(PromQL (?:warning: bucket label|warning: vector contains a mix of classic|info: input to histogram_\w+) .*) for metric name ""( \(\d+:\d+\))$/,
    reword: ([, text = '', position = '']) => text + position,
  },
  {
    name: 'infos on NaN observations are about the vector, in 3.5 about the first argument (ours)',
    side: 'ours',
    pattern: /^(PromQL info: input to histogram_(?:quantile|fraction) has NaN observations, .*) \(\d+:\d+\)$/,
    reword: ([, text = '']) => text,
  },
  {
    name: 'infos on NaN observations are about the vector, in 3.5 about the first argument (theirs)',
    side: 'theirs',
    pattern: /^(PromQL info: input to histogram_(?:quantile|fraction) has NaN observations, .*) \(\d+:\d+\)$/,
    reword: ([, text = '']) => text,
  },
  {
    name: 'a ratio that is NaN is said once',
    side: 'theirs',
    pattern: /^Ratio value NaN is NaN$/,
    reword: () => 'Ratio value is NaN',
  },
  {
    name: 'a parameter that is NaN is named as such',
    side: 'theirs',
    pattern: /^Scalar value NaN overflows int64$/,
    reword: () => 'Parameter value is NaN',
  },
  {
    name: 'annotations on classic histograms name the metric only with delayed name removal',
    side: 'theirs',
    pattern:
      /^(PromQL (?:warning: bucket label "le" is missing|warning: vector contains a mix of classic|info: input to histogram_quantile needed) .*) for metric name "(?:[^"\\]|\\.)*"( \(\d+:\d+\))$/,
    reword: ([, text = '', position = '']) => text + position,
  },
  {
    name: 'the info on monotonicity has details since 3.10',
    side: 'ours',
    pattern:
      /^(PromQL info: input to histogram_quantile needed to be fixed for monotonicity \(see [^)]*\)), from buckets \S+ to \S+, with a max diff of \S+, over \d+ samples from \S+ to \S+( \(\d+:\d+\))$/,
    reword: ([, text = '', position = '']) => text + position,
  },
  {
    name: 'sort functions warn in range queries since 3.12',
    side: 'ours',
    rangeOnly: true,
    pattern:
      /^PromQL warning: sort is ineffective for range queries since results are always ordered by labels \(\d+:\d+\)$/,
    reword: () => null,
  },
  {
    name: 'the two series of a duplicate match are sorted',
    side: 'theirs',
    pattern:
      /^(found duplicate series for the match group .* hand-side of the operation: \[)(\{.*\}), (\{.*\})(\];many-to-many .*)$/,
    reword: ([, before = '', a = '', b = '', after = '']) => before + [a, b].sort().join(', ') + after,
  },
];

/** Brings the words of both answers to those that 3.5 and today have in common; `used` counts the rewordings by name. */
export function align(
  theirs: ApiAnswer,
  ours: ApiAnswer,
  isRange: boolean,
  used: Map<string, number>,
): [theirs: ApiAnswer, ours: ApiAnswer] {
  const apply = (side: Side, answer: ApiAnswer): ApiAnswer => {
    const rules = REWORDINGS.filter((rule) => rule.side === side && (isRange || rule.rangeOnly !== true));
    const rewordAll = (texts: readonly string[]): string[] => {
      let out = [...texts];
      for (const { name, pattern, reword } of rules) {
        out = out.flatMap((text) => {
          const match = pattern.exec(text);
          if (match === null) return [text];
          const reworded = reword(match);
          if (reworded === text) return [text];
          used.set(name, (used.get(name) ?? 0) + 1);
          return reworded === null ? [] : [reworded];
        });
      }
      // Two texts may have become one.
      return [...new Set(out)];
    };
    return {
      ...answer,
      ...(answer.error === undefined ? {} : { error: rewordAll([answer.error])[0] ?? '' }),
      warnings: rewordAll(answer.warnings ?? []),
      infos: rewordAll(answer.infos ?? []),
    };
  };
  const [a, b] = [apply('theirs', theirs), apply('ours', ours)];
  const warnings = withoutTwins(a.warnings ?? [], b.warnings ?? []);
  return [{ ...a, warnings, infos: withoutTwins(a.infos ?? [], b.infos ?? []) }, b];
}

/** Notes that only differ by position since they were reworded: of these, the one is kept that the others have. */
function withoutTwins(notes: readonly string[], others: readonly string[]): string[] {
  const textOf = (note: string): string => note.replace(/ \(\d+:\d+\)$/, '');
  return notes.filter((note) => {
    const twins = notes.filter((one) => textOf(one) === textOf(note));
    return twins.length === 1 || others.includes(note) || !twins.some((one) => others.includes(one));
  });
}
