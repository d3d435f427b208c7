import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { query } from '../../e2e/answers.js';
import { makeFolder, pause, stopAll } from '../../e2e/processes.js';
import {
  type Corpus,
  INTERVAL_MS,
  labelsOf,
  send,
  startOf,
  startTarget,
  TARGETS,
  type Target,
  type TargetName,
  usageOf,
  writeCorpus,
} from '../load/index.js';

/**
 * Sends the same load to Varve, VictoriaMetrics and Prometheus, one after the other, and reports what each spent. CPU
 * time is the kernel's accounting of the server process from before the first request until a settle time after the
 * last answer, so background merging and flushing count; the sender runs in another process.
 */

const USAGE = `npm run bench:ingest -- [options]
  --series=N[,N]       active series                       (100000,1000000)
  --rounds=N[,N]       samples per series, as --series     (60,10)
  --connections=N      parallel keep-alive connections     (4)
  --settle=SECONDS     waiting after the last answer       (12)
  --targets=a,b        of ${TARGETS.join(', ')} (all)
  --compact            also let each write blocks, and report their size
  --json               print one JSON document instead of tables`;

interface Row {
  readonly target: TargetName;
  readonly series: number;
  readonly samples: number;
  readonly cpuMicrosPerSample: number;
  readonly systemShare: number;
  readonly samplesPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly idleRssBytes: number;
  readonly peakRssBytes: number;
  readonly endRssBytes: number;
  readonly bytesPerSeries: number;
  readonly peakBytesPerSeries: number;
  readonly diskBytesPerSample: number;
  readonly blockBytesPerSample: number | null;
  /** Samples that queries find afterwards, or what went wrong. */
  readonly stored: number | string;
}

interface Options {
  readonly connections: number;
  readonly settleMs: number;
  readonly compact: boolean;
}

async function measure(name: TargetName, corpus: Corpus, options: Options): Promise<Row> {
  const target = await startTarget(name);
  const { pid } = target.server;
  const before = usageOf(pid);
  const sent = await send({ url: target.pushUrl, corpus, connections: options.connections });
  await pause(options.settleMs);
  const after = usageOf(pid);
  const disk = target.diskBytes();
  const stored = await countStored(target, corpus);
  const block = options.compact ? await target.compact() : null;
  await target.server.kill();
  const { samples } = corpus;
  return {
    target: name,
    series: corpus.shape.series,
    samples,
    cpuMicrosPerSample: ((after.cpuMs - before.cpuMs) * 1000) / samples,
    systemShare: (after.systemMs - before.systemMs) / (after.cpuMs - before.cpuMs),
    samplesPerSecond: samples / (sent.elapsedMs / 1000),
    p50Ms: sent.p50Ms,
    p99Ms: sent.p99Ms,
    idleRssBytes: before.rssBytes,
    peakRssBytes: after.peakRssBytes,
    endRssBytes: after.rssBytes,
    bytesPerSeries: after.rssBytes / corpus.shape.series,
    peakBytesPerSeries: after.peakRssBytes / corpus.shape.series,
    diskBytesPerSample: disk / samples,
    blockBytesPerSample: block === null ? null : block / samples,
    stored,
  };
}

