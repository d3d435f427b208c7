import { RESET_HINT } from '../../histogram/index.js';
import type { InstantSelectorNode } from '../plan/index.js';
import { interpolateCounter } from './histogram-counters.js';
import type { SampleNotes } from './sample-notes.js';
import type { SampleRow } from './sample-row.js';
import { SAMPLE, type SeriesSamples, sampleWeight, withoutStale } from './series-samples.js';

/**
 * Rows of instant selectors over series that hold more than plain floats: what the kernel does for those
 * (assembly/query/instant.ts), and what histograms and start times add.
 * @param stepCounts where to add the samples of each step
 * @returns samples read, by their weight
 */
export function instantSampleRow(
  node: InstantSelectorNode,
  samples: SeriesSamples,
  notes: SampleNotes,
  row: SampleRow,
  stepCounts: Float64Array | null,
): number {
  if (node.mode === 'smoothed') return smoothedRow(node, withoutStale(samples), notes, row, stepCounts);
  const { times, kinds, values, histograms, starts, count } = samples;
  const { referenceMs, referenceStepMs } = node.times;
  let next = 0;
  let weight = 0;
  for (let k = 0; k < node.grid.count; k++) {
    const reference = referenceMs + k * referenceStepMs;
    while (next < count && times[next]! <= reference) next++;
    const i = next - 1;
    if (i < 0 || times[i]! <= reference - node.lookbackMs || kinds[i] === SAMPLE.stale) continue;
    const histogram = histograms[i]!;
    if (node.mode === 'times') row.float(k, times[i]! / 1000);
    else if (node.mode === 'starts') row.float(k, (starts?.[i] ?? 0) / 1000);
    else row.sample(k, values[i]!, histogram);
    // Where only times are read, a histogram weighs no more than a number.
    const read = histogram === null || node.mode !== 'values' ? 1 : sampleWeight(histogram);
    weight += read;
    if (stepCounts !== null) stepCounts[k]! += read;
  }
  return weight;
}

function smoothedRow(
  node: InstantSelectorNode,
  samples: SeriesSamples,
  notes: SampleNotes,
  row: SampleRow,
  stepCounts: Float64Array | null,
): number {
  const { times, values, histograms, kinds, count } = samples;
  const { referenceMs, referenceStepMs } = node.times;
  let weight = 0;
  let first = 0;
  let next = 0;
  let end = 0;
  for (let k = 0; k < node.grid.count; k++) {
    const t = referenceMs + k * referenceStepMs;
    while (first < count && times[first]! <= t - node.lookbackMs) first++;
    while (next < count && times[next]! <= t) next++;
    while (end < count && times[end]! <= t + node.lookbackMs) end++;
    if (first >= end) continue;
    if (isMixed(kinds, first, end)) {
      notes.mixedKinds();
      continue;
    }
    const i = next - 1;
    if (i < first) continue;
    const h1 = histograms[i]!;
    if (times[i] === t || next === end) {
      const isCarried = times[i] !== t;
      row.sample(k, values[i]!, isCarried && h1 !== null ? h1.withHint(RESET_HINT.unknown) : h1);
    } else if (h1 === null) {
      const y1 = values[i]!;
      row.float(k, y1 + ((values[next]! - y1) * (t - times[i]!)) / (times[next]! - times[i]!));
    } else {
      const h2 = histograms[next]!;
      const isCounter = h1.hint !== RESET_HINT.gauge || h2.hint !== RESET_HINT.gauge;
      const fraction = (t - times[i]!) / (times[next]! - times[i]!);
      const between = interpolateCounter(h1, h2, fraction, isCounter);
      if (between === null) {
        notes.mixedSchemas();
        continue;
      }
      row.histogram(k, between);
    }
    const read = h1 === null ? 1 : sampleWeight(h1);
    weight += read;
    if (stepCounts !== null) stepCounts[k]! += read;
  }
  return weight;
}

/** Whether samples [from, to) are floats as well as histograms. */
function isMixed(kinds: Uint8Array, from: number, to: number): boolean {
  for (let i = from + 1; i < to; i++) if (kinds[i] !== kinds[from]) return true;
  return false;
}
