import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bitsOf, sortedLabels } from '../../kernel/testing/write-request.js';
import { createMatcher, type Matcher, type MatchType } from '../../matcher/index.js';
import { newHead, push, selectAll } from './testing/head-fixture.js';

// Random label sets from a small alphabet, so that matchers hit, miss and meet absent labels; brute force is the judge.

const T0 = 1_700_000_000_000;
const NAMES = ['__name__', 'a', 'b', 'zz', 'ü'];
const VALUES = ['', 'x', 'y', 'xy', 'xyz', 'a', '\u{1f600}', 'ﬁ'];

const labelsArbitrary = fc
  .tuple(
    fc.constantFrom('m', 'n'),
    fc.dictionary(fc.constantFrom('a', 'b', 'zz', 'ü'), fc.constantFrom(...VALUES)),
  )
  .map(([name, others]) => {
    const labels: Record<string, string> = { __name__: name };
    for (const [key, value] of Object.entries(others)) if (value !== '') labels[key] = value;
    return labels;
  });

const matcherArbitrary = fc
  .record({
    type: fc.constantFrom<MatchType>('=', '!=', '=~', '!~'),
    name: fc.constantFrom(...NAMES, 'absent'),
    literal: fc.constantFrom(...VALUES, 'm', 'n', 'nothing'),
    pattern: fc.constantFrom(
      '',
      '.*',
      '.+',
      'x|y',
      'x.*',
      '|x',
      'm|n|',
      '[xy]+',
      'xy?',
      '(a|b)?',
      '.*z',
      'nothing|y',
    ),
  })
  .map(({ type, name, literal, pattern }) =>
    createMatcher(type, name, type.length === 1 || type === '!=' ? literal : pattern),
  );

const all = { minTimeMs: -8.64e15, maxTimeMs: 8.64e15, limit: 0 };

function accepts(matchers: readonly Matcher[], labels: Readonly<Record<string, string>>): boolean {
  return matchers.every((matcher) => matcher.matches(labels[matcher.name] ?? ''));
}

function text(labels: Readonly<Record<string, string>>): string {
  return byUtf8(Object.keys(labels))
    .map((name) => `${name}=${labels[name]}`)
    .join(',');
}

function byUtf8(texts: Iterable<string>): string[] {
  return [...new Set(texts)].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

describe('a reader of a head', () => {
  test('finds what brute force finds, for series, names and values', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(labelsArbitrary, { maxLength: 40 }),
        fc.array(fc.array(matcherArbitrary, { maxLength: 3 }), { minLength: 1, maxLength: 12 }),
        async (labelSets, selectors) => {
          const { head, reader } = newHead({ memoryBytesMax: 160 * 2 ** 20 });
          const distinct = new Map(labelSets.map((labels) => [text(labels), labels]));
          for (const labels of distinct.values()) {
            push(head, [
              {
                labels: sortedLabels(labels).sort(([a], [b]) =>
                  Buffer.compare(Buffer.from(a), Buffer.from(b)),
                ),
                samples: [{ timeMs: BigInt(T0), bits: bitsOf(1) }],
              },
            ]);
          }
          const union = new Map<string, Readonly<Record<string, string>>>();
          for (const matchers of selectors) {
            const expected = [...distinct].filter(([, labels]) => accepts(matchers, labels));
            const found = await selectAll(reader, matchers);
            expect(found.map((series) => series.labels).sort()).toEqual(expected.map(([key]) => key).sort());
            for (const [key, labels] of expected) union.set(key, labels);
            const query = { ...all, matcherSets: [matchers] };
            expect(await reader.labelNames(query)).toEqual(
              byUtf8(expected.flatMap(([, labels]) => Object.keys(labels))),
            );
            for (const name of NAMES) {
              const values = expected.flatMap(([, labels]) => labels[name] ?? []);
              expect(await reader.labelValues(name, query)).toEqual(byUtf8(values));
            }
          }
          const series = await reader.series({ ...all, matcherSets: selectors });
          expect(
            series.map((set) => set.map(({ name, value }) => `${name}=${value}`).join(',')).sort(),
          ).toEqual([...union.keys()].sort());
          const everything = { ...all, matcherSets: [] };
          expect(await reader.labelNames(everything)).toEqual(
            byUtf8([...distinct.values()].flatMap((labels) => Object.keys(labels))),
          );
          for (const name of NAMES) {
            const values = [...distinct.values()].flatMap((labels) => labels[name] ?? []);
            expect(await reader.labelValues(name, everything)).toEqual(byUtf8(values));
          }
        },
      ),
      { seed: 4711, numRuns: 60 },
    );
  });

  test('leaves out series whose samples lie outside the asked range', async () => {
    const { head, reader } = newHead();
    for (const [name, offset] of [
      ['early', 0],
      ['late', 1_000_000],
    ] as const) {
      push(head, [
        { labels: [['__name__', name]], samples: [{ timeMs: BigInt(T0 + offset), bits: bitsOf(1) }] },
      ]);
    }
    const names = async (minTimeMs: number, maxTimeMs: number) =>
      (await selectAll(reader, [], minTimeMs, maxTimeMs)).map((series) => series.labels);
    expect(await names(T0 - 10, T0 - 1)).toEqual([]);
    expect(await names(T0, T0)).toEqual(['__name__=early']);
    expect(await names(T0 + 1, T0 + 1_000_000)).toEqual(['__name__=late']);
    const query = { minTimeMs: T0 + 1, maxTimeMs: T0 + 2e6, limit: 0, matcherSets: [[]] };
    expect(await reader.labelValues('__name__', query)).toEqual(['late']);
  });
});
