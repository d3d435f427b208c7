import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { deleteBlock } from '../blocktransfer/index.js';
import { type Bucket, FolderBucket } from '../bucket/index.js';
import { listTenant, removeTenantMark, writeMark, writeTenantMark } from '../bucketindex/index.js';
import { VarveError } from '../errors/index.js';
import { type BucketScript, ScriptedBucket } from './testing/scripted-bucket.js';
import { HOUR, type Life, metricOf, NOW_MS, ShipFixture } from './testing/ship-fixture.js';

let fixture: ShipFixture;
const shippers: Life['shipper'][] = [];
beforeEach(() => {
  fixture = new ShipFixture();
});
afterEach(async () => {
  for (const shipper of shippers.splice(0)) await shipper.stop();
  fixture.remove();
});

const MINUTE = 60_000;

/** A process from its start on, when its first round is over. */
async function begin(bucket?: Bucket, options?: Parameters<ShipFixture['live']>[1]): Promise<Life> {
  const life = await fixture.live(bucket, options);
  shippers.push(life.shipper);
  await life.shipper.start();
  await life.shipper.round();
  return life;
}

function scripted(script?: BucketScript): ScriptedBucket {
  return new ScriptedBucket(fixture.bucketFolder, script);
}

function unavailable(code = 'bucket-unavailable'): VarveError {
  return new VarveError('unavailable', code, 'injected');
}

async function pass(life: Life, ms: number): Promise<void> {
  fixture.clock.advance(ms);
  await life.shipper.round();
  await life.blocks.settled();
}

function shippedList(tenant: string): unknown {
  return JSON.parse(readFileSync(join(fixture.blocksFolder, tenant, 'thanos.shipper.json'), 'utf8'));
}

