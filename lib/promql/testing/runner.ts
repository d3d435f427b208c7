import { messageOf } from '../../errors/index.js';
import {
  compactHistogram,
  equalLayouts,
  type FloatHistogram,
  formatHistogram,
  VALUE,
} from '../../histogram/index.js';
import type { LabelSet } from '../../labels/index.js';
import type { Queryable } from '../../storage/index.js';
import type { EngineOptions, QueryEngine, QueryResult } from '../exec/index.js';
import { createQueryEngine } from '../exec/index.js';
import { withCustomBuckets } from './custom-buckets.js';
import { encodePoints } from './encode-points.js';
import { MemoryQueryable } from './memory-queryable.js';
import { type Command, type Expectation, type Point, parseScript, type SeriesLine } from './script.js';

/** Runs PromQL test scripts against the engine over series in memory. */

type Eval = Extract<Command, { kind: 'eval' }>;

export interface EvalOutcome {
  readonly line: number;
  readonly query: string;
  readonly status: 'passed' | 'failed' | 'skipped';
  /** Why it failed or was skipped. */
  readonly reason: string;
}

const ENGINE_OPTIONS: EngineOptions = {
  lookbackMs: 300_000,
  evaluationIntervalMs: 60_000,
  samplesMax: 50_000_000,
  memoryBytesMax: 512 * 1024 * 1024,
  parser: {
    experimentalFunctions: true,
    extendedRangeSelectors: true,
    binopFillModifiers: true,
    durationExpressions: true,
  },
};

// Upstream's runner compares with a relative error of 1e-6, and its scripts give that many digits; most cases agree to
// 1e-9, which is what is asked here.
const TOLERANCE = 1e-9;

export interface RunnerOptions {
  readonly delayedNameRemoval: boolean;
  readonly typeAndUnitLabels: boolean;
  readonly startTimestamps?: boolean;
  /** Relative error allowed between expected and computed floats. */
  readonly tolerance?: number;
}

/** Where a script's samples go. */
export interface ScriptStorage extends Queryable {
  clear(): void;
  /** Adds the points of a series line, which are `stepMs` apart from 0 on. */
  appendPoints(
    labels: LabelSet,
    points: readonly Point[],
    stepMs: number,
    startOffsets: SeriesLine['startOffsets'],
  ): void;
}

/** What scripts are run against. */
export interface ScriptSystem {
  readonly engine: QueryEngine;
  readonly storage: ScriptStorage;
  /** Whether two histograms agree in what this system shows of them; default: in everything. */
  sameHistogram?(expected: FloatHistogram, actual: FloatHistogram, almost: Almost): boolean;
}

export type Almost = (expected: number, actual: number) => boolean;

/** Thrown by a system that cannot run an eval. */
export class ScriptSkip extends Error {}

class MemoryStorage extends MemoryQueryable implements ScriptStorage {
  appendPoints(
    labels: LabelSet,
    points: readonly Point[],
    stepMs: number,
    startOffsets: SeriesLine['startOffsets'],
  ): void {
    this.appendChunks(labels, encodePoints(points, stepMs, startOffsets));
  }
}

export class ScriptRunner {
  private readonly engine: QueryEngine;
  private readonly storage: ScriptStorage;
  private readonly system: ScriptSystem;
  private readonly tolerance: number;

  /** @param system another one than the engine of this process over series in memory */
  constructor(options: RunnerOptions, system?: ScriptSystem) {
    this.system = system ?? {
      engine: createQueryEngine({ ...ENGINE_OPTIONS, ...options }),
      storage: new MemoryStorage(),
    };
    this.engine = this.system.engine;
    this.storage = this.system.storage;
    this.tolerance = options.tolerance ?? TOLERANCE;
  }

  /** Runs a script from its beginning; one outcome per eval. */
  async run(script: string): Promise<EvalOutcome[]> {
    const outcomes: EvalOutcome[] = [];
    this.storage.clear();
    for (const command of parseScript(script)) {
      if (command.kind === 'clear') this.storage.clear();
      else if (command.kind === 'load') this.load(command);
      else outcomes.push(await this.evaluate(command));
    }
    return outcomes;
  }

