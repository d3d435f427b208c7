import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { labelsFromObject } from '../../labels/index.js';
import { type BlockMeta, type BlockWriterOptions, verifyBlock } from '../block/index.js';
import { type CompactOptions, type CompactProgress, compactBlocks } from './index.js';
import {
  chunksOf,
  float,
  type ModelSeries,
  patchEncoding,
  ramp,
  readChunks,
  readContent,
  STALE_BITS,
  T,
  writeChunks,
  writeModelBlock,
} from './testing/model-blocks.js';

const HOUR = 3_600_000;
const up = { __name__: 'up', job: 'a' };
const key = '{__name__="up", job="a"}';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-compact-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(series: readonly ModelSeries[], options: BlockWriterOptions = {}, perChunk = 120): BlockMeta {
  return writeModelBlock(folder, series, perChunk, options);
}

function one(samples: ModelSeries['samples'], more: Partial<ModelSeries> = {}): ModelSeries[] {
  return [{ labels: up, samples, ...more }];
}

async function compact(metas: readonly BlockMeta[], options: Partial<CompactOptions> = {}) {
  const sources = metas.map((meta) => join(folder, meta.ulid));
  return compactBlocks(sources, { directory: folder, ...options });
}

/** Compacts and gives the samples of the one series as "seconds:value". */
async function compactOne(metas: readonly BlockMeta[]): Promise<string> {
  const { meta } = await compact(metas);
  verifyBlock(join(folder, meta!.ulid));
  const values = new Float64Array(1);
  const bits = new BigUint64Array(values.buffer);
  return [...readContent(join(folder, meta!.ulid)).get(key)!]
    .map(([time, text]) => {
      bits[0] = BigInt(`0x${text}`);
      return `${(time - T) / 1000}:${values[0]}`;
    })
    .join(' ');
}

const points = (...pairs: [number, number][]) => pairs.map(([s, value]) => float(T + s * 1000, value));

describe('chunks', () => {
  test('that follow one another are copied byte for byte', async () => {
    const metas = [0, 1, 2].map((n) => write(one(ramp(300, T + n * HOUR * 2))));
    const sources = metas.flatMap((meta) => readChunks(join(folder, meta.ulid)).get(key)!);
    const { meta } = await compact([metas[2]!, metas[0]!, metas[1]!]);
    expect(readChunks(join(folder, meta!.ulid)).get(key)).toEqual(sources);
  });

  test('of equal replicas are kept once, byte for byte', async () => {
    const metas = [0, 1, 2].map(() => write(one(ramp(300))));
    const { meta } = await compact(metas);
    const kept = readChunks(join(folder, meta!.ulid)).get(key);
    expect(kept).toEqual(readChunks(join(folder, metas[0]!.ulid)).get(key));
  });

  test('that differ but hold the same samples give the samples once, 120 per chunk', async () => {
    const metas = [120, 100, 77].map((perChunk) => write(one(ramp(300)), {}, perChunk));
    const { meta } = await compact(metas);
    const chunks = readChunks(join(folder, meta!.ulid)).get(key)!;
    expect(chunks).toEqual(
      chunksOf(ramp(300), 120).map(({ encoding, data }) => ({ encoding, data: new Uint8Array(data) })),
    );
  });

  test('are merged only where they overlap', async () => {
    const long = write(one(ramp(480)));
    const late = write(one(points([3601, 9], [3616, 9])));
    const { meta } = await compact([long, late]);
    const chunks = readChunks(join(folder, meta!.ulid)).get(key)!;
    const before = readChunks(join(folder, long.ulid)).get(key)!;
    expect(chunks.map(({ data }) => (data[0]! << 8) | data[1]!)).toEqual([120, 120, 120, 2, 120]);
    expect([chunks[0], chunks[1], chunks[4]]).toEqual([before[0], before[1], before[3]]);
  });

  test('are split over segments of limited size', async () => {
    const metas = [0, 1].map((n) => write(one(ramp(2000, T + n * 9 * HOUR))));
    const { meta } = await compact(metas, { segmentBytesMax: 1000 });
    const directory = join(folder, meta!.ulid);
    expect(readdirSync(join(directory, 'chunks')).length).toBeGreaterThan(3);
    expect(verifyBlock(directory).sampleCount).toBe(4000);
  });

  test('without start times come out of overlapping ones with them', async () => {
    const text = '00040080a0abfef96200000000000000009875c22bffa12fffd603';
    const data = Uint8Array.from(Buffer.from(text, 'hex'));
    const chunk = { minTime: T, maxTime: T + 45_000, encoding: 1, data };
    const written = writeChunks(folder, [{ labels: labelsFromObject(up), chunks: [chunk] }]);
    patchEncoding(join(folder, written.ulid, 'chunks/000001'), data.length, 4);
    expect(await compactOne([written, write(one(points([20, 7])))])).toBe('0:0 15:1 20:7 30:2 45:3');
    const { meta } = await compact([written]);
    expect(readChunks(join(folder, meta!.ulid)).get(key)).toEqual([{ encoding: 4, data }]);
    expect(meta!.stats).toMatchObject({ numSamples: 4, numFloatSamples: 4 });
  });
});

