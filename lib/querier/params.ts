import type { VarveError } from '../errors/index.js';
import { parseDuration } from '../settings/index.js';
import { badData, badParameter } from './api-error.js';
import { goQuote, parseGoFloat, parseGoInt } from './go-text.js';

/** Times the API takes when a bound is left out: everything. Safe integers, unlike int64 limits. */
export const TIME_MS_MIN = -Number.MAX_SAFE_INTEGER;
export const TIME_MS_MAX = Number.MAX_SAFE_INTEGER;
/** The texts that Prometheus prints for, and accepts as, its own extremes. */
const MIN_TIME_TEXT = '-292273086-05-16T16:47:06Z';
const MAX_TIME_TEXT = '292277025-08-18T07:12:54.999999999Z';
const NANOSECONDS_MAX = 2 ** 63;

/**
 * Parameters of a request: those of a form body first, then those of the URL, as Go merges them. Grafana sends some
 * in the URL of a POST. Parameters nobody asks for are ignored.
 */
export class Params {
  /** What is wrong with the text, or ''; the parts that can be read are there nevertheless. */
  readonly problem: string;
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(search: string, formBody: string) {
    const values = new Map<string, string[]>();
    const inBody = readPairs(formBody, values);
    const inUrl = readPairs(search, values);
    this.problem = inBody === '' ? inUrl : inBody;
    this.#values = values;
  }

  /** First value, or '' when there is none. */
  get(name: string): string {
    return this.#values.get(name)?.[0] ?? '';
  }

  getAll(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** @throws VarveError when a part of the text could not be read, for the endpoints that mind */
  check(): void {
    if (this.problem !== '') throw badData(`error parsing form values: ${this.problem}`);
  }
}

/** Adds the pairs of a form or query string as Go does: bad pairs are left out, and the first is told. */
function readPairs(text: string, values: Map<string, string[]>): string {
  let problem = '';
  if (text === '') return problem;
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    if (pair.includes(';')) {
      problem ||= 'invalid semicolon separator in query';
      continue;
    }
    const mark = pair.indexOf('=');
    const [rawName, rawValue] = mark < 0 ? [pair, ''] : [pair.slice(0, mark), pair.slice(mark + 1)];
    const bad = BAD_ESCAPE.exec(rawName) ?? BAD_ESCAPE.exec(rawValue);
    if (bad !== null) {
      problem ||= `invalid URL escape ${goQuote(bad[0])}`;
      continue;
    }
    const name = unescapeForm(rawName);
    const list = values.get(name);
    if (list === undefined) values.set(name, [unescapeForm(rawValue)]);
    else list.push(unescapeForm(rawValue));
  }
  return problem;
}

const BAD_ESCAPE = /%(?![\da-fA-F]{2})[\s\S]{0,2}/;

/** Undoes the escaping of a form's part; bytes that are no UTF-8 become U+FFFD. */
function unescapeForm(text: string): string {
  if (!text.includes('%')) return text.replaceAll('+', ' ');
  const plain = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(plain);
  } catch {
    // Escaped bytes that are no UTF-8, which only this reads.
    return new URLSearchParams(`x=${text.replaceAll('#', '%23')}`).get('x') ?? '';
  }
}

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)$/;

