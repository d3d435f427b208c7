import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { call } from './answers.js';
import { havePeers, startPrometheus } from './peers.js';
import { makeFolder, stopAll, waitFor } from './processes.js';
import { type BlockMeta, type S3Peer, startS3 } from './s3.js';
import { type Answer, ask, askAll, differencesOf, type StorageQuery } from './storage-data.js';
import { repositoryRoot, startVarve, type Varve } from './varve.js';

/**
 * A bucket that Thanos made, blocks at its root, on S3: read as it is, as the blocks of one tenant. At raw resolution the
 * answers are those of a real Prometheus on the raw block. Nothing of what was in the bucket changes.
 */

const shared = [process.env['VARVE_SHARED'], join(repositoryRoot(), '../shared')].find(
  (folder) => folder !== undefined && existsSync(join(folder, 'fixtures/thanos-bucket')),
);
if (shared === undefined) {
  process.stderr.write('SKIPPED: the bucket of Thanos, as there is no fixtures folder (set VARVE_SHARED)\n');
}
const suite = shared !== undefined && havePeers('prometheus') ? describe : describe.skip;

const DAY_S = 86_400;

suite('a bucket that Thanos made', () => {
  const source = join(shared ?? '', 'fixtures/thanos-bucket');
  /** Object name to content. */
  const objects = new Map<string, Buffer>();
  let s3: S3Peer;
  let varve: Varve;
  let queries: readonly StorageQuery[];
  let expected: readonly Answer[];
  let endS = 0;

  beforeAll(async () => {
    s3 = await startS3('thanos');
    const dataDir = join(makeFolder('thanos-raw'), 'data');
    for (const ulid of readdirSync(source).filter((name) => name.length === 26)) {
      const files = readdirSync(join(source, ulid), { recursive: true, withFileTypes: true });
      for (const file of files.filter((each) => each.isFile())) {
        const path = join(file.parentPath, file.name);
        objects.set(path.slice(source.length + 1), readFileSync(path));
      }
      const meta = JSON.parse(readFileSync(join(source, ulid, 'meta.json'), 'utf8')) as BlockMeta;
      if (meta.thanos?.downsample?.resolution !== 0) continue;
      cpSync(join(source, ulid), join(dataDir, ulid), { recursive: true });
      endS = (meta.maxTime - 1) / 1000;
    }
    for (const [name, content] of objects) await s3.put(name, content);
    const all = { start: String(endS - 12 * DAY_S), end: String(endS), step: '3607' };
    queries = [
      ['{__name__=~".+"}', all],
      ['rate(http_requests_total[10m])', all],
      ['sum by (job) (increase(http_requests_total[1h]))', all],
      ['histogram_quantile(0.9, rate(latency_seconds[1h]))', all],
      ['{__name__=~".+"}', { ...all, start: String(endS - 4 * 3600), step: '61' }],
      ['{__name__=~".+"}[13d]', { time: String(endS) }],
      ['count({__name__=~".+"}) by (__name__)', { time: String(endS - 3 * DAY_S) }],
    ];
    const prometheus = await startPrometheus({ dataDir, args: ['--enable-feature=native-histograms'] });
    expected = await askAll(prometheus.api, queries);
    await prometheus.stop();
    varve = await startVarve({
      bucket: s3.bucketUrl,
      env: s3.env,
      args: [
        ...s3.args,
        '--bucket-flat-tenant=anonymous',
        '--blocks-sync-interval=1s',
        '--compactor-cleanup-interval=500ms',
        '--compactor-compaction-interval=1h',
        '--compactor-downsampling-enabled=false',
      ],
    });
  });

  afterAll(async () => {
    await stopAll();
    await s3?.stop();
  });

  test('is found by the cleaner and answered as Prometheus answers on its raw block', async () => {
    await waitFor('the block in the index', async () => {
      const { body } = await call(varve.api, 'status/tsdb/blocks');
      return (body.data as { blocks: unknown[] }).blocks.length === 1;
    });
    const raw = { max_source_resolution: '0s' };
    expect(await differencesOf(varve.api, queries, expected, raw)).toEqual([]);
  });

  test('its downsampled blocks are read where they are fine enough', async () => {
    const counted = 'sum(count_over_time(http_requests_total[1d]))';
    const parameters = { start: String(endS - 10 * DAY_S), end: String(endS), step: String(DAY_S / 2) };
    const answer = (more: Readonly<Record<string, string>>) => ask(varve.api, [counted, parameters], more);
    const requestsBefore = s3.proxy.answered.length;
    const coarse = await answer({});
    expect(s3.proxy.answered.length).toBeGreaterThan(requestsBefore);
    const numbers = (found: Answer) =>
      [...found.values()].flatMap((series) => (series as { values: [number, string][] }).values);
    const [found, wanted] = [numbers(coarse), numbers(await answer({ max_source_resolution: '0s' }))];
    expect(found.map(([time]) => time)).toEqual(wanted.map(([time]) => time));
    // A window of a day that begins within an hour's window counts a part of it, at most an hour of samples, wrongly.
    for (const [i, [, count]] of found.entries()) {
      expect(Math.abs(Number(count) - Number(wanted[i]![1])) / Number(wanted[i]![1])).toBeLessThan(0.05);
    }
  });

  test('nothing that was in the bucket has changed', async () => {
    expect(await varve.stop()).toBe(0);
    const names = [...(await s3.list()).keys()];
    for (const [name, content] of objects) {
      expect(names).toContain(name);
      expect((await s3.get(name)).equals(content)).toBe(true);
    }
    process.stderr.write(
      `beside the blocks of Thanos there are now: ${names.filter((name) => !objects.has(name)).join(', ')}\n`,
    );
  });
});
