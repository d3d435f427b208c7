import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type BlockMeta, BlockReader, verifyBlock, writeTombstones } from '../block/index.js';
import { SeriesEntry } from '../index/index.js';
import { downsampleBlocks } from './downsample-blocks.js';
import { sharedFolder, testSeries, writeTestBlock } from './testing/blocks.js';
import {
  type ChunkModel,
  decodeChunk,
  downsampleLevelModel,
  downsampleRawModel,
  type Sample,
  STALE_VALUE,
} from './testing/model.js';

const DAY = 86_400_000;
const T = 1_699_920_000_000;
const shared = sharedFolder();
if (shared === null)
  process.stderr.write('SKIPPED: no fixtures folder (set VARVE_SHARED); Thanos blocks not compared\n');

/** 0, 1, 2, … in even steps. */
function ramp(count: number, start: number, step = 15_000): Sample[] {
  return Array.from({ length: count }, (_, i): Sample => [start + i * step, i]);
}

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-downsample-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function writeDay(
  day: number,
  names: readonly string[],
  more: Parameters<typeof writeTestBlock>[2] = {},
): BlockMeta {
  const from = T + day * DAY;
  const series = names.map((name) =>
    testSeries(
      { __name__: name, job: name },
      ramp(1440, from, 60_000).map(([t, v]) => [t, v + day * 1440]),
      120,
    ),
  );
  return writeTestBlock(folder, series, { minTime: from, maxTime: from + DAY, ...more });
}

/** Chunks of each series by its name. */
function readBlock(directory: string): Map<string, ChunkModel[]> {
  const block = BlockReader.open(directory);
  const entry = new SeriesEntry();
  const found = new Map<string, ChunkModel[]>();
  for (const ref of block.index.allPostings()) {
    block.index.series(ref, entry);
    const chunks = Array.from({ length: entry.chunkCount }, (_, i) =>
      decodeChunk({ ...block.chunks.read(entry.chunkRefs[i]!), minTime: 0, maxTime: 0 }),
    );
    found.set(block.index.symbols.text(entry.labels[1]!), chunks);
  }
  block.close();
  return found;
}

(shared === null ? describe.skip : describe)('blocks of Thanos', () => {
  const bucket = join(shared ?? '', 'fixtures/thanos-bucket');
  const raw = '01M7YEQ6GFKXAT4GS3X8BJV064';
  const fine = '01M7YEQ6HZTKZ2XDDQJ5PK1F3T';
  const coarse = '01M7YEQ6MATGS4HGYMDH4S6736';

  test.each([
    ['5 minutes from raw', raw, fine],
    ['an hour from 5 minutes', fine, coarse],
  ])('are made to the byte: %s', (_name, source, expected) => {
    const meta = downsampleBlocks([join(bucket, source)], { parentDirectory: folder })!;
    for (const file of ['index', 'chunks/000001']) {
      const found = readFileSync(join(folder, meta.ulid, file));
      expect(found.equals(readFileSync(join(bucket, expected, file)))).toBe(true);
    }
    const theirs = JSON.parse(readFileSync(join(bucket, expected, 'meta.json'), 'utf8')) as BlockMeta;
    expect(meta).toMatchObject({
      minTime: theirs.minTime,
      maxTime: theirs.maxTime,
      compaction: theirs.compaction,
      thanos: { labels: theirs.thanos!.labels, downsample: theirs.thanos!.downsample, source: 'compactor' },
    });
    const { numSamples, numSeries, numChunks } = theirs.stats;
    expect(meta.stats).toMatchObject({ numSamples, numSeries, numChunks });
  });

  test('go on to days', () => {
    const meta = downsampleBlocks([join(bucket, coarse)], { parentDirectory: folder })!;
    expect(meta.thanos!.downsample.resolution).toBe(DAY);
    expect(verifyBlock(join(folder, meta.ulid))).toMatchObject({ seriesCount: 10 });
  });
});

