import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { type EvalOutcome, ScriptRunner } from './runner.js';

// Runs Prometheus' own PromQL scripts, which live outside the repository, and our own under testdata/promql. Every eval
// must pass, except the listed numbers of open ones: raising support means lowering a number here.

const root = join(dirname(fileURLToPath(import.meta.url)), '../../../..');
const shared = [process.env['VARVE_SHARED'], join(root, '../shared')].find(
  (path) => path !== undefined && existsSync(join(path, 'promqltest')),
);

/** Evals that do not pass yet, by file. */
const OPEN: Readonly<Record<string, number>> = {};

/** Files whose expected values are given with fewer digits than the default tolerance asks for. */
const TOLERANCES: Readonly<Record<string, number>> = {
  // stddev_over_time is written with seven digits.
  'functions.test': 1e-6,
  // Bounds are written with seven digits, and quantiles go by them.
  'native_histograms.test': 1e-6,
  // sinh(10) is off in the ninth digit.
  'trig_functions.test': 1e-8,
};

function failures(outcomes: readonly EvalOutcome[]): string[] {
  return outcomes
    .filter((outcome) => outcome.status === 'failed')
    .map((outcome) => `line ${outcome.line}: ${outcome.query}: ${outcome.reason}`);
}

async function runFile(path: string, name: string, delayedNameRemoval: boolean): Promise<EvalOutcome[]> {
  const tolerance = TOLERANCES[name] ?? 1e-9;
  const runner = new ScriptRunner({
    delayedNameRemoval,
    typeAndUnitLabels: name === 'type_and_unit.test',
    startTimestamps: name === 'start_timestamps.test',
    tolerance,
  });
  return runner.run(readFileSync(path, 'utf8'));
}

if (shared === undefined) {
  test.skip('upstream scripts: no promqltest folder found (set VARVE_SHARED)', () => {});
} else {
  const folder = join(shared, 'promqltest');
  describe('upstream scripts', () => {
    for (const name of readdirSync(folder).filter((file) => file.endsWith('.test'))) {
      test(name, async () => {
        // Upstream runs them with delayed name removal.
        const outcomes = await runFile(join(folder, name), name, true);
        expect(outcomes.length).toBeGreaterThan(0);
        const failed = failures(outcomes);
        if (OPEN[name] === undefined) expect(failed).toEqual([]);
        else expect(failed).toHaveLength(OPEN[name]);
      });
    }
  });
}

describe('our scripts', () => {
  const folder = join(root, 'testdata/promql');
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.test'))) {
    for (const delayed of [false, true]) {
      test(`${name}, names dropped ${delayed ? 'at the end' : 'at once'}`, async () => {
        const outcomes = await runFile(join(folder, name), name, delayed);
        expect(outcomes.length).toBeGreaterThan(0);
        expect(failures(outcomes)).toEqual([]);
      });
    }
  }
});
