import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { HistogramLayout, IntegerHistogram } from '../../histogram/index.js';
import { codecKernel } from '../../kernel/index.js';
import { labelsFromObject } from '../../labels/index.js';
import { encodeBlockMeta, isBlockName, readBlockMeta, verifyBlock } from '../block/index.js';
import { compactBlocks } from './index.js';
import {
  type ModelSample,
  patchEncoding,
  promtool,
  ramp,
  readChunks,
  sharedFolder,
  T,
  writeChunks,
  writeModelBlock,
} from './testing/model-blocks.js';

const shared = sharedFolder();
const bucket = join(shared ?? '', 'fixtures/thanos-bucket');
if (shared === null)
  process.stderr.write('SKIPPED: no fixtures folder (set VARVE_SHARED); foreign blocks not compacted\n');
const tool = promtool();
if (tool === null) process.stderr.write('SKIPPED: no promtool (set PROMTOOL_BIN); blocks not shown to it\n');

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-compact-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A copy of a block under another name. */
function copyBlock(directory: string, ulid: string): string {
  const copy = join(folder, ulid);
  cpSync(directory, copy, { recursive: true });
  writeFileSync(join(copy, 'meta.json'), encodeBlockMeta({ ...readBlockMeta(directory), ulid }));
  return copy;
}

(shared === null ? describe.skip : describe)('a block of Prometheus or Thanos', () => {
  const names = shared === null ? [] : readdirSync(bucket).filter(isBlockName);

  test.each(names)('%s compacts to the same chunks, alone and with a replica', async (name) => {
    const source = join(bucket, name);
    const expected = readChunks(source);
    const before = readBlockMeta(source);
    for (const sources of [[source], [copyBlock(source, '01AAAAAAAAAAAAAAAAAAAAAAAA'), source]]) {
      const { meta } = await compactBlocks(sources, { directory: folder });
      expect(readChunks(join(folder, meta!.ulid))).toEqual(expected);
      expect(verifyBlock(join(folder, meta!.ulid)).sampleCount).toBe(before.stats.numSamples);
      expect(meta!.thanos).toMatchObject({
        labels: before.thanos!.labels,
        downsample: before.thanos!.downsample,
      });
    }
  });
});

describe('downsampled blocks', () => {
  /** A block of one aggregate chunk, with counts in the windows that end at these minutes. */
  function writeAggregates(minutes: readonly number[], value = 1): string {
    const times = Float64Array.from(minutes, (minute) => T + minute * 60_000 - 1);
    const counts = codecKernel().encodeXor(
      times,
      times.map(() => value),
      times.length,
    );
    const data = Uint8Array.of(counts.length, 1, ...counts, 0, 0, 0, 0);
    const chunk = { minTime: times[0]!, maxTime: times.at(-1)!, encoding: 1, data };
    const labels = labelsFromObject({ __name__: 'up' });
    const thanos = { labels: {}, downsample: { resolution: 300_000 }, source: 'test' };
    const { ulid } = writeChunks(folder, [{ labels, chunks: [chunk] }], { thanos });
    patchEncoding(join(folder, ulid, 'chunks/000001'), data.length, 255);
    return join(folder, ulid);
  }

  test('that follow one another keep their chunks', async () => {
    const sources = [writeAggregates([5, 10, 15]), writeAggregates([20, 25])];
    const expected = sources.flatMap((source) => [...readChunks(source).values()].flat());
    const { meta } = await compactBlocks(sources, { directory: folder });
    expect([...readChunks(join(folder, meta!.ulid)).values()].flat()).toEqual(expected);
    expect(meta!.stats).toEqual({ numSamples: 5, numSeries: 1, numChunks: 2 });
  });

  test('that are equal become one', async () => {
    const sources = [writeAggregates([5, 10, 15]), writeAggregates([5, 10, 15])];
    const { meta } = await compactBlocks(sources, { directory: folder });
    expect(meta!.stats).toEqual({ numSamples: 3, numSeries: 1, numChunks: 1 });
  });

  test('that overlap and differ are refused by name', async () => {
    const sources = [writeAggregates([5, 10, 15]), writeAggregates([5, 10, 15], 2)];
    const names = sources.map((source) => readBlockMeta(source).ulid);
    await expect(compactBlocks(sources, { directory: folder })).rejects.toMatchObject({
      kind: 'unavailable',
      code: 'aggregate-overlap',
      details: { block: names[0], otherBlock: names[1] },
    });
    expect(readdirSync(folder).sort()).toEqual(names.sort());
  });
});