describe('storing', () => {
  test('chunks and index first, meta.json last, oldest block first', async () => {
    const names = [fixture.write('t'), fixture.write('t')];
    const bucket = scripted();
    await begin(bucket);
    const puts = bucket.calls.filter((call) => call.startsWith('put'));
    const files = ['chunks/000001', 'chunks/000002', 'index', 'meta.json'];
    expect(puts).toEqual(names.flatMap((ulid) => files.map((file) => `put t/${ulid}/${file}`)));
    expect(fixture.faults('t', fixture.blocksFolder)).toEqual([]);
    expect(shippedList('t')).toEqual({ version: 1, uploaded: names });
  });

  test('meta.json says what Thanos and Cortex look for', async () => {
    const ulid = fixture.write('t', 123, 1);
    await begin();
    const meta = JSON.parse(readFileSync(join(fixture.bucketFolder, 't', ulid, 'meta.json'), 'utf8'));
    expect(meta).toEqual({
      ulid,
      minTime: NOW_MS,
      maxTime: NOW_MS + 2 * HOUR,
      stats: { numSamples: 10, numSeries: 2, numChunks: 2 },
      compaction: { level: 1, sources: [ulid] },
      version: 1,
      thanos: {
        version: 1,
        labels: {},
        downsample: { resolution: 0 },
        source: 'receive',
        files: [
          { rel_path: 'chunks/000001', size_bytes: 123 },
          { rel_path: 'index', size_bytes: 123 },
          { rel_path: 'meta.json' },
        ],
        upload_time: new Date(NOW_MS).toISOString(),
      },
    });
    expect((await listTenant(fixture.bucket(), 't', null, NOW_MS)).index.blocks).toMatchObject([
      { ulid, segmentCount: 1, facts: { source: 'receive', bytes: 246 } },
    ]);
  });

  test('a thanos section that is there stays', async () => {
    const ulid = fixture.write('t');
    const file = join(fixture.blocksFolder, 't', ulid, 'meta.json');
    const meta = JSON.parse(readFileSync(file, 'utf8'));
    const thanos = {
      labels: { replica: 'a' },
      downsample: { resolution: 0 },
      source: 'upload',
      index_stats: { series_max_size: 77, chunk_max_size: 88 },
    };
    writeFileSync(file, JSON.stringify({ ...meta, thanos }));
    await begin();
    const { index } = await listTenant(fixture.bucket(), 't', null, NOW_MS);
    expect(index.blocks).toMatchObject([
      { seriesBytesMax: 77, chunkBytesMax: 88, facts: { labels: { replica: 'a' }, source: 'upload' } },
    ]);
  });

  test('a new block is stored when its tenant is kicked, without a round', async () => {
    const life = await begin();
    const ulid = fixture.write('t');
    await life.blocks.add('t', [{ ulid }]);
    life.shipper.kick('t');
    await life.shipper.shipNow('t');
    expect(fixture.published('t')).toEqual([ulid]);
    expect(await metricOf(life.metrics, 'varve_ingester_shipper_uploads_total')).toBe(1);
    expect(
      await metricOf(life.metrics, 'varve_ingester_shipper_last_successful_upload_timestamp_seconds'),
    ).toBe(NOW_MS / 1000);
  });

  test('a block that is complete in the bucket is not sent again', async () => {
    const ulid = fixture.write('t');
    await begin();
    for (const list of ['kept', 'lost', 'damaged']) {
      const file = join(fixture.blocksFolder, 't', 'thanos.shipper.json');
      if (list === 'lost') rmSync(file);
      if (list === 'damaged') writeFileSync(file, '{"version":1,"upl');
      const bucket = scripted();
      await begin(bucket);
      expect(bucket.calls.filter((call) => call.startsWith('put'))).toEqual([]);
      expect(shippedList('t')).toEqual({
        version: 1,
        uploaded: list === 'kept' ? [ulid] : expect.any(Array),
      });
    }
  });

  test('two processes with the same block leave one whole block', async () => {
    const names = [fixture.write('t'), fixture.write('t'), fixture.write('t')];
    const lives = await Promise.all([fixture.live(), fixture.live()]);
    await Promise.all(lives.map(({ shipper }) => shipper.round()));
    expect(fixture.published('t')).toEqual(names);
    expect(fixture.faults('t', fixture.blocksFolder)).toEqual([]);
    for (const { shipper } of lives) await shipper.stop();
  });

  test('what the list names but the bucket does not have is stored again', async () => {
    const ulid = fixture.write('t');
    await (await begin()).shipper.stop();
    rmSync(fixture.bucketFolder, { recursive: true });
    await begin();
    expect(fixture.published('t')).toEqual([ulid]);
    expect(fixture.messages('warn')).toEqual([expect.stringContaining('is it the right bucket?')]);
  });

  test('what the list names is not stored again when another block covers it', async () => {
    const ulid = fixture.write('t');
    await (await begin()).shipper.stop();
    await deleteBlock(fixture.bucket(), 't', ulid);
    fixture.listed.add(ulid);
    const life = await begin();
    expect(fixture.published('t')).toEqual([]);
    await pass(life, 10 * MINUTE);
    expect(fixture.local('t')).toEqual([]);
  });
});

