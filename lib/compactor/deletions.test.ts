import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { deleteBlock } from '../blocktransfer/index.js';
import {
  cancelDeletion,
  createDeletion,
  type DeletionRequest,
  listChecked,
  listDeletions,
  listEndedDeletions,
  makeDeletion,
} from '../bucketindex/index.js';
import { messageOf } from '../errors/index.js';
import type { Limits } from '../limits/index.js';
import { readBlockMeta } from '../tsdb/block/index.js';
import type { Content } from '../tsdb/compact/testing/model-blocks.js';
import { CrashingBucket } from './testing/crashing-bucket.js';
import { BEGIN, HOUR, TENANT, TenantFixture } from './testing/tenant-fixture.js';

let fixture: TenantFixture;
beforeEach(() => {
  fixture = new TenantFixture();
});
afterEach(() => fixture.remove());

const ID = '01HF0000000000000000000001';

/** Times in hours from the begin of the blocks. */
function request(selectors: readonly string[], from: number, to: number, id = ID): DeletionRequest {
  return makeDeletion(id, selectors, {
    minTimeMs: BEGIN + from * HOUR,
    maxTimeMs: BEGIN + to * HOUR,
    createdMs: fixture.clock.nowMs(),
  });
}

/** The samples without those of pod a in a span of hours. */
function without(content: Content, series: RegExp, from: number, to: number): Content {
  const left: Content = new Map();
  for (const [key, samples] of content) {
    const kept = [...samples].filter(
      ([time]) => !series.test(key) || time < BEGIN + from * HOUR || time > BEGIN + to * HOUR,
    );
    if (kept.length > 0) left.set(key, new Map(kept));
  }
  return left;
}

async function round(limits: Partial<Limits> = {}): Promise<void> {
  const compactor = fixture.compactor({}, { limits });
  await compactor.cleanOnce();
  await compactor.compactOnce();
  await compactor.cleanOnce();
  await compactor.stop();
}

const POD_A = /pod="a"/;

