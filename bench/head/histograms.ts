import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compress } from '../../e2e/wire.js';
import { HistogramLayout, IntegerHistogram, NO_SPANS, spansOf } from '../../lib/histogram/index.js';
import { replayLog } from '../../lib/ingester/index.js';
import { type HeadKernel, ScanKernel } from '../../lib/kernel/index.js';
import { SeededPrng } from '../../lib/prng/index.js';
import { Head } from '../../lib/tsdb/head/index.js';
import { GroupCommit, HistogramRecords, histogramRecordRoom, splitPages } from '../../lib/tsdb/wal/index.js';
import { RequestBody } from '../load/body.js';

/**
 * Native histograms in a head: time and bytes per sample, memory per series, replay. All buckets of a sample have grown a
 * little, as those of a busy service do. `node --expose-gc dist/bench/head/histograms.js [buckets] [series] [rounds]`
 */

const bucketCount = Number(process.argv[2] ?? 20);
const seriesCount = Number(process.argv[3] ?? 2000);
const roundCount = Number(process.argv[4] ?? 120);
const isFloat = process.argv[5] === 'float';
const OPTIONS = { chunkRangeMs: 7_200_000, outOfOrderWindowMs: 0, memoryBytesMax: 3 * 2 ** 30 };
const START = 1_699_999_200_000;

const prng = new SeededPrng(1);
const layout = new HistogramLayout(3, 2 ** -128, spansOf([-8, bucketCount]), NO_SPANS);

/** One and the same for all series: making them is not what is measured. */
function growing(): IntegerHistogram[] {
  const counts = new Array<number>(bucketCount).fill(0);
  let sum = 0;
  return Array.from({ length: roundCount }, () => {
    for (let i = 0; i < bucketCount; i++) counts[i] = counts[i]! + prng.nextInt(20);
    sum += prng.nextFloat() * 100;
    return IntegerHistogram.of({
      layout,
      count: BigInt(counts.reduce((a, b) => a + b, 0)),
      zeroCount: 0n,
      sum,
      positiveDeltas: counts.map((count, i) => BigInt(count - (counts[i - 1] ?? 0))),
      negativeDeltas: [],
    });
  });
}

function makeSeries(kernel: HeadKernel): number[] {
  const scan = new ScanKernel();
  const refs: number[] = [];
  for (let first = 0; first < seriesCount; first += 2000) {
    const body = new RequestBody(first, Math.min(2000, seriesCount - first));
    body.fill(START - 1000);
    const request = compress(body.bytes);
    const columns = scan.load([request], request.length, 2 ** 27);
    kernel.loadBatch(scan);
    for (let i = 0; i < columns.seriesCount; i++) refs.push(kernel.create(scan.labelBytes(i)));
  }
  return refs;
}

function heapBytes(): number {
  // The memory of arrays is given back by the second.
  for (let i = 0; i < 2; i++) globalThis.gc?.();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + Math.max(external, arrayBuffers);
}

const directory = mkdtempSync(join(tmpdir(), 'varve-histograms-'));
try {
  const samples = isFloat ? growing().map((sample) => sample.toFloat()) : growing();
  const head = new Head(OPTIONS);
  const { kernel } = head;
  const commit = await GroupCommit.open({
    directory,
    source: kernel,
    sync: 'none',
    syncIntervalMs: 1000,
    segmentBytesMax: 128 * 2 ** 20,
    firstSegment: 0,
    splitRecords: splitPages,
  });
  const refs = makeSeries(kernel);
  await commit.commit();
  const room = samples.reduce((most, sample) => Math.max(most, histogramRecordRoom(sample)), 0);
  const before = { heap: heapBytes(), head: kernel.usedBytes };
  let appendMs = 0;
  let logMs = 0;
  let logBytes = 0;
  const records = new HistogramRecords((record) => {
    logBytes += record.length;
    kernel.logRecord(record);
  });
  for (const [round, sample] of samples.entries()) {
    const timeMs = START + round * 15_000;
    let started = performance.now();
    for (const ref of refs) head.histograms.append(ref, timeMs, sample, 8e15);
    appendMs += performance.now() - started;
    started = performance.now();
    kernel.reserveHistograms(room * refs.length);
    for (const ref of refs) records.add(ref, timeMs, sample);
    records.flush();
    logMs += performance.now() - started;
    await commit.commit();
  }
  const total = refs.length * samples.length;
  const perSample = (value: number): string => (value / total).toFixed(2);
  const perSeries = (value: number): string => (value / refs.length).toFixed(0);
  const openBytes = heapBytes() - before.heap;
  const headBytes = kernel.usedBytes - before.head;
  await head.histograms.dropIdle(9e15, Number.POSITIVE_INFINITY);
  await commit.close();
  const replayed = new Head(OPTIONS);
  const result = await replayLog(directory, replayed, null, { segment: 0, lastSegment: 0 });
  process.stdout.write(
    [
      `${bucketCount} buckets${isFloat ? ' of doubles' : ''}, ${refs.length} series, ${samples.length} samples each`,
      `append ${perSample(appendMs * 1000)} µs, log ${perSample(logMs * 1000)} µs and ${perSample(logBytes)} bytes per sample`,
      `head ${perSample(headBytes)} bytes per sample, ${perSeries(headBytes)} per series; state of open chunks ${perSeries(openBytes)} per series`,
      `replay ${(result.sampleCount / result.seconds / 1000).toFixed(0)} k samples/s`,
      '',
    ].join('\n'),
  );
} finally {
  rmSync(directory, { recursive: true, force: true });
}
