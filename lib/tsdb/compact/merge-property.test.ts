import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { HistogramLayout, IntegerHistogram, RESET_HINT } from '../../histogram/index.js';
import { type Prng, SeededPrng } from '../../prng/index.js';
import { type BlockMeta, type Interval, verifyBlock } from '../block/index.js';
import { compactBlocks } from './index.js';
import {
  float,
  type ModelSample,
  type ModelSeries,
  mergedContent,
  readContent,
  STALE_BITS,
  T,
  writeModelBlock,
  wrongHeaders,
} from './testing/model-blocks.js';

/**
 * Random blocks against a map of samples: blocks that follow one another or overlap, replicas that cut their chunks
 * elsewhere or lack samples, deletions, floats and both kinds of histograms, changing within a series. A failure names
 * the seed; run it alone by putting it into SEEDS.
 */

const SEEDS = Array.from({ length: 50 }, (_, i) => i + 1);
const STEP = 15_000;

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-compact-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What really happened: one sequence of samples per series, of which every block has seen a part. */
function makeTruth(prng: Prng, seriesCount: number, sampleCount: number): ModelSeries[] {
  return Array.from({ length: seriesCount }, (_, n) => {
    const samples: ModelSample[] = [];
    let kind = prng.nextInt(4) === 0 ? prng.nextInt(4) : 0;
    const isMixed = prng.nextInt(6) === 0;
    let count = 0;
    let time = T;
    for (let i = 0; i < sampleCount; i++) {
      if (isMixed && prng.nextInt(40) === 0) kind = prng.nextInt(4);
      time += STEP + (prng.nextInt(5) === 0 ? prng.nextInt(4000) : 0);
      count = prng.nextInt(50) === 0 ? 0 : count + prng.nextInt(5);
      samples.push(sampleOf(prng, kind, time, count));
    }
    return { labels: labelsOf(n), samples };
  });
}

function labelsOf(n: number): Record<string, string> {
  const names = ['a', 'b', '\uff5e', '\u{1f600}'];
  return n % 3 === 0
    ? { __name__: `m${n}` }
    : { __name__: `m${n % 2}`, [names[n % 4]!]: `v${n}`, z: `${n % 2}` };
}

function sampleOf(prng: Prng, kind: number, time: number, count: number): ModelSample {
  if (kind === 0) {
    if (prng.nextInt(40) === 0) return { time, value: STALE_BITS };
    return float(time, prng.nextInt(3) === 0 ? prng.nextFloat() : count);
  }
  // Gauges go up and down; their counts need no care. Counters have buckets that come with time.
  const isGauge = kind === 3;
  const width = 1 + prng.nextInt(3) + (count > 20 ? 1 : 0);
  const indexes = Int32Array.from({ length: width }, (_, i) => i * 2);
  const deltas = Array.from({ length: width }, (_, i) => (i === 0 ? BigInt(count) : 0n));
  const histogram = IntegerHistogram.of({
    layout: HistogramLayout.ofIndexes(2, 0.001, indexes, new Int32Array(0)),
    hint: isGauge ? RESET_HINT.gauge : RESET_HINT.unknown,
    count: BigInt(count * width),
    zeroCount: 0n,
    sum: prng.nextInt(30) === 0 ? STALE_BITS : count / 8,
    positiveDeltas: deltas,
    negativeDeltas: [],
  });
  return { time, value: kind === 2 ? histogram.toFloat() : histogram };
}

/** A part of the truth as one block has seen it. */
function seenBy(prng: Prng, truth: readonly ModelSeries[], from: number, to: number): ModelSeries[] {
  const loss = prng.nextInt(3) === 0 ? 10 + prng.nextInt(30) : 0;
  const changes = prng.nextInt(4) === 0;
  const series: ModelSeries[] = [];
  for (const { labels, samples } of truth) {
    if (prng.nextInt(8) === 0) continue;
    const part = samples
      .slice(from, to)
      .filter(() => loss === 0 || prng.nextInt(loss) !== 0)
      .map((sample) =>
        changes && typeof sample.value === 'bigint' && prng.nextInt(20) === 0
          ? float(sample.time, prng.nextInt(9))
          : sample,
      );
    if (part.length > 0) series.push({ labels, samples: part, stones: stonesOf(prng, part) });
  }
  return series;
}

function stonesOf(prng: Prng, samples: readonly ModelSample[]): Interval[] {
  if (prng.nextInt(5) !== 0) return [];
  const first = samples[prng.nextInt(samples.length)]!.time;
  if (prng.nextInt(3) === 0) return [{ minTime: samples[0]!.time, maxTime: samples.at(-1)!.time }];
  const minTime = first - prng.nextInt(3);
  const maxTime = first + prng.nextInt(40 * STEP);
  const behind = { minTime: maxTime + 7 * STEP, maxTime: maxTime + 9 * STEP };
  return prng.nextInt(2) === 0 ? [{ minTime, maxTime }] : [{ minTime, maxTime }, behind];
}

async function compactRandomBlocks(seed: number): Promise<void> {
  const prng = new SeededPrng(seed);
  const sampleCount = 60 + prng.nextInt(400);
  const truth = makeTruth(prng, 1 + prng.nextInt(7), sampleCount);
  const blocks: { series: ModelSeries[]; meta: BlockMeta }[] = [];
  const rangeCount = 1 + prng.nextInt(3);
  const isOverlapping = prng.nextInt(2) === 0;
  for (let range = 0; range < rangeCount; range++) {
    for (let replica = prng.nextInt(3); replica >= 0; replica--) {
      const slack = isOverlapping ? prng.nextInt(50) : 0;
      const from = Math.max(0, Math.floor((range * sampleCount) / rangeCount) - slack);
      const to = Math.floor(((range + 1) * sampleCount) / rangeCount) + slack;
      const series = seenBy(prng, truth, from, to);
      if (series.length === 0) continue;
      const perChunk = prng.nextInt(2) === 0 ? 120 : 1 + prng.nextInt(60);
      const segmentBytesMax = prng.nextInt(3) === 0 ? 300 + prng.nextInt(2000) : 512 * 2 ** 20;
      blocks.push({ series, meta: writeModelBlock(folder, series, perChunk, { segmentBytesMax }) });
    }
  }
  if (blocks.length === 0) return;
  for (const { meta } of blocks) expect(wrongHeaders(join(folder, meta.ulid))).toEqual([]);
  const sources = blocks.map(({ meta }) => join(folder, meta.ulid));
  const { meta } = await compactBlocks(sources, { directory: folder, segmentBytesMax: 4096 });
  const expected = mergedContent(blocks);
  if (meta === null) {
    expect(expected.size).toBe(0);
    expect(readdirSync(folder)).toHaveLength(blocks.length);
    return;
  }
  const directory = join(folder, meta.ulid);
  expect(readContent(directory)).toEqual(expected);
  expect(wrongHeaders(directory)).toEqual([]);
  expect(verifyBlock(directory).sampleCount).toBe(
    [...expected.values()].reduce((sum, samples) => sum + samples.size, 0),
  );
}

describe('compaction of random blocks', () => {
  test.each(SEEDS)('gives the samples of all of them, once: seed %i', compactRandomBlocks);
});
