import { getPriority } from 'node:os';
import { afterEach, describe, expect, test } from '@jest/globals';
import { silentLogger } from '../telemetry/index.js';
import { FairQueue } from './fair-queue.js';
import { WorkerPool, type WorkerPoolOptions } from './pool.js';

const pools: WorkerPool[] = [];

function makePool(options: Partial<WorkerPoolOptions> = {}): WorkerPool {
  const pool = new WorkerPool(
    {
      script: new URL('./testing/test-worker.js', import.meta.url),
      size: 1,
      data: null,
      queuedPerTenantMax: 100,
      queuedMax: 1000,
      graceMs: 2000,
      heapMiB: 0,
      ...options,
    },
    silentLogger,
  );
  pools.push(pool);
  return pool;
}

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.stop()));
});

const LONG = { timeoutMs: 60_000, signal: new AbortController().signal };

function run(pool: WorkerPool, tenant: string, action: string, text = '', options = LONG): Promise<unknown> {
  return pool.run(tenant, { action, text }, options);
}

describe('FairQueue', () => {
  test('serves tenants in turn and each tenant in order', () => {
    const queue = new FairQueue<string>();
    for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']) queue.push(item[0]!, item);
    expect(queue.remove('a', 'a2')).toBe(true);
    expect(queue.remove('a', 'a2')).toBe(false);
    expect(queue.sizeOf('a')).toBe(2);
    const order: (string | undefined)[] = [];
    while (queue.size > 0) order.push(queue.shift());
    expect(order).toEqual(['a1', 'b1', 'c1', 'a3', 'c2']);
    expect(queue.shift()).toBeUndefined();
  });
});

