import { beforeAll, describe, expect, test } from '@jest/globals';
import { QueryKernel } from '../../kernel/index.js';
import { labelsFromObject } from '../../labels/index.js';
import { parseExpr } from '../parse/index.js';
import { planQuery } from '../plan/index.js';
import { encodeChunks, MemoryQueryable } from '../testing/index.js';
import { Annotations } from './annotations.js';
import { QueryContext } from './context.js';
import { Evaluator } from './evaluator.js';
import { loadSet } from './loaded-set.js';
import { type HelpRequest, QueryHelper } from './parallel-helper.js';
import { CONTROL, SharedJob } from './parallel-layout.js';
import { ParallelSession } from './parallel-session.js';
import type { RowSource } from './source.js';
import { SymbolSpace } from './symbol-space.js';

const START_MS = 1_700_000_000_000;
const INTERVAL_MS = 15_000;
const SAMPLES = 130;
const SERIES = 1200;
const PARSER = {
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  binopFillModifiers: true,
  durationExpressions: true,
};

const storage = new MemoryQueryable();
const damaged = new MemoryQueryable();

beforeAll(() => {
  let seed = 7;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  for (let i = 0; i < SERIES; i++) {
    const times = Float64Array.from({ length: SAMPLES }, (_, k) => START_MS + k * INTERVAL_MS);
    let value = 0;
    const values = Float64Array.from(times, () => {
      value = random() < 0.01 ? 0 : value + random();
      return value;
    });
    const labels = labelsFromObject({ __name__: 'x_total', pod: `pod-${i}` });
    const chunks = encodeChunks(times, values);
    storage.appendChunks(labels, chunks);
    const broken = chunks.map((chunk) => ({ ...chunk, bytes: chunk.bytes.slice(0, 40) }));
    damaged.appendChunks(labels, i === 900 ? broken : chunks);
  }
});

interface Leaf {
  readonly context: QueryContext;
  readonly rows: RowSource;
  readonly session: ParallelSession | null;
  /** What the leaf sent to other threads. */
  readonly calls: readonly HelpRequest[];
}

async function openLeaf(query: string, isInstant: boolean, withHelp: boolean, from = storage): Promise<Leaf> {
  const endMs = START_MS + (SAMPLES - 1) * INTERVAL_MS;
  const plan = planQuery(parseExpr(query, PARSER), {
    startMs: isInstant ? endMs : START_MS + 30 * INTERVAL_MS,
    endMs,
    stepMs: isInstant ? 0 : INTERVAL_MS,
    lookbackMs: 300_000,
    evaluationIntervalMs: 60_000,
    startTimestamps: false,
    planSelect: null,
  });
  const kernel = new QueryKernel(2 ** 28);
  const calls: HelpRequest[] = [];
  const desk = { coordinator: 1, helpersMax: 1, call: (request: HelpRequest) => calls.push(request) };
  const session = withHelp ? new ParallelSession(desk, kernel) : null;
  const features = { delayedNameRemoval: false, typeAndUnitLabels: false, startTimestamps: false };
  const limits = { samplesMax: 1e9, isCancelled: () => false, deadlineMs: Number.POSITIVE_INFINITY };
  const space = new SymbolSpace();
  const context = new QueryContext(kernel, space, new Annotations(query), features, limits);
  context.parallel = session;
  for (const spec of plan.selects) {
    context.sets.push(loadSet(context, spec, await from.select(spec.matchers, spec.hints, kernel)));
  }
  if (plan.root.type !== 'vector') throw new Error(plan.root.type);
  return { context, rows: new Evaluator(context).rows(plan.root.node), session, calls };
}

/** All rows as text, with what was counted; `beforeRead` runs before each block. */
function readAll({ context, rows }: Leaf, beforeRead: () => void = () => {}): string[] {
  const texts: string[] = [];
  const rowsPerBlock = context.blockRows(rows.steps);
  for (let from = 0; from < rows.seriesCount; from += rowsPerBlock) {
    beforeRead();
    const to = Math.min(rows.seriesCount, from + rowsPerBlock);
    const block = rows.read(from, to);
    const { f64, u8 } = context.kernel;
    for (let i = 0; i < (to - from) * rows.steps; i++) {
      texts.push(u8[block.present + i] === 0 ? '-' : String(f64[block.rows / 8 + i]));
    }
  }
  texts.push(`${context.totalSamples} samples, ${context.peakSamples} at most, ${context.held} now`);
  return texts;
}

/** Helps with at most so many units. */
function help(helper: QueryHelper, request: HelpRequest, units: number): void {
  let left = units;
  helper.assist(request, () => left-- <= 0);
}

