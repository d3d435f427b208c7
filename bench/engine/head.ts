import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { compress } from '../../e2e/wire.js';
import { HeadKernel, ScanKernel } from '../../lib/kernel/index.js';
import { createQueryEngine } from '../../lib/promql/exec/index.js';
import { encodeQueryResult } from '../../lib/querier/index.js';
import { HeadReader, SelectionCache } from '../../lib/tsdb/head/index.js';
import { RequestBody } from '../load/body.js';
import { QUERIES } from '../query/queries.js';

/**
 * The queries of `npm run bench:query` on a head in this process, on one thread and without HTTP: what the query thread
 * itself spends, stage by stage. `node dist/bench/engine/head.js [--series=100000] [--rounds=130] [--runs=15]
 * [--only=TEXT]`. Per query: best and median ms from the query text to the last byte, the medians of its stages, and a
 * checksum of the answer, which must not change from one version to the next.
 */

const SERIES_PER_REQUEST = 2000;
const INTERVAL_MS = 15_000;
const START_MS = 1_700_000_010_000;
const RANGE_MS = 25 * 60_000;

const { values } = parseArgs({
  options: {
    series: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '130' },
    runs: { type: 'string', default: '15' },
    only: { type: 'string', default: '' },
  },
});
const seriesCount = Number(values.series);
const rounds = Number(values.rounds);
const runs = Number(values.runs);

function fillHead(): HeadKernel {
  const scan = new ScanKernel();
  const head = new HeadKernel({
    chunkRangeMs: 7_200_000,
    outOfOrderWindowMs: 1_800_000,
    memoryBytesMax: 4 * 2 ** 30,
  });
  const bodies: RequestBody[] = [];
  for (let first = 0; first < seriesCount; first += SERIES_PER_REQUEST)
    bodies.push(new RequestBody(first, Math.min(SERIES_PER_REQUEST, seriesCount - first)));
  for (let round = 0; round < rounds; round++) {
    for (const body of bodies) {
      body.fill(START_MS + round * INTERVAL_MS);
      const request = compress(body.bytes);
      const columns = scan.load([request], request.length, 2 ** 27);
      if (head.loadBatch(scan) > 0) {
        for (let i = 0; i < columns.seriesCount; i++)
          if (head.refAt(i) === 0) head.setRef(i, head.create(scan.labelBytes(i)));
      }
      head.appendLoaded(START_MS + 2 * rounds * INTERVAL_MS);
      head.takeBatch(false);
    }
  }
  return head;
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[times.length >> 1]!;
}

const reader = new HeadReader(fillHead().memory, new SelectionCache());
const engine = createQueryEngine({
  lookbackMs: 300_000,
  evaluationIntervalMs: 60_000,
  samplesMax: 500_000_000,
  memoryBytesMax: 2 ** 31,
  parser: {
    experimentalFunctions: true,
    extendedRangeSelectors: true,
    binopFillModifiers: true,
    durationExpressions: true,
  },
});
const endMs = START_MS + (rounds - 1) * INTERVAL_MS;
const queries = QUERIES.filter(({ name }) => name.includes(values.only));
const figures = queries.map(() => ({ all: [0], select: [0], eval: [0], sort: [0], encode: [0], cpu: [0] }));
const sums: string[] = queries.map(() => '');

async function once(i: number, isTimed: boolean): Promise<void> {
  const { query, kind } = queries[i]!;
  const isRange = kind === 'range';
  const request = {
    ...{ query, startMs: isRange ? endMs - RANGE_MS : endMs, endMs, stepMs: isRange ? INTERVAL_MS : 0 },
    ...{ lookbackMs: 0, limit: 0 },
  };
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  reader.begin();
  const result = await engine.execute(request, reader, () => false, Number.POSITIVE_INFINITY);
  const evaluated = performance.now();
  const body = encodeQueryResult(result, { withStats: false, execQueueTime: 0 });
  const finished = performance.now();
  const cpu = process.cpuUsage(cpuBefore);
  if (!isTimed) {
    sums[i] = createHash('sha256').update(body).digest('hex').slice(0, 12);
    return;
  }
  const { all, select, eval: evaluation, sort, encode, cpu: cpuTimes } = figures[i]!;
  const { stats } = result;
  all.push(finished - started);
  select.push(stats.queryPreparationTime * 1000);
  evaluation.push(stats.innerEvalTime * 1000);
  sort.push(stats.resultSortTime * 1000);
  encode.push(finished - evaluated);
  cpuTimes.push((cpu.user + cpu.system) / 1000);
}

// As in the bench over HTTP: passes over all queries, so that each is compiled for what the others do as well.
for (let pass = 0; pass < 5; pass++) for (let i = 0; i < queries.length; i++) await once(i, false);
for (let i = 0; i < queries.length; i++) {
  for (let run = 0; run < 2; run++) await once(i, false);
  for (let run = 0; run < runs; run++) await once(i, true);
}

console.log(`${'query'.padEnd(34)}    best  median  select    eval    sort  encode     CPU  checksum`);
let logs = 0;
queries.forEach(({ name }, i) => {
  const columns = Object.values(figures[i]!).map((times) => times.slice(1));
  const best = Math.min(...columns[0]!);
  logs += Math.log(best);
  const cells = [best, ...columns.map(median)].map((ms) => ms.toFixed(2).padStart(7));
  console.log(`${name.padEnd(34)} ${cells.join(' ')}  ${sums[i]}`);
});
console.log(`geometric mean of the best: ${Math.exp(logs / queries.length).toFixed(3)} ms`);
