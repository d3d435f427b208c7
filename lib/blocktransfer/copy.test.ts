import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Bucket, FolderBucket } from '../bucket/index.js';
import { type BlockFile, copyBlock, listBlockFiles } from './index.js';

const ULID = '01M7YEQ6GFKXAT4GS3X8BJV064';
const CHUNKS_BYTES = 20 * 1024 * 1024 + 7;

let root = '';
let source: FolderBucket;
let target: FolderBucket;
let files: BlockFile[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'varve-copy-'));
  source = new FolderBucket(join(root, 'source'));
  target = new FolderBucket(join(root, 'target'));
  const chunks = Buffer.alloc(CHUNKS_BYTES);
  for (let i = 0; i < CHUNKS_BYTES; i += 997) chunks[i] = i % 251;
  await source.put(`a/${ULID}/chunks/000001`, chunks);
  await source.put(`a/${ULID}/index`, Buffer.from('index'));
  await source.put(`a/${ULID}/meta.json`, Buffer.from('{}'));
  await source.put(`a/${ULID}/deletion-mark.json`, Buffer.from('{}'));
  files = await listBlockFiles(source, 'a', ULID);
});
afterEach(() => rm(root, { recursive: true }));

async function copy(from: Bucket = source, signal = new AbortController().signal): Promise<[string, number]> {
  let bytes = 0;
  const result = await copyBlock(
    { bucket: from, tenant: 'a', ulid: ULID },
    files,
    { bucket: target, tenant: 'b', ulid: ULID },
    signal,
    (count) => {
      bytes += count;
    },
  );
  return [result, bytes];
}

test('copies every file in pieces, without marks, and once', async () => {
  expect(await copy()).toEqual(['copied', CHUNKS_BYTES + 5]);
  const paths = ['chunks/000001', 'index', 'meta.json'];
  expect((await target.list('')).objects).toEqual(paths.map((path) => `b/${ULID}/${path}`));
  for (const path of paths) {
    const expected = Buffer.from(await source.get(`a/${ULID}/${path}`));
    expect(expected.equals(await target.get(`b/${ULID}/${path}`))).toBe(true);
  }
  expect(await copy()).toEqual(['present', 0]);
});

test('brings what is missing, or was cut short, of an earlier copy', async () => {
  await copy();
  await target.put(`b/${ULID}/index`, Buffer.from('in'));
  expect(await copy()).toEqual(['copied', 5]);
  await target.delete(`b/${ULID}/meta.json`);
  expect(await copy()).toEqual(['copied', 0]);
});

test('refuses a name that another block has', async () => {
  await target.put(`b/${ULID}/meta.json`, Buffer.from('{ }'));
  await expect(copy()).rejects.toMatchObject({ code: 'block-differs', kind: 'client' });
  expect((await target.list('')).objects).toEqual([`b/${ULID}/meta.json`]);
});

test.each([
  ['a read fails', 'broken'],
  ['an object becomes shorter', 'short'],
  ['the user stops', 'stop'],
])('leaves no meta.json when %s', async (_, fault) => {
  const stopping = new AbortController();
  const faulty = Object.create(source) as FolderBucket;
  faulty.getRange = async (name, offset, length) => {
    if (offset > 0 && fault === 'broken') throw new Error('broken');
    if (fault === 'stop') stopping.abort();
    const bytes = await source.getRange(name, offset, length);
    return offset > 0 && fault === 'short' ? bytes.subarray(1) : bytes;
  };
  faulty.get = (name) => source.get(name);
  await expect(copy(faulty, stopping.signal)).rejects.toThrow(
    { broken: 'broken', short: 'changed while it was read', stop: 'aborted' }[fault],
  );
  expect((await target.list('')).objects).toEqual([]);
  expect((await copy())[0]).toBe('copied');
});
