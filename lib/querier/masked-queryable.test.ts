import { describe, expect, test } from '@jest/globals';
import { bitsOf, sortedLabels, type TestSeries } from '../kernel/testing/write-request.js';
import type { LabelSet } from '../labels/index.js';
import { createMatcher, type Matcher } from '../matcher/index.js';
import { SeededPrng } from '../prng/index.js';
import { ArrayArena, type LabelQuery, type Queryable, type SelectHints } from '../storage/index.js';
import type { DeletionMask } from '../tsdb/block/index.js';
import {
  type DecodedSeries,
  decodeSet,
  newHead,
  push,
  samplesOf,
} from '../tsdb/head/testing/head-fixture.js';
import { withoutDeleted } from './masked-queryable.js';

const T0 = 1_700_000_000_000;
const STEP = 15_000;

function series(labels: Record<string, string>, times: readonly number[]): TestSeries {
  return {
    labels: sortedLabels({ __name__: 'm', ...labels }),
    samples: times.map((timeMs) => ({ timeMs: BigInt(timeMs), bits: bitsOf(timeMs % 97) })),
  };
}

/** Three pods with 1000 samples each. */
function filled(): Queryable {
  const { head, reader } = newHead();
  for (let i = 0; i < 1000; i++) {
    const times = [T0 + i * STEP];
    push(head, [series({ pod: 'a' }, times), series({ pod: 'b', zone: 'z' }, times), series({}, times)]);
  }
  reader.begin();
  return reader;
}

async function selectAll(
  source: Queryable,
  matchers: readonly Matcher[],
  minTimeMs: number,
  maxTimeMs: number,
  newestOnly = false,
): Promise<DecodedSeries[]> {
  const arena = new ArrayArena();
  const hints = { ...HINTS, minTimeMs, maxTimeMs, newestOnly };
  return decodeSet(await source.select(matchers, hints, arena), arena);
}

/** Labels of a decoded series: its texts hold neither commas nor equals signs. */
function labelsOf({ labels }: DecodedSeries): Readonly<Record<string, string>> {
  return Object.fromEntries(labels.split(',').map((text) => text.split('=')));
}

const END = T0 + 999 * STEP;
const mask = (matchers: readonly Matcher[], from: number, to: number): DeletionMask => ({
  matchers,
  minTime: T0 + from * STEP,
  maxTime: T0 + to * STEP,
});
const POD_B = [createMatcher('=', 'pod', 'b')];

function query(changes: Partial<LabelQuery> = {}): LabelQuery {
  return {
    minTimeMs: T0,
    maxTimeMs: END,
    matcherSets: [[createMatcher('=', '__name__', 'm')]],
    limit: 0,
    ...changes,
  };
}

function podsOf(found: readonly LabelSet[]): string[] {
  return found.map((labels) => labels.find(({ name }) => name === 'pod')?.value ?? '');
}

const HINTS: SelectHints = {
  ...{ minTimeMs: T0, maxTimeMs: END, stepMs: 0, rangeMs: 0, limit: 0, func: '', withoutChunks: false },
};