describe('samples with equal times', () => {
  test('come from the block that begins first', async () => {
    const early = write(one(points([0, 1], [30, 1], [60, 1])));
    const late = write(one(points([15, 2], [30, 2], [75, 2])));
    const merged = '0:1 15:2 30:1 60:1 75:2';
    expect(await compactOne([early, late])).toBe(merged);
    expect(await compactOne([late, early])).toBe(merged);
  });

  test('come from the block with the older name when both begin together', async () => {
    const older = write(one(points([0, 1], [30, 1])), { ulid: '01AAAAAAAAAAAAAAAAAAAAAAAA' });
    const newer = write(one(points([0, 2], [15, 2], [30, 2])), { ulid: '01BBBBBBBBBBBBBBBBBBBBBBBB' });
    expect(await compactOne([newer, older])).toBe('0:1 15:2 30:1');
  });

  test('may be stale markers, which keep their bits', async () => {
    const stale = { time: T + 15_000, value: STALE_BITS };
    const metas = [write(one([...points([0, 1]), stale])), write(one(points([5, 2], [15, 3], [20, 2])))];
    const { meta } = await compact(metas);
    expect(
      readContent(join(folder, meta!.ulid))
        .get(key)!
        .get(T + 15_000),
    ).toBe(STALE_BITS.toString(16));
  });
});

describe('deletions', () => {
  const span = (from: number, to: number) => ({ minTime: T + from * 1000, maxTime: T + to * 1000 });

  test('cut samples out, and the block has no tombstones any more', async () => {
    const meta = write(one(ramp(5), { stones: [span(15, 30)] }));
    const result = (await compact([meta])).meta!;
    expect(await compactOne([meta])).toBe('0:0 45:3 60:4');
    expect(result.stats).toEqual({ numSamples: 3, numFloatSamples: 3, numSeries: 1, numChunks: 1 });
    expect(readFileSync(join(folder, result.ulid, 'tombstones')).toString('hex')).toBe('0130ba300100000000');
  });

  test('hold for their own block only', async () => {
    const deleted = write(one(ramp(3), { stones: [span(0, 100)] }));
    expect(await compactOne([deleted, write(one(ramp(2)))])).toBe('0:0 15:1');
  });

  test('of a whole series leave it out', async () => {
    const other = { labels: { __name__: 'up', job: 'b' }, samples: ramp(3) };
    const meta = write([...one(ramp(3), { stones: [span(0, 100)] }), other]);
    const result = (await compact([meta])).meta!;
    expect([...readContent(join(folder, result.ulid)).keys()]).toEqual(['{__name__="up", job="b"}']);
  });

  test('of everything leave no block', async () => {
    const meta = write(one(ramp(3), { stones: [span(0, 100)] }));
    expect(await compact([meta])).toMatchObject({ meta: null, bytesWritten: 0 });
    expect(readdirSync(folder)).toEqual([meta.ulid]);
  });
});

