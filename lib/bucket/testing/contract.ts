import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Bucket } from '../bucket.js';

/** What the contract suite needs to test one kind of bucket: an empty one per test. */
export interface BucketFixture {
  readonly bucket: Bucket;
  remove(): Promise<void>;
}

/**
 * Declares the tests that every Bucket must pass. Call it from a test file of the provider.
 * @param isExclusive whether the store knows conditional writes
 */
export function describeBucketContract(
  provider: string,
  create: () => Promise<BucketFixture>,
  isExclusive = true,
): void {
  describe(`${provider} keeps the bucket contract`, () => {
    let fixture: BucketFixture;
    let bucket: Bucket;

    beforeEach(async () => {
      fixture = await create();
      bucket = fixture.bucket;
    });
    afterEach(() => fixture.remove());

    test('returns what was stored, whole and in ranges', async () => {
      await bucket.put('a/b', bytes('hello world'));
      expect(text(await bucket.get('a/b'))).toBe('hello world');
      expect(text(await bucket.getRange('a/b', 6, 5))).toBe('world');
      expect(text(await bucket.getRange('a/b', 6, 500))).toBe('world');
      expect(text(await bucket.getRange('a/b', 0, 1))).toBe('h');
    });

    test('stores empty objects', async () => {
      await bucket.put('empty', bytes(''));
      expect((await bucket.get('empty')).length).toBe(0);
      expect((await bucket.stat('empty'))?.byteCount).toBe(0);
    });

    test('stores files and streams', async () => {
      const content = Buffer.alloc(2_500_000, 'varve');
      const folder = await mkdtemp(join(tmpdir(), 'varve-bucket-source-'));
      try {
        await writeFile(join(folder, 'file'), content);
        await bucket.put('from/file', { path: join(folder, 'file') });
      } finally {
        await rm(folder, { recursive: true });
      }
      await bucket.put('from/stream', Readable.from([content.subarray(0, 1000), content.subarray(1000)]));
      expect(digest(await bucket.get('from/file'))).toBe(digest(content));
      expect(digest(await bucket.get('from/stream'))).toBe(digest(content));
    });

    test('replaces objects whole', async () => {
      await bucket.put('x', bytes('a longer first version'));
      await bucket.put('x', bytes('short'));
      expect(text(await bucket.get('x'))).toBe('short');
    });

    test('keeps the old object when a stream fails, and leaves nothing of the new one', async () => {
      await bucket.put('x', bytes('old'));
      const failing = Readable.from(
        (function* () {
          yield Buffer.from('new');
          throw new Error('source broke');
        })(),
      );
      await expect(bucket.put('x', failing)).rejects.toThrow('source broke');
      expect(text(await bucket.get('x'))).toBe('old');
      expect(await bucket.list('')).toEqual({ objects: ['x'], prefixes: [] });
    });

    test('stores only where nothing is when asked to, and lets one of many win', async () => {
      expect(await bucket.putIfAbsent('lease', bytes('one'))).toBe(true);
      expect(await bucket.putIfAbsent('lease', bytes('two'))).toBe(false);
      expect(text(await bucket.get('lease'))).toBe('one');
      await bucket.delete('lease');
      if (!isExclusive) return;
      const won = await Promise.all(
        Array.from({ length: 10 }, (_, i) => bucket.putIfAbsent('dir/lease', bytes(String(i)))),
      );
      expect(won.filter((each) => each).length).toBe(1);
      expect(text(await bucket.get('dir/lease'))).toBe(String(won.indexOf(true)));
    });

    test('removes no upload that may still go on', async () => {
      await bucket.put('x', bytes('1'));
      expect(await bucket.removeAbandonedUploads(Date.now() - 3_600_000)).toBe(0);
      expect(text(await bucket.get('x'))).toBe('1');
    });

    test('tells size and time', async () => {
      await bucket.put('x', bytes('12345'));
      const found = await bucket.stat('x');
      expect(found?.byteCount).toBe(5);
      expect(Math.abs((found?.modifiedMs ?? 0) - Date.now())).toBeLessThan(60_000);
      expect(await bucket.stat('y')).toBeNull();
      expect(await bucket.stat('x/y')).toBeNull();
    });

    test('says that an object is not there', async () => {
      await bucket.put('dir/x', bytes('1'));
      for (const name of ['y', 'dir', 'dir/x/z']) {
        await expect(bucket.get(name)).rejects.toMatchObject({ code: 'object-not-found', kind: 'client' });
        await expect(bucket.getRange(name, 0, 1)).rejects.toMatchObject({ code: 'object-not-found' });
      }
    });

    test('refuses ranges behind the end', async () => {
      await bucket.put('x', bytes('123'));
      await expect(bucket.getRange('x', 3, 1)).rejects.toMatchObject({ code: 'object-range' });
      await expect(bucket.getRange('x', 4, 1)).rejects.toMatchObject({ code: 'object-range' });
    });

    test('lists by prefix, all levels or one', async () => {
      for (const name of ['t1/B1/index', 't1/B1/chunks/000001', 't1/B2/index', 't1/b.json', 't2/x', 'top']) {
        await bucket.put(name, bytes(name));
      }
      expect((await bucket.list('')).objects).toEqual([
        't1/B1/chunks/000001',
        't1/B1/index',
        't1/B2/index',
        't1/b.json',
        't2/x',
        'top',
      ]);
      expect(await bucket.list('', '/')).toEqual({ objects: ['top'], prefixes: ['t1/', 't2/'] });
      expect(await bucket.list('t1/', '/')).toEqual({
        objects: ['t1/b.json'],
        prefixes: ['t1/B1/', 't1/B2/'],
      });
      expect(await bucket.list('t1/B', '/')).toEqual({ objects: [], prefixes: ['t1/B1/', 't1/B2/'] });
      expect(await bucket.list('t', '/')).toEqual({ objects: ['top'], prefixes: ['t1/', 't2/'] });
      expect((await bucket.list('t1/B1')).objects).toEqual(['t1/B1/chunks/000001', 't1/B1/index']);
      expect(await bucket.list('none/', '/')).toEqual({ objects: [], prefixes: [] });
    });

    test('deletes, and does not mind when there is nothing to delete', async () => {
      await bucket.put('a/b/c', bytes('1'));
      await bucket.put('a/d', bytes('2'));
      await bucket.delete('a/b/c');
      await bucket.delete('a/b/c');
      await bucket.delete('never/was');
      expect(await bucket.list('a/', '/')).toEqual({ objects: ['a/d'], prefixes: [] });
      await bucket.delete('a/d');
      expect(await bucket.list('', '/')).toEqual({ objects: [], prefixes: [] });
    });

    test('serves writers of the same directory at the same time', async () => {
      const names = Array.from({ length: 20 }, (_, i) => `dir/sub/${i}`);
      await Promise.all(names.map((name) => bucket.put(name, bytes(name))));
      await Promise.all(
        names.map((name, i) => (i % 2 === 0 ? bucket.delete(name) : bucket.put(name, bytes('2')))),
      );
      expect((await bucket.list('dir/')).objects.length).toBe(10);
    });

    test.each([
      '',
      '/',
      '/abs',
      'a//b',
      'a/',
      '.',
      '..',
      '../x',
      'a/../../x',
      'a/./b',
      'a\\b',
      'a\0b',
      'a\nb',
      'x'.repeat(1025),
    ])('refuses the name %j', async (name) => {
      await expect(bucket.put(name, bytes('x'))).rejects.toMatchObject({
        code: 'object-name',
        kind: 'client',
      });
      await expect(bucket.get(name)).rejects.toMatchObject({ code: 'object-name' });
      await expect(bucket.delete(name)).rejects.toMatchObject({ code: 'object-name' });
      await expect(bucket.stat(name)).rejects.toMatchObject({ code: 'object-name' });
    });

    test.each(['../', '/', 'a/../', '..'])('refuses the prefix %j', async (prefix) => {
      await expect(bucket.list(prefix)).rejects.toMatchObject({ code: 'object-name' });
    });
  });
}

function bytes(content: string): Uint8Array {
  return Buffer.from(content, 'utf8');
}

function text(content: Uint8Array): string {
  return Buffer.from(content).toString('utf8');
}

function digest(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
