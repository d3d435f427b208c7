import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { answerDifferences, fillTimes, sendRaw } from './api-compare.js';
import { makeApiSeries } from './api-data.js';
import { API_REQUESTS } from './api-requests.js';
import { havePeers, type Server, startPrometheus } from './peers.js';
import { stopAll } from './processes.js';
import { startVarve, type Varve } from './varve.js';
import { pushSeries } from './wire.js';

/** The same request to Varve and to a Prometheus with the same samples: status, headers and body have to agree. */

const STEP_MS = 15_000;
const ROUNDS = 80;
const END_MS = Math.floor(Date.now() / STEP_MS) * STEP_MS;
const START_MS = END_MS - (ROUNDS - 1) * STEP_MS;

const suite = havePeers('prometheus') ? describe : describe.skip;

suite('the HTTP API', () => {
  let prometheus: Server;
  let varve: Varve;

  beforeAll(async () => {
    const features = { args: ['--enable-feature=native-histograms,promql-per-step-stats'] };
    [prometheus, varve] = await Promise.all([startPrometheus(features), startVarve()]);
    const series = makeApiSeries(START_MS, STEP_MS, ROUNDS);
    for (const url of [`${prometheus.url}/api/v1/write`, varve.pushUrl]) {
      expect(await pushSeries(url, series)).toEqual({ status: expect.any(Number), text: '' });
    }
  });
  afterAll(stopAll);

  const cases = API_REQUESTS.map((request, i) => ({
    request,
    what: `${i} ${request.method} ${request.target} ${request.form ?? ''} ${request.headers === undefined ? '' : JSON.stringify(request.headers)}`,
  }));

  test.each(cases)('$what', async ({ request }) => {
    const target = fillTimes(request.target, START_MS, END_MS);
    const filled =
      request.form === undefined ? request : { ...request, form: fillTimes(request.form, START_MS, END_MS) };
    const [expected, found] = [
      await sendRaw(prometheus.api, target, filled),
      await sendRaw(varve.api, target, filled),
    ];
    expect(answerDifferences(request, expected, found)).toEqual([]);
  });
});
