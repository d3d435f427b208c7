import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findPeer, startPrometheus } from '../../e2e/peers.js';
import { makeFolder, pause, stopAll } from '../../e2e/processes.js';
import { isBlockName } from '../../lib/tsdb/block/index.js';
import { diskBytes, usageOf } from '../load/index.js';
import { compactOnS3, type ProcessResult } from './on-s3.bench.js';

/**
 * Compacts the same blocks by Varve and by Prometheus and reports what each spent. Both run in processes of their own. A
 * server of Prometheus is started on the blocks, with ranges that make it compact them at its first look, a minute after
 * its start; its CPU time counts from just before that until the compacted block is there.
 */

const USAGE = `npm run bench:compact -- [options]
  --series=N      series, the same in all blocks            (1000000)
  --blocks=N      ranges of two hours; Prometheus needs 3   (3, 1 with replicas: it merges overlaps range by range)
  --samples=N     samples per series and block              (24)
  --replicas=N    how often each block is there             (1)
  --overlap=KIND  replicas with 'equal' or 'shifted' chunks (equal)
  --targets=a,b   of varve, prometheus                      (both)
  --s3            also by a whole compactor process on an S3 server: download, merge, upload`;

const WAIT_MS = 600_000;
const LOOK_MS = 100;
/** Prometheus looks for something to compact a minute after its start. */
const IDLE_MS = 57_000;

interface Result {
  readonly target: string;
  readonly samples: number;
  readonly cpuSeconds: number;
  readonly seconds: number;
  readonly peakRssBytes: number;
  readonly diskBytes: number;
}

function runChild(file: string, args: readonly string[]): string {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [path, ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file} failed: ${stderr}`);
  return stdout;
}

function compactByVarve(sources: readonly string[]): Result {
  const directory = makeFolder('compacted');
  const figures = JSON.parse(runChild('compact-child.js', [directory, ...sources]));
  return { target: 'varve', ...figures, diskBytes: diskBytes(join(directory, figures.ulid)) };
}

/** The compacted block of a data folder: the samples it holds, or null while there is none. */
function findCompacted(dataDir: string): { folder: string; samples: number } | null {
  for (const name of readdirSync(dataDir)) {
    const file = join(dataDir, name, 'meta.json');
    if (!isBlockName(name) || !existsSync(file)) continue;
    const meta = JSON.parse(readFileSync(file, 'utf8'));
    if (meta.compaction.level > 1) return { folder: join(dataDir, name), samples: meta.stats.numSamples };
  }
  return null;
}

async function compactByPrometheus(folder: string): Promise<Result> {
  const dataDir = makeFolder('prometheus-blocks');
  cpSync(folder, dataDir, { recursive: true });
  const server = await startPrometheus({
    dataDir,
    args: ['--storage.tsdb.min-block-duration=2h', '--storage.tsdb.max-block-duration=6h'],
  });
  const started = performance.now();
  await pause(IDLE_MS);
  let { cpuMs: cpuBefore } = usageOf(server.pid);
  let begun = performance.now();
  let isBegun = false;
  for (;;) {
    const found = findCompacted(dataDir);
    const { cpuMs, peakRssBytes } = usageOf(server.pid);
    if (found !== null) {
      const seconds = (performance.now() - begun) / 1000;
      const result = { cpuSeconds: (cpuMs - cpuBefore) / 1000, seconds, peakRssBytes };
      await server.stop();
      return { target: 'prometheus', ...result, samples: found.samples, diskBytes: diskBytes(found.folder) };
    }
    isBegun ||= readdirSync(dataDir).some((name) => name.endsWith('.tmp-for-creation'));
    if (!isBegun) {
      cpuBefore = cpuMs;
      begun = performance.now();
    }
    if (performance.now() - started > WAIT_MS) throw new Error(`nothing compacted, see ${server.logFile}`);
    await pause(LOOK_MS);
  }
}

function line(result: Result, inputSamples: number): string {
  const { target, cpuSeconds, seconds, samples, peakRssBytes, diskBytes: bytes } = result;
  const rate = (inputSamples / cpuSeconds / 1e6).toFixed(2);
  return (
    `${target.padEnd(10)}  ${cpuSeconds.toFixed(1).padStart(7)} s CPU  ${seconds.toFixed(1).padStart(7)} s  ` +
    `${rate.padStart(6)} M samples/CPU s  peak ${mebibytes(peakRssBytes).padStart(5)} MiB  ` +
    `${samples} samples in ${mebibytes(bytes)} MiB\n`
  );
}

function s3Line(result: ProcessResult, inputSamples: number): string {
  const { server, idleRssBytes, requests, bytesStored } = result;
  const shown = line({ ...result, target: 'process', diskBytes: bytesStored }, inputSamples);
  return `${shown}            on ${server}, ${requests} requests; ${mebibytes(idleRssBytes)} MiB before it had work\n`;
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}

const { values } = parseArgs({
  options: {
    series: { type: 'string', default: '1000000' },
    blocks: { type: 'string' },
    samples: { type: 'string', default: '24' },
    replicas: { type: 'string', default: '1' },
    overlap: { type: 'string', default: 'equal' },
    targets: { type: 'string', default: 'varve,prometheus' },
    s3: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(`${USAGE}\n`);
} else {
  const { series, samples, replicas, overlap } = values;
  const blocks = values.blocks ?? (replicas === '1' ? '3' : '1');
  const targets = values.targets.split(',');
  const folder = makeFolder('blocks');
  mkdirSync(folder, { recursive: true });
  const made = runChild('make-blocks.js', [folder, series, blocks, samples, replicas, overlap]);
  const sources = made
    .split('\n')
    .filter((text) => text.endsWith(' source'))
    .map((text) => join(folder, text.split(' ')[0]!));
  const inputSamples = Number(series) * Number(samples) * sources.length;
  process.stdout.write(
    `${sources.length} blocks (${replicas} of each range, ${overlap}) of ${series} series with ${samples} samples each: ` +
      `${inputSamples / 1e6} M samples, ${mebibytes(diskBytes(folder))} MiB\n`,
  );
  const results: Result[] = [];
  const report = (result: Result): void => {
    results.push(result);
    process.stdout.write(line(result, inputSamples));
  };
  if (targets.includes('varve')) report(compactByVarve(sources));
  if (targets.includes('prometheus') && findPeer('prometheus') !== null) {
    report(await compactByPrometheus(folder));
  }
  if (values.s3) {
    const result = await compactOnS3(sources, WAIT_MS);
    process.stdout.write(result === null ? 'no S3 server is installed\n' : s3Line(result, inputSamples));
  }
  if (results.length === 2) {
    const [ours, theirs] = results as [Result, Result];
    process.stdout.write(
      `ratio CPU ${(ours.cpuSeconds / theirs.cpuSeconds).toFixed(2)}, ` +
        `peak memory ${(ours.peakRssBytes / theirs.peakRssBytes).toFixed(2)}\n`,
    );
  }
  await stopAll();
}
