import { expect, test } from '@jest/globals';
import type { QueryEngine } from '../promql/exec/index.js';
import { makeEngine, makeLanguage } from './promql.js';
import { warmUp } from './warm-up.js';

const PARSER = {
  experimentalFunctions: false,
  extendedRangeSelectors: false,
  binopFillModifiers: false,
  durationExpressions: false,
};
const OPTIONS = {
  lookbackMs: 300_000,
  evaluationIntervalMs: 60_000,
  samplesMax: 50_000_000,
  memoryBytesMax: 2 ** 28,
  parser: PARSER,
};

test('warming up runs queries that find series, and waits while the thread is busy', async () => {
  const engine = makeEngine(OPTIONS);
  const found: number[] = [];
  let busyLooks = 3;
  const watched: QueryEngine = {
    execute: async (...args) => {
      expect(busyLooks).toBe(0);
      const result = await engine.execute(...args);
      found.push('series' in result.value ? result.value.series.length : 1);
      return result;
    },
  };
  await warmUp(watched, makeLanguage(PARSER), () => busyLooks > 0 && busyLooks-- > 0);
  expect(found.length).toBeGreaterThan(0);
  expect(found.every((count) => count > 0)).toBe(true);
});
