import { afterAll, describe, expect, test } from '@jest/globals';
import { havePeers, type Server, startPrometheus } from '../peers.js';
import { stopAll } from '../processes.js';
import { startVarve } from '../varve.js';
import { familiesOf, generateData } from './data.js';
import { describeFinding, describeReport, runSeed } from './differential.js';
import { loadSeries } from './load.js';

/**
 * The same generated samples in Prometheus 3.5 and in Varve, then generated queries on both: every field of the
 * answers must agree, apart from the listed explained differences.
 */

const SEEDS = (process.env['E2E_SEEDS'] ?? '1,2,3').split(',').map(Number);
const QUERIES = Number(process.env['E2E_QUERIES'] ?? 1500);
const ONLY = process.env['E2E_ONLY'] === undefined ? null : Number(process.env['E2E_ONLY']);
const WITH_NATIVE = process.env['E2E_NATIVE_HISTOGRAMS'] !== 'false';

const FEATURES = ['promql-experimental-functions', 'promql-duration-expr'];

const suite = havePeers('prometheus') ? describe : describe.skip;

suite('generated queries', () => {
  afterAll(stopAll);

  test.each(SEEDS)(
    'seed %d',
    async (seed) => {
      const theirFeatures = WITH_NATIVE ? [...FEATURES, 'native-histograms'] : FEATURES;
      const prometheus = await startPrometheus({ args: [`--enable-feature=${theirFeatures.join(',')}`] });
      const varve = await startVarve({ args: [`--enable-feature=${FEATURES.join(',')}`] });
      const data = generateData(seed, WITH_NATIVE);
      await loadSeries(`${prometheus.api}/write`, data);
      await loadSeries(varve.pushUrl, data);
      const servers: { theirs: Server; ours: Server } = { theirs: prometheus, ours: varve };
      const report = await runSeed({
        seed,
        queries: QUERIES,
        only: ONLY,
        families: familiesOf(WITH_NATIVE),
        ...servers,
      });
      process.stderr.write(`${describeReport(seed, report)}\n`);
      for (const finding of report.unexplained.slice(0, 40))
        process.stderr.write(`${describeFinding(finding)}\n`);
      await Promise.all([prometheus.stop(), varve.stop()]);
      expect(report.unexplained).toEqual([]);
      if (ONLY === null) expect(report.withData / report.queries).toBeGreaterThan(0.5);
    },
    3_600_000,
  );
});
