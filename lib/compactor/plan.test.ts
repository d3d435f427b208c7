import { describe, expect, test } from '@jest/globals';
import type { DeletionRule, KnownBlock } from '../bucketindex/index.js';
import { type PlanInput, type PlanOptions, planTenant } from './plan.js';

/** Times in hours from a day's begin; blocks named by one letter. */
const HOUR = 3_600_000;
const DAY_0 = 19_600 * 24 * HOUR - ((19_600 * 24 * HOUR) % (28 * 24 * HOUR));
const OPTIONS: PlanOptions = {
  rangesMs: [2 * HOUR, 12 * HOUR, 24 * HOUR],
  firstLevelWaitMs: HOUR / 2,
  lateMs: 0,
  downsampling: null,
};
const DOWNSAMPLING = { hourMs: 7 * 24 * HOUR, dayMs: 28 * 24 * HOUR };

interface Changes {
  readonly level?: number;
  readonly sources?: string;
  readonly resolution?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly uploaded?: number;
}

function block(name: string, from: number, to: number, changes: Changes = {}): KnownBlock {
  const { level = 1, sources = name, resolution = 0, labels = {}, uploaded = to + 1 } = changes;
  return {
    ulid: name,
    minTime: DAY_0 + from * HOUR,
    maxTime: DAY_0 + to * HOUR,
    uploadedAtMs: DAY_0 + uploaded * HOUR,
    segmentCount: 1,
    seriesBytesMax: 0,
    chunkBytesMax: 0,
    facts: {
      resolution,
      level,
      labels,
      source: '',
      sources: [...sources].sort(),
      series: 1,
      samples: 1,
      bytes: 0,
    },
    others: {},
  };
}

function input(
  nowHour: number,
  blocks: readonly KnownBlock[],
  marked: Partial<PlanInput['marked']> = {},
): PlanInput {
  return {
    blocks,
    nowMs: DAY_0 + nowHour * HOUR,
    marked: { deletion: new Set(), 'no-compact': new Set(), 'no-downsample': new Set(), ...marked },
  };
}

/** A request for samples between two hours that was made when it is day 0. */
function rule(from: number, to: number, key = 'R'): DeletionRule {
  const minTimeMs = DAY_0 + from * HOUR;
  const maxTimeMs = DAY_0 + to * HOUR - 1;
  const request = { id: key, selectors: [], matcherSets: [], minTimeMs, maxTimeMs, createdMs: DAY_0 };
  return { key, request, masks: [{ key, matchers: [['=', 'a', 'b']], minTimeMs, maxTimeMs }] };
}

