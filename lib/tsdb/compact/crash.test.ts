import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { removeUnfinishedBlocks, verifyBlock } from '../block/index.js';
import { mergedContent, ramp, readContent, T, writeModelBlock } from './testing/model-blocks.js';

/**
 * A process that compacts is killed (SIGKILL) at calls that change the disk, from the first to the last: it must leave
 * the sources as they were, and the whole result or only what a start clears away.
 */

const ULID = '01CCCCCCCCCCCCCCCCCCCCCCCC';
const KILLS = 14;

function run(deadline: number, directory: string, sources: readonly string[]) {
  const child = fileURLToPath(new URL('./testing/crash-child.js', import.meta.url));
  const parameters = [child, String(deadline), directory, ULID, ...sources];
  return spawnSync(process.execPath, parameters, { encoding: 'utf8' });
}

describe('a compaction that is killed', () => {
  test('leaves all or nothing', () => {
    const folder = mkdtempSync(join(tmpdir(), 'varve-compact-'));
    const blocks = [0, 1].map((n) => {
      const series = ['a', 'b', 'c'].map((job) => ({
        labels: { __name__: 'up', job },
        samples: ramp(300, T + n * 600_000),
      }));
      return { series, meta: writeModelBlock(folder, series) };
    });
    const sources = blocks.map(({ meta }) => join(folder, meta.ulid));
    const expected = mergedContent(blocks);
    const whole = run(0, folder, sources);
    expect(whole.stderr).toBe('');
    const callCount = Number(whole.stdout);
    expect(callCount).toBeGreaterThan(30);
    expect(readContent(join(folder, ULID))).toEqual(expected);
    let finished = 0;
    for (let i = 0; i < KILLS; i++) {
      const deadline = 1 + Math.floor((i * (callCount - 1)) / (KILLS - 1));
      const directory = join(folder, `kill-${deadline}`);
      mkdirSync(directory);
      expect({ deadline, signal: run(deadline, directory, sources).signal }).toEqual({
        deadline,
        signal: 'SIGKILL',
      });
      const left = readdirSync(directory);
      const removed = removeUnfinishedBlocks(directory);
      if (left.includes(ULID)) {
        finished++;
        expect(removed).toEqual([]);
        expect(readContent(join(directory, ULID))).toEqual(expected);
        verifyBlock(join(directory, ULID));
      } else {
        expect(removed).toEqual(left);
        expect(readdirSync(directory)).toEqual([]);
      }
    }
    expect(finished).toBeGreaterThan(0);
    for (const source of sources) verifyBlock(source);
    rmSync(folder, { recursive: true });
  }, 120_000);
});
