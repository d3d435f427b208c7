import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { labelsFromObject } from '../../labels/index.js';
import { listBlocks, removeUnfinishedBlocks } from './block-directory.js';
import { type BlockChunk, BlockWriter } from './block-writer.js';
import { blockCreationTime, readBlockMeta } from './meta.js';

const T = 1_700_000_000_000;
const CHUNKS_GOLDEN = `85bd40dd01000000 1a01000480a0abfef96200000000000000009875c457fec25fff6c06af4a20e7
 1301000280a0abfef9623ff0000000000000987500bc49acdb`;
const INDEX_GOLDEN = `baaad7000200000019000000060008 5f5f6e616d655f5f 0161 0162 036a6f62 027570 9d4add99
00000000000000000000
1002010504020180a0abfef962c8df0208 26ac1e4e 0000000000000000000000
0f02010504030180a0abfef962987528 0eb4f994
0000000c000000020000000300000005bb33cbd4 0000000c000000020000000300000005bb33cbd4
000000080000000100000003a7692ed2 00000008000000010000000581c8c93a
0000002800000004 02000064 02085f5f6e616d655f5f02757078 02036a6f6201618c01 02036a6f6201629c01 267704e4
0000000000000005 0000000000000026 0000000000000064 00000000000000ac 0000000000000064 00000000000000ac 2239545c`;

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-block-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function hex(text: string): Buffer {
  return Buffer.from(text.replace(/\s+/g, ''), 'hex');
}

function xor(data: string, minTime: number, maxTime: number): BlockChunk {
  return { minTime, maxTime, encoding: 1, data: hex(data) };
}

const FOUR = xor('000480a0abfef96200000000000000009875c457fec25fff6c06', T, T + 45_000);
const TWO = xor('000280a0abfef9623ff0000000000000987500', T, T + 15_000);

