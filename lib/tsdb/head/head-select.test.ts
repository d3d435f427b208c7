import { describe, expect, test } from '@jest/globals';
import { bitsOf, sortedLabels, type TestSeries } from '../../kernel/testing/write-request.js';
import { createMatcher } from '../../matcher/index.js';
import { newHead, push, samplesOf, selectAll } from './testing/head-fixture.js';

const T0 = 1_700_000_000_000;
const STALE = 0x7ff0000000000002n;

function series(labels: Record<string, string>, ...samples: [timeMs: number, bits: bigint][]): TestSeries {
  return {
    labels: sortedLabels(labels),
    samples: samples.map(([timeMs, bits]) => ({ timeMs: BigInt(timeMs), bits })),
  };
}

describe('a select of the newest samples', () => {
  const cases: [name: string, times: number[], bits: (time: number) => bigint, maxTimeMs: number][] = [
    ['of a series with one sample', [T0], () => bitsOf(1.5), T0],
    ['in the middle of a chunk', [T0, T0 + 15_000, T0 + 31_000], (t) => bitsOf(t / 7), T0 + 60_000],
    ['at the very end of the range', [T0, T0 + 15_000], (t) => bitsOf(t), T0 + 15_000],
    ['that is a stale marker', [T0, T0 + 1], () => STALE, T0 + 5],
    [
      'after several chunks',
      Array.from({ length: 1000 }, (_, i) => T0 + i * 15_000),
      (t) => bitsOf(Math.sin(t)),
      T0 * 2,
    ],
  ];
  test.each(cases)('answers with nothing but the newest sample %s', async (_name, times, bits, maxTimeMs) => {
    const { head, reader } = newHead();
    for (const time of times) push(head, [series({ __name__: 'm' }, [time, bits(time)])]);
    const newest = times.at(-1)!;
    const [found] = await selectAll(reader, [], newest - 1000, maxTimeMs, true);
    expect(found!.chunks).toHaveLength(1);
    expect([...samplesOf(found!)]).toEqual([[newest, BigInt.asUintN(64, bits(newest))]]);
  });

  test.each([
    ['before 1970', -8_000_000],
    ['soon after 1970', 8_000_000],
    ['in the far future', 2 ** 41],
  ])('finds the newest sample %s', async (_name, time) => {
    const { head, reader } = newHead();
    for (const t of [time - 1000, time]) push(head, [series({ __name__: 'm' }, [t, bitsOf(t)])]);
    const [found] = await selectAll(reader, [], time - 1000, time, true);
    expect(samplesOf(found!).get(time)).toBe(BigInt.asUintN(64, bitsOf(time)));
  });

  test('before the newest sample answers as any other select', async () => {
    const { head, reader } = newHead({ outOfOrderWindowMs: 60_000 });
    for (const time of [T0, T0 + 10, T0 + 20, T0 + 5])
      push(head, [series({ __name__: 'm' }, [time, bitsOf(time)])]);
    const [found] = await selectAll(reader, [], T0 - 1000, T0 + 19, true);
    expect([...samplesOf(found!).keys()]).toEqual(expect.arrayContaining([T0, T0 + 5, T0 + 10]));
  });

  test('finds a late sample that is newer than the newest one in order', async () => {
    const { head, reader } = newHead({ outOfOrderWindowMs: 7_200_000 });
    push(head, [series({ __name__: 'lagging' }, [T0, bitsOf(1)])]);
    push(head, [series({ __name__: 'ahead' }, [T0 + 10_800_000, bitsOf(2)])]);
    push(head, [series({ __name__: 'lagging' }, [T0 + 5_400_000, bitsOf(3)])]);
    const found = await selectAll(
      reader,
      [createMatcher('=', '__name__', 'lagging')],
      T0,
      T0 + 9_000_000,
      true,
    );
    expect([...samplesOf(found[0]!).keys()]).toContain(T0 + 5_400_000);
  });

  test('leaves out series whose newest sample is too old', async () => {
    const { head, reader } = newHead();
    push(head, [series({ __name__: 'm' }, [T0, 0n])]);
    expect(await selectAll(reader, [], T0 + 1, T0 + 9, true)).toEqual([]);
  });
});

describe('a select that was made before', () => {
  const host = (name: string, i: number) => series({ __name__: name, host: `h${i}` }, [T0 + i, bitsOf(i)]);
  const labelsOf = async (reader: Parameters<typeof selectAll>[0], from = 0) =>
    (await selectAll(reader, [createMatcher('=~', 'host', 'h.*5')], T0 + from)).map(({ labels }) => labels);
  const expected = (name: string, end: number) =>
    Array.from({ length: end }, (_, i) => i)
      .filter((i) => i % 10 === 5)
      .map((i) => `__name__=${name},host=h${i}`);

  test.each([20, 5000])('finds the series that came since, %d of them', async (count) => {
    const { head, reader } = newHead();
    for (let i = 0; i < 20; i++) push(head, [host('a', i)]);
    expect(await labelsOf(reader)).toEqual(expected('a', 20));
    const more = Array.from({ length: count }, (_, i) => host('b', i));
    push(head, more);
    expect(await labelsOf(reader)).toEqual([...expected('a', 20), ...expected('b', count)]);
  });

  test('tells labels apart when some series have no samples in the range', async () => {
    const { head, reader } = newHead();
    for (let i = 0; i < 40; i++) push(head, [host('a', i)]);
    expect(await labelsOf(reader)).toEqual(expected('a', 40));
    expect(await labelsOf(reader, 16)).toEqual(expected('a', 40).slice(2));
    expect(await labelsOf(reader)).toEqual(expected('a', 40));
  });
});
