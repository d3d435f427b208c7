import { equalHistograms, HistogramMean, HistogramSum } from '../../histogram/index.js';
import type { QueryContext } from './context.js';
import { CounterSeries } from './counter-series.js';
import { type CounterKind, extrapolated, lastTwo, type Window } from './counter-window.js';
import { extendedHistogram } from './extended-window.js';
import type { SampleNotes } from './sample-notes.js';
import type { SampleRow } from './sample-row.js';
import type { SampleWindows, WindowQuery } from './sample-windows.js';
import type { SeriesSamples } from './series-samples.js';

/** Range functions that give a histogram for histograms. */
export const HISTOGRAM_RESULTS = new Set([
  'rate',
  'increase',
  'delta',
  'irate',
  'idelta',
  'sum_over_time',
  'avg_over_time',
  'first_over_time',
  'last_over_time',
]);

/** Range functions that leave histograms aside. */
const FLOATS_ONLY = new Set([
  'deriv',
  'predict_linear',
  'min_over_time',
  'max_over_time',
  'stddev_over_time',
  'stdvar_over_time',
  'quantile_over_time',
  'mad_over_time',
  'ts_of_min_over_time',
  'ts_of_max_over_time',
  'double_exponential_smoothing',
]);

/** Range functions for which start times make a difference. */
export const START_TIME_FUNCTIONS = new Set(['rate', 'increase', 'irate', 'resets']);

const COUNTERS: Readonly<Record<string, CounterKind>> = {
  rate: { isCounter: true, isRate: true },
  increase: { isCounter: true, isRate: false },
  delta: { isCounter: false, isRate: false },
};

/**
 * Goes over the windows of one series that the kernel could not do: those with histograms, and with start times where
 * they matter. The row holds the kernel's answer for the floats alone when this begins.
 */
export function sampleRangeRow(
  context: QueryContext,
  query: WindowQuery,
  windows: SampleWindows,
  useStarts: boolean,
  notes: SampleNotes,
  row: SampleRow,
): void {
  const { samples } = windows;
  const { func } = query;
  const isStarted =
    useStarts && samples.starts !== null && query.form === 'plain' && START_TIME_FUNCTIONS.has(func);
  const apply = FLOATS_ONLY.has(func) ? null : windowFunction(query, samples, isStarted, notes, row);
  for (let k = 0; k < query.steps; k++) {
    const histogramCount = windows.histogramCount(k);
    if (histogramCount === 0 && !isStarted) continue;
    const from = windows.from[k]!;
    const to = windows.to[k]!;
    if (from === to) continue;
    if (apply === null) {
      if (histogramCount < to - from) notes.ignored();
      continue;
    }
    context.poll();
    row.clear(k);
    const rangeEnd = query.times.referenceMs + k * query.times.referenceStepMs;
    apply(k, { from, to, rangeStart: rangeEnd - query.rangeMs, rangeEnd });
  }
}

type WindowFunction = (k: number, window: Window) => void;

function windowFunction(
  query: WindowQuery,
  samples: SeriesSamples,
  useStarts: boolean,
  notes: SampleNotes,
  row: SampleRow,
): WindowFunction {
  const { func, form } = query;
  const { times, values, histograms } = samples;
  switch (func) {
    case 'rate':
    case 'increase':
    case 'delta': {
      const kind = COUNTERS[func]!;
      const series = new CounterSeries(samples, useStarts);
      return (k, window) => {
        if (isMixed(samples, window)) return notes.mixedKinds();
        const result =
          form === 'plain'
            ? extrapolated(series, window, kind, notes)
            : extendedHistogram(samples, window, kind, form === 'smoothed', notes);
        if (result !== null) row.value(k, result);
      };
    }
    case 'irate':
    case 'idelta': {
      const series = new CounterSeries(samples, useStarts);
      return (k, window) => {
        const result = lastTwo(series, window, func === 'irate', notes);
        if (result !== null) row.value(k, result);
      };
    }
    case 'changes':
    case 'resets':
      return transitions(query, samples, useStarts, row);
    case 'sum_over_time':
    case 'avg_over_time':
      return (k, window) => {
        if (isMixed(samples, window)) notes.mixedKinds();
        else addUp(samples, window, func === 'sum_over_time', notes, row, k);
      };
    case 'count_over_time':
      return (k, { from, to }) => row.float(k, to - from);
    case 'present_over_time':
      return (k) => row.float(k, 1);
    case 'first_over_time':
      return (k, { from }) => row.sample(k, values[from]!, histograms[from]!);
    case 'last_over_time':
      return (k, { to }) => row.sample(k, values[to - 1]!, histograms[to - 1]!);
    case 'ts_of_first_over_time':
      return (k, { from }) => row.float(k, times[from]! / 1000);
    default:
      return (k, { to }) => row.float(k, times[to - 1]! / 1000);
  }
}

/** Whether a window holds floats as well as histograms. */
function isMixed({ kinds }: SeriesSamples, { from, to }: Window): boolean {
  for (let i = from + 1; i < to; i++) if (kinds[i] !== kinds[from]) return true;
  return false;
}

/** sum_over_time and avg_over_time of histograms. */
function addUp(
  { histograms }: SeriesSamples,
  { from, to }: Window,
  isSum: boolean,
  notes: SampleNotes,
  row: SampleRow,
  k: number,
): void {
  const first = histograms[from]!;
  const sum = isSum ? new HistogramSum(first) : new HistogramMean(first);
  for (let i = from + 1; i < to; i++) {
    if (sum.add(histograms[i]!)) continue;
    notes.mixedSchemas();
    return;
  }
  if (sum.isHintCollision) notes.collision();
  if (sum.isReconciled) notes.reconciled('aggregation');
  row.histogram(k, sum.result());
}

/** changes and resets: how many samples of the window differ from, or are reset against, the one before. */
function transitions(
  { func, form }: WindowQuery,
  samples: SeriesSamples,
  useStarts: boolean,
  row: SampleRow,
): WindowFunction {
  const { count, kinds, values, histograms, times } = samples;
  const before = new Uint32Array(count + 1);
  const resets = func === 'resets' ? new Set(new CounterSeries(samples, useStarts).resets) : null;
  for (let i = 1; i < count; i++) {
    const isTransition =
      kinds[i] !== kinds[i - 1] ||
      (resets !== null
        ? resets.has(i)
        : histograms[i] !== null
          ? !equalHistograms(histograms[i]!, histograms[i - 1]!)
          : values[i] !== values[i - 1] && !(Number.isNaN(values[i]) && Number.isNaN(values[i - 1])));
    before[i + 1] = before[i]! + (isTransition ? 1 : 0);
  }
  return (k, { from, to, rangeStart }) => {
    let begin = from;
    if (form === 'anchored') {
      if (times[to - 1]! <= rangeStart) return;
      while (begin + 1 < to && times[begin + 1]! <= rangeStart) begin++;
    }
    row.float(k, before[to]! - before[begin + 1]!);
  };
}
