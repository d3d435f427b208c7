import {
  type Almost,
  EMPTY_LAYOUT,
  FloatHistogram,
  histogramJson,
  type LabelSet,
  type Point,
  type QueryEngine,
  type QueryRequest,
  type QueryResult,
  ScriptSkip,
  type ScriptStorage,
  type ScriptSystem,
} from '../../lib/promql/testing/index.js';
import type { Varve } from '../varve.js';
import { STALE_MARKER_BITS } from '../wire.js';
import {
  type AnswerSeries,
  type ApiAnswer,
  type HistogramJson,
  sameHistogramBy,
  seriesOf,
} from './compare.js';
import { sortedLabels } from './data.js';
import { ask } from './differential.js';
import { pushRequests } from './load.js';
import { type GeneratedPoint, type GeneratedSeries, toRequests } from './series.js';

/** Why evals are skipped. */
export const SKIP_START_TIMES = 'remote write 1.0 carries no start timestamps';

/**
 * A script's storage and engine at the other end of HTTP: samples go in by remote write, queries through the query API.
 * Every `clear` begins another tenant.
 */
export class HttpSystem implements ScriptSystem, QueryEngine, ScriptStorage {
  readonly engine = this;
  readonly storage = this;
  private readonly varve: Varve;
  private readonly name: string;
  private section = 0;
  private pending: GeneratedSeries[] = [];
  private hasStartTimes = false;

  constructor(varve: Varve, name: string) {
    this.varve = varve;
    this.name = name;
  }

  clear(): void {
    this.section++;
    this.pending = [];
    this.hasStartTimes = false;
  }

  appendPoints(
    labels: LabelSet,
    points: readonly Point[],
    stepMs: number,
    startOffsets: readonly (number | null)[] | null,
  ): void {
    if (startOffsets !== null) this.hasStartTimes = true;
    this.pending.push({
      labels: Object.fromEntries(labels.map(({ name, value }) => [name, value])),
      points: points.flatMap((point, i) => generatedPoint(point, i * stepMs)),
    });
  }

  async execute(request: QueryRequest): Promise<QueryResult> {
    if (this.hasStartTimes) throw new ScriptSkip(SKIP_START_TIMES);
    const tenant = { 'x-scope-orgid': `${this.name}-${this.section}` };
    const requests = toRequests(this.pending);
    this.pending = [];
    await pushRequests(this.varve.pushUrl, requests, tenant);
    const seconds = (ms: number): string => (ms / 1000).toFixed(3);
    const isInstant = request.stepMs === 0;
    const parameters: Record<string, string> = isInstant
      ? { time: seconds(request.startMs) }
      : { start: seconds(request.startMs), end: seconds(request.endMs), step: seconds(request.stepMs) };
    const path = isInstant ? 'query' : 'query_range';
    return resultOf(request, await ask(this.varve, { path, parameters }, request.query, tenant));
  }

  /** Answers show count, sum and the buckets that are not empty. */
  sameHistogram(expected: FloatHistogram, actual: FloatHistogram, almost: Almost): boolean {
    return sameHistogramBy(jsonOf(expected), jsonOf(actual), (a, b) => almost(toNumber(a), toNumber(b)));
  }

  select(): never {
    throw new Error('samples are read by queries only');
  }

  labelNames(): never {
    throw new Error('labels are not asked for');
  }

  labelValues(): never {
    throw new Error('labels are not asked for');
  }

  series(): never {
    throw new Error('series are not asked for');
  }
}

function generatedPoint(point: Point, timestampMs: number): GeneratedPoint[] {
  switch (point.kind) {
    case 'none':
      return [];
    case 'stale':
      return [{ timestampMs, value: STALE_MARKER_BITS }];
    case 'float':
      return [{ timestampMs, value: point.value }];
    default: {
      const { layout, count, sum, zeroCount, hint } = point.histogram;
      const sides = [point.histogram.positiveBuckets(), point.histogram.negativeBuckets()];
      const [positive, negative] = [layout.positiveIndexes, layout.negativeIndexes].map((indexes, side) =>
        Array.from(indexes, (index, i): [number, number] => [index, sides[side]![i]!]),
      );
      const { schema, zeroThreshold } = layout;
      const histogram = {
        ...{ isFloat: true, schema, zeroThreshold, hint, count, sum, zeroCount },
        ...{ positive: positive!, negative: negative!, customValues: [...layout.customBounds] },
      };
      return [{ timestampMs, histogram }];
    }
  }
}

