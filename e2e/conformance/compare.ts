import { closeTo, type Labels } from '../answers.js';

/** Compares two answers of the query API in every field that a client can see. */

export interface ApiAnswer {
  readonly code: number;
  readonly status: string;
  readonly errorType?: string;
  readonly error?: string;
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
  readonly data?: { readonly resultType: string; readonly result: unknown };
}

export interface HistogramJson {
  readonly count: string;
  readonly sum: string;
  readonly buckets?: readonly (readonly [code: number, lower: string, upper: string, count: string])[];
}

export type JsonPoint = readonly [timestamp: number, value: string | HistogramJson];

export interface AnswerSeries {
  readonly metric: Labels;
  readonly points: readonly JsonPoint[];
}

export type Field = 'status' | 'error' | 'warnings' | 'infos' | 'type' | 'series' | 'order' | 'values';

export interface Difference {
  readonly field: Field;
  /** What they say and what we say, shortened for reading. */
  readonly theirs: string;
  readonly ours: string;
}

export interface CompareOptions {
  readonly ordered: boolean;
  /** Series of equal values may stand in another order: the sort of the reference is not stable. */
  readonly tiesMayMove: boolean;
  readonly tolerance: number;
}

/** Where our answer differs from theirs. */
export function compareAnswers(theirs: ApiAnswer, ours: ApiAnswer, options: CompareOptions): Difference[] {
  if (theirs.status !== ours.status || theirs.code !== ours.code || theirs.errorType !== ours.errorType) {
    return [{ field: 'status', theirs: statusOf(theirs), ours: statusOf(ours) }];
  }
  if (theirs.error !== ours.error) {
    return [{ field: 'error', theirs: theirs.error ?? '', ours: ours.error ?? '' }];
  }
  const out: Difference[] = [];
  for (const field of ['warnings', 'infos'] as const) {
    const [a, b] = [notesOf(theirs[field]), notesOf(ours[field])];
    if (a !== b) out.push({ field, theirs: a, ours: b });
  }
  if (theirs.data !== undefined && ours.data !== undefined)
    out.push(...compareData(theirs.data, ours.data, options));
  return out;
}

function statusOf(answer: ApiAnswer): string {
  return `${answer.code} ${answer.status} ${answer.errorType ?? ''} ${answer.error ?? ''}`.trim();
}

/** Annotations as a sorted list. Which ones are left out of a long list is not defined, so long ones are only long. */
function notesOf(notes: readonly string[] = []): string {
  if (notes.some((note) => / more (?:warning|info) annotations omitted$/.test(note))) return 'many';
  return JSON.stringify([...notes].sort());
}

type Data = NonNullable<ApiAnswer['data']>;

/** The series of an answer, whatever its type. */
export function seriesOf(data: Data): AnswerSeries[] {
  interface Item {
    readonly metric: Labels;
    readonly value?: JsonPoint;
    readonly histogram?: JsonPoint;
    readonly values?: readonly JsonPoint[];
    readonly histograms?: readonly JsonPoint[];
  }
  if (data.resultType === 'scalar' || data.resultType === 'string') {
    return [{ metric: {}, points: [data.result as JsonPoint] }];
  }
  return (data.result as Item[]).map(({ metric, value, histogram, values = [], histograms = [] }) => ({
    metric,
    points: [
      ...(value === undefined ? [] : [value]),
      ...values,
      ...(histogram === undefined ? [] : [histogram]),
      ...histograms,
    ],
  }));
}

/** Whether an answer has at least one sample. */
export function hasData(answer: ApiAnswer): boolean {
  return answer.data !== undefined && seriesOf(answer.data).some((series) => series.points.length > 0);
}

