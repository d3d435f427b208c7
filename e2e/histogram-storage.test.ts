import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { call, keyOf, type Labels, query } from './answers.js';
import { havePeers, type Server, startPrometheus } from './peers.js';
import { makeFolder, stopAll } from './processes.js';
import { DEFAULT_TENANT, startVarve, type Varve } from './varve.js';
import {
  bytesField,
  compress,
  doubleField,
  encodeRequest,
  PUSH_HEADERS,
  pushBody,
  STALE_MARKER_BITS,
  varint,
  varintField,
  type WireSeries,
  zigzag,
} from './wire.js';

/**
 * Native histograms as they are kept: Varve and a real Prometheus get the same requests and have to answer the same, from
 * the head, after a kill, and from blocks; and Prometheus has to answer the same from our log and from our blocks.
 */

const HOUR_MS = 3_600_000;
const NOW_MS = Math.floor(Date.now() / 60_000) * 60_000 - 60_000;
/** Over a block border, wherever that is now. */
const START_MS = NOW_MS - 2.5 * HOUR_MS;
const STEP_MS = 15_000;
const ARGS = ['--enable-feature=native-histograms'];

const suite = havePeers('prometheus') ? describe : describe.skip;

/** A small generator: the same samples in every run. */
let state = 12345;
function dice(sides: number): number {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return (state >>> 8) % sides;
}

const zigzagField = (field: number, value: number) => Buffer.concat([varint(field * 8), zigzag(value)]);
const spanField = (field: number, offset: number, length: number) =>
  bytesField(field, Buffer.concat([zigzagField(1, offset), varintField(2, length)]));

interface Shape {
  readonly isFloat: boolean;
  readonly isGauge: boolean;
  readonly isCustom: boolean;
}

/** A histogram that grows, gets new buckets and is reset now and then. */
class Walk {
  readonly #shape: Shape;
  #buckets = new Map<number, number>();
  #sum = 0;

  constructor(shape: Shape) {
    this.#shape = shape;
  }

