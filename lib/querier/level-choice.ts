import { formatDuration } from '../settings/index.js';
import type { SelectWindows, WindowForm } from '../storage/index.js';
import { aggregateFor, RESOLUTION, RESOLUTIONS } from '../tsdb/downsample/index.js';

/** Which level a selector is best read at, and what its windows have to be for that. */

/** Windows of an instant query, and steps, must be so many times wider than a level's for its ends not to matter. */
const SINGLE_SHARE = 60;
/** The same for steps, as in Thanos. */
const STEP_SHARE = 5;
/** For additions over windows that don't end where the level's do: up to a tenth at each end belongs elsewhere. */
const RANGE_SHARE = 10;
/** For counters over such windows: four samples each. */
const COUNTER_SHARE = 4;
/** How far a counter's range may be beyond whole windows, in windows: the rest is extrapolated. */
const COUNTER_EXCESS = 1 / 5;

const COUNTER_FUNCTIONS: ReadonlySet<string> = new Set(['rate', 'increase']);
/** What grows with the range. */
const ADDING = new Set(['sum_over_time', 'count_over_time']);
/** What needs two samples in its window. */
const PAIRING = new Set([
  'irate',
  'idelta',
  'delta',
  'deriv',
  'predict_linear',
  'double_exponential_smoothing',
  'changes',
  'resets',
]);
/** Functions that grow with the range and are taken from the ends of it. */
const GROWING = new Set(['increase', 'delta']);

/** The coarsest resolution that gives what raw samples would give, as far as one can see; 0 when none does. */
export function wantedResolution(windows: SelectWindows): number {
  for (const resolutionMs of [RESOLUTION.day, RESOLUTION.hour, RESOLUTION.fiveMinutes]) {
    if (isFineEnough(windows, resolutionMs)) return resolutionMs;
  }
  return RESOLUTION.raw;
}

function isFineEnough(windows: SelectWindows, resolutionMs: number): boolean {
  const { func, rangeMs, count, stepMs } = windows;
  const { grade } = aggregateFor(func);
  // A range without a function shows its samples.
  if (grade === 'poor' || func === 'info' || (rangeMs > 0 && func === '')) return false;
  const isStepWide = count > 1 && resolutionMs * STEP_SHARE <= stepMs;
  if (rangeMs === 0) return isStepWide;
  if (COUNTER_FUNCTIONS.has(func)) {
    const excess = rangeMs % resolutionMs;
    if (endsWithLevel(windows, resolutionMs) && excess <= resolutionMs * COUNTER_EXCESS) return true;
  } else if (grade === 'exact' && endsWithLevel(windows, resolutionMs) && rangeMs % resolutionMs === 0) {
    return true;
  }
  if (count === 1) return resolutionMs * SINGLE_SHARE <= rangeMs;
  const share = COUNTER_FUNCTIONS.has(func) ? COUNTER_SHARE : RANGE_SHARE;
  return isStepWide && resolutionMs * share <= rangeMs;
}

/** Whether all windows end where windows of the level end, or a millisecond later, and none is narrower. */
function endsWithLevel({ firstMs, stepMs, count, rangeMs }: SelectWindows, resolutionMs: number): boolean {
  const phase = firstMs % resolutionMs;
  if (phase !== 0 && phase !== resolutionMs - 1) return false;
  return rangeMs >= resolutionMs && (count === 1 || stepMs % resolutionMs === 0);
}

/** Windows as they are to be evaluated. */
export interface LevelWindows {
  readonly rangeMs: number;
  readonly lookbackMs: number;
  readonly form: WindowForm;
  /** To multiply the result with. */
  readonly factor: number;
}

/** Makes windows so that each has what its function needs when samples stand as far apart as the resolution. */
export function widened(windows: SelectWindows, resolutionMs: number): LevelWindows {
  const { func, rangeMs, form } = windows;
  if (resolutionMs === 0) return { rangeMs, lookbackMs: windows.lookbackMs, form, factor: 1 };
  const lookbackMs = Math.max(windows.lookbackMs, resolutionMs);
  const isCounter = COUNTER_FUNCTIONS.has(func);
  // The extended forms find the sample before the range through their lookback; a range by itself shows what there is.
  if (rangeMs === 0 || func === '' || form !== 'plain') return { rangeMs, lookbackMs, form, factor: 1 };
  // What a counter was worth at the ends of the range lies between the samples around them.
  if (isCounter && !endsWithLevel(windows, resolutionMs)) {
    return { rangeMs, lookbackMs, form: 'smoothed', factor: 1 };
  }
  const wide = wideRange(windows, resolutionMs);
  const isScaled = ADDING.has(func) || GROWING.has(func);
  return { rangeMs: wide, lookbackMs, form, factor: isScaled ? rangeMs / wide : 1 };
}

function wideRange({ func, rangeMs }: SelectWindows, resolutionMs: number): number {
  // Whole windows: as many in each, wherever it ends.
  if (ADDING.has(func)) return Math.ceil(rangeMs / resolutionMs) * resolutionMs;
  if (COUNTER_FUNCTIONS.has(func)) {
    // Samples stand at the last millisecond of windows: with the one before the range, the whole rise is in it.
    return Math.max(rangeMs, Math.floor(rangeMs / resolutionMs) * resolutionMs + 2);
  }
  return Math.max(rangeMs, (PAIRING.has(func) ? 2 : 1) * resolutionMs);
}

/** Says that there would be more to read. */
export function hiddenNotes(hidden: readonly number[], maxResolutionMs: number): string[] {
  if (hidden.length === 0) return [];
  const names = hidden.map(formatDuration).join(', ');
  return [
    `data that is there at resolution ${names} only is left out, as max_source_resolution is ${formatDuration(maxResolutionMs)}`,
  ];
}

/** What to tell the user about a selector that is not, or not everywhere, read from raw samples. */
export function levelNotes(
  windows: SelectWindows,
  read: readonly number[],
  { rangeMs, lookbackMs, form, factor }: LevelWindows,
): string[] {
  const names = RESOLUTIONS.filter((ms) => ms > 0 && read.includes(ms)).map(formatDuration);
  if (names.length === 0) return [];
  const coarsestMs = Math.max(...read);
  const notes = [`read at resolution ${names.join(', ')} (downsampled)`];
  // What is there for the ends of samples alone is nothing to speak of.
  if (rangeMs > windows.rangeMs + 2) {
    const scaled = factor === 1 ? '' : ' and the result scaled to it';
    notes.push(
      `range of ${formatDuration(windows.rangeMs)} widened to ${formatDuration(rangeMs)}${scaled}, as the data is downsampled`,
    );
  }
  if (form !== windows.form && windows.rangeMs < 2 * coarsestMs) {
    notes.push(`counters are interpolated between samples ${formatDuration(coarsestMs)} apart`);
  }
  if (windows.rangeMs === 0 && lookbackMs > windows.lookbackMs) {
    notes.push(
      `lookback of ${formatDuration(windows.lookbackMs)} widened to ${formatDuration(lookbackMs)}, as the data is downsampled`,
    );
  }
  return notes;
}
