import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { keyOf, rawSamples } from './answers.js';
import { stopAll } from './processes.js';
import { startVarve, type Varve } from './varve.js';
import {
  bytesField,
  compress,
  doubleField,
  encodeRequest,
  encodeSample,
  encodeSeries,
  type FloatValue,
  PUSH_HEADERS,
  STALE_MARKER_BITS,
  varint,
  varintField,
  type WireSeries,
} from './wire.js';

/**
 * What strangers send. Each row is one request: the status it gets, the reason that is counted and named, and whether
 * the good samples of the same request are there afterwards. Rows about samples carry a good series of their own
 * beside the bad one.
 */

const NOW_MS = Math.floor(Date.now() / 1000) * 1000;
const MINUTE_MS = 60_000;

interface Row {
  readonly what: string;
  readonly status: number;
  /** Label of varve_discarded_samples_total; absent when the whole request is refused. */
  readonly reason?: string;
  /** Rejected samples; default 1. */
  readonly rejected?: number;
  /** The series beside the good one. */
  readonly series?: readonly WireSeries[];
  /** Sent before, has to succeed. */
  readonly before?: readonly WireSeries[];
  /** A finished body instead of series; nothing of it is kept. */
  readonly body?: () => Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly path?: string;
  readonly text?: RegExp;
}

type Labels = readonly (readonly [string | Uint8Array, string | Uint8Array])[];

function one(labels: Labels, value: FloatValue = 1, timestampMs: number | bigint = NOW_MS): WireSeries {
  return { labels, samples: [{ value, timestampMs }] };
}

const named = (name: string | Uint8Array, ...labels: Labels): Labels => [['__name__', name], ...labels];
const good = (id: number): WireSeries => one(named('good_total', ['row', String(id)]), id);
const plain = () => encodeRequest([good(9999)]);
const wire = (bytes: Uint8Array) => compress(bytes);
const repeated = (n: number, make: (i: number) => Uint8Array) =>
  Buffer.concat(Array.from({ length: n }, (_, i) => make(i)));

/** A snappy block that declares a length and goes on with what is given. */
const declaring = (length: number, rest: Uint8Array) => Buffer.concat([varint(length), rest]);
const MiB = 1024 * 1024;

const BAD_BODIES: readonly Row[] = [
  { what: 'an empty body', status: 400, body: () => new Uint8Array() },
  { what: 'bytes that are no snappy block', status: 400, body: () => Buffer.alloc(64, 0xff) },
  { what: 'a body that is not compressed', status: 400, body: plain },
  { what: 'a truncated snappy block', status: 400, body: () => wire(plain()).subarray(0, -5) },
  {
    what: 'a snappy block with a byte too many',
    status: 400,
    body: () => Buffer.concat([wire(plain()), Buffer.from([0])]),
  },
  {
    what: 'snappy in the framing format',
    status: 400,
    body: () => Buffer.concat([Buffer.from([0xff, 6, 0, 0]), Buffer.from('sNaPpY'), plain()]),
  },
  {
    what: 'a snappy copy before the start',
    status: 400,
    body: () => declaring(16, Buffer.from([0x3e, 0xff, 0x00])),
  },
  {
    what: 'a snappy copy with offset 0',
    status: 400,
    body: () => declaring(8, Buffer.from([0x00, 0x61, 0x19, 0x00])),
  },
  {
    what: 'a snappy length of more than 32 bits',
    status: 400,
    body: () => Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x00]),
  },
  { what: '45 bytes that declare 2 GiB', status: 413, body: () => declaring(2 ** 31 - 1, Buffer.alloc(40)) },
  {
    what: '45 bytes that declare 90 MiB, within the limit',
    status: 400,
    body: () => declaring(90 * MiB, Buffer.alloc(41)),
  },
  { what: 'a small block that decodes to 120 MiB', status: 413, body: () => bomb(120 * MiB) },
  { what: 'a small block that decodes to 60 MiB of zeros', status: 400, body: () => bomb(60 * MiB) },
  { what: 'protobuf cut in the middle', status: 400, body: () => wire(plain().subarray(0, -3)) },
  {
    what: 'a length that reaches beyond its message',
    status: 400,
    body: () => wire(Buffer.from([0x0a, 0x7f, 0x0a, 0x01])),
  },
  {
    what: 'a length of 2^63',
    status: 400,
    body: () => wire(Buffer.concat([Buffer.from([0x0a]), varint(2n ** 63n)])),
  },
  {
    what: 'an overlong varint',
    status: 400,
    body: () => wire(Buffer.concat([Buffer.from([0x0a]), Buffer.alloc(11, 0x80), Buffer.from([0])])),
  },
  { what: 'time series with the wrong wire type', status: 400, body: () => wire(varintField(1, 5)) },
  {
    what: 'a sample value with the wrong wire type',
    status: 400,
    body: () => wire(bytesField(1, Buffer.concat([encodeSeries(good(0)), bytesField(2, varintField(1, 7))]))),
  },
  {
    what: 'a timestamp with the wrong wire type',
    status: 400,
    body: () => wire(bytesField(1, Buffer.concat([encodeSeries(good(0)), bytesField(2, doubleField(2, 7))]))),
  },
  { what: 'field number 0', status: 400, body: () => wire(Buffer.from([0x02, 0x00])) },
  { what: 'a group', status: 400, body: () => wire(Buffer.from([0x0b, 0x0c])) },
  {
    what: 'random bytes inside a valid snappy block',
    status: 400,
    body: () => wire(Buffer.from('9f3ac077e1b2d84c5566778899aabbccddeeff', 'hex')),
  },
  {
    what: 'a label nested in rubbish',
    status: 400,
    body: () => wire(bytesField(1, bytesField(1, Buffer.from([0x0a, 0x50, 0x0a, 0x50, 0x0a, 0x50])))),
  },
  {
    what: 'JSON',
    status: 415,
    headers: { 'content-type': 'application/json' },
    body: () => Buffer.from('{}'),
  },
  {
    what: 'remote write 2.0, which this version does not take',
    status: 415,
    headers: { 'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request' },
    body: () => wire(plain()),
  },
  {
    what: 'an unknown message name',
    status: 415,
    headers: { 'content-type': 'application/x-protobuf;proto=foo.Bar' },
    body: () => wire(plain()),
  },
  { what: 'gzip', status: 415, headers: { 'content-encoding': 'gzip' }, body: () => wire(plain()) },
  { what: 'an image', status: 415, headers: { 'content-type': 'image/png' }, body: () => wire(plain()) },
  { what: 'GET', status: 405, method: 'GET' },
  { what: 'PUT', status: 405, method: 'PUT', body: () => wire(plain()) },
];

