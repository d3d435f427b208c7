import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  listTenant,
  markCopyName,
  markName,
  metaName,
  readBucketIndex,
  readMark,
} from '../bucketindex/index.js';
import { VarveError } from '../errors/index.js';
import type { Logger } from '../telemetry/index.js';
import { Metrics, silentLogger } from '../telemetry/index.js';
import { ThreadEngine } from './engine.js';
import { BEGIN, HOUR, inlineEngine, sampleCount, TENANT, TenantFixture } from './testing/tenant-fixture.js';

const DAY = 24 * HOUR;

let fixture: TenantFixture;
beforeEach(() => {
  fixture = new TenantFixture();
});
afterEach(() => fixture.remove());

async function shape(): Promise<Record<number, number>> {
  return Object.fromEntries(
    [...(await fixture.visible())].map(([resolution, names]) => [resolution, names.length]),
  );
}

describe('the compactor', () => {
  test('merges replicas to one block per range and downsamples to all resolutions', async () => {
    for (let range = 0; range < 12; range++) for (const replica of [0, 1]) fixture.write(range, replica);
    const before = await fixture.rawContent();
    const compactor = fixture.compactor();
    await compactor.cleanOnce();
    expect(await compactor.compactOnce()).toBe(16);
    await compactor.cleanOnce();
    expect(await shape()).toEqual({ 0: 6, 300000: 6, [HOUR]: 3, [DAY]: 1 });
    expect(await fixture.rawContent()).toEqual(before);
    expect(await fixture.storedSamples()).toBe(sampleCount(before));
    expect((await readBucketIndex(fixture.bucket, TENANT))?.deletionMarks.size).toBe(24);
    expect(compactor.jobs().map(({ state }) => state)).toEqual(new Array(16).fill('done'));
    expect(compactor.etaSeconds()).toBe(0);

    fixture.clock.advance(13 * HOUR);
    await compactor.cleanOnce();
    expect(fixture.blockNames().length).toBe(16);
    expect(await fixture.rawContent()).toEqual(before);
    const { orphans, partials } = await listTenant(fixture.bucket, TENANT, null, 0);
    expect([orphans, [...partials]]).toEqual([[], []]);
    expect(await compactor.compactOnce()).toBe(0);
    await compactor.stop();
    expect((await fixture.bucket.list(`${TENANT}/leases/`)).objects).toEqual([]);
    expect((await fixture.bucket.list(`${TENANT}/markers/`)).objects).toEqual([]);
  });

  test("hands a tenant over as soon as it is another compactor's", async () => {
    fixture.write(0);
    let owner = 'x';
    const [x, y] = ['x', 'y'].map((self) =>
      fixture.compactor({ holder: () => self }, { owners: { owns: () => owner === self } }),
    );
    const leasesAfterCleaning = async () => {
      await x!.cleanOnce();
      await y!.cleanOnce();
      return (await fixture.bucket.list(`${TENANT}/leases/cleaner/`)).objects.length;
    };
    expect(await leasesAfterCleaning()).toBe(1);
    const before = (await readBucketIndex(fixture.bucket, TENANT))?.blocks.length;
    owner = 'y';
    fixture.write(1);
    await leasesAfterCleaning();
    const after = (await readBucketIndex(fixture.bucket, TENANT))?.blocks.length;
    expect([before, after]).toEqual([1, 2]);
    await x!.stop();
    await y!.stop();
    expect((await fixture.bucket.list(`${TENANT}/leases/`)).objects).toEqual([]);
  });

  test('works in a thread', async () => {
    for (const replica of [0, 1]) fixture.write(0, replica);
    const before = await fixture.rawContent();
    const compactor = fixture.compactor({}, { engine: new ThreadEngine() });
    expect(await compactor.compactOnce()).toBe(4);
    expect(await shape()).toEqual({ 0: 1, 300000: 1, [HOUR]: 1, [DAY]: 1 });
    expect(await fixture.rawContent()).toEqual(before);
  });

  test('makes a range anew when something comes late', async () => {
    for (const range of [0, 1, 2, 3]) fixture.write(range);
    const compactor = fixture.compactor();
    await compactor.compactOnce();
    await compactor.cleanOnce();
    fixture.write(1, 1);
    const before = await fixture.rawContent();
    // The range, its 5 minutes, the hour and the day above it.
    expect(await compactor.compactOnce()).toBe(4);
    await compactor.cleanOnce();
    expect(await shape()).toEqual({ 0: 2, 300000: 2, [HOUR]: 1, [DAY]: 1 });
    expect(await fixture.rawContent()).toEqual(before);
    expect((await fixture.coarseContent()).has(`${DAY} {__name__="seen_by", replica="1"}`)).toBe(true);
  });

  test('leaves a bucket without jobs alone', async () => {
    const compactor = fixture.compactor();
    await compactor.cleanOnce();
    expect(await compactor.compactOnce()).toBe(0);
    expect((await fixture.bucket.list('')).objects).toEqual([]);
  });

  test('writes the facts of its blocks down', async () => {
    const sources = [fixture.write(0), fixture.write(1)];
    const compactor = fixture.compactor({ downsampling: null });
    await compactor.compactOnce();
    await compactor.cleanOnce();
    const [name] = (await fixture.visible()).get(0)!;
    const meta = JSON.parse(readFileSync(join(fixture.blockFolder(name!), 'meta.json'), 'utf8'));
    expect(meta.compaction.sources).toEqual([...sources].sort());
    expect(meta.thanos.source).toBe('compactor');
    expect(meta.thanos.files.map((file: { rel_path: string }) => file.rel_path)).toEqual([
      'chunks/000001',
      'index',
      'meta.json',
    ]);
    const mark = await readMark(fixture.bucket, TENANT, sources[0]!, 'deletion');
    expect(mark?.details).toBe(`compacted into ${name}`);
    expect(await fixture.bucket.stat(markCopyName(TENANT, sources[0]!, 'deletion'))).not.toBeNull();
  });

  test('answers /compactor/tenants and counts', async () => {
    for (const range of [0, 1]) fixture.write(range);
    const metrics = new Metrics({ withProcessMetrics: false, version: 'test' });
    const compactor = fixture.compactor({}, { metrics });
    await compactor.compactOnce();
    await compactor.cleanOnce();
    const [view] = compactor.tenants();
    expect(view).toMatchObject({
      tenant: TENANT,
      blocks: { raw: 1, '5m': 1, '1h': 1, '1d': 1 },
      markedForDeletion: 2,
    });
    const text = await metrics.render();
    expect(text).toContain('varve_compactor_jobs_completed_total{kind="compact",resolution="raw"} 1');
    expect(text).toContain(`varve_bucket_blocks_count{user="${TENANT}",resolution="5m"} 1`);
    expect(text).toContain('varve_compactor_runs_completed_total 1');
  });
});

