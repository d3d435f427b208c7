import { describe, expect, test } from '@jest/globals';
import { labelsFromObject } from '../labels/index.js';
import { createMatcher } from '../matcher/index.js';
import { MemoryQueryable } from '../promql/testing/index.js';
import { ArrayArena } from '../storage/index.js';
import { FetchLimited } from './fetch-limits.js';
import { TaskGuard } from './task-guard.js';

const hints = {
  minTimeMs: 0,
  maxTimeMs: 1000,
  stepMs: 0,
  func: '',
  rangeMs: 0,
  withoutChunks: false,
  limit: 0,
};

function threeSeries(): MemoryQueryable {
  const source = new MemoryQueryable();
  for (const job of ['a', 'b', 'c']) {
    source.append(labelsFromObject({ __name__: 'up', job }), Float64Array.of(1, 2), Float64Array.of(0, 1));
  }
  return source;
}

const patient = new TaskGuard({
  isCancelled: () => false,
  deadlineMs: Number.POSITIVE_INFINITY,
  queuedMs: 0,
});
const up = [createMatcher('=', '__name__', 'up')];

describe('FetchLimited', () => {
  test.each([
    { seriesMax: 3, chunksMax: 3, bytesMax: 0 },
    { seriesMax: 0, chunksMax: 0, bytesMax: 0 },
  ])('lets a query pass that stays within %o', async (limits) => {
    const found = await new FetchLimited(threeSeries(), limits, patient).select(up, hints, new ArrayArena());
    expect(found.seriesCount).toBe(3);
  });

  test.each([
    { limits: { seriesMax: 2, chunksMax: 0, bytesMax: 0 }, code: 'max-fetched-series', kind: 'limit' },
    { limits: { seriesMax: 0, chunksMax: 2, bytesMax: 0 }, code: 'max-fetched-chunks', kind: 'limit' },
  ])('stops a query over $limits', async ({ limits, code, kind }) => {
    const reading = new FetchLimited(threeSeries(), limits, patient).select(up, hints, new ArrayArena());
    await expect(reading).rejects.toMatchObject({ code, kind });
  });

  test('counts all selectors of a query together', async () => {
    const source = new FetchLimited(threeSeries(), { seriesMax: 5, chunksMax: 0, bytesMax: 0 }, patient);
    const arena = new ArrayArena();
    await source.select(up, hints, arena);
    await expect(source.select(up, hints, arena)).rejects.toThrow(
      'the query reads 6 series, over the limit of 5 (limits.max_fetched_series_per_query)',
    );
  });

  test('a select that nobody waits for ends with the next piece it fetches', async () => {
    let looks = 0;
    const control = { isCancelled: () => ++looks > 1, deadlineMs: Number.POSITIVE_INFINITY, queuedMs: 0 };
    const source = new FetchLimited(
      threeSeries(),
      { seriesMax: 0, chunksMax: 0, bytesMax: 0 },
      new TaskGuard(control),
    );
    await expect(source.select(up, hints, new ArrayArena())).rejects.toMatchObject({
      kind: 'cancelled',
      code: 'query-cancelled',
    });
    expect(looks).toBe(2);
  });
});
