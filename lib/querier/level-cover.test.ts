import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { NO_SHARE, sharesInLevels } from '../tsdb/downsample/index.js';
import { type CoverSource, LevelCover } from './level-cover.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const SLOT = 2 * HOUR;
const FINE = 300_000;
const NO_LIMIT = Number.POSITIVE_INFINITY;

interface Named extends CoverSource {
  readonly name: string;
  readonly sources: readonly string[];
}

/** A block of what was scraped between two hours; every two hours have a source of their own. */
function block(
  name: string,
  resolutionMs: number,
  from: number,
  to: number,
  more: Partial<Named> = {},
): Named {
  const sources: string[] = [];
  for (let t = Math.floor((from * HOUR) / SLOT) * SLOT; t < to * HOUR; t += SLOT)
    sources.push(`s${t / SLOT}`);
  return {
    name,
    resolutionMs,
    minTimeMs: from * HOUR,
    maxTimeMs: to * HOUR,
    group: '',
    sources,
    share: NO_SHARE,
    ...more,
  };
}

/** The blocks with what levels have of them. */
function shared(blocks: readonly Named[]): Named[] {
  const shares = sharesInLevels(
    blocks.map((one, i) => ({
      ...{ ulid: `${i}`, minTime: one.minTimeMs, maxTime: one.maxTimeMs, resolution: one.resolutionMs },
      ...{ group: one.group, sources: one.sources },
    })),
  );
  return blocks.map((one, i) =>
    one.share === null ? one : { ...one, share: shares.get(`${i}`) ?? NO_SHARE },
  );
}

/** Reads as `name from..to`, in hours. */
function reads(
  blocks: readonly Named[],
  from: number,
  to: number,
  wantedMs: number,
  withLate = true,
): string[] {
  return new LevelCover(shared(blocks), NO_LIMIT)
    .reads(from * HOUR, to * HOUR - 1, wantedMs, withLate)
    .map(({ source, fromMs, toMs }) => `${source.name} ${fromMs / HOUR}..${toMs / HOUR}`)
    .sort();
}

describe('reads', () => {
  const raw = block('raw', 0, 0, 48);
  const fine = block('5m', FINE, 0, 48);
  const hours = block('1h', HOUR, 0, 24);
  const days = block('1d', DAY, 0, 48);

  test.each([
    ['raw blocks alone as they are', [raw], HOUR, ['raw 0..48']],
    ['the level wanted', [raw, fine, days], FINE, ['5m 0..48']],
    ['the next finer one where it ends', [raw, fine, hours, days], HOUR, ['1h 0..24', '5m 24..48']],
    ['raw where no level was wanted', [raw, fine, hours, days], 0, ['raw 0..48']],
    [
      'the finest one where raw is missing',
      [block('raw', 0, 24, 48), fine, hours],
      0,
      ['5m 0..24', 'raw 24..48'],
    ],
    ['whole windows of coarser ones', [block('raw', 0, 20, 48), days], 0, ['1d 0..24', 'raw 24..48']],
    [
      'a level beside finer blocks that cross its end',
      [hours, block('5m', FINE, 18, 48)],
      HOUR,
      ['1h 0..24', '5m 24..48'],
    ],
    [
      'no begun window at the end of a level where a finer one has it whole',
      [block('1h', HOUR, 0, 23.5), fine],
      HOUR,
      ['1h 0..23', '5m 23..48'],
    ],
    [
      'a begun window where nobody else has it',
      [block('1h', HOUR, 0, 23.5), block('raw', 0, 23.5, 48)],
      HOUR,
      ['1h 0..23.5', 'raw 23.5..48'],
    ],
  ] as const)('%s', (_, blocks, wantedMs, expected) => {
    expect(reads(blocks, 0, 48, wantedMs)).toEqual(expected);
  });

  test.each([
    ['a moment after the last scrape of a block', 0.001],
    ['hours without samples', 7],
  ])('nothing coarser for %s', (_, hoursWithout) => {
    const end = 24 - hoursWithout;
    const twoDays = [block('5m 1', FINE, 0, end), block('5m 2', FINE, 24, 48)];
    const twoHours = [block('1h 1', HOUR, 0, end), block('1h 2', HOUR, 24, 48)];
    const wide = block('1d', DAY, 0, 48, {
      sources: [...twoDays, ...twoHours].flatMap(({ sources }) => sources),
    });
    const raws = [block('raw 1', 0, 0, end), block('raw 2', 0, 24, 48)];
    const all = [...raws, ...twoDays, ...twoHours, wide];
    expect(reads(all, 0, 48, HOUR)).toEqual([`1h 1 0..${end}`, '1h 2 24..48']);
    expect(reads(all, 0, 48, FINE)).toEqual([`5m 1 0..${end}`, '5m 2 24..48']);
    expect(reads(all, 0, 48, 0)).toEqual([`raw 1 0..${end}`, 'raw 2 24..48']);
    // What is raw is gone.
    expect(reads([...twoDays, ...twoHours, wide], 0, 48, 0)).toEqual([`5m 1 0..${end}`, '5m 2 24..48']);
  });

  test('only what lies in the times asked for', () => {
    expect(reads([block('raw', 0, 24, 48), fine, hours], 30, 40, 0)).toEqual(['raw 24..48']);
    expect(reads([raw, fine, hours], 30, 40, HOUR)).toEqual(['5m 24..48']);
  });

  test('nothing coarser than allowed', () => {
    const cover = new LevelCover(shared([block('raw', 0, 24, 48), fine, days]), FINE);
    expect(cover.resolutions).toEqual([0, FINE]);
    expect(cover.reads(0, 48 * HOUR - 1, 0, true).map(({ source }) => source.name)).toEqual(['5m', 'raw']);
  });

  test('groups each for itself', () => {
    const other = block('other raw', 0, 0, 48, { group: 'b' });
    expect(reads([fine, other], 0, 48, FINE)).toEqual(['5m 0..48', 'other raw 0..48']);
  });

  test('what keeps coming beside levels, whatever time it may have samples of', () => {
    const head = block('head', 0, -1000, 60, { sources: [], share: null });
    expect(reads([raw, fine, head], 0, 60, FINE)).toEqual(['5m 0..48', 'head 0..48', 'head 48..60']);
    expect(reads([raw, fine, head], 0, 60, FINE, false)).toEqual(['5m 0..48', 'head 48..60']);
    expect(reads([raw, fine, head], 0, 60, 0)).toEqual(['head 0..60', 'raw 0..48']);
  });

  describe('of samples that came late for a level', () => {
    const late = block('late', 0, 4.5, 6, { sources: ['late'] });

    test('raw, where raw blocks have the rest', () => {
      expect(reads([raw, fine, late], 0, 48, FINE)).toEqual([
        '5m 0..4.5',
        '5m 6..48',
        'late 4.5..6',
        'raw 4.5..6',
      ]);
      expect(reads([raw, hours, late], 0, 24, HOUR)).toEqual([
        '1h 0..4',
        '1h 6..24',
        'late 4.5..6',
        'raw 4..6',
      ]);
    });

    test('raw, where they were merged into a raw block', () => {
      const merged = block('merged', 0, 0, 24, { sources: [...hours.sources, 'late'] });
      expect(reads([merged, hours, fine], 0, 48, HOUR)).toEqual(['5m 24..48', 'merged 0..24']);
    });

    test('beside the level, where they are all that is raw', () => {
      expect(reads([fine, late], 0, 48, FINE)).toEqual(['5m 0..48', 'late 4.5..6']);
      expect(reads([fine, late], 0, 48, 0)).toEqual(['5m 0..48', 'late 4.5..6']);
      expect(reads([fine, late], 0, 48, FINE, false)).toEqual(['5m 0..48']);
    });

    test('not at all of a block that was compacted further than the level', () => {
      expect(reads([raw, hours], 0, 48, HOUR)).toEqual(['1h 0..24', 'raw 24..48']);
    });
  });
});