const manyLabels = Array.from(
  { length: 80 },
  (_, i) => [`label_${String(i).padStart(3, '0')}`, 'v'] as const,
);

const BAD_SERIES: readonly Row[] = [
  { what: 'no metric name', status: 400, reason: 'missing_metric_name', series: [one([['job', 'a']])] },
  { what: 'an empty metric name', status: 400, reason: 'missing_metric_name', series: [one(named(''))] },
  { what: 'no labels at all', status: 400, reason: 'missing_metric_name', series: [one([])] },
  {
    what: 'an empty label name',
    status: 400,
    reason: 'label_invalid',
    series: [one([['', 'x'], ...named('bad_name')])],
  },
  {
    what: 'a metric name that is not UTF-8',
    status: 400,
    reason: 'metric_name_invalid',
    series: [one(named(Buffer.from([0x62, 0xff, 0xfe])))],
  },
  {
    what: 'a label value that is not UTF-8',
    status: 400,
    reason: 'label_value_invalid',
    series: [one(named('bad_utf8', ['a', Buffer.from([0xc3, 0x28])]))],
  },
  {
    what: 'a label value with a surrogate',
    status: 400,
    reason: 'label_value_invalid',
    series: [one(named('bad_surrogate', ['a', Buffer.from([0xed, 0xa0, 0x80])]))],
  },
  {
    what: 'a label name that is not UTF-8',
    status: 400,
    reason: 'label_invalid',
    series: [one(named('bad_label', [Buffer.from([0xff]), 'x']))],
  },
  {
    what: 'the same label twice',
    status: 400,
    reason: 'duplicate_label_names',
    series: [one(named('bad_twice', ['a', '1'], ['a', '2']))],
  },
  {
    what: 'the same label twice, not side by side',
    status: 400,
    reason: 'duplicate_label_names',
    series: [one(named('bad_apart', ['b', '1'], ['a', '2'], ['b', '3']))],
  },
  {
    what: 'too many labels',
    status: 400,
    reason: 'max_label_names_per_series',
    series: [one(named('bad_many', ...manyLabels))],
  },
  {
    what: 'a label name that is too long',
    status: 400,
    reason: 'label_name_too_long',
    series: [one(named('bad_long', ['n'.repeat(1025), 'v']))],
  },
  {
    what: 'a label value that is too long',
    status: 400,
    reason: 'label_value_too_long',
    series: [one(named('bad_value', ['a', 'v'.repeat(2049)]))],
  },
  {
    what: 'a metric name that is too long',
    status: 400,
    reason: 'label_value_too_long',
    series: [one(named('m'.repeat(2049)))],
  },
  {
    what: 'labels too large together',
    status: 400,
    reason: 'labels_size_bytes_exceeded',
    series: [
      one(named('bad_sum', ...Array.from({ length: 10 }, (_, i) => [`l${i}`, 'v'.repeat(2000)] as const))),
    ],
  },
  {
    what: 'a sample an hour in the future',
    status: 400,
    reason: 'too_far_in_future',
    series: [one(named('bad_future'), 1, NOW_MS + 60 * MINUTE_MS)],
  },
  {
    what: 'a timestamp at the largest int64',
    status: 400,
    reason: 'too_far_in_future',
    series: [one(named('bad_max'), 1, 2n ** 63n - 1n)],
  },
  {
    what: 'a timestamp at the smallest int64',
    status: 400,
    reason: 'sample-out-of-bounds',
    series: [one(named('bad_min'), 1, -(2n ** 63n))],
  },
  {
    what: 'the same time with another value',
    status: 400,
    reason: 'new-value-for-timestamp',
    before: [one(named('bad_other'), 1)],
    series: [one(named('bad_other'), 2)],
  },
  {
    what: 'a sample older than the window',
    status: 400,
    reason: 'sample-too-old',
    before: [one(named('bad_old'), 1)],
    series: [one(named('bad_old'), 2, NOW_MS - 40 * MINUTE_MS)],
  },
  {
    what: 'three bad series for two reasons',
    status: 400,
    reason: 'missing_metric_name',
    rejected: 2,
    series: [one([['a', '1']]), one([['a', '2']]), one(named('bad_3', ['a', ''], ['a', '1'], ['a', '2']))],
  },
];