(tool === null ? describe.skip : describe)('promtool', () => {
  function run(...parameters: string[]): string {
    const result = spawnSync(tool ?? '', ['tsdb', ...parameters], { encoding: 'utf8', maxBuffer: 1 << 27 });
    expect({ status: result.status, stderr: result.status === 0 ? '' : result.stderr }).toEqual({
      status: 0,
      stderr: '',
    });
    return result.stdout;
  }

  function dump(directory: string): string[] {
    // The dump expects the directory of a server.
    mkdirSync(join(directory, 'wal'), { recursive: true });
    return run('dump', '--sandbox-dir-root', folder, directory).trim().split('\n');
  }

  /** Compacts the blocks of a directory; what promtool dumps before and after must be the same. */
  async function expectSameDump(directory: string): Promise<string> {
    const sources = readdirSync(directory)
      .filter(isBlockName)
      .map((name) => join(directory, name));
    const out = join(folder, 'out');
    mkdirSync(out);
    const { meta } = await compactBlocks(sources, { directory: out });
    verifyBlock(join(out, meta!.ulid));
    const before = dump(directory);
    const after = dump(out);
    expect({
      lines: after.length,
      different: after.filter((line, i) => line !== before[i]).slice(0, 3),
    }).toEqual({
      lines: before.length,
      different: [],
    });
    expect(run('list', out)).toContain(meta!.ulid);
    const analysis = run('analyze', '--extended', out, meta!.ulid);
    expect(analysis).toContain(`Total Series: ${meta!.stats.numSeries}`);
    return meta!.ulid;
  }

  test('makes blocks that compact to the same samples', async () => {
    const file = join(folder, 'in.txt');
    const lines: string[] = [];
    for (let i = 0; i < 1500; i++) {
      const time = T / 1000 + i * 15;
      lines.push(`m{host="a"} ${i} ${time}`, `m{host="b",zone="x"} ${i * 0.1} ${time}`);
      if (i > 900) lines.push(`late ${i % 7} ${time}`);
    }
    lines.sort();
    writeFileSync(file, `${lines.join('\n')}\n# EOF\n`);
    const made = join(folder, 'made');
    run('create-blocks-from', 'openmetrics', file, made);
    const names = readdirSync(made).filter(isBlockName);
    expect(names.length).toBeGreaterThan(2);
    const ulid = await expectSameDump(made);
    const metas = names.map((name) => readBlockMeta(join(made, name)));
    const { minTime, maxTime } = JSON.parse(readFileSync(join(folder, 'out', ulid, 'meta.json'), 'utf8'));
    expect([minTime, maxTime]).toEqual([
      Math.min(...metas.map((meta) => meta.minTime)),
      Math.max(...metas.map((meta) => meta.maxTime)),
    ]);
  });

  test('dumps overlapping replicas of ours as before', async () => {
    const directory = join(folder, 'replicas');
    mkdirSync(directory);
    const series = (skip: number) =>
      Array.from({ length: 20 }, (_, n) => ({
        labels: { __name__: 'm', host: `h${n}` },
        samples: ramp(500).filter((_, i) => (i + n) % skip !== 0),
      }));
    writeModelBlock(directory, series(7), 120);
    writeModelBlock(directory, series(11), 77);
    writeModelBlock(directory, series(13), 120);
    await expectSameDump(directory);
  });

  test('dumps merged histograms as before', async () => {
    const directory = join(folder, 'histograms');
    mkdirSync(directory);
    const sample = (i: number, isFloat: boolean): ModelSample => {
      const count = BigInt(i % 90);
      const histogram = IntegerHistogram.of({
        layout: HistogramLayout.ofIndexes(
          1,
          2 ** -128,
          Int32Array.of(0, 2, 3 + (i % 90 > 40 ? 1 : 0)),
          new Int32Array(0),
        ),
        count: 3n * count,
        zeroCount: 0n,
        sum: i / 4,
        positiveDeltas: [count, 0n, 0n],
        negativeDeltas: [],
      });
      return { time: T + i * 15_000, value: isFloat ? histogram.toFloat() : histogram };
    };
    const series = (skip: number) =>
      [false, true].map((isFloat) => ({
        labels: { __name__: isFloat ? 'f' : 'h' },
        samples: Array.from({ length: 400 }, (_, i) => sample(i, isFloat)).filter((_, i) => i % skip !== 3),
      }));
    writeModelBlock(directory, series(7), 100);
    writeModelBlock(directory, series(5), 80);
    await expectSameDump(directory);
  });
});