/** Milliseconds of unix seconds with a fraction, or of an RFC 3339 time. @throws VarveError with Prometheus' text */
export function parseTime(text: string): number {
  const seconds = parseGoFloat(text);
  if (seconds !== null && !Number.isNaN(seconds)) return clampTime(secondsToMs(seconds));
  if (text === MIN_TIME_TEXT) return TIME_MS_MIN;
  if (text === MAX_TIME_TEXT) return TIME_MS_MAX;
  const found = RFC3339.exec(text);
  if (found !== null) {
    const [, year, month, day, hour, minute, second, fraction = '', zone] = found;
    const wholeMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${zone}`);
    // JavaScript reads February 30 as March 1 or 2, and 24:00 as the next day's beginning.
    const monthDays = new Date(Date.UTC(2000 + (Number(year) % 400), Number(month), 0)).getUTCDate();
    if (!Number.isNaN(wholeMs) && Number(day) <= monthDays && Number(hour) < 24)
      return wholeMs + Number(fraction.slice(0, 3).padEnd(3, '0'));
  }
  throw badData(`cannot parse ${goQuote(text)} to a valid timestamp`);
}

/** Prometheus rounds the fraction to milliseconds and then cuts off what the conversion to nanoseconds left over. */
function secondsToMs(seconds: number): number {
  if (!Number.isFinite(seconds)) return seconds;
  const whole = Math.trunc(seconds);
  const nanoseconds = Math.trunc((roundHalfAway((seconds - whole) * 1000) / 1000) * 1e9);
  return whole * 1000 + Math.floor(nanoseconds / 1e6);
}

function roundHalfAway(value: number): number {
  return Math.sign(value) * Math.round(Math.abs(value));
}

function clampTime(timeMs: number): number {
  return Math.min(TIME_MS_MAX, Math.max(TIME_MS_MIN, timeMs)) + 0;
}

/** A time that must be given, as in query_range. */
export function requiredTime(params: Params, name: string): number {
  try {
    return parseTime(params.get(name));
  } catch (error) {
    throw badParameter(name, (error as Error).message);
  }
}

/** A time that may be left out. */
export function optionalTime(params: Params, name: string, fallbackMs: number): number {
  const text = params.get(name);
  if (text === '') return fallbackMs;
  try {
    return parseTime(text);
  } catch (error) {
    throw badParameter(name, `invalid time value for '${name}': ${(error as Error).message}`);
  }
}

/** Nanoseconds of float seconds or of a Prometheus duration. @throws VarveError with Prometheus' text */
export function parseDurationNs(text: string): number {
  const seconds = parseGoFloat(text);
  if (seconds !== null) {
    // Go's conversion of NaN gives the smallest integer, which is then a negative duration.
    const nanoseconds = Number.isNaN(seconds) ? -NANOSECONDS_MAX : seconds * 1e9;
    if (nanoseconds > NANOSECONDS_MAX || nanoseconds < -NANOSECONDS_MAX) {
      throw badData(`cannot parse ${goQuote(text)} to a valid duration. It overflows int64`);
    }
    return Math.trunc(nanoseconds);
  }
  const ms = parseDuration(text);
  if (ms === null) throw badData(`cannot parse ${goQuote(text)} to a valid duration`);
  return ms * 1e6;
}

/** Refuses the texts of what nobody could wait for, as Prometheus does: before the query is looked at. */
export function checkTimeLeft(timeoutMs: number): void {
  if (timeoutMs <= 0) throw badParameter('query', 'context deadline exceeded');
}

/** A duration in ms that may be left out. */
export function optionalDuration(params: Params, name: string, fallbackMs: number): number {
  const text = params.get(name);
  if (text === '') return fallbackMs;
  try {
    return parseDurationNs(text) / 1e6;
  } catch (error) {
    throw badParameter(name, (error as Error).message);
  }
}

/** `limit`: 0 and absence mean none. */
export function parseLimit(params: Params): number {
  const text = params.get('limit');
  if (text === '') return 0;
  const limit = parseGoInt(text);
  if (typeof limit === 'string') throw badParameter('limit', limit);
  if (limit < 0) throw badParameter('limit', 'limit must be non-negative');
  return limit + 0;
}

/** `lookback_delta` in ms; the default when absent or 0. */
export function parseLookback(params: Params, fallbackMs: number): number {
  const text = params.get('lookback_delta');
  if (text === '') return fallbackMs;
  try {
    const lookbackMs = parseDurationNs(text) / 1e6;
    return lookbackMs > 0 ? lookbackMs : fallbackMs;
  } catch (error) {
    throw badData(`error parsing lookback delta duration: ${(error as Error).message}`);
  }
}

/**
 * `max_source_resolution`, as in Thanos: the coarsest downsampled level to read, in ms; Infinity for `auto`, by range and
 * step of each selector; 0 for raw samples.
 */
export function parseSourceResolution(params: Params, fallback: string): number {
  const text = params.get('max_source_resolution') || fallback;
  if (text === 'auto') return Number.POSITIVE_INFINITY;
  try {
    const resolutionMs = parseDurationNs(text) / 1e6;
    if (resolutionMs >= 0) return resolutionMs;
  } catch {
    // Said below.
  }
  throw badData(
    `invalid parameter "max_source_resolution": ${goQuote(text)} is neither "auto" nor a duration such as 0s, 5m, 1h or 1d`,
  );
}

/** `stats`: any text asks for statistics, but only two are meant to. */
export function parseStats(params: Params): {
  readonly withStats: boolean;
  /** Whether they tell the samples of each step. */
  readonly perStep: boolean;
  readonly notes: readonly string[];
} {
  const text = params.get('stats');
  if (text === '' || text === 'true' || text === 'all') {
    return { withStats: text !== '', perStep: text === 'all', notes: [] };
  }
  const note = `value ${goQuote(text)} for parameter "stats" is deprecated and will be rejected in the next major release, use "true" or "all"`;
  return { withStats: true, perStep: false, notes: [note] };
}

/** Most points a range query returns for one series. */
const POINTS_MAX = 11_000;

export interface RangeParams {
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
  readonly limit: number;
}

/** limit, start, end and step of query_range, checked in Prometheus' order. */
export function parseRange(params: Params): RangeParams {
  const limit = parseLimit(params);
  const startMs = requiredTime(params, 'start');
  const endMs = requiredTime(params, 'end');
  if (endMs < startMs) throw badParameter('end', 'end timestamp must not be before start time');
  let stepNs: number;
  try {
    stepNs = parseDurationNs(params.get('step'));
  } catch (error) {
    throw badParameter('step', (error as VarveError).message);
  }
  if (stepNs <= 0) {
    const text = 'zero or negative query resolution step widths are not accepted. Try a positive integer';
    throw badParameter('step', text);
  }
  if (Math.trunc(((endMs - startMs) * 1e6) / stepNs) > POINTS_MAX) {
    throw badData(
      'exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)',
    );
  }
  // Steps below a millisecond would be 0 in Prometheus' engine, which then divides by it.
  return { startMs, endMs, stepMs: Math.max(1, Math.trunc(stepNs / 1e6)), limit };
}

/** Undoes the `U__` escaping of label names in paths: `U__a_2e_b` is `a.b`, `U__a__b` is `a_b`. */
export function unescapeLabelName(name: string): string {
  if (!name.startsWith('U__')) return name;
  const escaped = name.slice(3);
  let plain = '';
  for (let i = 0; i < escaped.length; i++) {
    if (escaped[i] !== '_') {
      plain += escaped[i];
      continue;
    }
    if (escaped[i + 1] === '_') {
      plain += '_';
      i++;
      continue;
    }
    const end = escaped.indexOf('_', i + 1);
    const digits = end < 0 ? '' : escaped.slice(i + 1, end);
    // Anything that isn't properly escaped is taken as it came.
    if (!/^[0-9a-fA-F]{1,6}$/.test(digits)) return name;
    const code = Number.parseInt(digits, 16);
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return name;
    plain += String.fromCodePoint(code);
    i = end;
  }
  return plain;
}