describe('deletion of samples', () => {
  test('leaves them out of blocks that are merged, and writes those anew that are not', async () => {
    for (let range = 0; range < 4; range++) for (const replica of [0, 1]) fixture.write(range, replica);
    await round();
    const all = await fixture.rawContent();
    const before = await fixture.visible();
    await createDeletion(fixture.bucket, TENANT, request(['{pod="a"}'], 1.5, 2.5));
    await round();
    expect(await fixture.rawContent()).toEqual(without(all, POD_A, 1.5, 2.5));
    const after = await fixture.visible();
    // The second range was not touched.
    expect(after.get(0)![1]).toBe(before.get(0)![1]);
    expect(after.get(0)![0]).not.toBe(before.get(0)![0]);
    expect([...after].map(([resolution, names]) => [resolution, names.length])).toEqual([
      [0, 2],
      [300_000, 2],
      [HOUR, 1],
      [24 * HOUR, 1],
    ]);
    const { compaction, thanos } = readBlockMeta(fixture.blockFolder(after.get(0)![0]!));
    const old = readBlockMeta(fixture.blockFolder(before.get(0)![0]!));
    expect(compaction.sources).toEqual(old.compaction.sources);
    expect(compaction.level).toBe(old.compaction.level + 1);
    expect(thanos?.['extensions']).toEqual({ varve_deletions: [ID] });
  });

  test('leaves the coarser levels as if the samples had never been there', async () => {
    for (let range = 0; range < 4; range++) fixture.write(range);
    await createDeletion(fixture.bucket, TENANT, request(['{pod="a"}'], 1.5, 2.5));
    await round();
    const wanted = await fixture.coarseContent();
    fixture.remove();
    fixture = new TenantFixture();
    for (let range = 0; range < 4; range++) fixture.write(range);
    await round();
    const before = await fixture.coarseContent();
    expect(before).not.toEqual(wanted);
    await createDeletion(fixture.bucket, TENANT, request(['{pod="a"}'], 1.5, 2.5));
    await round();
    expect(await fixture.coarseContent()).toEqual(wanted);
  });

  test('cuts windows out of a coarser level whose finer one is gone', async () => {
    for (let range = 0; range < 2; range++) fixture.write(range);
    await round();
    const before = await fixture.visible();
    for (const ulid of [...before.get(0)!, ...before.get(300_000)!])
      await deleteBlock(fixture.bucket, TENANT, ulid);
    const chunks = async (pod: string) =>
      (await fixture.coarseContent()).get(`${HOUR} {__name__="requests_total", pod="${pod}"}`)!;
    const others = await chunks('b');
    const own = await chunks('a');
    await createDeletion(fixture.bucket, TENANT, request(['{pod="a"}'], 1.5, 2.5));
    await round();
    expect(await chunks('b')).toEqual(others);
    expect(await chunks('a')).not.toEqual(own);
    expect((await fixture.visible()).get(HOUR)).not.toEqual(before.get(HOUR));
  });

  test('is over only when no block holds them any more and no other can come', async () => {
    fixture.write(0);
    const deletion = request(['{pod="a"}'], 0, 1);
    await createDeletion(fixture.bucket, TENANT, deletion);
    const isLive = async () => (await listDeletions(fixture.bucket, TENANT)).requests.length === 1;
    await round();
    expect(await isLive()).toBe(true);
    fixture.clock.advance(23 * HOUR);
    await round();
    // A block that comes late is looked at too.
    fixture.write(0, 1);
    await round();
    expect((await fixture.rawContent()).get('{__name__="requests_total", pod="a"}')?.has(BEGIN)).not.toBe(
      true,
    );
    expect(await isLive()).toBe(true);
    fixture.clock.advance(2 * HOUR);
    await round();
    // The replaced block is still there.
    expect(await isLive()).toBe(true);
    fixture.clock.advance(13 * HOUR);
    await round();
    expect(await isLive()).toBe(false);
    expect(await listEndedDeletions(fixture.bucket, TENANT)).toMatchObject([
      { request: { id: ID, selectors: ['{pod="a"}'] }, state: 'done' },
    ]);
    fixture.clock.advance(8 * 24 * HOUR);
    await round();
    expect((await fixture.bucket.list(`${TENANT}/deletions/`)).objects).toEqual([]);
  });

  test('looks at each block once', async () => {
    fixture.write(0);
    await createDeletion(fixture.bucket, TENANT, request(['{pod="nobody"}'], 0, 9));
    const [name] = fixture.blockNames();
    await round();
    expect(fixture.blockNames()[0]).toBe(name);
    // The coarser ones were made of one that was known to be clean.
    expect([...(await listChecked(fixture.bucket, TENANT)).blocks]).toEqual([[name, new Set([ID])]]);
    const compactor = fixture.compactor();
    expect(await compactor.compactOnce()).toBe(0);
  });

  test('takes away a block of which nothing is left', async () => {
    fixture.write(0);
    await createDeletion(fixture.bucket, TENANT, request(['{__name__=~".+"}'], 0, 9));
    await round();
    fixture.clock.advance(13 * HOUR);
    await round();
    expect(fixture.blockNames()).toEqual([]);
  });

  test('can be cancelled until a block was written', async () => {
    fixture.write(0);
    const all = await fixture.rawContent();
    await createDeletion(fixture.bucket, TENANT, request(['{pod="a"}'], 0, 9));
    expect(await cancelDeletion(fixture.bucket, TENANT, ID, fixture.clock.nowMs())).toBe('cancelled');
    expect(await cancelDeletion(fixture.bucket, TENANT, ID, fixture.clock.nowMs())).toBe('unknown');
    await round();
    expect(await fixture.rawContent()).toEqual(all);
    const second = request(['{pod="a"}'], 0, 9, '01HF0000000000000000000002');
    await createDeletion(fixture.bucket, TENANT, second);
    await round();
    expect(await cancelDeletion(fixture.bucket, TENANT, second.id, fixture.clock.nowMs())).toBe('begun');
    expect((await listEndedDeletions(fixture.bucket, TENANT)).map(({ state }) => state)).toEqual([
      'cancelled',
    ]);
  });

  test('a cancellation that was cut short is finished before anything is written', async () => {
    fixture.write(0);
    const all = await fixture.rawContent();
    await createDeletion(fixture.bucket, TENANT, request(['{pod="a"}'], 0, 9));
    const dying = new CrashingBucket(fixture.bucketFolder, 2);
    await expect(cancelDeletion(dying, TENANT, ID, fixture.clock.nowMs())).rejects.toThrow();
    await round();
    expect(await fixture.rawContent()).toEqual(all);
    expect((await listDeletions(fixture.bucket, TENANT)).requests).toEqual([]);
  });

  test('of series by their retention happens once per block, when all of it is past that', async () => {
    for (const range of [0, 1]) fixture.write(range);
    const all = await fixture.rawContent();
    const ageHours = (fixture.clock.nowMs() - BEGIN) / HOUR;
    const rules = (hours: number) => ({ retentionMatchers: `{pod="a"}=${Math.floor(hours)}h` });
    // Both blocks become one of four hours, of which the last is within the retention.
    await round(rules(ageHours - 2.5));
    expect(await fixture.rawContent()).toEqual(all);
    await round(rules(ageHours - 5));
    expect(await fixture.rawContent()).toEqual(without(all, POD_A, 0, 9));
    const names = fixture.blockNames();
    await round(rules(ageHours - 6));
    expect(fixture.blockNames()).toEqual(names);
  });
});

