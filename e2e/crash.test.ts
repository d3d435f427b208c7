import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { CrashConnection } from './crash-load.js';
import { havePeers, promtool, startPrometheus } from './peers.js';
import { makeFolder, pause, stopAll } from './processes.js';
import { DEFAULT_TENANT, startVarve, type Varve } from './varve.js';

/**
 * Nothing acknowledged is lost: eight connections push samples that can be recomputed, the process is killed with
 * SIGKILL at arbitrary moments and started again on its data. After each start every acknowledged sample has to be
 * there with its value, and nothing that was never sent. In the end a real Prometheus opens our write-ahead log and our
 * block and has to say the same.
 */

const KILLS = Number(process.env['E2E_KILLS'] ?? 20);
const CONNECTIONS = 8;
/** Moments of the kills after the start of the load, ms: spread, but the same in every run. */
const killAfterMs = (round: number) => 300 + ((round * 617) % 900);

const suite = havePeers('prometheus', 'promtool') ? describe : describe.skip;

suite('kill -9 under load', () => {
  afterAll(stopAll);

  const folder = makeFolder('crash');
  // Late enough to be recent, early enough that no sample lies in the future however fast this machine is.
  const startMs = Math.floor(Date.now() / 1000) * 1000 - 100 * 60_000;
  const connections = Array.from({ length: CONNECTIONS }, (_, id) => new CrashConnection(id, startMs));
  const acknowledged = () => connections.reduce((sum, one) => sum + one.acknowledgedSamples, 0);
  const verify = async (api: string) => {
    const problems: string[] = [];
    for (const connection of connections) problems.push(...(await connection.verify(api)));
    return problems;
  };
  let varve: Varve;

  test(`loses no acknowledged sample in ${KILLS} kills`, async () => {
    varve = await startVarve({ folder });
    for (let round = 0; round < KILLS; round++) {
      const load = new AbortController();
      const sending = connections.map((connection) => connection.run(varve.pushUrl, load.signal));
      await pause(killAfterMs(round));
      await varve.kill();
      await Promise.all(sending);
      load.abort();
      varve = await startVarve({ folder });
      // Every sample each time would be quadratic: the two newest connections' worth, and all in the last round.
      const some = round === KILLS - 1 ? connections : [connections[round % CONNECTIONS]!];
      for (const connection of some) {
        expect({ round, problems: await connection.verify(varve.api) }).toEqual({ round, problems: [] });
      }
    }
    const uncertain = connections.reduce((sum, one) => sum + one.uncertain.size, 0);
    expect(acknowledged()).toBeGreaterThan(KILLS * 1000);
    process.stderr.write(
      `${acknowledged()} samples acknowledged, 0 lost in ${KILLS} kills (${uncertain} requests unanswered); ` +
        `last start with replay took ${Math.round(varve.startMs)} ms ` +
        `(at least ${Math.round(acknowledged() / varve.startMs)} k samples/s, process start included)\n`,
    );
  }, 600_000);

  test('the write-ahead log is one that Prometheus opens, with the same samples', async () => {
    await varve.kill();
    const dataDir = join(makeFolder('wal-copy'), 'data');
    mkdirSync(dataDir, { recursive: true });
    cpSync(join(varve.dataDir, 'tsdb', DEFAULT_TENANT, 'wal'), join(dataDir, 'wal'), { recursive: true });
    const prometheus = await startPrometheus({ dataDir });
    expect(await verify(prometheus.api)).toEqual([]);
    await prometheus.stop();
  });

  test('a flush writes a block that promtool and Prometheus read, with the same samples', async () => {
    varve = await startVarve({ folder });
    const response = await fetch(`${varve.url}/ingester/flush`, { method: 'POST' });
    expect(Math.floor(response.status / 100)).toBe(2);
    const tenantDir = join(varve.bucketDir, DEFAULT_TENANT);
    const blocks = readdirSync(tenantDir).filter((name) => /^[0-9A-HJKMNP-TV-Z]{26}$/.test(name));
    expect(blocks.length).toBeGreaterThan(0);

    const dataDir = join(makeFolder('block-copy'), 'data');
    for (const block of blocks) cpSync(join(tenantDir, block), join(dataDir, block), { recursive: true });
    const listed = execFileSync(promtool(), ['tsdb', 'list', dataDir], { encoding: 'utf8' });
    for (const block of blocks) {
      expect(listed).toContain(block);
      const report = execFileSync(promtool(), ['tsdb', 'analyze', dataDir, block], { encoding: 'utf8' });
      expect(report).toContain(`Block ID: ${block}`);
      expect(report).toContain('Total Series:');
    }
    const prometheus = await startPrometheus({ dataDir });
    expect(await verify(prometheus.api)).toEqual([]);
    await prometheus.stop();
  });

  test('after the flush and another start Varve answers from the block what it answered from the head', async () => {
    expect(await verify(varve.api)).toEqual([]);
    expect(await varve.stop()).toBe(0);
    varve = await startVarve({ folder });
    expect(await verify(varve.api)).toEqual([]);
  });
});
