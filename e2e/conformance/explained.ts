import type { ApiAnswer, Difference } from './compare.js';

/**
 * Differences from Prometheus 3.5 that are there on purpose, because the language moved on: Varve speaks that of the
 * main branch of August 2026, whose test scripts have the last word.
 */

export interface ExplainedCase {
  /** The shrunk query: the smallest one found that still differs. */
  readonly query: string;
  readonly isRange: boolean;
  readonly difference: Difference;
}

export interface Explanation {
  readonly name: string;
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

/** Differences in data. A rule gets the smallest query that still differs, and this has to fit exactly. */
export const EXPLANATIONS: readonly Explanation[] = [
  {
    name: 'histogram_fraction: the first classic bucket begins at 0 when its bound is positive (3.8), at -Inf before',
    explains: ({ query, difference }) => difference.field === 'values' && /^histogram_fraction\(/.test(query),
  },
  {
    name: 'info: a base series that has the wanted labels itself is kept (3.9), dropped before',
    explains: ({ query, difference }) =>
      difference.field === 'series' &&
      /^info\(.*, \{.*\}\)$/.test(query) &&
      /^\d+ series$/.test(difference.theirs),
  },
  {
    name: 'info reads info series at the time of the first selector (3.10), at the evaluation time before',
    explains: ({ query, difference }) =>
      (difference.field === 'series' || difference.field === 'values') &&
      /^info\(.*(?: @ | offset )/.test(query),
  },
  {
    name: 'a second partner of a one-to-one match is an error even when the comparison drops the pair (3.9)',
    explains: ({ query, difference }) =>
      difference.field === 'status' &&
      difference.theirs.startsWith('200') &&
      difference.ours ===
        '422 error execution multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)' &&
      / (?:==|!=|<|>|<=|>=) (?!bool)/.test(query),
  },
  {
    name: 'which duplicate of a match is reported depends on the order of series, which per-step operators leave to a hash map',
    explains: ({ isRange, query, difference }) =>
      hasNoOrder(query, isRange) &&
      difference.field === 'error' &&
      [difference.theirs, difference.ours].every((text) =>
        text.startsWith('found duplicate series for the match group'),
      ),
  },
  {
    name: 'topk, bottomk and limitk pick by the order of series where 3.5 leaves that to a hash map',
    explains: ({ isRange, query, difference }) =>
      (difference.field === 'series' || difference.theirs.endsWith(' points')) &&
      /\b(?:topk|bottomk|limitk)\b/.test(query) &&
      hasNoOrder(query, isRange),
  },
  {
    name: 'last digits of sums and deviations and signs of zeros depend on the order of series where 3.5 leaves that to a hash map',
    explains: ({ isRange, query, difference }) =>
      difference.field === 'values' &&
      /\b(?:stddev|stdvar|sum|avg|min|max)\b/.test(query) &&
      hasNoOrder(query, isRange) &&
      isRounding(difference),
  },
  {
    name: 'count_values names last digits that depend on the order of series where 3.5 leaves that to a hash map',
    explains: ({ isRange, query, difference }) =>
      difference.field === 'series' &&
      Number.parseInt(difference.theirs, 10) === Number.parseInt(difference.ours, 10) &&
      /^count_values\b.*\b(?:stddev|stdvar|sum|avg)\b/.test(query) &&
      hasNoOrder(query, isRange),
  },
  {
    name: 'a comparison of equal sums or deviations: 3.5 adds up in another order each time',
    explains: ({ isRange, query, difference }) =>
      (difference.field === 'series' || difference.field === 'values') &&
      /\b(?:stddev|stdvar|sum|avg)\b.* (?:==|!=|<=|>=|<|>) .*\b(?:stddev|stdvar|sum|avg)\b/.test(query) &&
      hasNoOrder(query, isRange),
  },
  {
    name: 'timestamp of a selector with both @ and offset: 3.5 forgets the offset after having read by it',
    explains: ({ query, difference }) =>
      (difference.field === 'series' || difference.field === 'values') &&
      /^timestamp\([^()]*(?: @ .* offset | offset .* @ )/.test(query),
  },
  {
    name: 'info of a range function: 3.5 looks for info samples in its window, not by the lookback',
    explains: ({ query, difference }) =>
      (difference.field === 'series' || difference.field === 'values') && /^info\(\w+\(.*\[/.test(query),
  },
  {
    name: 'info inside of a subquery: 3.5 takes info series for one another while base series are away',
    explains: ({ query, difference }) =>
      (difference.field === 'series' || difference.field === 'values') && /\binfo\(.*\[[^\]]*:/.test(query),
  },
  {
    name: 'parameters are checked before the first step (3.8), at every element before',
    explains: ({ query, difference }) =>
      difference.field === 'status' &&
      difference.theirs.startsWith('200') &&
      /^422 error execution (?:(?:Parameter value|Ratio value) is NaN|Scalar value \S+ (?:over|under)flows int64)$/.test(
        difference.ours,
      ) &&
      /^(?:topk|bottomk|limitk|limit_ratio)\b/.test(query),
  },
  {
    name: 'of several bad values of k, NaN is reported first (3.8), that of the first step before',
    explains: ({ query, difference }) =>
      difference.field === 'error' &&
      /^Scalar value \S+ (?:over|under)flows int64$/.test(difference.theirs) &&
      difference.ours === 'Parameter value is NaN' &&
      /^(?:topk|bottomk|limitk)\b/.test(query),
  },
  {
    name: 'label_replace and label_join merge series that never meet at a step, 3.5 refuses them',
    explains: ({ isRange, query, difference }) =>
      isRange &&
      difference.field === 'status' &&
      difference.theirs === '422 error execution vector cannot contain metrics with the same labelset' &&
      difference.ours.startsWith('200') &&
      /^label_(?:replace|join)\(/.test(query),
  },
  {
    name: 'the sign of a zero among the sorted values of a quantile: the sort of the reference is not stable',
    explains: ({ query, difference }) =>
      difference.field === 'values' &&
      /^quantile/.test(query) &&
      [difference.theirs, difference.ours].every((text) => /"-?0"\]$/.test(text)),
  },
  {
    name: 'mad_over_time: NaN among the samples gives NaN (3.14), 0 or a number before',
    explains: ({ query, difference }) =>
      difference.field === 'values' && /^mad_over_time\(/.test(query) && difference.ours.endsWith('"NaN"]'),
  },
  {
    name: "Go's logarithm for amd64 takes subnormal numbers for normal ones",
    explains: ({ query, difference }) =>
      difference.field === 'values' &&
      /^(?:ln|log10)\(/.test(query) &&
      [difference.theirs, difference.ours].every((text) =>
        /"-(?:3[012]\d|7[0-4]\d)(?:\.\d+)?"\]$/.test(text),
      ),
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
    name: 'annotations name a metric only if it has a name',
    side: 'theirs',
    pattern: /^(PromQL (?:warning|info): .*) for metric name ""( \(\d+:\d+\))$/,
    reword: ([, text = '', position = '']) => text + position,
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
  return [apply('theirs', theirs), apply('ours', ours)];
}