describe('a damaged block', () => {
  test('is put aside with a reason, and the rest goes on', async () => {
    const names = [0, 1].map((range) => fixture.write(range));
    const bad = fixture.write(0, 1);
    const intact = await fixture.rawContent();
    const path = join(fixture.blockFolder(bad), 'chunks/000001');
    const bytes = readFileSync(path);
    bytes[bytes.length - 20]! ^= 0xff;
    writeFileSync(path, bytes);
    const errors: { fields: unknown; message: string }[] = [];
    const logger: Logger = {
      ...silentLogger,
      error: (fields, message) => void errors.push({ fields, message }),
    };
    const compactor = fixture.compactor({}, { logger });
    // The first failure may be the way from the bucket; the second one is the block.
    expect(await compactor.compactOnce()).toBe(0);
    expect(await compactor.compactOnce()).toBe(0);
    const mark = await readMark(fixture.bucket, TENANT, bad, 'no-compact');
    expect(mark?.reason).toBe('corrupt-block');
    expect(mark?.details).toContain(bad);
    expect(await fixture.bucket.stat(markName(TENANT, bad, 'no-downsample'))).not.toBeNull();
    expect(errors).toEqual([
      {
        fields: expect.objectContaining({
          block: bad,
          advice: expect.stringContaining('remove no-compact-mark.json'),
        }),
        message: 'block is damaged and is left out from now on',
      },
    ]);
    expect(await compactor.compactOnce()).toBe(4);
    await compactor.cleanOnce();
    const raw = (await fixture.visible()).get(0)!;
    expect(raw).toContain(bad);
    expect(raw.length).toBe(2);
    rmSync(fixture.blockFolder(bad), { recursive: true });
    const left = await fixture.rawContent();
    for (const name of names) expect(raw).not.toContain(name);
    expect(left.get('{__name__="requests_total", pod="a"}')).toEqual(
      intact.get('{__name__="requests_total", pod="a"}'),
    );
  });

  test.each(['index', 'chunks/000001'])('is put aside when its %s is missing or cut off', async (file) => {
    const bad = fixture.write(0, 1);
    fixture.write(0);
    fixture.write(1);
    const path = join(fixture.blockFolder(bad), file);
    writeFileSync(path, readFileSync(path).subarray(0, 100));
    const compactor = fixture.compactor();
    for (let i = 0; i < 3; i++) await compactor.compactOnce();
    expect((await readMark(fixture.bucket, TENANT, bad, 'no-compact'))?.reason).toBe('corrupt-block');
    expect(await shape()).toMatchObject({ 300000: 1, [HOUR]: 1 });
  });

  test('with an unreadable meta.json is left where it is', async () => {
    const bad = fixture.write(0, 1);
    fixture.write(0);
    fixture.write(1);
    writeFileSync(join(fixture.blockFolder(bad), 'meta.json'), '{');
    const compactor = fixture.compactor();
    await compactor.cleanOnce();
    await compactor.compactOnce();
    fixture.clock.advance(1000 * DAY);
    await compactor.cleanOnce();
    expect(fixture.blockNames()).toContain(bad);
    expect(compactor.tenants()[0]?.partials).toEqual([bad]);
  });

  test.each([
    ['internal', 60_000],
    ['unavailable', 5000],
  ] as const)('is tried again after %s failures, less and less often', async (kind, firstMs) => {
    for (const range of [0, 1]) fixture.write(range);
    let calls = 0;
    const engine = {
      ...inlineEngine,
      run: async () => {
        calls++;
        throw new VarveError(kind, 'compaction-failed', 'no');
      },
    };
    const compactor = fixture.compactor({}, { engine });
    for (const [waits, expected] of [
      [0, 1],
      [0, 1],
      [1, 2],
      [1, 2],
      [1, 3],
      [3, 3],
      [1, 4],
    ] as const) {
      fixture.clock.advance(waits * firstMs);
      await compactor.compactOnce();
      expect(calls).toBe(expected);
    }
  });
});

