import { codecKernel, type MadeChunk } from '../../../kernel/index.js';
import { decodeAggregateChunk, ENCODING } from '../../chunk/index.js';
import type { LoadedChunk, SeriesDownsampler } from '../series-downsampler.js';

/** Downsampling of floats written down plainly, sample by sample, to compare with (spec: thanos-downsampling.md §3-5). */

export type Sample = readonly [timeMs: number, value: number];

/** Aggregates of one chunk in the order of its entries; null where there is none. */
export type ChunkModel = readonly (readonly Sample[] | null)[];

const windowOf = (t: number, resolution: number): number => t - (t % resolution) + resolution - 1;

export const STALE = new Float64Array(new BigUint64Array([0x7ff0000000000002n]).buffer);

interface Window {
  edge: number;
  values: number[];
}

function windowsOf(samples: readonly Sample[], resolution: number): Window[] {
  const last = samples.at(-1)![0];
  const windows: Window[] = [];
  for (const [t, v] of samples) {
    const edge = Math.min(windowOf(t, resolution), last);
    if (windows.at(-1)?.edge === edge) windows.at(-1)!.values.push(v);
    else windows.push({ edge, values: [v] });
  }
  return windows;
}

function countersOf(windows: readonly Window[]): Sample[] {
  let counter = 0;
  let last: number | null = null;
  return windows.map(({ edge, values }) => {
    for (const v of values) {
      counter = last === null ? v : v < last ? counter + v : counter + (v - last);
      last = v;
    }
    return [edge, counter] as const;
  });
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0);
const minOf = (values: readonly number[]): number => Math.min(Number.MAX_VALUE, ...values);
const maxOf = (values: readonly number[]): number => Math.max(-Number.MAX_VALUE, ...values);

export function outputCount(
  minTime: number,
  maxTime: number,
  inputMs: number,
  outputMs: number,
  count: number,
): number {
  const fullness = Math.min(1, count / ((maxTime - minTime) / inputMs));
  const expected = Math.trunc(Math.trunc((maxTime - minTime) / outputMs) * fullness) + 1;
  let x = 1;
  while (Math.trunc(expected / x) > 140) x++;
  return x;
}

/** Raw samples, without stale markers and in order, to chunks. */
export function downsampleRawModel(samples: readonly Sample[], resolution: number): ChunkModel[] {
  const chunks: ChunkModel[] = [];
  if (samples.length === 0) return chunks;
  const x = outputCount(samples[0]![0], samples.at(-1)![0], 60_000, resolution, samples.length);
  const size = Math.trunc(samples.length / x) + 1;
  for (let from = 0; from < samples.length; ) {
    let to = Math.min(samples.length, from + size);
    const edge = windowOf(samples[to - 1]![0], resolution);
    while (to < samples.length && samples[to]![0] <= edge) to++;
    const batch = samples.slice(from, to).filter(([, v]) => !Number.isNaN(v));
    from = to;
    if (batch.length === 0) continue;
    const windows = windowsOf(batch, resolution);
    const each = (f: (values: readonly number[]) => number): Sample[] =>
      windows.map(({ edge: t, values }) => [t, f(values)] as const);
    const counter = [batch[0]!, ...countersOf(windows), [windows.at(-1)!.edge, batch.at(-1)![1]] as const];
    chunks.push([each((values) => values.length), each(sumOf), each(minOf), each(maxOf), counter]);
  }
  return chunks;
}

/** The counters of chunks as one series that only rises, and the true value at its end. */
export function riseOf(counters: readonly (readonly Sample[] | null)[]): {
  samples: Sample[];
  lastRaw: number;
} {
  const samples: Sample[] = [];
  let total = 0;
  let lastT = Number.NEGATIVE_INFINITY;
  let lastRaw = 0;
  for (const [t, v] of counters.flatMap((counter) => counter ?? [])) {
    if (Number.isNaN(v)) continue;
    if (t > lastT) {
      if (samples.length === 0) total = v;
      else total += v >= lastRaw ? v - lastRaw : v;
      samples.push([t, total]);
      lastT = t;
      lastRaw = v;
    } else if (t === lastT) lastRaw = v;
  }
  return { samples, lastRaw };
}

/** Chunks of one level to chunks of the next. */
export function downsampleLevelModel(
  input: readonly ChunkModel[],
  inputMs: number,
  outputMs: number,
): ChunkModel[] {
  if (input.length === 0) return [];
  const total = input.reduce((sum, [counts]) => sum + (counts?.length ?? 0), 0);
  const first = input[0]![0]![0]![0];
  const last = input.at(-1)![0]!.at(-1)![0];
  const x = outputCount(first, last, inputMs, outputMs, total);
  const size = Math.max(1, Math.trunc(input.length / x));
  const chunks: ChunkModel[] = [];
  for (let from = 0; from < input.length; from += size) {
    const batch = input.slice(from, from + size);
    const roll = (k: number, f: (values: readonly number[]) => number): Sample[] =>
      windowsOf(
        batch.flatMap((chunk) => chunk[k] ?? []),
        outputMs,
      ).map(({ edge, values }) => [edge, f(values)] as const);
    const { samples, lastRaw } = riseOf(batch.map((chunk) => chunk[4]!));
    let counter: Sample[] | null = null;
    if (samples.length > 0) {
      const windows = countersOf(windowsOf(samples, outputMs));
      counter = [samples[0]!, ...windows, [windows.at(-1)![0], lastRaw]];
    }
    chunks.push([roll(0, sumOf), roll(1, sumOf), roll(2, minOf), roll(3, maxOf), counter]);
  }
  return chunks;
}

/** Samples as XOR chunks of a few. */
export function xorChunks(samples: readonly Sample[], perChunk: number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let i = 0; i < samples.length; i += perChunk) chunks.push(xorChunk(samples.slice(i, i + perChunk)));
  return chunks;
}

export function xorChunk(samples: readonly Sample[]): Uint8Array {
  const values = new Float64Array(samples.length);
  // By way of the array, as a number could lose the bits of a stale marker.
  samples.forEach(([, v], i) => {
    if (v === STALE_VALUE) values.set(STALE, i);
    else values[i] = v;
  });
  return codecKernel().encodeXor(
    Float64Array.from(samples, ([t]) => t),
    values,
    samples.length,
  );
}

/** Stands for the stale marker among samples of tests: a number that they don't use otherwise. */
export const STALE_VALUE = -1.5e300;

export function samplesOf(data: Uint8Array): Sample[] {
  const times = new Float64Array(65536);
  const values = new Float64Array(65536);
  const n = codecKernel().decodeXorInto(data, times, values);
  return Array.from({ length: n }, (_, i) => [times[i]!, values[i]!] as const);
}

export function decodeChunk({ data }: MadeChunk): ChunkModel {
  return decodeAggregateChunk(data).map((inner) => (inner === null ? null : samplesOf(inner.data)));
}

/** Brings chunks into a downsampler, as a block would. */
export function load(
  downsampler: SeriesDownsampler,
  chunks: readonly { encoding?: number; data: Uint8Array; minTime?: number; maxTime?: number }[],
): LoadedChunk[] {
  downsampler.kernel.reset();
  return chunks.map(({ encoding, data, minTime, maxTime }) => ({
    encoding: encoding ?? ENCODING.aggregate,
    address: downsampler.kernel.put(data),
    length: data.length,
    minTime: minTime ?? 0,
    maxTime: maxTime ?? 0,
  }));
}
