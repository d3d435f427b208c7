import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { HOUR, metricOf, NOW_MS, ShipFixture } from './testing/ship-fixture.js';

let fixture: ShipFixture;
beforeEach(() => {
  fixture = new ShipFixture();
});
afterEach(() => fixture.remove());

const ALL = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] as const;

describe('LocalBlocks', () => {
  test('finds the blocks of all tenants at start', async () => {
    const a = fixture.write('a');
    const b = [fixture.write('b'), fixture.write('b')];
    const { blocks, metrics } = await fixture.live();
    expect(blocks.tenants()).toEqual(['a', 'b']);
    expect(blocks.blocksOf('b').map(({ ulid }) => ulid)).toEqual(b);
    expect(blocks.blocksOf('a')).toEqual([
      {
        tenant: 'a',
        ulid: a,
        minTimeMs: NOW_MS,
        maxTimeMs: NOW_MS + 2 * HOUR,
        directory: join(fixture.blocksFolder, 'a', a),
        sources: [a],
        files: ['chunks/000001', 'chunks/000002', 'index'].map((path) => ({ path, byteCount: 1000 })),
        byteCount: 3000,
      },
    ]);
    expect(await metricOf(metrics, 'varve_ingester_local_blocks{user="b"}')).toBe(2);
    expect(await metricOf(metrics, 'varve_ingester_local_blocks_bytes{user="b"}')).toBe(6000);
  });

  test('deletes what a crash left half done', async () => {
    const names = [fixture.write('t'), fixture.write('t'), fixture.write('t')];
    const folder = join(fixture.blocksFolder, 't');
    renameSync(join(folder, names[0]!), join(folder, `${names[0]}.tmp-for-creation`));
    renameSync(join(folder, names[1]!), join(folder, `${names[1]}.tmp-for-deletion`));
    const { blocks } = await fixture.live();
    expect(blocks.blocksOf('t').map(({ ulid }) => ulid)).toEqual([names[2]]);
    expect(existsSync(join(folder, `${names[0]}.tmp-for-creation`))).toBe(false);
    expect(existsSync(join(folder, `${names[1]}.tmp-for-deletion`))).toBe(false);
  });

  test.each([
    ['no meta.json', (folder: string) => rmSync(join(folder, 'meta.json'))],
    ['a meta.json that is cut off', (folder: string) => writeFileSync(join(folder, 'meta.json'), '{"ulid"')],
    ['no index', (folder: string) => rmSync(join(folder, 'index'))],
    ['no chunks', (folder: string) => rmSync(join(folder, 'chunks'), { recursive: true })],
    [
      'an empty folder of chunks',
      (folder: string) => {
        rmSync(join(folder, 'chunks'), { recursive: true });
        mkdirSync(join(folder, 'chunks'));
      },
    ],
  ])('leaves out a block with %s, says so, and keeps it', async (_, damage) => {
    const good = fixture.write('t');
    const bad = fixture.write('t');
    const folder = join(fixture.blocksFolder, 't', bad);
    damage(folder);
    const { blocks, shipper, metrics } = await fixture.live();
    expect(blocks.blocksOf('t').map(({ ulid }) => ulid)).toEqual([good]);
    expect(await metricOf(metrics, 'varve_ingester_local_blocks_unreadable{user="t"}')).toBe(1);
    expect(fixture.lines).toContainEqual(
      expect.objectContaining({ level: 'error', block: bad, directory: folder }),
    );
    fixture.listed.add(good).add(bad);
    await shipper.round();
    fixture.clock.advance(HOUR);
    await shipper.round();
    await shipper.stop();
    expect(fixture.local('t')).toEqual([bad]);
    expect(fixture.published('t')).toEqual([good]);
  });

  test('holds the blocks that overlap a span, inclusive on both sides', async () => {
    const names = [fixture.write('t'), fixture.write('t')];
    const { blocks } = await fixture.live();
    const found = (from: number, to: number) => {
      const hold = blocks.hold('t', NOW_MS + from, NOW_MS + to);
      hold.release();
      return hold.blocks.map(({ ulid }) => ulid);
    };
    expect(found(-HOUR, -1)).toEqual([]);
    expect(found(-HOUR, 0)).toEqual([names[0]]);
    expect(found(2 * HOUR - 1, 2 * HOUR - 1)).toEqual([names[0]]);
    expect(found(2 * HOUR - 1, 2 * HOUR)).toEqual(names);
    expect(found(4 * HOUR, 5 * HOUR)).toEqual([]);
    expect(blocks.hold('other', ...ALL).blocks).toEqual([]);
  });

  test('a block that is removed is not listed, and its files go with the last hold', async () => {
    const ulid = fixture.write('t');
    const { blocks } = await fixture.live();
    const holds = [blocks.hold('t', ...ALL), blocks.hold('t', ...ALL)];
    blocks.remove('t', ulid);
    blocks.remove('t', ulid);
    expect([blocks.tenants(), blocks.has('t', ulid), blocks.hold('t', ...ALL).blocks]).toEqual([
      [],
      false,
      [],
    ]);
    holds[0]!.release();
    holds[0]!.release();
    await blocks.settled();
    expect(fixture.local('t')).toEqual([ulid]);
    holds[1]!.release();
    await blocks.settled();
    expect(fixture.local('t')).toEqual([]);
  });

  test('lists added blocks, all or none', async () => {
    const { blocks } = await fixture.live();
    const ulid = fixture.write('t');
    await expect(blocks.add('t', [{ ulid }, { ulid: '01M7YEQ6GFKXAT4GS3X8999999' }])).rejects.toThrow(
      'ENOENT',
    );
    expect(blocks.blocksOf('t')).toEqual([]);
    await blocks.add('t', [{ ulid }]);
    await blocks.add('t', [{ ulid }]);
    expect(blocks.blocksOf('t').map((block) => block.ulid)).toEqual([ulid]);
  });
});