describe('meta.json', () => {
  test('has the range, the level and the ancestors of all sources', async () => {
    const a = write(one(ramp(3)), { minTime: T - 5, maxTime: T + HOUR });
    const b = write(one(ramp(3, T + HOUR)), { minTime: T + HOUR, maxTime: T + 2 * HOUR, level: 3 });
    const first = (await compact([b, a])).meta!;
    expect(first).toEqual({
      ulid: expect.stringMatching(/^01/),
      minTime: T - 5,
      maxTime: T + 2 * HOUR,
      stats: { numSamples: 6, numFloatSamples: 6, numSeries: 1, numChunks: 2 },
      compaction: {
        level: 4,
        sources: [a.ulid, b.ulid].sort(),
        parents: [b, a].map(({ ulid, minTime, maxTime }) => ({ ulid, minTime, maxTime })),
      },
      version: 1,
    });
    expect(JSON.parse(readFileSync(join(folder, first.ulid, 'meta.json'), 'utf8'))).toEqual(first);
    const c = write(one(ramp(3, T + 3 * HOUR)));
    expect((await compact([first, c])).meta!.compaction).toMatchObject({
      level: 5,
      sources: [a.ulid, b.ulid, c.ulid].sort(),
    });
  });

  test.each([
    [['from-out-of-order'], ['from-out-of-order'], ['from-out-of-order']],
    [['from-out-of-order'], undefined, undefined],
    [['from-stale-series'], ['from-out-of-order'], ['from-stale-series']],
  ])('with hints %j and %j gets %j', async (a, b, expected) => {
    const metas = [a, b].map((hints) => write(one(ramp(2)), hints === undefined ? {} : { hints }));
    expect((await compact(metas)).meta!.compaction.hints).toEqual(expected);
  });

  const thanos = (labels: Record<string, string>, resolution = 0) => ({
    thanos: { labels, downsample: { resolution }, source: 'sidecar', files: [], upload_time: 'x' },
  });

  test('keeps external labels and resolution, and drops what described the files of a source', async () => {
    const metas = [0, 1].map(() => write(one(ramp(2)), thanos({ cluster: 'x' }, 300_000)));
    expect((await compact(metas)).meta!.thanos).toEqual({
      version: 1,
      labels: { cluster: 'x' },
      downsample: { resolution: 300_000 },
      source: 'compactor',
      index_stats: { chunk_max_size: expect.any(Number) },
    });
  });

  test('takes external labels from the caller when they differ', async () => {
    const metas = ['a', 'b'].map((replica) => write(one(ramp(2)), thanos({ replica })));
    await expect(compact(metas)).rejects.toMatchObject({ code: 'compact-mixed-labels' });
    const { meta } = await compact(metas, { externalLabels: { cluster: 'x' }, thanosSource: 'test' });
    expect(meta!.thanos).toMatchObject({ labels: { cluster: 'x' }, source: 'test' });
  });

  test('of mixed resolutions cannot be', async () => {
    const metas = [0, 300_000].map((resolution) => write(one(ramp(2)), thanos({}, resolution)));
    await expect(compact(metas)).rejects.toMatchObject({
      code: 'compact-mixed-resolutions',
      details: { block: metas[1]!.ulid, otherBlock: metas[0]!.ulid },
    });
    expect(readdirSync(folder).sort()).toEqual(metas.map((meta) => meta.ulid).sort());
  });
});

describe('a compaction', () => {
  test('needs blocks, each once', async () => {
    const meta = write(one(ramp(2)));
    await expect(compact([])).rejects.toMatchObject({ code: 'compact-sources' });
    await expect(compact([meta, meta])).rejects.toMatchObject({ code: 'compact-sources' });
  });

  test('takes the name it is given', async () => {
    const ulid = '01CCCCCCCCCCCCCCCCCCCCCCCC';
    expect((await compact([write(one(ramp(2)))], { ulid })).meta!.ulid).toBe(ulid);
  });

  const many = (start = T): ModelSeries[] =>
    Array.from({ length: 9000 }, (_, i) => ({
      labels: { __name__: 'm', i: `${i}` },
      samples: ramp(2, start),
    }));

  test('reports its progress', async () => {
    const metas = [write(many()), write(many(T + HOUR))];
    const reports: CompactProgress[] = [];
    const { bytesRead, bytesWritten } = await compact(metas, {
      onProgress: (report) => reports.push(report),
    });
    expect(reports.map((report) => report.phase)).toEqual(['symbols', 'series', 'series', 'series', 'index']);
    expect(reports.at(-1)).toMatchObject({ sourceSeriesTotal: 18_000, sourceSeriesDone: 18_000 });
    expect(reports[2]!.sourceSeriesDone).toBeGreaterThan(reports[1]!.sourceSeriesDone);
    expect(reports[2]!.bytesWritten).toBeGreaterThan(reports[1]!.bytesWritten);
    expect(bytesRead).toBeLessThan(reports[0]!.sourceBytesTotal * 1.5);
    expect(bytesWritten).toBeGreaterThan(reports[2]!.bytesWritten);
  });

  test('stops at a signal and leaves nothing behind', async () => {
    const meta = write(many());
    const controller = new AbortController();
    const onProgress = ({ phase }: CompactProgress) => phase === 'series' && controller.abort('enough');
    await expect(compact([meta], { signal: controller.signal, onProgress })).rejects.toMatchObject({
      kind: 'cancelled',
      code: 'compact-cancelled',
    });
    expect(readdirSync(folder)).toEqual([meta.ulid]);
  });
});
