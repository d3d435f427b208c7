import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { havePeers, type Minio, promtool, startMinio } from './peers.js';
import { makeFolder, stopAll, waitFor } from './processes.js';
import { DEFAULT_TENANT, repositoryRoot, startVarve } from './varve.js';

/** `varve bucket` as users run it, on MinIO and on a folder, with blocks that promtool made. */

const HOUR_S = 3600;
/** Aligned to blocks of two hours; the samples fill two of them. */
const START_S = Math.floor(1_760_000_000 / (2 * HOUR_S)) * 2 * HOUR_S;
const STEP_S = 30;
const SERIES = 50;

(havePeers('minio', 'promtool') ? describe : describe.skip)('varve bucket', () => {
  let minio: Minio;
  let folder = '';
  /** Blocks of promtool, and what it dumps of them. */
  let made = '';
  let names: string[] = [];
  let dumped = '';

  beforeAll(async () => {
    minio = await startMinio();
    folder = makeFolder('bucket-tool');
    made = join(folder, 'made');
    const file = join(folder, 'input.om');
    writeFileSync(file, openMetrics());
    execFileSync(promtool(), ['tsdb', 'create-blocks-from', 'openmetrics', '--quiet', file, made]);
    names = readdirSync(made).filter((name) => name.length === 26);
    dumped = dump(made);
    expect(names).toHaveLength(2);
    expect(dumped.split('\n').length).toBe((4 * HOUR_S * SERIES) / STEP_S);
  });
  afterAll(() => stopAll());

  /** The same commands on either kind of bucket. */
  describe.each(['S3', 'folder'])('on a bucket: %s', (kind) => {
    const flags = (): string[] =>
      kind === 'S3'
        ? [`--bucket=s3://${minio.bucket}/main`, `--s3-endpoint=${minio.url}`]
        : [`--bucket=file:${join(folder, 'bucket')}`];

    test('upload stores blocks once, and ls, stats and inspect show them', () => {
      const uploaded = tool(['upload', 'team', made, '--label=cluster=a', ...flags()]);
      expect([uploaded.code, uploaded.out]).toEqual([0, expect.stringContaining('2 blocks uploaded')]);
      expect(tool(['upload', 'team', made, ...flags()]).out).toContain('2 there already');
      expect(tool(['ls', ...flags()]).out).toMatch(/^team +2 +0 +0 /m);
      const { blocks } = JSON.parse(tool(['ls', 'team', '--json', ...flags()]).out) as {
        blocks: { ulid: string; samples: number; labels: unknown }[];
      };
      expect(blocks.map(({ ulid }) => ulid).sort()).toEqual(names);
      expect(blocks.map(({ labels }) => labels)).toEqual([{ cluster: 'a' }, { cluster: 'a' }]);
      const samples = (4 * HOUR_S * SERIES) / STEP_S;
      expect(JSON.parse(tool(['stats', '--json', ...flags()]).out)).toMatchObject([
        { tenant: 'team', resolutionMs: 0, blocks: 2, seriesMax: SERIES, samples, overlapMs: 0 },
      ]);
      expect(tool(['inspect', `team/${names[0]!}`, ...flags()]).out).toMatch(/^instance +50 +50$/m);
    });

    test('verify finds nothing wrong', () => {
      const { code, out } = tool(['verify', ...flags()]);
      expect([code, out]).toEqual([0, expect.stringContaining('2 blocks of 1 tenant checked')]);
    });

    test('a downloaded block is what promtool made', () => {
      const back = join(folder, `back-${kind}`);
      for (const name of names) expect(tool(['download', `team/${name}`, back, ...flags()]).code).toBe(0);
      const listed = execFileSync(promtool(), ['tsdb', 'list', back], { encoding: 'utf8' });
      for (const name of names) expect(listed).toContain(name);
      expect(dump(back)).toBe(dumped);
    });

    test('copy brings everything to another bucket', () => {
      const target =
        kind === 'S3'
          ? { flags: [`--to=file:${join(folder, 'copy')}`], url: `file:${join(folder, 'copy')}` }
          : {
              flags: [`--to=s3://${minio.bucket}/copy`, `--to-s3-endpoint=${minio.url}`],
              url: `s3://${minio.bucket}/copy`,
            };
      expect(tool(['copy', ...flags(), ...target.flags]).out).toContain('2 blocks copied');
      expect(tool(['copy', ...flags(), ...target.flags]).out).toContain('2 there already');
      const where = [`--bucket=${target.url}`, `--s3-endpoint=${minio.url}`];
      const { code, out } = tool(['verify', ...where]);
      expect([code, out]).toEqual([0, expect.stringContaining('2 blocks of 1 tenant checked')]);
    });
  });

  test('verify names object and offset of damage, and the other block is whole', () => {
    const target = `file:${join(folder, 'damaged')}`;
    tool(['copy', `--bucket=file:${join(folder, 'bucket')}`, `--to=${target}`]);
    const chunks = join(folder, 'damaged/team', names[0]!, 'chunks/000001');
    const bytes = readFileSync(chunks);
    bytes[bytes.length >> 1]! ^= 4;
    writeFileSync(chunks, bytes);
    const onFolder = tool(['verify', 'team', `--bucket=${target}`]);
    expect(onFolder.code).toBe(1);
    expect(onFolder.out).toMatch(new RegExp(`^team/${names[0]!}/chunks/000001 offset \\d+: `, 'm'));
    expect(onFolder.out).toContain(': 1 problem');
    const distant = [`--s3-endpoint=${minio.url}`, `--bucket=s3://${minio.bucket}/damaged`];
    tool([
      'copy',
      `--bucket=${target}`,
      `--to=s3://${minio.bucket}/damaged`,
      `--to-s3-endpoint=${minio.url}`,
    ]);
    const onS3 = tool(['verify', 'team', ...distant]);
    expect([onS3.code, onS3.out]).toEqual([1, onFolder.out]);
    expect(tool(['verify', `team/${names[1]!}`, ...distant]).code).toBe(0);
    const again = tool(['upload', 'team', join(folder, 'damaged/team'), ...distant]);
    expect([again.code, again.out]).toEqual([1, expect.stringContaining('1 there already, 1 refused')]);
  });

  test("blocks go into Thanos' flat layout on S3 and are read from it", () => {
    const flat = [
      `--s3-endpoint=${minio.url}`,
      `--bucket=s3://${minio.bucket}/flat`,
      '--bucket-flat-tenant=team',
    ];
    const to = flat.map((flag) => flag.replace(/^--bucket=/, '--to=').replace(/^--(s3|bucket)-/, '--to-$1-'));
    const copied = tool(['copy', 'team', `--bucket=file:${join(folder, 'bucket')}`, ...to]);
    expect([copied.code, copied.out]).toEqual([0, expect.stringContaining('2 blocks copied')]);
    expect(tool(['ls', ...flat]).out).toMatch(/^team +2 +0 +0 /m);
    const { code, out } = tool(['verify', ...flat]);
    expect([code, out]).toEqual([0, expect.stringContaining('2 blocks of 1 tenant checked')]);
    // Below the name of a block there are its files, not a tenant's folder.
    const one = `--bucket=s3://${minio.bucket}/flat/${names[0]!}`;
    expect(tool(['ls', 'chunks', one, `--s3-endpoint=${minio.url}`]).code).toBe(0);
  });

  test.each([
    ['in the folder of its tenant', []],
    ["in Thanos' flat layout", [`--bucket-flat-tenant=${DEFAULT_TENANT}`]],
  ])('a server answers from uploaded blocks %s', async (_, layout) => {
    const home = makeFolder('backfilled');
    const uploaded = tool([
      'upload',
      DEFAULT_TENANT,
      made,
      `--bucket=file:${join(home, 'bucket')}`,
      ...layout,
    ]);
    expect(uploaded.code).toBe(0);
    const varve = await startVarve({
      folder: home,
      args: ['--compactor-cleanup-interval=1s', '--blocks-sync-interval=1s', ...layout],
    });
    const count = async (): Promise<unknown> => {
      const time = START_S + 4 * HOUR_S - STEP_S;
      const query = new URLSearchParams({ query: 'count(count_over_time(backfilled[4h]))', time: `${time}` });
      const response = await fetch(`${varve.api}/query?${query}`);
      const { data } = (await response.json()) as { data?: { result: { value: [number, string] }[] } };
      return data?.result[0]?.value[1];
    };
    await waitFor('the uploaded blocks', async () => (await count()) === String(SERIES), 60_000);
    expect(await varve.stop()).toBe(0);
    expect(tool(['verify', `--bucket=file:${join(home, 'bucket')}`, ...layout]).code).toBe(0);
  });

  function tool(words: readonly string[]): { code: number | null; out: string; err: string } {
    const script = process.env['VARVE_BIN'] ?? join(repositoryRoot(), 'bin/varve');
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, 'bucket', ...words], {
      encoding: 'utf8',
      env: { ...process.env, AWS_ACCESS_KEY_ID: minio.accessKey, AWS_SECRET_ACCESS_KEY: minio.secretKey },
      maxBuffer: 64 * 1024 * 1024,
    });
    return { code: status, out: stdout, err: stderr };
  }
});

function openMetrics(): string {
  const lines = ['# TYPE backfilled gauge'];
  for (let series = 0; series < SERIES; series++) {
    for (let second = 0; second < 4 * HOUR_S; second += STEP_S) {
      const value = Math.sin(second / 1000 + series) * 100;
      lines.push(`backfilled{instance="host-${series}",job="test"} ${value} ${START_S + second}`);
    }
  }
  return `${lines.join('\n')}\n# EOF\n`;
}

/** Every sample, sorted: promtool wants a folder for the log, even an empty one. */
function dump(directory: string): string {
  mkdirSync(join(directory, 'wal'), { recursive: true });
  const text = execFileSync(promtool(), ['tsdb', 'dump', directory], {
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
  });
  return text.trimEnd().split('\n').sort().join('\n');
}
