import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { differences, hasSamples, query } from './answers.js';
import { makeApiSeries } from './api-data.js';
import { havePeers, type Server, startPrometheus } from './peers.js';
import { stopAll } from './processes.js';
import { startVarve, type Varve } from './varve.js';
import { bytesField, compress, pushSeries, uncompress, varint, varintField } from './wire.js';

/**
 * Remote read and federation: the same bytes as from Prometheus where samples are asked for, and a Prometheus that reads
 * Varve's stream of chunks answers queries as one that has the samples itself.
 */

const STEP_MS = 15_000;
const ROUNDS = 80;
const END_MS = Math.floor(Date.now() / STEP_MS) * STEP_MS;
const START_MS = END_MS - (ROUNDS - 1) * STEP_MS;

interface Matcher {
  readonly type: number;
  readonly name: string;
  readonly value: string;
}

function readRequest(queries: readonly Uint8Array[], types: readonly number[] = []): Uint8Array {
  return Buffer.concat([
    ...queries.map((one) => bytesField(1, one)),
    ...(types.length === 0 ? [] : [bytesField(2, Buffer.concat(types.map((type) => varint(type))))]),
  ]);
}

function readQuery(startMs: number, endMs: number, matchers: readonly Matcher[]): Uint8Array {
  return Buffer.concat([
    varintField(1, startMs),
    varintField(2, endMs),
    ...matchers.map(({ type, name, value }) =>
      bytesField(3, Buffer.concat([varintField(1, type), bytesField(2, name), bytesField(3, value)])),
    ),
  ]);
}

async function read(url: string, message: Uint8Array) {
  const response = await fetch(`${url}/api/v1/read`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-protobuf',
      'content-encoding': 'snappy',
      'x-prometheus-remote-read-version': '0.1.0',
    },
    body: compress(message),
  });
  const body = Buffer.from(await response.arrayBuffer());
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    encoding: response.headers.get('content-encoding'),
    body,
  };
}

/** The bytes of every series of every result; Prometheus sends those of a result in any order. */
function resultsOf(body: Uint8Array): string[][] {
  const texts = (bytes: Uint8Array) => fieldsOf(bytes).map((one) => Buffer.from(one).toString('latin1'));
  return fieldsOf(uncompress(body)).map((result) => texts(result).sort());
}

/** The contents of a message that has length-delimited fields only. */
function fieldsOf(bytes: Uint8Array): Uint8Array[] {
  const fields: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    at++;
    let [length, scale] = [0, 1];
    for (let more = true; more; scale *= 128) {
      const byte = bytes[at++] ?? 0;
      length += (byte & 127) * scale;
      more = byte >= 128;
    }
    fields.push(bytes.subarray(at, at + length));
    at += length;
  }
  return fields;
}

const named = (name: string): Matcher => ({ type: 0, name: '__name__', value: name });
const suite = havePeers('prometheus') ? describe : describe.skip;

