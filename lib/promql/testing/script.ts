import {
  addHistograms,
  type FloatHistogram,
  parseHistogramNotation,
  subtractHistograms,
} from '../../histogram/index.js';
import { compareUtf8, type Label, type LabelSet } from '../../labels/index.js';

/** Parses the script language of PromQL tests: commands of `load`, `clear` and `eval`, one per block of lines. */

/** A point of a series line: a float, a stale marker, a native histogram, or nothing. */
export type Point =
  | { readonly kind: 'float'; readonly value: number }
  | {
      readonly kind: 'histogram';
      readonly histogram: FloatHistogram;
      /** Whether the notation says anything about the counter reset hint. */
      readonly hasHint: boolean;
    }
  | { readonly kind: 'stale' | 'none' };

export interface SeriesLine {
  readonly labels: LabelSet;
  readonly points: readonly Point[];
  /** Of a line of start timestamps (`series@st`): ms from the sample of another line to its start, or null for none. */
  readonly startOffsets: readonly (number | null)[] | null;
}

export interface Expectation {
  fails: boolean;
  /** Literal text or pattern that an error must have. */
  failTexts: (string | RegExp)[];
  warns: (string | RegExp)[] | null;
  infos: (string | RegExp)[] | null;
  noWarn: boolean;
  noInfo: boolean;
  ordered: boolean;
  text: string | null;
  rangeVector: { startMs: number; endMs: number; stepMs: number } | null;
  scalar: number | null;
  series: SeriesLine[];
}

export type Command =
  | { readonly kind: 'clear' }
  | {
      readonly kind: 'load';
      readonly stepMs: number;
      readonly withCustomBuckets: boolean;
      readonly series: SeriesLine[];
    }
  | {
      readonly kind: 'eval';
      readonly line: number;
      readonly query: string;
      readonly isInstant: boolean;
      readonly startMs: number;
      readonly endMs: number;
      readonly stepMs: number;
      readonly expect: Expectation;
    };

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

/** A duration such as `1h30m`, or a number of seconds, in ms. */
export function parseDurationMs(text: string): number {
  const sign = text.startsWith('-') ? -1 : 1;
  const body = text.replace(/^[+-]/, '');
  if (/^[0-9.]+$/.test(body)) return sign * Math.round(Number(body) * 1000);
  let total = 0;
  for (const [, digits = '', unit = ''] of body.matchAll(/([0-9.]+)(ms|[smhdwy])/g)) {
    total += Number(digits) * UNITS[unit]!;
  }
  return sign * Math.round(total);
}

export function parseScript(text: string): Command[] {
  const lines = text.split('\n');
  const commands: Command[] = [];
  let i = 0;
  const takeBlock = (): string[] => {
    const block: string[] = [];
    while (i < lines.length) {
      const trimmed = lines[i]!.trim();
      if (trimmed === '' || /^(eval|load|clear)/.test(lines[i]!)) break;
      if (!trimmed.startsWith('#')) block.push(trimmed);
      i++;
    }
    return block;
  };
  while (i < lines.length) {
    const number = i + 1;
    const line = lines[i++]!.trim();
    if (line === '' || line.startsWith('#')) continue;
    if (line === 'clear') commands.push({ kind: 'clear' });
    else if (line.startsWith('load')) {
      const [word, step = ''] = line.split(/\s+/);
      const series = takeBlock().map(parseSeriesLine);
      commands.push({
        kind: 'load',
        stepMs: parseDurationMs(step),
        withCustomBuckets: word === 'load_with_nhcb',
        series,
      });
    } else if (line.startsWith('eval')) commands.push(parseEval(line, number, takeBlock()));
    else throw new Error(`line ${number}: unknown command ${line}`);
  }
  return commands;
}

function parseEval(line: string, number: number, block: readonly string[]): Command {
  const match =
    /^(eval\S*)\s+(?:instant\s+at\s+(\S+)|range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+))\s+(.*)$/.exec(
      line,
    );
  if (match === null) throw new Error(`line ${number}: cannot read ${line}`);
  const [, word = '', at, from = '0', to = '0', step = '0', query = ''] = match;
  const isInstant = at !== undefined;
  const expect: Expectation = {
    fails: word === 'eval_fail',
    failTexts: [],
    warns: word === 'eval_warn' ? [] : null,
    infos: word === 'eval_info' ? [] : null,
    noWarn: false,
    noInfo: false,
    ordered: word === 'eval_ordered',
    text: null,
    rangeVector: null,
    scalar: null,
    series: [],
  };
  for (const item of block) readExpectation(item, expect);
  return {
    kind: 'eval',
    line: number,
    query,
    isInstant,
    startMs: parseDurationMs(at ?? from),
    endMs: parseDurationMs(at ?? to),
    stepMs: isInstant ? 0 : parseDurationMs(step),
    expect,
  };
}

