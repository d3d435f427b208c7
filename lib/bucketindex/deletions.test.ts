import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Bucket, FolderBucket } from '../bucket/index.js';
import { ManualClock } from '../clock/index.js';
import { VarveError } from '../errors/index.js';
import { parseRetentionRules } from '../limits/index.js';
import type { IndexedBlock } from './bucket-index.js';
import { DeletionCatalog } from './deletion-catalog.js';
import { deletionRules, listChecked, noteChecked, openRules, ruleProgress } from './deletion-rules.js';
import {
  beginDeletion,
  cancelDeletion,
  createDeletion,
  decodeDeletion,
  encodeDeletion,
  endDeletion,
  listDeletions,
  makeDeletion,
} from './deletions.js';

const ID = '01HF0000000000000000000001';
const OTHER = '01HF0000000000000000000002';
const NAME = `t/deletions/${ID}.json`;
const NOW_MS = 1_700_000_000_000;

let folder: string;
let bucket: FolderBucket;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-deletions-'));
  bucket = new FolderBucket(folder);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function request(id = ID, selectors: readonly string[] = ['up{job="a"}', '{x=~"y.*"}']) {
  return makeDeletion(id, selectors, { minTimeMs: 100, maxTimeMs: 200, createdMs: NOW_MS });
}

describe('the object of a deletion', () => {
  test('comes back as it was stored', () => {
    expect(decodeDeletion(encodeDeletion(request()), NAME)).toEqual(request());
    const end = { state: 'done', endedMs: 5 } as const;
    expect(decodeDeletion(encodeDeletion(request(), end), NAME)).toEqual({ request: request(), ...end });
  });

  test('is what docs/formats/deletions.md shows', () => {
    expect(Buffer.from(encodeDeletion(request())).toString()).toBe(
      `{"version":1,"id":"${ID}","matchers":["up{job=\\"a\\"}","{x=~\\"y.*\\"}"],"min_time":100,"max_time":200,"created":${NOW_MS},"state":"live"}`,
    );
  });

  test.each<[Record<string, unknown>, string]>([
    [{ version: 2 }, 'has version 2, not 1'],
    [{ id: 'x' }, 'has no ULID as id'],
    [{ id: OTHER }, `is about ${OTHER}`],
    [{ matchers: [] }, 'has no matchers'],
    [{ matchers: 'up' }, 'has no matchers'],
    [{ matchers: [5] }, 'has matchers that are no texts'],
    [{ matchers: ['up{'] }, 'has a bad matcher'],
    [{ matchers: ['{x=""}'] }, 'has a bad matcher'],
    [{ min_time: 1.5 }, 'has no time min_time'],
    [{ max_time: undefined }, 'has no time max_time'],
    [{ max_time: 99 }, 'ends before it begins'],
    [{ created: '5' }, 'has no time created'],
    [{ state: 'paused' }, 'has the state paused'],
    [{ state: 'done' }, 'has no time ended'],
    [{ more: 1 }, 'has a field more'],
  ])('is refused with %j', (changes, message) => {
    const json = JSON.parse(Buffer.from(encodeDeletion(request())).toString()) as object;
    const bytes = Buffer.from(JSON.stringify({ ...json, ...changes }));
    expect(() => decodeDeletion(bytes, NAME)).toThrow(
      expect.objectContaining({ code: 'deletion-request', message: expect.stringContaining(message) }),
    );
  });

  test('is refused when it is cut anywhere', () => {
    const bytes = encodeDeletion(request());
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeDeletion(bytes.subarray(0, length), NAME)).toThrow(
        expect.objectContaining({ kind: 'corruption' }),
      );
    }
  });
});

