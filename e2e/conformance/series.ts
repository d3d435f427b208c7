import type { FloatValue, WireSeries } from '../wire.js';
import { encodeHistogram, type WireHistogram } from './histogram-wire.js';

/** Samples before they are sent: floats and native histograms of one series in the order of time. */

export type PointValue =
  | { readonly value: FloatValue }
  | { readonly histogram: Omit<WireHistogram, 'timestampMs'> };

export type GeneratedPoint = PointValue & { readonly timestampMs: number };

export interface GeneratedSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly points: readonly GeneratedPoint[];
}

/**
 * Splits series into requests. A receiver stores the floats of a message before its histograms, so every change
 * between the two kinds begins another request.
 */
export function toRequests(all: readonly GeneratedSeries[]): WireSeries[][] {
  const requests: WireSeries[][] = [];
  for (const { labels, points } of all) {
    const pairs = Object.entries(labels).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    runsOf(points).forEach((run, i) => {
      const samples = run.flatMap((point) =>
        'value' in point ? [{ value: point.value, timestampMs: point.timestampMs }] : [],
      );
      const histograms = run.flatMap((point) =>
        'histogram' in point ? [encodeHistogram({ ...point.histogram, timestampMs: point.timestampMs })] : [],
      );
      requests[i] ??= [];
      requests[i].push({ labels: pairs, samples, histograms });
    });
  }
  return requests;
}

function runsOf(points: readonly GeneratedPoint[]): GeneratedPoint[][] {
  const runs: GeneratedPoint[][] = [];
  for (const point of points) {
    const run = runs.at(-1);
    if (run !== undefined && 'value' in run[0]! === 'value' in point) run.push(point);
    else runs.push([point]);
  }
  return runs;
}