function readExpectation(item: string, expect: Expectation): void {
  const old = /^expected_fail_(message|regexp)\s+(.*)$/.exec(item);
  if (old !== null) {
    expect.failTexts.push(old[1] === 'message' ? old[2]! : new RegExp(old[2]!));
    return;
  }
  const range = /^expect range vector from (\S+) to (\S+) step (\S+)$/.exec(item);
  if (range !== null) {
    const [startMs, endMs, stepMs] = range.slice(1).map(parseDurationMs) as [number, number, number];
    expect.rangeVector = { startMs, endMs, stepMs };
    return;
  }
  const directive = /^expect\s+(fail|warn|info|no_warn|no_info|ordered|string)\b\s*(.*)$/.exec(item);
  if (directive !== null) {
    readDirective(directive[1]!, directive[2]!, expect);
    return;
  }
  const scalar = /^[+-]?(?:[0-9.]\S*|inf|nan)$/i.test(item) ? parseNumber(item) : null;
  if (scalar !== null) expect.scalar = scalar;
  else expect.series.push(parseSeriesLine(item));
}

function readDirective(word: string, rest: string, expect: Expectation): void {
  const pattern = rest.startsWith('msg:')
    ? [rest.slice(4).trim()]
    : rest.startsWith('regex:')
      ? [new RegExp(rest.slice(6).trim())]
      : [];
  switch (word) {
    case 'fail':
      expect.fails = true;
      expect.failTexts.push(...pattern);
      return;
    case 'warn':
      expect.warns = [...(expect.warns ?? []), ...pattern];
      return;
    case 'info':
      expect.infos = [...(expect.infos ?? []), ...pattern];
      return;
    case 'no_warn':
      expect.noWarn = true;
      return;
    case 'no_info':
      expect.noInfo = true;
      return;
    case 'ordered':
      expect.ordered = true;
      return;
    default:
      expect.text = unquote(rest);
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
};

/** The text of a quoted string; raw bytes that are no UTF-8 become the replacement character. */
export function unquote(quoted: string): string {
  const body = quoted.slice(1, -1);
  if (quoted.startsWith('`')) return body;
  const bytes: Buffer[] = [];
  const escapes = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))/gs;
  let at = 0;
  for (const match of body.matchAll(escapes)) {
    bytes.push(Buffer.from(body.slice(at, match.index)));
    const [whole, hex, short, long, octal, letter] = match;
    if (hex !== undefined) bytes.push(Buffer.from([Number.parseInt(hex, 16)]));
    else if (octal !== undefined) bytes.push(Buffer.from([Number.parseInt(octal, 8)]));
    else if (letter !== undefined) bytes.push(Buffer.from(ESCAPES[letter] ?? letter));
    else bytes.push(Buffer.from(String.fromCodePoint(Number.parseInt(short ?? long ?? '0', 16))));
    at = match.index + whole.length;
  }
  bytes.push(Buffer.from(body.slice(at)));
  return Buffer.concat(bytes).toString();
}

const QUOTED = /^(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)/s;

function parseSeriesLine(line: string): SeriesLine {
  let rest = line;
  const labels: Label[] = [];
  const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(rest)?.[0];
  if (name !== undefined) {
    labels.push({ name: '__name__', value: name });
    rest = rest.slice(name.length);
  }
  rest = rest.trimStart();
  if (rest.startsWith('{') && !rest.startsWith('{{')) {
    rest = rest.slice(1).trimStart();
    while (!rest.startsWith('}')) {
      const token = QUOTED.exec(rest)?.[0] ?? /^[^\s=,}]+/.exec(rest)?.[0] ?? '';
      rest = rest.slice(token.length).trimStart();
      const text = QUOTED.test(token) ? unquote(token) : token;
      if (rest.startsWith('=')) {
        rest = rest.slice(1).trimStart();
        const value = QUOTED.exec(rest)?.[0] ?? '';
        rest = rest.slice(value.length).trimStart();
        labels.push({ name: text, value: unquote(value) });
      } else labels.push({ name: '__name__', value: text });
      if (rest.startsWith(',')) rest = rest.slice(1).trimStart();
      if (rest === '') throw new Error(`cannot read series ${line}`);
    }
    rest = rest.slice(1);
  }
  const isStartTimes = rest.startsWith('@st');
  if (isStartTimes) rest = rest.slice(3);
  const kept = labels.filter((label) => label.value !== '').sort((a, b) => compareUtf8(a.name, b.name));
  if (isStartTimes) return { labels: kept, points: [], startOffsets: parseOffsets(rest) };
  return { labels: kept, points: parsePoints(rest), startOffsets: null };
}

