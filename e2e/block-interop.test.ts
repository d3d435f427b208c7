import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { call, query } from './answers.js';
import { havePeers, promtool, type Server, startPrometheus } from './peers.js';
import { makeFolder, stopAll, waitFor } from './processes.js';
import { blocksOf, downloadBlock, isRaw, type S3Peer, type StoredBlock, startS3 } from './s3.js';
import { type Answer, askAll, differencesOf, makeDataset, pushRounds, queriesOf } from './storage-data.js';
import { DEFAULT_TENANT, startVarve, type Varve } from './varve.js';

/**
 * Blocks can come and go: promtool and a real Prometheus read those that Varve cut and those that it merged and find
 * exactly the samples that were pushed; Varve answers from blocks of Prometheus and promtool as they do, and merges them
 * with its own without loss.
 */

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const STEP_MS = 30_000;
/** Within one UTC day that is over for more than four hours, so that all of it can become one block. */
const DAY_START_MS = Math.floor((Date.now() - 5 * HOUR_MS) / DAY_MS) * DAY_MS - DAY_MS;
const START_MS = DAY_START_MS + 5 * HOUR_MS;
const DATA = makeDataset(START_MS, STEP_MS, (7 * HOUR_MS) / STEP_MS);
const QUERIES = queriesOf(DATA);
const seconds = (ms: number) => (ms / 1000).toFixed(3);
const NATIVE = ['--enable-feature=native-histograms'];

const ARGS = [
  '--blocks-ship-interval=500ms',
  '--blocks-local-retention=1s',
  '--blocks-sync-interval=1s',
  '--compactor-cleanup-interval=500ms',
  '--compactor-deletion-delay=6s',
  '--compactor-downsampling-enabled=false',
  '--query-max-source-resolution=0s',
];
const RESTING = [
  ...ARGS,
  '--compactor-compaction-interval=1h',
  '--compactor-first-level-compaction-wait-period=1h',
];
const COMPACTING = [
  ...ARGS,
  '--compactor-compaction-interval=1s',
  '--compactor-first-level-compaction-wait-period=0s',
];

const suite = havePeers('prometheus', 'promtool') ? describe : describe.skip;

/**
 * What `promtool tsdb dump` prints of a data folder, a line per sample, sorted. It swallows the first one or two samples of
 * each series of histograms (a loop per kind of sample, each of which takes one to see that it is another's), of every
 * block alike; those are compared by queries.
 */
function dump(dataDir: string): string[] {
  // It wants a data folder to have one.
  mkdirSync(join(dataDir, 'wal'), { recursive: true });
  const text = execFileSync(promtool(), ['tsdb', 'dump', dataDir], { encoding: 'utf8', maxBuffer: 1 << 30 });
  return text.trimEnd().split('\n').sort();
}

/** The first line that only one of two dumps has; null when they are equal. */
function dumpDifference(found: readonly string[], wanted: readonly string[]): string | null {
  const at = wanted.findIndex((line, i) => line !== found[i]);
  if (at >= 0) return `${found[at]} instead of ${wanted[at]}`;
  return found.length === wanted.length ? null : `${found.length} samples instead of ${wanted.length}`;
}

function numberOf(text: string): number {
  return text.endsWith('Inf') ? (text.startsWith('-') ? -1 / 0 : 1 / 0) : Number(text);
}

/** The floats of a dump, a line each, sorted; without NaN, among them stale markers, which APIs don't show. */
function floatsOf(lines: readonly string[]): string[] {
  const floats: string[] = [];
  for (const line of lines) {
    const [, labels, value = '', time] = /^(\{.*\}) (\S+) (-?\d+)$/.exec(line) ?? [];
    if (labels !== undefined && value !== 'NaN') floats.push(`${labels} ${numberOf(value)} ${time}`);
  }
  return floats.sort();
}

/** The floats that an API has, in the same form: equal text means equal bits, as both print the shortest decimal. */
async function apiFloats(api: string): Promise<string[]> {
  const floats: string[] = [];
  const data = await query(api, 'query', {
    query: '{__name__=~".+"}[1d]',
    time: ((DAY_START_MS + DAY_MS - 1) / 1000).toFixed(3),
  });
  for (const { metric, values = [] } of data.result as {
    metric: Record<string, string>;
    values?: [number, string][];
  }[]) {
    const names = Object.keys(metric).sort();
    const labels = names.map((name) => `${name.includes('.') ? `"${name}"` : name}="${metric[name]}"`);
    for (const [time, value] of values) {
      if (value === 'NaN') continue;
      floats.push(`{${labels.join(', ')}} ${numberOf(value)} ${Math.round(time * 1000)}`);
    }
  }
  return floats.sort();
}

