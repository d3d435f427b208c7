import { setImmediate, setTimeout } from 'node:timers/promises';
import { codecKernel, HeadKernel, ScanKernel } from '../kernel/index.js';
import type { QueryEngine } from '../promql/exec/index.js';
import { HeadReader } from '../tsdb/head/index.js';
import { type Language, TaskExecutor } from './executor.js';
import type { QueryTask } from './task.js';

/** Enough for the compilers of JavaScript and WebAssembly to have seen what most queries run through. */
const ROUNDS = 150;
/** On a slow or busy machine the rest is left to real queries. */
const TIME_MS_MAX = 1500;
/** Further on, the answer is late already. */
const DEADLINE_MS = 1000;
const RETRY_MS = 20;

const HOSTS = 20;
const MODES = 8;
const SAMPLES = 130;
const STEP_MS = 15_000;
const START_MS = 1_700_000_000_000;
const END_MS = START_MS + (SAMPLES - 1) * STEP_MS;

const QUERIES: readonly (readonly [query: string, isInstant: boolean])[] = [
  ['rate(warm_up_total{host="host-3"}[5m])', false],
  ['warm_up_total{host="host-3"} / 4', false],
  ['1 + 1', true],
  ['{__name__=~"warm_.+",host="host-4"} / 4', false],
  ['sum by (mode) (rate(warm_up_total{host!="host-3"}[5m]))', false],
  ['topk(3, max_over_time(warm_up_total[2m])) > 1', false],
  ['warm_up_total / on (host, mode) group_left () warm_up_total', true],
  ['count(warm_up_total) + 1', true],
];

/**
 * Runs small queries over series of its own, in a thread that has just started: a query's first run in a thread takes
 * a hundred times as long as its hundredth. Gives way to real queries, and to whatever else the thread has to do,
 * between any two of its own.
 */
export async function warmUp(
  engine: QueryEngine,
  language: Language,
  isBusy: () => boolean,
  timeMsMax = TIME_MS_MAX,
): Promise<void> {
  const head = makeHead();
  const reader = new HeadReader(head.memory);
  reader.begin();
  const executor = new TaskExecutor(engine, language, { open: () => Promise.resolve(reader) });
  const tasks = QUERIES.map(([query, isInstant]): QueryTask => {
    const startMs = isInstant ? END_MS : START_MS + 20 * STEP_MS;
    const request = {
      query,
      startMs,
      endMs: END_MS,
      stepMs: isInstant ? 0 : STEP_MS,
      lookbackMs: 0,
      limit: 0,
    };
    const fetchLimits = { seriesMax: 0, chunksMax: 0, bytesMax: 0 };
    return {
      kind: 'query',
      request,
      maxResolutionMs: 0,
      withStats: false,
      notes: [],
      fetchLimits,
      answerBytesMax: 0,
      sources: [],
    };
  });
  const endMs = performance.now() + timeMsMax;
  const control = { isCancelled: () => false, deadlineMs: endMs + DEADLINE_MS, queuedMs: 0 };
  for (let step = 0; step < ROUNDS * tasks.length; step++) {
    while (isBusy()) await setTimeout(RETRY_MS);
    if (performance.now() > endMs) return;
    await executor.execute(tasks[step % tasks.length]!, control);
    await setImmediate();
  }
}

/** A head with the counters of a few hosts. */
function makeHead(): HeadKernel {
  const series: number[] = [];
  for (let host = 0; host < HOSTS; host++) {
    for (let mode = 0; mode < MODES; mode++) {
      series.push(...field(0x0a, seriesOf(`host-${host}`, `mode-${mode}`, host + mode / 7)));
    }
  }
  const body = codecKernel().snappyEncode(Uint8Array.from(series));
  const scan = new ScanKernel();
  const head = new HeadKernel({ chunkRangeMs: 7_200_000, outOfOrderWindowMs: 0, memoryBytesMax: 2 ** 28 });
  const { seriesCount } = scan.load([body], body.length, 2 ** 24);
  head.loadBatch(scan);
  for (let i = 0; i < seriesCount; i++) head.setRef(i, head.create(scan.labelBytes(i)));
  head.appendLoaded(END_MS);
  return head;
}

// The little of remote write that is needed: TimeSeries with labels (1) and samples (2).

function seriesOf(host: string, mode: string, slope: number): number[] {
  const message: number[] = [];
  for (const [name, value] of [
    ['__name__', 'warm_up_total'],
    ['host', host],
    ['mode', mode],
  ] as const) {
    message.push(
      ...field(0x0a, [...field(0x0a, [...Buffer.from(name)]), ...field(0x12, [...Buffer.from(value)])]),
    );
  }
  const value = Buffer.alloc(8);
  for (let i = 0; i < SAMPLES; i++) {
    value.writeDoubleLE(i * slope);
    message.push(...field(0x12, [0x09, ...value, 0x10, ...varint(START_MS + i * STEP_MS)]));
  }
  return message;
}

function field(tag: number, bytes: readonly number[]): number[] {
  return [tag, ...varint(bytes.length), ...bytes];
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  while (left >= 0x80) {
    bytes.push((left % 0x80) | 0x80);
    left = Math.floor(left / 0x80);
  }
  bytes.push(left);
  return bytes;
}