describe('the cleaner', () => {
  test('applies the retention of each resolution', async () => {
    for (let range = 0; range < 4; range++) fixture.write(range);
    const end = BEGIN + 8 * HOUR;
    const ageMs = fixture.clock.nowMs() - end;
    const limits = { retentionRawMs: ageMs - HOUR, retention5mMs: ageMs + DAY };
    const compactor = fixture.compactor({}, { limits });
    await compactor.compactOnce();
    expect(await shape()).toEqual({ 0: 2, 300000: 2, [HOUR]: 1, [DAY]: 1 });
    await compactor.cleanOnce();
    fixture.clock.advance(7 * HOUR);
    expect(await shape()).toEqual({ 300000: 2, [HOUR]: 1, [DAY]: 1 });
    fixture.clock.advance(6 * HOUR);
    await compactor.cleanOnce();
    expect(fixture.blockNames().length).toBe(4);
    fixture.clock.advance(2 * DAY);
    await compactor.cleanOnce();
    fixture.clock.advance(DAY);
    await compactor.cleanOnce();
    expect(await shape()).toEqual({ [HOUR]: 1, [DAY]: 1 });
    expect(fixture.blockNames().length).toBe(2);
  });

  test('deletes uploads that nobody goes on with, after the delay', async () => {
    const name = fixture.write(0);
    rmSync(join(fixture.blockFolder(name), 'meta.json'));
    const compactor = fixture.compactor();
    await compactor.cleanOnce();
    expect(compactor.tenants()[0]?.partials).toEqual([name]);
    expect(existsSync(fixture.blockFolder(name))).toBe(true);
    fixture.clock.advance(25 * HOUR);
    await compactor.cleanOnce();
    expect(existsSync(fixture.blockFolder(name))).toBe(false);
  });

  test('makes a damaged index anew', async () => {
    fixture.write(0);
    await fixture.bucket.put(`${TENANT}/bucket-index.json.gz`, Buffer.from('no gzip'));
    await fixture.compactor().cleanOnce();
    expect((await readBucketIndex(fixture.bucket, TENANT))?.blocks.length).toBe(1);
  });

  test('writes the index again when it is old, and not otherwise', async () => {
    fixture.write(0);
    const compactor = fixture.compactor();
    await compactor.cleanOnce();
    const first = (await readBucketIndex(fixture.bucket, TENANT))!.updatedAt;
    fixture.clock.advance(300_000);
    await compactor.cleanOnce();
    expect((await readBucketIndex(fixture.bucket, TENANT))!.updatedAt).toBe(first);
    fixture.clock.advance(300_000);
    await compactor.cleanOnce();
    expect((await readBucketIndex(fixture.bucket, TENANT))!.updatedAt).toBe(first + 600);
  });

  test('gives marks that stand in a block only their copies', async () => {
    const name = fixture.write(0);
    fixture.write(1);
    const mark = { id: name, version: 1, no_compact_time: 1, reason: 'manual' };
    await fixture.bucket.put(markName(TENANT, name, 'no-compact'), Buffer.from(JSON.stringify(mark)));
    const compactor = fixture.compactor({ downsampling: null });
    await compactor.cleanOnce();
    expect(await fixture.bucket.stat(markCopyName(TENANT, name, 'no-compact'))).not.toBeNull();
    expect(await compactor.compactOnce()).toBe(0);
  });

  test('deletes a tenant: index and blocks, then everything', async () => {
    fixture.write(0);
    fixture.write(1);
    const compactor = fixture.compactor();
    await compactor.cleanOnce();
    await compactor.markTenant(TENANT);
    expect(await compactor.tenantDeletion(TENANT)).toEqual({ isMarked: true, blocksDeleted: false });
    await compactor.cleanOnce();
    expect(await readBucketIndex(fixture.bucket, TENANT)).toBeNull();
    expect(await fixture.bucket.stat(metaName(TENANT, 'x'))).toBeNull();
    expect(await compactor.tenantDeletion(TENANT)).toEqual({ isMarked: true, blocksDeleted: true });
    expect(await compactor.compactOnce()).toBe(0);
    fixture.clock.advance(7 * HOUR);
    await compactor.cleanOnce();
    expect((await fixture.bucket.list('')).objects).toEqual([]);
  });
});