/** Requests that look odd and are right. */
interface FineRow {
  readonly what: string;
  readonly series: readonly WireSeries[];
  readonly before?: readonly WireSeries[];
  readonly stored: Readonly<Record<string, string>>;
  readonly values: readonly string[];
}

const FINE: readonly FineRow[] = [
  {
    what: 'unsorted labels are sorted',
    series: [
      one([
        ['z', '1'],
        ['a', '2'],
        ['__name__', 'fine_unsorted'],
      ]),
    ],
    stored: { __name__: 'fine_unsorted', a: '2', z: '1' },
    values: ['1'],
  },
  {
    what: 'labels with empty values are dropped',
    series: [one(named('fine_empty', ['a', ''], ['b', '1']))],
    stored: { __name__: 'fine_empty', b: '1' },
    values: ['1'],
  },
  {
    what: 'any UTF-8 is a name',
    series: [one(named('fine.ütf8', ['größe.name', '🌲']))],
    stored: { __name__: 'fine.ütf8', 'größe.name': '🌲' },
    values: ['1'],
  },
  {
    what: 'an identical sample again is a success',
    before: [one(named('fine_again'), 5)],
    series: [one(named('fine_again'), 5)],
    stored: { __name__: 'fine_again' },
    values: ['5'],
  },
  {
    what: 'a NaN with a payload is kept as NaN',
    series: [one(named('fine_nan'), 0x7ff8dead00000001n)],
    stored: { __name__: 'fine_nan' },
    values: ['NaN'],
  },
  {
    what: 'a stale marker is kept and ends the series',
    series: [one(named('fine_stale'), STALE_MARKER_BITS)],
    stored: { __name__: 'fine_stale' },
    values: [],
  },
  {
    what: 'infinities and negative zero',
    series: [
      {
        labels: named('fine_inf'),
        samples: [
          { value: 1 / 0, timestampMs: NOW_MS - 2 },
          { value: -1 / 0, timestampMs: NOW_MS - 1 },
          { value: -0, timestampMs: NOW_MS },
        ],
      },
    ],
    stored: { __name__: 'fine_inf' },
    values: ['+Inf', '-Inf', '-0'],
  },
  {
    what: 'out of order inside the window',
    before: [one(named('fine_late'), 2)],
    series: [one(named('fine_late'), 1, NOW_MS - 10 * MINUTE_MS)],
    stored: { __name__: 'fine_late' },
    values: ['1', '2'],
  },
  {
    what: 'descending samples of one series',
    series: [
      {
        labels: named('fine_descending'),
        samples: [3, 2, 1].map((v) => ({ value: v, timestampMs: NOW_MS + v })),
      },
    ],
    stored: { __name__: 'fine_descending' },
    values: ['1', '2', '3'],
  },
  {
    what: 'the same series twice in a request',
    series: [one(named('fine_twice'), 1, NOW_MS - 1), one(named('fine_twice'), 2)],
    stored: { __name__: 'fine_twice' },
    values: ['1', '2'],
  },
  {
    what: 'a sample five minutes in the future',
    series: [one(named('fine_future'), 1, NOW_MS + 5 * MINUTE_MS)],
    stored: { __name__: 'fine_future' },
    values: ['1'],
  },
];