describe('planTenant with deletions', () => {
  const planned = (
    blocks: readonly KnownBlock[],
    deletions: PlanInput['deletions'] & object,
    marked: Partial<PlanInput['marked']> = {},
    options: PlanOptions = { ...OPTIONS, downsampling: DOWNSAMPLING },
  ) =>
    planTenant({ ...input(24 * 7 + 24, blocks, marked), deletions }, options).jobs.map((job) => ({
      what: `${job.kind} ${job.blocks.map(({ ulid }) => ulid).join('')}`,
      rules: job.rules.map(({ key }) => key).join(),
      applied: job.applied.join(),
      finer: job.finer.map(({ ulid }) => ulid).join(''),
    }));
  const checked = (...names: string[]) => new Map(names.map((name) => [name, new Set(['R'])]));
  const day = (name: string, from: number) => block(name, from, from + 24, { level: 3 });
  const level = (name: string, from: number, sources: string, resolution = 300_000) =>
    block(name, from, from + 24, { level: 3, sources, resolution });
  const rewrite = (name: string, finer = '') => ({
    what: `rewrite ${name}`,
    rules: 'R',
    applied: 'R',
    finer,
  });

  test('merges leave them out, and no block is written twice', () => {
    const blocks = [block('A', 0, 2), block('B', 0, 2)];
    expect(planned(blocks, { rules: [rule(1, 9)], checked: checked() })).toEqual([
      { what: 'compact AB', rules: 'R', applied: 'R', finer: '' },
    ]);
    expect(planned(blocks, { rules: [rule(2, 9)], checked: checked() })).toMatchObject([
      { rules: '', applied: '' },
    ]);
    expect(planned(blocks, { rules: [rule(1, 9)], checked: checked('A', 'B') })).toMatchObject([
      { rules: '', applied: 'R' },
    ]);
  });

  test('final blocks are written anew before they are downsampled, those that are not to be compacted never', () => {
    const blocks = [day('A', 0), day('B', 24)];
    const deletions = { rules: [rule(1, 9)], checked: checked() };
    expect(planned(blocks, deletions)).toEqual([
      rewrite('A'),
      { what: 'downsample B', rules: '', applied: '', finer: '' },
    ]);
    expect(planned(blocks, deletions, { 'no-compact': new Set(['A']) })).toEqual([
      { what: 'downsample A', rules: '', applied: '', finer: '' },
      { what: 'downsample B', rules: '', applied: '', finer: '' },
    ]);
    expect(planned(blocks, { ...deletions, checked: checked('A') })).toMatchObject([
      { what: 'downsample A', applied: 'R' },
      { what: 'downsample B', applied: '' },
    ]);
  });

  test('levels follow the finer ones, and are cut where those are gone', () => {
    const raw = day('A', 0);
    const fine = level('B', 0, 'A');
    const deletions = { rules: [rule(1, 9)], checked: checked() };
    expect(planned([raw, fine], deletions)).toEqual([rewrite('A')]);
    expect(planned([raw, fine], { ...deletions, checked: checked('A') })).toEqual([rewrite('B', 'A')]);
    expect(planned([fine], deletions)).toEqual([rewrite('B')]);
    // What came late is not in the level yet.
    const late = block('A', 0, 24, { level: 4, sources: 'AZ' });
    expect(planned([late, fine], { ...deletions, checked: checked('A') })).toContainEqual(rewrite('B'));
    expect(planned([raw, fine], deletions, { 'no-compact': new Set(['A']) })).toEqual([rewrite('B')]);
  });

  test('young blocks are left until the others have come', () => {
    const young = block('A', 0, 2, { uploaded: 24 * 8 - 0.1 });
    expect(planned([young], { rules: [rule(0, 9)], checked: checked() }, {}, OPTIONS)).toEqual([]);
  });
});

/** `AB 0-12`: the blocks of each job and its range in hours, with the resolution when it isn't raw. */
function jobsOf(plan: PlanInput, options: PlanOptions = OPTIONS): string[] {
  return planTenant(plan, options).jobs.map(({ blocks, rangeStart, rangeEnd, resolution }) => {
    const names = blocks.map(({ ulid }) => ulid).join('');
    const range = `${(rangeStart - DAY_0) / HOUR}-${(rangeEnd - DAY_0) / HOUR}`;
    return resolution === 0 ? `${names} ${range}` : `${names} ${range} ${resolution / 60_000}m`;
  });
}

/** Two-hour blocks A, B, … from an hour on. */
function row(count: number, from = 0, first = 'A'): KnownBlock[] {
  return Array.from({ length: count }, (_, i) =>
    block(String.fromCharCode(first.charCodeAt(0) + i), from + 2 * i, from + 2 * i + 2),
  );
}