  private load(command: Extract<Command, { kind: 'load' }>): void {
    // A series that occurs twice in one command counts as its last line.
    const lines = new Map<string, SeriesLine>();
    const starts = new Map<string, SeriesLine['startOffsets']>();
    for (const line of command.series) {
      const key = JSON.stringify(line.labels);
      if (line.startOffsets === null) lines.set(key, line);
      else starts.set(key, line.startOffsets);
    }
    const loaded = command.withCustomBuckets ? withCustomBuckets([...lines.values()]) : lines.values();
    for (const line of loaded) {
      const offsets = starts.get(JSON.stringify(line.labels)) ?? null;
      this.storage.appendPoints(line.labels, line.points, command.stepMs, offsets);
    }
  }

  private async evaluate(command: Eval): Promise<EvalOutcome> {
    const { line, query, expect } = command;
    let reason: string;
    try {
      const result = await this.execute(command, command.startMs, command.endMs, command.stepMs);
      reason = expect.fails ? 'expected to fail' : this.compare(command, result);
      if (reason === '' && isRepeatable(command, result)) reason = await this.repeatAsRange(command, result);
    } catch (thrown) {
      if (thrown instanceof ScriptSkip) return { line, query, status: 'skipped', reason: thrown.message };
      const message = messageOf(thrown);
      if (!expect.fails) reason = `error: ${thrown instanceof Error ? (thrown.stack ?? message) : message}`;
      else if (expect.failTexts.every((text) => fits(message, text))) reason = '';
      else reason = `wrong error: ${message}`;
    }
    return { line, query, status: reason === '' ? 'passed' : 'failed', reason };
  }

  private execute(command: Eval, startMs: number, endMs: number, stepMs: number): Promise<QueryResult> {
    const request = { query: command.query, startMs, endMs, stepMs, lookbackMs: 0, limit: 0 };
    return this.engine.execute(request, this.storage, () => false, Infinity);
  }

  /** Instant results must come back from a range query around the time as well. */
  private async repeatAsRange(command: Eval, instant: QueryResult): Promise<string> {
    const minute = 60_000;
    const { startMs } = command;
    const range = await this.execute(command, startMs - minute, startMs + minute, minute);
    if (range.value.type !== 'matrix') return 'range query gave no matrix';
    const middle = new Map<string, Value>();
    for (const series of range.value.series) {
      if (series.present[1] !== 0) middle.set(JSON.stringify(series.labels), valueAt(series, 1));
    }
    const expected = new Map<string, Value>();
    if (instant.value.type === 'scalar') expected.set('[]', instant.value.value);
    if (instant.value.type === 'vector') {
      for (const series of instant.value.series)
        expected.set(JSON.stringify(series.labels), valueAt(series, 0));
    }
    if (middle.size !== expected.size) return `as a range query ${middle.size} series, not ${expected.size}`;
    for (const [key, value] of expected) {
      const other = middle.get(key);
      if (other === undefined || !this.almostSame(value, other))
        return `as a range query ${key} is ${other === undefined ? 'missing' : show(other)}, not ${show(value)}`;
    }
    return '';
  }

  private compare(command: Eval, result: QueryResult): string {
    const { expect } = command;
    return (
      this.compareValue(command, result) ||
      compareNotes('warning', expect.warns, expect.noWarn, result.warnings) ||
      compareNotes('info', expect.infos, expect.noInfo, result.infos)
    );
  }

  private compareValue(command: Eval, result: QueryResult): string {
    const { expect } = command;
    const { value } = result;
    switch (value.type) {
      case 'string':
        return value.value === expect.text ? '' : `string ${JSON.stringify(value.value)}`;
      case 'scalar':
        if (expect.scalar !== null && this.almost(expect.scalar, value.value)) return '';
        return `scalar ${value.value}, expected ${expect.scalar}`;
      case 'vector': {
        const rows = value.series.map((series) => ({
          labels: series.labels,
          at: new Map([[0, valueAt(series, 0)]]),
        }));
        return this.compareRows(expect, rows);
      }
      case 'matrix': {
        if (expect.scalar !== null) expect.series.push({ labels: [], points: [], startOffsets: null });
        const rows = value.series.map((series) => {
          const at = new Map<number, Value>();
          series.present.forEach((flag, k) => {
            if (flag !== 0) at.set(k, valueAt(series, k));
          });
          return { labels: series.labels, at };
        });
        return this.compareRows(expect, rows);
      }
      case 'rawMatrix': {
        const range = expect.rangeVector;
        if (range === null) return 'unexpected range vector';
        const rows = value.series.map((series) => {
          const at = new Map<number, Value>();
          series.timestampsMs.forEach((t, n) => {
            at.set((t - range.startMs) / range.stepMs, valueAt(series, n));
          });
          return { labels: series.labels, at };
        });
        return this.compareRows(expect, rows);
      }
    }
  }

