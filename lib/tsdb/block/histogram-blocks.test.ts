import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { bytesFromHex, bytesToHex } from '../../bytes/index.js';
import {
  EMPTY_LAYOUT,
  type FloatHistogram,
  formatHistogram,
  HistogramLayout,
  IntegerHistogram,
  RESET_HINT,
} from '../../histogram/index.js';
import { labelsFromObject } from '../../labels/index.js';
import { SeededPrng } from '../../prng/index.js';
import { ArrayArena } from '../../storage/index.js';
import { HistogramAppender, HistogramDecoder, histogramAt, RESET_HEADER } from '../chunk/index.js';
import { crc32c, writeBe32 } from '../index/index.js';
import { BlockQueryable } from './block-queryable.js';
import { BlockReader } from './block-reader.js';
import type { BlockChunk } from './block-writer.js';
import { hints, promtool, T, type TestSeries, writeTestBlock } from './testing.js';
import { writeTombstones } from './tombstones.js';
import { verifyBlock } from './verify.js';

/**
 * Histogram chunks of ours, shown to the real promtool: series whose buckets come, go and fall, so that chunks are
 * written anew and cut, must be dumped with every sample as it was appended.
 */

const tool = promtool();
if (tool === null)
  process.stderr.write('SKIPPED: no promtool (set PROMTOOL_BIN); histogram blocks not shown to it\n');

const SAMPLES = 400;
const CHUNK_BYTES = 1024;

/** A random walk of bucket counts on both sides, with new buckets now and then. */
function walk(prng: SeededPrng, isGauge: boolean): IntegerHistogram[] {
  const sides = [new Map<number, number>(), new Map<number, number>()];
  let zeroCount = 0;
  return Array.from({ length: SAMPLES }, () => {
    // A reset empties everything but keeps some buckets known.
    if (prng.nextInt(100) === 0)
      for (const side of sides) for (const index of side.keys()) side.set(index, 0);
    for (const side of sides) {
      for (let n = prng.nextInt(3); n > 0; n--) {
        const index = prng.nextInt(12) - 5;
        side.set(index, (side.get(index) ?? 0) + prng.nextInt(isGauge ? 7 : 5));
        if (isGauge && prng.nextInt(9) === 0) side.delete(index);
      }
    }
    zeroCount += prng.nextInt(2);
    const [positive, negative] = sides.map((side) => {
      const indexes = Int32Array.from(side.keys()).sort();
      return { indexes, counts: Array.from(indexes, (index) => BigInt(side.get(index)!)) };
    });
    const deltas = (counts: readonly bigint[]) => counts.map((count, i) => count - (counts[i - 1] ?? 0n));
    return IntegerHistogram.of({
      layout: HistogramLayout.ofIndexes(2, 0.001, positive!.indexes, negative!.indexes),
      hint: isGauge ? RESET_HINT.gauge : RESET_HINT.unknown,
      count: [...positive!.counts, ...negative!.counts].reduce((a, b) => a + b, BigInt(zeroCount)),
      zeroCount: BigInt(zeroCount),
      sum: prng.nextInt(1000) / 8,
      positiveDeltas: deltas(positive!.counts),
      negativeDeltas: deltas(negative!.counts),
    });
  });
}

function seriesOf<H extends IntegerHistogram | FloatHistogram>(
  name: string,
  appender: HistogramAppender<H>,
  samples: readonly H[],
): TestSeries {
  const chunks: BlockChunk[] = [];
  let minTime = T;
  const add = (data: Uint8Array | null, maxTime: number, next: number): void => {
    if (data === null) return;
    chunks.push({ minTime, maxTime, encoding: appender.encoding, data });
    minTime = next;
  };
  for (const [i, sample] of samples.entries()) {
    const t = T + i * 15_000;
    if (appender.byteLength > CHUNK_BYTES) add(appender.cut(), t - 15_000, t);
    add(appender.append(t, sample), t - 15_000, t);
  }
  add(appender.cut(), T + (samples.length - 1) * 15_000, 0);
  return { labels: labelsFromObject({ __name__: name }), chunks };
}

describe('a block with start times in its chunks', () => {
  test.each([
    [
      4,
      '00040080a0abfef96200000000000000009875c22bffa12fffd603',
      1,
      '000480a0abfef96200000000000000009875c457fec25fff6c06',
    ],
    [
      5,
      '000381748ca48c5fc0003179fcad0018a920193333333333334651b0ea01f83a98a476676ccccccccccce211be91fea200',
      2,
      '000300748ca48c5fc0003179fcad0018a920193333333333334651f83a98a476676ccccccccccce2237d23fd44',
    ],
  ])('answers with chunks that have none: encoding %i', async (encoding, stored, plain, answered) => {
    const folder = mkdtempSync(join(tmpdir(), 'varve-histograms-'));
    const data = bytesFromHex(stored);
    const chunk = { minTime: T, maxTime: T + 45_000, encoding: plain, data };
    const meta = writeTestBlock(folder, [{ labels: labelsFromObject({ __name__: 'x' }), chunks: [chunk] }]);
    // The writer makes no such chunks: the encoding, behind header and length, is put in afterwards.
    const segment = join(folder, meta.ulid, 'chunks/000001');
    const bytes = readFileSync(segment);
    bytes[9] = encoding;
    writeBe32(bytes, 10 + data.length, crc32c(bytes, 9, 10 + data.length));
    writeFileSync(segment, bytes);
    const block = BlockReader.open(join(folder, meta.ulid));
    const arena = new ArrayArena();
    const set = await new BlockQueryable(block).select([], hints(), arena);
    block.close();
    rmSync(folder, { recursive: true });
    const address = set.chunkAddresses[0]!;
    expect(set.chunkEncodings[0]).toBe(plain);
    expect(bytesToHex(arena.bytes().subarray(address, address + set.chunkByteLengths[0]!))).toBe(answered);
  });
});

