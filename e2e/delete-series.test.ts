import { afterAll, describe, expect, test } from '@jest/globals';
import { makeFolder, stopAll, waitFor } from './processes.js';
import { startVarve, type Varve } from './varve.js';
import { pushSeries } from './wire.js';

/** Series deleted through the HTTP API: in memory, in blocks, after a restart, and from the bucket. */

const STEP_MS = 15_000;
const COUNT = 100;
const START_MS = Math.floor(Date.now() / STEP_MS) * STEP_MS - 3_600_000;
const END_MS = START_MS + (COUNT - 1) * STEP_MS;
const ARGS = [
  '--http-enable-admin-api',
  '--compactor-cleanup-interval=200ms',
  '--compactor-compaction-interval=200ms',
  '--compactor-first-level-compaction-wait-period=0',
  '--blocks-sync-interval=200ms',
];

async function fill(varve: Varve): Promise<void> {
  const series = ['a', 'b'].map((pod) => ({
    labels: [
      ['__name__', 'deleted_total'],
      ['pod', pod],
    ] as [string, string][],
    samples: Array.from({ length: COUNT }, (_, i) => ({ value: i, timestampMs: START_MS + i * STEP_MS })),
  }));
  const { status, text } = await pushSeries(varve.pushUrl, series);
  expect([Math.floor(status / 100), text]).toEqual([2, '']);
}

async function call(
  varve: Varve,
  method: string,
  path: string,
  params: Record<string, string | number> = {},
) {
  const search = new URLSearchParams(
    Object.entries(params).map(([name, value]): [string, string] => [name, String(value)]),
  );
  const answer = await fetch(`${varve.api}${path}?${search}`, { method });
  return { status: answer.status, text: await answer.text(), id: answer.headers.get('x-varve-deletion') };
}

/** Samples by pod. */
async function counts(varve: Varve): Promise<Record<string, number>> {
  const query = `count_over_time(deleted_total[${Math.ceil((END_MS - START_MS) / 1000) + 1}s])`;
  const { text } = await call(varve, 'GET', '/query', { query, time: END_MS / 1000 });
  const { data } = JSON.parse(text) as {
    data: { result: { metric: { pod: string }; value: [number, string] }[] };
  };
  return Object.fromEntries(data.result.map(({ metric, value }) => [metric.pod, Number(value[1])]));
}

async function pods(varve: Varve): Promise<string[]> {
  const { text } = await call(varve, 'GET', '/series', { 'match[]': 'deleted_total' });
  return (JSON.parse(text) as { data: { pod: string }[] }).data.map(({ pod }) => pod);
}

const SECONDS = (i: number) => (START_MS + i * STEP_MS) / 1000;

describe('delete_series', () => {
  afterAll(stopAll);

  test('is off by default', async () => {
    const varve = await startVarve();
    const { status, text } = await call(varve, 'POST', '/admin/tsdb/delete_series', { 'match[]': 'up' });
    expect([status, text]).toEqual([
      500,
      '{"status":"error","errorType":"unavailable","error":"admin APIs disabled"}',
    ]);
    await varve.stop();
  });

  test('hides at once what is in memory, then in blocks, and takes it from the bucket', async () => {
    const folder = makeFolder('delete');
    let varve = await startVarve({ folder, args: ARGS });
    await fill(varve);
    expect(await counts(varve)).toEqual({ a: COUNT, b: COUNT });
    const span = { 'match[]': '{pod="a"}', start: SECONDS(10), end: SECONDS(39) };
    const dry = await call(varve, 'POST', '/admin/tsdb/delete_series', { ...span, dry_run: 'true' });
    expect(JSON.parse(dry.text)).toEqual({
      status: 'success',
      data: { series: 1, samples: 30, sources: [{ source: 'head', series: 1, samples: 30 }] },
    });
    expect(await counts(varve)).toEqual({ a: COUNT, b: COUNT });
    const { status, id } = await call(varve, 'POST', '/admin/tsdb/delete_series', span);
    expect(status).toBe(204);
    expect(await counts(varve)).toEqual({ a: COUNT - 30, b: COUNT });
    // The rest of it, in the same way.
    expect(
      (await call(varve, 'PUT', '/admin/tsdb/delete_series', { 'match[]': 'deleted_total{pod="b"}' })).status,
    ).toBe(204);
    expect(await counts(varve)).toEqual({ a: COUNT - 30 });
    expect(await pods(varve)).toEqual(['a']);

    await varve.kill();
    varve = await startVarve({ folder, args: ARGS });
    expect(await counts(varve)).toEqual({ a: COUNT - 30 });
    expect((await fetch(`${varve.url}/ingester/flush`, { method: 'POST' })).status).toBe(204);
    expect(await counts(varve)).toEqual({ a: COUNT - 30 });
    expect((await call(varve, 'POST', '/admin/tsdb/clean_tombstones')).status).toBe(204);
    const list = async () =>
      (
        JSON.parse((await call(varve, 'GET', '/admin/tsdb/deletions')).text) as {
          data: Record<string, unknown>[];
        }
      ).data;
    await waitFor('deletions that are applied to all blocks', async () => {
      expect(await counts(varve)).toEqual({ a: COUNT - 30 });
      const found = await list();
      return found.every(({ state, blocksDone }) => state === 'settling' && Number(blocksDone) > 0);
    });
    const [first] = await list();
    expect(first).toMatchObject({ id, matchers: ['{pod="a"}'], cancellable: false, blocksLeft: 0 });
    expect((await call(varve, 'DELETE', `/admin/tsdb/deletions/${id}`)).status).toBe(409);
    expect(await pods(varve)).toEqual(['a']);
    expect(await varve.stop()).toBe(0);
  });
});
