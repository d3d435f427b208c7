import { mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Bucket, FolderBucket } from '../bucket/index.js';
import { type Logger, Metrics, silentLogger } from '../telemetry/index.js';
import { isValidTenant } from '../tenant/index.js';
import { BucketMembership } from './bucket-membership.js';

const PERIOD_MS = 15_000;
const TIMEOUT_MS = 60_000;

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-membership-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function member(
  id: string,
  changes: { readonly bucket?: Bucket; readonly logger?: Logger; readonly metrics?: Metrics } = {},
): BucketMembership {
  return new BucketMembership({
    bucket: new FolderBucket(folder),
    logger: silentLogger,
    metrics: new Metrics({ withProcessMetrics: false, version: 'test' }),
    ...changes,
    options: { group: 'compactors', id: () => id, periodMs: PERIOD_MS, timeoutMs: TIMEOUT_MS },
  });
}

const home = () => join(folder, '__varve_cluster/compactors');

/** Makes a heartbeat as old as if the member had been silent. */
function age(id: string, ms: number): void {
  const time = (Date.now() - ms) / 1000;
  utimesSync(join(home(), `${id}.json`), time, time);
}

function idsOf(membership: BucketMembership): string[] {
  return membership.members().map(({ id }) => id);
}

describe('BucketMembership', () => {
  test('knows who is there', async () => {
    const [a, b] = [member('a'), member('b')];
    expect(idsOf(a)).toEqual([]);
    await b.beat();
    await a.beat();
    expect(idsOf(a)).toEqual(['a', 'b']);
    expect(idsOf(b)).toEqual(['b']);
    await b.beat();
    expect(idsOf(b)).toEqual(['a', 'b']);
  });

  test('stands where no tenant can', async () => {
    await member('a').beat();
    expect(readdirSync(folder).filter((name) => !name.startsWith('.'))).toEqual(['__varve_cluster']);
    expect(isValidTenant('__varve_cluster')).toBe(false);
  });

  test.each([
    [TIMEOUT_MS - 5000, ['a', 'b']],
    [TIMEOUT_MS + 5000, ['a']],
  ])('a member silent for %d ms', async (silentMs, expected) => {
    const [a, b] = [member('a'), member('b')];
    await b.beat();
    age('b', silentMs);
    await a.beat();
    expect(idsOf(a)).toEqual(expected);
    // It is one again as soon as it is heard of.
    await b.beat();
    await a.beat();
    expect(idsOf(a)).toEqual(['a', 'b']);
  });

  test('deletes what members left that never came back', async () => {
    await member('b').beat();
    age('b', 61 * TIMEOUT_MS);
    await member('a').beat();
    expect(readdirSync(home())).toEqual(['a.json']);
  });

  test('a clean stop is known at the next heartbeat', async () => {
    const [a, b] = [member('a'), member('b')];
    await b.start();
    expect(idsOf(b)).toEqual(['b']);
    await a.beat();
    await b.stop();
    await a.beat();
    expect(idsOf(a)).toEqual(['a']);
  });

  test('one that never could write has nothing to remove', async () => {
    const a = member('a');
    await a.stop();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('keeps its view while the store does not answer', async () => {
    class DeadBucket extends FolderBucket {
      isDead = false;
      override async put(name: string, source: Uint8Array): Promise<void> {
        if (this.isDead) throw new Error('no store');
        await super.put(name, source);
      }
    }
    const bucket = new DeadBucket(folder);
    const metrics = new Metrics({ withProcessMetrics: false, version: 'test' });
    const a = member('a', { bucket, metrics });
    await member('b').beat();
    await a.beat();
    bucket.isDead = true;
    await a.start();
    expect(idsOf(a)).toEqual(['a', 'b']);
    const text = await metrics.render();
    expect(text).toContain('varve_membership_heartbeat_failures_total{group="compactors"} 1');
    expect(text).toContain('varve_membership_members{group="compactors"} 2');
    await a.stop();
  });

  test('says that two processes have one id, but not after a restart', async () => {
    const lines: string[] = [];
    const logger: Logger = { ...silentLogger, error: (_fields, message) => lines.push(message) };
    const [before, after] = [member('a', { logger }), member('a', { logger })];
    await before.beat();
    await after.beat();
    await after.beat();
    expect(lines).toEqual([]);
    await before.beat();
    expect(lines).toEqual(['another process has the same instance id: give each its own with --instance-id']);
  });
});