describe('BlockWriter', () => {
  test('writes the example of the format description byte for byte', () => {
    const writer = BlockWriter.create(folder);
    writer.addSymbols(['', '__name__', 'a', 'b', 'job', 'up']);
    writer.addSeries(Uint32Array.of(1, 5, 4, 2), [FOUR]);
    writer.addLabelSet(labelsFromObject({ job: 'b', __name__: 'up' }), [TWO]);
    const meta = writer.finish();
    const block = join(folder, writer.ulid);
    expect(readFileSync(join(block, 'chunks/000001')).toString('hex')).toBe(
      hex(CHUNKS_GOLDEN).toString('hex'),
    );
    expect(readFileSync(join(block, 'index')).toString('hex')).toBe(hex(INDEX_GOLDEN).toString('hex'));
    expect(readFileSync(join(block, 'tombstones')).toString('hex')).toBe('0130ba300100000000');
    expect(meta).toEqual({
      ulid: writer.ulid,
      minTime: T,
      maxTime: T + 45_001,
      stats: { numSamples: 6, numFloatSamples: 6, numSeries: 2, numChunks: 2 },
      compaction: { level: 1, sources: [writer.ulid] },
      version: 1,
    });
    expect(readBlockMeta(block)).toEqual(meta);
    expect(Math.abs(blockCreationTime(writer.ulid) - Date.now())).toBeLessThan(60_000);
    expect(readdirSync(block).sort()).toEqual(['chunks', 'index', 'meta.json', 'tombstones']);
    expect(readdirSync(folder)).toEqual([writer.ulid]);
  });

  test('leaves nothing when there are no samples or when it is aborted', () => {
    const empty = BlockWriter.create(folder);
    empty.addSymbols(['a']);
    empty.addSeries(Uint32Array.of(0, 0), []);
    expect(empty.finish()).toBeNull();
    const aborted = BlockWriter.create(folder);
    aborted.addSymbols(['a', 'b']);
    aborted.addSeries(Uint32Array.of(0, 1), [TWO]);
    expect(existsSync(`${aborted.directory}.tmp-for-creation`)).toBe(true);
    aborted.abort();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('starts a new segment before one would grow past its limit', () => {
    const writer = BlockWriter.create(folder, { segmentBytesMax: 64 });
    writer.addSymbols(['a', 'b', 'c']);
    writer.addSeries(Uint32Array.of(0, 1), [FOUR]);
    writer.addSeries(Uint32Array.of(0, 2), [TWO]);
    writer.finish();
    expect(readdirSync(join(writer.directory, 'chunks'))).toEqual(['000001', '000002']);
  });

  test('crashed while writing leaves what the next start removes', () => {
    const crashed = BlockWriter.create(folder);
    const finished = BlockWriter.create(folder);
    finished.addSymbols(['a', 'b']);
    finished.addSeries(Uint32Array.of(0, 1), [TWO]);
    finished.finish();
    expect(listBlocks(folder)).toEqual([finished.ulid]);
    expect(removeUnfinishedBlocks(folder)).toEqual([`${crashed.ulid}.tmp-for-creation`]);
    expect(readdirSync(folder)).toEqual([finished.ulid]);
  });

  const later = xor('000280a0abfef9623ff0000000000000987500', T + 45_001, T + 50_000);
  const refused: [string, (writer: BlockWriter) => void][] = [
    ['symbols out of order', (writer) => writer.addSymbols(['b', 'a'])],
    ['symbols twice', (writer) => writer.addSymbols(['b', 'b'])],
    [
      'symbols after series',
      (writer) => {
        writer.addSymbols(['a', 'b']);
        writer.addSeries(Uint32Array.of(0, 1), [TWO]);
        writer.addSymbols(['c']);
      },
    ],
    [
      'series twice',
      (writer) => {
        writer.addSymbols(['a', 'b']);
        writer.addSeries(Uint32Array.of(0, 1), [TWO]);
        writer.addSeries(Uint32Array.of(0, 1), [TWO]);
      },
    ],
    [
      'series with fewer labels after one with more',
      (writer) => {
        writer.addSymbols(['a', 'b', 'c']);
        writer.addSeries(Uint32Array.of(0, 1, 1, 2), [TWO]);
        writer.addSeries(Uint32Array.of(0, 1), [TWO]);
      },
    ],
    [
      'label names out of order',
      (writer) => {
        writer.addSymbols(['a', 'b', 'c']);
        writer.addSeries(Uint32Array.of(1, 2, 0, 2), [TWO]);
      },
    ],
    [
      'an empty label value',
      (writer) => {
        writer.addSymbols(['', 'b']);
        writer.addSeries(Uint32Array.of(1, 0), [TWO]);
      },
    ],
    [
      'a symbol number out of range',
      (writer) => {
        writer.addSymbols(['a']);
        writer.addSeries(Uint32Array.of(0, 1), [TWO]);
      },
    ],
    [
      'an unknown label string',
      (writer) => {
        writer.addSymbols(['a']);
        writer.addLabelSet([{ name: 'a', value: 'x' }], [TWO]);
      },
    ],
    [
      'overlapping chunks',
      (writer) => {
        writer.addSymbols(['a', 'b']);
        writer.addSeries(Uint32Array.of(0, 1), [TWO, TWO]);
      },
    ],
    [
      'chunks in the wrong order',
      (writer) => {
        writer.addSymbols(['a', 'b']);
        writer.addSeries(Uint32Array.of(0, 1), [later, FOUR]);
      },
    ],
    [
      'a chunk beyond the block',
      (writer) => {
        writer.addSymbols(['a', 'b']);
        writer.addSeries(Uint32Array.of(0, 1), [xor('0001', T, T + 3_600_000)]);
      },
    ],
    [
      'an aggregate chunk without a count',
      (writer) => {
        writer.addSymbols(['a', 'b']);
        writer.addSeries(Uint32Array.of(0, 1), [{ ...TWO, data: hex('0000000000'), encoding: 255 }]);
      },
    ],
  ];
  test.each(refused)('refuses %s', (_name, attempt) => {
    const writer = BlockWriter.create(folder, { minTime: T, maxTime: T + 3_600_000 });
    expect(() => attempt(writer)).toThrow(/index writer|block writer/);
    writer.abort();
    expect(readdirSync(folder)).toEqual([]);
  });
});
