import type { Answer } from './ask.js';

/** How an answer differs from the one of raw samples. */
export interface Difference {
  /** Values that both have. */
  readonly points: number;
  /** Values that only one of them has. */
  readonly missing: number;
  readonly added: number;
  /** Largest of |a - b| / max(|a|, |b|), and the share of the points in which it is above 1e-12. */
  readonly relativeMax: number;
  readonly inexact: number;
  /** Sum of all differences, by the sum of all values: errors at borders that even out do not show in it. */
  readonly bias: number;
  /** Quantiles of the relative differences. */
  readonly p50: number;
  readonly p99: number;
  /** Where the largest difference is, for people to look at. */
  readonly worst: string;
}

/** What counts as the same value: sums are added up in another order. */
export const EXACT = 1e-12;

export function compare(answer: Answer, raw: Answer): Difference {
  let [missing, added, inexact, relativeMax, worst] = [0, 0, 0, 0, ''];
  let [difference, total] = [0, 0];
  const relatives: number[] = [];
  for (const [series, expected] of raw.series) {
    const values = answer.series.get(series);
    for (const [time, value] of expected) {
      const found = values?.get(time);
      if (found === undefined) {
        missing++;
        continue;
      }
      const relative = relativeDifference(found, value);
      relatives.push(relative);
      difference += found - value;
      total += Math.abs(value);
      if (relative > EXACT) inexact++;
      if (relative <= relativeMax) continue;
      relativeMax = relative;
      worst = `${series} at ${time}: ${found}, raw ${value}`;
    }
  }
  for (const [series, values] of answer.series) {
    const expected = raw.series.get(series);
    for (const time of values.keys()) if (expected?.has(time) !== true) added++;
  }
  relatives.sort((a, b) => a - b);
  const quantile = (q: number) => relatives[Math.floor((relatives.length - 1) * q)] ?? 0;
  const points = relatives.length;
  return {
    ...{ points, missing, added, relativeMax, inexact: points === 0 ? 0 : inexact / points },
    ...{ bias: total === 0 ? 0 : difference / total, p50: quantile(0.5), p99: quantile(0.99), worst },
  };
}

function relativeDifference(a: number, b: number): number {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return 0;
  return Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b));
}