describe('a compactor that dies while it deletes', () => {
  test('loses nothing else and ends the deletion, at whichever change it dies', async () => {
    const stride = process.env['VARVE_CRASH_POINTS'] === 'all' ? 1 : 14;
    const prepare = async (): Promise<Content> => {
      for (let range = 0; range < 4; range++) fixture.write(range);
      await round();
      const content = await fixture.rawContent();
      await createDeletion(fixture.bucket, TENANT, request(['{pod="a"}', '{pod="none"}'], 0.5, 3));
      return content;
    };
    const live = async (deadline: number): Promise<CrashingBucket> => {
      const bucket = new CrashingBucket(fixture.bucketFolder, deadline);
      for (let step = 0; step < 3 && !bucket.isDead; step++) {
        const compactor = fixture.compactor({}, { bucket });
        try {
          await compactor.cleanOnce();
          await compactor.compactOnce();
        } catch (error) {
          if (!bucket.isDead) throw error;
        }
        fixture.clock.advance(20 * HOUR);
      }
      return bucket;
    };
    let all = await prepare();
    const { changes } = await live(0);
    const wanted = without(all, POD_A, 0.5, 3);
    expect(await fixture.rawContent()).toEqual(wanted);
    expect(changes).toBeGreaterThan(40);
    for (let deadline = 1; deadline <= changes; deadline += stride) {
      fixture.remove();
      fixture = new TenantFixture();
      all = await prepare();
      const { log } = await live(deadline);
      const place = `at change ${deadline}, ${messageOf(log.at(-1))}`;
      const now = await fixture.rawContent();
      // What was not asked to be deleted is there.
      expect([place, without(now, POD_A, 0.5, 3)]).toEqual([place, wanted]);
      for (let step = 0; step < 4; step++) {
        fixture.clock.advance(26 * HOUR);
        await round();
      }
      expect([place, await fixture.rawContent()]).toEqual([place, wanted]);
      expect([place, (await listDeletions(fixture.bucket, TENANT)).requests]).toEqual([place, []]);
      const claims = (await fixture.bucket.list(`${TENANT}/deletions/`, '/')).objects;
      expect([place, claims]).toEqual([place, []]);
      const counts = [...(await fixture.visible())].map(([resolution, names]) => [resolution, names.length]);
      expect([place, counts]).toEqual([
        place,
        [
          [0, 2],
          [300_000, 2],
          [HOUR, 1],
          [24 * HOUR, 1],
        ],
      ]);
      expect([place, fixture.blockNames().length]).toEqual([place, 6]);
    }
  }, 300_000);
});
