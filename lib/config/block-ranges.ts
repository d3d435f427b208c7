import { parseDuration } from '../settings/index.js';

/** The ranges of a text such as `2h,12h,24h` in ms; null when they are not durations that build on one another. */
export function parseBlockRanges(text: string): readonly number[] | null {
  const ranges = text.split(',').map((part) => parseDuration(part.trim()) ?? 0);
  const isGood = ranges.every((range, i) => {
    const before = ranges[i - 1];
    return range > 0 && (before === undefined || (range > before && range % before === 0));
  });
  return isGood ? ranges : null;
}