describe('bad input', () => {
  let varve: Varve;
  beforeAll(async () => {
    varve = await startVarve();
  });
  afterAll(stopAll);

  test('the tables have at least 35 rows', () => {
    expect(BAD_BODIES.length + BAD_SERIES.length).toBeGreaterThanOrEqual(35);
  });

  test.each(BAD_BODIES)('$what: $status', async ({ status, body, headers, method, path }) => {
    const answer = await send(varve, body?.() ?? new Uint8Array(), headers, method, path);
    expect({ status: answer.status, text: answer.text }).toEqual({ status, text: expect.any(String) });
    expect(answer.text.length).toBeGreaterThan(5);
    expect(answer.text.length).toBeLessThan(1024);
    expect(await stored(varve, { __name__: 'good_total', row: '9999' })).toEqual([]);
  });

  test.each(BAD_SERIES.map((row, id) => ({ ...row, id })))(
    '$what: $status $reason, and the good sample is kept',
    async ({ id, status, reason, rejected, series, before }) => {
      if (before !== undefined)
        expect(Math.floor((await send(varve, wire(encodeRequest(before)))).status / 100)).toBe(2);
      const countBefore = await discarded(varve, reason!);
      const answer = await send(varve, wire(encodeRequest([...series!, good(id)])));
      expect({ status: answer.status, text: answer.text }).toEqual({
        status,
        text: expect.stringContaining(reason!),
      });
      expect(answer.text.length).toBeLessThan(1024);
      expect(await discarded(varve, reason!)).toBe(countBefore + (rejected ?? 1));
      expect(await stored(varve, { __name__: 'good_total', row: String(id) })).toEqual([String(id)]);
    },
  );

  test.each(FINE)('$what', async ({ series, before, stored: labels, values }) => {
    if (before !== undefined)
      expect(Math.floor((await send(varve, wire(encodeRequest(before)))).status / 100)).toBe(2);
    const answer = await send(varve, wire(encodeRequest(series)));
    expect({ status: Math.floor(answer.status / 100), text: answer.text }).toEqual({ status: 2, text: '' });
    expect(await stored(varve, labels)).toEqual(values);
  });

  test('an empty request is a success', async () => {
    expect(Math.floor((await send(varve, wire(new Uint8Array()))).status / 100)).toBe(2);
  });

  test('unknown fields are skipped', async () => {
    const labels = encodeSeries({ labels: named('fine_unknown') });
    const sample = Buffer.concat([
      encodeSample({ value: 3, timestampMs: NOW_MS }),
      varintField(3, 1),
      bytesField(99, 'x'),
    ]);
    const body = Buffer.concat([
      bytesField(
        1,
        Buffer.concat([labels, bytesField(2, sample), bytesField(77, 'later'), varintField(12, 5)]),
      ),
      bytesField(2, 'reserved'),
      doubleField(15, 1),
    ]);
    expect(Math.floor((await send(varve, wire(body))).status / 100)).toBe(2);
    expect(await stored(varve, { __name__: 'fine_unknown' })).toEqual(['3']);
  });

  test('a body over the limit is refused while it is being received', async () => {
    const answer = await sendEndless(varve, 200 * MiB);
    expect(answer).toBe(413);
  });

  test('a million empty messages do not exhaust memory', async () => {
    const body = wire(repeated(1_000_000, () => Buffer.from([0x0a, 0x00])));
    const answer = await send(varve, body);
    expect(answer.status).toBe(400);
  });

  test('a series with ten thousand labels and one with a value of 10 MB', async () => {
    const many = one(
      named('bad_poison', ...Array.from({ length: 10_000 }, (_, i) => [`l${i}`, 'v'] as const)),
    );
    const huge = one(named('bad_poison', ['a', 'v'.repeat(10_000_000)]));
    const answer = await send(varve, wire(encodeRequest([many, huge, good(701)])));
    expect(answer.status).toBe(400);
    expect(answer.text.length).toBeLessThan(1024);
    expect(await stored(varve, { __name__: 'good_total', row: '701' })).toEqual(['701']);
  });

  test('memory stays bounded and the process lives', async () => {
    expect(varve.running()).toBe(true);
    const metrics = await (await fetch(`${varve.url}/metrics`)).text();
    const rss = Number(/^process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1]);
    expect(rss).toBeLessThan(1.2e9);
  });
});