describe('deaths', () => {
  test('at every call of the bucket: the next life completes everything, and meta.json is never first', async () => {
    const copies = join(fixture.folder, 'copies');
    for (let deadline = 1; ; deadline++) {
      rmSync(fixture.bucketFolder, { recursive: true, force: true });
      rmSync(fixture.blocksFolder, { recursive: true, force: true });
      const names = [fixture.write('t'), fixture.write('t')];
      cpSync(fixture.blocksFolder, copies, { recursive: true });
      for (const name of names) fixture.listed.add(name);
      const isDead = (n: number) => n >= deadline;
      const dying = scripted((_, n) => {
        if (isDead(n)) throw unavailable();
      });
      const first = await begin(dying);
      await pass(first, 10 * MINUTE);
      const lived = !isDead(dying.calls.length);
      expect(fixture.faults('t', copies)).toEqual([]);
      const safe = new Set([...fixture.local('t'), ...fixture.published('t')]);
      expect([...safe].sort()).toEqual(names);
      await first.shipper.stop();

      const second = await begin();
      expect(fixture.published('t')).toEqual(names);
      expect(fixture.faults('t', copies)).toEqual([]);
      expect((await listTenant(fixture.bucket(), 't', null, NOW_MS)).partials.size).toBe(0);
      await pass(second, 0);
      await pass(second, 10 * MINUTE);
      expect(fixture.local('t')).toEqual([]);
      await second.shipper.stop();
      if (lived) return;
    }
  });

  test('a stop does not wait for a slow store, and does not publish afterwards', async () => {
    const ulid = fixture.write('t');
    let release = () => {};
    const stuck = new Promise<void>((resolve) => {
      release = resolve;
    });
    let reached = () => {};
    const atIndex = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const bucket = scripted((call) => {
      if (!call.endsWith('/index')) return;
      reached();
      return stuck;
    });
    const life = await fixture.live(bucket);
    await life.shipper.start();
    const shipped = life.shipper.shipNow('t');
    await atIndex;
    const stopped = life.shipper.stop();
    await expect(shipped).rejects.toMatchObject({ code: 'shipper-stopped' });
    await stopped;
    release();
    await expect(life.shipper.shipNow('t')).rejects.toMatchObject({ code: 'shipper-stopped' });
    expect(fixture.published('t')).toEqual([]);
    await begin();
    expect(fixture.published('t')).toEqual([ulid]);
  });
});

