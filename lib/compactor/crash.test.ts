import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { messageOf } from '../errors/index.js';
import type { Content } from '../tsdb/compact/testing/model-blocks.js';
import { CrashingBucket } from './testing/crashing-bucket.js';
import { HOUR, sampleCount, TenantFixture } from './testing/tenant-fixture.js';

/**
 * A compactor dies at every single change it makes to the bucket, once per run: merging of replicas, downsampling,
 * marks, index, deletion. After the death a reader must see every sample; a restarted compactor must bring the bucket
 * to the same state as one that never died. By default only every sixth change is tried, which takes some seconds; with
 * VARVE_CRASH_POINTS=all every one.
 */
const STRIDE = process.env['VARVE_CRASH_POINTS'] === 'all' ? 1 : 6;

let fixture: TenantFixture;
beforeEach(() => {
  fixture = new TenantFixture();
});
afterEach(() => fixture.remove());

interface Life {
  readonly bucket: CrashingBucket;
  readonly death: string;
}

/** Two rounds with the deletion of what the first one replaced. */
async function live(deadline: number): Promise<Life> {
  const bucket = new CrashingBucket(fixture.bucketFolder, deadline);
  const compactor = fixture.compactor({}, { bucket });
  const steps = [
    () => compactor.cleanOnce(),
    () => compactor.compactOnce(),
    () => compactor.cleanOnce(),
    async () => fixture.clock.advance(13 * HOUR),
    () => compactor.cleanOnce(),
    () => compactor.compactOnce(),
  ];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      if (!bucket.isDead) throw error;
    }
    if (bucket.isDead) return { bucket, death: messageOf(bucket.log.at(-1)) };
  }
  return { bucket, death: '' };
}

function write(): void {
  for (let range = 0; range < 4; range++) for (const replica of [0, 1]) fixture.write(range, replica);
}

async function finalState(expected: Content): Promise<unknown> {
  const visible = await fixture.visible();
  expect(await fixture.rawContent()).toEqual(expected);
  expect(await fixture.storedSamples()).toBe(sampleCount(expected));
  return {
    blocks: [...visible].map(([resolution, names]) => [resolution, names.length]),
    total: fixture.blockNames().length,
    coarse: await fixture.coarseContent(),
    others: (await fixture.bucket.list('')).objects.filter(
      (name) => /markers|leases/.test(name) && !name.includes('cleaner'),
    ),
  };
}

describe('a compactor that dies', () => {
  test('loses and doubles nothing, at whichever change it dies', async () => {
    write();
    const expected = await fixture.rawContent();
    const { bucket } = await live(0);
    const wanted = await finalState(expected);
    expect(wanted).toMatchObject({
      blocks: [
        [0, 2],
        [300_000, 2],
        [HOUR, 1],
        [24 * HOUR, 1],
      ],
      total: 6,
      others: [],
    });
    const changes = bucket.changes;
    expect(changes).toBeGreaterThan(80);
    for (let deadline = 1; deadline <= changes; deadline += STRIDE) {
      fixture.remove();
      fixture = new TenantFixture();
      write();
      const { death } = await live(deadline);
      const place = `at change ${deadline}, ${death}`;
      expect([place, await fixture.rawContent()]).toEqual([place, expected]);
      // Long enough for deletions and for the removal of partial blocks.
      const compactor = fixture.compactor();
      await compactor.cleanOnce();
      await compactor.compactOnce();
      await compactor.cleanOnce();
      expect([place, await fixture.rawContent()]).toEqual([place, expected]);
      fixture.clock.advance(25 * HOUR);
      await compactor.cleanOnce();
      await compactor.compactOnce();
      await compactor.stop();
      expect([place, await finalState(expected)]).toEqual([place, wanted]);
    }
  }, 300_000);
});

describe('three compactors at once', () => {
  test('do no job twice and lose nothing', async () => {
    for (let range = 0; range < 12; range++) for (const replica of [0, 1]) fixture.write(range, replica);
    const expected = await fixture.rawContent();
    const three = ['x', 'y', 'z'].map((holder) => fixture.compactor({ holder: () => holder }));
    let done = 0;
    for (let round = 0; round < 10; round++) {
      const counts = await Promise.all(
        three.map(async (compactor) => {
          await compactor.cleanOnce();
          return compactor.compactOnce();
        }),
      );
      const sum = counts.reduce((total, count) => total + count, 0);
      expect(await fixture.rawContent()).toEqual(expected);
      done += sum;
      if (sum === 0) break;
    }
    expect(done).toBe(16);
    fixture.clock.advance(13 * HOUR);
    // The clean leases of the others have expired meanwhile; whoever has them does it.
    for (const compactor of three) await compactor.cleanOnce();
    await finalState(expected);
    expect(fixture.blockNames().length).toBe(16);
    const makers = three.filter((compactor) => compactor.jobs().some(({ state }) => state === 'done'));
    expect(makers.length).toBeGreaterThan(1);
  }, 60_000);

  test('take over what a dead one left, after the lease expired', async () => {
    for (const range of [0, 1]) fixture.write(range);
    const bucket = new CrashingBucket(fixture.bucketFolder, 3);
    await fixture
      .compactor({ holder: () => 'x' }, { bucket })
      .compactOnce()
      .catch(() => 0);
    const other = fixture.compactor({ holder: () => 'y' });
    expect(await other.compactOnce()).toBe(0);
    fixture.clock.advance(11 * 60_000);
    expect(await other.compactOnce()).toBe(4);
  });
});
