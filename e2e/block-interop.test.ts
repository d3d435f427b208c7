import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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

/** What `promtool tsdb dump` prints of a data folder, a line per sample, sorted. */
function dump(dataDir: string): string[] {
  const text = execFileSync(promtool(), ['tsdb', 'dump', dataDir], { encoding: 'utf8', maxBuffer: 1 << 30 });
  return text.trimEnd().split('\n').sort();
}

/** The first line that only one of two dumps has; null when they are equal. */
function dumpDifference(found: readonly string[], wanted: readonly string[]): string | null {
  const at = wanted.findIndex((line, i) => line !== found[i]);
  if (at >= 0) return `${found[at]} instead of ${wanted[at]}`;
  return found.length === wanted.length ? null : `${found.length} samples instead of ${wanted.length}`;
}

/** Every float of a dump by series and time, to be compared with what an API says; without stale markers, as there. */
function floatsOf(lines: readonly string[]): Map<string, string> {
  const floats = new Map<string, string>();
  for (const line of lines) {
    const [, labels, value, time] = /^(\{.*\}) (\S+) (-?\d+)$/.exec(line) ?? [];
    if (labels !== undefined && value !== 'NaN') floats.set(`${labels} ${time}`, String(Number(value)));
  }
  return floats;
}

/** Every float that is no NaN as the API gives it, named as in a dump. */
async function apiFloats(api: string): Promise<Map<string, string>> {
  const floats = new Map<string, string>();
  const data = await query(api, 'query', {
    query: `{__name__=~".+"}[${DATA.endMs - START_MS + 1}ms]`,
    time: (DATA.endMs / 1000).toFixed(3),
  });
  for (const { metric, values } of data.result as {
    metric: Record<string, string>;
    values?: [number, string][];
  }[]) {
    const names = Object.keys(metric).sort();
    const labels = names.map((name) => `${name.includes('.') ? `"${name}"` : name}="${metric[name]}"`);
    for (const [time, value] of values ?? []) {
      const number = value === '+Inf' ? 1 / 0 : value === '-Inf' ? -1 / 0 : Number(value);
      if (!Number.isNaN(number))
        floats.set(`{${labels.join(', ')}} ${Math.round(time * 1000)}`, String(number));
    }
  }
  return floats;
}

suite('blocks of Varve and of Prometheus', () => {
  let s3: S3Peer;
  let prometheus: Server;
  let varve: Varve;
  let expected: readonly Answer[];
  /** All samples, as promtool prints those of the real Prometheus. */
  let samples: readonly string[];
  /** A data folder with the blocks that Prometheus made of its head, and those alone. */
  let prometheusBlocks: string;

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
    const [inDump, inApi] = [floatsOf(found), await apiFloats(varve.api)];
    expect(inDump.size).toBeGreaterThan(20_000);
    expect(inApi).toEqual(inDump);
    const other = await startPrometheus({ dataDir: folder, args: NATIVE });
    expect(await differencesOf(other.api, QUERIES, expected)).toEqual([]);
    await other.stop();
  };
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
    prometheusBlocks = join(prometheus.dataDir, 'snapshots', (body.data as { name: string }).name);
    samples = dump(prometheusBlocks);
    expect(samples.length).toBe(DATA.series.length * DATA.rounds);
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
    expect(await differencesOf(varve.api, QUERIES, expected)).toEqual([]);
  });
});