/** Blocks that end with windows of their resolution, in a week. */
const anyBlock = fc
  .record({
    resolutionMs: fc.constantFrom(0, 0, FINE, FINE, HOUR, DAY),
    from: fc.integer({ min: 0, max: 83 }),
    length: fc.integer({ min: 1, max: 30 }),
  })
  .map(({ resolutionMs, from, length }) => {
    const unit = resolutionMs === DAY ? 12 : 1;
    const begin = Math.floor(from / unit) * unit;
    const end = Math.ceil((from + length) / unit) * unit;
    return block(`${resolutionMs}/${begin}/${end}`, resolutionMs, begin * 2, end * 2);
  });

test('whatever blocks there are, each moment that any of them has is read of exactly one level', () => {
  fc.assert(
    fc.property(
      fc.array(anyBlock, { minLength: 1, maxLength: 12 }),
      fc.constantFrom(0, FINE, HOUR, DAY),
      fc.integer({ min: 0, max: 1800 }),
      fc.integer({ min: 1, max: 1800 }),
      (blocks, wantedMs, from, length) => {
        const fromMs = from * FINE * 2;
        const toMs = fromMs + length * FINE * 2;
        const found = new LevelCover(shared(blocks), NO_LIMIT).reads(fromMs, toMs - 1, wantedMs, true);
        for (const { source, fromMs: begin, toMs: end } of found) {
          expect(begin % Math.max(1, source.resolutionMs)).toBe(0);
          expect(end % Math.max(1, source.resolutionMs)).toBe(0);
        }
        for (let t = fromMs; t < toMs; t += FINE) {
          const isThere = blocks.some((one) => one.minTimeMs <= t && t < one.maxTimeMs);
          const here = found.filter((read) => read.fromMs <= t && t < read.toMs);
          const levels = here.filter(({ source }) => source.resolutionMs > 0).length;
          const raw = here.some(({ source }) => source.resolutionMs === 0) ? 1 : 0;
          if (levels + raw !== (isThere ? 1 : 0)) {
            throw new Error(`${t / HOUR}: ${here.map(({ source }) => source.name).join()}`);
          }
          if (raw === 0) continue;
          // All of raw, as blocks may have some of the samples each.
          const all = blocks.filter(
            (one) => one.resolutionMs === 0 && one.minTimeMs <= t && t < one.maxTimeMs,
          );
          expect(here).toHaveLength(all.length);
        }
      },
    ),
    { numRuns: 400, seed: 3 },
  );
});
