import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { codecKernel } from '../../lib/kernel/index.js';
import { compareUtf8 } from '../../lib/labels/index.js';
import { type BlockChunk, type BlockMeta, BlockWriter } from '../../lib/tsdb/block/index.js';
import { downsampleBlocks } from '../../lib/tsdb/downsample/index.js';
import { labelsOf, nextValue } from '../load/index.js';

/**
 * Times downsampling of days of raw blocks to 5 minutes, all of these to an hour and that to a day:
 * `npm run bench:downsample -- --series=2000 --days=7 --interval=30`. The load is that of the other benches. Samples per
 * second are raw samples, or windows, read per second of CPU; bytes are those of the chunk files per raw sample.
 */

const { values: options } = parseArgs({
  options: {
    series: { type: 'string', default: '2000' },
    days: { type: 'string', default: '7' },
    interval: { type: 'string', default: '30' },
  },
});
const seriesCount = Number(options.series);
const dayCount = Number(options.days);
const intervalMs = Number(options.interval) * 1000;
const DAY_MS = 86_400_000;
const START_MS = 1_699_920_000_000;
const CHUNK_SAMPLES = 120;

/** Series in label order, with the round and value each has got to. */
const series = Array.from({ length: seriesCount }, (_, i) => ({
  index: i,
  labels: labelsOf(i).map(([name, value]) => ({ name, value })),
  round: 0,
  value: 0,
}));
const keys = new Map(
  series.map((one) => [one, one.labels.map(({ name, value }) => `${name}\u0000${value}`).join('\u0001')]),
);
series.sort((a, b) => compareUtf8(keys.get(a)!, keys.get(b)!));
const symbols = [
  ...new Set(series.flatMap(({ labels }) => labels.flatMap(({ name, value }) => [name, value]))),
].sort(compareUtf8);

function writeDay(parent: string, day: number): BlockMeta {
  const from = START_MS + day * DAY_MS;
  const writer = BlockWriter.create(parent, { minTime: from, maxTime: from + DAY_MS });
  writer.addSymbols(symbols);
  const times = new Float64Array(CHUNK_SAMPLES);
  const values = new Float64Array(CHUNK_SAMPLES);
  for (const one of series) {
    const chunks: BlockChunk[] = [];
    // Scrapes of a series keep their offset within the interval.
    let time = from + ((one.index * 7919) % intervalMs);
    while (time < from + DAY_MS) {
      let n = 0;
      for (; n < CHUNK_SAMPLES && time < from + DAY_MS; n++, time += intervalMs) {
        one.value = nextValue(one.index, one.round++, one.value);
        times[n] = time;
        values[n] = one.value;
      }
      const data = codecKernel().encodeXor(times, values, n);
      chunks.push({ minTime: times[0]!, maxTime: times[n - 1]!, encoding: 1, data });
    }
    writer.addLabelSet(one.labels, chunks);
  }
  return writer.finish()!;
}

function chunkBytes(directory: string): number {
  const chunks = join(directory, 'chunks');
  return readdirSync(chunks).reduce((sum, name) => sum + statSync(join(chunks, name)).size, 0);
}

interface Figures {
  samples: number;
  cpuMs: number;
  bytes: number;
}

function downsample(
  root: string,
  groups: readonly (readonly BlockMeta[])[],
): { made: BlockMeta[]; figures: Figures } {
  const figures = { samples: 0, cpuMs: 0, bytes: 0 };
  const made: BlockMeta[] = [];
  for (const group of groups) {
    const before = process.cpuUsage();
    const meta = downsampleBlocks(group.map(({ ulid }) => join(root, ulid)))!;
    const used = process.cpuUsage(before);
    figures.cpuMs += (used.user + used.system) / 1000;
    figures.samples += group.reduce((sum, { stats }) => sum + (stats.numSamples ?? 0), 0);
    figures.bytes += chunkBytes(join(root, meta.ulid));
    made.push(meta);
  }
  return { made, figures };
}

const root = mkdtempSync(join(tmpdir(), 'varve-bench-downsample-'));
try {
  mkdirSync(root, { recursive: true });
  const days: BlockMeta[] = [];
  for (let day = 0; day < dayCount; day++) days.push(writeDay(root, day));
  const rawSamples = days.reduce((sum, { stats }) => sum + (stats.numSamples ?? 0), 0);
  const rawBytes = days.reduce((sum, { ulid }) => sum + chunkBytes(join(root, ulid)), 0);
  console.log(`${seriesCount} series, ${dayCount} days, every ${intervalMs / 1000} s: ${rawSamples} samples`);
  console.log(`raw   ${(rawBytes / rawSamples).toFixed(3)} bytes per raw sample`);
  const rssBefore = process.memoryUsage.rss();
  const report = (name: string, { samples, cpuMs, bytes }: Figures): void => {
    const rate = samples / cpuMs / 1000;
    console.log(
      `${name.padEnd(5)} ${(bytes / rawSamples).toFixed(3)} bytes per raw sample; ${samples} read in ${cpuMs.toFixed(0)} ms of CPU: ${rate.toFixed(1)} M/s`,
    );
  };
  const fine = downsample(
    root,
    days.map((day) => [day]),
  );
  report('5m', fine.figures);
  const hours = downsample(root, [fine.made]);
  report('1h', hours.figures);
  report('1d', downsample(root, [hours.made]).figures);
  const peak = process.resourceUsage().maxRSS / 1024;
  console.log(`peak RSS ${peak.toFixed(0)} MiB, ${(rssBefore / 1048576).toFixed(0)} MiB before`);
} finally {
  rmSync(root, { recursive: true, force: true });
}
