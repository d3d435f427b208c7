import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Matcher, MatchType } from '../../matcher/index.js';
import { ArrayArena } from '../../storage/index.js';
import { BlockQueryable } from './block-queryable.js';
import { BlockReader } from './block-reader.js';
import { dumpSet, hints, labelText, matcher, ramp, T, testSeries, writeTestBlock } from './testing.js';
import { writeTombstones } from './tombstones.js';
import { verifyBlock } from './verify.js';

let folder = '';
let block: BlockReader;
let queryable: BlockQueryable;

/** Series of a metric `m` with many instances, to make the index sample its tables. */
const HOSTS = 200;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-query-'));
  const hosts = Array.from({ length: HOSTS }, (_, i) => `host-${String(i).padStart(3, '0')}`);
  const series = [
    ...hosts.map((host, i) =>
      testSeries({ __name__: 'm', host, parity: i % 2 === 0 ? 'even' : 'odd' }, ramp(2), 4),
    ),
    testSeries({ __name__: 'up', job: 'api' }, ramp(10)),
    testSeries({ __name__: 'up', job: 'api', zone: 'z' }, ramp(2)),
    testSeries({ __name__: 'up', job: 'db', zone: 'a' }, ramp(2)),
    // In bytes the first sorts below the second, in UTF-16 above.
    testSeries({ __name__: 'up', job: '\uff5e' }, ramp(1)),
    testSeries({ __name__: 'up', job: '\u{1f600}' }, ramp(1)),
  ];
  const meta = writeTestBlock(folder, series);
  block = BlockReader.open(join(folder, meta.ulid));
  queryable = new BlockQueryable(block);
});
afterAll(() => {
  block.close();
  rmSync(folder, { recursive: true });
});

async function labelsOf(matchers: Matcher[], limit = 0): Promise<string[]> {
  const set = await queryable.select(
    matchers,
    hints(0, 2 ** 52, { withoutChunks: true, limit }),
    new ArrayArena(),
  );
  return Array.from({ length: set.seriesCount }, (_, i) => labelText(set, i));
}

const everywhere = { minTimeMs: 0, maxTimeMs: 2 ** 52, matcherSets: [], limit: 0 };

