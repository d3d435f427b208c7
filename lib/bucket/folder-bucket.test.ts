import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { FolderBucket } from './folder-bucket.js';
import { describeBucketContract } from './testing/contract.js';

describeBucketContract('FolderBucket', async () => {
  const root = await mkdtemp(join(tmpdir(), 'varve-bucket-'));
  return { bucket: new FolderBucket(join(root, 'bucket')), remove: () => rm(root, { recursive: true }) };
});

describe('FolderBucket', () => {
  test('hides uploads in progress and refuses names among them', async () => {
    const root = await mkdtemp(join(tmpdir(), 'varve-bucket-'));
    try {
      const bucket = new FolderBucket(root);
      await mkdir(join(root, '.uploads'));
      await writeFile(join(root, '.uploads/half'), 'x');
      expect(await bucket.list('')).toEqual({ objects: [], prefixes: [] });
      await expect(bucket.get('.uploads/half')).rejects.toMatchObject({ code: 'object-name' });
      await bucket.put('a', Buffer.from('1'));
      expect(await readdir(join(root, '.uploads'))).toEqual(['half']);
    } finally {
      await rm(root, { recursive: true });
    }
  });
});
