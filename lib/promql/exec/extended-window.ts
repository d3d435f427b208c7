import {
  compactHistogram,
  divideHistogram,
  type FloatHistogram,
  isCounterReset,
  RESET_HINT,
} from '../../histogram/index.js';
import { type CounterKind, Sum, type Window } from './counter-window.js';
import { interpolateCounter } from './histogram-counters.js';
import type { SampleNotes } from './sample-notes.js';
import type { SeriesSamples } from './series-samples.js';

/**
 * rate, increase and delta over the histograms of an `anchored` or `smoothed` window (spec: promql-histograms.md §4):
 * no extrapolation, what the range begins and ends with is taken from the samples around its ends. The window reaches
 * beyond the range, so it may begin before it.
 */
export function extendedHistogram(
  samples: SeriesSamples,
  window: Window,
  kind: CounterKind,
  isSmoothed: boolean,
  notes: SampleNotes,
): FloatHistogram | null {
  const { times, histograms } = samples;
  const { from, to, rangeStart, rangeEnd } = window;
  const { isCounter } = kind;
  let first = from;
  while (first < to - 1 && times[first]! <= rangeStart) first++;
  if (first > from) first--;
  let last = to - 1;
  if (isSmoothed) {
    last = from;
    while (last < to - 1 && times[last]! < rangeEnd) last++;
  }
  if (times[last]! <= rangeStart || (isSmoothed && times[first]! > rangeEnd)) return null;
  for (let i = first; i <= last; i++) {
    const { layout, hint } = histograms[i]!;
    if (layout.isCustom !== histograms[first]!.layout.isCustom) {
      notes.mixedSchemas();
      return null;
    }
    if (isCounter && hint === RESET_HINT.gauge) notes.notCounter();
  }
  const between = (i: number, t: number): FloatHistogram => {
    const fraction = (t - times[i]!) / (times[i + 1]! - times[i]!);
    return interpolateCounter(histograms[i]!, histograms[i + 1]!, fraction, isCounter)!;
  };
  const isLeftBetween = isSmoothed && times[first]! < rangeStart;
  const left = isLeftBetween ? between(first, rangeStart) : histograms[first]!;
  const isRightBetween = isSmoothed && last > from && times[last]! > rangeEnd;
  const right = isRightBetween ? between(last - 1, rangeEnd) : histograms[last]!;
  const { gauge } = RESET_HINT;
  if (!isCounter && (left.hint !== gauge || right.hint !== gauge)) notes.notGauge();
  const sum = new Sum(right, notes);
  sum.subtract(left);
  if (isCounter) {
    const corrections: FloatHistogram[] = [];
    let before = left;
    let i = first + 1;
    // A counter that was reset on the way to the range's start rose from zero there: that reset is in `left` already.
    const isSpanned = isLeftBetween && isCounterReset(histograms[first + 1]!, histograms[first]!);
    if (isSpanned) before = histograms[i++]!;
    for (; i < last; i++) {
      const point = histograms[i]!;
      if (isCounterReset(point, before)) corrections.push(before);
      before = point;
    }
    const isDone = isSpanned && first + 1 >= last;
    if (!isDone && first < last && isCounterReset(right, before)) corrections.push(before);
    for (const correction of corrections) sum.add(correction);
  }
  const difference = compactHistogram(sum.value.withHint(gauge));
  return kind.isRate ? divideHistogram(difference, (rangeEnd - rangeStart) / 1000) : difference;
}