function compareData(theirs: Data, ours: Data, options: CompareOptions): Difference[] {
  if (theirs.resultType !== ours.resultType) {
    return [{ field: 'type', theirs: theirs.resultType, ours: ours.resultType }];
  }
  const [a, b] = [seriesOf(theirs), seriesOf(ours)];
  const keys = (list: readonly AnswerSeries[]) => list.map(({ metric }) => keyOf(metric));
  const [aKeys, bKeys] = [keys(a), keys(b)];
  if (!sameTexts([...aKeys].sort(), [...bKeys].sort())) {
    const missing = aKeys.filter((key) => !bKeys.includes(key));
    const extra = bKeys.filter((key) => !aKeys.includes(key));
    return [
      {
        field: 'series',
        theirs: `${a.length} series${missing.length > 0 ? `, among them ${missing.slice(0, 3).join(' ')}` : ''}`,
        ours: `${b.length} series${extra.length > 0 ? `, among them ${extra.slice(0, 3).join(' ')}` : ''}`,
      },
    ];
  }
  const out: Difference[] = [];
  if (options.ordered && !sameTexts(aKeys, bKeys) && !(options.tiesMayMove && sameFirstValues(a, b))) {
    out.push({ field: 'order', theirs: aKeys.slice(0, 6).join(' '), ours: bKeys.slice(0, 6).join(' ') });
  }
  const byKey = new Map(b.map((series) => [keyOf(series.metric), series]));
  for (const series of a) {
    const key = keyOf(series.metric);
    const difference = comparePoints(key, series.points, byKey.get(key)!.points, options.tolerance);
    if (difference !== null) return [...out, difference];
  }
  return out;
}

function keyOf(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

function sameFirstValues(a: readonly AnswerSeries[], b: readonly AnswerSeries[]): boolean {
  const values = (list: readonly AnswerSeries[]) => list.map(({ points }) => JSON.stringify(points[0]?.[1]));
  return sameTexts(values(a), values(b));
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}

/** Where the points of one series differ; null when they agree. */
export function comparePoints(
  key: string,
  theirs: readonly JsonPoint[],
  ours: readonly JsonPoint[],
  tolerance: number,
): Difference | null {
  if (theirs.length !== ours.length) {
    return { field: 'values', theirs: `${key}: ${theirs.length} points`, ours: `${ours.length} points` };
  }
  for (const [i, [time, value]] of theirs.entries()) {
    const [otherTime, other] = ours[i]!;
    if (time !== otherTime || !sameValue(value, other, tolerance)) {
      return {
        field: 'values',
        theirs: `${key}: ${JSON.stringify(theirs[i])}`,
        ours: JSON.stringify(ours[i]),
      };
    }
  }
  return null;
}

function sameValue(theirs: JsonPoint[1], ours: JsonPoint[1], tolerance: number): boolean {
  if (typeof theirs === 'string' || typeof ours === 'string') {
    return typeof theirs === 'string' && typeof ours === 'string' && sameNumber(theirs, ours, tolerance);
  }
  return sameHistogram(theirs, ours, tolerance);
}

function sameNumber(theirs: string, ours: string, tolerance: number): boolean {
  return theirs === ours || (closeTo(theirs, ours, tolerance) && Number(theirs) !== 0);
}

/** Count, sum and every bucket with its bounds. */
export function sameHistogram(theirs: HistogramJson, ours: HistogramJson, tolerance: number): boolean {
  return sameHistogramBy(theirs, ours, (a, b) => sameNumber(a, b, tolerance));
}

/** The same with another comparison of numbers. */
export function sameHistogramBy(
  theirs: HistogramJson,
  ours: HistogramJson,
  same: (theirs: string, ours: string) => boolean,
): boolean {
  const [a, b] = [theirs.buckets ?? [], ours.buckets ?? []];
  return (
    same(theirs.count, ours.count) &&
    same(theirs.sum, ours.sum) &&
    a.length === b.length &&
    a.every(([code, ...numbers], i) => {
      const [otherCode, ...others] = b[i]!;
      return code === otherCode && numbers.every((text, k) => same(text, others[k]!));
    })
  );
}
