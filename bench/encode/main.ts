import { labelsFromObject } from '../../lib/labels/index.js';
import type { QueryResult, QueryValue } from '../../lib/promql/exec/index.js';
import { encodeQueryResult } from '../../lib/querier/index.js';

/**
 * Times writing query answers as JSON: `node dist/bench/encode/main.js`. Per shape of answer and of values: the best
 * of several rounds in ns per point, labels and everything else included, and a checksum of the bytes.
 */

const ROUNDS = 40;
const ROUND_MS = 15;
const START_MS = 1_700_000_000_000;

let seed = 12345;
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 4294967296;
}

const VALUES: Readonly<Record<string, () => number>> = {
  'noisy float': () => (random() + random() / 4294967296) * 1000,
  'tiny float': () => (random() + random() / 4294967296) * 1e-9,
  decimal: () => Math.round(random() * 1e6) / 1000,
  'small integer': () => Math.floor(random() * 1000),
  'large integer': () => Math.floor(random() * 2 ** 40),
  constant: () => 42.5,
};

function answer(shape: string, seriesCount: number, steps: number, next: () => number): QueryValue {
  const labels = Array.from({ length: seriesCount }, (_, i) =>
    labelsFromObject({ instance: `10.0.0.${i}:9100`, job: 'node' }),
  );
  const timestampsMs = Float64Array.from({ length: steps }, (_, k) => START_MS + k * 15_000 + (k % 7));
  const values = labels.map(() => Float64Array.from({ length: steps }, next));
  const present = new Uint8Array(steps).fill(1);
  switch (shape) {
    case 'vector':
      return {
        type: 'vector',
        timestampMs: START_MS + 500,
        series: labels.map((set, i) => ({ labels: set, values: values[i]!, present })),
      };
    case 'raw matrix':
      return {
        type: 'rawMatrix',
        series: labels.map((set, i) => ({ labels: set, timestampsMs, values: values[i]! })),
      };
    default:
      return {
        type: 'matrix',
        startMs: START_MS,
        stepMs: 15_000,
        stepCount: steps,
        series: labels.map((set, i) => ({ labels: set, values: values[i]!, present })),
      };
  }
}

function checksum(bytes: Uint8Array): string {
  let sum = 0;
  for (const byte of bytes) sum = (Math.imul(sum, 31) + byte) | 0;
  return (sum >>> 0).toString(16);
}

function measure(name: string, points: number, value: QueryValue): void {
  const stats = {
    totalQueryableSamples: 0,
    peakSamples: 0,
    evalTotalTime: 0,
    queryPreparationTime: 0,
    innerEvalTime: 0,
    resultSortTime: 0,
    execTotalTime: 0,
  };
  const result: QueryResult = { value, warnings: [], infos: [], stats };
  const options = { withStats: false, execQueueTime: 0 };
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const started = performance.now();
    let calls = 0;
    let elapsedMs = 0;
    for (; elapsedMs < ROUND_MS; calls++, elapsedMs = performance.now() - started) {
      encodeQueryResult(result, options);
    }
    best = Math.min(best, (elapsedMs * 1e6) / calls / points);
  }
  const sum = checksum(encodeQueryResult(result, options));
  console.log(`${name.padEnd(44)} ${best.toFixed(1).padStart(8)} ns/point  ${sum}`);
}

const SHAPES: readonly (readonly [shape: string, series: number, steps: number])[] = [
  ['matrix', 1000, 100],
  ['matrix', 1000, 10],
  ['matrix', 1, 5],
  ['vector', 1000, 1],
  ['vector', 1, 1],
  ['raw matrix', 100, 100],
];

for (const [shape, series, steps] of SHAPES) {
  for (const [kind, next] of Object.entries(VALUES)) {
    seed = 12345;
    measure(`${shape} ${series}x${steps} ${kind}`, series * steps, answer(shape, series, steps, next));
  }
}