describe('claims', () => {
  test('the first one stands', async () => {
    await createDeletion(bucket, 't', request());
    await createDeletion(bucket, 't', request(OTHER));
    expect(await beginDeletion(bucket, 't', ID)).toBe(true);
    expect(await beginDeletion(bucket, 't', ID)).toBe(true);
    expect(await cancelDeletion(bucket, 't', ID, 1)).toBe('begun');
    expect(await cancelDeletion(bucket, 't', OTHER, 1)).toBe('cancelled');
    const { requests, claimed } = await listDeletions(bucket, 't');
    expect([requests.map(({ id }) => id), [...claimed]]).toEqual([[ID], [ID]]);
  });

  test('cannot be made of what is over', async () => {
    await createDeletion(bucket, 't', request());
    expect(await cancelDeletion(bucket, 't', ID, 1)).toBe('cancelled');
    expect(await beginDeletion(bucket, 't', ID)).toBe(false);
    expect((await bucket.list('t/deletions/', '/')).objects).toEqual([]);
  });
});

describe('DeletionCatalog', () => {
  /** A bucket that can be made to fail. */
  function failing(): { readonly bucket: Bucket; isDown: boolean; lists: number } {
    const state = { bucket: null as unknown as Bucket, isDown: false, lists: 0 };
    state.bucket = new Proxy(bucket, {
      get(target, property) {
        const value: unknown = Reflect.get(target, property);
        if (typeof value !== 'function') return value;
        return (...parameters: unknown[]): unknown => {
          if (property === 'list') state.lists++;
          if (state.isDown)
            return Promise.reject(new VarveError('unavailable', 'bucket-unavailable', 'down'));
          return Reflect.apply(value, target, parameters);
        };
      },
    });
    return state;
  }

  test('reads once per interval, and at once when told', async () => {
    const clock = new ManualClock(NOW_MS);
    const state = failing();
    const catalog = new DeletionCatalog(state.bucket, clock, () => []);
    const both = await Promise.all([catalog.masks('t'), catalog.masks('t')]);
    expect([both, state.lists]).toEqual([[[], []], 1]);
    await createDeletion(bucket, 't', request());
    expect(await catalog.masks('t')).toEqual([]);
    catalog.invalidate('t');
    expect(await catalog.masks('t')).toHaveLength(2);
    await endDeletion(bucket, 't', request(), 'done', NOW_MS);
    clock.advance(59_000);
    expect(await catalog.masks('t')).toHaveLength(2);
    clock.advance(1000);
    expect(await catalog.masks('t')).toEqual([]);
    expect(state.lists).toBe(3);
  });

  test('a reading that began before it was told does not count', async () => {
    const catalog = new DeletionCatalog(bucket, new ManualClock(NOW_MS), () => []);
    void catalog.masks('t');
    await createDeletion(bucket, 't', request());
    catalog.invalidate('t');
    expect(await catalog.masks('t')).toHaveLength(2);
  });

  test('goes on with what it knows while the bucket does not answer', async () => {
    const clock = new ManualClock(NOW_MS);
    const state = failing();
    await createDeletion(bucket, 't', request());
    const catalog = new DeletionCatalog(state.bucket, clock, () => []);
    state.isDown = true;
    await expect(catalog.masks('t')).rejects.toMatchObject({ code: 'bucket-unavailable' });
    state.isDown = false;
    clock.advance(2000);
    expect(await catalog.masks('t')).toHaveLength(2);
    state.isDown = true;
    clock.advance(600_000);
    expect(await catalog.masks('t')).toHaveLength(2);
  });

  test('a bucket that hangs holds up one question, and answers count when they come', async () => {
    const clock = new ManualClock(NOW_MS);
    await createDeletion(bucket, 't', request());
    let release = (): void => undefined;
    let hanging: Promise<void> | null = null;
    const hang = () => {
      hanging = new Promise((resolve) => {
        release = resolve;
      });
    };
    const slow = new Proxy(bucket, {
      get: (target, name) => {
        if (name === 'list') {
          return async (prefix: string, delimiter?: '/') => {
            await hanging;
            return target.list(prefix, delimiter);
          };
        }
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const catalog = new DeletionCatalog(slow, clock, () => [], { waitMs: 20 });
    hang();
    await expect(catalog.masks('t')).rejects.toMatchObject({ code: 'deletions-slow', kind: 'unavailable' });
    await expect(catalog.masks('t')).rejects.toMatchObject({ code: 'deletions-slow' });
    release();
    let masks: readonly unknown[] | null = null;
    while (masks === null) {
      await new Promise((resolve) => setImmediate(resolve));
      masks = await catalog.masks('t').catch(() => null);
    }
    expect(masks).toHaveLength(2);
    hang();
    clock.advance(60_000);
    expect(await catalog.masks('t')).toHaveLength(2);
    const startedMs = performance.now();
    for (let i = 0; i < 100; i++) await catalog.masks('t');
    expect(performance.now() - startedMs).toBeLessThan(1000);
    // What was told since must not be missing.
    catalog.invalidate('t');
    await expect(catalog.masks('t')).rejects.toMatchObject({ code: 'deletions-slow' });
    release();
  });

  test('adds what retention hides', async () => {
    const rules = parseRetentionRules('{job="debug"}=1h; go_gc{x!="a"}=1d');
    const catalog = new DeletionCatalog(bucket, new ManualClock(NOW_MS + 30_000), () => rules);
    const minute = Math.floor((NOW_MS + 30_000) / 60_000) * 60_000;
    expect(await catalog.masks('t')).toMatchObject([
      { matchers: [['=', 'job', 'debug']], maxTimeMs: minute - 3_600_000 - 1 },
      { maxTimeMs: minute - 86_400_000 - 1 },
    ]);
  });

  test('refuses to go on with a request that it cannot read', async () => {
    await bucket.put(NAME, Buffer.from('{}'));
    const catalog = new DeletionCatalog(bucket, new ManualClock(NOW_MS), () => []);
    await expect(catalog.masks('t')).rejects.toMatchObject({ code: 'deletion-request' });
  });
});

describe('rules', () => {
  const block = (minTime: number, maxTime: number, applied: readonly string[] = []): IndexedBlock => ({
    ...{ ulid: OTHER, minTime, maxTime, uploadedAtMs: 0, segmentCount: 1 },
    ...{ seriesBytesMax: 0, chunkBytesMax: 0, others: {} },
    facts: {
      ...{ resolution: 0, level: 1, labels: {}, source: '', sources: [OTHER] },
      ...{ series: 1, samples: 1, bytes: 0, applied },
    },
  });

  test.each([
    ['before', 0, 100, []],
    ['its first sample', 0, 101, [ID]],
    ['its last sample', 200, 300, [ID]],
    ['after', 201, 300, []],
  ])('of a request concern a block with %s', (_name, minTime, maxTime, keys) => {
    const rules = deletionRules([request()], [], NOW_MS);
    const open = (applied: readonly string[], checked: readonly string[]) =>
      openRules(rules, block(minTime, maxTime, applied), new Map([[OTHER, new Set(checked)]])).map(
        ({ key }) => key,
      );
    expect(open([], [])).toEqual(keys);
    expect(open([ID], [])).toEqual([]);
    expect(open([OTHER], [ID])).toEqual([]);
    expect(ruleProgress(rules[0]!, [block(minTime, maxTime)], new Map())).toEqual({
      blocksTotal: keys.length,
      blocksLeft: keys.length,
    });
  });

  test('of retention concern blocks that are past it as a whole', () => {
    const rules = deletionRules([], parseRetentionRules('up=1d'), NOW_MS);
    const border = Math.floor((NOW_MS - 86_400_000) / 60_000) * 60_000;
    expect(openRules(rules, block(0, border), new Map())).toHaveLength(1);
    expect(openRules(rules, block(0, border + 1), new Map())).toEqual([]);
  });

  test('are noted per block in one object', async () => {
    await noteChecked(bucket, 't', ID, ['a', 'b']);
    await noteChecked(bucket, 't', ID, ['c']);
    await noteChecked(
      bucket,
      't',
      OTHER,
      Array.from({ length: 30 }, (_, i) => `${i}`),
    );
    const { blocks, objects } = await listChecked(bucket, 't');
    expect(blocks.get(ID)).toEqual(new Set(['a', 'b', 'c']));
    expect(blocks.get(OTHER)?.size).toBe(30);
    expect([objects.get(ID)?.length, objects.get(OTHER)?.length]).toEqual([2, 2]);
  });
});
