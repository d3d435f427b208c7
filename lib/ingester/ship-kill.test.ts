import { spawn } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { listTenant } from '../bucketindex/index.js';
import { SeededPrng } from '../prng/index.js';
import { NOW_MS, ShipFixture } from './testing/ship-fixture.js';

/**
 * A real process is killed with SIGKILL at random moments while it ships, again and again over the same folders, until
 * it gets to the end. After each death every block is whole here or in the bucket. `VARVE_KILLS=50` for more rounds.
 */
const KILLS = Number(process.env['VARVE_KILLS'] ?? '6');
const CHILD = fileURLToPath(new URL('./testing/ship-child.js', import.meta.url));
const SEED = Number(process.env['VARVE_SEED'] ?? '5');
const FILES = ['meta.json', 'index', 'chunks/000001', 'chunks/000002'];

let fixture: ShipFixture;
beforeEach(() => {
  fixture = new ShipFixture();
});
afterEach(() => fixture.remove());

/** @param afterMs how long after its begin the child is killed; 0 lets it come to its end */
function runChild(afterMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CHILD, fixture.blocksFolder, fixture.bucketFolder], {
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

function isWholeHere(ulid: string, copies: string): boolean {
  const directory = join(fixture.blocksFolder, 't', ulid);
  if (!existsSync(directory)) return false;
  return FILES.every((file) =>
    readFileSync(join(directory, file)).equals(readFileSync(join(copies, 't', ulid, file))),
  );
}

test(`a shipper killed ${KILLS} times loses nothing and leaves nothing half done`, async () => {
  const random = new SeededPrng(SEED);
  let kills = 0;
  while (kills < KILLS) {
    fixture.remove();
    fixture = new ShipFixture();
    const copies = join(fixture.folder, 'copies');
    const names = Array.from({ length: 12 }, () => fixture.write('t', 50_000));
    cpSync(fixture.blocksFolder, copies, { recursive: true });
    for (let output = ''; !output.includes('empty'); ) {
      const isLast = kills >= KILLS;
      output = await runChild(isLast ? 0 : 1 + random.nextInt(150));
      if (!output.includes('empty')) kills++;
      expect(fixture.faults('t', copies)).toEqual([]);
      const published = fixture.published('t');
      expect(names.filter((ulid) => !published.includes(ulid) && !isWholeHere(ulid, copies))).toEqual([]);
    }
    expect(fixture.published('t')).toEqual(names);
    expect((await listTenant(fixture.bucket(), 't', null, NOW_MS)).partials.size).toBe(0);
    expect(readdirSync(join(fixture.blocksFolder, 't'))).toEqual(['thanos.shipper.json']);
  }
}, 120_000);
