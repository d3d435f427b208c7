import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { SeededPrng } from '../prng/index.js';
import type { ObjectList } from './bucket.js';
import { FlatBucket } from './flat-bucket.js';
import { FolderBucket } from './folder-bucket.js';
import { bucketFolder, openBucket } from './open-bucket.js';
import { describeBucketContract } from './testing/contract.js';

const A = '01M7YEQ6GFKXAT4GS3X8BJV064';
const B = '01M7YEQ6HZTKZ2XDDQJ5PK1F3T';

describeBucketContract('FlatBucket', async () => {
  const root = await mkdtemp(join(tmpdir(), 'varve-flat-'));
  return {
    bucket: new FlatBucket(new FolderBucket(join(root, 'bucket')), 't1'),
    remove: () => rm(root, { recursive: true }),
  };
});

describe('FlatBucket', () => {
  let root = '';
  let inside: FolderBucket;
  let bucket: FlatBucket;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'varve-flat-'));
    inside = new FolderBucket(root);
    bucket = new FlatBucket(inside, 'team');
  });
  afterEach(() => rm(root, { recursive: true }));

  async function store(...names: string[]): Promise<void> {
    for (const name of names) await inside.put(name, Buffer.from(name));
  }

  test('reads, writes and deletes blocks at the root, and everything else where it is', async () => {
    await bucket.put(`team/${A}/meta.json`, Buffer.from('meta'));
    await bucket.put(`team/${A}/chunks/000001`, Buffer.from('chunks'));
    await bucket.put('team/bucket-index.json.gz', Buffer.from('index'));
    expect(await bucket.putIfAbsent(`team/${A}/meta.json`, Buffer.from('again'))).toBe(false);
    await bucket.put(`other/${B}/meta.json`, Buffer.from('other'));
    expect((await inside.list('')).objects).toEqual([
      `${A}/chunks/000001`,
      `${A}/meta.json`,
      `other/${B}/meta.json`,
      'team/bucket-index.json.gz',
    ]);
    expect(Buffer.from(await bucket.get(`team/${A}/meta.json`)).toString()).toBe('meta');
    expect(Buffer.from(await bucket.getRange(`team/${A}/chunks/000001`, 2, 3)).toString()).toBe('unk');
    expect((await bucket.stat(`team/${A}/meta.json`))?.byteCount).toBe(4);
    await bucket.delete(`team/${A}/meta.json`);
    expect(await bucket.stat(`team/${A}/meta.json`)).toBeNull();
    expect(await inside.stat(`${A}/meta.json`)).toBeNull();
  });

  test.each([`${A}/meta.json`, `${A}/chunks/000001`])('refuses the name %s', async (name) => {
    await store(name);
    for (const tried of [bucket.get(name), bucket.stat(name), bucket.put(name, Buffer.from('x'))]) {
      await expect(tried).rejects.toMatchObject({ code: 'object-name', kind: 'client' });
    }
  });

  test('objects named like a block or with more than a ULID are no blocks', async () => {
    await bucket.put(`team/${A}`, Buffer.from('x'));
    await bucket.put(`team/${B}0/x`, Buffer.from('x'));
    await bucket.put(`team/${B.toLowerCase()}/x`, Buffer.from('x'));
    await bucket.put(B, Buffer.from('x'));
    const { objects } = await inside.list('');
    expect(objects).toEqual([B, `team/${A}`, `team/${B}0/x`, `team/${B.toLowerCase()}/x`]);
    expect((await bucket.list('')).objects).toEqual(objects);
  });

  describe('lists', () => {
    beforeEach(() =>
      store(
        ...[
          `${A}/meta.json`,
          `${A}/chunks/000001`,
          `${B}/meta.json`,
          'debug/metas/x.json',
          'top',
          'team/m.json',
        ],
        ...[`team/markers/${A}-deletion-mark.json`, 'tea/x', 'zoo/x', `zoo/${A}/meta.json`, '00/x'],
      ),
    );

    test.each([
      ['', ['top'], ['00/', 'debug/', 'tea/', 'team/', 'zoo/']],
      ['t', ['top'], ['tea/', 'team/']],
      ['team', [], ['team/']],
      ['team/', ['team/m.json'], [`team/${A}/`, `team/${B}/`, 'team/markers/']],
      ['team/01M', [], [`team/${A}/`, `team/${B}/`]],
      [`team/${A}`, [], [`team/${A}/`]],
      [`team/${A}/`, [`team/${A}/meta.json`], [`team/${A}/chunks/`]],
      [`team/${A}/chunks/`, [`team/${A}/chunks/000001`], []],
      ['team/m', ['team/m.json'], ['team/markers/']],
      ['zoo/', ['zoo/x'], [`zoo/${A}/`]],
      ['0', [], ['00/']],
      [A, [], []],
      [`${A}/`, [], []],
    ])('one level of %j', async (prefix, objects, prefixes) => {
      expect(await bucket.list(prefix, '/')).toEqual({ objects, prefixes });
    });

    test.each([
      ['', 11],
      ['te', 6],
      ['team/', 5],
      ['team/01M7YEQ6G', 2],
      [`team/${A}/c`, 1],
      ['zoo', 2],
      ['01', 0],
    ])('all below %j', async (prefix, count) => {
      const { objects, prefixes } = await bucket.list(prefix);
      expect(objects).toHaveLength(count);
      expect(prefixes).toEqual([]);
      expect(objects).toEqual([...objects].sort());
      expect(objects.every((name) => name.startsWith(prefix))).toBe(true);
    });

    test('blocks below the folder of the tenant are not seen', async () => {
      await store(`team/${B}/inner`);
      expect((await bucket.list('')).objects).toHaveLength(11);
      expect((await bucket.list(`team/${B}/`)).objects).toEqual([`team/${B}/meta.json`]);
      for (const name of (await inside.list('')).objects)
        if (!name.startsWith('team/0')) await inside.delete(name);
      expect(await bucket.list('', '/')).toEqual({ objects: [], prefixes: [] });
    });
  });

  test('lists what a bucket with the same objects in folders of tenants would', async () => {
    const random = new SeededPrng(7);
    const pick = <Item>(items: readonly Item[]): Item => items[random.nextInt(items.length)]!;
    const tops = ['team', 'tea', 'teams', 'x', '01', '0'];
    const seconds = [A, B, A.slice(0, 9), 'markers', '0', 'z'];
    const plainRoot = await mkdtemp(join(tmpdir(), 'varve-plain-'));
    try {
      const plain = new FolderBucket(plainRoot);
      for (let i = 0; i < 60; i++) {
        const name = [pick(tops), pick(seconds), pick(['a', 'b/c', 'b/d'])].join('/');
        await plain.put(name, Buffer.from('x'));
        await bucket.put(name, Buffer.from('x'));
      }
      const { objects } = await plain.list('');
      const prefixes = new Set(objects.flatMap((name) => [...name].map((_, i) => name.slice(0, i))));
      for (const prefix of prefixes) {
        const both = async (list: (delimiter?: '/') => Promise<ObjectList>): Promise<ObjectList[]> => [
          await list(),
          await list('/'),
        ];
        expect(await both((delimiter) => bucket.list(prefix, delimiter))).toEqual(
          await both((delimiter) => plain.list(prefix, delimiter)),
        );
      }
    } finally {
      await rm(plainRoot, { recursive: true });
    }
  });

  test('is opened where a setting names its tenant', async () => {
    await store(`${A}/meta.json`);
    const s3 = {
      endpoint: '',
      region: '',
      pathStyle: 'auto',
      checksums: 'when-required',
      encryption: 'none',
      kmsKeyId: '',
      partBytes: 0,
      maxConnections: 1,
      requestTimeoutMs: 1,
      deadlineMs: 1,
    } as const;
    const url = { kind: 'folder', folder: root } as const;
    const listed = async (flatTenant: string): Promise<readonly string[]> =>
      (await (await openBucket({ url, s3, flatTenant })).list('')).objects;
    expect(await listed('')).toEqual([`${A}/meta.json`]);
    expect(await listed('team')).toEqual([`team/${A}/meta.json`]);
    expect(bucketFolder({ url, s3, flatTenant: '' })).toBe(root);
    expect(bucketFolder({ url, s3, flatTenant: 'team' })).toBeNull();
  });
});