const FLOAT = '(?:[0-9]+\\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\\.[0-9]+(?:[eE][+-]?[0-9]+)?|[iI]nf|[nN]a[nN])';
const ITEM = new RegExp(`^([+-]?${FLOAT})(?:([+-]${FLOAT}))?(?:x([0-9]+))?$`);

function parseNumber(text: string): number {
  const word = text.toLowerCase().replace(/^[+-]/, '');
  const sign = text.startsWith('-') ? -1 : 1;
  if (word === 'inf') return sign * Infinity;
  if (word === 'nan') return NaN;
  return Number(text.replace(/^\+/, ''));
}

function parsePoints(text: string): Point[] {
  const points: Point[] = [];
  const tokens = text.match(/\{\{.*?\}\}(?:[+-]\{\{.*?\}\})?(?:x[0-9]+)?|\S+/g) ?? [];
  for (const token of tokens) {
    if (token.startsWith('{{')) {
      points.push(...parseHistograms(token));
      continue;
    }
    const gap = /^_(?:x([0-9]+))?$/.exec(token);
    if (gap !== null) {
      for (let n = 0; n < Number(gap[1] ?? 1); n++) points.push({ kind: 'none' });
      continue;
    }
    const stale = /^stale(?:x([0-9]+))?$/.exec(token);
    if (stale !== null) {
      for (let n = 0; n <= Number(stale[1] ?? 0); n++) points.push({ kind: 'stale' });
      continue;
    }
    const item = ITEM.exec(token);
    if (item === null) throw new Error(`cannot read point ${token}`);
    let value = parseNumber(item[1]!);
    const increment = item[2] === undefined ? 0 : parseNumber(item[2]);
    for (let n = 0; n <= Number(item[3] ?? 0); n++) {
      points.push({ kind: 'float', value });
      value += increment;
    }
  }
  return points;
}

/** `{{…}}`, `{{…}}xn`, `{{…}}+{{…}}xn` or `{{…}}-{{…}}xn`. */
function parseHistograms(token: string): Point[] {
  const match = /^(\{\{.*?\}\})(?:([+-])(\{\{.*?\}\}))?(?:x([0-9]+))?$/.exec(token);
  const [, base = '', sign, change = '', times = '0'] = match ?? [];
  let histogram = parseHistogramNotation(base);
  const increment = sign === undefined ? null : parseHistogramNotation(change);
  if (histogram === null || (sign !== undefined && increment === null))
    throw new Error(`cannot read point ${token}`);
  const hasHint = token.includes('counter_reset_hint');
  const points: Point[] = [{ kind: 'histogram', histogram, hasHint }];
  for (let n = 0; n < Number(times); n++) {
    if (increment !== null) {
      const combine = sign === '-' ? subtractHistograms : addHistograms;
      histogram = combine(histogram, increment)?.histogram ?? histogram;
    }
    points.push({ kind: 'histogram', histogram, hasHint });
  }
  return points;
}

const OFFSET = '[0-9]+(?:ms|[smhdwy])?';
const OFFSET_ITEM = new RegExp(`^([+-]?${OFFSET})([+-]${OFFSET})?(?:x([0-9]+))?$`);

/** Points of start times: durations instead of values. */
function parseOffsets(text: string): (number | null)[] {
  const offsets: (number | null)[] = [];
  for (const token of text.trim().split(/\s+/)) {
    const gap = /^_(?:x([0-9]+))?$/.exec(token);
    if (gap !== null) {
      for (let n = 0; n < Number(gap[1] ?? 1); n++) offsets.push(null);
      continue;
    }
    const item = OFFSET_ITEM.exec(token);
    if (item === null) throw new Error(`cannot read start time ${token}`);
    const change = item[2] === undefined ? 0 : parseDurationMs(item[2]);
    let offset = parseDurationMs(item[1]!);
    for (let n = 0; n <= Number(item[3] ?? 0); n++) {
      offsets.push(offset);
      offset += change;
    }
  }
  return offsets;
}