const IMPORTED: readonly (readonly [text: string, value: (round: number) => number])[] = [
  ['imported_total{site="a"}', (round) => round * 1.5],
  ['imported_total{site="b"}', (round) => round % 211],
  ['imported_level{site="a",kind="noisy"}', (round) => Math.sin(round * 12.9898) * 43758.5453],
  ['imported_level{site="b",kind="special"}', (round) => (round % 3 === 0 ? 1 / 0 : -1e-300 * round)],
  // Of this time are those that were pushed, too.
  ['up{job="api",origin="import"}', (round) => round % 2],
];

/** Twelve hours from midnight on, half of them before the pushed samples, as blocks that promtool makes. */
function importedBlocks(): string {
  const folder = makeFolder('imported');
  const lines: string[] = [];
  for (const [text, value] of IMPORTED) {
    for (let round = 0; round < (12 * HOUR_MS) / 60_000; round++) {
      const number = value(round);
      const printed = number === 1 / 0 ? '+Inf' : String(number);
      lines.push(`${text} ${printed} ${(DAY_START_MS + round * 60_000) / 1000}`);
    }
  }
  const file = join(folder, 'samples.om');
  writeFileSync(file, `${lines.join('\n')}\n# EOF\n`);
  const blocks = join(folder, 'blocks');
  execFileSync(promtool(), ['tsdb', 'create-blocks-from', 'openmetrics', '--quiet', file, blocks]);
  return blocks;
}

const isBlockName = (name: string) => /^[0-9A-HJKMNP-TV-Z]{26}$/.test(name);

/** Names of the files of a block in the order in which they are stored. */
function filesOf(block: string): string[] {
  return [
    ...readdirSync(join(block, 'chunks'))
      .sort()
      .map((name) => `chunks/${name}`),
    'index',
    'meta.json',
  ];
}

