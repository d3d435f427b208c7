import { compareLabelSets, type LabelSet } from '../../labels/index.js';
import { polled } from '../../storage/index.js';
import type { MatrixRoot, QueryPlan } from '../plan/index.js';
import { executionError, type QueryContext, sameLabelsetError, timeOf } from './context.js';
import type { QueryValue, RawSeries, ResultSeries } from './engine.js';
import type { Evaluator } from './evaluator.js';
import { findDuplicate } from './label-columns.js';
import { BESIDE_FLOATS, checkCode, sizeColumns } from './loaded-set.js';
import { labelSetOf } from './matching.js';
import { removeMarkedNames } from './names.js';
import { MatrixValue, resultColumns, VectorValue } from './result-columns.js';
import { SampleWindows } from './sample-windows.js';
import { SampleReader, type SeriesSamples } from './series-samples.js';
import { materialise, type RowSource } from './source.js';

const TRUNCATED = 'results truncated due to limit';

/** Builds the answer out of rows: kernel memory to arrays of its own, ids to strings. */

export interface ValueRequest {
  readonly isInstant: boolean;
  readonly startMs: number;
  readonly stepMs: number;
  readonly limit: number;
}

export function resultValue(
  context: QueryContext,
  evaluator: Evaluator,
  plan: QueryPlan,
  request: ValueRequest,
): { value: QueryValue; sortMs: number } {
  const { root, grid } = plan;
  const { isInstant, startMs, stepMs } = request;
  const poll = () => context.poll();
  const byLabels = (a: { labels: LabelSet }, b: { labels: LabelSet }) => compareLabelSets(a.labels, b.labels);
  switch (root.type) {
    case 'string':
      return { value: { type: 'string', timestampMs: startMs, value: root.value }, sortMs: 0 };
    case 'scalar': {
      const values = evaluator.scalar(root.node);
      if (isInstant) return { value: { type: 'scalar', timestampMs: startMs, value: values[0]! }, sortMs: 0 };
      const series = {
        labels: [],
        values: Float64Array.from(values),
        present: new Uint8Array(grid.count).fill(1),
      };
      const stepCount = grid.count;
      return { value: { type: 'matrix', startMs, stepMs, stepCount, series: [series] }, sortMs: 0 };
    }
    case 'matrix': {
      const raw = rawMatrix(context, evaluator, root.matrix);
      const started = performance.now();
      raw.sort(polled(byLabels, poll));
      const series = truncate(context, raw, request.limit);
      return { value: { type: 'rawMatrix', series }, sortMs: performance.now() - started };
    }
    case 'vector': {
      const rows = removeMarkedNames(evaluator.rows(root.node));
      if (!rows.mayHaveHistograms) return floatValue(context, rows, request);
      const series = resultSeries(context, rows);
      const started = performance.now();
      if (!isInstant) series.sort(polled(byLabels, poll));
      const sortMs = performance.now() - started;
      const kept = truncate(context, series, request.limit);
      if (isInstant) return { value: { type: 'vector', timestampMs: startMs, series: kept }, sortMs };
      return { value: { type: 'matrix', startMs, stepMs, stepCount: grid.count, series: kept }, sortMs };
    }
  }
}

function truncate<T>(context: QueryContext, series: T[], limit: number): T[] {
  if (limit === 0 || series.length <= limit) return series;
  context.annotations.note(TRUNCATED);
  return series.slice(0, limit);
}

function floatValue(
  context: QueryContext,
  source: RowSource,
  { isInstant, startMs, stepMs, limit }: ValueRequest,
): { value: QueryValue; sortMs: number } {
  const { columns: all, sortMs } = resultColumns(source, !isInstant);
  let columns = all;
  if (limit > 0 && all.rows.length > limit) {
    context.annotations.note(TRUNCATED);
    columns = all.truncated(limit);
  }
  const value = isInstant ? new VectorValue(startMs, columns) : new MatrixValue(startMs, stepMs, columns);
  return { value, sortMs };
}

