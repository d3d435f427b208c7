/** Reads answers of the Prometheus HTTP API and says where two of them differ. */

export type Labels = Readonly<Record<string, string>>;
export type Point = readonly [timestamp: number, value: string];

export interface QueryData {
  readonly resultType: 'vector' | 'matrix' | 'scalar' | 'string';
  readonly result: unknown;
}

export interface Envelope {
  readonly status: 'success' | 'error';
  readonly data?: unknown;
  readonly errorType?: string;
  readonly error?: string;
}

interface Series {
  readonly metric: Labels;
  readonly points: readonly Point[];
}

/** Calls an API and returns the envelope, whatever its status code. @throws when the body is no JSON. */
export async function call(
  api: string,
  path: string,
  parameters: Readonly<Record<string, string | readonly string[]>> = {},
  method: 'GET' | 'POST' = 'GET',
): Promise<{ status: number; body: Envelope }> {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of typeof value === 'string' ? [value] : value) form.append(name, one);
  }
  const response =
    method === 'GET'
      ? await fetch(`${api}/${path}?${form}`)
      : await fetch(`${api}/${path}`, { method, body: form });
  const text = await response.text();
  try {
    return { status: response.status, body: JSON.parse(text) as Envelope };
  } catch {
    throw new Error(`${method} ${api}/${path} answered ${response.status} with: ${text.slice(0, 300)}`);
  }
}

/** Runs a query that has to succeed. */
export async function query(
  api: string,
  path: 'query' | 'query_range',
  parameters: Readonly<Record<string, string>>,
): Promise<QueryData> {
  const { status, body } = await call(api, path, parameters, 'POST');
  if (body.status !== 'success') throw new Error(`${parameters['query']}: ${status} ${body.error}`);
  return body.data as QueryData;
}

/** Raw samples of a selector in (end - range, end], per series. */
export async function rawSamples(
  api: string,
  selector: string,
  endMs: number,
  rangeMs: number,
): Promise<Map<string, readonly Point[]>> {
  const data = await query(api, 'query', {
    query: `${selector}[${rangeMs}ms]`,
    time: (endMs / 1000).toFixed(3),
  });
  return new Map(seriesOf(data).map((series) => [keyOf(series.metric), series.points]));
}

/** A label set as a text that equal sets share. */
export function keyOf(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

function seriesOf(data: QueryData): Series[] {
  switch (data.resultType) {
    case 'matrix':
      return (data.result as { metric: Labels; values?: Point[] }[]).map((one) => ({
        metric: one.metric,
        points: one.values ?? [],
      }));
    case 'vector':
      return (data.result as { metric: Labels; value?: Point }[]).map((one) => ({
        metric: one.metric,
        points: one.value === undefined ? [] : [one.value],
      }));
    default:
      return [{ metric: {}, points: [data.result as Point] }];
  }
}

/** Whether two sample values are equal within a relative tolerance. */
export function closeTo(expected: string, found: string, tolerance = 1e-9): boolean {
  if (expected === found) return true;
  const [a, b] = [Number(expected), Number(found)];
  if (!Number.isFinite(a) || !Number.isFinite(b)) return false;
  return Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b));
}

export interface DiffOptions {
  /** The order of series means something (sort, or a range query's order of labels). */
  readonly ordered?: boolean;
  readonly tolerance?: number;
}

const DIFFERENCES_MAX = 10;

/** Says in words where an answer differs from the expected one; empty when it does not. */
export function differences(expected: QueryData, found: QueryData, options: DiffOptions = {}): string[] {
  const out: string[] = [];
  if (expected.resultType !== found.resultType) {
    return [`result type ${found.resultType} instead of ${expected.resultType}`];
  }
  const [wanted, got] = [seriesOf(expected), seriesOf(found)];
  const byKey = new Map(got.map((series) => [keyOf(series.metric), series]));
  if (byKey.size !== got.length) out.push('a label set occurs twice');
  for (const series of wanted) {
    const key = keyOf(series.metric);
    const other = byKey.get(key);
    byKey.delete(key);
    if (other === undefined) {
      out.push(`missing ${key} ${JSON.stringify(series.points.slice(0, 2))}`);
      continue;
    }
    if (series.points.length !== other.points.length) {
      out.push(`${key}: ${other.points.length} points instead of ${series.points.length}`);
      continue;
    }
    const i = series.points.findIndex(([t, v], at) => {
      const [otherT, otherV] = other.points[at]!;
      return t !== otherT || !closeTo(v, otherV, options.tolerance);
    });
    if (i >= 0) {
      out.push(`${key}: ${JSON.stringify(other.points[i])} instead of ${JSON.stringify(series.points[i])}`);
    }
  }
  for (const key of byKey.keys()) out.push(`unexpected ${key}`);
  if (out.length === 0 && options.ordered === true) {
    const at = wanted.findIndex((series, i) => keyOf(series.metric) !== keyOf(got[i]!.metric));
    if (at >= 0)
      out.push(`at place ${at} stands ${keyOf(got[at]!.metric)} instead of ${keyOf(wanted[at]!.metric)}`);
  }
  return out.length > DIFFERENCES_MAX
    ? [...out.slice(0, DIFFERENCES_MAX), `and ${out.length - 10} more`]
    : out;
}

/** Whether an answer holds at least one sample: a comparison of two empty answers proves nothing. */
export function hasSamples(data: QueryData): boolean {
  return seriesOf(data).some((series) => series.points.length > 0);
}
