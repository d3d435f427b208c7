import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type EvalOutcome, ScriptRunner } from '../../lib/promql/testing/index.js';
import { stopAll } from '../processes.js';
import { repositoryRoot, startVarve, type Varve } from '../varve.js';
import { HttpSystem, SKIP_START_TIMES } from './http-engine.js';

/**
 * Prometheus' own PromQL scripts and ours once more, through the doors that users take: samples come in by remote
 * write, queries go through the query API of a process.
 */

const root = repositoryRoot();
const shared = [process.env['VARVE_SHARED'], join(root, '../shared')].find(
  (path) => path !== undefined && existsSync(join(path, 'promqltest')),
);

const FEATURES = [
  'promql-experimental-functions',
  'promql-extended-range-selectors',
  'promql-binop-fill-modifiers',
  'promql-duration-expr',
  'promql-delayed-name-removal',
];

/** Files whose expected values are given with fewer digits than the default tolerance asks for. */
const TOLERANCES: Readonly<Record<string, number>> = {
  'functions.test': 1e-6,
  'native_histograms.test': 1e-6,
  'trig_functions.test': 1e-8,
};

const folders = [
  join(root, 'testdata/promql'),
  ...(shared === undefined ? [] : [join(shared, 'promqltest')]),
];
if (shared === undefined) {
  process.stderr.write('SKIPPED: upstream scripts, as there is no promqltest folder (set VARVE_SHARED)\n');
}

describe('PromQL scripts over HTTP', () => {
  let plain: Varve;
  let typed: Varve;

  beforeAll(async () => {
    // Scripts begin at 1970 and load what they like in any order: no sample is too old, nothing is cut to a block.
    const args = [
      '--multitenancy=true',
      '--wal-sync=none',
      '--query-concurrency=1',
      '--head-block-range=87600h',
      '--out-of-order-window=87600h',
    ];
    plain = await startVarve({ args: [...args, `--enable-feature=${FEATURES.join(',')}`] });
    typed = await startVarve({
      args: [...args, `--enable-feature=${FEATURES.join(',')},type-and-unit-labels`],
    });
  });

  afterAll(stopAll);

  for (const folder of folders) {
    for (const name of readdirSync(folder).filter((file) => file.endsWith('.test'))) {
      test(name, async () => {
        const isTyped = name === 'type_and_unit.test';
        const system = new HttpSystem(isTyped ? typed : plain, name);
        const options = {
          delayedNameRemoval: true,
          typeAndUnitLabels: isTyped,
          tolerance: TOLERANCES[name] ?? 1e-9,
        };
        const runner = new ScriptRunner(options, system);
        const outcomes = await runner.run(readFileSync(join(folder, name), 'utf8'));
        process.stderr.write(`${summaryOf(name, outcomes)}\n`);
        const failed = outcomes.filter(({ status }) => status === 'failed');
        expect(failed.map(({ line, query, reason }) => `line ${line}: ${query}: ${reason}`)).toEqual([]);
        const skipped = outcomes.filter(({ status }) => status === 'skipped');
        expect(skipped.filter(({ reason }) => reason !== SKIP_START_TIMES)).toEqual([]);
      });
    }
  }
});

function summaryOf(name: string, outcomes: readonly EvalOutcome[]): string {
  const count = (status: EvalOutcome['status']): number =>
    outcomes.filter((one) => one.status === status).length;
  const why = outcomes.find(({ status }) => status === 'skipped')?.reason;
  return `${name}: ${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped${why === undefined ? '' : ` (${why})`}`;
}
