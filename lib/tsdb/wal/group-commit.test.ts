import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { HeadKernel } from '../../kernel/index.js';
import { bitsOf } from '../../kernel/testing/write-request.js';
import { append, HEAD_OPTIONS } from '../head/testing/head-fixture.js';
import { replayOrder } from './directory.js';
import { GroupCommit, type GroupCommitOptions } from './group-commit.js';
import type { LogFile, LogFiles } from './log-files.js';
import { SampleRecordReader } from './records.js';
import { splitPages } from './split-pages.js';
import { WalReader } from './wal-reader.js';

// The log is written to a disk in memory that knows what was synced, fails on command, and loses what was not synced when
// the machine "crashes". What was acknowledged before has to be found by a reader of what is left.

const T0 = 1_700_000_000_000;

type Operation = 'create' | 'write' | 'sync' | 'truncate';

class FakeFile implements LogFile {
  readonly #disk: FakeDisk;
  bytes = Buffer.alloc(0);
  durable = Buffer.alloc(0);

  constructor(disk: FakeDisk) {
    this.#disk = disk;
  }

  async write(bytes: Uint8Array, from: number, position: number): Promise<number> {
    const partial = this.#disk.isFailing('write');
    const count = partial ? Math.floor((bytes.length - from) / 2) : bytes.length - from;
    const grown = Buffer.alloc(Math.max(this.bytes.length, position + count));
    this.bytes.copy(grown);
    grown.set(bytes.subarray(from, from + count), position);
    this.bytes = grown;
    this.#disk.writes++;
    await this.#disk.turn();
    if (partial) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    return count;
  }

