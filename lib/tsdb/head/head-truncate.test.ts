import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { HeadKernel } from '../../kernel/index.js';
import { bitsOf, type TestSeries } from '../../kernel/testing/write-request.js';
import { createMatcher } from '../../matcher/index.js';
import { HeadMemory } from './head-memory.js';
import { HeadReader } from './head-reader.js';
import { type DecodedSeries, newHead, push, samplesOf, selectAll } from './testing/head-fixture.js';

const T0 = 1_699_999_200_000; // a block border
const NO_READER = 0xffffffff;

function markAll(head: HeadKernel, timeMs: number): void {
  head.truncateBegin();
  for (let ref = 1; ref !== 0; ) ref = head.markSlice(ref, 100, timeMs);
}

function dropAll(head: HeadKernel): void {
  for (let ref = 1; ref !== 0; ) ref = head.truncateSlice(ref, 100);
  for (let pair = 1; pair !== 0; ) pair = head.sweepPairsSlice(pair, 100);
  head.sweepNames();
}

function series(name: string, times: readonly number[], extra: readonly [string, string][] = []): TestSeries {
  return {
    labels: [['__name__', name], ...extra],
    samples: times.map((time) => ({ timeMs: BigInt(time), bits: bitsOf(time % 1000) })),
  };
}

function timesOf(found: readonly DecodedSeries[]): Record<string, number[]> {
  return Object.fromEntries(found.map((one) => [one.labels, [...samplesOf(one).keys()]]));
}

/** Times of the samples in marked chunks, and in others. */
function timesByMark(memory: WebAssembly.Memory): { marked: number[]; unmarked: number[] } {
  const head = new HeadMemory(memory);
  const result = { marked: [] as number[], unmarked: [] as number[] };
  head.begin();
  for (let ref = 1; ref < head.seriesLimit; ref++) {
    const record = head.seriesAddress(ref);
    if (record === 0 || head.seriesLabels(record) === 0) continue;
    for (const newest of [head.newestChunk(record), head.newestLateChunk(record)])
      for (let chunk = newest; chunk !== 0; chunk = head.olderChunk(chunk)) {
        const list = head.isMarked(chunk) ? result.marked : result.unmarked;
        list.push(head.chunkMinTime(chunk), head.chunkMaxTime(chunk));
      }
  }
  return result;
}

