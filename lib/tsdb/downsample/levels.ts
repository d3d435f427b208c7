/** Resolutions of blocks, ms: the width of a window, 0 is raw. A day is Varve's own level, the others are Thanos'. */
export const RESOLUTION = { raw: 0, fiveMinutes: 300_000, hour: 3_600_000, day: 86_400_000 } as const;
export type Resolution = (typeof RESOLUTION)[keyof typeof RESOLUTION];

/** All resolutions, finest first. */
export const RESOLUTIONS: readonly Resolution[] = [
  RESOLUTION.raw,
  RESOLUTION.fiveMinutes,
  RESOLUTION.hour,
  RESOLUTION.day,
];

/** The resolution that blocks of one are downsampled to; null when there is no coarser one, or none such at all. */
export function coarserResolution(resolution: number): Resolution | null {
  const at = (RESOLUTIONS as readonly number[]).indexOf(resolution);
  return at < 0 ? null : (RESOLUTIONS[at + 1] ?? null);
}

/** Samples that an output chunk should have at most, on average. */
const CHUNK_SAMPLES = 140;
/** Interval of raw samples that the estimate goes by. */
const RAW_INTERVAL_MS = 60_000;

/** How many chunks a run of input samples becomes (spec: thanos-downsampling.md §3). */
export function chunkCountFor(
  minTime: number,
  maxTime: number,
  inputResolution: number,
  outputResolution: number,
  sampleCount: number,
): number {
  const interval = inputResolution === 0 ? RAW_INTERVAL_MS : inputResolution;
  const samplesMax = Math.trunc((maxTime - minTime) / outputResolution);
  const fullness = Math.min(1, sampleCount / ((maxTime - minTime) / interval));
  // Not a number for a run that spans nothing and counts nothing.
  const expected = Math.trunc(samplesMax * fullness || 0) + 1;
  // The smallest x with floor(expected / x) <= CHUNK_SAMPLES.
  return Math.floor(expected / (CHUNK_SAMPLES + 1)) + 1;
}

/** End of the window a time lies in: the remainder is truncated, as in the kernel. */
export function windowEnd(timeMs: number, resolution: number): number {
  return timeMs - (timeMs % resolution) + resolution - 1;
}
