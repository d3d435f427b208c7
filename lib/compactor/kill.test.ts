import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { SeededPrng } from '../prng/index.js';
import { HOUR, sampleCount, TenantFixture } from './testing/tenant-fixture.js';

/**
 * A real process is killed with SIGKILL at random moments, again and again over one bucket, until it gets to the end.
 * After each death a reader sees all samples. `VARVE_KILLS=50` for more rounds.
 */
const KILLS = Number(process.env['VARVE_KILLS'] ?? '5');
const CHILD = fileURLToPath(new URL('./testing/kill-child.js', import.meta.url));
const SEED = Number(process.env['VARVE_SEED'] ?? '11');

let fixture: TenantFixture;
beforeEach(() => {
  fixture = new TenantFixture();
});
afterEach(() => fixture.remove());

/** @param afterMs how long after its begin the child is killed; 0 lets it come to its end */
function runChild(afterMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CHILD, fixture.bucketFolder, join(fixture.folder, 'scratch')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (piece: Buffer) => {
      if (output === '' && afterMs > 0) setTimeout(() => child.kill('SIGKILL'), afterMs);
      output += piece.toString();
    });
    child.on('error', reject);
    child.on('exit', () => resolve(output));
  });
}

test(`a compactor killed ${KILLS} times loses and doubles nothing`, async () => {
  const random = new SeededPrng(SEED);
  let kills = 0;
  while (kills < KILLS) {
    fixture.remove();
    fixture = new TenantFixture();
    for (let range = 0; range < 8; range++) for (const replica of [0, 1]) fixture.write(range, replica);
    const expected = await fixture.rawContent();
    for (let output = ''; !output.includes('idle'); ) {
      const isLast = kills >= KILLS;
      output = await runChild(isLast ? 0 : 1 + random.nextInt(1500));
      if (!output.includes('idle')) kills++;
      expect(await fixture.rawContent()).toEqual(expected);
    }
    expect(await fixture.storedSamples()).toBe(sampleCount(expected));
    const visible = [...(await fixture.visible())].map(([resolution, names]) => [resolution, names.length]);
    expect(visible).toEqual([
      [0, 4],
      [300_000, 4],
      [HOUR, 2],
      [24 * HOUR, 1],
    ]);
    expect(fixture.blockNames().length).toBe(11);
  }
}, 300_000);
