import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { FolderBucket } from '../bucket/index.js';
import { ManualClock } from '../clock/index.js';
import { LeaseTaker } from './lease.js';
import { SharedOwners, soleOwner } from './owners.js';

const EXPIRY_MS = 600_000;
let folder = '';
let bucket: FolderBucket;
let clock: ManualClock;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-lease-'));
  bucket = new FolderBucket(folder);
  clock = new ManualClock(1_700_000_000_000);
});
afterEach(() => rmSync(folder, { recursive: true }));

function taker(holder: string): LeaseTaker {
  return new LeaseTaker(bucket, clock, { holder: () => holder, expiryMs: EXPIRY_MS });
}

describe('a lease', () => {
  test('has one holder at a time and can be given back', async () => {
    const [a, b] = [taker('a'), taker('b')];
    const lease = await a.take('t', 'job');
    expect(await lease?.isHeld()).toBe(true);
    expect(await b.take('t', 'job')).toBeNull();
    expect(await a.take('t', 'job')).toBeNull();
    expect(await b.take('t', 'other')).not.toBeNull();
    await lease?.release();
    expect((await bucket.list('t/leases/job/')).objects).toEqual([]);
    expect(await b.take('t', 'job')).not.toBeNull();
  });

  test('goes to one of many who want it at once', async () => {
    for (let round = 0; round < 5; round++) {
      const takers = Array.from({ length: 8 }, (_, i) => taker(`c${i}`));
      const taken = await Promise.all(takers.map((one) => one.take('t', `job${round}`)));
      expect(taken.filter((lease) => lease !== null).length).toBe(1);
    }
  });

  test('lives by its heartbeat', async () => {
    const [a, b] = [taker('a'), taker('b')];
    const lease = (await a.take('t', 'job'))!;
    for (let i = 0; i < 5; i++) {
      clock.advance(EXPIRY_MS - 1);
      expect(await lease.beat()).toBe(true);
      expect(await b.take('t', 'job')).toBeNull();
    }
    clock.advance(EXPIRY_MS + 1);
    const other = (await b.take('t', 'job'))!;
    expect(await lease.isHeld()).toBe(false);
    expect(await lease.beat()).toBe(false);
    await lease.release();
    expect(await other.isHeld()).toBe(true);
    expect(await a.take('t', 'job')).toBeNull();
  });

  test('is gone on with at once by the same process after a restart', async () => {
    const before = (await taker('a').take('t', 'job'))!;
    const after = await taker('a').take('t', 'job');
    expect(after).not.toBeNull();
    expect(await before.beat()).toBe(false);
  });

  test('that was left over is swept away, one in use is not', async () => {
    const a = taker('a');
    const lease = (await a.take('t', 'used'))!;
    await taker('a').take('t', 'of an earlier life');
    await taker('b').take('t', 'of another');
    await bucket.put('t/leases/damaged/000000001', Buffer.from('{'));
    await a.sweep('t');
    expect((await bucket.list('t/leases/')).objects.length).toBe(2);
    clock.advance(EXPIRY_MS + 1);
    await lease.beat();
    await taker('c').sweep('t');
    expect((await bucket.list('t/leases/')).objects).toEqual(['t/leases/used/000000001']);
  });

  test('is not swept away while it is being taken', async () => {
    class SweepingBucket extends FolderBucket {
      override async putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean> {
        const isStored = await super.putIfAbsent(name, bytes);
        await one.sweep('t');
        return isStored;
      }
    }
    const sweeping = new SweepingBucket(folder);
    const one = new LeaseTaker(sweeping, clock, { holder: () => 'a', expiryMs: EXPIRY_MS });
    expect(await (await one.take('t', 'job'))?.isHeld()).toBe(true);
  });
});

describe('ownership', () => {
  test('gives each key to one live compactor, and moves few keys when one goes', () => {
    let members = ['a', 'b', 'c'];
    const owners = members.map(
      (self) =>
        new SharedOwners(
          () => self,
          () => members,
        ),
    );
    const keys = Array.from({ length: 600 }, (_, i) => `tenant-${i}`);
    const ownerOf = (key: string) => owners.flatMap((one, i) => (one.owns(key) ? ['abc'[i]!] : []));
    const before = keys.map(ownerOf);
    expect(before.every((found) => found.length === 1)).toBe(true);
    for (const name of 'abc') expect(before.filter(([owner]) => owner === name).length).toBeGreaterThan(150);
    members = ['a', 'b'];
    const after = keys.map(ownerOf);
    expect(after.every(([owner], i) => owner === before[i]![0] || before[i]![0] === 'c')).toBe(true);
    expect(soleOwner.owns('x')).toBe(true);
  });
});