  private compareRows(
    expect: Expectation,
    rows: readonly { labels: LabelSet; at: Map<number, Value> }[],
  ): string {
    const got = new Map(rows.map((row) => [JSON.stringify(row.labels), row]));
    if (got.size !== expect.series.length) {
      return `${got.size} series, expected ${expect.series.length}: ${[...got.keys()].slice(0, 5).join(' ')}`;
    }
    for (const [position, line] of expect.series.entries()) {
      const key = JSON.stringify(line.labels);
      const row = got.get(key);
      if (row === undefined) return `no series ${key}; got ${[...got.keys()].slice(0, 5).join(' ')}`;
      if (expect.ordered && JSON.stringify(rows[position]!.labels) !== key)
        return `series ${key} out of order`;
      let points = 0;
      for (const [k, point] of line.points.entries()) {
        if (point.kind !== 'float' && point.kind !== 'histogram') continue;
        points++;
        const value = row.at.get(k);
        if (value === undefined) return `${key} has no value at step ${k}`;
        const wanted = point.kind === 'float' ? point.value : point.histogram;
        const isSame =
          this.almostSame(wanted, value) &&
          (point.kind === 'float' ||
            !point.hasHint ||
            this.system.sameHistogram ||
            hintOf(value) === point.histogram.hint);
        if (!isSame) return `${key} is ${show(value)} at step ${k}, expected ${show(wanted)}`;
      }
      if (points !== row.at.size) return `${key} has ${row.at.size} points, expected ${points}`;
    }
    return '';
  }

  private almostSame(expected: Value, actual: Value): boolean {
    if (typeof expected === 'number' || typeof actual === 'number')
      return typeof expected === 'number' && typeof actual === 'number' && this.almost(expected, actual);
    const almost: Almost = (x, y) => this.almost(x, y);
    if (this.system.sameHistogram !== undefined) return this.system.sameHistogram(expected, actual, almost);
    const a = compactHistogram(expected);
    const b = compactHistogram(actual);
    return equalLayouts(a.layout, b.layout) && a.values.every((x, i) => this.almost(x, b.values[i]!));
  }

  private almost(expected: number, actual: number): boolean {
    if (Object.is(expected, actual) || expected === actual) return true;
    if (Number.isNaN(expected) || Number.isNaN(actual)) return Number.isNaN(expected) && Number.isNaN(actual);
    const difference = Math.abs(expected - actual);
    const scale = Math.min(Math.abs(expected) + Math.abs(actual), Number.MAX_VALUE);
    return difference <= this.tolerance * scale || difference < 1e-300;
  }
}

type Value = number | FloatHistogram;

/** What a series of a result has at a place. */
function valueAt(
  series: {
    readonly values: Float64Array;
    readonly histograms?: readonly (FloatHistogram | null)[] | null;
  },
  k: number,
): Value {
  return series.histograms?.[k] ?? series.values[k]!;
}

function hintOf(value: Value): number {
  return typeof value === 'number' ? -1 : value.hint;
}

function show(value: Value): string {
  if (typeof value === 'number') return String(value);
  const { layout } = value;
  const zero = `${value.values[VALUE.zeroCount]} in ${layout.zeroThreshold}`;
  return `${formatHistogram(value)} (schema ${layout.schema}, zero ${zero}, hint ${value.hint})`;
}

/** Whether an instant eval can be repeated as a range query: order and own timestamps do not survive that, and
 * functions of the query's own times mean something else. */
function isRepeatable(command: Eval, result: QueryResult): boolean {
  const { type } = result.value;
  if (/\b(range|step|start|end)\(\)/.test(command.query)) return false;
  return command.isInstant && !command.expect.ordered && (type === 'vector' || type === 'scalar');
}

function fits(message: string, expected: string | RegExp): boolean {
  return typeof expected === 'string' ? message === expected : expected.test(message);
}

function compareNotes(
  what: string,
  expected: (string | RegExp)[] | null,
  isForbidden: boolean,
  notes: readonly string[],
): string {
  if (isForbidden && notes.length > 0) return `unexpected ${what}: ${notes[0]}`;
  if (expected === null) return '';
  if (notes.length === 0) return `no ${what}`;
  if (expected.length === 0) return '';
  for (const note of notes) {
    if (!expected.some((text) => fits(note, text))) return `${what} ${note}`;
  }
  for (const text of expected)
    if (!notes.some((note) => fits(note, text))) return `no ${what} ${text}; got ${notes[0]}`;
  return '';
}
