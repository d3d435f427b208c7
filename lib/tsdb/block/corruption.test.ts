import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { VarveError } from '../../errors/index.js';
import { ArrayArena } from '../../storage/index.js';
import { BlockQueryable } from './block-queryable.js';
import { BlockReader } from './block-reader.js';
import { parseBlockMeta } from './meta.js';
import { dumpSet, hints, ramp, T, testSeries, writeTestBlock } from './testing.js';
import { addInterval, encodeTombstones, parseTombstones, type Tombstones } from './tombstones.js';
import { verifyBlock } from './verify.js';

let folder = '';
let directory = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-corrupt-'));
  const series = ['a', 'b', 'c'].map((job) => testSeries({ __name__: 'up', job }, ramp(9)));
  directory = join(folder, writeTestBlock(folder, series).ulid);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What a query of everything says, or the code of the corruption found. */
async function outcome(): Promise<string> {
  let block: BlockReader | null = null;
  try {
    block = BlockReader.open(directory);
    const arena = new ArrayArena();
    return dumpSet(await new BlockQueryable(block).select([], hints(), arena), arena).join('\n');
  } catch (error) {
    return codeOf(error);
  } finally {
    block?.close();
  }
}

function codeOf(error: unknown): string {
  if (error instanceof VarveError && error.kind === 'corruption') return `corruption ${error.code}`;
  throw error;
}

function verifyOutcome(): string {
  try {
    verifyBlock(directory);
    return 'whole';
  } catch (error) {
    return codeOf(error);
  }
}

const FILES = ['index', 'chunks/000001', 'tombstones'];

describe('a damaged block', () => {
  test.each(FILES)('is recognised when %s is cut off anywhere', async (file) => {
    const path = join(directory, file);
    const bytes = readFileSync(path);
    for (let length = 0; length < bytes.length; length++) {
      writeFileSync(path, bytes.subarray(0, length));
      expect({ length, outcome: await outcome() }).toEqual({
        length,
        outcome: expect.stringMatching(/^corruption /),
      });
    }
  });

  test.each(FILES)('never gives a wrong sample, whichever byte of %s is flipped', async (file) => {
    const path = join(directory, file);
    const bytes = readFileSync(path);
    const truth = await outcome();
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1 << (at % 8);
      writeFileSync(path, flipped);
      const found = await outcome();
      if (found !== truth)
        expect({ at, found }).toEqual({ at, found: expect.stringMatching(/^corruption /) });
    }
  });

  test.each(['index', 'chunks/000001'])(
    'is refused by the verifier for each flipped byte of %s that is covered',
    (file) => {
      const path = join(directory, file);
      const bytes = readFileSync(path);
      let missed = 0;
      for (let at = 0; at < bytes.length; at++) {
        const flipped = Buffer.from(bytes);
        flipped[at]! ^= 0x10;
        writeFileSync(path, flipped);
        if (verifyOutcome() === 'whole') missed++;
      }
      // Padding between series and lists, and in the segment's header, belongs to no checksum.
      expect(missed).toBeLessThan(bytes.length / 6);
    },
  );

  test('with random bytes instead of an index never does worse than an error', async () => {
    const path = join(directory, 'index');
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 0, maxLength: 400 }), async (noise) => {
        writeFileSync(path, noise);
        expect(await outcome()).toMatch(/^corruption /);
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  test('is told apart by its name, its file and the place', () => {
    const path = join(directory, 'chunks/000001');
    const bytes = readFileSync(path);
    bytes[12]! ^= 1;
    writeFileSync(path, bytes);
    expect(() => verifyBlock(directory)).toThrow(
      expect.objectContaining({
        code: 'crc-mismatch',
        details: expect.objectContaining({
          file: path,
          offset: expect.any(Number),
          expected: expect.any(String),
        }),
      }),
    );
  });

  test('is refused by the verifier when meta.json counts differently', () => {
    const path = join(directory, 'meta.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"numSeries": 3', '"numSeries": 4'));
    expect(verifyOutcome()).toBe('corruption block-stats');
  });

  test('of another block with the same layout is recognised by its samples', () => {
    const other = writeTestBlock(
      folder,
      ['a', 'b', 'c'].map((job) => testSeries({ __name__: 'up', job }, ramp(9, T + 1))),
    );
    cpSync(join(folder, other.ulid, 'chunks'), join(directory, 'chunks'), { recursive: true });
    expect(verifyOutcome()).toBe('corruption chunk-time');
  });
});