describe('BlockQueryable', () => {
  test('the block it reads is whole', () => {
    expect(verifyBlock(block.directory)).toMatchObject({ seriesCount: HOSTS + 5, chunkCount: HOSTS + 7 });
  });

  test('answers in label order by bytes with the samples written', async () => {
    const arena = new ArrayArena();
    const set = await queryable.select([matcher('=', '__name__', 'up')], hints(), arena);
    expect(dumpSet(set, arena)).toEqual([
      '{__name__="up", job="api"} | 0:0 15:1 30:2 45:3 | 60:4 75:5 90:6 105:7 | 120:8 135:9',
      '{__name__="up", job="api", zone="z"} | 0:0 15:1',
      '{__name__="up", job="db", zone="a"} | 0:0 15:1',
      '{__name__="up", job="\uff5e"} | 0:0',
      '{__name__="up", job="\u{1f600}"} | 0:0',
    ]);
    expect(set.symbols.text(set.symbols.find('job'))).toBe('job');
    expect(set.symbols.find('nothing')).toBe(-1);
  });

  test('every matcher finds what testing each series would find', async () => {
    const all = await queryable.series(everywhere);
    const types: MatchType[] = ['=', '!=', '=~', '!~'];
    const values = [
      '',
      'api',
      'even',
      'host-007',
      'host-1',
      'api|db',
      '.*',
      '.+',
      'host-1.*',
      '.*7',
      'a.*|',
      'z?',
    ];
    const matchers = types.flatMap((type) =>
      ['host', 'job', 'zone', 'parity', 'absent', '__name__'].flatMap((name) =>
        values.flatMap((value) =>
          value === 'host-1.*' ? [matcher(type, name, value, 'host-1')] : [matcher(type, name, value)],
        ),
      ),
    );
    const accepts = (one: Matcher, labels: (typeof all)[number]): boolean =>
      one.matches(labels.find((label) => label.name === one.name)?.value ?? '');
    const check = async (set: Matcher[]): Promise<void> => {
      const expected = all.filter((labels) => set.every((one) => accepts(one, labels)));
      const found = await queryable.series({ ...everywhere, matcherSets: [set] });
      expect({ set: set.map((m) => m.name + m.type + m.value), count: found.length }).toEqual({
        set: set.map((m) => m.name + m.type + m.value),
        count: expected.length,
      });
      expect(found).toEqual(expected);
      expect((await labelsOf(set)).length).toBe(expected.length);
    };
    for (const one of matchers) await check([one]);
    for (let i = 0; i < matchers.length; i++) {
      await check([matchers[i]!, matchers[(i * 37 + 11) % matchers.length]!]);
    }
  });

  test('selects chunks by time, ends inclusive', async () => {
    const cases: [number, number, string][] = [
      [T + 105_000, T + 105_000, '60:4 75:5 90:6 105:7'],
      [T + 105_001, T + 119_999, ''],
      [T + 106_000, T + 120_000, '120:8 135:9'],
      [T + 135_001, T + 200_000, ''],
      [0, T, '0:0 15:1 30:2 45:3'],
      [0, T - 1, ''],
    ];
    for (const [from, to, expected] of cases) {
      const arena = new ArrayArena();
      const matchers = [matcher('=', 'job', 'api'), matcher('=', 'zone', '')];
      const lines = dumpSet(await queryable.select(matchers, hints(from, to), arena), arena);
      expect(lines).toEqual(expected === '' ? [] : [`{__name__="up", job="api"} | ${expected}`]);
    }
  });

  test('limits series, and leaves chunks out when they are not wanted', async () => {
    expect(await labelsOf([matcher('=', '__name__', 'm')], 3)).toEqual([
      '{__name__="m", host="host-000", parity="even"}',
      '{__name__="m", host="host-001", parity="odd"}',
      '{__name__="m", host="host-002", parity="even"}',
    ]);
  });

  test('lists label names and values, with and without matchers', async () => {
    const up = [matcher('=', '__name__', 'up')];
    expect(await queryable.labelNames(everywhere)).toEqual(['__name__', 'host', 'job', 'parity', 'zone']);
    expect(await queryable.labelNames({ ...everywhere, matcherSets: [up] })).toEqual([
      '__name__',
      'job',
      'zone',
    ]);
    expect(await queryable.labelNames({ ...everywhere, limit: 2 })).toEqual(['__name__', 'host']);
    expect(await queryable.labelValues('job', everywhere)).toEqual(['api', 'db', '\uff5e', '\u{1f600}']);
    expect(await queryable.labelValues('host', everywhere)).toHaveLength(HOSTS);
    expect(await queryable.labelValues('nothing', everywhere)).toEqual([]);
    const sets = [[matcher('=', 'job', 'db')], [matcher('=', 'parity', 'odd')]];
    expect(await queryable.labelValues('zone', { ...everywhere, matcherSets: sets })).toEqual(['a']);
    expect(await queryable.labelValues('host', { ...everywhere, matcherSets: sets, limit: 2 })).toEqual([
      'host-001',
      'host-003',
    ]);
    expect(await queryable.labelNames({ ...everywhere, maxTimeMs: T - 1 })).toEqual([]);
    expect(await queryable.series({ ...everywhere, matcherSets: sets })).toHaveLength(1 + HOSTS / 2);
  });
});

describe('BlockQueryable over a block with tombstones', () => {
  test('never shows deleted samples', async () => {
    const meta = writeTestBlock(folder, [testSeries({ a: '1' }, ramp(12)), testSeries({ a: '2' }, ramp(4))]);
    const directory = join(folder, meta.ulid);
    const refs = [...open(directory)];
    writeTombstones(
      directory,
      new Map([
        [
          refs[0]!,
          [
            { minTime: T + 15_000, maxTime: T + 30_000 },
            { minTime: T + 60_000, maxTime: T + 110_000 },
          ],
        ],
        [refs[1]!, [{ minTime: T - 5, maxTime: T + 45_000 }]],
      ]),
    );
    const reader = BlockReader.open(directory);
    const arena = new ArrayArena();
    const set = await new BlockQueryable(reader).select([], hints(), arena);
    expect(dumpSet(set, arena)).toEqual(['{a="1"} | 0:0 45:3 | 120:8 135:9 150:10 165:11']);
    reader.close();
  });

  function open(directory: string): Uint32Array {
    const reader = BlockReader.open(directory);
    const refs = reader.index.allPostings();
    reader.close();
    return refs;
  }
});