describe('a block with deleted spans in its histograms', () => {
  test.each([
    ['integers', false, false],
    ['integers of gauges', false, true],
    ['doubles', true, false],
    ['doubles of gauges', true, true],
  ])('answers with the others: %s', async (_name, isFloat, isGauge) => {
    const folder = mkdtempSync(join(tmpdir(), 'varve-histograms-'));
    const integers = walk(new SeededPrng(7), isGauge);
    // The series ends: its last chunk ends in stale markers.
    const stale = new IntegerHistogram(EMPTY_LAYOUT, BigInt64Array.of(0n, 0n, 0x7ff0000000000002n));
    integers.splice(-3, 3, stale, stale, stale);
    const samples = isFloat ? integers.map((sample) => sample.toFloat()) : integers;
    const series = isFloat
      ? seriesOf('h', HistogramAppender.floats(), samples as FloatHistogram[])
      : seriesOf('h', HistogramAppender.integers(), integers);
    const meta = writeTestBlock(folder, [series]);
    const path = join(folder, meta.ulid);
    const at = (i: number) => T + i * 15_000;
    const last = series.chunks.at(-1)!;
    const spans = [
      [at(0), at(2)],
      [at(50), at(50) + 1],
      [at(100) + 1, at(170) - 1],
      // Of the last chunk only stale markers are left.
      [last.minTime, at(SAMPLES - 3) - 1],
    ].map(([minTime, maxTime]) => ({ minTime: minTime!, maxTime: maxTime! }));
    let block = BlockReader.open(path);
    const ref = Number(block.index.allPostings()[0]);
    block.close();
    writeTombstones(path, new Map([[ref, spans]]));
    block = BlockReader.open(path);
    const arena = new ArrayArena();
    const set = await new BlockQueryable(block).select([], hints(), arena);
    block.close();
    rmSync(folder, { recursive: true });
    const found: [number, string][] = [];
    for (let c = 0; c < set.chunkAddresses.length; c++) {
      const address = set.chunkAddresses[c]!;
      const data = arena.bytes().subarray(address, address + set.chunkByteLengths[c]!);
      const columns = new HistogramDecoder().decode(set.chunkEncodings[c]!, data);
      // A stale marker is no gauge and has begun a chunk.
      const isOther = columns.sampleCount === 0 || histogramAt(columns, 0).isStale;
      if (isGauge && !isOther) expect(columns.header).toBe(RESET_HEADER.gauge);
      for (let i = 0; i < columns.sampleCount; i++)
        found.push([columns.timestamps[i]!, textOf(histogramAt(columns, i))]);
    }
    const expected = samples
      .map((sample, i): [number, string] => [
        at(i),
        textOf(sample instanceof IntegerHistogram ? sample.toFloat() : sample),
      ])
      .filter(([time]) => !spans.some(({ minTime, maxTime }) => time >= minTime && time <= maxTime));
    expect(found).toEqual(expected);
  });
});

function textOf(histogram: FloatHistogram): string {
  return histogram.isStale ? 'stale' : formatHistogram(histogram);
}

(tool === null ? describe.skip : describe)('promtool', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'varve-histograms-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('dumps histogram chunks of ours as they were appended', () => {
    const prng = new SeededPrng(42);
    const series: TestSeries[] = [];
    const expected: string[] = [];
    for (let n = 0; n < 12; n++) {
      const integers = walk(prng, n % 3 === 2);
      const floats = integers.map((sample) => sample.toFloat());
      const name = `h${String(n).padStart(2, '0')}`;
      series.push(
        n % 2 === 0
          ? seriesOf(name, HistogramAppender.integers(), integers)
          : seriesOf(name, HistogramAppender.floats(), floats),
      );
      for (const [i, sample] of floats.entries()) {
        // promtool looks for floats, float histograms and histograms in turn, and each search loses the sample it ends at.
        if (i < (n % 2 === 0 ? 2 : 1)) continue;
        expected.push(`{__name__="${name}"} ${formatHistogram(sample)} ${T + i * 15_000}`);
      }
    }
    const meta = writeTestBlock(folder, series);
    expect(verifyBlock(join(folder, meta.ulid)).sampleCount).toBe(12 * SAMPLES);
    // The dump expects the directory of a server.
    mkdirSync(join(folder, 'wal'));
    const parameters = ['tsdb', 'dump', '--sandbox-dir-root', folder, folder];
    const result = spawnSync(tool ?? '', parameters, { encoding: 'utf8', maxBuffer: 1 << 26 });
    const found = result.stdout.trimEnd().split('\n');
    expect({ lines: found.length, stderr: result.stderr }).toEqual({ lines: expected.length, stderr: '' });
    // The first that differ: all of them would be megabytes.
    expect(found.filter((line, i) => line !== expected[i]).slice(0, 2)).toEqual([]);
  });
});
