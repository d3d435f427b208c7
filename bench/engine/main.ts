import { labelsFromObject } from '../../lib/labels/index.js';
import { createQueryEngine, type QueryResult } from '../../lib/promql/exec/index.js';
import { encodeChunks, MemoryQueryable } from '../../lib/promql/testing/index.js';

/**
 * Times the query engine alone, over series in memory: `node dist/bench/engine/main.js [series…]`.
 * Per query: the best of several runs in ms, without and with the storage select, and a checksum of the answer.
 */

const SAMPLES = 130;
const INTERVAL_MS = 15_000;
const END_MS = 1_700_000_000_000 + SAMPLES * INTERVAL_MS;
const RANGE_STEPS = 100;
/** Distinct value patterns; series share encoded chunks to keep the set-up short. */
const PATTERNS = 64;

function buildChunks(): ReturnType<typeof encodeChunks>[] {
  let seed = 12345;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 4294967296;
  };
  return Array.from({ length: PATTERNS }, (_, pattern) => {
    const times = new Float64Array(SAMPLES);
    const values = new Float64Array(SAMPLES);
    let value = Math.floor(random() * 1000);
    for (let i = 0; i < SAMPLES; i++) {
      times[i] = 1_700_000_000_000 + i * INTERVAL_MS + Math.floor(random() * 20);
      value += pattern % 4 === 0 ? random() * 50 : Math.floor(random() * 50);
      if (random() < 0.002) value = 0;
      values[i] = value;
    }
    return encodeChunks(times, values);
  });
}

function buildStorage(seriesCount: number): MemoryQueryable {
  const storage = new MemoryQueryable();
  const chunks = buildChunks();
  const bounds = ['0.1', '0.5', '1', '5', '+Inf'];
  for (let i = 0; i < seriesCount; i++) {
    const base = {
      instance: `10.0.${(i >> 7) & 255}.${i & 127}:9100`,
      job: `job-${i % 10}`,
      cluster: 'eu-west-1',
      namespace: `ns-${i % 50}`,
      pod: `pod-${i}`,
      container: 'main',
    };
    storage.appendChunks(
      labelsFromObject({ ...base, __name__: 'x_total', mode: 'user' }),
      chunks[i % PATTERNS]!,
    );
    if (i % 10 === 0) {
      const le = bounds[(i / 10) % 5]!;
      storage.appendChunks(labelsFromObject({ ...base, __name__: 'b_bucket', le }), chunks[i % PATTERNS]!);
    }
  }
  return storage;
}

function checksum(result: QueryResult): string {
  const { value } = result;
  if (value.type !== 'vector' && value.type !== 'matrix') return value.type;
  let sum = 0;
  let points = 0;
  for (const series of value.series) {
    for (let k = 0; k < series.values.length; k++) {
      if (series.present[k] === 0) continue;
      points++;
      sum += series.values[k]!;
    }
  }
  return `${value.series.length} series, ${points} points, sum ${sum.toPrecision(12)}`;
}

const QUERIES: readonly { query: string; steps: number }[] = [
  { query: 'sum by (instance) (rate(x_total[5m]))', steps: RANGE_STEPS },
  { query: 'sum(rate(x_total[5m]))', steps: RANGE_STEPS },
  { query: 'count by (__name__) ({__name__!=""})', steps: 1 },
  { query: 'quantile(0.9, x_total)', steps: 1 },
  { query: 'quantile(0.9, x_total)', steps: RANGE_STEPS },
  { query: 'topk(5, rate(x_total[5m]))', steps: 1 },
  { query: 'topk(5, rate(x_total[5m]))', steps: RANGE_STEPS },
  { query: 'histogram_quantile(0.9, sum by (le) (rate(b_bucket[5m])))', steps: RANGE_STEPS },
  { query: 'max_over_time(x_total[5m])', steps: RANGE_STEPS },
  { query: 'avg(x_total)', steps: 1 },
  { query: 'avg(x_total)', steps: RANGE_STEPS },
  { query: 'x_total / on (pod) x_total', steps: 1 },
  { query: 'sum by (job) (x_total) / sum by (job) (rate(x_total[5m]))', steps: RANGE_STEPS },
];

async function bench(seriesCount: number): Promise<void> {
  const storage = buildStorage(seriesCount);
  const engine = createQueryEngine({
    lookbackMs: 300_000,
    evaluationIntervalMs: 60_000,
    samplesMax: 500_000_000,
    memoryBytesMax: 4 * 1024 ** 3,
    parser: {
      experimentalFunctions: true,
      extendedRangeSelectors: true,
      binopFillModifiers: true,
      durationExpressions: true,
    },
  });
  console.log(`${seriesCount} series of ${SAMPLES} samples`);
  for (const { query, steps } of QUERIES) {
    const stepMs = steps === 1 ? 0 : INTERVAL_MS;
    const request = {
      query,
      startMs: END_MS - (steps - 1) * stepMs,
      endMs: END_MS,
      stepMs,
      lookbackMs: 0,
      limit: 0,
    };
    let evalMs = Infinity;
    let totalMs = Infinity;
    let text = '';
    for (let run = 0; run < (seriesCount > 50_000 ? 3 : 12); run++) {
      const result = await engine.execute(request, storage, () => false, Infinity);
      const { stats } = result;
      evalMs = Math.min(evalMs, (stats.innerEvalTime + stats.resultSortTime) * 1000);
      totalMs = Math.min(totalMs, stats.execTotalTime * 1000);
      text = checksum(result);
    }
    const label = `${query} @ ${steps}`.padEnd(68);
    console.log(`${label} ${evalMs.toFixed(1).padStart(8)} ${totalMs.toFixed(1).padStart(8)} ms  ${text}`);
  }
}

const counts = process.argv.slice(2).map(Number);
for (const count of counts.length > 0 ? counts : [10_000, 100_000]) await bench(count);
