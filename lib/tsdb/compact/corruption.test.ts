import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { VarveError } from '../../errors/index.js';
import { labelsFromObject } from '../../labels/index.js';
import { crc32c, readBe32, writeBe32 } from '../index/index.js';
import { compactBlocks } from './index.js';
import { chunksOf, ramp, readContent, T, writeChunks, writeModelBlock } from './testing/model-blocks.js';

/** Damage in one of two blocks: the error must name it, the other must stay unsuspected, and nothing may be left. */

let folder = '';
let directory = '';
let other = '';
let broken = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-compact-'));
  const series = ['a', 'b', 'c'].map((job) => ({ labels: { __name__: 'up', job }, samples: ramp(9) }));
  broken = writeModelBlock(folder, series, 4).ulid;
  directory = join(folder, broken);
  other = join(folder, writeModelBlock(folder, series, 5).ulid);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The samples of the result, or the code of the error about the broken block. */
async function outcome(): Promise<string> {
  try {
    const { meta } = await compactBlocks([other, directory], { directory: folder });
    const result = join(folder, meta!.ulid);
    const text = JSON.stringify([...readContent(result)].map(([key, samples]) => [key, [...samples]]));
    rmSync(result, { recursive: true });
    return text;
  } catch (error) {
    if (!(error instanceof VarveError)) throw error;
    expect(error.details).toMatchObject({ block: broken });
    if (error.kind === 'corruption' && error.code !== 'block-meta') {
      expect(error.details['file']).toMatch(`${directory}/`);
    }
    expect(error.message).toContain(broken);
    expect(readdirSync(folder)).toHaveLength(2);
    return `${error.kind} ${error.code}`;
  }
}

async function expectHarmless(truth: string, what: object): Promise<string> {
  const found = await outcome();
  if (found !== truth) {
    const error = expect.stringMatching(/^corruption |^unavailable chunk-encoding-unsupported/);
    expect({ ...what, found }).toEqual({ ...what, found: error });
  }
  return found;
}

describe('a damaged source', () => {
  test.each(['index', 'chunks/000001', 'tombstones'])(
    'is named and never gives a wrong sample, wherever %s is cut off or flipped',
    async (file) => {
      const path = join(directory, file);
      const bytes = readFileSync(path);
      const truth = await outcome();
      for (let at = 0; at < bytes.length; at += 5) {
        writeFileSync(path, bytes.subarray(0, at));
        expect(await expectHarmless(truth, { file, at })).toMatch(/^corruption /);
        const flipped = Buffer.from(bytes);
        flipped[at]! ^= 1 << (at % 8);
        writeFileSync(path, flipped);
        await expectHarmless(truth, { file, at });
      }
    },
    60_000,
  );

  test('gives the place of a bad checksum', async () => {
    const path = join(directory, 'chunks/000001');
    const bytes = readFileSync(path);
    bytes[12]! ^= 1;
    writeFileSync(path, bytes);
    await expect(compactBlocks([directory, other], { directory: folder })).rejects.toMatchObject({
      kind: 'corruption',
      code: 'crc-mismatch',
      details: { block: broken, file: path, offset: expect.any(Number) },
    });
  });

  test.each(['meta.json', 'index', 'chunks', 'chunks/000001'])('is named when it has no %s', async (file) => {
    rmSync(join(directory, file), { recursive: true });
    expect(await outcome()).toMatch(/^corruption (block-meta|block-incomplete|chunk-ref)$/);
  });

  test('may be the only one', async () => {
    writeFileSync(join(directory, 'index'), '');
    await expect(compactBlocks([directory], { directory: folder })).rejects.toMatchObject({
      code: 'index-too-short',
      details: { block: broken },
    });
  });
});

describe('an index with right checksums', () => {
  /** Changes the body of the series entry at a place and sets its checksum anew. */
  function editSeries(nth: number, edit: (body: Buffer) => void): void {
    const path = join(directory, 'index');
    const bytes = readFileSync(path);
    let at = readBe32(bytes, bytes.length - 48) + 2 ** 32 * readBe32(bytes, bytes.length - 52);
    at = readBe32(bytes, bytes.length - 40);
    for (let n = 0; ; n++) {
      at = Math.ceil(at / 16) * 16;
      const length = bytes[at]!;
      if (n === nth) {
        const body = bytes.subarray(at + 1, at + 1 + length);
        edit(body);
        writeBe32(bytes, at + 1 + length, crc32c(body));
        writeFileSync(path, bytes);
        return;
      }
      at += 1 + length + 4;
    }
  }

  test('but a symbol that does not exist', async () => {
    editSeries(0, (body) => {
      body[4] = 99;
    });
    expect(await outcome()).toBe('corruption symbol-unknown');
  });

  test('but series out of order', async () => {
    editSeries(1, (body) => {
      body[4]! -= 1;
    });
    expect(await outcome()).toBe('corruption series-order');
  });

  test('but label names out of order', async () => {
    editSeries(0, (body) => {
      [body[1], body[3]] = [body[3]!, body[1]!];
    });
    expect(await outcome()).toBe('corruption series-labels');
  });

  test('but chunks that overlap', async () => {
    // Behind the labels (5 bytes) and the count: first time (6), length (3), ref (1), then the distance of the second.
    editSeries(0, (body) => {
      body[5 + 1 + 6 + 3 + 1] = 0x80;
      body[5 + 1 + 6 + 3 + 2] = 0;
    });
    expect(await outcome()).toBe('corruption chunk-order');
  });

  test('but times that are not those of the chunk', async () => {
    const [chunk] = chunksOf(ramp(4), 4);
    const wrong = { ...chunk!, maxTime: T + 40_000 };
    const labels = labelsFromObject({ __name__: 'up', job: 'a' });
    broken = writeChunks(folder, [{ labels, chunks: [wrong] }]).ulid;
    rmSync(directory, { recursive: true });
    directory = join(folder, broken);
    expect(await outcome()).toBe('corruption chunk-time');
  });

  test('but samples out of order', async () => {
    const times = Float64Array.of(T, T + 15_000, T + 15_000);
    const [chunk] = chunksOf(ramp(3), 3);
    const { codecKernel } = await import('../../kernel/index.js');
    const data = codecKernel().encodeXor(times, Float64Array.of(1, 2, 3), 3);
    const labels = labelsFromObject({ __name__: 'up', job: 'a' });
    broken = writeChunks(folder, [{ labels, chunks: [{ ...chunk!, data }] }]).ulid;
    rmSync(directory, { recursive: true });
    directory = join(folder, broken);
    expect(await outcome()).toBe('corruption sample-order');
  });
});

describe('segments of a damaged source', () => {
  test('may be mixed up without giving wrong samples', async () => {
    const truth = await outcome();
    cpSync(join(other, 'chunks/000001'), join(directory, 'chunks/000001'));
    await expectHarmless(truth, {});
  });
});
