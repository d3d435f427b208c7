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
    name: 'limitk and limit_ratio pick by the order of series, which per-step operators leave to a hash map',
    explains: ({ query, isRange, difference }) =>
      isRange &&
      difference.field === 'series' &&
      /^limitk/.test(query) &&
      !/^limitk[^(]*\([^,]*, \w+(?:\{[^}]*\})?\)$/.test(query),
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