  next(timestampMs: number): Uint8Array {
    const { isFloat, isGauge, isCustom } = this.#shape;
    if (dice(150) === 0) this.#buckets = new Map();
    for (let n = dice(6); n > 0; n--) {
      const index = dice(8) + (isCustom ? 0 : -2) + (dice(20) === 0 && !isCustom ? 6 : 0);
      this.#buckets.set(index, (this.#buckets.get(index) ?? 0) + dice(7));
      if (isGauge && dice(6) === 0) this.#buckets.delete(index);
    }
    this.#sum += dice(100) / 4;
    const indexes = [...this.#buckets.keys()].sort((a, b) => a - b);
    const counts = indexes.map((index) => this.#buckets.get(index)!);
    const total = counts.reduce((a, b) => a + b, 0);
    const spans: Uint8Array[] = [];
    let end = 0;
    for (let i = 0; i < indexes.length; ) {
      let length = 1;
      while (indexes[i + length] === indexes[i]! + length) length++;
      spans.push(spanField(11, indexes[i]! - end, length));
      end = indexes[i]! + length;
      i += length;
    }
    const deltas = counts.map((count, i) => zigzag(count - (counts[i - 1] ?? 0)));
    return Buffer.concat([
      isFloat ? doubleField(2, total) : varintField(1, total),
      doubleField(3, this.#sum),
      zigzagField(4, isCustom ? -53 : 1),
      ...(isCustom ? [] : [doubleField(5, 0.001)]),
      ...spans,
      ...(isFloat ? counts.map((count) => doubleField(13, count)) : [bytesField(12, Buffer.concat(deltas))]),
      varintField(14, isGauge ? 3 : 0),
      varintField(15, timestampMs),
      ...(isCustom ? [0.25, 0.5, 1, 2, 4, 8, 16].map((bound) => doubleField(16, bound)) : []),
    ]);
  }
}

const WALKS = [
  { isFloat: false, isGauge: false, isCustom: false },
  { isFloat: true, isGauge: false, isCustom: false },
  { isFloat: false, isGauge: true, isCustom: false },
  { isFloat: true, isGauge: true, isCustom: false },
  { isFloat: false, isGauge: false, isCustom: true },
  { isFloat: true, isGauge: false, isCustom: true },
].map((shape) => new Walk(shape));
/** Changes between integers, doubles and plain numbers. */
const CHANGING = WALKS.length;
const changing = [WALKS[0]!, WALKS[1]!].map(
  (_, i) => new Walk({ isFloat: i === 1, isGauge: false, isCustom: false }),
);

function request(step: number): WireSeries[] {
  const timestampMs = START_MS + step * STEP_MS;
  // Every half hour the targets are away for two minutes, after a stale marker.
  const phase = step % 120;
  if (phase > 112) return [];
  const labels = (i: number): [string, string][] => [
    ['__name__', 'latency'],
    ['i', String(i)],
  ];
  const stale = [{ value: STALE_MARKER_BITS, timestampMs }];
  const kind = Math.floor(step / 37) % 3;
  return [
    ...WALKS.map((walk, i) =>
      phase === 112
        ? { labels: labels(i), samples: stale }
        : { labels: labels(i), histograms: [walk.next(timestampMs)] },
    ),
    phase === 112
      ? { labels: labels(CHANGING), samples: stale }
      : kind === 2
        ? { labels: labels(CHANGING), samples: [{ value: step, timestampMs }] }
        : { labels: labels(CHANGING), histograms: [changing[kind]!.next(timestampMs)] },
  ];
}

type Matrix = { metric: Labels; values?: unknown; histograms?: unknown }[];

async function answer(
  api: string,
  text: string,
  parameters: Readonly<Record<string, string>>,
): Promise<unknown> {
  const path = 'start' in parameters ? 'query_range' : 'query';
  const { result } = await query(api, path, { query: text, ...parameters });
  return Object.fromEntries(
    (result as Matrix)
      .map(({ metric, ...values }): [string, unknown] => [keyOf(metric), values])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** The innermost place at which two answers differ. */
function firstDifference(found: unknown, wanted: unknown, path = ''): string | null {
  if (typeof found === 'object' && typeof wanted === 'object' && found !== null && wanted !== null) {
    const a = found as Record<string, unknown>;
    const b = wanted as Record<string, unknown>;
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const difference = firstDifference(a[key], b[key], `${path} ${key}`);
      if (difference !== null) return difference;
    }
    return null;
  }
  return found === wanted ? null : `${path}: ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`;
}

const QUERIES: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['latency[200m]', { time: String(NOW_MS / 1000) }],
  ['latency', { time: String((START_MS + 100 * STEP_MS) / 1000) }],
  ['latency', { time: String((START_MS + 114 * STEP_MS) / 1000) }],
  ...[
    'latency',
    'resets(latency[20m])',
    'irate(latency[5m])',
    'sum(histogram_count(latency))',
    'count_over_time(latency[7m])',
  ].map(
    (text) => [text, { start: String(START_MS / 1000), end: String(NOW_MS / 1000), step: '47' }] as const,
  ),
];

suite('native histograms in storage', () => {
  afterAll(stopAll);

  const folder = makeFolder('histograms');
  let varve: Varve;
  let prometheus: Server;
  const expected: unknown[] = [];

  /** Says of each query where the first difference is: whole answers would be megabytes. */
  const expectSame = async (api: string) => {
    const differences: unknown[] = [];
    for (const [i, [text, parameters]] of QUERIES.entries()) {
      const difference = firstDifference(await answer(api, text, parameters), expected[i]);
      if (difference !== null) differences.push([text, difference]);
    }
    expect(differences).toEqual([]);
  };

  beforeAll(async () => {
    varve = await startVarve({ folder });
    prometheus = await startPrometheus({ args: ARGS });
    const steps = Math.floor((NOW_MS - START_MS) / STEP_MS);
    for (let step = 0; step <= steps; step++) {
      const series = request(step);
      if (series.length === 0) continue;
      const body = compress(encodeRequest(series));
      for (const url of [varve.pushUrl, `${prometheus.url}/api/v1/write`]) {
        const { status, text } = await pushBody(url, body, PUSH_HEADERS);
        expect([url, Math.floor(status / 100), text]).toEqual([url, 2, '']);
      }
    }
    for (const [text, parameters] of QUERIES) expected.push(await answer(prometheus.api, text, parameters));
  });

  const chunkCount = async (api: string) => {
    const { body } = await call(api, 'status/tsdb');
    return (body.data as { headStats: { chunkCount: number } }).headStats.chunkCount;
  };

  test('answer from the head as those of Prometheus do, in as many chunks', async () => {
    await expectSame(varve.api);
    expect(await chunkCount(varve.api)).toBe(await chunkCount(prometheus.api));
  });

  test('are there after a kill', async () => {
    await varve.kill();
    varve = await startVarve({ folder });
    await expectSame(varve.api);
  });

  test('are read from our log by Prometheus', async () => {
    const dataDir = join(makeFolder('log-copy'), 'data');
    cpSync(join(varve.dataDir, 'tsdb', DEFAULT_TENANT, 'wal'), join(dataDir, 'wal'), { recursive: true });
    const other = await startPrometheus({ dataDir, args: ARGS });
    await expectSame(other.api);
    await other.stop();
  });

  test('are in blocks after a flush, for us and for Prometheus', async () => {
    expect((await fetch(`${varve.url}/ingester/flush`, { method: 'POST' })).ok).toBe(true);
    await expectSame(varve.api);
    const tenantDir = join(varve.bucketDir, DEFAULT_TENANT);
    const blocks = readdirSync(tenantDir).filter((name) => /^[0-9A-HJKMNP-TV-Z]{26}$/.test(name));
    expect(blocks.length).toBeGreaterThan(1);
    const dataDir = join(makeFolder('block-copy'), 'data');
    for (const block of blocks) cpSync(join(tenantDir, block), join(dataDir, block), { recursive: true });
    const other = await startPrometheus({ dataDir, args: ARGS });
    await expectSame(other.api);
    await other.stop();
  });
});