describe('marking for a cut', () => {
  test('leaves no sample from before the cut unmarked, also where chunks reach beyond it', () => {
    const { head } = newHead({ outOfOrderWindowMs: 3_600_000 });
    push(head, [
      series('a', [T0, T0 + 1000, T0 + 2000, T0 + 3000, T0 + 500, T0 + 2500]),
      series('b', [T0 + 3000]),
      series('c', [T0 + 100]),
    ]);
    markAll(head, T0 + 1500);
    const { marked, unmarked } = timesByMark(head.memory);
    expect(Math.min(...unmarked)).toBeGreaterThanOrEqual(T0 + 1500);
    expect(marked).toEqual(expect.arrayContaining([T0, T0 + 3000, T0 + 500, T0 + 100]));
    expect(unmarked).toEqual(expect.arrayContaining([T0 + 2500]));
    expect(head.markedMaxTimeMs).toBe(T0 + 3000);
    expect(head.markedChunks).toBe(3);
    markAll(head, T0 + 1500);
    expect(head.markedChunks).toBe(0);
    expect(head.markedMaxTimeMs).toBe(Number.NEGATIVE_INFINITY);
  });

  test('keeps what comes in between mark and drop', async () => {
    const { head, reader } = newHead({ outOfOrderWindowMs: 3_600_000 });
    push(head, [series('a', [T0, T0 + 2000, T0 + 1000])]);
    markAll(head, T0 + 10_000);
    push(head, [series('a', [T0 + 3000, T0 + 1500, T0 + 11_000]), series('b', [T0 + 5])]);
    expect(timesOf(await selectAll(reader))['__name__=a']).toEqual(
      [0, 1000, 1500, 2000, 3000, 11_000].map((offset) => T0 + offset),
    );
    dropAll(head);
    expect(timesOf(await selectAll(reader))).toEqual({
      '__name__=a': [T0 + 1500, T0 + 3000, T0 + 11_000],
      '__name__=b': [T0 + 5],
    });
    push(head, [series('a', [T0 + 12_000])]);
    expect(timesOf(await selectAll(reader))['__name__=a']).toContain(T0 + 12_000);
  });

  test('never loses or doubles a sample, whatever is interleaved', async () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('push' as const),
        name: fc.integer({ min: 0, max: 5 }),
        offset: fc.integer({ min: -900, max: 2000 }),
      }),
      fc.record({ kind: fc.constant('mark' as const), offset: fc.integer({ min: -1000, max: 500 }) }),
      fc.record({ kind: fc.constant('drop' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 120 }), async (steps) => {
        const { head, reader } = newHead({ outOfOrderWindowMs: 1_000_000, memoryBytesMax: 160 * 2 ** 20 });
        const held = new Map<string, Map<number, boolean>>(); // name -> time -> marked
        let newest = T0;
        for (const action of steps) {
          if (action.kind === 'push') {
            const time = newest + action.offset;
            newest = Math.max(newest, time);
            push(head, [series(`s${action.name}`, [time])]);
            const times = held.get(`__name__=s${action.name}`) ?? new Map();
            held.set(`__name__=s${action.name}`, times.has(time) ? times : times.set(time, false));
          } else if (action.kind === 'mark') {
            markAll(head, newest + action.offset);
            const before = newest + action.offset;
            // A chunk goes as a whole: what is marked beyond the time is read off the head, never less than the model says.
            const { unmarked } = timesByMark(head.memory);
            for (const time of unmarked) expect(time).toBeGreaterThanOrEqual(before);
          } else {
            const kept = timesByMark(head.memory).unmarked.length > 0;
            dropAll(head);
            const found = timesOf(await selectAll(reader));
            if (!kept) expect(found).toEqual({});
            // What is left in the head is what was pushed and not dropped: nothing appears anew.
            for (const [labels, times] of Object.entries(found))
              for (const time of times) expect(held.get(labels)?.has(time)).toBe(true);
            for (const [labels, times] of held)
              held.set(labels, new Map([...times].filter(([time]) => found[labels]?.includes(time))));
          }
          const found = timesOf(await selectAll(reader));
          for (const [labels, times] of held)
            expect(found[labels] ?? []).toEqual([...times.keys()].sort((a, b) => a - b));
        }
      }),
      { seed: 99, numRuns: 80 },
    );
  });
});