/** Counts the samples by queries, one metric name at a time: what was measured has to have been done. */
async function countStored(target: Target, corpus: Corpus): Promise<number | string> {
  const { startMs, rounds } = corpus.shape;
  const lengthMs = rounds * INTERVAL_MS;
  const time = ((startMs + lengthMs) / 1000).toFixed(3);
  const names = new Set(
    Array.from({ length: Math.min(1000, corpus.shape.series) }, (_, i) => labelsOf(i)[0]![1]),
  );
  let stored = 0;
  try {
    for (const name of names) {
      const text = `sum(count_over_time(${name}[${lengthMs + 1000}ms]))`;
      const { result } = await query(target.server.api, 'query', { query: text, time });
      stored += Number((result as { value: [number, string] }[])[0]?.value[1] ?? 0);
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return stored;
}

const COLUMNS: readonly (readonly [title: string, cell: (row: Row) => string])[] = [
  ['target', (row) => row.target],
  ['CPU µs/sample', (row) => row.cpuMicrosPerSample.toFixed(3)],
  ['of it system', (row) => `${(row.systemShare * 100).toFixed(0)} %`],
  ['samples/s', (row) => Math.round(row.samplesPerSecond).toString()],
  ['p50 ms', (row) => row.p50Ms.toFixed(1)],
  ['p99 ms', (row) => row.p99Ms.toFixed(1)],
  ['RSS end MB', (row) => (row.endRssBytes / 1e6).toFixed(0)],
  ['RSS peak MB', (row) => (row.peakRssBytes / 1e6).toFixed(0)],
  ['B/series end', (row) => row.bytesPerSeries.toFixed(0)],
  ['B/series peak', (row) => row.peakBytesPerSeries.toFixed(0)],
  ['disk B/sample', (row) => row.diskBytesPerSample.toFixed(2)],
  ['block B/sample', (row) => row.blockBytesPerSample?.toFixed(2) ?? '-'],
];

function table(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines.map((line) => line.map((cell, i) => cell.padStart(widths[i]!)).join('  ')).join('\n');
}

function report(rows: readonly Row[], corpus: Corpus): string {
  const { series, rounds } = corpus.shape;
  const perSample = (bytes: number) => (bytes / corpus.samples).toFixed(0);
  const lines = [
    `\n${series} series, ${rounds} rounds, ${corpus.samples} samples; ${perSample(corpus.plainBytes)} B/sample ` +
      `before and ${perSample(corpus.compressedBytes)} after snappy; checksum ${corpus.checksum.toString(16)}`,
    table([COLUMNS.map(([title]) => title), ...rows.map((row) => COLUMNS.map(([, cell]) => cell(row)))]),
  ];
  for (const { target, stored } of rows) {
    if (stored !== corpus.samples)
      lines.push(`WRONG ${target}: ${stored} of ${corpus.samples} samples found`);
  }
  const own = rows.find((row) => row.target === 'varve');
  for (const other of own === undefined ? [] : rows.filter((row) => row !== own)) {
    const ratio = (pick: (row: Row) => number) => (pick(own!) / pick(other)).toFixed(3);
    lines.push(
      `varve / ${other.target}: CPU ${ratio((row) => row.cpuMicrosPerSample)}, ` +
        `RSS end ${ratio((row) => row.endRssBytes)}, RSS peak ${ratio((row) => row.peakRssBytes)}, ` +
        `disk ${ratio((row) => row.diskBytesPerSample)}`,
    );
  }
  return lines.join('\n');
}

const { values } = parseArgs({
  options: {
    series: { type: 'string', default: '100000,1000000' },
    rounds: { type: 'string', default: '60,10' },
    connections: { type: 'string', default: '4' },
    settle: { type: 'string', default: '12' },
    targets: { type: 'string', default: TARGETS.join(',') },
    compact: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}
const rounds = values.rounds.split(',').map(Number);
const targets = values.targets.split(',').map((name) => {
  const found = TARGETS.find((target) => target === name);
  if (found === undefined) throw new Error(`no such target: ${name} (${TARGETS.join(', ')})`);
  return found;
});
const options: Options = {
  connections: Number(values.connections),
  settleMs: Number(values.settle) * 1000,
  compact: values.compact,
};
const document: { machine: string; rows: Row[] } = {
  machine: `${cpus().length} × ${cpus()[0]?.model ?? '?'}, ${(totalmem() / 1e9).toFixed(0)} GB, Node ${process.version}`,
  rows: [],
};
process.stderr.write(`${document.machine}\n`);
try {
  const folder = makeFolder('load');
  for (const [i, text] of values.series.split(',').entries()) {
    const shape = { series: Number(text), rounds: rounds[i] ?? rounds[0]!, startMs: 0 };
    const corpus = writeCorpus(join(folder, `load-${i}`), {
      ...shape,
      startMs: startOf(shape.rounds, Date.now()),
    });
    const rows: Row[] = [];
    for (const name of targets) {
      process.stderr.write(`${name}: ${corpus.samples} samples of ${shape.series} series\n`);
      rows.push(await measure(name, corpus, options));
    }
    document.rows.push(...rows);
    if (rows.some(({ stored }) => stored !== corpus.samples)) process.exitCode = 1;
    if (!values.json) process.stdout.write(`${report(rows, corpus)}\n`);
  }
  if (values.json) process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
} finally {
  await stopAll();
}