describe('meta.json', () => {
  const good = {
    ulid: '01M7YA9Z5MQ1BWAC7DKEN933DN',
    minTime: 1,
    maxTime: 2,
    compaction: {
      level: 2,
      sources: ['01M7YA9Z5MQ1BWAC7DKEN933DN'],
      parents: [],
      hints: ['from-out-of-order'],
    },
    version: 1,
    future: { field: true },
    thanos: {
      labels: { a: 'b' },
      downsample: { resolution: 300000 },
      source: 'test',
      extensions: { x: [1] },
    },
  };

  test('may have fields that nobody knows, and keeps those of thanos', () => {
    expect(parseBlockMeta(JSON.stringify(good), 'meta.json')).toEqual({
      ulid: good.ulid,
      minTime: 1,
      maxTime: 2,
      stats: {},
      compaction: good.compaction,
      version: 1,
      thanos: good.thanos,
    });
  });

  const bad: [string, unknown][] = [
    ['no object', []],
    ['another version', { ...good, version: 2 }],
    ['no ulid', { ...good, ulid: undefined }],
    ['a ulid that overflows', { ...good, ulid: '81M7YA9Z5MQ1BWAC7DKEN933DN' }],
    ['times the wrong way round', { ...good, minTime: 3 }],
    ['a fractional time', { ...good, minTime: 1.5 }],
    ['no compaction', { ...good, compaction: null }],
    ['sources that are no list', { ...good, compaction: { level: 1, sources: 'x' } }],
    ['a thanos label that is no string', { ...good, thanos: { labels: { a: 1 } } }],
    ['another thanos version', { ...good, thanos: { version: 2, labels: {} } }],
  ];
  test.each(bad)('is refused with %s', (_name, meta) => {
    expect(() => parseBlockMeta(JSON.stringify(meta), 'meta.json')).toThrow(
      expect.objectContaining({ code: 'block-meta' }),
    );
  });
});

describe('tombstones', () => {
  const golden = '0130ba300105 80a0abfef962 b08aadfef962 05 e0f4aefef962 8091b0fef962 5ed0d550'.replaceAll(
    ' ',
    '',
  );
  const stones: Tombstones = new Map([
    [
      5,
      [
        { minTime: T, maxTime: T + 15_000 },
        { minTime: T + 30_000, maxTime: T + 40_000 },
      ],
    ],
  ]);

  test('have the bytes of the format description', () => {
    expect(Buffer.from(encodeTombstones(stones)).toString('hex')).toBe(golden);
    expect(parseTombstones(Buffer.from(golden, 'hex'), 'tombstones')).toEqual(stones);
    expect(Buffer.from(encodeTombstones(new Map())).toString('hex')).toBe('0130ba300100000000');
  });

  test('hold the whole range of 64-bit times, rounded', () => {
    const wide: Tombstones = new Map([[1, [{ minTime: -(2 ** 63), maxTime: 2 ** 62 }]]]);
    expect(parseTombstones(encodeTombstones(wide), 'tombstones')).toEqual(wide);
  });

  test.each([
    [
      [
        [1, 2],
        [4, 5],
        [3, 3],
      ],
      [[1, 5]],
    ],
    [
      [
        [1, 2],
        [5, 6],
        [9, 9],
      ],
      [
        [1, 2],
        [5, 6],
        [9, 9],
      ],
    ],
    [
      [
        [5, 6],
        [1, 2],
      ],
      [
        [1, 2],
        [5, 6],
      ],
    ],
    [
      [
        [1, 9],
        [3, 4],
      ],
      [[1, 9]],
    ],
  ])('merge what overlaps or touches: %j', (added, expected) => {
    const merged = added.reduce<readonly { minTime: number; maxTime: number }[]>(
      (all, pair) => addInterval(all, { minTime: pair[0]!, maxTime: pair[1]! }),
      [],
    );
    expect(merged.map((interval) => [interval.minTime, interval.maxTime])).toEqual(expected);
  });
});
