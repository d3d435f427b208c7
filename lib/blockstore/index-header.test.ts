import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { FolderBucket } from '../bucket/index.js';
import { IndexReader, MemoryByteSource } from '../tsdb/index/index.js';
import { openIndexHeader, readIndexHeader } from './index-header.js';
import { QueryReads } from './query-reads.js';
import { RangeFetcher } from './range-fetcher.js';

/** The index of the worked example of docs/formats/block.md, written by Prometheus. */
const INDEX = Buffer.from(
  [
    'baaad7000200000019000000060008 5f5f6e616d655f5f 0161 0162 036a6f62 027570 9d4add99',
    '00000000000000000000',
    '1002010504020180a0abfef962c8df0208 26ac1e4e 0000000000000000000000',
    '0f02010504030180a0abfef962987528 0eb4f994',
    '0000000c000000020000000300000005bb33cbd4 0000000c000000020000000300000005bb33cbd4',
    '000000080000000100000003a7692ed2 00000008000000010000000581c8c93a',
    '0000002800000004 02000064 02085f5f6e616d655f5f02757078 02036a6f6201618c01 02036a6f6201629c01 267704e4',
    '0000000000000005 0000000000000026 0000000000000064 00000000000000ac 0000000000000064 00000000000000ac 2239545c',
  ]
    .join('')
    .replaceAll(' ', ''),
  'hex',
);

/** The index-header that Thanos' builder makes of it. */
const HEADER = Buffer.from(
  [
    'baaad792 01 02 00000000000000ac',
    '00000019 00000006 00 085f5f6e616d655f5f 0161 0162 036a6f62 027570 9d4add99',
    '00000028 00000004 02000064 02085f5f6e616d655f5f02757078 02036a6f6201618c01 02036a6f6201629c01 267704e4',
    '0000000000000005 0000000000000026 0000000000000064 00000000000000ac 0000000000000064 00000000000000ac 2239545c',
    '000000000000000e 000000000000002f b7f3c2d5',
  ]
    .join('')
    .replaceAll(' ', ''),
  'hex',
);

let folder = '';
let path = '';
let fetcher: RangeFetcher;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varve-header-'));
  await mkdir(join(folder, 'b'));
  await writeFile(join(folder, 'b/index'), INDEX);
  path = join(folder, 'cache/index-header');
  fetcher = new RangeFetcher(new FolderBucket(folder));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('an index-header', () => {
  test('is made bit for bit as by the original builder', async () => {
    const { reader, indexBytes } = await openIndexHeader(fetcher, 'b/index', path, new QueryReads());
    expect(readFileSync(path).toString('hex')).toBe(HEADER.toString('hex'));
    expect(indexBytes).toBe(272);
    expect([...reader.labelNames()]).toEqual(['__name__', 'job']);
    expect(reader.labelValues('job')).toEqual({
      values: ['a', 'b'],
      offsets: Float64Array.of(0x8c, 0x9c, 0xac),
    });
    expect(reader.postingsTable.find('', '')).toEqual({ offset: 0x64, end: 0x78 });
    expect(reader.postingsTable.find('__name__', 'up')).toEqual({ offset: 0x78, end: 0x8c });
    expect(reader.postingsTable.find('job', 'b')).toEqual({ offset: 0x9c, end: 0xac });
    expect([...reader.over(new MemoryByteSource('index', INDEX)).postings('job', 'b')]).toEqual([5]);
    expect(reader.toc).toEqual(IndexReader.open(new MemoryByteSource('index', INDEX)).toc);
    reader.close();
  });

  test('is read without the bucket once it is there', async () => {
    (await openIndexHeader(fetcher, 'b/index', path, new QueryReads())).reader.close();
    const reads = new QueryReads();
    (await openIndexHeader(fetcher, 'b/index', path, reads)).reader.close();
    expect(reads.requests).toBe(0);
  });

  test('takes few requests', async () => {
    const reads = new QueryReads();
    (await openIndexHeader(fetcher, 'b/index', path, reads)).reader.close();
    // Size, end, begin.
    expect(reads.counts.header.requests).toBe(3);
  });

  test('is made again when it is damaged anywhere', async () => {
    await mkdir(join(folder, 'cache'));
    for (let at = 0; at < HEADER.length; at++) {
      const flipped = Buffer.from(HEADER);
      flipped[at]! ^= 1 << (at % 8);
      writeFileSync(path, flipped);
      (await openIndexHeader(fetcher, 'b/index', path, new QueryReads())).reader.close();
      // The version of the index is the one field that nothing depends on.
      if (at !== 5) expect({ at, file: readFileSync(path) }).toEqual({ at, file: HEADER });
      writeFileSync(path, HEADER.subarray(0, at));
      expect(() => readIndexHeader(path)).toThrow();
    }
  });

  test('names the object when the index is damaged, and leaves no file', async () => {
    const damaged = Buffer.from(INDEX);
    damaged[20]! ^= 1;
    writeFileSync(join(folder, 'b/index'), damaged);
    await expect(openIndexHeader(fetcher, 'b/index', path, new QueryReads())).rejects.toMatchObject({
      kind: 'corruption',
      code: 'crc-mismatch',
      message: expect.stringContaining('b/index'),
    });
    expect(() => readFileSync(path)).toThrow('ENOENT');
  });

  test('of an index that is not there is an error of the bucket', async () => {
    await expect(openIndexHeader(fetcher, 'c/index', path, new QueryReads())).rejects.toMatchObject({
      code: 'object-not-found',
    });
  });
});
