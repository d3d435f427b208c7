import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Matcher } from '../../matcher/index.js';
import { BlockReader } from './block-reader.js';
import { type MatchedPostings, matchSteps } from './match.js';
import { matcher, ramp, testSeries, writeTestBlock } from './testing.js';

let folder = '';
let block: BlockReader;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-match-'));
  const hosts = Array.from({ length: 100 }, (_, i) => `h${String(i).padStart(3, '0')}`);
  const series = ['a', 'b'].flatMap((name) =>
    hosts
      .slice(0, name === 'a' ? 4 : 100)
      .map((host) => testSeries({ __name__: name, cluster: 'prod', host }, ramp(1))),
  );
  block = BlockReader.open(join(folder, writeTestBlock(folder, series).ulid));
});
afterAll(() => {
  block.close();
  rmSync(folder, { recursive: true });
});

/** Lengths of the lists announced per step, and what came out. */
function steps(
  matchers: readonly Matcher[],
  seriesBytes: number,
): { read: number[][]; end: MatchedPostings } {
  const read: number[][] = [];
  const running = matchSteps(block.index, matchers, seriesBytes);
  for (;;) {
    const step = running.next();
    if (step.done) return { read, end: step.value };
    read.push(step.value.map(({ offset }) => block.index.postingsAt(offset).length));
  }
}

describe('the steps of matching', () => {
  const name = matcher('=', '__name__', 'a');
  const cluster = matcher('=', 'cluster', 'prod');
  const otherCluster = matcher('!=', 'cluster', 'prod');
  const hosts = matcher('=~', 'host', 'h0.*', 'h0');

  test.each([
    {
      what: 'all lists where bytes cost nothing',
      matchers: [name, cluster],
      seriesBytes: 0,
      read: [[4, 104]],
      left: 0,
    },
    {
      what: 'no list longer than what it could save',
      matchers: [name, cluster],
      seriesBytes: 50,
      read: [[4]],
      left: 1,
    },
    {
      what: 'longer lists where series are costly',
      matchers: [name, cluster],
      seriesBytes: 500,
      read: [[4, 104]],
      left: 0,
    },
    {
      what: 'no such list to take away',
      matchers: [name, otherCluster],
      seriesBytes: 50,
      read: [[4]],
      left: 1,
    },
    {
      what: 'a long list where there is no other',
      matchers: [cluster],
      seriesBytes: 50,
      read: [[104]],
      left: 0,
    },
  ])('announce $what', ({ matchers, seriesBytes, read, left }) => {
    const found = steps(matchers, seriesBytes);
    expect({ read: found.read, left: found.end.remaining.length }).toEqual({ read, left });
  });

  test('announce the lists of a scan after those looked up, and all series last', () => {
    expect(steps([name, hosts], 0).read).toEqual([[4]]);
    const scan = steps([hosts, matcher('!=', '__name__', 'a')], 0);
    expect(scan.read.map((lists) => lists.length)).toEqual([1, 100]);
    expect(scan.end.refs.length).toBe(100);
    const rest = steps([otherCluster], 50);
    expect(rest.read).toEqual([[104], [104]]);
    expect(rest.end.refs.length).toBe(0);
  });
});
