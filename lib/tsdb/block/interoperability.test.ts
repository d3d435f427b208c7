import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { codecKernel } from '../../kernel/index.js';
import { ArrayArena } from '../../storage/index.js';
import { SeriesEntry } from '../index/index.js';
import { BlockQueryable } from './block-queryable.js';
import { BlockReader } from './block-reader.js';
import { isBlockName } from './meta.js';
import {
  dumpSet,
  hints,
  labelText,
  promtool,
  ramp,
  sharedFolder,
  T,
  testSeries,
  writeTestBlock,
} from './testing.js';
import { verifyBlock } from './verify.js';

interface GoldenLine {
  readonly aggregate: string;
  readonly block: string;
  readonly series: string;
  readonly chunks: number;
  readonly samples: number;
  readonly sha256: string;
  readonly first: readonly string[];
}

const shared = sharedFolder();
const bucket = join(shared ?? '', 'fixtures/thanos-bucket');
const golden: GoldenLine[] =
  shared === null
    ? []
    : readFileSync(join(bucket, 'golden.jsonl'), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as GoldenLine);
const rawLines = golden.filter((line) => line.aggregate === 'raw' && line.series !== undefined);
if (shared === null)
  process.stderr.write('SKIPPED: no fixtures folder (set VARVE_SHARED); foreign blocks not read\n');
const tool = promtool();
if (tool === null) process.stderr.write('SKIPPED: no promtool (set PROMTOOL_BIN); blocks not shown to it\n');

(shared === null ? describe.skip : describe)('a block written by the Prometheus library', () => {
  test('is whole', () => {
    const raw = join(bucket, rawLines[0]!.block);
    expect(verifyBlock(raw)).toMatchObject({ seriesCount: 10, chunkCount: 1048, sampleCount: 122_525 });
  });

  test('has the samples of the golden file, hash for hash', async () => {
    const block = BlockReader.open(join(bucket, rawLines[0]!.block));
    const arena = new ArrayArena();
    const set = await new BlockQueryable(block).select([], hints(), arena);
    const times = new Float64Array(65536);
    const values = new Float64Array(65536);
    const found = new Map<string, { chunks: number; samples: number; sha256: string }>();
    for (let i = 0; i < set.seriesCount; i++) {
      const hash = createHash('sha256');
      let samples = 0;
      for (let c = set.chunkOffsets[i]!; c < set.chunkOffsets[i + 1]!; c++) {
        const address = set.chunkAddresses[c]!;
        const data = arena.bytes().subarray(address, address + set.chunkByteLengths[c]!);
        samples += (data[0]! << 8) | data[1]!;
        if (set.chunkEncodings[c] === 1) hash.update(sampleBytes(data, times, values));
      }
      const isFloat = set.chunkEncodings[set.chunkOffsets[i]!] === 1;
      found.set(labelText(set, i), {
        chunks: set.chunkOffsets[i + 1]! - set.chunkOffsets[i]!,
        samples,
        sha256: isFloat ? hash.digest('hex') : 'histogram',
      });
    }
    block.close();
    const expected = rawLines.map((line): [string, unknown] => [
      line.series,
      {
        chunks: line.chunks,
        samples: line.samples,
        sha256: line.first[0]!.includes('{') ? 'histogram' : line.sha256,
      },
    ]);
    expect(expected).toHaveLength(10);
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
  });

  test('keeps the thanos section of its meta', () => {
    const block = BlockReader.open(join(bucket, rawLines[0]!.block));
    expect(block.meta.thanos).toMatchObject({
      labels: { cluster: 'fixture', replica: 'a' },
      source: 'compactor',
      upload_time: '0001-01-01T00:00:00Z',
    });
    block.close();
  });

  test('is refused clearly when it holds aggregates', async () => {
    const name = golden.find((line) => line.aggregate === 'count')!.block;
    const block = BlockReader.open(join(bucket, name));
    await expect(new BlockQueryable(block).select([], hints(), new ArrayArena())).rejects.toMatchObject({
      code: 'chunk-encoding-unsupported',
    });
    const entry = new SeriesEntry();
    block.index.series(block.index.allPostings()[0]!, entry);
    expect(block.chunks.read(entry.chunkRefs[0]!).encoding).toBe(255);
    block.close();
  });
});

