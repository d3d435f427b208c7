import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { call, differences, hasSamples, query, rawSamples } from './answers.js';
import { havePeers, type Server, startNodeExporter, startPrometheus } from './peers.js';
import { freePort, pause, stopAll, waitFor } from './processes.js';
import { QUERIES } from './queries.js';
import { startVarve, type Varve } from './varve.js';

/**
 * The main promise: a Prometheus scrapes itself and two node exporters every second and remote-writes to Varve; then
 * both answer the same queries in the same way. One of the exporters is stopped on the way, so that stale markers have
 * to arrive too. Queries look at a time that is safely in the past, as the newest samples may still be queued.
 */

/** Less than a minute leaves no span to compare: both ends are kept clear of what is still on its way. */
const SCRAPE_SECONDS = Math.max(60, Number(process.env['E2E_SCRAPE_SECONDS'] ?? 120));
/** Start-up of the sender's queue: Prometheus does not send what it scraped before that. */
const HEAD_SECONDS = 8;
/** The widest range in the queries plus their offset. */
const WINDOW_SECONDS = 21;
const STEP_SECONDS = 3;

const suite = havePeers('prometheus', 'nodeExporter') ? describe : describe.skip;

suite('a Prometheus that writes to Varve', () => {
  let prometheus: Server;
  let varve: Varve;
  let startS = 0;
  let endS = 0;

  beforeAll(
    async () => {
      const node = await startNodeExporter();
      const gone = await startNodeExporter();
      varve = await startVarve();
      const port = await freePort();
      const target = (job: string, host: string) =>
        `  - job_name: ${job}\n    static_configs: [{targets: ["${host}"]}]\n`;
      prometheus = await startPrometheus({
        port,
        config:
          'global: {scrape_interval: 1s, scrape_timeout: 1s}\n' +
          'scrape_configs:\n' +
          target('prometheus', `127.0.0.1:${port}`) +
          target('node', new URL(node.url).host) +
          target('node-gone', new URL(gone.url).host) +
          `remote_write:\n  - url: ${varve.pushUrl}\n    queue_config: {batch_send_deadline: 500ms}\n    metadata_config: {send_interval: 10s}\n`,
      });
      const beganS = Date.now() / 1000;
      await pause(SCRAPE_SECONDS * 500);
      await gone.stop();
      await pause(SCRAPE_SECONDS * 500);
      startS = Math.ceil(beganS) + HEAD_SECONDS + WINDOW_SECONDS;
      endS = Math.floor(Date.now() / 1000) - 2;
      await waitFor(`Varve to hold samples of ${endS}`, async () => {
        const found = await rawSamples(varve.api, 'up{job="node"}', (endS + 60) * 1000, 120_000);
        const newest = Math.max(0, ...[...found.values()].map((points) => points.at(-1)?.[0] ?? 0));
        return newest > endS + 1;
      });
    },
    (SCRAPE_SECONDS + 60) * 1000,
  );

  afterAll(stopAll);

  test('at least forty queries are compared over a span with data', () => {
    expect(QUERIES.length).toBeGreaterThanOrEqual(40);
    expect(endS - startS).toBeGreaterThan(5 * STEP_SECONDS);
  });

  describe.each(QUERIES)('$query', ({ query: text, ordered, mayBeEmpty, instantOnly }) => {
    const now = () => text.replaceAll('AT', String(Math.floor((startS + endS) / 2)));

    test('instant', async () => {
      const parameters = { query: now(), time: String(endS) };
      const expected = await query(prometheus.api, 'query', parameters);
      if (mayBeEmpty !== true) expect(hasSamples(expected)).toBe(true);
      const found = await query(varve.api, 'query', parameters);
      expect(differences(expected, found, { ordered: ordered === true })).toEqual([]);
    });

    if (instantOnly === true) return;
    test('range', async () => {
      const parameters = {
        query: now(),
        start: String(startS),
        end: String(endS),
        step: String(STEP_SECONDS),
      };
      const expected = await query(prometheus.api, 'query_range', parameters);
      if (mayBeEmpty !== true) expect(hasSamples(expected)).toBe(true);
      const found = await query(varve.api, 'query_range', parameters);
      expect(differences(expected, found, { ordered: true })).toEqual([]);
    });
  });

  test('raw samples are the same to the last bit of their text', async () => {
    const rangeMs = (endS - startS) * 1000;
    let samples = 0;
    for (const selector of ['{__name__=~"node_.+", job="node"}', '{__name__=~"go_.+"}', 'up']) {
      const expected = await rawSamples(prometheus.api, selector, endS * 1000, rangeMs);
      const found = await rawSamples(varve.api, selector, endS * 1000, rangeMs);
      expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
      for (const [series, points] of expected) {
        expect({ series, points: found.get(series) }).toEqual({ series, points });
        samples += points.length;
      }
    }
    expect(samples).toBeGreaterThan(1000);
    process.stderr.write(`compared ${samples} raw samples\n`);
  });

  test('types and help texts arrive', async () => {
    const names = ['node_load1', 'node_cpu_seconds_total', 'up'];
    await waitFor('metadata', async () => {
      const { body } = await call(varve.api, 'metadata', { metric: 'node_load1' });
      return Object.keys((body.data ?? {}) as object).length > 0;
    });
    for (const name of names) {
      const expected = await call(prometheus.api, 'metadata', { metric: name });
      const found = await call(varve.api, 'metadata', { metric: name });
      expect({ name, data: found.body.data }).toEqual({ name, data: expected.body.data });
    }
  });

  test('the sender lost nothing and was refused nothing', async () => {
    const text = await (await fetch(`${prometheus.url}/metrics`)).text();
    const total = (metric: string) =>
      [...text.matchAll(new RegExp(`^${metric}\\{.*\\} (\\S+)$`, 'gm'))].reduce(
        (sum, m) => sum + Number(m[1]),
        0,
      );
    expect(total('prometheus_remote_storage_samples_failed_total')).toBe(0);
    expect(total('prometheus_remote_storage_samples_dropped_total')).toBe(0);
    expect(total('prometheus_remote_storage_samples_total')).toBeGreaterThan(1000);
  });
});