describe('memory that was dropped', () => {
  test('is there again after many cycles with new series each time', () => {
    const { head } = newHead();
    const used: number[] = [];
    for (let cycle = 0; cycle < 40; cycle++) {
      const base = T0 + cycle * 7_200_000;
      for (let part = 0; part < 10; part++) {
        push(
          head,
          Array.from({ length: 200 }, (_, i) =>
            series(
              `metric_${i % 20}`,
              [base + part, base + 1000, base + 2000],
              [
                ['pod', `pod-${cycle}-${part}-${i}`],
                ['shared', 'yes'],
              ],
            ),
          ),
        );
      }
      markAll(head, base + 7_200_000);
      dropAll(head);
      expect(head.seriesCount).toBe(0);
      used.push(head.usedBytes);
    }
    // Records of dead series stay until their page is free: at most one page of each kind more.
    expect(used.at(-1)! - used[3]!).toBeLessThan(600_000);
    expect(head.memoryBytes).toBeLessThan(40 * 2 ** 20);
  });

  test('and ids are reused only after the queries that began before the drop', async () => {
    const { head } = newHead();
    const reader = new HeadReader(head.memory);
    push(head, [series('old', [T0], [['pod', 'gone']]), series('stays', [T0, T0 + 100_000])]);
    expect((await selectAll(reader)).map((one) => one.labels)).toEqual([
      '__name__=old,pod=gone',
      '__name__=stays',
    ]);
    // Query 1 runs from before the drop on, query 2 from after it; both have learnt ids earlier.
    head.setReaders(2, 1);
    const other = new HeadReader(head.memory);
    other.begin();
    markAll(head, T0 + 50_000);
    dropAll(head);
    expect(head.retiredCount).toBeGreaterThan(0);
    push(head, [series('new', [T0 + 200_000], [['pod', 'fresh']])]);
    head.setReaders(4, 1);
    reader.begin();
    head.setReaders(5, 4);
    // Now ids are free and used again, while query 4 (the reader) is still at it, without another begin.
    head.setReaders(5, NO_READER);
    push(head, [series('newer', [T0 + 200_000], [['pod', 'fresher']])]);
    push(head, [series('newest', [T0 + 200_000], [['pod', 'freshest']])]);
    expect(
      await reader.labelValues('pod', { minTimeMs: 0, maxTimeMs: 9e15, limit: 0, matcherSets: [[]] }),
    ).toEqual(['fresh', 'fresher', 'freshest']);
    expect((await selectAll(reader, [createMatcher('=~', 'pod', 'fr.+')])).map((one) => one.labels)).toEqual([
      '__name__=new,pod=fresh',
      '__name__=newer,pod=fresher',
      '__name__=newest,pod=freshest',
    ]);
  });

  test('is not touched while a query holds it', async () => {
    const { head } = newHead();
    push(head, [
      series(
        'a',
        Array.from({ length: 300 }, (_, i) => T0 + i * 1000),
        [['x', 'y']],
      ),
    ]);
    const memory = new HeadMemory(head.memory);
    memory.begin();
    const record = memory.seriesAddress(1);
    const chunk = memory.newestChunk(record);
    const labels = memory.seriesLabels(record);
    const snapshot = () => {
      const words: number[] = [];
      for (let at = chunk; at !== 0; at = memory.olderChunk(at))
        words.push(at, memory.chunkSampleCount(at), ...memory.payload(at, 1));
      for (let i = 0; i <= memory.load(labels); i++) words.push(memory.load(labels + i * 4));
      const pair = memory.load(labels + 4);
      words.push(memory.pairName(pair), memory.pairValue(pair));
      return words;
    };
    const before = snapshot();
    head.setReaders(2, 1);
    markAll(head, T0 + 7_200_000);
    dropAll(head);
    for (let i = 0; i < 50; i++) push(head, [series(`b${i}`, [T0 + i, T0 + 100 + i], [['x', `z${i}`]])]);
    expect(snapshot()).toEqual(before);
    expect(head.seriesCount).toBe(50);
    head.setReaders(2, NO_READER);
    expect(head.retiredCount).toBe(0);
  });

  test('is given back by a head that was filled to the brim', async () => {
    const { head, reader } = newHead({ memoryBytesMax: 128 * 2 ** 20 });
    let accepted = 0;
    let refused = 0;
    for (let i = 0; i < 400 && refused < 3; i++) {
      try {
        push(
          head,
          Array.from({ length: 500 }, (_, k) =>
            series(`m${k % 7}`, [T0 + i], [['long', `${'v'.repeat(150)}${i}_${k}`]]),
          ),
        );
        accepted += 500;
      } catch (thrown) {
        expect(thrown).toMatchObject({ kind: 'unavailable', code: 'head-memory-full' });
        refused++;
      }
    }
    expect(refused).toBe(3);
    expect((await selectAll(reader)).length).toBe(accepted);
    markAll(head, T0 + 7_200_000);
    dropAll(head);
    expect(head.seriesCount).toBe(0);
    push(head, [series('again', [T0 + 7_200_000])]);
    expect((await selectAll(reader)).map((one) => one.labels)).toEqual(['__name__=again']);
  });
});
