import type {
  LabelSet,
  QueryEngine,
  QueryRequest,
  QueryResult,
  ScriptStorage,
} from '../../lib/promql/testing/index.js';
import type { Varve } from '../varve.js';
import type { WireSeries } from '../wire.js';
import { compress, encodeRequest, PUSH_HEADERS, pushBody } from '../wire.js';
import { type AnswerSeries, type ApiAnswer, seriesOf } from './compare.js';
import { sortedLabels } from './data.js';
import { ask } from './differential.js';

/**
 * A script's storage and engine at the other end of HTTP: samples go in by remote write, queries through the query API.
 * Every `clear` begins another tenant.
 */
export class HttpSystem implements QueryEngine, ScriptStorage {
  private readonly varve: Varve;
  private readonly name: string;
  private section = 0;
  private pending: WireSeries[] = [];
  private hasHistograms = false;

  constructor(varve: Varve, name: string) {
    this.varve = varve;
    this.name = name;
  }

  clear(): void {
    this.section++;
    this.pending = [];
    this.hasHistograms = false;
  }

  append(labels: LabelSet, timestampsMs: Float64Array, values: Float64Array): void {
    const bits = new BigUint64Array(values.buffer, values.byteOffset, values.length);
    this.pending.push({
      labels: labels.map(({ name, value }) => [name, value]),
      samples: Array.from(timestampsMs, (timestampMs, i) => ({ timestampMs, value: bits[i]! })),
    });
  }

  appendHistograms(): void {
    this.hasHistograms = true;
  }

  async execute(request: QueryRequest): Promise<QueryResult> {
    if (this.hasHistograms) throw new Error('native histograms are not supported by this runner yet');
    const tenant = { 'x-scope-orgid': `${this.name}-${this.section}` };
    if (this.pending.length > 0) {
      const body = compress(encodeRequest(this.pending));
      this.pending = [];
      const answer = await pushBody(this.varve.pushUrl, body, { ...PUSH_HEADERS, ...tenant });
      if (answer.status >= 300) throw new Error(`push answered ${answer.status}: ${answer.text}`);
    }
    const seconds = (ms: number): string => (ms / 1000).toFixed(3);
    const isInstant = request.stepMs === 0;
    const parameters: Record<string, string> = isInstant
      ? { time: seconds(request.startMs) }
      : { start: seconds(request.startMs), end: seconds(request.endMs), step: seconds(request.stepMs) };
    const path = isInstant ? 'query' : 'query_range';
    return resultOf(request, await ask(this.varve, { path, parameters }, request.query, tenant));
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
  if (type === 'string') return { type, timestampMs, value: String(series[0]?.points[0]?.[1]) };
  if (type === 'scalar') return { type, timestampMs, value: toNumber(series[0]?.points[0]?.[1]) };
  if (type === 'vector') {
    const rows = series.map((one) => ({
      labels: labelsOf(one),
      values: Float64Array.of(toNumber(one.points[0]?.[1])),
      present: Uint8Array.of(1),
    }));
    return { type, timestampMs, series: rows };
  }
  const timesOf = ({ points }: AnswerSeries) => points.map(([time]) => Math.round(time * 1000));
  const valuesOf = ({ points }: AnswerSeries) => points.map(([, value]) => toNumber(value));
  if (request.stepMs === 0) {
    const rows = series.map((one) => ({
      labels: labelsOf(one),
      timestampsMs: Float64Array.from(timesOf(one)),
      values: Float64Array.from(valuesOf(one)),
    }));
    return { type: 'rawMatrix', series: rows };
  }
  const { startMs, endMs, stepMs } = request;
  const stepCount = Math.floor((endMs - startMs) / stepMs) + 1;
  const rows = series.map((one) => {
    const values = new Float64Array(stepCount);
    const present = new Uint8Array(stepCount);
    const numbers = valuesOf(one);
    timesOf(one).forEach((time, i) => {
      values[(time - startMs) / stepMs] = numbers[i]!;
      present[(time - startMs) / stepMs] = 1;
    });
    return { labels: labelsOf(one), values, present };
  });
  return { type: 'matrix', startMs, stepMs, stepCount, series: rows };
}

function toNumber(value: AnswerSeries['points'][number][1] | undefined): number {
  if (typeof value !== 'string') throw new Error(`no float: ${JSON.stringify(value)}`);
  return value === '+Inf' ? Infinity : value === '-Inf' ? -Infinity : Number(value);
}