const LEAVES: readonly (readonly [query: string, isInstant: boolean])[] = [
  ['rate(x_total[5m])', false],
  ['x_total', false],
  ['x_total offset 3m', false],
  ['quantile_over_time(0.3, x_total[10m])', false],
  ['predict_linear(x_total[5m], 60)', false],
  ['rate(x_total[5m] smoothed)', false],
  ['avg_over_time(x_total[20m])', true],
  ['timestamp(x_total)', false],
];

describe('a leaf with help', () => {
  test.each(LEAVES)('%s has the rows and counts of one without', async (query, isInstant) => {
    const alone = readAll(await openLeaf(query, isInstant, false));
    for (const pattern of [[0], [1], [3, 0, 1], [100]]) {
      const leaf = await openLeaf(query, isInstant, true);
      expect(leaf.calls).toHaveLength(1);
      const helper = new QueryHelper();
      let reads = 0;
      const rows = readAll(leaf, () => help(helper, leaf.calls[0]!, pattern[reads++ % pattern.length]!));
      expect(rows).toEqual(alone);
      leaf.session!.close();
      expect(leaf.session!.isLeft()).toBe(true);
    }
  });

  test('computes what a helper gave back', async () => {
    const alone = readAll(await openLeaf('rate(x_total[5m])', false, false));
    const leaf = await openLeaf('rate(x_total[5m])', false, true);
    const job = new SharedJob(leaf.calls[0]!.control, 0);
    job.claim();
    job.settle(job.claim(), null);
    job.settle(0, null);
    expect(readAll(leaf)).toEqual(alone);
  });

  test.each([
    ['rate(x_total[5m])', false, 'for ever', [0, 0, 1]],
    ['rate(x_total[5m])', false, 'for a while', [1, 0, 0, -1]],
    ['avg_over_time(x_total[20m])', true, 'for ever', [2]],
  ])('%s, instant %s, goes on when a helper keeps a unit %s', async (query, isInstant, _, pattern) => {
    const alone = readAll(await openLeaf(query, isInstant, false));
    const leaf = await openLeaf(query, isInstant, true);
    const job = new SharedJob(leaf.calls[0]!.control, 0);
    const kept: number[] = [];
    let reads = 0;
    const rows = readAll(leaf, () => {
      const claims = pattern[reads++] ?? 0;
      for (let i = 0; i < claims; i++) kept.push(job.claim());
      if (claims < 0) for (const unit of kept) job.settle(unit, null);
    });
    expect(Math.min(...kept)).toBeGreaterThanOrEqual(0);
    expect(rows).toEqual(alone);
  });

  test('tells a damaged chunk that a helper found where it would have been found alone', async () => {
    const alone = await openLeaf('rate(x_total[5m])', false, false, damaged);
    expect(() => readAll(alone)).toThrow('cannot decode a float chunk');
    const leaf = await openLeaf('rate(x_total[5m])', false, true, damaged);
    const helper = new QueryHelper();
    expect(() => readAll(leaf, () => help(helper, leaf.calls[0]!, 100))).toThrow(
      'cannot decode a float chunk',
    );
    expect(leaf.context.totalSamples).toBe(alone.context.totalSamples);
    leaf.session!.close();
    expect(leaf.session!.isLeft()).toBe(true);
  });

  test('reads parts of blocks forwards, and anything else by itself', async () => {
    const alone = await openLeaf('x_total', false, false);
    const leaf = await openLeaf('x_total', false, true);
    const spans: readonly (readonly [number, number])[] = [
      [0, 20],
      [20, 21],
      [50, 80],
      [60, 70],
      [70, 90],
      [500, 520],
      [0, 5],
    ];
    for (const [from, to] of spans) {
      const texts = [alone, leaf].map(({ context, rows }) => {
        const block = rows.read(from, to);
        const count = (to - from) * rows.steps;
        return Array.from(context.kernel.f64.slice(block.rows / 8, block.rows / 8 + count));
      });
      expect(texts[1]).toEqual(texts[0]);
    }
  });
});

describe('a session', () => {
  test('asks nobody for a small leaf', async () => {
    const leaf = await openLeaf('x_total{pod=~"pod-1.?"}', false, true);
    readAll(leaf);
    expect(leaf.calls).toEqual([]);
  });

  test('lets nobody in after its end', async () => {
    const leaf = await openLeaf('rate(x_total[5m])', false, true);
    leaf.session!.close();
    expect(leaf.session!.isLeft()).toBe(true);
    new QueryHelper().assist(leaf.calls[0]!, () => {
      throw new Error('nothing is to be asked');
    });
    const words = new Int32Array(leaf.calls[0]!.control);
    expect([words[CONTROL.active], words[CONTROL.areas]]).toEqual([0, 1]);
  });

  test('is not to be used again when a helper stays in it', async () => {
    const leaf = await openLeaf('rate(x_total[5m])', false, true);
    Atomics.add(new Int32Array(leaf.calls[0]!.control), CONTROL.active, 1);
    leaf.session!.close();
    expect(leaf.session!.isLeft()).toBe(false);
  });
});