suite('blocks of Varve and of Prometheus', () => {
  let s3: S3Peer;
  let prometheus: Server;
  let varve: Varve;
  let expected: readonly Answer[];
  let queries = QUERIES;
  /** All samples, as promtool prints those of the real Prometheus. */
  let samples: readonly string[];
  /** Folders with blocks of Prometheus, made of the pushed samples, and of promtool. */
  let foreign: readonly string[];

  const start = async (args: readonly string[], bucket = s3.bucketUrl) => {
    varve = await startVarve({ bucket, env: s3.env, args: [...s3.args, ...args] });
  };
  const flush = async () => {
    expect((await fetch(`${varve.url}/ingester/flush`, { method: 'POST' })).status).toBe(204);
  };
  /** A data folder for Prometheus with the raw blocks of the bucket. */
  const download = async (): Promise<[string, StoredBlock[]]> => {
    const folder = makeFolder('downloaded');
    const blocks = (await blocksOf(s3, DEFAULT_TENANT)).filter((block) => isRaw(block) && !block.isMarked);
    for (const block of blocks) await downloadBlock(s3, DEFAULT_TENANT, block, folder);
    return [folder, blocks];
  };
  const expectReadable = async (folder: string, blocks: readonly StoredBlock[]) => {
    const listed = execFileSync(promtool(), ['tsdb', 'list', folder], { encoding: 'utf8' });
    for (const { ulid, meta } of blocks) {
      expect(listed).toContain(ulid);
      const report = execFileSync(promtool(), ['tsdb', 'analyze', folder, ulid], { encoding: 'utf8' });
      expect(report).toContain(`Block ID: ${ulid}`);
      expect(report).toContain(`Total Series: ${meta?.stats.numSeries}`);
    }
    const found = dump(folder);
    expect(dumpDifference(found, samples)).toBeNull();
    const floats = floatsOf(found);
    expect(floats.length).toBeGreaterThan(20_000);
    expect(dumpDifference(await apiFloats(varve.api), floats)).toBeNull();
    const other = await startPrometheus({ dataDir: folder, args: NATIVE });
    expect(await differencesOf(other.api, queries, expected)).toEqual([]);
    await other.stop();
  };
  /** Waits until queries are shown so many blocks. */
  const untilIndexed = (count: number) =>
    waitFor(`${count} blocks in the index`, async () => {
      const { body } = await call(varve.api, 'status/tsdb/blocks');
      return (body.data as { blocks: unknown[] }).blocks.length === count;
    });
  /** Waits until nothing but one merged raw block is left. */
  const untilOneBlock = (bucketBlocks: () => Promise<readonly StoredBlock[]>) =>
    waitFor(
      'one block',
      async () => {
        const blocks = await bucketBlocks();
        return blocks.length === 1 && blocks[0]!.meta !== null;
      },
      60_000,
    );

  beforeAll(async () => {
    s3 = await startS3('interop');
    prometheus = await startPrometheus({ args: NATIVE });
    await start(RESTING);
    await pushRounds([varve.pushUrl, `${prometheus.url}/api/v1/write`], DATA, 0, DATA.rounds);
    expected = await askAll(prometheus.api, QUERIES);
    const { body } = await call(prometheus.api, 'admin/tsdb/snapshot', {}, 'POST');
    const snapshot = join(prometheus.dataDir, 'snapshots', (body.data as { name: string }).name);
    foreign = [snapshot, importedBlocks()].flatMap((folder) =>
      readdirSync(folder)
        .filter(isBlockName)
        .map((name) => join(folder, name)),
    );
    samples = dump(snapshot);
    const floatSeries = DATA.series.filter((series) => series.samples !== undefined);
    const floatLines = samples.filter((line) => !line.includes('{count:'));
    expect(floatLines.length).toBe(floatSeries.length * DATA.rounds);
  });

  afterAll(async () => {
    await stopAll();
    await s3?.stop();
  });

  test('promtool and Prometheus read what Varve cut: the same series and samples', async () => {
    await flush();
    const [folder, blocks] = await download();
    expect(blocks.length).toBe(4);
    await expectReadable(folder, blocks);
  });

  test('promtool and Prometheus read what Varve merged: the same series and samples', async () => {
    expect(await varve.stop()).toBe(0);
    await start(COMPACTING);
    await untilOneBlock(() => blocksOf(s3, DEFAULT_TENANT));
    const [folder, blocks] = await download();
    expect(blocks[0]!.meta!.compaction.level).toBeGreaterThan(1);
    await expectReadable(folder, blocks);
    expect(await differencesOf(varve.api, queries, expected)).toEqual([]);
  });

  test('Varve answers from blocks of Prometheus and promtool on S3 as Prometheus does', async () => {
    const dataDir = makeFolder('foreign');
    for (const block of foreign) cpSync(block, join(dataDir, basename(block)), { recursive: true });
    samples = dump(dataDir);
    const other = await startPrometheus({ dataDir, args: NATIVE });
    queries = [
      ...QUERIES,
      ['rate(imported_total[10m])', { start: seconds(DAY_START_MS), end: seconds(DATA.endMs), step: '177' }],
      ['{__name__=~"imported.*|up"}[12h]', { time: seconds(DAY_START_MS + 12 * HOUR_MS - 1) }],
    ];
    expected = await askAll(other.api, queries);
    await other.stop();

    await varve.stop();
    await start(RESTING);
    for (const block of foreign) {
      for (const path of filesOf(block)) {
        await s3.put(`${DEFAULT_TENANT}/${basename(block)}/${path}`, readFileSync(join(block, path)));
      }
    }
    await untilIndexed(foreign.length + 1);
    expect(await differencesOf(varve.api, queries, expected)).toEqual([]);
  });

  test('they are merged with those of Varve without loss', async () => {
    await varve.stop();
    await start(COMPACTING);
    await untilOneBlock(() => blocksOf(s3, DEFAULT_TENANT));
    expect(await differencesOf(varve.api, queries, expected)).toEqual([]);
    const [folder, blocks] = await download();
    await expectReadable(folder, blocks);
    await varve.stop();
  });

  test('so they are in a folder, by itself and merged', async () => {
    const folder = makeFolder('varve');
    for (const block of foreign) {
      cpSync(block, join(folder, 'bucket', DEFAULT_TENANT, basename(block)), { recursive: true });
    }
    varve = await startVarve({ folder, args: RESTING });
    await untilIndexed(foreign.length);
    expect(await differencesOf(varve.api, queries, expected)).toEqual([]);
    await varve.stop();
    varve = await startVarve({ folder, args: COMPACTING });
    const tenantFolder = join(varve.bucketDir, DEFAULT_TENANT);
    await waitFor(
      'one block in the folder',
      async () => readdirSync(tenantFolder).filter(isBlockName).length === 1,
      60_000,
    );
    expect(await differencesOf(varve.api, queries, expected)).toEqual([]);
    expect(dumpDifference(dump(tenantFolder), samples)).toBeNull();
  });
});
