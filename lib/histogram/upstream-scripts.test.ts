import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import {
  addHistograms,
  compactHistogram,
  divideHistogram,
  equalLayouts,
  type FloatHistogram,
  histogramFraction,
  histogramMean,
  histogramQuantile,
  histogramVariance,
  multiplyHistogram,
  subtractHistograms,
  trimHistogram,
} from './index.js';
import { parseHistogramNotation } from './notation.js';

/**
 * Runs those evaluations of upstream's PromQL scripts that need nothing but arithmetic on constant histograms: each
 * `load` of a constant series, then `eval instant` of one function or operator. The rest of the scripts is for the
 * query engine's own runner.
 */

const candidates = [process.env['VARVE_SHARED'] ?? '', join(process.cwd(), '../shared')];
const folder = candidates.find((path) => path !== '' && existsSync(join(path, 'promqltest')));
if (folder === undefined)
  process.stderr.write('SKIPPED: no promqltest folder (set VARVE_SHARED); scripts not run\n');

interface Check {
  readonly line: number;
  readonly expression: string;
  readonly inputs: ReadonlyMap<string, FloatHistogram>;
  readonly expected: readonly string[];
}

type Value = number | FloatHistogram | null;

const SELECTOR = String.raw`[a-z_0-9]+(?:\{[^}]*\})?`;
const NUMBER = String.raw`[+-]?(?:\d[\d.e+-]*|inf|nan)`;
const BINARY = new RegExp(`^(${SELECTOR})\\s*([-+])\\s*(?:ignoring\\s*\\(\\w+\\)\\s*)?(${SELECTOR})$`, 'i');
const WITH_NUMBER = new RegExp(`^(${SELECTOR})\\s*(</|>/|\\*|/)\\s*(${NUMBER})$`, 'i');
const NUMBER_FIRST = new RegExp(`^(${NUMBER})\\s*\\*\\s*(${SELECTOR})$`, 'i');
const CALL = /^histogram_(count|sum|avg|stddev|stdvar|quantile|fraction)\((.*)\)$/;

function numberOf(text: string): number {
  if (/^[+-]?inf$/i.test(text))
    return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return /nan/i.test(text) ? Number.NaN : Number(text);
}

/** The value of an expression; undefined when it is beyond this test. */
function evaluate(expression: string, inputs: ReadonlyMap<string, FloatHistogram>): Value | undefined {
  const text = expression.trim();
  const selected = inputs.get(text);
  if (selected !== undefined) return selected;
  const call = CALL.exec(text);
  if (call !== null) return evaluateCall(call[1]!, call[2]!.split(','), inputs);
  const scaled = WITH_NUMBER.exec(text) ?? NUMBER_FIRST.exec(text);
  if (scaled !== null) {
    const isReversed = scaled.length === 3;
    const histogram = inputs.get(scaled[isReversed ? 2 : 1]!);
    const factor = numberOf(scaled[isReversed ? 1 : 3]!);
    if (histogram === undefined) return undefined;
    if (isReversed || scaled[2] === '*') return multiplyHistogram(histogram, factor);
    if (scaled[2] === '/') return divideHistogram(histogram, factor);
    return trimHistogram(histogram, factor, scaled[2] === '</');
  }
  const binary = BINARY.exec(text);
  if (binary === null) return undefined;
  const a = inputs.get(binary[1]!);
  const b = inputs.get(binary[3]!);
  if (a === undefined || b === undefined) return undefined;
  return (binary[2] === '+' ? addHistograms(a, b) : subtractHistograms(a, b))?.histogram ?? null;
}

function evaluateCall(
  name: string,
  args: readonly string[],
  inputs: ReadonlyMap<string, FloatHistogram>,
): Value | undefined {
  const histogram = evaluate(args.at(-1)!, inputs);
  if (histogram === undefined || histogram === null || typeof histogram === 'number') return undefined;
  const numbers = args.slice(0, -1).map((arg) => numberOf(arg.trim()));
  switch (name) {
    case 'count':
      return histogram.count;
    case 'sum':
      return histogram.sum;
    case 'avg':
      return histogramMean(histogram);
    case 'stddev':
      return Math.sqrt(histogramVariance(histogram));
    case 'stdvar':
      return histogramVariance(histogram);
    case 'quantile':
      return histogramQuantile(numbers[0]!, histogram).value;
    default:
      return histogramFraction(numbers[0]!, numbers[1]!, histogram).value;
  }
}

/** Series of the script so far that are one histogram all the time, and the evaluations over them. */
function readChecks(file: string): Check[] {
  const checks: Check[] = [];
  let inputs = new Map<string, FloatHistogram>();
  let expression = '';
  let expected: string[] = [];
  let mode: 'load' | 'eval' | 'none' = 'none';
  let evalLine = 0;
  const lines = [...readFileSync(file, 'utf8').split('\n'), ''];
  for (const [i, line] of lines.entries()) {
    const text = line.trim();
    if (!/^\s/.test(line) || text === '') {
      if (mode === 'eval') checks.push({ line: evalLine, expression, inputs: new Map(inputs), expected });
      mode = 'none';
      if (text === 'clear') inputs = new Map();
      else if (text.startsWith('load ')) mode = 'load';
      else if (text.startsWith('eval instant at ')) {
        mode = 'eval';
        expression = text.replace(/^eval instant at \S+\s+/, '');
        expected = [];
        evalLine = i + 1;
      }
    } else if (mode === 'load') {
      const series = /^(\S+?(?:\{.*?\})?)\s+(\{\{[^}]*\}\})(x\d+)?$/.exec(text);
      const histogram = series === null ? null : parseHistogramNotation(series[2]!);
      if (histogram !== null) inputs.set(series![1]!, histogram);
    } else if (mode === 'eval' && !text.startsWith('expect') && !text.startsWith('#')) expected.push(text);
  }
  return checks;
}

/** Equal to six digits, as upstream compares. */
function isClose(a: number, b: number): boolean {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b);
  if (a === b) return true;
  return Math.abs(a - b) / (Math.abs(a) + Math.abs(b)) < 1e-6;
}

function isExpected(found: Value, expected: readonly string[]): boolean {
  if (found === null) return expected.length === 0;
  const text = /^(?:\w*\{[^{]*\}|\w+)?\s*(\{\{.*\}\}|\S+)$/.exec(expected[0] ?? '')?.[1];
  if (text === undefined || expected.length !== 1) return false;
  if (typeof found === 'number') return isClose(found, numberOf(text));
  const wanted = parseHistogramNotation(text);
  if (wanted === null) return false;
  const a = compactHistogram(found);
  const b = compactHistogram(wanted);
  return equalLayouts(a.layout, b.layout) && a.values.every((value, k) => isClose(value, b.values[k]!));
}

(folder === undefined ? describe.skip : describe)("upstream's histogram script", () => {
  test('gives the expected values', () => {
    const failed: string[] = [];
    let count = 0;
    for (const check of readChecks(join(folder ?? '', 'promqltest/native_histograms.test'))) {
      const found = evaluate(check.expression, check.inputs);
      if (found === undefined) continue;
      count++;
      if (!isExpected(found, check.expected)) failed.push(`${check.line}: ${check.expression}`);
    }
    expect(failed).toEqual([]);
    expect(count).toBeGreaterThanOrEqual(254);
  });
});
