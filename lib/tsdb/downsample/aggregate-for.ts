/** What a query can have of a downsampled series. */
export type SeriesAggregate = 'count' | 'sum' | 'min' | 'max' | 'counter' | 'average';

/**
 * How good the answer is.
 *
 * - exact: as from raw samples when windows of the query end where windows of the level do;
 * - near: of the same kind, but at the level's grain (values between the windows' ends don't show);
 * - poor: the function looks at single samples, which the level does not have. Use raw samples while there are any.
 */
export type AnswerGrade = 'exact' | 'near' | 'poor';

/** How to answer a PromQL function from a downsampled level. */
export interface AggregateChoice {
  /** The series to put in the place of the raw one. */
  readonly aggregate: SeriesAggregate;
  /** The function to evaluate on it: the given one but for counts, which are to be added up. */
  readonly func: string;
  /** For means: the result is to be divided by `sum_over_time` of the count aggregate. */
  readonly isPerCount: boolean;
  readonly grade: AnswerGrade;
}

const CHOICES: Readonly<Record<string, readonly [SeriesAggregate, AnswerGrade]>> = {
  rate: ['counter', 'exact'],
  increase: ['counter', 'exact'],
  irate: ['counter', 'poor'],
  resets: ['counter', 'poor'],
  sum_over_time: ['sum', 'exact'],
  count_over_time: ['count', 'exact'],
  present_over_time: ['count', 'exact'],
  absent_over_time: ['count', 'exact'],
  min_over_time: ['min', 'exact'],
  max_over_time: ['max', 'exact'],
  ts_of_min_over_time: ['min', 'near'],
  ts_of_max_over_time: ['max', 'near'],
  min: ['min', 'near'],
  max: ['max', 'near'],
  count: ['count', 'exact'],
  group: ['count', 'exact'],
  absent: ['count', 'exact'],
  changes: ['average', 'poor'],
  idelta: ['average', 'poor'],
  quantile_over_time: ['average', 'poor'],
  stddev_over_time: ['average', 'poor'],
  stdvar_over_time: ['average', 'poor'],
  mad_over_time: ['average', 'poor'],
  timestamp: ['average', 'poor'],
  ts_of_first_over_time: ['average', 'poor'],
  ts_of_last_over_time: ['average', 'poor'],
};

/**
 * Which aggregate answers the function or aggregation around a selector (spec: thanos-downsampling.md §9). Whatever is
 * not listed there reads the mean of each window.
 * @param func the name as in SelectHints, empty when there is none
 */
export function aggregateFor(func: string): AggregateChoice {
  if (func === 'avg_over_time')
    return { aggregate: 'sum', func: 'sum_over_time', isPerCount: true, grade: 'exact' };
  const [aggregate, grade] = CHOICES[func] ?? (['average', 'near'] as const);
  return { aggregate, func: func === 'count_over_time' ? 'sum_over_time' : func, isPerCount: false, grade };
}