/** A histogram of which only the answer's form is known. */
class ReceivedHistogram extends FloatHistogram {
  readonly json: HistogramJson;

  constructor(json: HistogramJson) {
    super(EMPTY_LAYOUT, new Float64Array(3));
    this.json = json;
  }
}

function jsonOf(histogram: FloatHistogram): HistogramJson {
  return histogram instanceof ReceivedHistogram ? histogram.json : histogramJson(histogram, String);
}

const NO_STATS = {
  totalQueryableSamples: 0,
  peakSamples: 0,
  evalTotalTime: 0,
  queryPreparationTime: 0,
  innerEvalTime: 0,
  resultSortTime: 0,
  execTotalTime: 0,
};

/** An answer as the engine would have given it. @throws the error that the answer tells of, in the engine's words */
function resultOf(request: QueryRequest, answer: ApiAnswer): QueryResult {
  if (answer.data === undefined) {
    throw new Error((answer.error ?? '').replace(/^invalid parameter "query": /, ''));
  }
  return {
    value: queryValue(request, answer.data.resultType, seriesOf(answer.data)),
    warnings: answer.warnings ?? [],
    infos: answer.infos ?? [],
    stats: NO_STATS,
  };
}

function queryValue(
  request: QueryRequest,
  type: string,
  series: readonly AnswerSeries[],
): QueryResult['value'] {
  const timestampMs = request.startMs;
  const labelsOf = ({ metric }: AnswerSeries): LabelSet =>
    sortedLabels(metric).map(([name, value]) => ({ name, value }));
  const first = series[0]?.points[0]?.[1];
  if (type === 'string') return { type, timestampMs, value: String(first) };
  if (type === 'scalar') return { type, timestampMs, value: toNumber(String(first)) };
  if (type === 'vector') {
    const rows = series.map((one) => ({
      labels: labelsOf(one),
      ...columnsOf(one, () => 0, 1),
    }));
    return { type, timestampMs, series: rows };
  }
  if (request.stepMs === 0) {
    const rows = series.map((one) => {
      const points = [...one.points].sort(([a], [b]) => a - b);
      return {
        labels: labelsOf(one),
        timestampsMs: Float64Array.from(points, ([time]) => Math.round(time * 1000)),
        ...columnsOf({ ...one, points }, (_, i) => i, points.length),
      };
    });
    return { type: 'rawMatrix', series: rows };
  }
  const { startMs, endMs, stepMs } = request;
  const stepCount = Math.floor((endMs - startMs) / stepMs) + 1;
  const rows = series.map((one) => ({
    labels: labelsOf(one),
    ...columnsOf(one, (timeMs) => (timeMs - startMs) / stepMs, stepCount),
  }));
  return { type: 'matrix', startMs, stepMs, stepCount, series: rows };
}

/** The points of a series as columns, each at the place told. */
function columnsOf(
  { points }: AnswerSeries,
  placeOf: (timeMs: number, i: number) => number,
  length: number,
): { values: Float64Array; present: Uint8Array; histograms: (FloatHistogram | null)[] } {
  const values = new Float64Array(length);
  const present = new Uint8Array(length);
  const histograms = new Array<FloatHistogram | null>(length).fill(null);
  points.forEach(([time, value], i) => {
    const place = placeOf(Math.round(time * 1000), i);
    if (typeof value === 'string') values[place] = toNumber(value);
    else histograms[place] = new ReceivedHistogram(value);
    present[place] = typeof value === 'string' ? 1 : 2;
  });
  return { values, present, histograms };
}

function toNumber(text: string): number {
  return text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text);
}