describe('WorkerPool', () => {
  test('starts threads when needed and keeps them', async () => {
    const pool = makePool({ size: 2 });
    expect(pool.threadCount).toBe(0);
    expect(await run(pool, 'a', 'echo', 'x')).toBe('x');
    expect(await run(pool, 'a', 'echo', 'y')).toBe('y');
    expect(pool.threadCount).toBe(1);
    expect(await Promise.all([run(pool, 'a', 'echo', '1'), run(pool, 'a', 'echo', '2')])).toEqual(['1', '2']);
    expect(pool.threadCount).toBe(2);
  });

  test('sends a call for help to an idle thread, which leaves it for a task of its own', async () => {
    const pool = makePool({ size: 2 });
    await Promise.all([run(pool, 'a', 'echo', '1'), run(pool, 'a', 'echo', '2')]);
    expect(await run(pool, 'a', 'call', '60000')).toBe('helped');
    // The helper goes on until it is wanted: two tasks at once need it.
    expect(await Promise.all([run(pool, 'a', 'echo', '3'), run(pool, 'a', 'echo', '4')])).toEqual(['3', '4']);
    expect(pool.crashCount).toBe(0);
  });

  test('asks no thread that has a task, and starts the first one that could help', async () => {
    const pool = makePool({ size: 2 });
    const controller = new AbortController();
    expect(await run(pool, 'a', 'call', '1')).toBe('nobody');
    expect(pool.threadCount).toBe(2);
    const spinning = run(pool, 'a', 'spin', '', { timeoutMs: 60_000, signal: controller.signal });
    expect(await run(pool, 'a', 'call', '20')).toBe('nobody');
    controller.abort();
    await expect(spinning).rejects.toMatchObject({ code: 'query-cancelled' });
  });

  test('passes the error of a task on', async () => {
    await expect(run(makePool(), 'a', 'throw', 'boom')).rejects.toMatchObject({
      kind: 'internal',
      code: 'task-failed',
      message: 'boom',
    });
  });

  test('loses only the task of a thread that dies', async () => {
    const pool = makePool();
    const lost = run(pool, 'a', 'crash');
    const next = run(pool, 'a', 'echo', 'alive');
    await expect(lost).rejects.toMatchObject({ code: 'worker-crashed' });
    expect(await next).toBe('alive');
    expect(pool.crashCount).toBe(1);
  });

  test('cancels a running task through its flag and keeps the thread', async () => {
    const pool = makePool();
    const controller = new AbortController();
    const running = run(pool, 'a', 'spin', '', { timeoutMs: 60_000, signal: controller.signal });
    const next = run(pool, 'a', 'echo', 'next');
    controller.abort();
    await expect(running).rejects.toMatchObject({ kind: 'cancelled', code: 'query-cancelled' });
    expect(await next).toBe('next');
    expect(pool.crashCount).toBe(0);
  });

  test('drops a cancelled task from the queue', async () => {
    const pool = makePool();
    const first = new AbortController();
    const second = new AbortController();
    const running = run(pool, 'a', 'spin', '', { timeoutMs: 60_000, signal: first.signal });
    const waiting = run(pool, 'a', 'crash', '', { timeoutMs: 60_000, signal: second.signal });
    second.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'query-cancelled' });
    expect(pool.queuedCount).toBe(0);
    first.abort();
    await expect(running).rejects.toMatchObject({ code: 'query-cancelled' });
  });

  test('refuses a task whose signal is aborted already', async () => {
    const signal = AbortSignal.abort();
    await expect(run(makePool(), 'a', 'echo', '', { timeoutMs: 1000, signal })).rejects.toMatchObject({
      code: 'query-cancelled',
    });
  });

  test('lets a task that waits too long time out', async () => {
    const pool = makePool();
    const blocker = new AbortController();
    const running = run(pool, 'a', 'spin', '', { timeoutMs: 60_000, signal: blocker.signal });
    const waiting = run(pool, 'a', 'echo', '', { timeoutMs: 20, signal: LONG.signal });
    await expect(waiting).rejects.toMatchObject({
      kind: 'timeout',
      message: 'query timed out in query queue',
    });
    blocker.abort();
    await expect(running).rejects.toMatchObject({ code: 'query-cancelled' });
  });

  test('gives a task its deadline', async () => {
    expect(await run(makePool(), 'a', 'spin', '', { timeoutMs: 30, signal: LONG.signal })).toBe('stopped');
  });

  test('ends the thread of a task that does not stop', async () => {
    const pool = makePool({ graceMs: 30 });
    const hanging = run(pool, 'a', 'hang', '', { timeoutMs: 30, signal: LONG.signal });
    const next = run(pool, 'a', 'echo', 'next');
    await expect(hanging).rejects.toMatchObject({
      kind: 'timeout',
      message: 'query timed out in query execution',
    });
    expect(await next).toBe('next');
    expect(pool.crashCount).toBe(1);
  });

  test.each([1, 2])('long tasks of one tenant on all %d threads do not delay another', async (size) => {
    const pool = makePool({ size });
    const controller = new AbortController();
    const options = { timeoutMs: 60_000, signal: controller.signal };
    const long = Array.from({ length: size + 2 }, () => run(pool, 'a', 'spin', '', options));
    const ended = Promise.allSettled(long);
    expect(pool.runningCount).toBe(size);
    // b gets the spare thread, one task after the other, while a's own backlog waits.
    expect(await Promise.all([run(pool, 'b', 'echo', '1'), run(pool, 'b', 'echo', '2')])).toEqual(['1', '2']);
    expect(await run(pool, 'c', 'echo', '3')).toBe('3');
    expect(pool.threadCount).toBe(size + 1);
    expect(pool.queuedCount).toBe(2);
    controller.abort();
    await ended;
  });

  (process.platform === 'linux' ? test : test.skip)('a thread can take a smaller share', async () => {
    const pool = makePool();
    const [done, nice] = (await run(pool, 'a', 'nice', '7')) as [boolean, number];
    expect([done, nice]).toEqual([true, Math.min(19, getPriority() + 7)]);
  });

  test('bounds the queue per tenant and in all', async () => {
    const pool = makePool({ queuedPerTenantMax: 1, queuedMax: 2 });
    const settled = ['a', 'a', 'b'].map((tenant) => run(pool, tenant, 'echo'));
    await expect(run(pool, 'a', 'echo')).rejects.toMatchObject({ kind: 'limit', code: 'queue-full' });
    await expect(run(pool, 'c', 'echo')).rejects.toMatchObject({
      kind: 'unavailable',
      code: 'pool-overloaded',
    });
    await Promise.all(settled);
  });

  test('fails what waits and runs when it stops', async () => {
    const pool = makePool();
    const running = expect(run(pool, 'a', 'hang')).rejects.toMatchObject({ code: 'pool-stopped' });
    const waiting = expect(run(pool, 'a', 'echo')).rejects.toMatchObject({ code: 'pool-stopped' });
    await pool.stop();
    await Promise.all([running, waiting]);
    await expect(run(pool, 'a', 'echo')).rejects.toMatchObject({ code: 'pool-stopped' });
  });
});