describe('the planner merges raw blocks', () => {
  test.each<readonly [string, number, readonly KnownBlock[], readonly string[]]>([
    ['nothing without blocks', 100, [], []],
    ['no single block', 100, row(1), []],
    ['a range of 12 hours when it is complete', 14, row(6), ['ABCDEF 0-12']],
    ['no range before blocks for it can have come', 13, row(6), []],
    ['a day at once when it is complete', 26, row(12), ['ABCDEFGHIJKL 0-24']],
    ['a day with gaps', 26, [row(1)[0]!, block('B', 20, 22)], ['AB 0-24']],
    ['the first half while the second is not complete', 24, row(11), ['ABCDEF 0-12']],
    [
      'two halves to a day',
      26,
      [block('X', 0, 12, { level: 2, sources: 'AB' }), block('Y', 12, 24, { level: 2, sources: 'CD' })],
      ['XY 0-24'],
    ],
    [
      'overlapping blocks of two hours at once',
      3,
      [block('A', 0, 2, { uploaded: 2.1 }), block('B', 0, 2, { uploaded: 2.2 })],
      ['AB 0-2'],
    ],
    [
      'no overlapping blocks before the other replicas have had time',
      2.6,
      [block('A', 0, 2, { uploaded: 2.1 }), block('B', 0, 2, { uploaded: 2.2 })],
      [],
    ],
    [
      'no overlapping blocks of a range that has not ended',
      1.9,
      [block('A', 0, 1, { uploaded: 1 }), block('B', 0, 1, { uploaded: 1 })],
      [],
    ],
    [
      'a late block into its day',
      50,
      [block('X', 0, 24, { level: 3, sources: 'AB' }), block('L', 4, 6, { uploaded: 40 })],
      ['XL 0-24'],
    ],
    [
      'no late block that has just come',
      50,
      [block('X', 0, 24, { level: 3, sources: 'AB' }), block('L', 4, 6, { uploaded: 49.9 })],
      [],
    ],
    [
      'groups apart',
      26,
      [...row(2), block('P', 0, 2, { labels: { zone: 'b' } }), block('Q', 2, 4, { labels: { zone: 'b' } })],
      ['PQ 0-24', 'AB 0-24'],
    ],
    [
      'what differs only in labels that say nothing',
      26,
      [block('A', 0, 2, { labels: { __org_id__: 't', __ingester_id__: 'i' } }), block('B', 2, 4)],
      ['AB 0-24'],
    ],
    ['days apart', 100, [...row(2), ...row(2, 24, 'P')], ['AB 0-24', 'PQ 24-48']],
    ['no block that is larger than the largest range', 200, [block('A', 0, 48), block('B', 10, 12)], []],
    [
      'no block that crosses a border',
      200,
      [block('A', 20, 28), block('B', 10, 12), block('C', 2, 4)],
      ['CB 0-24'],
    ],
    [
      'no downsampled blocks',
      200,
      [block('A', 0, 2, { resolution: 300_000 }), block('B', 2, 4, { resolution: 300_000 })],
      [],
    ],
    [
      'blocks before 1970',
      26,
      [block('A', -500_000, -499_998), block('B', -499_998, -499_996)],
      ['AB -500016--499992'],
    ],
  ])('%s', (_, now, blocks, expected) => {
    // Groups come in the order of their hashes.
    expect(jobsOf(input(now, blocks)).sort()).toEqual([...expected].sort());
  });

  test('waits longer where late samples may come', () => {
    const options = { ...OPTIONS, lateMs: 3 * HOUR };
    expect(jobsOf(input(16.9, row(6)), options)).toEqual([]);
    expect(jobsOf(input(17, row(6)), options)).toEqual(['ABCDEF 0-12']);
  });

  test('leaves blocks with marks out and goes on with the others', () => {
    expect(jobsOf(input(26, row(4), { 'no-compact': new Set(['B']) }))).toEqual(['ACD 0-24']);
    expect(jobsOf(input(26, row(4), { deletion: new Set(['B']) }))).toEqual(['ACD 0-24']);
    expect(jobsOf(input(26, row(2), { 'no-compact': new Set(['B']) }))).toEqual([]);
  });

  test('does nothing with blocks that another one holds, and names them', () => {
    const blocks = [...row(2), block('X', 0, 4, { level: 2, sources: 'AB' })];
    const plan = planTenant(input(26, blocks), OPTIONS);
    expect(plan.jobs).toEqual([]);
    expect([...plan.covered]).toEqual([
      ['A', 'X'],
      ['B', 'X'],
    ]);
  });

  test('keeps one of two equal results', () => {
    const twice = [
      block('X', 0, 4, { level: 2, sources: 'AB' }),
      block('Y', 0, 4, { level: 2, sources: 'AB' }),
    ];
    expect([...planTenant(input(26, twice), OPTIONS).covered]).toEqual([['Y', 'X']]);
  });

  test('prefers the result without deleted samples', () => {
    const rewritten = [
      block('X', 0, 4, { level: 2, sources: 'AB' }),
      block('Y', 0, 4, { level: 3, sources: 'AB' }),
    ];
    expect([...planTenant(input(26, rewritten), OPTIONS).covered]).toEqual([['X', 'Y']]);
  });

  test('takes no cover from a block that is to be deleted', () => {
    const blocks = [...row(2), block('X', 0, 4, { level: 2, sources: 'AB' })];
    expect(jobsOf(input(26, blocks, { deletion: new Set(['X']) }))).toEqual(['AB 0-24']);
  });

  test('gives jobs for parts of one day the same key', () => {
    const half = planTenant(input(24, row(11)), OPTIONS).jobs[0]!;
    const whole = planTenant(input(26, row(12)), OPTIONS).jobs[0]!;
    expect(half.key).toBe(whole.key);
    expect(whole.key).toMatch(/^compact-0-[0-9a-f]{16}-\d+-\d+$/);
  });

  test('comes to an end: doing all jobs leaves one block a day', () => {
    let blocks = [
      ...row(12),
      ...row(12, 24, 'a'),
      ...row(12).map((one) => ({
        ...one,
        ulid: `${one.ulid}2`,
        facts: { ...one.facts, sources: [`${one.ulid}2`] },
      })),
    ];
    const marked = new Set<string>();
    for (let hour = 2; hour < 100; hour++) {
      const visible = blocks.filter(({ uploadedAtMs }) => uploadedAtMs <= DAY_0 + hour * HOUR);
      for (const job of planTenant(input(hour, visible, { deletion: marked }), OPTIONS).jobs) {
        const sources = [...new Set(job.blocks.flatMap(({ facts }) => facts.sources))];
        const made = block(
          `J${blocks.length}`,
          (job.blocks[0]!.minTime - DAY_0) / HOUR,
          (Math.max(...job.blocks.map((one) => one.maxTime)) - DAY_0) / HOUR,
          { level: 2, uploaded: hour },
        );
        blocks = [...blocks, { ...made, facts: { ...made.facts, sources: sources.sort() } }];
        for (const { ulid } of job.blocks) marked.add(ulid);
      }
    }
    const left = blocks.filter(({ ulid }) => !marked.has(ulid));
    expect(left.map(({ minTime, maxTime }) => [(minTime - DAY_0) / HOUR, (maxTime - DAY_0) / HOUR])).toEqual([
      [0, 24],
      [24, 48],
    ]);
    expect(left[0]!.facts.sources.length).toBe(24);
  });
});

