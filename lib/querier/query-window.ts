import { parseDuration } from '../settings/index.js';
import { TIME_MS_MAX, TIME_MS_MIN } from './params.js';

export interface TimeWindow {
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
}

const EVERYTHING: TimeWindow = { minTimeMs: TIME_MS_MIN, maxTimeMs: TIME_MS_MAX };
const DURATION_TOKEN = /(?<![\w.])\d[\dywdhms]*/g;
// What is not closed reaches to the end: if it did not match, each quotation mark inside would be tried as a beginning.
const QUOTED = /"(?:[^"\\]|\\[\s\S]?)*(?:"|$)|'(?:[^'\\]|\\[\s\S]?)*(?:'|$)|`[^`]*(?:`|$)/g;
const BRACKETS = /\[([^\]]*)\]?/g;
const PLAIN_BRACKETS = /^\s*\d\w*\s*(?::\s*(?:\d\w*)?\s*)?$/;
const PLAIN_OFFSET = /^[-+]?\s*\d\w*(?!\w)(?!\s*[*/^%]\s*[\d(+-])/;

/**
 * A span that certainly holds every sample a query can look at, found without parsing it: selectors reach back by
 * ranges, subqueries and offsets, so by no more than the sum of all durations in the text, and forward only by
 * negative offsets. It decides which blocks are offered to the query; the exact span per selector is found by the
 * engine. Whatever can't be bounded this way (`@`, computed durations) gets everything.
 */
export function queryWindow(query: string, startMs: number, endMs: number, lookbackMs: number): TimeWindow {
  const bare = query.replace(QUOTED, '""');
  const isPlain = !/[[@]|offset/i.test(bare);
  if (isPlain) return { minTimeMs: startMs - lookbackMs, maxTimeMs: endMs };
  if (bare.includes('@') || /\b(smoothed|anchored)\b/i.test(bare)) return EVERYTHING;
  for (const [, inside] of bare.matchAll(BRACKETS)) if (!PLAIN_BRACKETS.test(inside!)) return EVERYTHING;
  for (const part of bare.split(/\boffset\b/i).slice(1)) {
    if (!PLAIN_OFFSET.test(part.trimStart())) return EVERYTHING;
  }
  let reachMs = 0;
  for (const [token] of bare.matchAll(DURATION_TOKEN)) {
    // A bare number in a duration's place counts seconds; anywhere else it makes the window wider, never wrong.
    const ms = /^\d+$/.test(token) ? Number(token) * 1000 : parseDuration(token);
    if (ms === null) return EVERYTHING;
    reachMs += ms;
  }
  const aheadMs = /offset\s*-/i.test(bare) ? reachMs : 0;
  return { minTimeMs: startMs - lookbackMs - reachMs, maxTimeMs: endMs + aheadMs };
}