describe('withoutDeleted', () => {
  test('is the source itself when there are no masks', () => {
    const source = filled();
    expect(withoutDeleted(source, [])).toBe(source);
  });

  test('leaves answers alone whose time no mask touches', async () => {
    const source = filled();
    const masked = withoutDeleted(source, [mask(POD_B, 0, 10)]);
    const [plain, shown] = [source, masked].map((one) =>
      selectAll(one, [], T0 + 20 * STEP, END).then((all) => all.map((each) => [...samplesOf(each)])),
    );
    expect(await shown).toEqual(await plain);
  });

  test('hides what random masks select, and nothing else', async () => {
    const random = new SeededPrng(5);
    const source = filled();
    const selectors: Matcher[][] = [
      POD_B,
      [createMatcher('=~', 'pod', 'a|b')],
      [createMatcher('!=', 'pod', 'a')],
      [createMatcher('=', 'pod', ''), createMatcher('=', '__name__', 'm')],
      [createMatcher('=', 'pod', 'nobody')],
    ];
    for (let round = 0; round < 60; round++) {
      const masks = Array.from({ length: 1 + random.nextInt(3) }, () => {
        const from = random.nextInt(1100) - 50;
        return mask(selectors[random.nextInt(selectors.length)]!, from, from + random.nextInt(600));
      });
      const minTimeMs = T0 + random.nextInt(900) * STEP;
      const maxTimeMs = minTimeMs + random.nextInt(400) * STEP;
      const inRange = (samples: ReadonlyMap<number, bigint>) =>
        [...samples].filter(([time]) => time >= minTimeMs && time <= maxTimeMs);
      const isHidden = (labels: Readonly<Record<string, string>>, time: number) =>
        masks.some(
          ({ matchers, minTime, maxTime }) =>
            time >= minTime &&
            time <= maxTime &&
            matchers.every(({ name, matches }) => matches(labels[name] ?? '')),
        );
      const wanted = new Map(
        (await selectAll(source, [], minTimeMs, maxTimeMs)).map((one) => [
          one.labels,
          inRange(samplesOf(one)).filter(([time]) => !isHidden(labelsOf(one), time)),
        ]),
      );
      const masked = withoutDeleted(source, masks);
      const found = await selectAll(masked, [], minTimeMs, maxTimeMs);
      for (const one of found) {
        expect(inRange(samplesOf(one))).toEqual(wanted.get(one.labels));
      }
      const filledOnes = [...wanted].filter(([, samples]) => samples.length > 0).map(([key]) => key);
      expect(found.map((one) => one.labels)).toEqual(expect.arrayContaining(filledOnes));
      const listed = podsOf(await masked.series(query({ minTimeMs, maxTimeMs })));
      const podsWithSamples = filledOnes.map((labels) => labelsOf({ labels, chunks: [] })['pod'] ?? '');
      expect(listed).toEqual(expect.arrayContaining(podsWithSamples));
      expect(listed.length).toBe(found.length);
    }
  });

  test('does not tell series that are wholly hidden in the asked time', async () => {
    const masked = withoutDeleted(filled(), [mask(POD_B, 500, 2000)]);
    expect(podsOf(await masked.series(query()))).toEqual(['', 'a', 'b']);
    const late = query({ minTimeMs: T0 + 600 * STEP });
    expect(podsOf(await masked.series(late))).toEqual(['', 'a']);
    expect(podsOf(await masked.series({ ...late, limit: 1 }))).toEqual(['']);
    expect(await masked.labelNames(late)).toEqual(['__name__', 'pod']);
    expect(await masked.labelNames(query())).toEqual(['__name__', 'pod', 'zone']);
    expect(await masked.labelValues('pod', late)).toEqual(['a']);
    expect(await masked.labelValues('zone', late)).toEqual([]);
    // As in blocks.
    expect(await masked.labelValues('pod', { ...late, matcherSets: [] })).toEqual(['a', 'b']);
    const hints = { ...HINTS, minTimeMs: T0 + 600 * STEP, withoutChunks: true };
    const found = await masked.select([], hints, new ArrayArena());
    expect([found.seriesCount, found.chunkAddresses.length]).toEqual([2, 0]);
  });

  test('gives the newest sample that is not hidden', async () => {
    const masked = withoutDeleted(filled(), [mask(POD_B, 990, 2000)]);
    const found = await selectAll(masked, POD_B, T0 + 900 * STEP, END, true);
    expect(Math.max(...samplesOf(found[0]!).keys())).toBe(T0 + 989 * STEP);
  });

  test('obeys a limit after hiding', async () => {
    const masked = withoutDeleted(filled(), [mask([createMatcher('=', 'pod', 'a')], -1, 2000)]);
    const found = await masked.select([], { ...HINTS, limit: 2 }, new ArrayArena());
    expect(found.seriesCount).toBe(2);
  });
});