(tool === null ? describe.skip : describe)('promtool', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'varve-promtool-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function run(...parameters: string[]): string {
    const result = spawnSync(tool ?? '', ['tsdb', ...parameters], { encoding: 'utf8', maxBuffer: 1 << 26 });
    expect({ status: result.status, stderr: result.status === 0 ? '' : result.stderr }).toEqual({
      status: 0,
      stderr: '',
    });
    return result.stdout;
  }

  test('lists, analyzes and dumps a block of ours', () => {
    const series = Array.from({ length: 150 }, (_, i) =>
      testSeries({ __name__: 'm', host: `h${String(i).padStart(3, '0')}` }, ramp(300), 120),
    );
    series.push(testSeries({ __name__: 'z', text: '\uff5e' }, [[T, Number.POSITIVE_INFINITY]]));
    series.push(testSeries({ __name__: 'z', text: '\u{1f600}' }, [[T, -1.5]]));
    const meta = writeTestBlock(folder, series);
    expect(run('list', folder)).toMatch(new RegExp(`${meta.ulid}.*\\s45002\\s+452\\s+152\\s`));
    expect(run('analyze', '--extended', folder, meta.ulid)).toContain('Total Series: 152');
    // The dump expects the directory of a server.
    mkdirSync(join(folder, 'wal'));
    const dump = run('dump', '--sandbox-dir-root', folder, folder).trim().split('\n');
    expect(dump).toHaveLength(45_002);
    expect(dump[1]).toBe(`{__name__="m", host="h000"} 1 ${T + 15_000}`);
    expect(dump.at(-2)).toBe(`{__name__="z", text="\uff5e"} +Inf ${T}`);
    expect(dump.at(-1)).toBe(`{__name__="z", text="\u{1f600}"} -1.5 ${T}`);
  });

  test('makes blocks that are read the same', async () => {
    const file = join(folder, 'in.txt');
    const out = join(folder, 'out');
    const lines: string[] = [];
    for (let i = 0; i < 500; i++) {
      lines.push(
        `m{host="a"} ${i} ${T / 1000 + i * 15}`,
        `m{host="b",zone="x"} ${i * 0.1} ${T / 1000 + i * 15}`,
      );
    }
    lines.sort();
    writeFileSync(file, `${lines.join('\n')}\n# EOF\n`);
    run('create-blocks-from', 'openmetrics', file, out);
    mkdirSync(join(out, 'wal'));
    const theirs = run('dump', out).trim().split('\n');
    const ours: string[] = [];
    for (const name of readdirSync(out).filter(isBlockName)) {
      expect(verifyBlock(join(out, name)).seriesCount).toBe(2);
      const block = BlockReader.open(join(out, name));
      const arena = new ArrayArena();
      for (const line of dumpSet(await new BlockQueryable(block).select([], hints(), arena), arena)) {
        const [labels, ...chunks] = line.split(' | ');
        for (const sample of chunks.join(' ').split(' ')) {
          const [seconds, value] = sample.split(':');
          ours.push(`${labels} ${value} ${T + Math.round(Number(seconds) * 1000)}`);
        }
      }
      block.close();
    }
    expect(ours.sort()).toEqual(theirs.sort());
  });
});

/** Time and raw float bits of each sample, big-endian, as the golden file hashes them. */
function sampleBytes(chunk: Uint8Array, times: Float64Array, values: Float64Array): Uint8Array {
  const count = codecKernel().decodeXorInto(chunk, times, values);
  const bytes = Buffer.alloc(count * 16);
  const words = new Uint32Array(values.buffer);
  for (let i = 0; i < count; i++) {
    bytes.writeBigInt64BE(BigInt(times[i]!), i * 16);
    bytes.writeUInt32BE(words[2 * i + 1]!, i * 16 + 8);
    bytes.writeUInt32BE(words[2 * i]!, i * 16 + 12);
  }
  return bytes;
}
