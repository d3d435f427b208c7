import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { FolderBucket } from '../../lib/bucket/index.js';
import { startS3rver } from '../../lib/bucket/testing/s3-server.js';
import { listTenant, markCopyName, writeBucketIndex, writeMark } from '../../lib/bucketindex/index.js';
import { systemClock } from '../../lib/clock/index.js';
import { readBlockMeta, verifyBlock, writeBlockMeta, writeTombstones } from '../../lib/tsdb/block/index.js';
import { ramp, T, testSeries, writeTestBlock } from '../../lib/tsdb/block/testing/index.js';
import { runBucketTool } from './index.js';

let root = '';
/** A folder of local blocks, and the bucket's folder. */
let local = '';
let bucketFolder = '';

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'varve-tool-'));
  local = join(root, 'local');
  bucketFolder = join(root, 'bucket');
  mkdirSync(local);
});
afterEach(() => rmSync(root, { recursive: true }));

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(
  words: readonly string[],
  environment: Record<string, string> = {},
  bucket = `file:${bucketFolder}`,
): Promise<Run> {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await runBucketTool(words, {
    environment: { VARVE_BUCKET: bucket, ...environment },
    output: { print: (text) => void out.push(text), tell: (text) => void err.push(text) },
    clock: systemClock,
    signal: new AbortController().signal,
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

/** Writes a local block; tells its name. */
function writeLocal(value: string, count = 60): string {
  const series = ['a', 'b'].map((job) => testSeries({ __name__: value, job }, ramp(count)));
  return writeTestBlock(local, series, { minTime: T, maxTime: T + 3_600_000 }).ulid;
}

describe('command lines', () => {
  test.each([
    [[], 2, 'Usage: varve bucket COMMAND'],
    [['--help'], 0, 'download TENANT/ULID DIRECTORY'],
    [['ls', '--help'], 0, '--bucket=file:./data/bucket'],
    [['copy', '-h'], 0, 'TO_AWS_ACCESS_KEY_ID'],
    [['upload', '--help'], 0, '--compactor-block-ranges=2h,12h,24h'],
    [['list'], 2, 'unknown command "list"'],
    [['ls', '--jsn'], 2, 'unknown flag --jsn'],
    [['ls', '--json=x'], 2, '--json takes no value'],
    [['ls', '-j'], 2, 'unknown flag -j'],
    [['ls', '--wal-sync=none'], 2, 'unknown flag --wal-sync'],
    [['ls', '--to=file:x'], 2, 'unknown flag --to'],
    [['ls', '--bucket'], 2, '--bucket needs a value'],
    [['ls', '--bucket=ftp://x'], 2, 'flag --bucket: bucket must be file:FOLDER or s3://NAME[/PREFIX]'],
    [['ls', 'a', 'b'], 2, 'usage: varve bucket ls [TENANT]'],
    [['ls', '../x'], 2, 'is not the name of a tenant'],
    [['ls', 'a/b'], 2, 'neither TENANT nor TENANT/ULID'],
    [['ls', 'a/01M7YEQ6GFKXAT4GS3X8BJV064'], 2, 'varve bucket inspect'],
    [['inspect', 'a'], 2, '"a" is not TENANT/ULID'],
    [['copy', 'a'], 2, 'copy needs --to=URL'],
    [['copy', '--to=file:x', '--to-wal-sync=none'], 2, 'unknown flag --to-wal-sync'],
    [['copy', '--to=file:x', '--to-tenant=b'], 2, '--to-tenant needs a TENANT'],
    [['upload', 'a'], 2, 'usage: varve bucket upload TENANT DIRECTORY…'],
    [['upload', 'a', 'x', '--label=x'], 2, '--label must be NAME=VALUE'],
    [['ls', 'nobody'], 1, 'there is nothing of tenant nobody in file:'],
    [['download', 'a/01M7YEQ6GFKXAT4GS3X8BJV064', 'x'], 1, 'is not there any more'],
    [['upload', 'a', 'no/such/folder'], 1, 'is no block and has none'],
  ])('%j ends with %d', async (words, code, text) => {
    const found = await run(words);
    expect([found.code, found.out + found.err]).toEqual([code, expect.stringContaining(text)]);
  });

  test('the configuration file, the environment and flags say where the bucket is', async () => {
    writeLocal('m');
    await run(['upload', 't', local]);
    const file = join(root, 'varve.yml');
    writeFileSync(file, `bucket: file:${bucketFolder}\n`);
    for (const [words, environment] of [
      [['ls', 't', '--config', file], {}],
      [['ls', '--bucket', `file:${bucketFolder}`, 't'], {}],
      [['ls', 't'], { VARVE_CONFIG: file }],
    ] as const) {
      const found: string[] = [];
      const code = await runBucketTool(words, {
        environment,
        output: { print: (text) => void found.push(text), tell: (text) => void found.push(text) },
        clock: systemClock,
        signal: new AbortController().signal,
      });
      expect([code, found.join()]).toEqual([0, expect.stringContaining('BLOCK')]);
    }
  });
});

describe('upload', () => {
  test('stores blocks once, with a section that other programs want', async () => {
    const names = [writeLocal('m'), writeLocal('n')].sort();
    const first = await run(['upload', 't', local, '--label=cluster=a', '--label', 'zone=b=c']);
    expect([first.code, first.out]).toEqual([0, expect.stringContaining('2 blocks uploaded')]);
    expect(first.out).toContain('compactor.cleanup_interval (1m)');
    expect(readdirSync(join(bucketFolder, 't')).sort()).toEqual(names);
    const meta = readBlockMeta(join(bucketFolder, 't', names[0]!));
    expect(meta.thanos).toMatchObject({
      version: 1,
      labels: { cluster: 'a', zone: 'b=c' },
      downsample: { resolution: 0 },
      source: 'varve',
      files: [
        { rel_path: 'chunks/000001', size_bytes: expect.any(Number) },
        { rel_path: 'index', size_bytes: expect.any(Number) },
        { rel_path: 'meta.json' },
      ],
    });
    expect(readBlockMeta(join(local, names[0]!)).thanos).toBeUndefined();
    const again = await run(['upload', 't', join(local, names[0]!), local]);
    expect([again.code, again.out]).toEqual([
      0,
      expect.stringContaining('0 blocks uploaded (0 B), 2 there already'),
    ]);
    // Interrupted before meta.json: it is gone on with.
    rmSync(join(bucketFolder, 't', names[1]!, 'meta.json'));
    expect((await run(['upload', 't', local])).out).toContain('1 block uploaded');
    expect((await run(['verify'])).code).toBe(0);
  });

  test('keeps a section that is there', async () => {
    const directory = join(local, writeLocal('m'));
    const meta = readBlockMeta(directory);
    const thanos = { labels: { x: 'y' }, downsample: { resolution: 0 }, source: 'sidecar', extra: 1 };
    writeBlockMeta(directory, { ...meta, thanos });
    const found = await run(['upload', 't', directory, '--label=a=b']);
    expect([found.code, found.err]).toEqual([0, expect.stringContaining('keeps the external labels')]);
    expect(readBlockMeta(join(bucketFolder, 't', meta.ulid)).thanos).toMatchObject(thanos);
  });

  test('refuses damaged blocks and goes on with the others', async () => {
    const names = [writeLocal('m'), writeLocal('n')].sort();
    flipByte(join(local, names[0]!, 'chunks/000001'), 40);
    const found = await run(['upload', 't', local]);
    expect([found.code, found.out]).toEqual([1, expect.stringContaining('1 block uploaded')]);
    expect(found.out).toMatch(/chunks\/000001 offset \d+: /);
    expect(readdirSync(join(bucketFolder, 't'))).toEqual([names[1]]);
  });

  test.each([
    ['too long', (directory: string) => change(directory, { maxTime: T + 86_400_001 }), 'spans 1d', true],
    [
      'with deleted samples',
      (directory: string) =>
        writeTombstones(directory, new Map([[firstRef(directory), [{ minTime: T, maxTime: T }]]])),
      'tombstones',
      true,
    ],
    [
      'of another name',
      (directory: string) => change(directory, { ulid: '01M7YEQ6GFKXAT4GS3X8BJV064' }),
      'is of block',
      false,
    ],
    [
      'without samples',
      (directory: string) => change(directory, { stats: {} }),
      'meta.json says numSeries 0',
      false,
    ],
  ])('refuses a block %s', async (_, spoil, text, canBeForced) => {
    const directory = join(local, writeLocal('m'));
    spoil(directory);
    const found = await run(['upload', 't', directory]);
    expect([found.code, found.out]).toEqual([1, expect.stringContaining(text)]);
    expect((await run(['upload', 't', directory, '--force'])).code).toBe(canBeForced ? 0 : 1);
  });

  test('refuses a name that is there with other content, or being deleted', async () => {
    const ulid = writeLocal('m');
    await run(['upload', 't', local]);
    rmSync(local, { recursive: true });
    mkdirSync(local);
    const other = join(local, writeLocal('x'));
    change(other, { ulid });
    cpSync(other, join(local, ulid), { recursive: true });
    const found = await run(['upload', 't', join(local, ulid), '--force']);
    expect([found.code, found.out]).toEqual([
      1,
      expect.stringContaining('with other content: index differs'),
    ]);
    const mark = { ulid, timeSeconds: 1, details: '', reason: '' };
    await writeMark(new FolderBucket(bucketFolder), 't', 'deletion', mark);
    expect((await run(['upload', 't', join(local, ulid)])).out).toContain(
      'is to delete a block of that name',
    );
  });
});

describe('looking', () => {
  test('lists tenants and blocks, with marks and partial blocks', async () => {
    const ulid = writeLocal('m');
    await run(['upload', 't', local]);
    const bucket = new FolderBucket(bucketFolder);
    await writeMark(bucket, 't', 'no-compact', { ulid, timeSeconds: 1, details: '', reason: 'manual' });
    await bucket.put('t/01M7YEQ6GFKXAT4GS3X8BJV064/index', Buffer.from('x'));
    const tenants = (await run(['ls'])).out.split('\n').map((line) => line.split(/\s{2,}/));
    expect(tenants[0]).toEqual(['TENANT', 'BLOCKS', 'PARTIAL', 'MARKED', 'FROM', 'UNTIL', 'SIZE']);
    expect(tenants[1]!.slice(0, 4)).toEqual(['t', '1', '1', '0']);
    const blocks = (await run(['ls', 't'])).out.split('\n').map((line) => line.split(/\s{2,}/));
    expect(blocks[1]!.slice(0, 8)).toEqual([
      ...[ulid, '2023-11-14T22:13:20Z', '2023-11-14T23:13:20Z', '1h', 'raw', '1', '2', '120'],
    ]);
    expect(blocks[1]!.at(-1)).toBe('no-compact');
    expect(blocks[2]!.at(-1)).toBe('partial');
    const json = JSON.parse((await run(['ls', 't', '--json'])).out) as {
      blocks: unknown[];
      partials: string[];
    };
    expect(json.blocks).toMatchObject([{ ulid, series: 2, samples: 120, marks: ['no-compact'] }]);
    expect(json.partials).toEqual(['01M7YEQ6GFKXAT4GS3X8BJV064']);
    expect(JSON.parse((await run(['ls', '--json'])).out)).toMatchObject({
      tenants: [{ tenant: 't', blocks: 1 }],
    });
  });

  test('adds up blocks, their overlap, and what is marked', async () => {
    const names = [writeLocal('m'), writeLocal('n'), writeLocal('o', 100)];
    await run(['upload', 't', local]);
    const mark = { ulid: names[2]!, timeSeconds: 1, details: '', reason: '' };
    await writeMark(new FolderBucket(bucketFolder), 't', 'deletion', mark);
    const rows = JSON.parse((await run(['stats', '--json'])).out) as unknown[];
    expect(rows).toMatchObject([
      {
        ...{ tenant: 't', resolutionMs: 0, blocks: 2, seriesMax: 2, samples: 240, minTime: T },
        ...{ coveredMs: 3_600_000, overlapMs: 3_600_000, markedBlocks: 1 },
      },
    ]);
    expect((await run(['stats', 't'])).out).toMatch(/^TENANT {2}RES {2}BLOCKS.*\nt {7}raw {7}2 /);
  });

  test('takes a block apart', async () => {
    const ulid = writeLocal('m');
    await run(['upload', 't', local]);
    const { code, out } = await run(['inspect', `t/${ulid}`]);
    expect(code).toBe(0);
    for (const text of ['"source": "varve"', 'chunks/000001', 'chunks per series  least 15, median 15']) {
      expect(out).toContain(text);
    }
    expect(out).toMatch(/\nxor +30 /);
    expect(out).toMatch(/\njob +2 +2\n/);
    flipByte(join(bucketFolder, 't', ulid, 'chunks/000001'), 40);
    const damaged = await run(['inspect', `t/${ulid}`]);
    expect([damaged.code, damaged.out]).toEqual([
      1,
      expect.stringContaining(`t/${ulid}/chunks/000001 offset `),
    ]);
  });

  test('changes nothing: a mark without copy stays without', async () => {
    const ulid = writeLocal('m');
    await run(['upload', 't', local]);
    const bucket = new FolderBucket(bucketFolder);
    await writeMark(bucket, 't', 'no-compact', { ulid, timeSeconds: 1, details: '', reason: 'manual' });
    await bucket.delete(markCopyName('t', ulid, 'no-compact'));
    const before = (await bucket.list('')).objects;
    for (const words of [['ls'], ['ls', 't'], ['stats'], ['verify'], ['inspect', `t/${ulid}`]])
      await run(words);
    expect((await bucket.list('')).objects).toEqual(before);
  });
});

describe('verify', () => {
  const CASES: readonly (readonly [string, (directory: string) => void | Promise<void>, RegExp])[] = [
    [
      'a byte of a chunk',
      (directory) => flipByte(join(directory, 'chunks/000001'), 40),
      /^t\/U\/chunks\/000001 offset \d+: .*\[crc-mismatch\]$/m,
    ],
    [
      'a byte of the index',
      (directory) => flipByte(join(directory, 'index'), 20),
      /^t\/U\/index offset \d+: .*\[/m,
    ],
    [
      'a shorter file',
      (directory) => truncate(join(directory, 'index'), 100),
      /^t\/U\/index: has 100 bytes, meta\.json says \d+$/m,
    ],
    ['a missing index', (directory) => rmSync(join(directory, 'index')), /^t\/U\/index: missing$/m],
    [
      'missing chunks',
      (directory) => rmSync(join(directory, 'chunks/000001')),
      /^t\/U\/chunks\/000001: missing$/m,
    ],
    [
      'a file more',
      (directory) => cpSync(join(directory, 'chunks/000001'), join(directory, 'chunks/000002')),
      /^t\/U\/chunks\/000002: is not listed in meta\.json$/m,
    ],
    [
      'wrong counts',
      (directory) => change(directory, { stats: { numSamples: 7, numSeries: 2, numChunks: 30 } }),
      /^t\/U: meta.json says numSamples 7, the block has 120 \[block-stats\]$/m,
    ],
    [
      'a meta.json of another block',
      (directory) => change(directory, { ulid: '01M7YEQ6GFKXAT4GS3X8BJV064' }),
      /^t\/U\/meta\.json: is of block 01M7YEQ6GFKXAT4GS3X8BJV064$/m,
    ],
    [
      'a meta.json that is none',
      (directory) => writeFileSync(join(directory, 'meta.json'), '{"version": 2}'),
      /^t\/U\/meta\.json: version is 2, not 1 \[block-meta\]$/m,
    ],
  ];

  test.each(CASES)('finds %s', async (_, spoil, expected) => {
    const names = [writeLocal('m'), writeLocal('n')];
    await run(['upload', 't', local]);
    expect((await run(['verify'])).code).toBe(0);
    await spoil(join(bucketFolder, 't', names[0]!));
    for (const words of [['verify'], ['verify', 't'], ['verify', `t/${names[0]!}`]]) {
      const { code, out } = await run(words);
      expect([code, out.replaceAll(names[0]!, 'U')]).toEqual([1, expect.stringMatching(expected)]);
    }
    expect((await run(['verify', `t/${names[1]!}`])).code).toBe(0);
    const none = await run(['verify', 't/01M7YEQ6GFKXAT4GS3X8BJV064']);
    expect([none.code, none.out]).toEqual([1, expect.stringContaining('there is no such block')]);
  });

  test('compares bucket index, marks and blocks', async () => {
    const [a, b] = [writeLocal('m'), writeLocal('n')];
    await run(['upload', 't', local]);
    const bucket = new FolderBucket(bucketFolder);
    const { index } = await listTenant(bucket, 't', null, Date.now() + 1000);
    await writeBucketIndex(bucket, 't', index);
    expect((await run(['verify'])).out).toBe(
      `2 blocks of 1 tenant checked, 240 samples, ${sizeOf(a, b)}: no problems`,
    );
    const longer = index.blocks.map((block) => ({ ...block, maxTime: block.maxTime + 1 }));
    await writeBucketIndex(bucket, 't', { ...index, blocks: longer.filter(({ ulid }) => ulid === a) });
    rmSync(join(bucketFolder, 't', b, 'meta.json'));
    await bucket.put(markCopyName('t', '01M7YEQ6GFKXAT4GS3X8BJV064', 'deletion'), Buffer.from('{}'));
    await bucket.put(`t/${a}/no-compact-mark.json`, Buffer.from('{'));
    const { code, out } = await run(['verify']);
    expect(code).toBe(1);
    expect(out).toMatch(
      new RegExp(`^note: t/${b}/: partial block, maybe an upload in progress: no meta.json, 2 other`, 'm'),
    );
    expect(out).toContain(
      't/markers/01M7YEQ6GFKXAT4GS3X8BJV064-deletion-mark.json: mark of a block that is not there',
    );
    expect(out).toContain(
      `t/markers/${a}-no-compact-mark.json: the mark in the folder of the block has no copy here`,
    );
    expect(out).toContain(`t/${a}/no-compact-mark.json: is not JSON [block-mark]`);
    expect(out).toContain(`t/bucket-index.json.gz: says maxTime ${T + 3_600_001} of block ${a}`);
    await writeBucketIndex(bucket, 't', { ...index, updatedAt: 1 });
    const stale = await run(['verify']);
    expect(stale.out).toContain(`t/bucket-index.json.gz: lists block ${b}, which is not there`);
    expect(stale.out).toContain('too long for readers: is a compactor running?');
    await bucket.put('t/bucket-index.json.gz', Buffer.from('x'));
    expect((await run(['verify'])).out).toMatch(/^t\/bucket-index\.json\.gz: .*\[bucket-index\]$/m);
  });
});

describe('copy and download', () => {
  test('bring blocks over whole, go on where they stopped, and keep marks', async () => {
    const names = [writeLocal('m'), writeLocal('n'), writeLocal('o')];
    await run(['upload', 't', local]);
    const bucket = new FolderBucket(bucketFolder);
    const mark = (ulid: string) => ({ ulid, timeSeconds: 1, details: '', reason: 'manual' });
    await writeMark(bucket, 't', 'no-compact', mark(names[0]!));
    await writeMark(bucket, 't', 'deletion', mark(names[2]!));
    const to = join(root, 'to');
    const first = await run(['copy', 't', `--to=file:${to}`, '--to-tenant', 'u']);
    expect([first.code, first.out]).toEqual([0, expect.stringContaining('2 blocks copied')]);
    expect(first.err).toContain('1 block marked for deletion left out');
    const target = new FolderBucket(to);
    for (const path of ['meta.json', 'index', 'chunks/000001', 'no-compact-mark.json']) {
      expect(await target.get(`u/${names[0]!}/${path}`)).toEqual(await bucket.get(`t/${names[0]!}/${path}`));
    }
    await target.delete(`u/${names[0]!}/meta.json`);
    await target.delete(`u/${names[1]!}/index`);
    expect((await run(['copy', 't', `--to=file:${to}`, '--to-tenant=u'])).out).toContain('2 blocks copied');
    expect((await run(['copy', 't', `--to=file:${to}`, '--to-tenant=u'])).out).toContain('2 there already');
    await target.put(`u/${names[1]!}/meta.json`, Buffer.from('{}'));
    const differing = await run(['copy', 't', `--to=file:${to}`, '--to-tenant=u']);
    expect([differing.code, differing.out]).toEqual([1, expect.stringContaining('with other content')]);
    expect((await run(['copy', `--to=file:${bucketFolder}`])).code).toBe(2);
  });

  test('turn the flat layout into folders of tenants and back', async () => {
    const ulid = writeLocal('m');
    await run(['upload', 't', local, '--bucket-flat-tenant=t']);
    expect(existsSync(join(bucketFolder, ulid, 'meta.json'))).toBe(true);
    const to = join(root, 'to');
    await run(['copy', '--bucket-flat-tenant=t', `--to=file:${to}`]);
    expect(existsSync(join(to, 't', ulid, 'meta.json'))).toBe(true);
    const back = await run(['copy', `--to=file:${to}2`, '--to-bucket-flat-tenant=t'], {}, `file:${to}`);
    expect([back.code, existsSync(join(`${to}2`, ulid, 'meta.json'))]).toEqual([0, true]);
    expect((await run(['verify', '--bucket-flat-tenant=t'], {}, `file:${to}2`)).code).toBe(0);
  });

  test('work with S3, with a key for the target alone', async () => {
    const ulid = writeLocal('m');
    await run(['upload', 't', local]);
    const server = await startS3rver();
    const { accessKeyId, secretAccessKey } = server.credentials;
    const saved = { ...process.env };
    try {
      const url = `s3://${server.bucket}/pre/fix`;
      const flags = [`--to=${url}`, `--to-s3-endpoint=${server.endpoint}`];
      const key = { TO_AWS_ACCESS_KEY_ID: accessKeyId, TO_AWS_SECRET_ACCESS_KEY: secretAccessKey };
      const copied = await run(['copy', ...flags], key);
      expect([copied.code, copied.err]).toEqual([0, expect.stringContaining('with credentials of its own')]);
      expect((await run(['copy', ...flags], { TO_AWS_ACCESS_KEY_ID: 'x' })).code).toBe(2);
      Object.assign(process.env, { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey });
      const endpoint = { VARVE_S3_ENDPOINT: server.endpoint };
      // The tenant is named: this server does not list folders that have only folders.
      const verified = await run(['verify', 't', `--temp-dir=${root}`], endpoint, url);
      expect([verified.code, verified.out]).toEqual([
        0,
        expect.stringContaining('1 block of 1 tenant checked, 120 samples'),
      ]);
      expect(readdirSync(root).sort()).toEqual(['bucket', 'local']);
      const target = join(root, 'down');
      expect((await run(['download', `t/${ulid}`, target], endpoint, url)).code).toBe(0);
      expect(readdirSync(target).sort()).toEqual([ulid, 'wal']);
      expect(verifyBlock(join(target, ulid)).sampleCount).toBe(120);
      expect((await run(['download', `t/${ulid}`, target], endpoint, url)).code).toBe(1);
    } finally {
      process.env = saved;
      await server.stop();
    }
  });
});

function flipByte(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset]! ^= 1;
  writeFileSync(path, bytes);
}

function truncate(path: string, byteCount: number): void {
  writeFileSync(path, readFileSync(path).subarray(0, byteCount));
}

function change(directory: string, fields: Readonly<Record<string, unknown>>): void {
  writeBlockMeta(directory, { ...readBlockMeta(directory), ...fields });
}

/** The ref of the first series: the series section begins behind the symbols, at a multiple of 16. */
function firstRef(directory: string): number {
  const index = readFileSync(join(directory, 'index'));
  return Math.ceil(Number(index.readBigUInt64BE(index.length - 44)) / 16);
}

function sizeOf(...names: string[]): string {
  const files = names.flatMap((name) =>
    ['meta.json', 'index', 'chunks/000001'].map((file) => join(bucketFolder, 't', name, file)),
  );
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
  return `${(bytes / 1024).toFixed(2)} KiB`;
}