/** Series that have a value somewhere. */
function resultSeries(context: QueryContext, source: RowSource): ResultSeries[] {
  const { steps, seriesCount, labels } = source;
  const duplicate = findDuplicate(labels) !== null;
  const filledOnly = new Set<string>();
  const series: ResultSeries[] = [];
  const rowsPerBlock = context.blockRows(steps);
  for (let from = 0; from < seriesCount; from += rowsPerBlock) {
    const to = Math.min(seriesCount, from + rowsPerBlock);
    const block = source.read(from, to);
    const { f64, u8 } = context.kernel;
    const elements = (to - from) * steps;
    // One copy per block; the series share it.
    const values = f64.slice(block.rows / 8, block.rows / 8 + elements);
    const present = u8.slice(block.present, block.present + elements);
    for (let i = 0; i < to - from; i++) {
      const row = present.subarray(i * steps, (i + 1) * steps);
      const hasHistograms = block.histograms !== null && row.includes(2);
      if (!hasHistograms && (steps === 1 ? row[0] === 0 : row.indexOf(1) < 0)) continue;
      const set = labelSetOf(context, labels, from + i);
      if (duplicate) {
        const key = JSON.stringify(set);
        if (filledOnly.has(key)) throw sameLabelsetError();
        filledOnly.add(key);
      }
      const rowValues = values.subarray(i * steps, (i + 1) * steps);
      if (!hasHistograms) series.push({ labels: set, values: rowValues, present: row });
      else {
        const all = block.histograms!;
        const histograms = Array.from(row, (kind, k) => (kind === 2 ? all[i * steps + k]! : null));
        series.push({ labels: set, values: rowValues, present: row, histograms });
      }
    }
    context.poll();
  }
  return series;
}

function rawMatrix(context: QueryContext, evaluator: Evaluator, matrix: MatrixRoot): RawSeries[] {
  return matrix.kind === 'samples'
    ? selectedSamples(context, matrix)
    : subqueryPoints(context, evaluator.rows(matrix.child), matrix.child.grid);
}

function subqueryPoints(
  context: QueryContext,
  evaluated: RowSource,
  grid: Parameters<typeof timeOf>[0],
): RawSeries[] {
  const source = materialise(removeMarkedNames(evaluated));
  const { steps, seriesCount, labels } = source;
  if (findDuplicate(labels) !== null) throw sameLabelsetError();
  const series: RawSeries[] = [];
  for (let i = 0; i < seriesCount; i++) {
    const block = source.read(i, i + 1);
    const { f64, u8 } = context.kernel;
    const times: number[] = [];
    const picks: number[] = [];
    for (let k = 0; k < steps; k++) {
      if (u8[block.present + k] === 0) continue;
      times.push(timeOf(grid, k));
      picks.push(k);
    }
    if (picks.length === 0) continue;
    const values = new Float64Array(picks.length);
    picks.forEach((k, n) => {
      values[n] = f64[block.rows / 8 + k]!;
    });
    const set = labelSetOf(context, labels, i);
    const points = { labels: set, timestampsMs: Float64Array.from(times), values };
    const { histograms } = block;
    const hasHistograms = histograms !== null && picks.some((k) => u8[block.present + k] === 2);
    series.push(
      hasHistograms
        ? { ...points, histograms: picks.map((k) => (u8[block.present + k] === 2 ? histograms[k]! : null)) }
        : points,
    );
    context.poll();
  }
  return series;
}

