import { expect, test } from '@jest/globals';
import { type SharedBlock, sharesInLevels } from './level-shares.js';

function block(
  ulid: string,
  resolution: number,
  minTime: number,
  maxTime: number,
  sources: string,
  group = '',
): SharedBlock {
  return { ulid, resolution, minTime, maxTime, sources: [...sources], group };
}

test.each<[string, SharedBlock, readonly number[], readonly number[]]>([
  ['a source of levels', block('x', 0, 0, 10, 'a'), [5, 60], []],
  ['a source of one level', block('x', 0, 10, 20, 'b'), [5], []],
  ['made of sources of a level', block('x', 0, 0, 20, 'ab'), [5, 60], []],
  ['one that came late', block('x', 0, 3, 9, 'x'), [], [5, 60]],
  ['one that late samples were merged into', block('x', 0, 0, 20, 'abx'), [5, 60], [5]],
  ['one that goes beyond a level', block('x', 0, 0, 30, 'abx'), [5, 60], []],
  ['one of another time', block('x', 0, 20, 30, 'x'), [], []],
  ['one of another group', block('x', 0, 0, 10, 'a', 'other'), [], []],
])('%s', (_, raw, partOf, lateFor) => {
  const levels = [block('5', 5, 0, 10, 'a'), block('6', 5, 10, 20, 'b'), block('7', 60, 0, 10, 'a')];
  expect(sharesInLevels([raw, ...levels]).get('x')).toEqual({ partOf, lateFor, isRepeated: false });
});

test('a level repeats what finer blocks have when they have all its sources', () => {
  const blocks = [
    block('raw', 0, 0, 10, 'a'),
    block('fine', 5, 0, 20, 'ab'),
    block('both', 60, 0, 20, 'ab'),
    block('more', 60, 0, 30, 'bc'),
    block('same', 5, 0, 10, 'a'),
  ];
  const shares = sharesInLevels(blocks);
  const repeated = blocks.filter(({ ulid }) => shares.get(ulid)?.isRepeated);
  expect(repeated.map(({ ulid }) => ulid)).toEqual(['both', 'same']);
});
