import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { DataLock } from './data-lock.js';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('DataLock', () => {
  test('a folder can be taken once, and again after its release', async () => {
    const lock = await DataLock.take(folder);
    await expect(DataLock.take(folder)).rejects.toMatchObject({
      code: 'data-dir-locked',
      message: expect.stringContaining('--data-dir'),
    });
    await lock.release();
    await (await DataLock.take(folder)).release();
  });

  test('what a killed process left behind is no lock', async () => {
    writeFileSync(join(folder, 'varve.lock'), '');
    await (await DataLock.take(folder)).release();
  });

  test('a folder with a path too long for a socket can be taken', async () => {
    const deep = join(folder, 'x'.repeat(120));
    const lock = await DataLock.take(deep);
    await expect(DataLock.take(deep)).rejects.toMatchObject({ code: 'data-dir-locked' });
    await lock.release();
  });
});
