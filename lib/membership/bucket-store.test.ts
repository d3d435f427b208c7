import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { FolderBucket } from '../bucket/index.js';
import { isValidTenant } from '../tenant/index.js';
import { BucketStore, type MemberRecord } from './index.js';

const RECORD: MemberRecord = {
  id: 'a',
  cluster: 'varve',
  address: '10.0.0.1:9095',
  zone: '',
  roles: ['compactor'],
  state: 'ACTIVE',
  registeredMs: 1,
  stateMs: 2,
  token: 't',
  host: 'h',
};

describe('BucketStore', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'varve-bucket-store-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const home = () => join(folder, '__varve_cluster/members');

  test('stands where no tenant can', async () => {
    await new BucketStore(new FolderBucket(folder)).exchange(RECORD);
    expect(readdirSync(folder).filter((name) => !name.startsWith('.'))).toEqual(['__varve_cluster']);
    expect(isValidTenant('__varve_cluster')).toBe(false);
    expect(readdirSync(home())).toEqual(['a.json']);
  });

  test.each([
    ['no JSON', '{'],
    ['no object', '7'],
    ['null', 'null'],
    ['no roles', JSON.stringify({ ...RECORD, id: 'b', roles: 'all' })],
    ['a role that is no text', JSON.stringify({ ...RECORD, id: 'b', roles: [1] })],
    ['an unknown state', JSON.stringify({ ...RECORD, id: 'b', state: 'DANCING' })],
    ['no time', JSON.stringify({ ...RECORD, id: 'b', stateMs: 'now' })],
    ['a name that is not its own', JSON.stringify(RECORD)],
  ])('passes over what is no record: %s', async (_name, text) => {
    mkdirSync(home(), { recursive: true });
    writeFileSync(join(home(), 'b.json'), text);
    const store = new BucketStore(new FolderBucket(folder));
    expect(await store.exchange(RECORD)).toEqual([{ record: RECORD, ageMs: 0 }]);
    expect(await store.read('b')).toBeNull();
    expect(await store.list()).toEqual([RECORD]);
  });

  test('fields of later versions do no harm', async () => {
    mkdirSync(home(), { recursive: true });
    writeFileSync(join(home(), 'a.json'), JSON.stringify({ ...RECORD, shoeSize: 42 }));
    expect(await new BucketStore(new FolderBucket(folder)).read('a')).toEqual(RECORD);
  });
});
