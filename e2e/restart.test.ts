import { appendFileSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { keyOf, rawSamples } from './answers.js';
import { makeFolder, stopAll, waitFor } from './processes.js';
import { DEFAULT_TENANT, startVarve, type Varve } from './varve.js';
import { pushSeries } from './wire.js';

/** What a stop, a torn write-ahead log and a log full of rubbish at its end leave behind. */

const STEP_MS = 1000;
const START_MS = Math.floor(Date.now() / STEP_MS) * STEP_MS - 3_600_000;
const KEY = keyOf({ __name__: 'restart_total', case: 'a' });

async function pushRound(varve: Varve, round: number): Promise<void> {
  const answer = await pushSeries(varve.pushUrl, [
    {
      labels: [
        ['__name__', 'restart_total'],
        ['case', 'a'],
      ],
      samples: [{ value: round, timestampMs: START_MS + round * STEP_MS }],
    },
  ]);
  expect(answer).toEqual({ status: expect.any(Number), text: '' });
  expect(Math.floor(answer.status / 100)).toBe(2);
}

async function values(varve: Varve): Promise<string[]> {
  const found = await rawSamples(varve.api, 'restart_total', START_MS + 3_600_000, 3_600_001);
  return (found.get(KEY) ?? []).map(([, value]) => value);
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => String(i));

/** The newest segment of the write-ahead log that holds anything. */
function newestSegment(varve: Varve): string {
  const wal = join(varve.dataDir, 'tsdb', DEFAULT_TENANT, 'wal');
  const segments = readdirSync(wal)
    .filter((name) => /^\d+$/.test(name) && statSync(join(wal, name)).size > 0)
    .sort();
  return join(wal, segments.at(-1)!);
}

describe('restart', () => {
  afterAll(stopAll);

  test('SIGTERM keeps everything and ends with code 0', async () => {
    const folder = makeFolder('sigterm');
    let varve = await startVarve({ folder });
    for (let round = 0; round < 20; round++) await pushRound(varve, round);
    expect(await varve.stop()).toBe(0);
    varve = await startVarve({ folder });
    expect(await values(varve)).toEqual(upTo(20));
    await pushRound(varve, 20);
    expect(await values(varve)).toEqual(upTo(21));
    expect(await varve.stop()).toBe(0);
  });

  test('SIGTERM ends within seconds although idle connections are open', async () => {
    const varve = await startVarve();
    await pushRound(varve, 0);
    const started = Date.now();
    expect(await varve.stop()).toBe(0);
    expect(Date.now() - started).toBeLessThan(15_000);
  });

  test('a torn last record costs that record only, and writing goes on behind it', async () => {
    const folder = makeFolder('torn');
    let varve = await startVarve({ folder });
    for (let round = 0; round < 10; round++) await pushRound(varve, round);
    await varve.kill();
    const segment = newestSegment(varve);
    truncateSync(segment, statSync(segment).size - 3);
    varve = await startVarve({ folder });
    expect(await values(varve)).toEqual(upTo(9));
    await pushRound(varve, 9);
    await varve.kill();
    varve = await startVarve({ folder });
    expect(await values(varve)).toEqual(upTo(10));
    await varve.kill();
  });

  test('rubbish behind the last record does no harm', async () => {
    const folder = makeFolder('rubbish');
    let varve = await startVarve({ folder });
    for (let round = 0; round < 10; round++) await pushRound(varve, round);
    await varve.kill();
    appendFileSync(newestSegment(varve), Buffer.alloc(100, 0x5a));
    varve = await startVarve({ folder });
    expect(await values(varve)).toEqual(upTo(10));
    await pushRound(varve, 10);
    await varve.kill();
    varve = await startVarve({ folder });
    await waitFor('readiness', async () => (await fetch(`${varve.url}/-/healthy`)).status === 200);
    expect(await values(varve)).toEqual(upTo(11));
    await varve.kill();
  });
});