describe('downsampling blocks', () => {
  test('of several days makes one block of all their series', () => {
    const days = [writeDay(0, ['a', 'b']), writeDay(1, ['b', 'c', 'd']), writeDay(2, ['b'])];
    const fine = days.map(({ ulid }) => downsampleBlocks([join(folder, ulid)])!);
    // Given in another order.
    const meta = downsampleBlocks([fine[1]!, fine[0]!, fine[2]!].map(({ ulid }) => join(folder, ulid)))!;
    expect(meta).toMatchObject({
      minTime: T,
      maxTime: T + 3 * DAY,
      compaction: {
        level: 2,
        sources: days.map(({ ulid }) => ulid).sort(),
        parents: fine.map(({ ulid, minTime, maxTime }) => ({ ulid, minTime, maxTime })),
      },
      thanos: { downsample: { resolution: 3_600_000 } },
    });
    verifyBlock(join(folder, meta.ulid));
    const found = readBlock(join(folder, meta.ulid));
    expect([...found.keys()]).toEqual(['a', 'b', 'c', 'd']);
    const samples = [0, 1, 2].map((day) =>
      ramp(1440, T + day * DAY, 60_000).map(([t, v]): Sample => [t, v + day * 1440]),
    );
    const model = samples.flatMap((day) => downsampleRawModel(day, 300_000));
    expect(found.get('b')).toEqual(downsampleLevelModel(model, 300_000, 3_600_000));
    const daily = downsampleBlocks([join(folder, meta.ulid)])!;
    expect(daily.stats.numSamples).toBe(1 + 3 + 1 + 1);
  });

  test('leaves out deleted samples, and series of nothing else', () => {
    const { ulid } = writeDay(0, ['a', 'b']);
    const block = BlockReader.open(join(folder, ulid));
    const [first, second] = block.index.allPostings();
    block.close();
    const half = { minTime: T, maxTime: T + DAY / 2 - 1 };
    writeTombstones(
      join(folder, ulid),
      new Map([
        [first!, [{ minTime: T, maxTime: T + DAY }]],
        [second!, [half]],
      ]),
    );
    const meta = downsampleBlocks([join(folder, ulid)])!;
    expect(meta.stats).toMatchObject({ numSeries: 1, numSamples: 144 });
    verifyBlock(join(folder, meta.ulid));
  });

  test('of stale markers only makes no block', () => {
    const meta = writeTestBlock(folder, [testSeries({ __name__: 'a' }, [[T, STALE_VALUE]])], {
      minTime: T,
      maxTime: T + DAY,
    });
    expect(downsampleBlocks([join(folder, meta.ulid)])).toBeNull();
    expect(readdirSync(folder)).toEqual([meta.ulid]);
  });

  const thanos = (resolution: number, cluster = 'x') => ({
    thanos: { version: 1, labels: { cluster }, downsample: { resolution }, source: 'test' },
  });
  test.each([
    [
      'of different resolutions',
      () => [writeDay(0, ['a']), writeDay(1, ['a'], thanos(300_000))],
      'downsample-sources',
    ],
    [
      'of different external labels',
      () => [writeDay(0, ['a'], thanos(0)), writeDay(1, ['a'], thanos(0, 'y'))],
      'downsample-sources',
    ],
    ['that overlap', () => [writeDay(0, ['a']), writeDay(0, ['b'])], 'downsample-sources'],
    ['of days', () => [writeDay(0, ['a'], thanos(DAY))], 'downsample-sources'],
    ['of an odd resolution', () => [writeDay(0, ['a'], thanos(60_000))], 'downsample-sources'],
  ])('refuses blocks %s', (_name, write, code) => {
    const directories = write().map(({ ulid }) => join(folder, ulid));
    expect(() => downsampleBlocks(directories)).toThrow(expect.objectContaining({ code }));
    expect(readdirSync(folder)).toHaveLength(directories.length);
  });

  test('refuses deletions in a level', () => {
    const fine = downsampleBlocks([join(folder, writeDay(0, ['a']).ulid)])!;
    const block = BlockReader.open(join(folder, fine.ulid));
    const ref = block.index.allPostings()[0]!;
    block.close();
    writeTombstones(join(folder, fine.ulid), new Map([[ref, [{ minTime: T, maxTime: T }]]]));
    expect(() => downsampleBlocks([join(folder, fine.ulid)])).toThrow(
      expect.objectContaining({ kind: 'unavailable', code: 'downsample-tombstones' }),
    );
  });

  test('is ended by an error of the progress callback and leaves nothing behind', () => {
    const names = Array.from({ length: 1100 }, (_, i) => `m${String(i).padStart(5, '0')}`);
    const series = names.map((name) => testSeries({ __name__: name }, ramp(4, T)));
    const meta = writeTestBlock(folder, series, { minTime: T, maxTime: T + DAY });
    const onProgress = ({ seriesDone, seriesTotal }: { seriesDone: number; seriesTotal: number }): void => {
      throw new Error(`${seriesDone}/${seriesTotal}`);
    };
    expect(() => downsampleBlocks([join(folder, meta.ulid)], { onProgress })).toThrow('1024/1100');
    expect(readdirSync(folder)).toEqual([meta.ulid]);
  });
});
