import { Agent, request } from 'node:http';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { differences, type QueryData } from '../../e2e/answers.js';
import { makeFolder, pause, stopAll } from '../../e2e/processes.js';
import {
  type Corpus,
  INTERVAL_MS,
  send,
  startOf,
  startTarget,
  TARGETS,
  type Target,
  type TargetName,
  usageOf,
  writeCorpus,
} from '../load/index.js';
import { type BenchQuery, QUERIES } from './queries.js';

/**
 * Loads the same samples into all targets, then runs each query on each of them in turn: a query's runs on the targets
 * follow one another closely, so that whatever else the machine does hits all alike. Varve's answers have to be those
 * of Prometheus. VictoriaMetrics answers by rules of its own (it does not extrapolate rates), so only its time counts.
 */

const USAGE = `npm run bench:query -- [options]
  --series=N      active series                              (100000)
  --rounds=N      samples per series                         (130)
  --runs=N        timed runs per query, after warm ones      (7)
  --minutes=N     range of the range queries, step 15 s      (25)
  --targets=a,b   of ${TARGETS.join(', ')} (all)
  --only=TEXT     queries whose name holds the text
  --json          print one JSON document instead of a table`;

/** Passes over the whole set before anything is timed: servers with a compiler inside reach their usual speed. */
const WARM_PASSES = 3;
const WARM_RUNS = 2;

interface Timing {
  readonly medianMs: number;
  readonly bestMs: number;
  readonly cpuMs: number;
  readonly bytes: number;
}

interface Row {
  readonly name: string;
  readonly kind: string;
  readonly query: string;
  readonly timings: Partial<Record<TargetName, Timing>>;
  /** Where Varve's answer differs from Prometheus'; empty when it does not. */
  readonly differences: readonly string[];
}

interface Times {
  readonly startS: number;
  readonly endS: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 1 });

function get(url: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const out = request(url, { agent }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const body = Buffer.concat(parts);
        if (response.statusCode === 200) resolve(body);
        else reject(new Error(`${response.statusCode}: ${body.toString('utf8', 0, 300)}`));
      });
    });
    out.on('error', reject);
    out.end();
  });
}

function urlOf(target: Target, { query, kind }: BenchQuery, { startS, endS }: Times): string {
  const parameters = new URLSearchParams({ query, nocache: '1' });
  if (kind === 'instant') parameters.set('time', String(endS));
  else {
    parameters.set('start', String(startS));
    parameters.set('end', String(endS));
    parameters.set('step', String(INTERVAL_MS / 1000));
  }
  return `${target.server.api}/${kind === 'instant' ? 'query' : 'query_range'}?${parameters}`;
}

async function time(url: string, pid: number, runs: number): Promise<{ timing: Timing; body: Buffer }> {
  let body: Buffer = Buffer.alloc(0);
  const latencies: number[] = [];
  for (let run = 0; run < WARM_RUNS; run++) body = await get(url);
  const cpuBefore = usageOf(pid).cpuMs;
  for (let run = 0; run < runs; run++) {
    const started = performance.now();
    body = await get(url);
    latencies.push(performance.now() - started);
  }
  const cpuMs = (usageOf(pid).cpuMs - cpuBefore) / runs;
  latencies.sort((a, b) => a - b);
  const medianMs = latencies[latencies.length >> 1]!;
  return { timing: { medianMs, bestMs: latencies[0]!, cpuMs, bytes: body.length }, body };
}