  async sync(): Promise<void> {
    const bytes = Buffer.from(this.bytes);
    await this.#disk.turn();
    this.#disk.syncs++;
    if (this.#disk.isFailing('sync'))
      throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
    this.durable = bytes;
  }

  async truncate(byteLength: number): Promise<void> {
    await this.#disk.turn();
    if (this.#disk.isFailing('truncate')) throw new Error('EIO: i/o error, ftruncate');
    const cut = Buffer.alloc(byteLength);
    this.bytes.copy(cut, 0, 0, byteLength);
    this.bytes = cut;
  }

  async close(): Promise<void> {
    await this.#disk.turn();
  }
}

class FakeDisk implements LogFiles {
  readonly files = new Map<string, FakeFile>();
  /** Consumed one by one by the operations named. */
  failures: Operation[] = [];
  writes = 0;
  syncs = 0;

  isFailing(operation: Operation): boolean {
    if (this.failures[0] !== operation) return false;
    this.failures.shift();
    return true;
  }

  turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  async create(path: string): Promise<LogFile> {
    await this.turn();
    if (this.isFailing('create')) throw Object.assign(new Error('ENOSPC: open'), { code: 'ENOSPC' });
    const file = this.files.get(basename(path)) ?? new FakeFile(this);
    file.bytes = Buffer.alloc(0);
    file.durable = Buffer.alloc(0);
    this.files.set(basename(path), file);
    return file;
  }

  /** The times of all samples that a reader finds after a crash now. */
  timesAfterCrash(directory: string, survives: 'durable' | 'bytes'): number[] {
    rmSync(directory, { recursive: true, force: true });
    const made = mkdtempSync(join(tmpdir(), 'varve-commit-'));
    try {
      for (const [name, file] of this.files) writeFileSync(join(made, name), file[survives]);
      const reader = new WalReader(replayOrder(made).segments, { toleratesTear: true });
      const samples = new SampleRecordReader();
      const times: number[] = [];
      while (reader.next()) {
        if (reader.type !== 2) continue;
        samples.reset(2, reader.payload);
        while (samples.next()) times.push(samples.timestampMs);
      }
      reader.close();
      return times;
    } finally {
      rmSync(made, { recursive: true, force: true });
    }
  }
}

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'varve-commit-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

interface Setup {
  readonly head: HeadKernel;
  readonly disk: FakeDisk;
  readonly commit: GroupCommit;
  readonly errors: string[];
}

async function setup(options: Partial<GroupCommitOptions> = {}): Promise<Setup> {
  const disk = new FakeDisk();
  const head = new HeadKernel({ ...HEAD_OPTIONS, memoryBytesMax: 160 * 2 ** 20 });
  const errors: string[] = [];
  const commit = await GroupCommit.open({
    directory,
    source: head,
    sync: 'always',
    syncIntervalMs: 1,
    segmentBytesMax: 2 ** 20,
    firstSegment: 0,
    splitRecords: splitPages,
    files: disk,
    retryMs: 0,
    onError: (error) => errors.push(error.message),
    ...options,
  });
  return { head, disk, commit, errors };
}

let nextTime = T0;

/** Appends samples of new times; their times. */
function appendSamples(head: HeadKernel, count: number): number[] {
  const times = Array.from({ length: count }, () => nextTime++);
  append(head, [
    {
      labels: [['__name__', 'm']],
      samples: times.map((time) => ({ timeMs: BigInt(time), bits: bitsOf(time) })),
    },
  ]);
  return times;
}

async function untilAvailable(commit: GroupCommit): Promise<void> {
  for (let i = 0; i < 1000 && !commit.available; i++) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(commit.available).toBe(true);
}

describe('group commit', () => {
  test('lets requests of one turn share a sync', async () => {
    const { head, disk, commit } = await setup();
    const waits: Promise<void>[] = [];
    for (let i = 0; i < 100; i++) {
      appendSamples(head, 3);
      waits.push(commit.commit());
    }
    await Promise.all(waits);
    expect(disk.syncs).toBe(1);
    expect(disk.timesAfterCrash(directory, 'durable')).toHaveLength(300);
    await commit.commit();
    expect(disk.syncs).toBe(1);
    await commit.close();
    await expect(commit.commit()).rejects.toMatchObject({ code: 'wal-closed', kind: 'unavailable' });
    await expect(commit.rotate()).rejects.toMatchObject({ code: 'wal-closed' });
  });

  test.each(['write', 'sync'] as const)(
    'refuses everybody whose %s failed and recovers by itself',
    async (operation) => {
      const { head, disk, commit, errors } = await setup();
      const safe = appendSamples(head, 10);
      await commit.commit();
      disk.failures = [operation];
      const unsafe = appendSamples(head, 5000);
      const first = commit.commit();
      const second = commit.commit();
      await expect(first).rejects.toMatchObject({ kind: 'unavailable', code: 'wal-unavailable' });
      await expect(second).rejects.toMatchObject({ kind: 'unavailable' });
      expect(errors).toHaveLength(1);
      await expect(commit.commit()).rejects.toMatchObject({ kind: 'unavailable' });
      await expect(commit.rotate()).rejects.toMatchObject({ kind: 'unavailable' });
      expect(disk.timesAfterCrash(directory, 'durable')).toEqual(safe);
      await untilAvailable(commit);
      // The head kept the samples, so they have to be in the log: a repeated request would only meet duplicates.
      const later = appendSamples(head, 10);
      await commit.commit();
      for (const state of ['durable', 'bytes'] as const)
        expect(disk.timesAfterCrash(directory, state)).toEqual([...safe, ...unsafe, ...later]);
      await commit.close();
    },
  );

  test('survives any run of failures: what was acknowledged is found, in order and once', async () => {
    const operation = fc.constantFrom<Operation>('create', 'write', 'sync', 'truncate');
    const step = fc.record({
      samples: fc.integer({ min: 0, max: 2000 }),
      failures: fc.oneof(
        { weight: 3, arbitrary: fc.constant([]) },
        { weight: 2, arbitrary: fc.array(operation, { maxLength: 5 }) },
      ),
      rotates: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const { head, disk, commit } = await setup({ segmentBytesMax: 100_000 });
        const logged: number[] = [];
        let acknowledgedCount = 0;
        for (const { samples, failures, rotates } of steps) {
          disk.failures = failures.slice();
          logged.push(...appendSamples(head, samples));
          const waits: Promise<unknown>[] = [commit.commit()];
          if (rotates) waits.push(commit.rotate());
          const [committed] = await Promise.allSettled(waits);
          if (committed!.status === 'fulfilled') acknowledgedCount = logged.length;
          for (const state of ['durable', 'bytes'] as const) {
            const found = disk.timesAfterCrash(directory, state);
            // A prefix of what was logged, and at least as far as it was acknowledged.
            expect(found).toEqual(logged.slice(0, found.length));
            expect(found.length).toBeGreaterThanOrEqual(acknowledgedCount);
          }
          // A failure that the log has passed by would hit the recovery of another step.
          disk.failures = disk.failures.slice(0, 2);
          if (!commit.available) await untilAvailable(commit);
          disk.failures = [];
        }
        await commit.commit();
        expect(disk.timesAfterCrash(directory, 'durable')).toEqual(logged);
        expect([...disk.files.keys()].sort().at(-1)).toBe(String(commit.segment).padStart(8, '0'));
        await commit.close();
      }),
      { seed: 7, numRuns: 30 },
    );
  }, 60_000);

  test('ends segments with whole pages and begins the next with a record', async () => {
    const { head, disk, commit } = await setup({ segmentBytesMax: 65_536 });
    const times: number[] = [];
    for (let i = 0; i < 60; i++) {
      times.push(...appendSamples(head, 500));
      await commit.commit();
    }
    const segment = await commit.rotate();
    expect(commit.segment).toBe(segment);
    const names = [...disk.files.keys()].sort();
    expect(names.length).toBeGreaterThan(5);
    for (const name of names.slice(0, -1)) {
      const { durable } = disk.files.get(name)!;
      expect(durable.length % 32_768).toBe(0);
      expect(durable[0]! & 7).toBeGreaterThan(0);
      expect(durable[0]! & 7).toBeLessThan(3);
    }
    expect(disk.timesAfterCrash(directory, 'durable')).toEqual(times);
    await commit.close();
  });

  test('does not leave a trail of files while the disk is full', async () => {
    const { head, disk, commit } = await setup();
    disk.failures = Array.from({ length: 30 }, () => 'write' as const);
    appendSamples(head, 10);
    await expect(commit.commit()).rejects.toMatchObject({ kind: 'unavailable' });
    await untilAvailable(commit);
    expect(disk.files.size).toBe(1);
    await commit.close();
  });

  test('acknowledges before the sync in the modes that say so', async () => {
    for (const sync of ['interval', 'none'] as const) {
      const { head, disk, commit } = await setup({ sync });
      const times = appendSamples(head, 10);
      await commit.commit();
      expect(disk.timesAfterCrash(directory, 'bytes')).toEqual(times);
      expect(disk.syncs).toBe(0);
      await commit.close();
      expect(disk.timesAfterCrash(directory, 'durable')).toEqual(times);
    }
  });

  test('closes with an error, but closes, when the last batch cannot be written', async () => {
    const { head, disk, commit } = await setup();
    appendSamples(head, 10);
    disk.failures = ['write'];
    await expect(commit.close()).rejects.toMatchObject({ code: 'wal-unavailable' });
    expect(commit.available).toBe(false);
    await commit.close();
  });
});