function selectedSamples(
  context: QueryContext,
  matrix: Extract<MatrixRoot, { kind: 'samples' }>,
): RawSeries[] {
  const loaded = context.sets[matrix.select.index]!;
  const { functions } = context.kernel;
  const { times, rangeMs, lookbackMs, form } = matrix;
  const before = form === 'plain' ? rangeMs : rangeMs + lookbackMs;
  const after = form === 'smoothed' ? lookbackMs : 0;
  sizeColumns(context, loaded);
  context.setSteps(times.referenceMs, times.referenceStepMs, 1);
  const series: RawSeries[] = [];
  const reader = new SampleReader(context, loaded, false);
  for (let i = 0; i < loaded.set.seriesCount; i++) {
    if (((loaded.beside?.[i] ?? 0) & BESIDE_FLOATS.histograms) !== 0) {
      const samples = windowSamples(context, matrix, reader.readLive(i));
      if (samples.timestampsMs.length > 0)
        series.push({ labels: labelSetOf(context, loaded.labels, i), ...samples });
      continue;
    }
    const { minTimeMs, maxTimeMs } = loaded.spec.hints;
    const count = checkCode(
      functions.queryLoadSamples(loaded.chunkOffsets, i, minTimeMs, maxTimeMs, before, after),
    );
    if (count === 0) continue;
    context.totalSamples += count;
    context.hold(count);
    const { f64 } = context.kernel;
    const timesAt = (functions.queryTimes() >>> 0) / 8 + functions.queryFirst();
    const valuesAt = (functions.queryValues() >>> 0) / 8 + functions.queryFirst();
    const samples = {
      labels: labelSetOf(context, loaded.labels, i),
      timestampsMs: f64.slice(timesAt, timesAt + count),
      values: f64.slice(valuesAt, valuesAt + count),
    };
    const shaped =
      form === 'plain' ? samples : boundaries(samples, times.referenceMs - rangeMs, times.referenceMs, form);
    if (shaped !== null) series.push(shaped);
    context.poll();
  }
  return series;
}

/** Samples of a series with histograms inside the range. */
function windowSamples(
  context: QueryContext,
  matrix: Extract<MatrixRoot, { kind: 'samples' }>,
  samples: SeriesSamples,
): Omit<RawSeries, 'labels'> {
  const { form } = matrix;
  const windows = new SampleWindows({ ...matrix, func: '', steps: 1 }, samples);
  const from = windows.from[0]!;
  const to = windows.to[0]!;
  const histogramCount = windows.histogramCount(0);
  if (form !== 'plain' && histogramCount > 0)
    throw executionError(`${form} modifier is not supported with histograms`);
  const weight = windows.histogramWeight(null) + (to - from - histogramCount);
  context.totalSamples += weight;
  context.hold(weight);
  return {
    timestampsMs: samples.times.slice(from, to),
    values: samples.values.slice(from, to),
    histograms: histogramCount > 0 ? samples.histograms.slice(from, to) : null,
  };
}

/** A bare `anchored` or `smoothed` selector: points exactly at both ends of the range, and those between. */
function boundaries(
  samples: RawSeries,
  startMs: number,
  endMs: number,
  form: 'anchored' | 'smoothed',
): RawSeries | null {
  const { timestampsMs: times, values } = samples;
  const last = times.length - 1;
  const inside: number[] = [];
  for (let i = 0; i <= last; i++) if (times[i]! > startMs && times[i]! < endMs) inside.push(i);
  const lastInRange = times.findLastIndex((t) => t <= endMs);
  if (form === 'anchored' ? lastInRange < 0 || times[lastInRange]! <= startMs : times[last]! <= startMs)
    return null;
  if (form === 'smoothed' && times[0]! > endMs) return null;
  const at = (t: number): number => {
    const before = times.findLastIndex((x) => x <= t);
    if (before < 0) return values[0]!;
    if (form === 'anchored' || times[before] === t || before === last) return values[before]!;
    const y1 = values[before]!;
    const t1 = times[before]!;
    return y1 + ((values[before + 1]! - y1) * (t - t1)) / (times[before + 1]! - t1);
  };
  return {
    labels: samples.labels,
    timestampsMs: Float64Array.from([startMs, ...inside.map((i) => times[i]!), endMs]),
    values: Float64Array.from([at(startMs), ...inside.map((i) => values[i]!), at(endMs)]),
  };
}