describe('failures', () => {
  test('are repeated for ever with growing pauses, and told once a minute', async () => {
    fixture.write('t');
    const cutMs = fixture.clock.nowMs();
    let isUp = false;
    const bucket = scripted(() => {
      if (!isUp) throw unavailable();
    });
    const life = await begin(bucket);
    for (let i = 0; i < 360; i++) await pass(life, 10_000);
    const failures = await metricOf(life.metrics, 'varve_ingester_shipper_upload_failures_total');
    // 10, 20, 40, then every 60 seconds of an hour.
    expect(failures).toBeGreaterThan(55);
    expect(failures).toBeLessThan(65);
    expect(fixture.messages('error').length).toBeGreaterThan(55);
    expect(fixture.messages('error').length).toBeLessThan(65);
    expect(fixture.lines.at(-1)).toMatchObject({
      tenants: ['t'],
      tenantCount: 1,
      blocks: 1,
      bytes: 3000,
      since: new Date(cutMs).toISOString(),
      code: 'bucket-unavailable',
      message: expect.stringContaining('check that it can be reached'),
    });
    expect(await metricOf(life.metrics, 'varve_ingester_shipper_unshipped_blocks{user="t"}')).toBe(1);
    expect(await metricOf(life.metrics, 'varve_ingester_shipper_unshipped_bytes{user="t"}')).toBe(3000);
    expect(
      await metricOf(life.metrics, 'varve_ingester_shipper_oldest_unshipped_timestamp_seconds{user="t"}'),
    ).toBeGreaterThan(1.7e9);
    isUp = true;
    await pass(life, MINUTE);
    expect(fixture.published('t').length).toBe(1);
    expect(fixture.messages('info').at(-1)).toBe('local blocks are stored in the bucket again');
    expect(await metricOf(life.metrics, 'varve_ingester_shipper_unshipped_blocks{user="t"}')).toBe(null);
  });

  test('a store that refuses is an operator’s matter', async () => {
    fixture.write('t');
    await begin(
      scripted((call) => {
        if (call.startsWith('put')) throw unavailable('bucket-refused');
      }),
    );
    expect(fixture.messages('error')).toEqual([expect.stringContaining('correct the credentials')]);
  });

  test('of one tenant don’t hold up the others', async () => {
    for (const tenant of ['a', 'b', 'c', 'd', 'e', 'f']) fixture.write(tenant);
    const bucket = scripted((call) => {
      if (/ (?:a|b)\//.test(call)) throw unavailable();
    });
    await begin(bucket, { concurrency: 1 });
    expect(['a', 'b', 'c', 'd', 'e', 'f'].map((tenant) => fixture.published(tenant).length)).toEqual([
      0, 0, 1, 1, 1, 1,
    ]);
  });

  test('of one block don’t hold up the others of its tenant', async () => {
    const names = Array.from({ length: 4 }, () => fixture.write('t'));
    const life = await begin(
      scripted((call) => {
        if (call.includes(names[0]!)) throw unavailable();
      }),
    );
    await pass(life, 10_000);
    expect(fixture.published('t')).toEqual(names.slice(1));
    expect(await metricOf(life.metrics, 'varve_ingester_shipper_unshipped_blocks{user="t"}')).toBe(1);
  });

  test('a local file that cannot be read is named', async () => {
    const ulid = fixture.write('t');
    const life = await fixture.live();
    shippers.push(life.shipper);
    rmSync(join(fixture.blocksFolder, 't', ulid, 'index'));
    await life.shipper.round();
    expect(fixture.lines.at(-1)).toMatchObject({ level: 'error', error: expect.stringContaining('index') });
  });

  test('a backlog of one tenant leaves turns to the others', async () => {
    for (let i = 0; i < 5; i++) fixture.write('a');
    const b = fixture.write('b');
    const bucket = scripted();
    await begin(bucket, { concurrency: 1 });
    const published = bucket.calls.filter((call) => /^put .*meta.json$/.test(call));
    expect(published.findIndex((call) => call.includes(b))).toBeLessThan(2);
    expect(published.length).toBe(6);
  });
});

describe('shipNow', () => {
  test('rejects with the first failure, goes on trying, and does not keep to pauses', async () => {
    const names = [fixture.write('t'), fixture.write('t')];
    let isUp = false;
    const life = await begin(
      scripted(() => {
        if (!isUp) throw unavailable();
      }),
    );
    await expect(life.shipper.shipNow('t')).rejects.toMatchObject({ code: 'bucket-unavailable' });
    isUp = true;
    await life.shipper.shipNow('');
    expect(fixture.published('t')).toEqual(names);
    await life.shipper.shipNow('t');
    await life.shipper.shipNow('nobody');
  });
});

describe('deletion here', () => {
  test('only after the block was listed and the retention is over', async () => {
    const names = [fixture.write('t'), fixture.write('t')];
    const life = await begin();
    await pass(life, 24 * HOUR);
    expect(fixture.local('t')).toEqual(names);
    fixture.listed.add(names[0]!);
    await pass(life, 0);
    await pass(life, 10 * MINUTE - 1);
    expect(fixture.local('t')).toEqual(names);
    await pass(life, 1);
    expect(fixture.local('t')).toEqual([names[1]]);
    expect(fixture.messages('warn')[0]).toContain('is a compactor running?');
  });

  test('not while the index cannot be read', async () => {
    const ulid = fixture.write('t');
    const life = await begin();
    fixture.listed.add(ulid);
    const has = fixture.listed.has.bind(fixture.listed);
    fixture.listed.has = () => {
      throw unavailable('bucket-index-stale');
    };
    await pass(life, HOUR);
    await pass(life, HOUR);
    expect(fixture.local('t')).toEqual([ulid]);
    expect(fixture.messages('warn')[0]).toContain('index cannot be used');
    fixture.listed.has = has;
    await pass(life, 0);
    await pass(life, 10 * MINUTE);
    expect(fixture.local('t')).toEqual([]);
  });

  test('a block that retention marked before it was listed goes', async () => {
    const ulid = fixture.write('t');
    const life = await begin();
    await writeMark(fixture.bucket(), 't', 'deletion', { ulid, timeSeconds: 1, details: '', reason: '' });
    await pass(life, 5 * MINUTE);
    expect(fixture.messages('info').at(-1)).toContain('deleted in the bucket before it was listed');
    await pass(life, 10 * MINUTE);
    expect(fixture.local('t')).toEqual([]);
  });

  test('a block that a store lost is stored again, but not for ever', async () => {
    const ulid = fixture.write('t');
    const life = await begin();
    for (let i = 0; i < 3; i++) {
      await deleteBlock(fixture.bucket(), 't', ulid);
      await pass(life, 5 * MINUTE);
      await pass(life, 0);
      expect(fixture.published('t')).toEqual([ulid]);
    }
    await deleteBlock(fixture.bucket(), 't', ulid);
    await pass(life, 5 * MINUTE);
    await pass(life, 10 * MINUTE);
    expect(fixture.published('t')).toEqual([]);
    expect(fixture.local('t')).toEqual([]);
  });

  test.each([
    ['lost', (file: string) => rmSync(file)],
    ['shorter', (file: string) => truncateSync(file, 10)],
  ])('a file that is %s in the bucket is found before the copy here goes', async (_, damage) => {
    const ulid = fixture.write('t');
    const life = await begin();
    fixture.listed.add(ulid);
    await pass(life, 0);
    damage(join(fixture.bucketFolder, 't', ulid, 'chunks/000002'));
    await pass(life, 10 * MINUTE);
    await pass(life, 0);
    expect(fixture.local('t')).toEqual([ulid]);
    expect(fixture.faults('t', fixture.blocksFolder)).toEqual([]);
    await pass(life, 10 * MINUTE);
    expect(fixture.local('t')).toEqual([]);
  });

  test('a held block keeps its files', async () => {
    const ulid = fixture.write('t');
    const life = await begin();
    const hold = life.blocks.hold('t', 0, Number.POSITIVE_INFINITY);
    fixture.listed.add(ulid);
    await pass(life, 0);
    await pass(life, 10 * MINUTE);
    expect(life.blocks.blocksOf('t')).toEqual([]);
    expect(existsSync(join(hold.blocks[0]!.directory, 'index'))).toBe(true);
    hold.release();
    await life.blocks.settled();
    expect(fixture.local('t')).toEqual([]);
  });
});

describe('a tenant that is deleted', () => {
  test('is not shipped; its local blocks go', async () => {
    fixture.write('t');
    const other = fixture.write('u');
    const bucket = fixture.bucket();
    await writeTenantMark(bucket, 't', { deletionTime: 1, finishedTime: 0 });
    const life = await begin();
    await life.blocks.settled();
    expect([fixture.published('t'), fixture.local('t'), fixture.published('u')]).toEqual([[], [], [other]]);
    await removeTenantMark(bucket, 't');
    const later = fixture.write('t');
    await life.blocks.add('t', [{ ulid: later }]);
    await life.shipper.shipNow('t');
    expect(fixture.published('t')).toEqual([later]);
  });

  test('after its blocks were shipped', async () => {
    const ulid = fixture.write('t');
    const life = await begin();
    await writeTenantMark(fixture.bucket(), 't', { deletionTime: 1, finishedTime: 0 });
    await deleteBlock(new FolderBucket(fixture.bucketFolder), 't', ulid);
    await pass(life, 5 * MINUTE);
    expect([fixture.published('t'), fixture.local('t')]).toEqual([[], []]);
    expect(fixture.messages('warn')).toEqual([expect.stringContaining('tenant is marked for deletion')]);
  });
});

test('a folder that is no tenant, and files beside blocks, are left alone', async () => {
  mkdirSync(join(fixture.blocksFolder, '__markers__'), { recursive: true });
  fixture.write('t');
  writeFileSync(join(fixture.blocksFolder, 't', 'notes.txt'), 'x');
  const life = await begin();
  expect(life.blocks.tenants()).toEqual(['t']);
  expect(existsSync(join(fixture.blocksFolder, 't', 'notes.txt'))).toBe(true);
});