describe('tenant ids', () => {
  let varve: Varve;
  beforeAll(async () => {
    varve = await startVarve({ args: ['--multitenancy'] });
  });
  afterAll(stopAll);

  test.each([
    ['../x', 400],
    ['..', 400],
    ['.', 400],
    ['a/b', 400],
    ['a\\b', 400],
    ['/etc/passwd', 400],
    ['__markers__', 400],
    ['a|b', 400],
    ['a b', 400],
    ['a\tb', 400],
    ['%2e%2e', 400],
    ['t'.repeat(151), 400],
    ['', 401],
    [undefined, 401],
    ['team-a', 200],
    ["A.b_c!(d)*'e-1", 200],
    ['t'.repeat(150), 200],
  ] as const)('%j gets %i', async (tenant, status) => {
    const headers: Record<string, string> = tenant === undefined ? {} : { 'x-scope-orgid': tenant };
    const answer = await send(varve, wire(encodeRequest([good(1)])), headers);
    expect(status === 200 ? Math.floor(answer.status / 100) * 100 : answer.status).toBe(status);
    if (status === 401) expect(answer.text).toContain('no org id');
  });

  test('a header that is sent twice is refused', async () => {
    const status = await new Promise<number>((resolve, reject) => {
      const out = request(
        varve.pushUrl,
        { method: 'POST', headers: { ...PUSH_HEADERS, 'x-scope-orgid': ['a', 'b'] } },
        (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        },
      );
      out.on('error', reject);
      out.end(wire(encodeRequest([good(1)])));
    });
    expect(status).toBe(400);
  });

  test('tenants do not see each other', async () => {
    await send(varve, wire(encodeRequest([one(named('private_total'))])), { 'x-scope-orgid': 'one' });
    const names = async (tenant: string) => {
      const response = await fetch(`${varve.api}/label/__name__/values`, {
        headers: { 'x-scope-orgid': tenant },
      });
      return ((await response.json()) as { data: string[] }).data;
    };
    expect(await names('one')).toEqual(['private_total']);
    expect(await names('two')).toEqual([]);
  });
});

/** A block of that many decoded bytes which compresses to 5 %: one literal byte, then copies of 64 bytes. */
function bomb(decodedBytes: number): Uint8Array {
  const copies = Math.floor((decodedBytes - 1) / 64);
  const block = Buffer.alloc(copies * 3);
  for (let i = 0; i < copies; i++) block.set([0xfe, 0x01, 0x00], i * 3);
  return declaring(1 + copies * 64, Buffer.concat([Buffer.from([0x00, 0x00]), block]));
}

async function send(
  varve: Varve,
  body: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
  method = 'POST',
  path = '',
): Promise<{ status: number; text: string }> {
  const response = await fetch(varve.pushUrl + path, {
    method,
    headers: { ...PUSH_HEADERS, ...headers },
    ...(method === 'GET' ? {} : { body }),
  });
  return { status: response.status, text: await response.text() };
}

/** Sends a chunked body without an end until the server answers. */
function sendEndless(varve: Varve, bytesMax: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const out = request(varve.pushUrl, { method: 'POST', headers: PUSH_HEADERS }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
      out.destroy();
    });
    let sent = 0;
    let answered = false;
    out.on('response', () => {
      answered = true;
    });
    out.on('error', (error) => {
      if (!answered) reject(error);
    });
    const chunk = Buffer.alloc(MiB);
    const more = () => {
      while (!answered && sent < bytesMax) {
        sent += chunk.length;
        if (!out.write(chunk)) {
          out.once('drain', more);
          return;
        }
      }
      if (!answered) out.end();
    };
    more();
  });
}

async function discarded(varve: Varve, reason: string): Promise<number> {
  const text = await (await fetch(`${varve.url}/metrics`)).text();
  let sum = 0;
  for (const [, labels, value] of text.matchAll(/^varve_discarded_samples_total\{(.*)\} (\S+)$/gm)) {
    if (labels!.includes(`reason="${reason}"`)) sum += Number(value);
  }
  return sum;
}

async function stored(varve: Varve, labels: Readonly<Record<string, string>>): Promise<string[]> {
  const quoted = Object.entries(labels).map(
    ([name, value]) => `${JSON.stringify(name)}=${JSON.stringify(value)}`,
  );
  const found = await rawSamples(
    varve.api,
    `{${quoted.join(',')}}`,
    NOW_MS + 60 * MINUTE_MS,
    3 * 60 * MINUTE_MS,
  );
  return (found.get(keyOf(labels)) ?? []).map(([, value]) => value);
}