suite('remote read', () => {
  let prometheus: Server;
  let varve: Varve;

  beforeAll(async () => {
    const native = { args: ['--enable-feature=native-histograms'] };
    [prometheus, varve] = await Promise.all([startPrometheus(native), startVarve()]);
    const series = makeApiSeries(START_MS, STEP_MS, ROUNDS);
    for (const url of [`${prometheus.url}/api/v1/write`, varve.pushUrl]) {
      expect(await pushSeries(url, series)).toEqual({ status: expect.any(Number), text: '' });
    }
  });
  afterAll(stopAll);

  test.each<[string, Uint8Array]>([
    ['one metric', readRequest([readQuery(START_MS, END_MS, [named('up')])])],
    ['values of every kind', readRequest([readQuery(START_MS, END_MS, [named('special_value')])], [0])],
    ['a part of the time', readRequest([readQuery(START_MS + 61_000, START_MS + 200_000, [named('up')])])],
    [
      // Prometheus 3.5 forgets the bounds of custom buckets here.
      'native histograms',
      readRequest([
        readQuery(START_MS, END_MS, [named('native_seconds'), { type: 1, name: 'kind', value: 'custom' }]),
      ]),
    ],
    ['one instant', readRequest([readQuery(START_MS, START_MS, [named('temperature_celsius')])])],
    [
      'matchers of every kind',
      readRequest([
        readQuery(START_MS, END_MS, [
          { type: 2, name: '__name__', value: 'requests_.*|up' },
          { type: 1, name: 'job', value: 'db' },
          { type: 3, name: 'code', value: '5..' },
        ]),
      ]),
    ],
    [
      'several queries',
      readRequest([
        readQuery(START_MS, END_MS, [named('up')]),
        readQuery(START_MS, END_MS, [named('nothing')]),
        readQuery(START_MS, END_MS, [named('requests_total')]),
      ]),
    ],
    ['a time without samples', readRequest([readQuery(1000, 2000, [named('up')])])],
    ['no query', readRequest([])],
    ['a type nobody knows before samples', readRequest([readQuery(START_MS, END_MS, [named('up')])], [9, 0])],
  ])('samples: %s', async (_what, message) => {
    const [expected, found] = [await read(prometheus.url, message), await read(varve.url, message)];
    expect(expected.status).toBe(200);
    expect({ ...found, body: '' }).toEqual({ ...expected, body: '' });
    const [wanted, got] = [resultsOf(expected.body), resultsOf(found.body)];
    expect(got.flat().length).toBe(wanted.flat().length);
    expect(JSON.stringify(got) === JSON.stringify(wanted)).toBe(true);
  });

  test.each<[string, Uint8Array, number]>([
    ['no type that is known', readRequest([readQuery(0, 1, [named('up')])], [7]), 400],
    [
      'a regular expression that is none',
      readRequest([readQuery(0, 1, [{ type: 2, name: 'a', value: '(' }])]),
      400,
    ],
    [
      'a kind of matcher that is none',
      readRequest([readQuery(0, 1, [{ type: 4, name: 'a', value: 'b' }])]),
      400,
    ],
    ['no protobuf', Uint8Array.of(0x0a, 0xff), 400],
  ])('refuses %s', async (_what, message, status) => {
    const found = await read(varve.url, message);
    expect({ status: found.status, text: found.body.length > 0 }).toEqual({ status, text: true });
  });

  test('a body that is no snappy block is refused', async () => {
    const response = await fetch(`${varve.url}/api/v1/read`, { method: 'POST', body: 'xyz' });
    expect(response.status).toBe(400);
  });

  test('the stream has the announced type and is not compressed', async () => {
    const message = readRequest([readQuery(START_MS, END_MS, [named('up')])], [1, 0]);
    const [expected, found] = [await read(prometheus.url, message), await read(varve.url, message)];
    expect({ ...found, body: '' }).toEqual({ ...expected, body: '' });
    expect(found.body.length).toBeGreaterThan(100);
  });

  test('Prometheus reads the stream and answers as from samples of its own', async () => {
    const reader = await startPrometheus({
      args: ['--enable-feature=native-histograms'],
      config: `remote_read:\n  - url: ${varve.url}/prometheus/api/v1/read\n    read_recent: true\n`,
    });
    for (const text of [
      'up',
      'rate(requests_total[2m])',
      'special_value',
      'native_seconds',
      'histogram_quantile(0.9, rate(native_seconds[1m]))',
      'sum by (job) (latency_seconds_bucket)',
    ]) {
      const parameters = {
        query: text,
        start: String(START_MS / 1000),
        end: String(END_MS / 1000),
        step: '15',
      };
      const expected = await query(prometheus.api, 'query_range', parameters);
      if (text === 'native_seconds') {
        expect((await query(reader.api, 'query_range', parameters)).result).toEqual(expected.result);
        continue;
      }
      expect(hasSamples(expected)).toBe(true);
      expect(differences(expected, await query(reader.api, 'query_range', parameters))).toEqual([]);
    }
  });

  const PROTOBUF =
    'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited';
  test.each([
    ['match[]=up&match[]=special_value', ''],
    ['match[]=special_value', 'text/plain;version=1.0.0;escaping=allow-utf-8'],
    ['match[]=special_value', 'text/plain;escaping=values'],
    ['match[]=special_value', 'text/plain;escaping=dots'],
    ['match[]=special_value', 'application/openmetrics-text;version=1.0.0'],
    ['match[]=up&match[]={job="api"}', '*/*'],
    ['match[]={__name__=~".+"}', `${PROTOBUF};q=0.7,text/plain;q=0.1`],
    ['match[]=native_seconds', PROTOBUF],
    ['match[]=native_seconds', ''],
    ['match[]=nothing', ''],
    ['match[]={', ''],
    ['match[]={}', ''],
    ['match[]=up[5m]', ''],
    ['', ''],
  ])('federates %s for %j', async (search, accept) => {
    const ask = async (url: string) => {
      const headers: Record<string, string> = accept === '' ? {} : { accept };
      const response = await fetch(`${url}/federate?${search}`, { headers });
      const body = Buffer.from(await response.arrayBuffer()).toString('latin1');
      return { status: response.status, type: response.headers.get('content-type'), body };
    };
    expect(await ask(varve.url)).toEqual(await ask(prometheus.url));
  });
});
