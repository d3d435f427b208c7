import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { havePeers, type Server, startPrometheus } from '../peers.js';
import { stopAll } from '../processes.js';
import { repositoryRoot, startVarve, type Varve } from '../varve.js';
import { compareAnswers, hasData } from './compare.js';
import { DEMO_END_MS, generateDemo } from './demo-data.js';
import { ask } from './differential.js';
import type { Evaluation } from './evaluation.js';
import { align } from './explained.js';
import { loadSeries } from './load.js';

/**
 * The queries of Prometheus' compliance tester on both servers, as its range queries and as instant ones. They live
 * outside of the repository.
 */

const file = [process.env['VARVE_SHARED'], join(repositoryRoot(), '../shared')]
  .filter((folder) => folder !== undefined)
  .map((folder) => join(folder, 'promqltest/compliance-queries.txt'))
  .find(existsSync);
if (file === undefined) {
  process.stderr.write('SKIPPED: compliance queries, as there is no promqltest folder (set VARVE_SHARED)\n');
}

interface Line {
  readonly query: string;
  readonly mustFail: boolean;
}

/** Lines are a query with `<<name>>` for each of the values of `@var name = a|b`; `!fail` before those that fail. */
function readQueries(text: string): Line[] {
  const variables = new Map<string, string[]>();
  const lines: Line[] = [];
  for (const line of text.split('\n')) {
    const variable = /^@var (\w+) = (.*)$/.exec(line);
    if (variable !== null) variables.set(variable[1]!, variable[2]!.split('|'));
    else if (line !== '' && !/^[#@]/.test(line)) {
      const mustFail = line.startsWith('!fail ');
      for (const query of expand(mustFail ? line.slice(6) : line, variables)) lines.push({ query, mustFail });
    }
  }
  return lines;
}

function expand(query: string, variables: ReadonlyMap<string, readonly string[]>): string[] {
  const name = /<<(\w+)>>/.exec(query)?.[1];
  if (name === undefined) return [query];
  return variables.get(name)!.flatMap((value) => expand(query.replaceAll(`<<${name}>>`, value), variables));
}

const suite = file !== undefined && havePeers('prometheus') ? describe : describe.skip;

suite('queries of the compliance tester', () => {
  const lines = file === undefined ? [] : readQueries(readFileSync(file, 'utf8'));
  let prometheus: Server;
  let varve: Varve;

  beforeAll(async () => {
    prometheus = await startPrometheus();
    varve = await startVarve();
    const data = generateDemo(1);
    await loadSeries(`${prometheus.api}/write`, data);
    await loadSeries(varve.pushUrl, data);
  });

  afterAll(stopAll);

  const endS = DEMO_END_MS / 1000 - 60;
  const evaluations: readonly Evaluation[] = [
    { path: 'query_range', parameters: { start: String(endS - 600), end: String(endS), step: '10' } },
    { path: 'query', parameters: { time: String(endS - 7.25) } },
  ];

  test.each(evaluations)('$path', async (evaluation) => {
    const differing: unknown[] = [];
    let withData = 0;
    for (const { query, mustFail } of lines) {
      const isRange = evaluation.path === 'query_range';
      const [theirs, ours] = align(
        await ask(prometheus, evaluation, query),
        await ask(varve, evaluation, query),
        isRange,
        new Map(),
      );
      expect([query, theirs.status]).toEqual([query, mustFail ? 'error' : 'success']);
      if (hasData(theirs)) withData++;
      const differences = compareAnswers(theirs, ours, {
        ordered: isRange || !/count_values|histogram_quantile/.test(query),
        tiesMayMove: false,
        tolerance: 1e-12,
      });
      if (differences.length > 0) differing.push({ query, differences });
    }
    process.stderr.write(
      `${evaluation.path}: ${lines.length} queries, ${withData} with data, ${differing.length} different\n`,
    );
    expect(differing).toEqual([]);
    expect(withData / lines.length).toBeGreaterThan(0.8);
  });
});