describe('the planner downsamples', () => {
  const options = { ...OPTIONS, downsampling: DOWNSAMPLING };
  const day = (name: string, d: number, sources: string, resolution = 0) =>
    block(name, 24 * d, 24 * d + 24, { level: 3, sources, resolution });
  const FIVE = 300_000;
  const ONE_HOUR = HOUR;
  const week = 'abcdefg';

  test.each<readonly [string, number, readonly KnownBlock[], readonly string[]]>([
    ['a day when it is final', 26, [day('A', 0, 'a')], ['A 0-24 5m']],
    ['no day that is not complete', 25.9, [day('A', 0, 'a')], []],
    ['no day that is to be merged first', 60, [day('A', 0, 'a'), block('L', 1, 2)], ['AL 0-24']],
    ['a day of one small block', 60, [block('L', 1, 2)], ['L 0-24 5m']],
    [
      'hours of a day, its week not being over',
      60,
      [day('A', 0, 'a'), day('F', 0, 'a', FIVE)],
      ['F 0-24 60m'],
    ],
    [
      'no day that was downsampled',
      60,
      [day('A', 0, 'a'), day('F', 0, 'a', FIVE), day('H', 0, 'a', ONE_HOUR)],
      [],
    ],
    ['a day again that got late samples', 60, [day('B', 0, 'al'), day('F', 0, 'a', FIVE)], ['B 0-24 5m']],
    ['a large block of another program', 60, [block('A', 0, 48, { level: 3 })], ['A 0-48 5m']],
    [
      'a week of 5 minutes when it is over',
      170,
      [...week].map((name, d) => day(name.toUpperCase(), d, name, FIVE)),
      ['ABCDEFG 0-168 60m'],
    ],
    [
      'the days, but no week that is not over',
      169,
      [...week].map((name, d) => day(name.toUpperCase(), d, name, FIVE)),
      [...'ABCDEF'].map((name, d) => `${name} ${d * 24}-${d * 24 + 24} 60m`),
    ],
    [
      'a week in one when it is over, its days having been done',
      170,
      [
        ...[...week].map((name, d) => day(name.toUpperCase(), d, name, FIVE)),
        ...[...week].map((name, d) => day('TUVWXYZ'[d]!, d, name, ONE_HOUR)),
      ],
      ['ABCDEFG 0-168 60m'],
    ],
    [
      'what is left of a week in one',
      170,
      [
        ...[...'bcdefg'].map((name, d) => day(name.toUpperCase(), d + 1, name, FIVE)),
        ...[...week].map((name, d) => day('TUVWXYZ'[d]!, d, name, ONE_HOUR)),
      ],
      ['BCDEFG 0-168 60m'],
    ],
    [
      'no week with a day that has to be done',
      170,
      [day('Z', 6, 'z'), ...[...'abcdef'].map((name, d) => day(name.toUpperCase(), d, name, FIVE))],
      ['Z 144-168 5m'],
    ],
    [
      'a week again that got late samples',
      170,
      [
        ...[...week].map((name, d) => day(name.toUpperCase(), d, d === 2 ? 'cl' : name, FIVE)),
        block('H', 0, 168, { level: 4, sources: week, resolution: ONE_HOUR }),
      ],
      ['ABCDEFG 0-168 60m'],
    ],
    [
      'no week again whose days are gone, but its days in a block',
      170,
      [day('C', 2, 'cl', FIVE), block('H', 0, 168, { level: 4, sources: week, resolution: ONE_HOUR })],
      ['H 0-168 1440m'],
    ],
    [
      'four weeks of hours',
      28 * 24 + 2,
      [0, 1, 2, 3].map((w) =>
        block('WXYZ'[w]!, w * 168, w * 168 + 168, { level: 4, sources: 'wxyz'[w]!, resolution: ONE_HOUR }),
      ),
      ['WXYZ 0-672 1440m'],
    ],
  ])('%s', (_, now, blocks, expected) => {
    expect(jobsOf(input(now, blocks), options)).toEqual(expected);
  });

  test('says what it cannot do', () => {
    const blocks = [
      day('C', 2, 'cl', FIVE),
      block('H', 0, 168, { level: 4, sources: week, resolution: ONE_HOUR }),
    ];
    const { blocked } = planTenant(input(170, blocks), options);
    expect(blocked.map(({ reason }) => reason)).toEqual([
      'late samples whose neighbours of the finer resolution are gone',
    ]);
    const apart = [day('A', 0, 'a'), block('B', 2, 4, { sources: 'b' })];
    const overlapping = planTenant(input(60, apart, { 'no-compact': new Set(['B']) }), options);
    expect(overlapping.jobs).toEqual([]);
    expect(overlapping.blocked.map(({ reason }) => reason)).toEqual([
      'blocks that overlap and must not be merged',
    ]);
  });

  test('leaves blocks with marks out', () => {
    const blocks = [day('A', 0, 'a'), day('B', 1, 'b')];
    expect(jobsOf(input(60, blocks, { 'no-downsample': new Set(['A']) }), options)).toEqual(['B 24-48 5m']);
  });
});