async function measure(
  query: BenchQuery,
  targets: readonly Target[],
  times: Times,
  runs: number,
): Promise<Row> {
  const timings: Partial<Record<TargetName, Timing>> = {};
  const answers: Partial<Record<TargetName, QueryData>> = {};
  const problems: string[] = [];
  for (const target of targets) {
    try {
      const { timing, body } = await time(urlOf(target, query, times), target.server.pid, runs);
      timings[target.name] = timing;
      answers[target.name] = (JSON.parse(body.toString('utf8')) as { data: QueryData }).data;
    } catch (error) {
      problems.push(`${target.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (answers.prometheus !== undefined && answers.varve !== undefined) {
    problems.push(...differences(answers.prometheus, answers.varve));
  }
  return { name: query.name, kind: query.kind, query: query.query, timings, differences: problems };
}

async function load(name: TargetName, corpus: Corpus): Promise<Target> {
  const target = await startTarget(name);
  process.stderr.write(`${name}: loading ${corpus.samples} samples\n`);
  await send({ url: target.pushUrl, corpus, connections: 4 });
  return target;
}

/** The geometric mean of the ratios of two targets' medians, over the queries that both answered. */
function geometricMean(rows: readonly Row[], other: TargetName): number {
  const logs = rows.flatMap(({ timings }) => {
    const [own, theirs] = [timings.varve, timings[other]];
    return own === undefined || theirs === undefined ? [] : [Math.log(own.medianMs / theirs.medianMs)];
  });
  return Math.exp(logs.reduce((sum, log) => sum + log, 0) / logs.length);
}

function report(rows: readonly Row[], names: readonly TargetName[]): string {
  const ms = (timing: Timing | undefined) => timing?.medianMs.toFixed(2) ?? '-';
  const ratio = (row: Row, other: TargetName) => {
    const [own, theirs] = [row.timings.varve, row.timings[other]];
    return own === undefined || theirs === undefined ? '-' : (own.medianMs / theirs.medianMs).toFixed(2);
  };
  const others = names.filter((name) => name !== 'varve');
  const compared = names.includes('varve') ? others : [];
  const lines = [
    [
      'query',
      '',
      ...names.map((name) => `${name} ms`),
      ...compared.map((name) => `/ ${name}`),
      'kB',
      'CPU ms',
    ],
    ...rows.map((row) => [
      row.name,
      row.kind,
      ...names.map((name) => ms(row.timings[name])),
      ...compared.map((name) => ratio(row, name)),
      names.map((name) => ((row.timings[name]?.bytes ?? 0) / 1000).toFixed(0)).join('/'),
      names.map((name) => row.timings[name]?.cpuMs.toFixed(1) ?? '-').join('/'),
    ]),
  ];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const out = lines.map((line) =>
    line.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
  );
  for (const row of rows) {
    for (const difference of row.differences) out.push(`DIFFERS ${row.name}: ${difference}`);
  }
  for (const other of compared) {
    out.push(`geometric mean of latency, varve / ${other}: ${geometricMean(rows, other).toFixed(3)}`);
  }
  return out.join('\n');
}

const { values } = parseArgs({
  options: {
    series: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '130' },
    runs: { type: 'string', default: '7' },
    minutes: { type: 'string', default: '25' },
    targets: { type: 'string', default: TARGETS.join(',') },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}
const names = TARGETS.filter((target) => values.targets.split(',').includes(target));
const rounds = Number(values.rounds);
const startMs = startOf(rounds, Date.now());
const endS = (startMs + (rounds - 1) * INTERVAL_MS) / 1000;
const times: Times = { startS: endS - Number(values.minutes) * 60, endS };
let differing = 0;
try {
  const shape = { series: Number(values.series), rounds, startMs };
  const corpus = writeCorpus(join(makeFolder('load'), 'load'), shape);
  const targets: Target[] = [];
  for (const name of names) targets.push(await load(name, corpus));
  await pause(5000); // Lets background merges of the load end.
  const rows: Row[] = [];
  const queries = QUERIES.filter(({ name }) => name.includes(values.only));
  for (let pass = 0; pass < WARM_PASSES; pass++) {
    for (const target of targets) {
      // What fails here fails again below, and is reported there.
      for (const query of queries) await get(urlOf(target, query, times)).catch(() => null);
    }
  }
  for (const query of queries) {
    process.stderr.write(`${query.name}\n`);
    rows.push(await measure(query, targets, times, Number(values.runs)));
  }
  differing = rows.filter((row) => row.differences.length > 0).length;
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? '?'}, Node ${process.version}`;
  const means = Object.fromEntries(
    names.filter((name) => name !== 'varve').map((name) => [name, geometricMean(rows, name)]),
  );
  if (values.json) process.stdout.write(`${JSON.stringify({ machine, shape, means, rows }, null, 2)}\n`);
  else
    process.stdout.write(
      `${machine}; ${shape.series} series, ${rounds} samples each\n${report(rows, names)}\n`,
    );
} finally {
  agent.destroy();
  await stopAll();
}
if (differing > 0) process.exitCode = 1;
